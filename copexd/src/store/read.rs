//! Reading. Everything here is a plain function over one consistent key at a time.
//!
//! Invariant: [`Store::events`] and [`Store::last_seq`] show only what survives
//! `kill -9`, so a client never holds a number that a crash could give to another event.
//! Single records may be seen up to one flush before they are durable, and in a frozen
//! store until the thaw.

use std::ops::Bound;
use std::sync::PoisonError;

use bytes::Bytes;
use copex_proto::id::{AskId, RunId, Seq, SessionId};

use super::error::StoreError;
use super::handle::Store;
use super::keys::{RawTree, Tree, event_key, event_seq, indexed_ask, run_of};
use super::record::{AskRecord, Record, RunSummary, SessionRecord};
use super::sled_dir::Database;
use super::stage::stored_last;

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    /// Only these states. Empty: all.
    pub states: Vec<String>,
    /// Only this working folder.
    pub cwd: Option<String>,
    /// Only runs older than this one: the cursor of the page before.
    pub before: Option<RunId>,
    /// The most runs of this page.
    pub limit: usize,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPage {
    /// The runs, newest first.
    pub runs: Vec<RunSummary>,
    /// Where the next page starts. Absent: this was the last.
    pub next: Option<RunId>,
}

impl Store {
    /// A run's summary.
    pub fn get_run(&self, run: RunId) -> Result<Option<RunSummary>, StoreError> {
        self.decoded(run.as_bytes())
    }

    /// What a run was asked.
    pub fn get_spec(&self, run: RunId) -> Result<Option<Bytes>, StoreError> {
        self.opaque(Tree::Specs, run.as_bytes())
    }

    /// Runs, newest first.
    pub fn list_runs(&self, query: &RunQuery) -> Result<RunPage, StoreError> {
        self.list_runs_where(query, |_| true)
    }

    /// Runs, newest first, that also pass `keep`.
    pub fn list_runs_where(
        &self,
        query: &RunQuery,
        mut keep: impl FnMut(&RunSummary) -> bool,
    ) -> Result<RunPage, StoreError> {
        let end = match &query.before {
            Some(run) => Bound::Excluded(run.as_bytes().as_slice()),
            None => Bound::Unbounded,
        };
        let mut page = RunPage { runs: Vec::new(), next: None };
        self.shared.read(|db| {
            for entry in db.tree(Tree::Runs).range::<&[u8], _>((Bound::Unbounded, end)).rev() {
                let (key, value) = entry.map_err(|error| db.error(error))?;
                let Some(run) = read_record::<RunSummary>(db, &key, value)? else { continue };
                let wanted = (query.states.is_empty() || query.states.contains(&run.state))
                    && (query.cwd.is_none() || query.cwd == run.cwd)
                    && keep(&run);
                if !wanted {
                    continue;
                }
                if page.runs.len() == query.limit {
                    page.next = page.runs.last().map(|last| last.run);
                    break;
                }
                page.runs.push(run);
            }
            Ok(page)
        })
    }

    /// Runs without an end, oldest first: what recovery goes through.
    pub fn unfinished_runs(&self) -> Result<Vec<RunSummary>, StoreError> {
        self.shared.read(|db| {
            let mut runs = Vec::new();
            for key in db.tree(Tree::Live).iter().keys() {
                let key = key.map_err(|error| db.error(error))?;
                if let Some((version, json)) = db.record(Tree::Runs, &key)? {
                    runs.push(RunSummary::decode(version, &json)?);
                }
            }
            Ok(runs)
        })
    }

    /// Events after `after`, in order: at most `limit`, and at most `max_bytes` of them
    /// together, but always one when there is one.
    pub fn events(
        &self,
        run: RunId,
        after: Seq,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<(Seq, Bytes)>, StoreError> {
        let mut events = Vec::new();
        let from = Bound::Excluded(event_key(run, after));
        let to = Bound::Included(event_key(run, Seq::MAX));
        self.shared.read(|db| {
            let mut bytes = 0_usize;
            for entry in db.tree(Tree::Events).range((from, to)).take(limit) {
                let (key, value) = entry.map_err(|error| db.error(error))?;
                let Some(seq) = event_seq(&key) else { continue };
                let Some((_, event)) = db.scanned(Tree::Events, &key, value)? else { continue };
                bytes = bytes.saturating_add(event.len());
                if bytes > max_bytes && !events.is_empty() {
                    break;
                }
                events.push((seq, event));
            }
            Ok(())
        })?;
        // Asked for after the read: what is not listed by now has been flushed.
        if let Some(hidden) = self.hidden_from(run) {
            events.retain(|(seq, _)| *seq < hidden);
        }
        Ok(events)
    }

    /// The last event of a run, 0 when there is none.
    pub fn last_seq(&self, run: RunId) -> Result<Seq, StoreError> {
        let last = self.shared.read(|db| stored_last(db, run))?;
        match self.hidden_from(run) {
            Some(hidden) if hidden <= last => self.shared.read(|db| {
                let before = db.tree(Tree::Events).range(event_key(run, 0)..event_key(run, hidden));
                let before = before.keys().next_back().transpose();
                let before = before.map_err(|error| db.error(error))?;
                Ok(before.and_then(|key| event_seq(&key)).unwrap_or(0))
            }),
            _ => Ok(last),
        }
    }

    fn hidden_from(&self, run: RunId) -> Option<Seq> {
        let unflushed = self.shared.unflushed.lock().unwrap_or_else(PoisonError::into_inner);
        unflushed.get(&run).copied()
    }

    /// The state of a run's machine.
    pub fn checkpoint(&self, run: RunId) -> Result<Option<Bytes>, StoreError> {
        self.opaque(Tree::Checkpoints, run.as_bytes())
    }

    /// An ask.
    pub fn ask(&self, ask: &AskId) -> Result<Option<AskRecord>, StoreError> {
        self.decoded(ask.0.as_bytes())
    }

    /// All asks of a run, by name.
    pub fn asks_of(&self, run: RunId) -> Result<Vec<AskRecord>, StoreError> {
        self.indexed_asks(run.as_bytes(), |_| true)
    }

    /// All asks that wait, by the age of their runs.
    pub fn open_asks(&self) -> Result<Vec<AskRecord>, StoreError> {
        self.indexed_asks(b"", |open| open)
    }

    /// All asks, by the age of their runs.
    pub fn all_asks(&self) -> Result<Vec<AskRecord>, StoreError> {
        self.indexed_asks(b"", |_| true)
    }

    fn indexed_asks(
        &self,
        prefix: &[u8],
        wanted: impl Fn(bool) -> bool,
    ) -> Result<Vec<AskRecord>, StoreError> {
        self.shared.read(|db| {
            let mut asks = Vec::new();
            for entry in db.tree(Tree::AskIndex).scan_prefix(prefix) {
                let (key, open) = entry.map_err(|error| db.error(error))?;
                if wanted(open.as_ref() == [1])
                    && let Some(ask) = indexed_ask(&key)
                    && let Some((version, json)) = db.record(Tree::Asks, ask.as_bytes())?
                {
                    asks.push(AskRecord::decode(version, &json)?);
                }
            }
            Ok(asks)
        })
    }

    /// The run of an idempotency key.
    pub fn run_by_key(&self, key: &str) -> Result<Option<RunId>, StoreError> {
        Ok(self.opaque(Tree::Keys, key.as_bytes())?.and_then(|run| run_of(&run)))
    }

    /// A session.
    pub fn session(&self, session: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        self.decoded(session.0.as_bytes())
    }

    /// All sessions, by name.
    pub fn sessions(&self) -> Result<Vec<SessionRecord>, StoreError> {
        self.shared.read(|db| {
            let mut sessions = Vec::new();
            for entry in db.tree(Tree::Sessions) {
                let (key, value) = entry.map_err(|error| db.error(error))?;
                sessions.extend(read_record::<SessionRecord>(db, &key, value)?);
            }
            Ok(sessions)
        })
    }

    /// The session that was used last in a working folder.
    pub fn latest_session_for_cwd(&self, cwd: &str) -> Result<Option<SessionRecord>, StoreError> {
        let key = self.shared.read(|db| db.bare(Tree::CwdIndex, cwd.as_bytes()))?;
        key.map_or(Ok(None), |key| self.decoded(&key))
    }

    /// A value of a tree that belongs to its user.
    pub fn get_raw(&self, tree: RawTree, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.opaque(tree.into(), key)
    }

    /// All values under a prefix of such a tree, by key.
    pub fn scan_raw(
        &self,
        tree: RawTree,
        prefix: &[u8],
    ) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        let tree = Tree::from(tree);
        self.shared.read(|db| {
            let mut found = Vec::new();
            for entry in db.tree(tree).scan_prefix(prefix) {
                let (key, value) = entry.map_err(|error| db.error(error))?;
                if let Some((_, payload)) = db.scanned(tree, &key, value)? {
                    found.push((key.to_vec(), payload));
                }
            }
            Ok(found)
        })
    }

    fn opaque(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.shared.read(|db| db.record(tree, key))?.map(|(_, payload)| payload))
    }

    fn decoded<R: Record>(&self, key: &[u8]) -> Result<Option<R>, StoreError> {
        let record = self.shared.read(|db| db.record(R::TREE, key))?;
        record.map(|(version, json)| R::decode(version, &json)).transpose()
    }
}

/// Decodes a value that a scan came by. `None`: it was deleted meanwhile.
pub(super) fn read_record<R: Record>(
    db: &Database,
    key: &[u8],
    value: sled::IVec,
) -> Result<Option<R>, StoreError> {
    let record = db.scanned(R::TREE, key, value)?;
    record.map(|(version, json)| R::decode(version, &json)).transpose()
}
