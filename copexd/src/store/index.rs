//! Sessions and the index from a working folder to the one used last there.
//!
//! Invariant: the index names an existing session of that folder, and no other of that
//! folder was used later. "Go on where I was" is one read, however many there are.

use copex_proto::id::SessionId;

use super::error::StoreError;
use super::keys::Tree;
use super::record::{Record, SessionRecord};
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
