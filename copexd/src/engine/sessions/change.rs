//! Forking and removing sessions.

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::health::BackendQuery;
use copex_proto::id::SessionId;
use copex_proto::session::{DeletedSession, ForkResponse, Forker};

use super::{Place, blocking, find};
use crate::backend::disk::lock::{self, Copilots};
use crate::backend::disk::{self, Checked, Folder};
use crate::core::transcript::{Known, Weight};
use crate::engine::{Engine, events, store_error};
use crate::store::{Commit, Op};

impl Engine {
    /// Makes a new session with the history of another. The Copilot CLI does it, where it can
    /// read all of it; otherwise we do, from what can be read.
    ///
    /// # Errors
    /// `NotFound`; `SessionCorrupt` when nothing of it can be read; what the CLI says.
    pub async fn fork_session(
        &self,
        beginning: &str,
        query: BackendQuery,
    ) -> Result<ForkResponse, ErrorInfo> {
        let place = self.place(query)?;
        let folder = find(&place.disk, beginning).await?;
        let from = SessionId(folder.id().to_owned());
        let checked = check(&folder, &Copilots::now()).await?;
        if checked.transcript.weight() > Weight::Harmless {
            let session = self.fork_by_copy(&place, &folder, checked).await?;
            return Ok(ForkResponse { session, from, by: Forker::Copex });
        }
        let runtime = self.inner.pool.runtime(&place.spec).await;
        let runtime = runtime.map_err(|failure| events::error_info(&failure))?;
        let forked = runtime.fork_session(folder.id()).await;
        let session = SessionId(forked.map_err(|failure| events::error_info(&failure))?);
        Ok(ForkResponse { session, from, by: Forker::Copilot })
    }

    /// A fork of what can be read of a broken session.
    pub(super) async fn fork_by_copy(
        &self,
        place: &Place,
        folder: &Folder,
        checked: Checked,
    ) -> Result<SessionId, ErrorInfo> {
        if !checked.transcript.mendable() {
            let message = format!("nothing of session {} can be read", folder.id());
            let hint = format!("remove it: copexctl sessions rm {}", folder.id());
            return Err(ErrorInfo::new(ErrorClass::SessionCorrupt, message).with_hint(hint));
        }
        let (disk, folder) = (place.disk.clone(), folder.clone());
        let fork = blocking(move || {
            let known = known(&folder, uuid::Uuid::new_v4().to_string());
            disk::copy(&disk, &folder, &checked, &known)
        });
        Ok(SessionId(fork.await?.id().to_owned()))
    }

    /// Removes a session from the disk.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when a living process or an unfinished run has it.
    pub async fn delete_session(
        &self,
        beginning: &str,
        query: BackendQuery,
    ) -> Result<DeletedSession, ErrorInfo> {
        let place = self.place(query)?;
        let folder = find(&place.disk, beginning).await?;
        // Held to the end: no run opens it meanwhile.
        let _place = self.claim_session(&folder).await?;
        let (seen, id) = (folder.clone(), folder.id().to_owned());
        let size = blocking(move || Ok(disk::size(&seen))).await?;
        // The CLI knows what else it keeps of a session. Without one, the folder is all.
        match self.inner.pool.runtime(&place.spec).await {
            Ok(runtime) => {
                if let Err(error) = runtime.delete_session(&id).await {
                    tracing::info!(session = id, %error, "the CLI does not remove the session");
                }
            }
            Err(error) => tracing::info!(session = id, %error, "removed without the CLI"),
        }
        let (disk, left) = (place.disk.clone(), id.clone());
        blocking(move || disk.folder(&left).map_or(Ok(()), |folder| folder.remove())).await?;
        let forget = Commit::flushed(vec![Op::DeleteSession(SessionId(id.clone()))]);
        self.inner.store.commit(forget).await.map_err(|error| store_error(&error))?;
        Ok(DeletedSession { session: SessionId(id), freed_bytes: size })
    }

    /// Takes a session that nobody has: no unfinished run, and no living process.
    pub(super) async fn claim_session(
        &self,
        folder: &Folder,
    ) -> Result<crate::pool::Place, ErrorInfo> {
        let id = folder.id();
        let in_the_way = |message: String, hint: String| {
            ErrorInfo::new(ErrorClass::Conflict, message).with_hint(hint)
        };
        if let Some(run) = self.inner.registry.speaking_in(id) {
            let message = format!("session {id} is used by run {run}, which has not ended");
            return Err(in_the_way(message, format!("cancel it: copexctl runs cancel {run}")));
        }
        let Some(place) = self.inner.pool.vacate(id).await else {
            let message = format!("a run works in session {id} or waits for it");
            let hint = "copexctl runs list --active shows it; let it end, or cancel it";
            return Err(in_the_way(message, hint.to_owned()));
        };
        let path = folder.path().to_owned();
        let holders = blocking(move || Ok(lock::holders(&path))).await?;
        if let Some(holder) = self.holder(&holders) {
            let whose = if holder.ours { "a runtime of copexd" } else { "another process" };
            let message = format!("session {id} is open in {whose} ({})", holder.pid);
            let hint = format!("leave it there first, or fork it: copexctl sessions fork {id}");
            return Err(in_the_way(message, hint));
        }
        Ok(place)
    }
}

/// Looks at a session, while these Copilot CLIs live.
pub(super) async fn check(folder: &Folder, copilots: &Copilots) -> Result<Checked, ErrorInfo> {
    let (looked_at, copilots) = (folder.clone(), copilots.clone());
    blocking(move || disk::check(&looked_at, &copilots)).await.map_err(|mut error| {
        error.message = format!("session {}: {}", folder.id(), error.message);
        error
    })
}

/// What a repair needs to know of a session; `session` is the id it is to have. Blocks.
pub(super) fn known(folder: &Folder, session: String) -> Known {
    Known { session, cwd: disk::cwd(folder), fresh_id: uuid::Uuid::new_v4().to_string() }
}
