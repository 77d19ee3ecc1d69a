//! Looking at sessions.

use std::collections::HashMap;

use copex_proto::error::ErrorInfo;
use copex_proto::health::BackendQuery;
use copex_proto::id::{RunId, SessionId};
use copex_proto::session::{
    SessionDetail, SessionEntry, SessionFilter, SessionList, SessionSummary, Speaker,
};

use super::{blocking, find};
use crate::backend::disk::{self, Seen};
use crate::core::transcript::talk;
use crate::engine::{Engine, store_error};
use crate::store::SessionRecord;

/// Sessions that one `session.list` gives at most.
pub const MOST_SESSIONS_LISTED: u32 = 500;

impl Engine {
    /// The sessions used last.
    ///
    /// # Errors
    /// When disk or store cannot be read.
    pub async fn sessions(
        &self,
        filter: SessionFilter,
        limit: u32,
        query: BackendQuery,
    ) -> Result<SessionList, ErrorInfo> {
        let place = self.place(query)?;
        let limit = usize::try_from(limit.clamp(1, MOST_SESSIONS_LISTED)).unwrap_or(1);
        let cwd = filter.cwd;
        let (seen, more) =
            blocking(move || disk::recent(&place.disk, cwd.as_deref(), limit)).await?;
        let known = self.known_sessions()?;
        let sessions = seen.into_iter().map(|seen| self.session_summary(seen, &known));
        Ok(SessionList { sessions: sessions.collect(), more })
    }

    /// One session and the end of its conversation.
    ///
    /// # Errors
    /// `NotFound`; `Usage` when more than one id begins like this.
    pub async fn session(
        &self,
        beginning: &str,
        query: BackendQuery,
    ) -> Result<SessionDetail, ErrorInfo> {
        let place = self.place(query)?;
        let folder = find(&place.disk, beginning).await?;
        let path = folder.path().display().to_string();
        let look = move || Ok((disk::seen(&folder), disk::conversation(&folder)?));
        let (seen, conversation) = blocking(look).await?;
        let begun = seen.beginning.clone();
        let known = self.known_sessions()?;
        Ok(SessionDetail {
            summary: self.session_summary(seen, &known),
            folder: path,
            created_at: begun.started.as_deref().and_then(talk::unix_ms),
            copilot_version: begun.version,
            entries: conversation.entries.into_iter().map(entry).collect(),
            more: conversation.more,
        })
    }

    fn known_sessions(&self) -> Result<HashMap<String, SessionRecord>, ErrorInfo> {
        let known = self.inner.store.sessions().map_err(|error| store_error(&error))?;
        Ok(known.into_iter().map(|record| (record.session.0.clone(), record)).collect())
    }

    fn session_summary(
        &self,
        seen: Seen,
        known: &HashMap<String, SessionRecord>,
    ) -> SessionSummary {
        let id = seen.folder.id().to_owned();
        let record = known.get(&id);
        let run: Option<RunId> = record.and_then(|record| record.run);
        SessionSummary {
            title: seen.beginning.title.unwrap_or_default(),
            cwd: seen.cwd.or_else(|| record.map(|record| record.cwd.clone())),
            turns: seen.turns,
            used_at: seen.used_at,
            size_bytes: seen.size,
            run,
            held_by: self.holder(&seen.holders),
            session: SessionId(id),
        }
    }
}

fn entry(entry: talk::Entry) -> SessionEntry {
    SessionEntry {
        by: match entry.by {
            talk::Speaker::User => Speaker::User,
            talk::Speaker::Assistant => Speaker::Assistant,
            talk::Speaker::Tool => Speaker::Tool,
        },
        at: entry.at,
        text: entry.text,
        tool: entry.tool,
        result: entry.result,
        success: entry.success,
        clipped: entry.clipped,
    }
}
