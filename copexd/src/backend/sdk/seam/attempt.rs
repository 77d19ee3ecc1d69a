//! One try of a request, up to the first word of its answer.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::StreamExt as _;
use http::HeaderMap;
use serde_json::{Value, json};

use super::exchange::Head;
use super::sse::{self, Said};
use super::transport::{Body, Response};
use super::{Link, Seam};
use crate::core::failure::{Failure, FailureClass, Watchdog};
use crate::core::redact::Redactor;
use crate::core::refusal;
use crate::core::target::{GITHUB, Target};
use crate::runtime::clock;

/// Bytes of a stream that are held back while it has not said anything.
const MOST_HELD: usize = 256 * 1024;

/// Bytes of a refusal's body that are passed on.
const MOST_REFUSAL: usize = 1024 * 1024;

/// What came of one try.
pub(super) enum Outcome {
    /// An answer.
    Answer(Answer),
    /// A failure that nothing was shown of.
    Failed(Box<Refusal>),
}

/// An answer that has begun: its head, what was held back, and the rest.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) held: Vec<u8>,
    pub(super) rest: Body,
    pub(super) streams: bool,
}

/// A failed try, with what the CLI is to be told if it was the last.
pub(super) struct Refusal {
    pub(super) failure: Failure,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether the failure's words are the server's.
    said: bool,
}

impl Refusal {
    /// A failure without an answer of the server's own.
    pub(super) fn of_ours(failure: Failure) -> Self {
        let status = 503;
        let message = &failure.message;
        let body = json!({ "error": { "code": "copex", "message": message } }).to_string();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        Self { failure, status, headers, body: body.into_bytes(), said: false }
    }

    /// Says who refused, and what to do next, where the request or the key is at fault: the
    /// server's words alone tell neither. No query and no user of the URL is told.
    pub(super) fn name(&mut self, target: &Target, url: &str, redactor: &Redactor) {
        let failure = &mut self.failure;
        let ours = target.endpoint != GITHUB;
        let hint = match (failure.class, failure.status) {
            (FailureClass::Auth, Some(_)) if ours => {
                "check the provider's key: `copexctl status` says where it comes from"
            }
            // Its way out is the sign-in.
            (FailureClass::Auth, Some(_)) => "",
            (FailureClass::Client, Some(404)) if ours => {
                "`copexctl models` lists the models that it offers; when yours is among them, \
                 check base_url and wire_api in [provider]"
            }
            (FailureClass::Client, Some(_)) => {
                "`copexctl models` lists the models that it offers; -m MODEL asks another one"
            }
            _ => return,
        };
        let endpoint = place(url).unwrap_or_else(|| target.endpoint.clone());
        let whom = Target { endpoint, ..target.clone() }.to_string();
        let (whom, status) = (redactor.text(&whom), self.status);
        failure.message = if self.said {
            // Its words first: rows of a screen show the beginning alone.
            format!("{} ({status} from {whom})", failure.message)
        } else {
            format!("{whom} answered {status}")
        };
        failure.hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
    }

    /// Takes the session's secrets out of the server's words, and what is too much of them. The
    /// CLI keeps what it is told in its own files.
    fn clean(&mut self, redactor: &Redactor) {
        self.failure.message = redactor.said(&self.failure.message);
        if let Cow::Owned(clean) = redactor.text(&String::from_utf8_lossy(&self.body)) {
            self.body = clean.into_bytes();
        }
    }
}

/// Makes the request once. The first word must come within `first_event`.
pub(super) async fn once(
    seam: &Seam,
    head: &Head,
    body: &[u8],
    link: Option<&Link>,
    first_event: Duration,
) -> Outcome {
    let tried = first_word(seam, head, body, link);
    if let Ok(mut outcome) = tokio::time::timeout(first_event, tried).await {
        if let (Outcome::Failed(refusal), Some(link)) = (&mut outcome, link) {
            refusal.clean(&link.redactor);
        }
        return outcome;
    }
    let message = format!("the model said nothing for {} s", first_event.as_secs_f64());
    let class = FailureClass::Timeout(Watchdog::FirstEvent);
    let hint = "try again, try another model, or raise `retry.first_event_timeout`";
    failed(Failure::new(class, message).with_hint(hint))
}

/// Host, port and path of a URL.
fn place(url: &str) -> Option<String> {
    let url: http::Uri = url.parse().ok()?;
    let port = url.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}{port}{}", url.host()?, url.path()))
}

fn failed(failure: Failure) -> Outcome {
    Outcome::Failed(Box::new(Refusal::of_ours(failure)))
}

async fn first_word(seam: &Seam, head: &Head, body: &[u8], link: Option<&Link>) -> Outcome {
    let response = match seam.transport.send(head, body, link).await {
        Ok(response) => response,
        Err(failure) => return failed(failure),
    };
    if !response.status.is_success() {
        return Outcome::Failed(Box::new(read_refusal(response).await));
    }
    let Response { status, headers, body: mut rest } = response;
    let status = status.as_u16();
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok());
    let streams = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
    let mut held = Vec::new();
    if !streams {
        return Outcome::Answer(Answer { status, headers, held, rest, streams });
    }
    loop {
        match rest.next().await {
            Some(Ok(piece)) => held.extend_from_slice(&piece),
            Some(Err(failure)) => return failed(failure),
            None => {
                let message = "the model's stream ended before it said anything";
                return failed(Failure::new(FailureClass::Network, message));
            }
        }
        match sse::read(&held) {
            Said::Nothing if held.len() < MOST_HELD => {}
            Said::Nothing | Said::Answer => {
                return Outcome::Answer(Answer { status, headers, held, rest, streams });
            }
            Said::Error(code, words) => {
                let class = match refusal::class_of_status(200, code.as_deref(), true) {
                    FailureClass::Unknown => FailureClass::Server,
                    class => class,
                };
                return failed(Failure::new(class, words));
            }
        }
    }
}

async fn read_refusal(response: Response) -> Refusal {
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
    let class = refusal::class_of_status(status, code, !body.is_empty());
    let words = error["message"].as_str().or_else(|| parsed["message"].as_str());
    let said = words.is_some();
    let words = words.map_or_else(|| format!("the model answered {status}"), str::to_owned);
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let after = header("retry-after");
    let date = after.and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    let date_ms = date.and_then(|date| u64::try_from(date.timestamp().as_millisecond()).ok());
    let wait = refusal::retry_after_ms(header("retry-after-ms"), after, date_ms, clock::now_ms());
    let failure = Failure::new(class, words).with_status(Some(status)).with_retry_after(wait);
    Refusal { failure, status, headers, body, said }
}
