//! Warm runtimes and sessions, lent to one run at a time.
//!
//! Invariant: a session serves one run at a time; who wants the same one waits in the order
//! of [`Pool::queue`], and whoever has its place keeps it over tries of the same turn.
//! Invariant: a session comes back warm only after a turn that ended; anything else is
//! closed and, when wanted again, resumed from its transcript.
//! Invariant: a runtime that is leaving is lent to nobody, and ends when its last session
//! has come back.
//!
//! Not here: what a session is (`backend`), what a run does with it (`engine`), and what is
//! decided about both (`core::slots`).

mod counts;
mod health;
mod in_use;
mod lease;
mod place;
mod report;
mod runtimes;
mod sessions;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::backend::cli::CliBackend;
use crate::backend::process::Owner;
use crate::backend::sdk::Runtime;
use crate::backend::sdk::runtime::HANDSHAKE_TIMEOUT;
use crate::backend::spec::{RuntimeSpec, SessionSpec};
use crate::backend::upstream::Upstream;
use crate::backend::{Backend as _, Opening, Session};
use crate::core::failure::Failure;
use crate::core::slots;
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;

use counts::Counts;
pub use counts::{Recycled, Tally};
pub use lease::Lease;
use lease::{Home, Open};
pub use place::{Place, Queued};
pub use report::{PoolReport, RuntimeReport};
use runtimes::{Busy, Rules, Runtimes};
use sessions::{Resting, Sessions};

/// How long the spares may take to be removed when the daemon stops.
const SHUT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a run that has just ended may take to give its session back.
pub const VACATE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the pool may keep, and how long it waits.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// How much is kept, and for how long.
    pub slots: slots::Limits,
    /// How long a runtime may take to start.
    pub start: Duration,
    /// How long lies between two looks at runtimes and idle sessions.
    pub look: Duration,
    /// How long a runtime may take to give a sign of life.
    pub ping: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        let slots = slots::Limits {
            max_runtimes: 4,
            max_sessions: 5,
            idle_ms: 300_000,
            spares: 1,
            max_rss: 1 << 30,
            max_age_ms: 24 * 60 * 60 * 1_000,
        };
        let (look, ping) = (Duration::from_secs(15), Duration::from_secs(10));
        Self { slots, start: HANDSHAKE_TIMEOUT, look, ping }
    }
}

/// The pool. Clones are one pool.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    runtimes: Runtimes,
    cli: CliBackend,
    sessions: Mutex<Sessions>,
    counts: Arc<Counts>,
    limits: PoolLimits,
    tasks: Tasks,
}

impl Pool {
    /// An empty pool. Nothing is started before somebody asks.
    pub fn new(owner: Owner, tasks: Tasks, limits: PoolLimits, upstream: Arc<Upstream>) -> Self {
        let cli = CliBackend { owner: owner.clone(), tasks: tasks.clone() };
        let counts = Arc::new(Counts::default());
        let rules = Rules { start: limits.start, most: limits.slots.max_runtimes, upstream };
        let runtimes = Runtimes::new(owner, tasks.clone(), rules, counts.clone());
        let sessions = Mutex::default();
        let inner = Inner { runtimes, cli, sessions, counts, limits, tasks };
        let pool = Self { inner: Arc::new(inner) };
        let caring = pool.clone();
        pool.inner.tasks.spawn("pool care", async move { caring.look_after().await });
        pool
    }

    /// What all runtimes share of the outside world.
    pub fn upstream(&self) -> &Arc<Upstream> {
        self.inner.runtimes.upstream()
    }

    /// Takes a place in a session's queue now; [`Pool::acquire`] may come later.
    pub fn queue(&self, id: &str) -> Queued {
        place::queue(self.sessions().lock(id))
    }

    /// Takes a session out of everybody's hands: closed if it was open and idle, and nobody of
    /// ours opens it until the place is dropped. Nothing when a run has it for longer than
    /// [`VACATE_TIMEOUT`].
    ///
    /// Cancel safe: dropped while it waits, nothing is taken.
    pub async fn vacate(&self, id: &str) -> Option<Place> {
        let place = tokio::time::timeout(VACATE_TIMEOUT, self.queue(id)).await.ok()?;
        let idle = self.sessions().take_idle(id);
        if let Some(resting) = idle {
            resting.session.close().await;
        }
        Some(place)
    }

    /// Process ids of the runtimes.
    pub fn pids(&self) -> Vec<u32> {
        self.inner.runtimes.pids()
    }

    /// Lends a session: to whoever has its `place`, else once the runs before are done.
    ///
    /// Cancel safe: dropped while it waits, nothing is taken.
    ///
    /// # Errors
    /// As [`crate::backend::Backend::open`]; `SessionCorrupt` when another living process
    /// holds the session.
    pub async fn acquire(
        &self,
        spec: &SessionSpec,
        opening: &Opening,
        place: Option<Queued>,
    ) -> Result<Lease, Failure> {
        let key = spec.key(stamp);
        match opening {
            Opening::New => self.acquire_new(spec, key).await,
            Opening::Resume(id) | Opening::ResumeWaiting(id) => {
                let place = place.unwrap_or_else(|| self.queue(id)).await;
                self.acquire_known(spec, key, (id, opening), place).await
            }
        }
    }

    async fn acquire_new(&self, spec: &SessionSpec, key: String) -> Result<Lease, Failure> {
        let spare = self.take_spare(&key);
        self.inner.counts.spare(spare.is_some());
        let open = match spare {
            Some(open) => open,
            None => self.open(self.home(spec).await?, spec, &Opening::New).await?,
        };
        let place = self.queue(open.session.id()).await;
        Ok(Lease::new(self, open, spec, key, place))
    }

    async fn acquire_known(
        &self,
        spec: &SessionSpec,
        key: String,
        (id, opening): (&str, &Opening),
        place: Place,
    ) -> Result<Lease, Failure> {
        let idle = self.take_idle(id, &key);
        self.inner.counts.idle(matches!(idle, Ok(Some(_))));
        match idle {
            Ok(Some(open)) => return Ok(Lease::new(self, open, spec, key, place)),
            Ok(None) => {}
            Err(other) => other.close().await,
        }
        // Started first, so that its own locks count as ours.
        let home = self.home(spec).await?;
        in_use::refuse_if_held(&spec.runtime, id, &self.inner.runtimes.pids()).await?;
        let open = self.open(home, spec, opening).await?;
        Ok(Lease::new(self, open, spec, key, place))
    }

    /// Where sessions of this kind run.
    async fn home(&self, spec: &SessionSpec) -> Result<Home, Failure> {
        if spec.cli.is_some() {
            return Ok(Home::Cli);
        }
        Ok(Home::Runtime(self.enter(&spec.runtime).await?))
    }

    async fn open(
        &self,
        home: Home,
        spec: &SessionSpec,
        opening: &Opening,
    ) -> Result<Open, Failure> {
        let session = match &home {
            Home::Cli => self.inner.cli.open(spec, opening).await?,
            Home::Runtime(busy) => {
                busy.runtime().open_session(spec, opening, &self.inner.tasks).await?
            }
        };
        Ok(Open { session, home, turns: 0 })
    }

    fn take_spare(&self, key: &str) -> Option<Open> {
        let mut sessions = self.sessions();
        let Resting { session, host, turns, .. } = sessions.take_spare(key)?;
        // Entered under the lock: nobody lets the runtime go in between.
        Some(Open { session, home: Home::Runtime(host.enter()?), turns })
    }

    /// The idle session, if it fits; as an error one that has to be closed first.
    fn take_idle(&self, id: &str, key: &str) -> Result<Option<Open>, Arc<dyn Session>> {
        let mut sessions = self.sessions();
        let Some(resting) = sessions.take_idle(id) else { return Ok(None) };
        let Resting { session, host, turns, .. } = resting;
        match host.enter().filter(|_| resting.key == key) {
            Some(busy) => Ok(Some(Open { session, home: Home::Runtime(busy), turns })),
            None => Err(session),
        }
    }

    /// The runtime for this environment, for questions that need no session.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be started.
    pub async fn runtime(&self, spec: &RuntimeSpec) -> Result<Arc<Runtime>, Failure> {
        Ok(self.enter(spec).await?.runtime().clone())
    }

    /// A place in the runtime for this environment. Others that had to make room for it are
    /// emptied meanwhile.
    async fn enter(&self, spec: &RuntimeSpec) -> Result<Busy, Failure> {
        let busy = self.inner.runtimes.get(spec).await?;
        if self.inner.runtimes.some_over() {
            let pool = self.clone();
            self.inner.tasks.spawn("pool wind-down", async move { pool.wind_down().await });
        }
        Ok(busy)
    }

    /// Lets go of everything that nobody uses. Spares leave nothing on the disk. Bounded by
    /// [`SHUT_TIMEOUT`]; processes end with their runtimes.
    pub async fn shut(&self) {
        let outgoing = self.sessions().clear();
        // What is not gone in time is an empty folder.
        let _ = tokio::time::timeout(SHUT_TIMEOUT, outgoing.end()).await;
        self.inner.runtimes.clear();
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a session back after a turn that ended well.
    async fn rest(&self, resting: Resting) {
        if self.inner.tasks.stopping().is_cancelled() {
            return;
        }
        let outgoing = self.sessions().rest(resting, &self.inner.limits.slots, clock::now_ms());
        outgoing.end().await;
    }

    /// Opens fresh sessions for the next runs of this kind, up to their number.
    ///
    /// A failure is told to the log only: the run that needs a session meets it itself.
    pub async fn prepare_spares(&self, spec: &SessionSpec) {
        // One process a turn leaves nothing to keep warm.
        if spec.cli.is_some() || self.inner.tasks.stopping().is_cancelled() {
            return;
        }
        let key = spec.key(stamp);
        let (wanted, outgoing) = self.sessions().used(&key, spec, &self.inner.limits.slots);
        outgoing.end().await;
        let mut unneeded = sessions::Outgoing::default();
        for _ in 0..wanted {
            let spare = self.open_spare(spec, &key).await;
            if let Err(error) = &spare {
                tracing::debug!(%error, "no spare session");
            }
            unneeded.fresh.extend(self.sessions().opened(&key, spare.ok()));
        }
        unneeded.end().await;
    }

    async fn open_spare(&self, spec: &SessionSpec, key: &str) -> Result<Resting, Failure> {
        let busy = self.enter(&spec.runtime).await?;
        let opened = busy.runtime().open_session(spec, &Opening::New, &self.inner.tasks);
        let session = opened.await?;
        session.warm().await;
        let (host, key, since_ms) = (busy.host().clone(), key.to_owned(), clock::now_ms());
        Ok(Resting { session, host, key, since_ms, turns: 0 })
    }
}

/// A file's state: when it was last written, in nanoseconds.
fn stamp(path: &Path) -> Option<u128> {
    let written = std::fs::metadata(path).ok()?.modified().ok()?;
    written.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_nanos())
}
