//! Going on after the end: a new run in the same session.

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::id::RunId;
use copex_proto::run::{RalphContext, RunRequest, RunState, SessionChoice};
use copex_proto::spend::SpendLimits;

use super::key::Secrets;
use super::registry::{Command, Live};
use super::submit::{Resumed, Submitted, state_name};
use super::{Engine, chain, council, store_error};
use crate::core::stored::Stored;

impl Engine {
    /// Starts a new run that goes on where an ended one stopped: with `prompt`, else with the
    /// turn that the ended run left unfinished, and only where there is none with the ended
    /// run's own prompt once more. A loop goes on at its iteration. Secrets of the ended run are
    /// not known any more: `secrets` take their place. What `limits` names takes the place of the ended run's own. With `rerun_failed`, tasks of a
    /// fleet that failed begin anew.
    ///
    /// # Errors
    /// `NotFound` for a run nobody knows, `Conflict` for one that has not ended, `Auth` for one
    /// that is parked for a key that is not among `secrets`.
    pub async fn resume(
        &self,
        run: RunId,
        prompt: Option<String>,
        limits: SpendLimits,
        rerun_failed: bool,
        secrets: Secrets,
    ) -> Result<Submitted, ErrorInfo> {
        let summary = self.summary(run)?;
        if summary.state == RunState::Parked
            && prompt.is_none()
            && let Some(live) = self.inner.registry.get(run)
        {
            if limits != SpendLimits::default() {
                let message = format!("run {run} is parked and keeps the limits it has");
                let hint = format!("cancel it and resume it with others, or resume {run} as it is");
                return Err(ErrorInfo::new(ErrorClass::Conflict, message).with_hint(hint));
            }
            self.go_on(&live, secrets).await?;
            return Ok(Submitted { run, created: false });
        }
        if !summary.state.is_terminal() {
            let message = format!("run {run} has not ended; there is nothing to resume");
            let hint = format!("follow it with `copexctl runs attach {run}`");
            return Err(ErrorInfo::new(ErrorClass::Conflict, message).with_hint(hint));
        }
        let spec = self.inner.store.get_spec(run).map_err(|error| store_error(&error))?;
        let request = serde_json::from_slice::<RunRequest>(&spec.unwrap_or_default());
        let mut request = request.map_err(|error| {
            let message = format!("the request of run {run} cannot be read: {error}");
            ErrorInfo::new(ErrorClass::Store, message)
        })?;
        let stored = match summary.state {
            RunState::Done => None,
            _ => self.inner.store.checkpoint(run).map_err(|error| store_error(&error))?,
        };
        let stored = stored.and_then(|bytes| Stored::read(&bytes));
        let stored = if rerun_failed { anew(&request, run, stored)? } else { stored };
        let progress = match (&mut request, prompt, stored) {
            (RunRequest::Chat(chat), Some(prompt), _) => {
                chat.prompt = prompt;
                None
            }
            (RunRequest::Ralph(ralph), Some(prompt), stored) => {
                ralph.prompt = prompt;
                match stored {
                    Some(Stored::Ralph(progress)) => {
                        Some(Stored::Ralph(Box::new(progress.with_another_task())))
                    }
                    _ => None,
                }
            }
            (RunRequest::Fleet(_), Some(_), _) => {
                let message = "a fleet goes on with its tasks, and not with a prompt";
                return Err(
                    ErrorInfo::new(ErrorClass::Usage, message).with_hint("resume it without one")
                );
            }
            (RunRequest::Plan(_), Some(_), _) => {
                let message = "a plan goes on by its file, and not with a prompt";
                let hint = "edit the file, then resume it without one";
                return Err(ErrorInfo::new(ErrorClass::Usage, message).with_hint(hint));
            }
            (RunRequest::Council(_), Some(_), _) => {
                let message = "a council goes on with its task, and not with a prompt";
                return Err(ErrorInfo::new(ErrorClass::Usage, message)
                    .with_hint("resume it without one, or ask a new council"));
            }
            (_, _, stored) => stored.map(Stored::taken_up),
        };
        // A loop whose iterations begin sessions has its own in its progress.
        let in_it = match &request {
            RunRequest::Ralph(ralph) => ralph.context == RalphContext::Same,
            // Their parts have sessions of their own.
            RunRequest::Plan(_) | RunRequest::Fleet(_) | RunRequest::Council(_) => false,
            RunRequest::Chat(_) => true,
        };
        let options = request.options_mut();
        options.foreground = false;
        options.secrets = secrets;
        // The recording is that run's; a replay goes on being one.
        options.record = None;
        options.max_cost = limits.max_cost.or(options.max_cost);
        options.max_ai_credits = limits.max_ai_credits.or(options.max_ai_credits);
        options.max_tokens = limits.max_tokens.or(options.max_tokens);
        if let Some(session) = summary.session.filter(|_| in_it) {
            options.session = SessionChoice::Resume(session.0);
        }
        self.submit(request, None, Some(Resumed { run, progress })).await
    }

    /// Lets a parked run go on now, in place.
    ///
    /// # Errors
    /// `NotFound` for a run nobody knows, `Conflict` for one that is not parked, `Auth` for one
    /// that is parked for a key that is not among `secrets`.
    pub async fn wake(&self, run: RunId, secrets: Secrets) -> Result<(), ErrorInfo> {
        let state = self.summary(run)?.state;
        match self.inner.registry.get(run).filter(|_| state == RunState::Parked) {
            Some(live) => self.go_on(&live, secrets).await,
            None => Err(not_parked(run, state)),
        }
    }

    /// Whoever asks does not want to wait for the limit's end.
    async fn go_on(&self, live: &Live, secrets: Secrets) -> Result<(), ErrorInfo> {
        let run = live.summary.borrow().run;
        self.forget_limits(run);
        if self.offer(run, secrets).await? {
            return Ok(());
        }
        self.still_needs(run)?;
        // One that ended meanwhile hears nothing any more.
        let _ = live.commands.send(Command::Wake).await;
        Ok(())
    }

    /// Forgets the limits that keep a run from going on.
    fn forget_limits(&self, run: RunId) {
        let Ok(detail) = self.detail(run) else { return };
        let Ok(request) = serde_json::from_value::<RunRequest>(detail.request) else { return };
        let targets = match &request {
            RunRequest::Council(council) => council::targets(council),
            request => chain::targets(request.options()),
        };
        self.inner.upstream.forget_limits(&targets);
    }
}

/// A fleet's checkpoint in which the tasks that failed are to begin anew.
fn anew(
    request: &RunRequest,
    run: RunId,
    stored: Option<Stored>,
) -> Result<Option<Stored>, ErrorInfo> {
    if !matches!(request, RunRequest::Fleet(_)) {
        let message = format!("run {run} is no fleet: it has no tasks to run anew");
        let info = ErrorInfo::new(ErrorClass::Usage, message);
        return Err(info.with_hint("resume it without that"));
    }
    Ok(match stored {
        Some(Stored::Fleet(progress)) => Some(Stored::Fleet(Box::new(progress.with_failed_anew()))),
        stored => stored,
    })
}

/// Why a run cannot go on now, and what to do with it instead.
fn not_parked(run: RunId, state: RunState) -> ErrorInfo {
    let message = format!("run {run} is not parked: it is {}", state_name(state));
    let hint = match state {
        RunState::Asking => "answer what it asks: `copexctl inbox`".to_owned(),
        RunState::Queued | RunState::Running | RunState::Parked => {
            format!("`copexctl runs explain {run}` says what it does")
        }
        RunState::Done
        | RunState::Failed
        | RunState::Blocked
        | RunState::Exhausted
        | RunState::Cancelled => {
            format!("`copexctl runs resume {run}` goes on with it in a new run")
        }
    };
    ErrorInfo::new(ErrorClass::Conflict, message).with_hint(hint)
}
