//! Runs calls of one connection of our own framings against the method set.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jsonrpsee::core::server::{
    BoundedSubscriptions, MethodCallback, MethodSink, SubscriptionState,
};
use jsonrpsee::server::RandomStringIdProvider;
use jsonrpsee::types::Id;
use jsonrpsee::{ConnectionId, Extensions, MethodResponse, Methods};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::message::{Call, Refused};
use super::peer::Peer;
use super::{Limits, guard, refusal};

/// Characters of a subscription id: 62^16, so nobody meets another's by chance.
const SUBSCRIPTION_ID_CHARS: usize = 16;

/// The method set as one connection sees it.
#[derive(Debug)]
pub(super) struct Service {
    methods: Methods,
    sink: MethodSink,
    connection: ConnectionId,
    subscriptions: BoundedSubscriptions,
    extensions: Extensions,
    limits: Limits,
}

impl Service {
    /// Answers and notifications go into `out`.
    pub(super) fn new(
        methods: Methods,
        peer: Peer,
        out: mpsc::Sender<Box<RawValue>>,
        limits: Limits,
    ) -> Self {
        let connection = connection_id(peer.connection);
        let mut extensions = Extensions::new();
        extensions.insert(connection);
        extensions.insert(peer);
        Self {
            methods,
            sink: MethodSink::new_with_limit(out, limits.response_bytes),
            connection,
            subscriptions: BoundedSubscriptions::new(limits.subscriptions),
            extensions,
            limits,
        }
    }

    /// Whether the method set has a method of this name.
    pub(super) fn knows(&self, method: &str) -> bool {
        self.methods.method(method).is_some()
    }

    /// Whether this method starts a subscription.
    pub(super) fn is_subscription(&self, method: &str) -> bool {
        guard::is_subscription(&self.methods, method)
    }

    /// Runs one call to its answer; nothing when the method answers by itself or the call
    /// is a notification. A panic becomes an answer.
    pub(super) async fn call(&self, call: Call) -> Option<MethodResponse> {
        let Call { id: answer_to, method, params } = call;
        let id = match &answer_to {
            Some(id) => id.clone(),
            // A subscription that nobody can address is not worth starting.
            None if self.is_subscription(&method) => return None,
            None => Id::Null,
        };
        let running = AssertUnwindSafe(async {
            let params = params;
            if guard::is_unsubscription(&self.methods, &method) {
                let run = || self.start(id.clone(), &method, params.as_ref());
                return guard::unsubscribe(run).await;
            }
            let running = self.start(id.clone(), &method, params.as_ref());
            // The handler has its own copy; the frame need not wait for a slow one.
            drop(params);
            running.await
        });
        let response = running.catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(method, "a handler panicked");
            MethodResponse::error(id.clone(), refusal::panicked(&method))
        });
        let answers = answer_to.is_some() && response.is_method_call();
        answers.then(|| guard::in_our_words(response))
    }

    /// Runs a batch in order; nothing when it holds notifications only.
    pub(super) async fn batch(&self, batch: Vec<Result<Call, Refused>>) -> Option<MethodResponse> {
        let mut answers = guard::Answers::new(self.limits.response_bytes);
        for entry in batch {
            let answer = match entry {
                Err(refused) => Some(MethodResponse::error(refused.id, refused.error)),
                Ok(call) => match call.id.clone() {
                    Some(id) if self.is_subscription(&call.method) => {
                        let error = refusal::subscription_in_batch(&call.method);
                        Some(MethodResponse::error(id, error))
                    }
                    _ => self.call(call).await,
                },
            };
            if let Some(answer) = answer
                && let Err(too_large) = answers.add(answer)
            {
                return Some(too_large);
            }
        }
        answers.finish()
    }

    fn start(
        &self,
        id: Id<'static>,
        method: &str,
        params: Option<&Bytes>,
    ) -> BoxFuture<'static, MethodResponse> {
        // Read as JSON already, so it is text.
        let params = params.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let params = jsonrpsee::types::Params::new(params);
        let extensions = self.extensions.clone();
        let limit = self.sink.max_response_size() as usize;
        match self.methods.method(method) {
            None => {
                let error = refusal::no_such_method(&self.methods, method);
                ready(MethodResponse::error(id, error))
            }
            Some(MethodCallback::Sync(run)) => ready(run(id, params, limit, extensions)),
            Some(MethodCallback::Async(run)) => {
                run(id, params.into_owned(), self.connection, limit, extensions)
            }
            Some(MethodCallback::Unsubscription(run)) => {
                ready(run(id, params, self.connection, limit, extensions))
            }
            Some(MethodCallback::Subscription(run)) => {
                let Some(permit) = self.subscriptions.acquire() else {
                    let error = refusal::too_many_subscriptions(self.subscriptions.max());
                    return ready(MethodResponse::error(id, error));
                };
                let state = SubscriptionState {
                    conn_id: self.connection,
                    id_provider: &subscription_ids(),
                    subscription_permit: permit,
                };
                run(id, params, self.sink.clone(), state, extensions)
            }
        }
    }
}

fn ready(response: MethodResponse) -> BoxFuture<'static, MethodResponse> {
    std::future::ready(response).boxed()
}

/// Texts, because numbers lose digits in JavaScript and Lua.
pub(super) fn subscription_ids() -> RandomStringIdProvider {
    RandomStringIdProvider::new(SUBSCRIPTION_ID_CHARS)
}

/// jsonrpsee's name for a connection. Subscriptions of all transports live in one table,
/// so all of them must be numbered by one counter.
pub(super) fn connection_id(number: u64) -> ConnectionId {
    ConnectionId(usize::try_from(u64::from(short_number(number))).unwrap_or(0))
}

/// The number as jsonrpsee's server takes it: it wraps after four thousand million.
pub(super) fn short_number(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or(0)
}
