//! The engine: every run is a machine behind one loop, with one log.
//!
//! A request becomes a journaled run ([`Engine::submit`]); its task ([`drive`]) feeds the
//! mode's machine and performs what it says; what happens is numbered, encoded once,
//! committed, and only then visible ([`log`]). Watchers read the log by number and never
//! hold anything back.
//!
//! Invariant: journal before effect. Facts and checkpoint of one step are one commit, and
//! the step's effects begin after it.
//!
//! Not here: what a step decides (`core`), wire framing (`rpc`).

mod account;
pub mod chain;
mod clean;
mod commit;
mod council;
mod crew;
mod desk;
mod drive;
mod effort;
mod enquire;
pub mod events;
mod explain;
mod fleet;
mod gate;
mod git;
pub mod health;
mod inbox;
pub mod key;
mod land;
mod ledger;
pub mod log;
mod mcp;
mod measure;
mod notify;
mod open;
mod overview;
mod perform;
mod plan;
mod plan_file;
pub mod prepare;
mod prewarm;
mod ralph;
mod read_only;
mod recover;
mod registry;
mod report;
mod resume;
mod returning;
mod sessions;
pub mod skills;
mod steer;
mod submit;
mod tape;
mod trees;
mod use_cli;
mod watch;
mod worktree;

use std::sync::Arc;
use std::time::Duration;

use copex_proto::error::{ErrorClass, ErrorInfo};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::upstream::Upstream;
use crate::pool::Pool;
use crate::runtime::tasks::Tasks;
use crate::store::{Store, StoreError};
use notify::Notifier;
use registry::Registry;

pub use account::Accounts;
pub use inbox::MOST_ASKS;
pub use overview::Overview;
pub use prepare::Ambient;
pub use report::MOST_LISTED;
pub use sessions::MOST_SESSIONS_LISTED;
pub use submit::Submitted;
pub use watch::{MOST_EVENTS, MOST_WAIT, Watcher};

/// The engine. Clones are one engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    pool: Pool,
    upstream: Arc<Upstream>,
    tasks: Tasks,
    registry: Registry,
    ambient: Ambient,
    accounts: Accounts,
    notifier: Notifier,
    /// Serialises submissions that carry an idempotency key: look-up and write are one.
    keyed: tokio::sync::Mutex<()>,
    /// Fires when the daemon is on its way out: connections that close then say nothing
    /// of their clients.
    leaving: CancellationToken,
    /// Who follows a run and was not told its end yet.
    watchers: TaskTracker,
}

/// How long watchers may take to hear the end of the last run. One that does not listen
/// reads it from the store later.
const LAST_EVENT: Duration = Duration::from_secs(2);

impl Engine {
    /// An engine over an open store.
    pub fn new(
        store: Store,
        pool: Pool,
        tasks: Tasks,
        ambient: Ambient,
        accounts: Accounts,
    ) -> Self {
        let upstream = pool.upstream().clone();
        let registry = Registry::default();
        let notifier = Notifier::new(&ambient.notify, &ambient, &tasks);
        let keyed = tokio::sync::Mutex::default();
        let leaving = tasks.stopping().child_token();
        let watchers = TaskTracker::new();
        let inner = Inner {
            store,
            pool,
            upstream,
            tasks,
            registry,
            ambient,
            accounts,
            notifier,
            keyed,
            leaving,
            watchers,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The pool, for questions about it.
    pub fn pool(&self) -> &Pool {
        &self.inner.pool
    }

    /// The store, for questions about it.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// What the daemon knows of its own surroundings.
    pub fn ambient(&self) -> &Ambient {
        &self.inner.ambient
    }

    /// Runs that have not ended.
    pub fn active_runs(&self) -> u32 {
        self.inner.registry.len()
    }

    /// Whether the engine and its store answer: what the supervisor's watchdog is fed with.
    pub fn answers(&self) -> bool {
        // Both take their locks: an engine that hangs does not get past them.
        let _ = self.inner.registry.len();
        self.inner.store.run_by_key("").is_ok()
    }

    /// Removes what is too old to be kept of the ledger and of what was measured. Blocks.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn retain_accounts(&self, now_ms: u64) -> Result<usize, StoreError> {
        let rows = ledger::retain(&self.inner.store, now_ms)?;
        Ok(rows + measure::retain(&self.inner.store, now_ms)?)
    }

    /// Takes no new runs from now on.
    pub fn drain(&self) {
        self.inner.registry.close();
    }

    /// Cancels no run for a connection that closes from now on, and lets nobody wait for
    /// events: it is the daemon that leaves.
    pub fn leave(&self) {
        self.inner.leaving.cancel();
    }

    /// Fires when no run is left and everybody who follows one was told its end. For a
    /// draining engine.
    pub async fn drained(&self) {
        self.inner.registry.emptied().await;
        self.inner.watchers.close();
        let _ = tokio::time::timeout(LAST_EVENT, self.inner.watchers.wait()).await;
    }
}

/// An error with its causes: clients see no log.
fn words(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", words(cause)),
        None => error.to_string(),
    }
}

/// A store error in the words of the wire.
pub fn store_error(error: &StoreError) -> ErrorInfo {
    ErrorInfo::new(ErrorClass::Store, words(error)).with_hint("see `copexctl doctor`")
}
