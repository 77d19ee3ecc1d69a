//! One request: forwarded, asked again as the policy says, answered or given up.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use github_copilot_sdk::Client;
use http::HeaderMap;
use serde_json::{Value, json};

use super::exchange::{Exchange, Head};
use super::sse::{self, Said};
use super::transport::{Body, Response};
use super::{Link, Seam, lock};
use crate::core::failure::{Failure, FailureClass};
use crate::core::retry::{self, Next, Retry, Try};
use crate::core::signal::Signal;
use crate::runtime::clock;

/// How long a model may take to its first word. The Copilot CLI itself would wait 600 s.
const FIRST_EVENT: Duration = Duration::from_mins(2);

/// Bytes of a stream that are held back while it has not said anything.
const MOST_HELD: usize = 256 * 1024;

/// Bytes of a refusal's body that are passed on.
const MOST_REFUSAL: usize = 1024 * 1024;

/// What came of one try.
enum Outcome {
    /// An answer: its head, what was held back, and the rest.
    Answer { status: u16, headers: HeaderMap, held: Vec<u8>, rest: Body },
    /// A failure that nothing was shown of.
    Failed(Box<Refusal>),
}

/// A failed try, with what the CLI is to be told if it was the last.
struct Refusal {
    failure: Failure,
    retry_after_ms: Option<u64>,
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Refusal {
    /// A failure without an answer of the server's own.
    fn of_ours(failure: Failure) -> Self {
        let status = 503;
        let message = &failure.message;
        let body = json!({ "error": { "code": "copex", "message": message } }).to_string();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        Self { failure, retry_after_ms: None, status, headers, body: body.into_bytes() }
    }
}

/// Serves one request to its end.
pub(super) async fn serve(seam: &Seam, client: &Client, id: &str, exchange: Exchange) {
    let served = async {
        tokio::select! {
            () = exchange.cancel.cancelled() => refuse_cancelled(client, id).await,
            () = seam.death.cancelled() => Ok(()),
            served = attempts(seam, client, id, &exchange) => served,
        }
    };
    if let Err(error) = served.await {
        tracing::debug!(%error, "the runtime did not take an answer");
    }
}

type Told = Result<(), github_copilot_sdk::Error>;

async fn attempts(seam: &Seam, client: &Client, id: &str, exchange: &Exchange) -> Told {
    let Some(head) = &exchange.head else { return Ok(()) };
    if head.websocket {
        // The CLI then asks the same over HTTP.
        return fail(client, id, "WebSockets are not forwarded", "unsupported").await;
    }
    let inference = head.method == "POST";
    let link = seam.linked(head.session.as_deref());
    let fingerprint = exchange.fingerprint();
    let before = seam.tries_before(fingerprint, clock::now_ms());
    let mut number = if inference { before.number } else { 0 };
    if inference && number == 0 {
        seam.upstream.budget().earn(clock::now_ms());
    }
    let mut in_class: Vec<FailureClass> = Vec::new();
    loop {
        number += 1;
        seam.remember(fingerprint, number);
        let refusal = match once(seam, head, &exchange.body, link.as_ref()).await {
            Outcome::Answer { status, headers, held, rest } => {
                return pass_on(client, id, status, &headers, held, rest).await;
            }
            Outcome::Failed(refusal) => refusal,
        };
        in_class.push(refusal.failure.class);
        let same = in_class.iter().filter(|class| **class == refusal.failure.class).count();
        let moment = clock::moment();
        let failed = Try {
            failure: refusal.failure.clone(),
            number,
            in_class: u32::try_from(same).unwrap_or(u32::MAX),
            elapsed_ms: moment.now_ms.saturating_sub(before.since_ms),
            retry_after_ms: refusal.retry_after_ms,
        };
        let next = if inference {
            let retry = link.as_ref().map_or_else(Retry::default, |link| link.retry);
            retry.next(&failed, &mut seam.upstream.budget(), moment)
        } else {
            Next::GiveUp { why: "only model calls are asked again" }
        };
        match next {
            Next::Retry { delay_ms } => {
                if let Some(link) = &link {
                    let failure = refusal.failure;
                    let signal = Signal::Waiting { attempt: number + 1, failure, delay_ms };
                    // A run that has ended meanwhile needs no news.
                    let _ = link.signals.send(signal).await;
                }
                tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            }
            Next::GiveUp { why } => {
                tracing::debug!(why, class = ?refusal.failure.class, "a request is given up");
                if let Some(link) = &link {
                    *lock(&link.given_up) = Some(refusal.failure.clone());
                }
                return give_up(client, id, *refusal).await;
            }
        }
    }
}

/// One try, up to the first word of the answer.
async fn once(seam: &Seam, head: &Head, body: &[u8], link: Option<&Link>) -> Outcome {
    let fail = |failure| Outcome::Failed(Box::new(Refusal::of_ours(failure)));
    let first_word = async {
        let response = match seam.transport.send(head, body, link).await {
            Ok(response) => response,
            Err(failure) => return fail(failure),
        };
        if !response.status.is_success() {
            return Outcome::Failed(Box::new(refusal(response).await));
        }
        let Response { status, headers, body: mut rest } = response;
        let status = status.as_u16();
        let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok());
        let streams = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let mut held = Vec::new();
        if !streams {
            return Outcome::Answer { status, headers, held, rest };
        }
        loop {
            match rest.next().await {
                Some(Ok(piece)) => held.extend_from_slice(&piece),
                Some(Err(failure)) => return fail(failure),
                None => {
                    let message = "the model's stream ended before it said anything";
                    return fail(Failure::new(FailureClass::Network, message));
                }
            }
            match sse::read(&held) {
                Said::Nothing if held.len() < MOST_HELD => {}
                Said::Nothing | Said::Answer => {
                    return Outcome::Answer { status, headers, held, rest };
                }
                Said::Error(code, words) => {
                    let class = match retry::class_of_status(200, code.as_deref(), true) {
                        FailureClass::Unknown => FailureClass::Server,
                        class => class,
                    };
                    return fail(Failure::new(class, words));
                }
            }
        }
    };
    if let Ok(outcome) = tokio::time::timeout(FIRST_EVENT, first_word).await {
        return outcome;
    }
    let message = format!("the model said nothing for {} s", FIRST_EVENT.as_secs());
    fail(Failure::new(FailureClass::Timeout, message))
}

async fn refusal(response: Response) -> Refusal {
    let Response { status, headers, body: mut pieces } = response;
    let status = status.as_u16();
    let mut body = Vec::new();
    while let Some(Ok(piece)) = pieces.next().await {
        body.extend_from_slice(&piece);
        if body.len() > MOST_REFUSAL {
            body.truncate(MOST_REFUSAL);
            break;
        }
    }
    let parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
    let error = &parsed["error"];
    let code = error["code"].as_str().or_else(|| error["type"].as_str());
    let class = retry::class_of_status(status, code, !body.is_empty());
    let words = error["message"].as_str().or_else(|| parsed["message"].as_str());
    let words = words.map_or_else(|| format!("the model answered {status}"), str::to_owned);
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let after = header("retry-after");
    let date = after.and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    let date_ms = date.and_then(|date| u64::try_from(date.timestamp().as_millisecond()).ok());
    let retry_after_ms =
        retry::retry_after_ms(header("retry-after-ms"), after, date_ms, clock::now_ms());
    let failure = Failure::new(class, words).with_status(Some(status));
    Refusal { failure, retry_after_ms, status, headers, body }
}

async fn pass_on(
    client: &Client,
    id: &str,
    status: u16,
    headers: &HeaderMap,
    held: Vec<u8>,
    mut rest: Body,
) -> Told {
    start(client, id, status, headers, false).await?;
    if !held.is_empty() {
        chunk(client, id, &held, false).await?;
    }
    while let Some(piece) = rest.next().await {
        match piece {
            Ok(piece) => chunk(client, id, &piece, false).await?,
            Err(failure) => return fail(client, id, &failure.message, "stream").await,
        }
    }
    chunk(client, id, &[], true).await
}

async fn give_up(client: &Client, id: &str, refusal: Refusal) -> Told {
    start(client, id, refusal.status, &refusal.headers, true).await?;
    chunk(client, id, &refusal.body, true).await
}

async fn start(client: &Client, id: &str, status: u16, headers: &HeaderMap, last: bool) -> Told {
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
    if last {
        wire.insert("x-should-retry".to_owned(), json!(["false"]));
    }
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

async fn fail(client: &Client, id: &str, message: &str, code: &str) -> Told {
    let error = json!({ "message": message, "code": code });
    let params = json!({ "requestId": id, "data": "", "end": true, "error": error });
    client.call("llmInference.httpResponseChunk", Some(params)).await.map(drop)
}

async fn refuse_cancelled(client: &Client, id: &str) -> Told {
    fail(client, id, "the request was cancelled", "cancelled").await
}
