//! Every model request of a runtime, before it leaves: the place where a failed request is
//! asked again without the conversation noticing.
//!
//! The runtime hands its requests over the connection (`llmInference.*`); we forward them,
//! and see status and headers before the Copilot CLI does. Rules, measured on CLI 1.0.102:
//! - the head goes back only with the first piece of the answer in hand, so that a try which
//!   fails before that can be repeated unseen;
//! - every head carries `x-should-retry: false`, which switches the CLI's own five retries
//!   off; an error instead of a status would cost all five;
//! - a stream that breaks later ends in an error event: the turn's own policy goes on then;
//! - nobody tells us when the runtime is killed, so every wait also listens for its death.
//!
//! Not here: how long to wait and when to stop (`core::policy`), and who may be asked
//! (`core::governor`).

mod attempt;
mod exchange;
mod forward;
mod http;
mod respond;
mod sse;
mod tape;
mod transport;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use github_copilot_sdk::Client;
use serde_json::json;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::backend::errand::Errand;
use crate::backend::upstream::Upstream;
use crate::core::failure::{Failure, FailureClass};
use crate::core::redact::Redactor;
use crate::core::signal::Signal;
use crate::runtime::tasks::Tasks;
use exchange::Exchange;
pub(super) use tape::Tape;
use transport::Transport;
pub use transport::cause;

/// A session's end of the seam.
#[derive(Clone)]
pub struct Link {
    signals: mpsc::Sender<Signal>,
    errand: Arc<Mutex<Option<Errand>>>,
    given_up: Arc<Mutex<Option<Failure>>>,
    /// Knows the session's secrets.
    pub redactor: Arc<Redactor>,
    /// Fires when it was told what a compaction took.
    pub compacted: Arc<Notify>,
}

impl Link {
    /// A link that tells through `signals`. Nobody works in the session yet.
    pub fn new(signals: mpsc::Sender<Signal>, redactor: Redactor) -> Self {
        Self {
            signals,
            redactor: Arc::new(redactor),
            errand: Arc::default(),
            given_up: Arc::default(),
            compacted: Arc::default(),
        }
    }

    /// A run works in the session from now on.
    pub fn begin(&self, errand: Errand) {
        *lock(&self.errand) = Some(errand);
        *lock(&self.given_up) = None;
    }

    fn errand(&self) -> Option<Errand> {
        lock(&self.errand).clone()
    }

    /// A request was answered: what failed before it is past.
    fn succeeded(&self) {
        if let Some(errand) = lock(&self.errand).as_mut() {
            errand.tries = 0;
            errand.patient = true;
            // Whatever a sub-agent's request was refused for is past as well.
            *lock(&self.given_up) = None;
        }
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

/// The seam of one runtime.
pub struct Seam {
    upstream: Arc<Upstream>,
    transport: Transport,
    death: CancellationToken,
    links: Mutex<HashMap<String, Link>>,
    exchanges: Mutex<HashMap<String, Exchange>>,
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
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
