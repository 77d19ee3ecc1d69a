//! From the operations of commits to changes of trees.
//!
//! Invariant: a commit is checked as a whole before any of it is staged, so a refused
//! one leaves no trace, and those beside it in the same group are written all the same.
//! Later operations see earlier ones of the same group.

use std::collections::HashMap;
use std::ops::Bound;

use bytes::Bytes;
use copex_proto::id::{RunId, Seq};

use super::chunk::{self, PIECE, Pieces, VALUE_LIMIT, Value};
use super::error::StoreError;
use super::handle::Op;
use super::keys::{GROUP_KEY, Tree, ask_index_key, chunk_key, event_key, event_seq, indexed_ask};
use super::record::{OPAQUE, Record};
use super::sled_dir::{Changes, Database};

/// Last numbers that are remembered between groups. Above it they are read again: 1.5 us.
const SEQ_CACHE: usize = 4096;

/// What the writer remembers from one group to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    lasts: HashMap<RunId, Seq>,
    next_set: u64,
    /// The number of the last group.
    pub(super) group: u64,
}

impl Memory {
    /// The memory of a database that was just opened.
    pub(super) fn of(db: &Database) -> Result<Self, StoreError> {
        Ok(Self { lasts: HashMap::new(), next_set: db.next_set()?, group: db.group()? })
    }
}

/// Why a commit is not in the group.
#[derive(Debug)]
pub(super) enum NotStaged {
    /// It is wrong by itself. The group is as it was before.
    Refused(StoreError),
    /// The database failed half-way. The group must not be applied.
    Broken(StoreError),
}

/// A group being put together.
pub(super) struct Stage<'a> {
    pub(super) db: &'a Database,
    memory: &'a mut Memory,
    changes: Changes,
    /// The first event of each run in this group.
    first_events: HashMap<RunId, Seq>,
}

impl<'a> Stage<'a> {
    /// An empty group.
    pub(super) fn new(db: &'a Database, memory: &'a mut Memory) -> Self {
        if memory.lasts.len() > SEQ_CACHE {
            memory.lasts.clear();
        }
        Self { db, memory, changes: Changes::new(), first_events: HashMap::new() }
    }

    /// The changes of the whole group, and the first event of each run in it.
    pub(super) fn finish(mut self) -> (Changes, HashMap<RunId, Seq>) {
        self.memory.group += 1;
        let group = self.memory.group.to_be_bytes().to_vec();
        self.set(Tree::Meta, GROUP_KEY.to_vec(), Some(group));
        (self.changes, self.first_events)
    }

    /// Adds one commit, or refuses it as a whole.
    pub(super) fn add(&mut self, ops: Vec<Op>) -> Result<(), NotStaged> {
        self.check(&ops).map_err(NotStaged::Refused)?;
        ops.into_iter().try_for_each(|op| self.apply(op)).map_err(NotStaged::Broken)
    }

    /// Everything that can be wrong with a commit by itself.
    fn check(&mut self, ops: &[Op]) -> Result<(), StoreError> {
        let mut lasts: HashMap<RunId, Seq> = HashMap::new();
        let mut keys: HashMap<&str, RunId> = HashMap::new();
        for op in ops {
            match op {
                Op::AppendEvent { run, seq, bytes } => {
                    limit(Tree::Events, bytes)?;
                    let last = match lasts.get(run) {
                        Some(last) => *last,
                        None => self.last_seq(*run)?,
                    };
                    if *seq <= last {
                        return Err(StoreError::IllegalSeq { run: *run, seq: *seq, last });
                    }
                    lasts.insert(*run, *seq);
                }
                Op::DeleteRun(run) => {
                    lasts.insert(*run, 0);
                }
                Op::PutKey { key, run } => {
                    let owner = match keys.get(key.as_str()) {
                        Some(owner) => Some(*owner),
                        None => self.key_owner(key)?,
                    };
                    match owner {
                        Some(owner) if owner != *run => {
                            return Err(StoreError::KeyTaken { key: key.clone(), run: owner });
                        }
                        _ => keys.insert(key, *run),
                    };
                }
                Op::PutSpec { bytes, .. } => limit(Tree::Specs, bytes)?,
                Op::PutCheckpoint { bytes, .. } => limit(Tree::Checkpoints, bytes)?,
                Op::PutRaw { tree, bytes, .. } => limit((*tree).into(), bytes)?,
                Op::PutRun(run) => limit(Tree::Runs, &run.encode()?.1)?,
                Op::PutAsk(ask) => limit(Tree::Asks, &ask.encode()?.1)?,
                Op::PutSession(session) => limit(Tree::Sessions, &session.encode()?.1)?,
                Op::Import { tree, bytes, .. } => limit(*tree, bytes)?,
                Op::DeleteCheckpoint(_) | Op::DeleteSession(_) | Op::DeleteRaw { .. } => {}
            }
        }
        Ok(())
    }

    fn apply(&mut self, op: Op) -> Result<(), StoreError> {
        match op {
            Op::PutRun(summary) => {
                let key = summary.run.as_bytes().to_vec();
                let live = summary.ended_at.is_none().then(Vec::new);
                self.set(Tree::Live, key.clone(), live);
                self.put_record(key, &summary)
            }
            Op::PutSpec { run, bytes } => {
                self.put(Tree::Specs, run.as_bytes().to_vec(), OPAQUE, &bytes)
            }
            Op::AppendEvent { run, seq, bytes } => {
                self.memory.lasts.insert(run, seq);
                self.first_events.entry(run).or_insert(seq);
                self.put(Tree::Events, event_key(run, seq).to_vec(), OPAQUE, &bytes)
            }
            Op::PutCheckpoint { run, bytes } => {
                self.put(Tree::Checkpoints, run.as_bytes().to_vec(), OPAQUE, &bytes)
            }
            Op::DeleteCheckpoint(run) => self.delete(Tree::Checkpoints, run.as_bytes().to_vec()),
            Op::PutAsk(ask) => {
                let index = ask_index_key(ask.run, &ask.ask.0);
                self.set(Tree::AskIndex, index, Some(vec![u8::from(ask.closed_at.is_none())]));
                self.put_record(ask.ask.0.as_bytes().to_vec(), &ask)
            }
            Op::PutKey { key, run } => {
                self.put(Tree::Keys, key.into_bytes(), OPAQUE, run.as_bytes().as_slice())
            }
            Op::PutSession(session) => self.put_session(&session),
            Op::DeleteSession(session) => self.delete_session(&session),
            Op::PutRaw { tree, key, bytes } => self.put(tree.into(), key, OPAQUE, &bytes),
            Op::DeleteRaw { tree, key } => self.delete(tree.into(), key),
            Op::DeleteRun(run) => self.delete_run(run),
            Op::Import { tree, key, version, bytes } => {
                if tree.holds_records() {
                    self.put(tree, key, version, &bytes)
                } else {
                    self.set(tree, key, Some(bytes.to_vec()));
                    Ok(())
                }
            }
        }
    }

    fn delete_run(&mut self, run: RunId) -> Result<(), StoreError> {
        let key = run.as_bytes().to_vec();
        if let Some(summary) = self.decoded::<super::record::RunSummary>(&key)?
            && let Some(name) = summary.key
            && self.key_owner(&name)? == Some(run)
        {
            self.delete(Tree::Keys, name.into_bytes())?;
        }
        for event in self.keys_with_prefix(Tree::Events, &key)? {
            self.delete(Tree::Events, event)?;
        }
        for index in self.keys_with_prefix(Tree::AskIndex, &key)? {
            if let Some(ask) = indexed_ask(&index) {
                self.delete(Tree::Asks, ask.as_bytes().to_vec())?;
            }
            self.set(Tree::AskIndex, index, None);
        }
        self.set(Tree::Live, key.clone(), None);
        for tree in [Tree::Runs, Tree::Specs, Tree::Checkpoints] {
            self.delete(tree, key.clone())?;
        }
        self.memory.lasts.insert(run, 0);
        self.first_events.remove(&run);
        Ok(())
    }

    /// The last event of a run, earlier commits of this group included.
    fn last_seq(&mut self, run: RunId) -> Result<Seq, StoreError> {
        if let Some(last) = self.memory.lasts.get(&run) {
            return Ok(*last);
        }
        let last = stored_last(self.db, run)?;
        self.memory.lasts.insert(run, last);
        Ok(last)
    }

    fn key_owner(&self, key: &str) -> Result<Option<RunId>, StoreError> {
        let value = self.payload(Tree::Keys, key.as_bytes())?;
        Ok(value.and_then(|(_, run)| super::keys::run_of(&run)))
    }

    /// A record as this group leaves it. One that is not understood counts as absent:
    /// replacing and deleting it must stay possible.
    pub(super) fn decoded<R: Record>(&self, key: &[u8]) -> Result<Option<R>, StoreError> {
        let payload = self.payload(R::TREE, key)?;
        Ok(payload.and_then(|(version, json)| R::decode(version, &json).ok()))
    }

    /// Writes a record in its newest version.
    pub(super) fn put_record<R: Record>(
        &mut self,
        key: Vec<u8>,
        record: &R,
    ) -> Result<(), StoreError> {
        let (version, json) = record.encode()?;
        self.put(R::TREE, key, version, &json)
    }

    fn payload(&self, tree: Tree, key: &[u8]) -> Result<Option<(u8, Bytes)>, StoreError> {
        match self.changes.get(&(tree, key.to_vec())) {
            None => self.db.record(tree, key),
            Some(None) => Ok(None),
            Some(Some(value)) => match chunk::parse(value) {
                Some(Value::Inline { version, payload }) => {
                    Ok(Some((version, Bytes::copy_from_slice(payload))))
                }
                Some(Value::Chunked { version, pieces }) => {
                    let staged = pieces.keys().filter_map(|key| {
                        self.changes.get(&(Tree::Chunks, key.to_vec())).and_then(Option::as_deref)
                    });
                    Ok(Some((version, staged.collect::<Vec<_>>().concat().into())))
                }
                None => Ok(None),
            },
        }
    }

    /// A value as this group leaves it, as it lies in its tree.
    pub(super) fn value(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.get(&(tree, key.to_vec())) {
            Some(staged) => Ok(staged.clone()),
            None => Ok(self.db.bare(tree, key)?.map(|value| value.to_vec())),
        }
    }

    /// The keys under a prefix as this group leaves them.
    pub(super) fn keys_with_prefix(
        &self,
        tree: Tree,
        prefix: &[u8],
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut keys = Vec::new();
        for key in self.db.tree(tree).scan_prefix(prefix).keys() {
            let key = key.map_err(|error| self.db.error(error))?;
            if !self.changes.contains_key(&(tree, key.to_vec())) {
                keys.push(key.to_vec());
            }
        }
        let from = Bound::Included((tree, prefix.to_vec()));
        let staged = self.changes.range((from, Bound::Unbounded));
        keys.extend(
            staged
                .take_while(|((of, key), _)| *of == tree && key.starts_with(prefix))
                .filter(|(_, value)| value.is_some())
                .map(|((_, key), _)| key.clone()),
        );
        Ok(keys)
    }

    /// Writes a bare value.
    pub(super) fn set(&mut self, tree: Tree, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.changes.insert((tree, key), value);
    }

    /// Writes a payload, in pieces where it must be, and drops the pieces of what was there.
    fn put(
        &mut self,
        tree: Tree,
        key: Vec<u8>,
        version: u8,
        payload: &[u8],
    ) -> Result<(), StoreError> {
        self.drop_pieces(tree, &key)?;
        if payload.len() <= PIECE {
            self.set(tree, key, Some(chunk::inline(version, payload)));
            return Ok(());
        }
        let pieces = Pieces { set: self.memory.next_set, len: payload.len() };
        self.memory.next_set += 1;
        for (index, piece) in (0..).zip(payload.chunks(PIECE)) {
            let key = chunk_key(pieces.set, index).to_vec();
            self.set(Tree::Chunks, key, Some(piece.to_vec()));
        }
        self.set(tree, key, Some(chunk::head(version, pieces)));
        Ok(())
    }

    /// Removes a record and its pieces.
    pub(super) fn delete(&mut self, tree: Tree, key: Vec<u8>) -> Result<(), StoreError> {
        self.drop_pieces(tree, &key)?;
        self.set(tree, key, None);
        Ok(())
    }

    fn drop_pieces(&mut self, tree: Tree, key: &[u8]) -> Result<(), StoreError> {
        if let Some(old) = self.value(tree, key)?
            && let Some(Value::Chunked { pieces, .. }) = chunk::parse(&old)
        {
            for key in pieces.keys() {
                self.set(Tree::Chunks, key.to_vec(), None);
            }
        }
        Ok(())
    }
}

fn limit(tree: Tree, bytes: &[u8]) -> Result<(), StoreError> {
    if bytes.len() > VALUE_LIMIT {
        return Err(StoreError::TooLarge {
            tree: tree.name(),
            size: bytes.len(),
            limit: VALUE_LIMIT,
        });
    }
    Ok(())
}

/// The last event of a run in the database.
pub(super) fn stored_last(db: &Database, run: RunId) -> Result<Seq, StoreError> {
    let last = db
        .tree(Tree::Events)
        .range(event_key(run, 0)..=event_key(run, Seq::MAX))
        .next_back()
        .transpose()
        .map_err(|error| db.error(error))?;
    Ok(last.and_then(|(key, _)| event_seq(&key)).unwrap_or(0))
}
