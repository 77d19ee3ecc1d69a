//! Bounded growth: ended runs go when they are old, and the oldest go when there is
//! too much of them.
//!
//! Invariant: a run that has not ended is never removed, however old or large.
//!
//! sled's file never shrinks, it is only used again, so its size cannot say when to stop
//! removing: once the file is above the limit the records themselves are measured.

use std::collections::HashMap;
use std::path::Path;

use copex_proto::id::RunId;

use super::chunk::{self, Value};
use super::error::StoreError;
use super::handle::{Commit, Op, Store};
use super::keys::{Tree, run_of};
use super::read::read_record;
use super::record::RunSummary;
use super::sled_dir::Database;

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Bytes of file that sled needs for a byte of records (83 MiB for 42 MB, measured).
const SPACE_FACTOR: u64 = 2;

/// What to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Runs that ended longer ago than this many milliseconds go.
    pub max_age_ms: u64,
    /// The size of the file to aim at.
    pub max_bytes: u64,
}

impl Default for Retention {
    /// 30 days, 2 GiB.
    fn default() -> Self {
        Self { max_age_ms: 30 * DAY_MS, max_bytes: 2 * 1024 * 1024 * 1024 }
    }
}

/// What a round removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Runs removed for their age.
    pub by_age: u64,
    /// Runs removed for the space.
    pub by_size: u64,
    /// Sizes before the round.
    pub size: StoreSize,
}

/// How large a store is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreSize {
    /// The database on disk. Never shrinks.
    pub file_bytes: u64,
    /// Quarantined databases beside it. Theirs to remove who has looked at them.
    pub quarantine_bytes: u64,
    /// Runs.
    pub runs: u64,
}

impl Store {
    /// Measures the store. Blocks for milliseconds.
    pub fn size(&self) -> Result<StoreSize, StoreError> {
        self.shared.read(|db| {
            Ok(StoreSize {
                file_bytes: db.file_bytes()?,
                quarantine_bytes: quarantines(self.dir()),
                runs: db.tree(Tree::Runs).len() as u64,
            })
        })
    }

    /// Removes ended runs that the policy does not keep. Blocks: call it from
    /// `spawn_blocking`, not from a task. Each run is a commit of its own, so others get
    /// their turn in between and a kill leaves whole runs.
    pub fn retain(&self, policy: Retention, now_ms: u64) -> Result<RetentionReport, StoreError> {
        let mut report = RetentionReport { size: self.size()?, ..RetentionReport::default() };
        let oldest = now_ms.saturating_sub(policy.max_age_ms);
        let (old, mut kept) = self.ended_runs(oldest)?;
        for run in old {
            self.remove(run)?;
            report.by_age += 1;
        }
        if report.size.file_bytes <= policy.max_bytes {
            return Ok(report);
        }
        let (mut total, mut of_run) = self.shared.read(measure)?;
        kept.reverse();
        while total.saturating_mul(SPACE_FACTOR) > policy.max_bytes
            && let Some(run) = kept.pop()
        {
            self.remove(run)?;
            report.by_size += 1;
            total = total.saturating_sub(of_run.remove(&run).unwrap_or(0));
        }
        Ok(report)
    }

    /// Ended runs, oldest first: those that ended before `oldest`, and the others.
    fn ended_runs(&self, oldest: u64) -> Result<(Vec<RunId>, Vec<RunId>), StoreError> {
        let (mut old, mut kept) = (Vec::new(), Vec::new());
        self.shared.read(|db| {
            for entry in db.tree(Tree::Runs) {
                let (key, value) = entry.map_err(|error| db.error(error))?;
                // A record of a newer build is not ours to judge.
                let Ok(Some(run)) = read_record::<RunSummary>(db, &key, value) else { continue };
                match run.ended_at {
                    Some(ended) if ended < oldest => old.push(run.run),
                    Some(_) => kept.push(run.run),
                    None => {}
                }
            }
            Ok((old, kept))
        })
    }

    fn remove(&self, run: RunId) -> Result<(), StoreError> {
        let answer = self.enqueue(Commit::flushed(vec![Op::DeleteRun(run)]))?;
        answer.blocking_recv().unwrap_or_else(|_| Err(self.closed()))
    }
}

/// Bytes of all records, and of those that belong to each run.
fn measure(db: &Database) -> Result<(u64, HashMap<RunId, u64>), StoreError> {
    let mut total = 0;
    let mut of_run = HashMap::new();
    for tree in [Tree::Runs, Tree::Specs, Tree::Events, Tree::Checkpoints] {
        for entry in db.tree(tree) {
            let (key, value) = entry.map_err(|error| db.error(error))?;
            let payload = match chunk::parse(&value) {
                Some(Value::Chunked { pieces, .. }) => pieces.len,
                _ => value.len(),
            };
            let bytes = (key.len() + payload) as u64;
            total += bytes;
            if let Some(run) = run_of(&key) {
                *of_run.entry(run).or_insert(0) += bytes;
            }
        }
    }
    Ok((total, of_run))
}

/// Bytes in the quarantines beside a store, as far as they can be read.
fn quarantines(dir: &Path) -> u64 {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else { return 0 };
    let prefix = format!("{}.quarantine-", name.to_string_lossy());
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| folder_bytes(&entry.path()))
        .sum()
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => folder_bytes(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}
