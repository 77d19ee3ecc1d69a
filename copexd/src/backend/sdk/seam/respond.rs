//! What goes back to the Copilot CLI: heads, pieces, refusals, and breaks.
//!
//! Every head carries `x-should-retry: false`: whoever asks again is us. A stream that breaks
//! is ended with an error event of its dialect, which the CLI takes as the end of the request;
//! a transport error would make it ask five times more (measured on 1.0.102).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use github_copilot_sdk::Client;
use http::HeaderMap;
use serde_json::json;

use super::attempt::{Answer, Refusal};
use super::exchange::Head;
use super::sse;
use crate::core::failure::{Failure, FailureClass, Watchdog};

pub(super) type Told = Result<(), github_copilot_sdk::Error>;

/// Passes an answer on as it comes; one that pauses for `idle` is broken off. Gives whether
/// it came whole; a failure is told to `broke` before the CLI can notice.
pub(super) async fn pass_on(
    client: &Client,
    id: &str,
    (head, idle): (&Head, Duration),
    answer: Answer,
    broke: &mut (dyn FnMut(&Failure) + Send),
) -> Result<bool, github_copilot_sdk::Error> {
    let Answer { status, headers, held, mut rest, streams } = answer;
    start(client, id, status, &headers).await?;
    let mut end = sse::End::default();
    end.feed(&held);
    if !held.is_empty() {
        chunk(client, id, &held, false).await?;
    }
    let failure = loop {
        let Ok(next) = tokio::time::timeout(idle, rest.next()).await else {
            let message = format!("the model's answer stood still for {} s", idle.as_secs_f64());
            let hint = "raise `timeout`, or try another model";
            let class = FailureClass::Timeout(Watchdog::Idle);
            break Some(Failure::new(class, message).with_hint(hint));
        };
        match next {
            Some(Ok(piece)) => {
                end.feed(&piece);
                chunk(client, id, &piece, false).await?;
            }
            Some(Err(failure)) => break Some(failure),
            None if streams && !end.seen() => {
                let message = "the model's stream ended in the middle of its answer";
                break Some(Failure::new(FailureClass::Network, message));
            }
            None => break None,
        }
    };
    if let Some(failure) = &failure {
        broke(failure);
    }
    match &failure {
        Some(failure) if streams => {
            let event = sse::error_event(&head.url, &failure.message);
            chunk(client, id, event.as_bytes(), true).await?;
        }
        Some(failure) => fail(client, id, &failure.message, "stream").await?,
        None => chunk(client, id, &[], true).await?,
    }
    Ok(failure.is_none())
}

/// Tells a failure with the server's own status and words.
pub(super) async fn give_up(client: &Client, id: &str, refusal: &Refusal) -> Told {
    start(client, id, refusal.status, &refusal.headers).await?;
    chunk(client, id, &refusal.body, true).await
}

/// Tells a failure without any answer: the CLI may do something else instead.
pub(super) async fn fail(client: &Client, id: &str, message: &str, code: &str) -> Told {
    let error = json!({ "message": message, "code": code });
    let params = json!({ "requestId": id, "data": "", "end": true, "error": error });
    client.call("llmInference.httpResponseChunk", Some(params)).await.map(drop)
}

async fn start(client: &Client, id: &str, status: u16, headers: &HeaderMap) -> Told {
    let mut wire = serde_json::Map::new();
    for name in headers.keys() {
        // The body has been decoded, and its length is ours to tell.
        if ["content-encoding", "content-length", "transfer-encoding", "connection"]
            .contains(&name.as_str())
        {
            continue;
        }
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        wire.insert(name.as_str().to_owned(), values.collect::<Vec<_>>().into());
    }
    wire.insert("x-should-retry".to_owned(), json!(["false"]));
    let params = json!({ "requestId": id, "status": status, "headers": wire });
    client.call("llmInference.httpResponseStart", Some(params)).await.map(drop)
}

async fn chunk(client: &Client, id: &str, data: &[u8], end: bool) -> Told {
    // A piece of the wire may end inside a character.
    let params = if let Ok(text) = std::str::from_utf8(data) {
        json!({ "requestId": id, "data": text, "end": end })
    } else {
        let data = STANDARD.encode(data);
        json!({ "requestId": id, "data": data, "binary": true, "end": end })
    };
    client.call("llmInference.httpResponseChunk", Some(params)).await.map(drop)
}
