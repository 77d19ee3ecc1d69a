//! Opening a run's session by the rule of recovery.

use std::sync::Arc;

use copex_proto::run::{RunOptions, SessionChoice};
use tokio::sync::oneshot;

use super::desk::Done;
use super::registry::Live;
use super::returning::Returning;
use super::sessions::heal::heal;
use super::{Engine, key, prepare, tape};
use crate::backend::Opening;
use crate::backend::errand::Doing;
use crate::backend::spec::SessionSpec;
use crate::backend::upstream::{Place, RUNS};
use crate::core::admission::{Priority, RETURNING};
use crate::core::chat::Progress;
use crate::core::failure::{Failure, FailureClass};
use crate::core::governor::Route;
use crate::core::machine::{Found, Input, Opened};
use crate::pool::{Lease, Queued};
use crate::runtime::clock;

/// What is to be opened, and for whom.
pub(super) struct Wanted {
    pub(super) engine: Engine,
    pub(super) live: Arc<Live>,
    pub(super) options: RunOptions,
    pub(super) cwd: String,
    /// The place in the session's queue.
    pub(super) place: Option<Queued>,
    /// The place among the runs at work, if it has one already.
    pub(super) slot: Option<Place>,
    pub(super) priority: Priority,
    /// The session as another model had it: closed before it is opened again.
    pub(super) before: Option<Lease>,
    /// Resolves once the session that this run gave back may be opened again.
    pub(super) returned: Option<oneshot::Receiver<()>>,
    pub(super) progress: Progress,
    pub(super) route: Route,
    /// The run's way back after a restart.
    pub(super) returning: Returning,
}

/// Opens the session for a turn: waits for a place among the runs at work first.
pub(super) async fn open(wanted: Wanted) -> Done {
    let Wanted { engine, live, options, cwd, place, slot, progress, route, priority, .. } = wanted;
    let (before, returned, returning) = (wanted.before, wanted.returned, wanted.returning);
    if let Some(returned) = returned {
        // With its place kept, nothing else holds us back until it rests or is closed.
        let _ = returned.await;
    }
    if let Some(before) = before {
        before.close().await;
    }
    // The session first: whoever waits for one must not keep others from working meanwhile.
    let place = match place {
        Some(queued) => {
            let since = clock::now_ms();
            live.activity.set(Doing::Session { since });
            Some(queued.await.queued())
        }
        None => None,
    };
    live.activity.set(Doing::Place { endpoint: RETURNING.to_owned(), since: clock::now_ms() });
    returning.enter(&engine.inner.tasks).await;
    live.activity.set(Doing::Nothing);
    let slot = if slot.is_some() {
        slot
    } else {
        let since = clock::now_ms();
        live.activity.set(Doing::Place { endpoint: RUNS.to_owned(), since });
        let slot = engine.inner.upstream.enter(RUNS, priority).await;
        live.activity.set(Doing::Nothing);
        slot
    };
    live.begin();
    let ambient = &engine.inner.ambient;
    let run = live.summary.borrow().run;
    let spec = async {
        key::sign_in(&options, &live, ambient)?;
        let known = live.keys.known();
        let spec = prepare::session_spec(&options, &known, &cwd, ambient).await;
        let mut spec = spec.map_err(|failure| live.keys.judge(failure))?;
        tape::apply(&mut spec, &options, run).await?;
        Ok(spec)
    };
    let opened = match spec.await {
        Ok(spec) => open_session(&engine, &spec, (&options.session, place), &progress).await,
        Err(failure) => Err(failure),
    };
    match opened {
        Ok((lease, opened)) => {
            let Route { candidate, reason, .. } = route;
            let opened = Opened { candidate, reason, ..opened };
            Done::Opened(Box::new(lease), slot, Input::Opened(opened))
        }
        Err(failure) => Done::Input(Input::Refused(failure)),
    }
}

/// Opens the session by the rule of recovery: the transcript is read before anything is
/// sent; a session that is gone although nothing of ours can be in it is made anew.
async fn open_session(
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
    let (acquired, repaired) = acquire(engine, spec, &wanted, place, progress.sent).await?;
    let fresh = *choice == SessionChoice::New;
    let gone = matches!(&acquired, Err(failure) if failure.class == FailureClass::SessionGone);
    let anew = gone && fresh && progress.session.is_some();
    if anew && progress.effects > 0 {
        // What they did would be done again: the machine knows whether that is wanted.
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
        match session.look(progress.user_messages, &progress.steers).await? {
            Found::Nothing => (session.user_messages().await?, Found::Nothing),
            found => (progress.user_messages, found),
        }
    } else {
        (session.user_messages().await?, Found::Nothing)
    };
    let told = found != Found::Nothing && !progress.steers.is_empty();
    let said = if told { session.said(user_messages).await? } else { Vec::new() };
    let opened = Opened {
        session: session.id().to_owned(),
        user_messages,
        backend: session.backend().to_owned(),
        found,
        candidate: progress.candidate,
        reason: None,
        can_rerun: session.capabilities().rerun,
        can_steer: session.capabilities().steers,
        said,
        repaired,
    };
    Ok((lease, opened))
}

/// Lends the session; one that cannot be opened is repaired once, and what was done to it is
/// told.
async fn acquire(
    engine: &Engine,
    spec: &SessionSpec,
    wanted: &Opening,
    place: Option<Queued>,
    sent: bool,
) -> Result<(Result<Lease, Failure>, Option<String>), Failure> {
    let pool = &engine.inner.pool;
    let (Opening::Resume(id) | Opening::ResumeWaiting(id)) = wanted else {
        return Ok((pool.acquire(spec, wanted, place).await, None));
    };
    // Kept over the repair: nobody opens the session meanwhile.
    let place = place.unwrap_or_else(|| pool.queue(id));
    let acquired = pool.acquire(spec, wanted, Some(place.clone())).await;
    let corrupt =
        matches!(&acquired, Err(failure) if failure.class == FailureClass::SessionCorrupt);
    let repaired = if corrupt { heal(&spec.runtime, id, sent).await? } else { None };
    if repaired.is_none() {
        return Ok((acquired, None));
    }
    Ok((pool.acquire(spec, wanted, Some(place)).await, repaired))
}
