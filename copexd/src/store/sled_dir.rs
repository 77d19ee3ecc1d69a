//! One opened database: the only file that calls sled's reading and writing functions.
//!
//! Invariant: opening never panics and never leaves a panic behind: sled 0.34 panics on
//! a truncated file, so it is opened and read on a thread of its own.
//!
//! All calls block: reads for microseconds, [`Database::flush`] for as long as the disk
//! takes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use sled::Transactional;
use sled::transaction::{ConflictableTransactionError, TransactionError};

use super::chunk::{self, Pieces, Value};
use super::error::StoreError;
use super::keys::{GROUP_KEY, TREES, Tree};

/// How often, and how long, to wait for the lock inside sled. Our own lock is held by
/// then, so only a database of this process that is still being dropped can hold it.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Changes to several trees: a key to its new value, or to nothing.
pub(super) type Changes = BTreeMap<(Tree, Vec<u8>), Option<Vec<u8>>>;

/// An opened database.
pub(super) struct Database {
    /// The store's folder, for errors.
    dir: PathBuf,
    db: sled::Db,
    trees: Vec<sled::Tree>,
    /// A second descriptor of sled's file: its own `flush` does not reach the disk's cache.
    file: File,
}

/// Opens `<dir>/<name>`.
pub(super) fn open(dir: &Path, name: &str, cache_bytes: u64) -> Result<Database, StoreError> {
    for _ in 1..LOCK_TRIES {
        match open_once(dir, name, cache_bytes) {
            Err(StoreError::Engine { source: sled::Error::Io(error), .. })
                if error.kind() == io::ErrorKind::WouldBlock || is_lock_error(&error) =>
            {
                std::thread::sleep(LOCK_PAUSE);
            }
            other => return other,
        }
    }
    open_once(dir, name, cache_bytes)
}

/// sled wraps the refusal of its lock into text of its own.
fn is_lock_error(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn open_once(dir: &Path, name: &str, cache_bytes: u64) -> Result<Database, StoreError> {
    let path = dir.join(name);
    let dir = dir.to_owned();
    caught(&dir.clone(), "opening", move || {
        let db = sled::Config::new()
            .path(&path)
            .cache_capacity(cache_bytes)
            .open()
            .map_err(|error| StoreError::engine(&dir, error))?;
        let trees = TREES
            .iter()
            .map(|tree| db.open_tree(tree.name()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| StoreError::engine(&dir, error))?;
        let file = path.join("db");
        let file = File::open(&file).map_err(|error| StoreError::io(&file, error))?;
        Ok(Database { dir, db, trees, file })
    })
}

/// Runs `work` on a thread of its own and turns a panic into damage.
pub(super) fn caught<T: Send + 'static>(
    dir: &Path,
    doing: &'static str,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    std::thread::Builder::new()
        .name("store-open".to_owned())
        .spawn(work)
        .map_err(|error| StoreError::io(dir, error))?
        .join()
        .unwrap_or_else(|panic| {
            Err(StoreError::Damaged {
                path: dir.to_owned(),
                detail: format!("{doing} it panicked: {}", panic_text(&*panic)),
            })
        })
}

/// The words of a panic.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

impl Database {
    /// A tree of it.
    pub(super) fn tree(&self, tree: Tree) -> &sled::Tree {
        &self.trees[tree as usize]
    }

    /// An error of the engine in this store.
    pub(super) fn error(&self, error: sled::Error) -> StoreError {
        StoreError::engine(&self.dir, error)
    }

    /// Reads a bare value.
    pub(super) fn bare(&self, tree: Tree, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        self.tree(tree).get(key).map_err(|error| self.error(error))
    }

    /// Reads a record: its version and its payload, put together.
    pub(super) fn record(&self, tree: Tree, key: &[u8]) -> Result<Option<(u8, Bytes)>, StoreError> {
        match self.bare(tree, key)? {
            Some(value) => self.scanned(tree, key, value),
            None => Ok(None),
        }
    }

    /// Puts together a record that a scan came by. `None`: it was deleted meanwhile.
    pub(super) fn scanned(
        &self,
        tree: Tree,
        key: &[u8],
        mut value: sled::IVec,
    ) -> Result<Option<(u8, Bytes)>, StoreError> {
        loop {
            match self.payload(tree, &value) {
                Ok(payload) => return Ok(Some(payload)),
                Err(error) => match self.bare(tree, key)? {
                    // A writer replaced it between head and pieces: read the new one.
                    Some(now) if now != value => value = now,
                    Some(_) => return Err(error),
                    None => return Ok(None),
                },
            }
        }
    }

    /// The version and the payload of a value as it lies in its tree.
    fn payload(&self, tree: Tree, value: &[u8]) -> Result<(u8, Bytes), StoreError> {
        match chunk::parse(value) {
            Some(Value::Inline { version, payload }) => {
                Ok((version, Bytes::copy_from_slice(payload)))
            }
            Some(Value::Chunked { version, pieces }) => Ok((version, self.join(tree, pieces)?)),
            None => Err(self.damaged(format!("a value in {} has no envelope", tree.name()))),
        }
    }

    fn join(&self, tree: Tree, pieces: Pieces) -> Result<Bytes, StoreError> {
        let mut payload = Vec::with_capacity(pieces.len);
        for key in pieces.keys() {
            if let Some(piece) = self.bare(Tree::Chunks, &key)? {
                payload.extend_from_slice(&piece);
            }
        }
        if payload.len() == pieces.len {
            Ok(payload.into())
        } else {
            Err(self.damaged(format!("a value in {} misses pieces", tree.name())))
        }
    }

    fn damaged(&self, detail: String) -> StoreError {
        StoreError::Damaged { path: self.dir.clone(), detail }
    }

    /// The first number for pieces that is free.
    pub(super) fn next_set(&self) -> Result<u64, StoreError> {
        let last = self.tree(Tree::Chunks).last().map_err(|error| self.error(error))?;
        Ok(last
            .and_then(|(key, _)| key.get(..8).and_then(|set| set.try_into().ok()))
            .map_or(1, |set| u64::from_be_bytes(set).saturating_add(1)))
    }

    /// The number of the last group of commits in it.
    pub(super) fn group(&self) -> Result<u64, StoreError> {
        let value = self.bare(Tree::Meta, GROUP_KEY)?;
        Ok(value.and_then(|value| value.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    /// Applies changes to all trees as one: after a crash all of them are there or none.
    pub(super) fn apply(&self, changes: Changes) -> Result<(), StoreError> {
        let mut batches: BTreeMap<Tree, sled::Batch> = BTreeMap::new();
        for ((tree, key), value) in changes {
            let batch = batches.entry(tree).or_default();
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        let (trees, batches): (Vec<_>, Vec<_>) =
            batches.into_iter().map(|(tree, batch)| (self.tree(tree), batch)).unzip();
        match (trees.as_slice(), batches.as_slice()) {
            ([], _) => Ok(()),
            // One tree: a plain batch is as atomic and cheaper.
            ([tree], [batch]) => tree.apply_batch(batch.clone()).map_err(|error| self.error(error)),
            (trees, batches) => trees
                .transaction(|views| {
                    for (view, batch) in views.iter().zip(batches) {
                        view.apply_batch(batch)?;
                    }
                    Ok::<_, ConflictableTransactionError<std::convert::Infallible>>(())
                })
                .map_err(|error| match error {
                    TransactionError::Storage(error) => self.error(error),
                    TransactionError::Abort(never) => match never {},
                }),
        }
    }

    /// Hands everything to the kernel: survives `kill -9`.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.db.flush().map(drop).map_err(|error| self.error(error))
    }

    /// Hands everything that was flushed to the disk: survives a power cut.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(|error| StoreError::io(&self.dir, error))
    }

    /// Bytes on disk.
    pub(super) fn file_bytes(&self) -> Result<u64, StoreError> {
        self.db.size_on_disk().map_err(|error| self.error(error))
    }

    /// Reads every byte, which is how sled finds out about damage.
    pub(super) fn read_everything(&self) -> Result<(), StoreError> {
        for tree in TREES {
            for entry in self.tree(tree) {
                let (_, value) = entry.map_err(|error| self.error(error))?;
                if tree.holds_records()
                    && let Some(Value::Chunked { .. }) = chunk::parse(&value)
                {
                    self.payload(tree, &value)?;
                }
            }
        }
        Ok(())
    }

    /// Whether no tree but `meta` holds anything.
    pub(super) fn is_empty(&self) -> bool {
        TREES.into_iter().all(|tree| tree == Tree::Meta || self.tree(tree).is_empty())
    }

    /// Closes it. sled stops its threads here and may panic if they did.
    pub(super) fn close(self) {
        if std::panic::catch_unwind(AssertUnwindSafe(move || drop(self))).is_err() {
            tracing::warn!("the database panicked while it was closed");
        }
    }
}
