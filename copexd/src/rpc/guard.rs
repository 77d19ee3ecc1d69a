//! What every transport promises alike: a panic is answered, a batch has our limits and
//! starts no subscription, an unknown method names its neighbour.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use jsonrpsee::core::middleware::{Batch, BatchEntry, Notification, RpcServiceT};
use jsonrpsee::core::server::{BatchResponseBuilder, MethodCallback};
use jsonrpsee::types::{ErrorObjectOwned, Id, Request};
use jsonrpsee::{MethodResponse, Methods};

use super::refusal;

/// Whether this method starts a subscription.
pub(super) fn is_subscription(methods: &Methods, method: &str) -> bool {
    matches!(methods.method(method), Some(MethodCallback::Subscription(_)))
}

/// Whether this method ends a subscription.
pub(super) fn is_unsubscription(methods: &Methods, method: &str) -> bool {
    matches!(methods.method(method), Some(MethodCallback::Unsubscription(_)))
}

/// Runs an unsubscribe until it finds its subscription.
///
/// jsonrpsee answers a subscribe first and enters it in its table after; a client that
/// unsubscribes at once can be faster, would be told "no such subscription", and the
/// subscription would stay.
pub(super) async fn unsubscribe<F>(mut run: impl FnMut() -> F) -> MethodResponse
where
    F: Future<Output = MethodResponse>,
{
    let mut response = run().await;
    for _ in 0..UNSUBSCRIBE_TRIES {
        if !is_false(&response) {
            break;
        }
        tokio::time::sleep(UNSUBSCRIBE_PAUSE).await;
        response = run().await;
    }
    response
}

/// The gap is two statements wide; this outlasts a thread that was taken off its core in
/// it, and is what a client pays that unsubscribes from nothing.
const UNSUBSCRIBE_TRIES: u32 = 5;

/// See [`UNSUBSCRIBE_TRIES`].
const UNSUBSCRIBE_PAUSE: Duration = Duration::from_millis(1);

fn is_false(response: &MethodResponse) -> bool {
    #[derive(serde::Deserialize)]
    struct Said {
        result: bool,
    }
    serde_json::from_str::<Said>(response.as_ref()).is_ok_and(|said| !said.result)
}

/// Gives an error of jsonrpsee's own, such as parameters that do not fit, the data that
/// every error of ours has.
pub(super) fn in_our_words(response: MethodResponse) -> MethodResponse {
    #[derive(serde::Deserialize)]
    struct Failed<'a> {
        #[serde(borrow)]
        id: Id<'a>,
        error: ErrorObjectOwned,
    }
    if response.as_error_code().is_none() || !response.is_method_call() {
        return response;
    }
    match serde_json::from_str::<Failed<'_>>(response.as_ref()) {
        Ok(failed) => match refusal::with_info(&failed.error) {
            Some(error) => MethodResponse::error(failed.id, error),
            None => response,
        },
        Err(_) => response,
    }
}

/// The answers of a batch, within the limit of one answer.
#[derive(Debug)]
pub(super) struct Answers {
    builder: BatchResponseBuilder,
    limit: u32,
}

impl Answers {
    pub(super) fn new(limit: u32) -> Self {
        Self { builder: BatchResponseBuilder::new_with_limit(limit as usize), limit }
    }

    /// Adds one, or gives the answer to the whole batch when there is no more room.
    pub(super) fn add(&mut self, answer: MethodResponse) -> Result<(), MethodResponse> {
        self.builder.append(answer).map_err(|_| {
            MethodResponse::error(Id::Null, refusal::batch_answer_too_large(self.limit))
        })
    }

    /// The answer to the batch, unless there is nothing to answer.
    pub(super) fn finish(self) -> Option<MethodResponse> {
        (!self.builder.is_empty()).then(|| MethodResponse::from_batch(self.builder.finish()))
    }
}

/// Wraps jsonrpsee's own service for HTTP and WebSocket.
#[derive(Debug, Clone)]
pub(super) struct Guard<S> {
    inner: S,
    methods: Methods,
    response_bytes: u32,
}

impl<S> Guard<S> {
    pub(super) fn new(inner: S, methods: Methods, response_bytes: u32) -> Self {
        Self { inner, methods, response_bytes }
    }
}

impl<S> RpcServiceT for Guard<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let Self { inner, methods, .. } = self.clone();
        async move {
            if methods.method(request.method_name()).is_none() {
                let error = refusal::no_such_method(&methods, request.method_name());
                return MethodResponse::error(request.id(), error);
            }
            let id = request.id().into_owned();
            let method = request.method_name().to_owned();
            let running = AssertUnwindSafe(async move {
                if is_unsubscription(&methods, request.method_name()) {
                    return unsubscribe(|| inner.call(request.clone())).await;
                }
                inner.call(request).await
            });
            let response = running.catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!(method, "a handler panicked");
                MethodResponse::error(id, refusal::panicked(&method))
            });
            in_our_words(response)
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        async move {
            if batch.is_empty() {
                let error = refusal::not_a_request("the batch is empty");
                return MethodResponse::error(Id::Null, error);
            }
            let mut answers = Answers::new(service.response_bytes);
            for entry in batch {
                let answer = match entry {
                    Ok(BatchEntry::Notification(_)) => continue,
                    Ok(BatchEntry::Call(request)) => {
                        let method = request.method_name();
                        if is_subscription(&service.methods, method) {
                            let error = refusal::subscription_in_batch(method);
                            MethodResponse::error(request.id(), error)
                        } else {
                            service.call(request).await
                        }
                    }
                    Err(refused) => {
                        let (error, id) = refused.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if let Err(too_large) = answers.add(answer) {
                    return too_large;
                }
            }
            answers.finish().unwrap_or_else(MethodResponse::notification)
        }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        let inner = self.inner.clone();
        async move { inner.notification(notification).await }
    }
}
