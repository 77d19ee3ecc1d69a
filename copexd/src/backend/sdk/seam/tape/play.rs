//! Answering from a cassette.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Head, Response};
use crate::core::cassette::likeness::{Deck, Likeness};
use crate::core::cassette::{Cassette, End, Exchange, Headers, How};
use crate::core::failure::{Failure, FailureClass, Watchdog};
use crate::core::signal::Signal;

/// Answers one session.
#[derive(Clone)]
pub(in crate::backend::sdk) struct Player {
    inner: Arc<Inner>,
}

struct Inner {
    file: PathBuf,
    exchanges: Vec<Arc<Exchange>>,
    deck: Mutex<Deck>,
    speed: f64,
    signals: mpsc::Sender<Signal>,
}

impl Player {
    pub(super) fn new(
        cassette: Cassette,
        file: PathBuf,
        speed: f64,
        signals: mpsc::Sender<Signal>,
    ) -> Self {
        let deck = Mutex::new(Deck::of(&cassette));
        let exchanges = cassette.exchanges.into_iter().map(Arc::new).collect();
        Self { inner: Arc::new(Inner { file, exchanges, deck, speed, signals }) }
    }

    /// What the cassette says to this request, when it said it. Cancel safe.
    ///
    /// # Errors
    /// `Client` for a request that is not on it; else the failure that was recorded.
    pub(in crate::backend::sdk::seam) async fn answer(
        &self,
        head: &Head,
        request: &[u8],
    ) -> Result<Response, Failure> {
        let exchange = self.find(head, request)?;
        let clock = Clock { began: Instant::now(), speed: self.inner.speed };
        let Some(response) = &exchange.response else {
            clock.wait(exchange.end.at_ms).await;
            return Err(failure(&exchange.end));
        };
        clock.wait(response.at_ms).await;
        let status = StatusCode::from_u16(response.status).unwrap_or_default();
        let headers = headers(&response.headers);
        let body = stream::unfold((exchange, 0), move |(exchange, at)| async move {
            next(&clock, &exchange, at).await.map(|(piece, at)| (piece, (exchange, at)))
        });
        Ok(Response { status, headers, body: body.boxed() })
    }

    fn find(&self, head: &Head, request: &[u8]) -> Result<Arc<Exchange>, Failure> {
        let inner = &self.inner;
        let document: Value = serde_json::from_slice(request).unwrap_or_default();
        let url = reqwest::Url::parse(&head.url).ok();
        let path = url.as_ref().map_or("", |url| url.path());
        let asked = Likeness::of(&head.method, path, &document);
        let dealt = inner.deck.lock().unwrap_or_else(PoisonError::into_inner).deal(&asked);
        let dealt = dealt.map_err(|why| {
            let message = format!("the cassette {} has no answer: {why}", inner.file.display());
            let hint = "replay the prompt that was recorded; a replay never asks a real model";
            Failure::new(FailureClass::Client, message).with_hint(hint)
        })?;
        if !dealt.exact {
            let message = format!(
                "a tool gave back something else than when {} was recorded; its answers are \
                 played all the same",
                inner.file.display()
            );
            // A run that has ended needs no news.
            let _ = inner.signals.try_send(Signal::Notice { code: "replay_differs", message });
        }
        let found = inner.exchanges.get(dealt.index).cloned();
        found.ok_or_else(|| Failure::new(FailureClass::Client, "the cassette has changed"))
    }
}

/// Time as it was when the cassette was recorded.
#[derive(Clone, Copy)]
struct Clock {
    began: Instant,
    speed: f64,
}

impl Clock {
    async fn wait(&self, at_ms: u64) {
        if self.speed > 0.0 {
            let after = Duration::from_millis(at_ms).as_secs_f64() / self.speed;
            let after = Duration::try_from_secs_f64(after).unwrap_or(Duration::MAX);
            match self.began.checked_add(after) {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        }
    }
}

type Piece = (Result<Bytes, Failure>, usize);

/// The piece at `at`, then the end: none, or the failure. Nothing follows a failure.
async fn next(clock: &Clock, exchange: &Exchange, at: usize) -> Option<Piece> {
    let chunks = exchange.response.as_ref().map(|response| response.chunks.as_slice());
    let chunks = chunks.unwrap_or_default();
    if let Some(chunk) = chunks.get(at) {
        clock.wait(chunk.at_ms).await;
        let bytes = chunk.data.bytes().unwrap_or_default();
        return Some((Ok(Bytes::from(bytes)), at + 1));
    }
    if at > chunks.len() {
        return None;
    }
    clock.wait(exchange.end.at_ms).await;
    match exchange.end.how {
        How::Whole => None,
        How::Failed { .. } | How::Left => Some((Err(failure(&exchange.end)), at + 1)),
    }
}

fn failure(end: &End) -> Failure {
    match &end.how {
        How::Failed { class, message } => Failure::new(*class, message.clone()),
        How::Left => {
            let message = format!(
                "the recording ends here: after {:.1} s nobody waited for this answer any longer",
                Duration::from_millis(end.at_ms).as_secs_f64()
            );
            Failure::new(FailureClass::Timeout(Watchdog::FirstEvent), message)
        }
        How::Whole => Failure::new(FailureClass::Network, "the recorded answer has no head"),
    }
}

fn headers(recorded: &Headers) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, values) in recorded {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        for value in values.iter().filter_map(|value| HeaderValue::from_str(value).ok()) {
            headers.append(name.clone(), value);
        }
    }
    headers
}
