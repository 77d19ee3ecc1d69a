//! Opening a run's session by the rule of recovery.

use copex_proto::run::SessionChoice;

use super::Engine;
use crate::backend::Opening;
use crate::backend::spec::SessionSpec;
use crate::core::chat::Progress;
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{Found, Opened};
use crate::pool::{Lease, Queued};

/// Opens the session by the rule of recovery: the transcript is read before anything is
/// sent; a session that is gone although nothing of ours can be in it is made anew.
pub(super) async fn open(
    engine: &Engine,
    spec: &SessionSpec,
    (choice, place): (&SessionChoice, Option<Queued>),
    progress: &Progress,
) -> Result<(Lease, Opened), Failure> {
    let wanted = match (&progress.session, choice) {
        (Some(id), _) if progress.waits() => Opening::ResumeWaiting(id.clone()),
        (Some(id), _) | (None, SessionChoice::Resume(id)) => Opening::Resume(id.clone()),
        (None, SessionChoice::New | SessionChoice::Continue) => Opening::New,
    };
    let acquired = engine.inner.pool.acquire(spec, &wanted, place).await;
    let fresh = *choice == SessionChoice::New;
    let gone = matches!(&acquired, Err(failure) if failure.class == FailureClass::SessionGone);
    let anew = gone && fresh && progress.session.is_some();
    if anew && progress.tools > 0 {
        // What they did would be done again: only a person can say whether that is wanted.
        let message = "the session of this run is gone, and tools ran in it: not started over";
        let hint = "look at what the tools did, then start a new run";
        return Err(Failure::new(FailureClass::SessionGone, message).with_hint(hint));
    }
    let lease = if anew {
        tracing::info!("the session of an unfinished turn is not there; it is made anew");
        engine.inner.pool.acquire(spec, &Opening::New, None).await?
    } else {
        acquired?
    };
    let session = lease.session();
    let new = anew || wanted == Opening::New;
    let (user_messages, found) = if new {
        (0, Found::Nothing)
    } else if progress.sent {
        match session.look(progress.user_messages).await? {
            Found::Nothing => (session.user_messages().await?, Found::Nothing),
            found => (progress.user_messages, found),
        }
    } else {
        (session.user_messages().await?, Found::Nothing)
    };
    let opened = Opened {
        session: session.id().to_owned(),
        user_messages,
        backend: session.backend().to_owned(),
        found,
    };
    Ok((lease, opened))
}
