//! How a model request leaves and what comes back, over our own types.
//!
//! Invariant: this is the only place of the seam that talks to the network; the policy above
//! it sees a status, headers and a body, whether the network gave them or a cassette.
//!
//! Not here: when a request is asked again (`forward`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::{HeaderMap, Method, StatusCode};

use super::exchange::Head;
use super::{Link, Tape, http as client, lock};
use crate::core::failure::{Failure, FailureClass};

/// A body as it arrives. It ends after its first failure.
pub(super) type Body = BoxStream<'static, Result<Bytes, Failure>>;

/// What came back: the head, and the body as it arrives.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// Sends the requests of one runtime.
pub(super) struct Transport {
    http: reqwest::Client,
    /// By session: what they ask goes there first, whoever asks it for them.
    tapes: Mutex<HashMap<String, Tape>>,
}

impl Transport {
    /// A transport that reaches the world as programs in `env` do.
    ///
    /// # Errors
    /// `Unavailable` when TLS cannot be set up.
    pub(super) fn new(env: &BTreeMap<String, String>) -> Result<Self, Failure> {
        Ok(Self { http: client::client(env)?, tapes: Mutex::default() })
    }

    /// Puts a cassette between a session and the network, or takes away what was there.
    pub(super) fn load(&self, session: &str, tape: Option<Tape>) {
        let mut tapes = lock(&self.tapes);
        tapes.retain(|_, tape| !tape.is_over());
        match tape {
            Some(tape) => tapes.insert(session.to_owned(), tape),
            None => tapes.remove(session),
        };
    }

    /// Sends one request once and waits for the head of its answer, whatever its status.
    /// Not bounded in time: the caller's to do. Cancel safe: a dropped call gives the
    /// request up.
    ///
    /// # Errors
    /// `Client` when the request cannot be put, `Network` when no answer came.
    pub(super) async fn send(
        &self,
        head: &Head,
        body: &[u8],
        _link: Option<&Link>,
    ) -> Result<Response, Failure> {
        let session = head.session.as_deref();
        let tape = session.and_then(|session| lock(&self.tapes).get(session).cloned());
        match tape {
            None => self.over_network(head, body).await,
            Some(Tape::Record(keeper)) => {
                keeper.keep(head, body, self.over_network(head, body)).await
            }
            Some(Tape::Play(player)) => player.answer(head, body).await,
        }
    }

    async fn over_network(&self, head: &Head, body: &[u8]) -> Result<Response, Failure> {
        let method = Method::from_bytes(head.method.as_bytes()).map_err(|_| {
            Failure::new(FailureClass::Client, format!("`{}` is not a method", head.method))
        })?;
        let mut headers = head.headers.clone();
        // Nobody between here and the CLI could unpack the answer again.
        headers.remove(http::header::ACCEPT_ENCODING);
        let mut request = self.http.request(method, &head.url).headers(headers);
        if !body.is_empty() {
            request = request.body(body.to_vec());
        }
        let response = request.send().await.map_err(|error| unreachable(&head.url, &error))?;
        let broke_off = |error: reqwest::Error| {
            let message = format!("the model's stream broke off: {}", cause(&error));
            Failure::new(FailureClass::Network, message)
        };
        Ok(Response {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes_stream().map(move |piece| piece.map_err(broke_off)).boxed(),
        })
    }
}

/// A failure without the request's URL, which may carry a key.
fn unreachable(url: &str, error: &reqwest::Error) -> Failure {
    let host = reqwest::Url::parse(url).ok();
    let host = host.as_ref().and_then(reqwest::Url::host_str).unwrap_or("the model");
    let message = format!("{host} cannot be reached or broke off: {}", cause(error));
    Failure::new(FailureClass::Network, message)
}

/// The innermost reason; the outer ones only repeat that a request failed, and have its URL.
pub fn cause(error: &reqwest::Error) -> String {
    let mut words = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = error.to_string();
        cause = error.source();
    }
    words
}
