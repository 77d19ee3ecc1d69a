//! The one writer: a thread that drains the queue, applies a group of commits, flushes
//! once and then acknowledges them all.
//!
//! Invariant: nothing is acknowledged before the flush that covers it (and the
//! `sync_data`, when one commit of the group asked for it) has returned.
//! Invariant: a group is one transaction over all trees, so each commit in it is there as
//! a whole or not at all after `kill -9`.
//! Invariant: after a failed write nothing is applied until the database was reopened:
//! sled refuses every write after the first failure anyway, and what it holds in memory by
//! then is not what is on disk.
//!
//! It is a thread and not a task because every call into sled may block on the disk.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::error::StoreError;
use super::handle::{Commit, Durability, Health, Shared, StoreOptions};
use super::lock::StoreLock;
use super::mark::Mark;
use super::open::{CLEAN, SLED, mark_clean};
use super::sled_dir::{self, Database, panic_text};
use super::stage::{Memory, NotStaged, Stage};

/// Commits in one group: bounds how long the first of them waits for the others.
const GROUP_COMMITS: usize = 1024;

/// Queue units in one group (4 MiB): bounds the memory of one transaction. A larger
/// commit is a group by itself.
const GROUP_UNITS: usize = 256;

/// Free space below which reopening is not tried: sled writes a snapshot when it opens,
/// and would only fail again.
const THAW_FREE_BYTES: u64 = 32 * 1024 * 1024;

type Answer = oneshot::Sender<Result<(), StoreError>>;

/// A commit in the queue.
pub(super) struct Job {
    pub(super) commit: Commit,
    pub(super) done: Answer,
    /// Its room in the queue, given back when it is answered.
    pub(super) room: OwnedSemaphorePermit,
}

/// What the writer can be told.
pub(super) enum Message {
    /// Write this.
    Job(Box<Job>),
    /// Reopen now, if frozen.
    Thaw(Answer),
    /// Stop in order.
    Close(Answer),
}

/// The writer's own state.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) options: StoreOptions,
    pub(super) memory: Memory,
    pub(super) mark: Mark,
    /// Held until the database is gone.
    pub(super) lock: StoreLock,
    /// Why nothing is written at present.
    pub(super) frozen: Option<StoreError>,
}

impl Writer {
    /// Works until told to close, or until no handle is left.
    pub(super) fn run(mut self, queue: &Receiver<Message>) {
        let mut next = None;
        loop {
            let message = match next.take() {
                Some(message) => message,
                None => match self.wait(queue) {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Timeout) => {
                        let _still_frozen = self.thaw();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                },
            };
            match message {
                Message::Job(first) => next = self.take_group(*first, queue),
                Message::Thaw(done) => {
                    let thawed = self.thaw();
                    let _gone = done.send(thawed);
                }
                Message::Close(done) => {
                    let closed = self.close();
                    let _gone = done.send(closed);
                    return;
                }
            }
        }
        // Every handle was dropped without a close: whoever opens next has to look.
        self.shared.health.send_replace(Health::Closed);
        self.drop_database();
    }

    fn wait(&self, queue: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        if self.frozen.is_some() {
            queue.recv_timeout(self.options.thaw_every)
        } else {
            queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
        }
    }

    /// Writes `first` and what is queued behind it. Returns the message that ended the group.
    fn take_group(&mut self, first: Job, queue: &Receiver<Message>) -> Option<Message> {
        let mut units = first.room.num_permits();
        let mut group = vec![first];
        let mut next = None;
        while group.len() < GROUP_COMMITS && units < GROUP_UNITS {
            match queue.try_recv() {
                Ok(Message::Job(job)) => {
                    units += job.room.num_permits();
                    group.push(*job);
                }
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        self.write_group(group);
        next
    }

    fn write_group(&mut self, group: Vec<Job>) {
        if let Err(error) = self.thaw() {
            for job in group {
                let _gone = job.done.send(Err(error.clone()));
            }
            return;
        }
        let mut waiting = Vec::with_capacity(group.len());
        let written =
            std::panic::catch_unwind(AssertUnwindSafe(|| self.apply(group, &mut waiting)))
                .unwrap_or_else(|panic| {
                    Err(StoreError::Damaged {
                        path: self.shared.dir.clone(),
                        detail: format!("writing it panicked: {}", panic_text(&*panic)),
                    })
                });
        if let Err(error) = &written {
            self.freeze(error);
        } else {
            self.unflushed().clear();
        }
        for (done, _room) in waiting {
            let _gone = done.send(written.clone());
        }
    }

    /// Applies and flushes a group. Commits that are wrong by themselves are answered here.
    fn apply(
        &mut self,
        group: Vec<Job>,
        waiting: &mut Vec<(Answer, OwnedSemaphorePermit)>,
    ) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let db = shared.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or_else(|| StoreError::Reopening { path: shared.dir.clone() })?;
        let mut durability = Durability::Flushed;
        let mut broken = None;
        let mut stage = Stage::new(db, &mut self.memory);
        for Job { commit, done, room } in group {
            match broken.is_none().then(|| stage.add(commit.ops)) {
                Some(Err(NotStaged::Refused(error))) => {
                    let _gone = done.send(Err(error));
                }
                Some(Err(NotStaged::Broken(error))) => {
                    broken = Some(error);
                    waiting.push((done, room));
                }
                Some(Ok(())) | None => {
                    durability = durability.max(commit.durability);
                    waiting.push((done, room));
                }
            }
        }
        if let Some(error) = broken {
            return Err(error);
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let (changes, first_events) = stage.finish();
        let disk = &self.options.disk;
        let failed = |error| StoreError::io(&shared.dir, error);
        disk.before_write().map_err(failed)?;
        *self.unflushed() = first_events;
        db.apply(changes)?;
        disk.before_flush().map_err(failed)?;
        db.flush()?;
        self.mark.write(self.memory.group);
        if durability == Durability::Synced { db.sync() } else { Ok(()) }
    }

    fn unflushed(
        &self,
    ) -> std::sync::MutexGuard<'_, std::collections::HashMap<copex_proto::id::RunId, u64>> {
        self.shared.unflushed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn freeze(&mut self, error: &StoreError) {
        tracing::error!(%error, "the store is frozen: a write failed");
        self.frozen = Some(error.clone());
        self.shared.health.send_replace(Health::Frozen(error.clone()));
    }

    /// Reopens a frozen database when there is space again.
    fn thaw(&mut self) -> Result<(), StoreError> {
        let Some(reason) = self.frozen.clone() else { return Ok(()) };
        let dir: PathBuf = self.shared.dir.clone();
        match self.options.disk.free_bytes(&dir) {
            Ok(free) if free >= THAW_FREE_BYTES => {}
            Ok(_) | Err(_) => return Err(reason),
        }
        let mut slot = self.shared.db.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = slot.take() {
            old.close();
        }
        let reopened = sled_dir::open(&dir, SLED, self.options.cache_bytes)
            .and_then(|db: Database| Memory::of(&db).map(|memory| (db, memory)));
        match reopened {
            Ok((db, memory)) => {
                *slot = Some(db);
                drop(slot);
                self.memory = memory;
                self.unflushed().clear();
                self.frozen = None;
                self.shared.health.send_replace(Health::Open);
                tracing::info!("the store takes commits again");
                Ok(())
            }
            Err(error) => {
                drop(slot);
                self.freeze(&error);
                Err(error)
            }
        }
    }

    fn close(self) -> Result<(), StoreError> {
        let flushed = match &self.frozen {
            Some(error) => Err(error.clone()),
            None => self.shared.read(|db| db.flush().and_then(|()| db.sync())),
        };
        self.shared.health.send_replace(Health::Closed);
        self.drop_database();
        let suspect = self.shared.suspect.load(std::sync::atomic::Ordering::Relaxed);
        let marked = match flushed {
            Ok(()) if !suspect => mark_clean(&self.shared.dir.join(CLEAN)),
            other => other,
        };
        drop(self.lock);
        marked
    }

    fn drop_database(&self) {
        let db = self.shared.db.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(db) = db {
            db.close();
        }
    }
}
