//! The indexes: from a working folder to the session used last there, kept here with
//! every session; the other two are one line each in `stage.rs`. All three can be built
//! again from the records.
//!
//! Invariant: the index names an existing session of that folder, and no other of that
//! folder was used later. "Go on where I was" is one read, however many there are.

use std::collections::HashMap;

use copex_proto::id::SessionId;

use super::error::StoreError;
use super::keys::{Tree, ask_index_key};
use super::read::read_record;
use super::record::{AskRecord, Record, RunSummary, SessionRecord};
use super::sled_dir::{Changes, Database};
use super::stage::Stage;

impl Stage<'_> {
    /// Writes a session and keeps the index.
    pub(super) fn put_session(&mut self, session: &SessionRecord) -> Result<(), StoreError> {
        let key = session.session.0.as_bytes().to_vec();
        let before = self.decoded::<SessionRecord>(&key)?;
        if let Some(before) = before.filter(|before| before.cwd != session.cwd) {
            self.unindex(&before)?;
        }
        let newest = self.newest_in(&session.cwd)?;
        if newest.is_none_or(|newest| {
            newest.used_at <= session.used_at || newest.session == session.session
        }) {
            self.set(Tree::CwdIndex, session.cwd.as_bytes().to_vec(), Some(key.clone()));
        }
        self.put_record(key, session)
    }

    /// Removes a session and keeps the index.
    pub(super) fn delete_session(&mut self, session: &SessionId) -> Result<(), StoreError> {
        let key = session.0.as_bytes().to_vec();
        if let Some(before) = self.decoded::<SessionRecord>(&key)? {
            self.unindex(&before)?;
        }
        self.delete(Tree::Sessions, key)
    }

    fn newest_in(&self, cwd: &str) -> Result<Option<SessionRecord>, StoreError> {
        match self.value(Tree::CwdIndex, cwd.as_bytes())? {
            Some(key) => self.decoded(&key),
            None => Ok(None),
        }
    }

    /// Points the index of the session's folder at the next one, by reading them all: rare.
    fn unindex(&mut self, session: &SessionRecord) -> Result<(), StoreError> {
        let key = session.session.0.as_bytes();
        if self.value(Tree::CwdIndex, session.cwd.as_bytes())?.as_deref() != Some(key) {
            return Ok(());
        }
        let mut next: Option<SessionRecord> = None;
        for other in self.keys_with_prefix(SessionRecord::TREE, b"")? {
            if other != key
                && let Some(other) = self.decoded::<SessionRecord>(&other)?
                && other.cwd == session.cwd
                && next.as_ref().is_none_or(|next| next.used_at < other.used_at)
            {
                next = Some(other);
            }
        }
        let next = next.map(|next| next.session.0.into_bytes());
        self.set(Tree::CwdIndex, session.cwd.as_bytes().to_vec(), next);
        Ok(())
    }
}

/// Builds every index again from the records there are: after a salvage an index may have
/// lost other entries than its records did, and a run missing in `live` never goes on.
pub(super) fn rebuild(db: &Database) -> Result<(), StoreError> {
    let mut changes = Changes::new();
    for tree in [Tree::Live, Tree::AskIndex, Tree::CwdIndex] {
        for key in db.tree(tree).iter().keys() {
            let key = key.map_err(|error| db.error(error))?;
            changes.insert((tree, key.to_vec()), None);
        }
    }
    for_each(db, |run: RunSummary| {
        if run.ended_at.is_none() {
            changes.insert((Tree::Live, run.run.as_bytes().to_vec()), Some(Vec::new()));
        }
    })?;
    for_each(db, |ask: AskRecord| {
        let key = ask_index_key(ask.run, &ask.ask.0);
        changes.insert((Tree::AskIndex, key), Some(vec![u8::from(ask.closed_at.is_none())]));
    })?;
    let mut newest: HashMap<String, SessionRecord> = HashMap::new();
    for_each(db, |session: SessionRecord| {
        if newest.get(&session.cwd).is_none_or(|newest| newest.used_at < session.used_at) {
            newest.insert(session.cwd.clone(), session);
        }
    })?;
    for (cwd, session) in newest {
        let value = session.session.0.into_bytes();
        changes.insert((Tree::CwdIndex, cwd.into_bytes()), Some(value));
    }
    db.apply(changes)
}

/// Every record of a kind that is understood.
fn for_each<R: Record>(db: &Database, mut each: impl FnMut(R)) -> Result<(), StoreError> {
    for entry in db.tree(R::TREE) {
        let (key, value) = entry.map_err(|error| db.error(error))?;
        if let Ok(Some(record)) = read_record::<R>(db, &key, value) {
            each(record);
        }
    }
    Ok(())
}
