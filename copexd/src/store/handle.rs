//! The handle: what the daemon holds, clones and commits through.
//!
//! Invariant: commits of one caller are written in the order in which it made them, and
//! at most [`QUEUE_UNITS`] times [`QUEUE_UNIT`] bytes wait to be written.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use copex_proto::id::{RunId, Seq, SessionId};
use tokio::sync::{Semaphore, oneshot, watch};

use super::disk::{Disk, RealDisk};
use super::error::StoreError;
use super::keys::{RawTree, Tree};
use super::open::{self, OpenReport};
use super::record::{AskRecord, RunSummary, SessionRecord};
use super::sled_dir::Database;
use super::writer::{Job, Message};

/// What one unit of the queue stands for. A commit takes at least one.
pub(super) const QUEUE_UNIT: usize = 16 * 1024;

/// Units that may wait: 4096 small commits, or 64 MiB, is a second of a slow disk. More
/// would only hide that the disk does not keep up, and cost memory while it does.
pub(super) const QUEUE_UNITS: usize = 4096;

/// Places beside the units, for requests that carry no data.
pub(super) const QUEUE_SPARE: usize = 16;

/// How to open a store. Time and chance come from the caller.
#[derive(Clone)]
pub struct StoreOptions {
    /// Now, in Unix milliseconds: names a quarantine.
    pub now_ms: u64,
    /// The epoch to write when this open starts a new one: any text that was never used
    /// before, such as 16 random hex digits.
    pub fresh_epoch: String,
    /// Memory for sled's pages. 32 MiB holds the living runs; the default of 1 GiB is
    /// out of the question for a daemon.
    pub cache_bytes: u64,
    /// How long to wait for another owner to leave.
    pub lock_wait: Duration,
    /// How often a frozen store looks for space by itself.
    pub thaw_every: Duration,
    /// The disk.
    pub disk: Arc<dyn Disk>,
}

impl StoreOptions {
    /// The daemon's options.
    pub fn new(now_ms: u64, fresh_epoch: impl Into<String>) -> Self {
        Self {
            now_ms,
            fresh_epoch: fresh_epoch.into(),
            cache_bytes: 32 * 1024 * 1024,
            lock_wait: Duration::from_secs(2),
            thaw_every: Duration::from_secs(5),
            disk: Arc::new(RealDisk),
        }
    }
}

/// What a commit survives once it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// `kill -9` of the daemon.
    Flushed,
    /// A power cut as well, as far as the disk tells the truth.
    Synced,
}

/// One change.
#[derive(Debug, Clone)]
pub enum Op {
    /// Writes a run's summary. Without `ended_at` the run counts as unfinished.
    PutRun(RunSummary),
    /// Writes what was asked for.
    PutSpec {
        /// The run.
        run: RunId,
        /// The spec, opaque.
        bytes: Bytes,
    },
    /// Appends an event. A `seq` at or below the last one refuses the commit.
    AppendEvent {
        /// The run.
        run: RunId,
        /// Its number.
        seq: Seq,
        /// The event, opaque.
        bytes: Bytes,
    },
    /// Replaces the state of a run's machine.
    PutCheckpoint {
        /// The run.
        run: RunId,
        /// The state, opaque.
        bytes: Bytes,
    },
    /// Removes it.
    DeleteCheckpoint(RunId),
    /// Writes an ask. Without `closed_at` it is open.
    PutAsk(AskRecord),
    /// Ties an idempotency key to a run. A key of another run refuses the commit.
    PutKey {
        /// The key.
        key: String,
        /// The run.
        run: RunId,
    },
    /// Writes a session.
    PutSession(SessionRecord),
    /// Forgets a session.
    DeleteSession(SessionId),
    /// Writes a value of a tree that belongs to its user.
    PutRaw {
        /// The tree.
        tree: RawTree,
        /// The key.
        key: Vec<u8>,
        /// The value, opaque.
        bytes: Bytes,
    },
    /// Removes one.
    DeleteRaw {
        /// The tree.
        tree: RawTree,
        /// The key.
        key: Vec<u8>,
    },
    /// Removes a run and all that is of it: spec, events, checkpoint, asks, key.
    DeleteRun(RunId),
    /// Writes a line of an export.
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "only import builds it")]
    Import { tree: Tree, key: Vec<u8>, version: u8, bytes: Bytes },
}

impl Op {
    /// Bytes it brings, roughly.
    fn weight(&self) -> usize {
        match self {
            Self::PutSpec { bytes, .. }
            | Self::AppendEvent { bytes, .. }
            | Self::PutCheckpoint { bytes, .. }
            | Self::PutRaw { bytes, .. }
            | Self::Import { bytes, .. } => bytes.len(),
            _ => 512,
        }
    }
}

/// Changes that are written as a whole or not at all.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The changes, in order.
    pub ops: Vec<Op>,
    /// What they must survive.
    pub durability: Durability,
}

impl Commit {
    /// A commit that survives `kill -9`.
    pub fn flushed(ops: Vec<Op>) -> Self {
        Self { ops, durability: Durability::Flushed }
    }

    /// A commit that survives a power cut.
    pub fn synced(ops: Vec<Op>) -> Self {
        Self { ops, durability: Durability::Synced }
    }
}

/// Whether commits are taken.
#[derive(Debug, Clone)]
pub enum Health {
    /// They are.
    Open,
    /// A write failed, so they are not; reads go on. It thaws by itself when the reason
    /// is gone, or when asked by [`Store::thaw`].
    Frozen(StoreError),
    /// The store was closed.
    Closed,
}

/// What handles, readers and the writer share.
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) epoch: String,
    /// `None` while it is being reopened and after it was closed.
    pub(super) db: RwLock<Option<Database>>,
    pub(super) health: watch::Sender<Health>,
    /// The first event of each run that is written and not flushed yet: hidden from readers.
    pub(super) unflushed: Mutex<HashMap<RunId, Seq>>,
    /// A read found damage: no clean marker, so that the next open looks at everything.
    pub(super) suspect: AtomicBool,
}

impl Shared {
    /// Runs a read.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let Some(db) = db.as_ref() else {
            let path = self.dir.clone();
            return Err(match *self.health.borrow() {
                Health::Closed => StoreError::Closed { path },
                Health::Open | Health::Frozen(_) => StoreError::Reopening { path },
            });
        };
        read(db).inspect_err(|error| {
            if error.is_damage() {
                self.suspect.store(true, Ordering::Relaxed);
            }
        })
    }
}

/// A handle to an open store. Clones are cheap and are the same store.
///
/// Reads are plain functions that block for microseconds (a get is 1.5 us), except that
/// they wait while a frozen store is reopened: call the ones over many records from
/// `spawn_blocking`. After the last handle is gone the writer finishes what is queued and
/// leaves without the clean marker; [`Store::close`] is the orderly way.
#[derive(Clone)]
pub struct Store {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: SyncSender<Message>,
    pub(super) room: Arc<Semaphore>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `dir`, or makes one. Blocks: for the lock, for sled's recovery,
    /// and after an unclean stop for a read of everything. See `open.rs` for the ladder.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<(Self, OpenReport), StoreError> {
        open::open(dir, options)
    }

    /// Writes a commit and waits until it is durable.
    ///
    /// Cancel safe in this sense: dropped while it waits for room in the queue, nothing is
    /// written; dropped later, the commit is written all the same and only the answer is lost.
    ///
    /// After [`StoreError::Full`] and other failures of the disk nothing was promised, yet
    /// the commit may turn out to be there after the thaw. Before the same events are
    /// appended again, [`Store::last_seq`] tells.
    pub async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let units = units(&commit);
        let room = Arc::clone(&self.room).acquire_many_owned(units).await;
        let room = room.map_err(|_| self.closed())?;
        let (done, answer) = oneshot::channel();
        self.send(Message::Job(Box::new(Job { commit, done, room })))?;
        answer.await.unwrap_or_else(|_| Err(self.closed()))
    }

    /// Queues a commit without waiting, for callers that must not suspend between two
    /// events. The answer arrives on the receiver; dropping it does not undo the commit.
    /// [`StoreError::Busy`] when the queue has no room: nothing was queued.
    pub fn enqueue(
        &self,
        commit: Commit,
    ) -> Result<oneshot::Receiver<Result<(), StoreError>>, StoreError> {
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(units(&commit))
            .map_err(|_| StoreError::Busy { path: self.shared.dir.clone() })?;
        let (done, answer) = oneshot::channel();
        self.send(Message::Job(Box::new(Job { commit, done, room })))?;
        Ok(answer)
    }

    /// Whether commits are taken, now and later.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    /// Tries at once to reopen a frozen store. Fine to call on one that is not.
    pub async fn thaw(&self) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        self.send(Message::Thaw(done))?;
        answer.await.unwrap_or_else(|_| Err(self.closed()))
    }

    /// Writes what is queued, closes the database and leaves the clean marker. Later calls
    /// on any clone fail with [`StoreError::Closed`].
    pub async fn close(&self) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        self.send(Message::Close(done))?;
        answer.await.unwrap_or_else(|_| Err(self.closed()))
    }

    /// The store's own lineage: changes when numbers that clients hold may be void.
    pub fn epoch(&self) -> &str {
        &self.shared.epoch
    }

    /// The store's folder.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    pub(super) fn closed(&self) -> StoreError {
        StoreError::Closed { path: self.shared.dir.clone() }
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        self.jobs.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy { path: self.shared.dir.clone() },
            TrySendError::Disconnected(_) => self.closed(),
        })
    }
}

/// The room a commit takes in the queue. The largest fits when nothing else waits.
fn units(commit: &Commit) -> u32 {
    let bytes: usize = commit.ops.iter().map(Op::weight).sum();
    u32::try_from(bytes.div_ceil(QUEUE_UNIT).clamp(1, QUEUE_UNITS)).unwrap_or(u32::MAX)
}
