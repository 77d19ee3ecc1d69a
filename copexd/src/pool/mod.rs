//! Warm runtimes and sessions, lent to one run at a time.
//!
//! Invariant: a session serves one run at a time; who wants the same one waits in the order
//! of [`Pool::queue`], and whoever has its place keeps it over tries of the same turn.
//! Invariant: a session comes back warm only after a turn that ended; anything else is
//! closed and, when wanted again, resumed from its transcript.
//!
//! Not here: what a session is (`backend`) and what a run does with it (`engine`).

mod in_use;
mod lease;
mod place;
mod runtimes;

use std::collections::HashMap;
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
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;

use lease::Home;
pub use lease::Lease;
pub use place::{Place, Queued};
use runtimes::Runtimes;

/// Idle sessions kept open. Each costs the runtime 3 MB and more with its length.
const MOST_IDLE: usize = 20;

/// Kinds of sessions that get a warm spare: the folders and models in use today.
const MOST_SPARES: usize = 4;

/// How often idle sessions are looked at.
const SWEEP_PERIOD: Duration = Duration::from_secs(15);

/// How long the spares may take to be removed when the daemon stops.
const SHUT_TIMEOUT: Duration = Duration::from_secs(1);

/// What the pool may keep.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// How long a session stays open without work. Python copex: 300 s.
    pub idle: Duration,
    /// Whether spares are kept at all.
    pub spares: bool,
    /// How long a runtime may take to start.
    pub start: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { idle: Duration::from_mins(5), spares: true, start: HANDSHAKE_TIMEOUT }
    }
}

/// A session that waits for work.
struct Resting {
    session: Arc<dyn Session>,
    runtime: Arc<Runtime>,
    key: String,
    since_ms: u64,
}

#[derive(Default)]
struct Sessions {
    /// Used and idle, by session id.
    idle: HashMap<String, Resting>,
    /// Fresh and unused, by key.
    spares: HashMap<String, Resting>,
    /// One lock per session in use or waited for.
    locks: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
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
    limits: PoolLimits,
    tasks: Tasks,
}

/// How one runtime and its sessions are doing.
#[derive(Debug, Clone)]
pub struct RuntimeReport {
    /// The process.
    pub pid: u32,
    /// What it is.
    pub kind: &'static str,
    /// The CLI's version, where known.
    pub version: Option<String>,
    /// Sessions at work.
    pub busy: u32,
    /// Sessions open and idle.
    pub idle: u32,
    /// Sessions warm and unused.
    pub spare: u32,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Since when, in Unix milliseconds.
    pub started_at: u64,
}

impl Pool {
    /// An empty pool. Nothing is started before somebody asks.
    pub fn new(owner: Owner, tasks: Tasks, limits: PoolLimits, upstream: Arc<Upstream>) -> Self {
        let cli = CliBackend { owner: owner.clone(), tasks: tasks.clone() };
        let runtimes = Runtimes::new(owner, tasks.clone(), limits.start, upstream);
        let sessions = Mutex::default();
        let pool = Self { inner: Arc::new(Inner { runtimes, cli, sessions, limits, tasks }) };
        let sweeper = pool.clone();
        pool.inner.tasks.spawn("pool sweep", async move { sweeper.sweep().await });
        pool
    }

    /// What all runtimes share of the outside world.
    pub fn upstream(&self) -> &Arc<Upstream> {
        self.inner.runtimes.upstream()
    }

    /// Takes a place in a session's queue now; [`Pool::acquire`] may come later.
    pub fn queue(&self, id: &str) -> Queued {
        place::queue(self.lock(id))
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
        if let Some(spare) = self.take_spare(&key) {
            let place = self.queue(spare.session.id()).await;
            let home = Home::Runtime(spare.runtime);
            return Ok(Lease::new(self, spare.session, home, spec, key, place));
        }
        let (session, home) = self.open(spec, &Opening::New).await?;
        let place = self.queue(session.id()).await;
        Ok(Lease::new(self, session, home, spec, key, place))
    }

    /// Opens a session where its kind runs.
    async fn open(
        &self,
        spec: &SessionSpec,
        opening: &Opening,
    ) -> Result<(Arc<dyn Session>, Home), Failure> {
        if spec.cli.is_some() {
            return Ok((self.inner.cli.open(spec, opening).await?, Home::Cli));
        }
        let runtime = self.inner.runtimes.get(&spec.runtime).await?;
        let session = runtime.open_session(spec, opening, &self.inner.tasks).await?;
        Ok((session, Home::Runtime(runtime)))
    }

    async fn acquire_known(
        &self,
        spec: &SessionSpec,
        key: String,
        (id, opening): (&str, &Opening),
        place: Place,
    ) -> Result<Lease, Failure> {
        if let Some(resting) = self.take_idle(id) {
            if resting.key == key && resting.session.alive() {
                let home = Home::Runtime(resting.runtime);
                return Ok(Lease::new(self, resting.session, home, spec, key, place));
            }
            resting.session.close().await;
        }
        if spec.cli.is_none() {
            // Started first, so that its own locks count as ours.
            self.inner.runtimes.get(&spec.runtime).await?;
        }
        in_use::refuse_if_held(&spec.runtime, id, &self.inner.runtimes.pids()).await?;
        let (session, home) = self.open(spec, opening).await?;
        Ok(Lease::new(self, session, home, spec, key, place))
    }

    /// The runtime for this environment, for questions that need no session.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be started.
    pub async fn runtime(&self, spec: &RuntimeSpec) -> Result<Arc<Runtime>, Failure> {
        self.inner.runtimes.get(spec).await
    }

    /// Every runtime alive.
    pub fn report(&self) -> Vec<RuntimeReport> {
        let sessions = self.sessions();
        let count = |map: &HashMap<String, Resting>, pid: u32| {
            let count = map.values().filter(|resting| resting.runtime.pid() == pid).count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        let describe = |(runtime, busy): (Arc<Runtime>, u32)| RuntimeReport {
            pid: runtime.pid(),
            kind: runtime.located().kind,
            version: runtime.located().version.clone(),
            busy,
            idle: count(&sessions.idle, runtime.pid()),
            spare: count(&sessions.spares, runtime.pid()),
            rss_bytes: runtime.rss_bytes(),
            started_at: runtime.started_at(),
        };
        self.inner.runtimes.alive().into_iter().map(describe).collect()
    }

    /// Why the last runtime could not be started, if that is how things stand.
    pub fn problem(&self) -> Option<Failure> {
        self.inner.runtimes.problem()
    }

    /// Lets go of everything that nobody uses. Spares leave nothing on the disk. Bounded by
    /// [`SHUT_TIMEOUT`]; processes end with their runtimes.
    pub async fn shut(&self) {
        let spares: Vec<Resting> = {
            let mut sessions = self.sessions();
            sessions.idle.clear();
            sessions.spares.drain().map(|(_, spare)| spare).collect()
        };
        // What is not gone in time is an empty folder.
        let _ = tokio::time::timeout(SHUT_TIMEOUT, discard(spares)).await;
        self.inner.runtimes.clear();
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut sessions = self.sessions();
        // Locks that nobody holds or waits for are forgotten here, or they would pile up.
        sessions.locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        sessions.locks.entry(id.to_owned()).or_default().clone()
    }

    fn take_spare(&self, key: &str) -> Option<Resting> {
        let spare = self.sessions().spares.remove(key);
        spare.filter(|resting| resting.session.alive())
    }

    fn take_idle(&self, id: &str) -> Option<Resting> {
        self.sessions().idle.remove(id)
    }

    /// Takes a session back after a turn that ended well.
    async fn rest(&self, resting: Resting) {
        if !resting.session.alive() || self.inner.tasks.stopping().is_cancelled() {
            return;
        }
        let evicted = {
            let mut sessions = self.sessions();
            sessions.idle.insert(resting.session.id().to_owned(), resting);
            evict(&mut sessions.idle, MOST_IDLE)
        };
        close(evicted).await;
    }

    /// Makes a fresh session for the next run of the same kind, if there is none.
    async fn prepare_spare(&self, spec: &SessionSpec) {
        let key = spec.key(stamp);
        let wanted = self.inner.limits.spares && !self.inner.tasks.stopping().is_cancelled();
        if !wanted || self.sessions().spares.contains_key(&key) {
            return;
        }
        let Ok(runtime) = self.inner.runtimes.get(&spec.runtime).await else { return };
        let opened = runtime.open_session(spec, &Opening::New, &self.inner.tasks).await;
        let session = match opened {
            Ok(session) => session,
            Err(error) => {
                tracing::debug!(%error, "no spare session");
                return;
            }
        };
        session.warm().await;
        let resting = Resting { session, runtime, key: key.clone(), since_ms: clock::now_ms() };
        let evicted = {
            let mut sessions = self.sessions();
            let mut evicted: Vec<Resting> =
                sessions.spares.insert(key, resting).into_iter().collect();
            evicted.extend(evict(&mut sessions.spares, MOST_SPARES));
            evicted
        };
        discard(evicted).await;
    }

    /// Closes what has been idle for too long, until the daemon stops.
    async fn sweep(&self) {
        let stopping = self.inner.tasks.stopping();
        loop {
            tokio::select! {
                () = tokio::time::sleep(SWEEP_PERIOD) => {}
                () = stopping.cancelled() => return,
            }
            let idle = u64::try_from(self.inner.limits.idle.as_millis()).unwrap_or(u64::MAX);
            let oldest = clock::now_ms().saturating_sub(idle);
            let (idle, spares) = {
                let mut sessions = self.sessions();
                let idle = take_stale(&mut sessions.idle, oldest);
                (idle, take_stale(&mut sessions.spares, oldest))
            };
            close(idle).await;
            discard(spares).await;
            self.inner.runtimes.forget_dead();
        }
    }
}

fn take_stale(map: &mut HashMap<String, Resting>, oldest: u64) -> Vec<Resting> {
    let stale = |resting: &Resting| resting.since_ms < oldest || !resting.session.alive();
    let keys: Vec<String> =
        map.iter().filter(|(_, resting)| stale(resting)).map(|(key, _)| key.clone()).collect();
    keys.iter().filter_map(|key| map.remove(key)).collect()
}

fn evict(map: &mut HashMap<String, Resting>, most: usize) -> Vec<Resting> {
    let mut evicted = Vec::new();
    while map.len() > most {
        let oldest = map.iter().min_by_key(|(_, resting)| resting.since_ms);
        let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
        evicted.extend(map.remove(&key));
    }
    evicted
}

async fn close(sessions: Vec<Resting>) {
    for resting in sessions {
        resting.session.close().await;
    }
}

async fn discard(spares: Vec<Resting>) {
    for resting in spares {
        resting.session.discard().await;
    }
}

/// A file's state: when it was last written, in nanoseconds.
fn stamp(path: &Path) -> Option<u128> {
    let written = std::fs::metadata(path).ok()?.modified().ok()?;
    written.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_nanos())
}
