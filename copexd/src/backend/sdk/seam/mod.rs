//! Every model request of a runtime, before it leaves: the place where a failed request is
//! asked again without the conversation noticing.
//!
//! The runtime hands its requests over the connection (`llmInference.*`); we forward them,
//! and see status and headers before the Copilot CLI does. Rules, measured on CLI 1.0.102:
//! - the head goes back only with the first piece of the answer in hand, so that a try which
//!   fails before that can be repeated unseen;
//! - giving up returns the real status with `x-should-retry: false`, which switches the
//!   CLI's own five retries off; an error instead of a status would cost all five;
//! - a stream that breaks later is the CLI's to ask again: its tries are counted on here;
//! - nobody tells us when the runtime is killed, so every wait also listens for its death.
//!
//! Not here: how long to wait and when to stop (`core::retry`).

mod exchange;
mod forward;
mod http;
mod sse;
mod tape;
mod transport;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use github_copilot_sdk::Client;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::core::budget::Budget;
use crate::core::failure::{Failure, FailureClass};
use crate::core::retry::Retry;
use crate::core::signal::Signal;
use crate::runtime::tasks::Tasks;
use exchange::Exchange;
pub(super) use tape::Tape;
use transport::Transport;

/// Requests whose tries are remembered, for those that the CLI asks again. A conversation
/// has one at a time, a sub-agent another.
const REMEMBERED: usize = 512;

/// What all runtimes share: the budget that bounds a storm.
pub struct Upstream {
    budget: Mutex<Budget>,
}

impl Upstream {
    /// A full budget.
    pub fn new(now_ms: u64) -> Self {
        Self { budget: Mutex::new(Budget::full(now_ms)) }
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        lock(&self.budget)
    }
}

/// A session's end of the seam.
#[derive(Clone)]
pub struct Link {
    signals: mpsc::Sender<Signal>,
    retry: Retry,
    given_up: Arc<Mutex<Option<Failure>>>,
}

impl Link {
    /// A link that tells through `signals`, with the session's own retry policy.
    pub fn new(signals: mpsc::Sender<Signal>, retry: Retry) -> Self {
        Self { signals, retry, given_up: Arc::default() }
    }

    /// Whether the newest request was given up and that is not told yet.
    pub fn gave_up(&self) -> bool {
        lock(&self.given_up).is_some()
    }

    /// Why the seam gave the newest request up: what the CLI reports next is about that.
    pub fn take_given_up(&self) -> Option<Failure> {
        lock(&self.given_up).take()
    }
}

/// Tries of one request, over all the times the CLI asks it.
#[derive(Debug, Clone, Copy)]
struct Tries {
    number: u32,
    since_ms: u64,
}

#[derive(Default)]
struct History {
    tries: HashMap<u64, Tries>,
    order: VecDeque<u64>,
}

/// The seam of one runtime.
pub struct Seam {
    upstream: Arc<Upstream>,
    transport: Transport,
    death: CancellationToken,
    links: Mutex<HashMap<String, Link>>,
    exchanges: Mutex<HashMap<String, Exchange>>,
    history: Mutex<History>,
}

impl Seam {
    /// Takes over the model requests of a runtime that lives in `env`.
    ///
    /// # Errors
    /// `Unavailable` when the CLI does not hand its requests over.
    pub async fn install(
        client: &Client,
        env: &BTreeMap<String, String>,
        upstream: Arc<Upstream>,
        death: CancellationToken,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, Failure> {
        let seam = Arc::new(Self {
            upstream,
            transport: Transport::new(env)?,
            death,
            links: Mutex::default(),
            exchanges: Mutex::default(),
            history: Mutex::default(),
        });
        let refused = |error: github_copilot_sdk::Error| {
            let message = format!("the Copilot CLI does not hand over its requests: {error}");
            Failure::new(FailureClass::Unavailable, message)
        };
        for method in ["llmInference.httpRequestStart", "llmInference.httpRequestChunk"] {
            let (seam, tasks) = (Arc::downgrade(&seam), tasks.clone());
            let start = method.ends_with("Start");
            let handle = move |params: serde_json::Value, client: Client| {
                if let Some(seam) = seam.upgrade()
                    && let Some((id, exchange)) = seam.take_in(start, &params)
                {
                    tasks.spawn("model request", async move {
                        forward::serve(&seam, &client, &id, exchange).await;
                        lock(&seam.exchanges).remove(&id);
                    });
                }
                async { Ok(json!({})) }
            };
            client.register_request_handler(method, handle).map_err(refused)?;
        }
        client.rpc().llm_inference().set_provider().await.map_err(refused)?;
        Ok(seam)
    }

    /// Tells a session's run about its requests from now on.
    pub fn link(&self, session: &str, link: Link) {
        let mut links = lock(&self.links);
        links.retain(|_, link| !link.signals.is_closed());
        links.insert(session.to_owned(), link);
    }

    /// Puts a session's cassette between it and the network; without one, takes away what
    /// an earlier run of the same session left.
    pub(super) fn load(&self, session: &str, tape: Option<Tape>) {
        self.transport.load(session, tape);
    }

    fn linked(&self, session: Option<&str>) -> Option<Link> {
        lock(&self.links).get(session?).cloned()
    }

    /// Takes in one frame; gives the exchange once it is whole.
    fn take_in(&self, start: bool, params: &serde_json::Value) -> Option<(String, Exchange)> {
        let id = params["requestId"].as_str()?.to_owned();
        let mut exchanges = lock(&self.exchanges);
        let exchange = exchanges.entry(id.clone()).or_default();
        if start {
            exchange.start(params);
        } else if params["cancel"] == true {
            exchange.cancel.cancel();
            exchanges.remove(&id);
            return None;
        } else {
            exchange.feed(params);
        }
        exchange.take_whole().map(|whole| (id, whole))
    }

    /// How often this request was tried before, however often the CLI asked it.
    fn tries_before(&self, fingerprint: u64, now_ms: u64) -> Tries {
        let mut history = lock(&self.history);
        if let Some(tries) = history.tries.get(&fingerprint) {
            return *tries;
        }
        let fresh = Tries { number: 0, since_ms: now_ms };
        history.tries.insert(fingerprint, fresh);
        history.order.push_back(fingerprint);
        if history.order.len() > REMEMBERED
            && let Some(oldest) = history.order.pop_front()
        {
            history.tries.remove(&oldest);
        }
        fresh
    }

    fn remember(&self, fingerprint: u64, number: u32) {
        if let Some(tries) = lock(&self.history).tries.get_mut(&fingerprint) {
            tries.number = number;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
