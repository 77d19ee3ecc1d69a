//! Going on after the end: a new run in the same session.

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::id::RunId;
use copex_proto::run::{RunRequest, RunState, SessionChoice};
use copex_proto::spend::SpendLimits;

use super::registry::Command;
use super::submit::{Resumed, Submitted};
use super::{Engine, chain, store_error};
use crate::core::chat::Progress;

impl Engine {
    /// Starts a new run that goes on where an ended one stopped: with `prompt`, else with the
    /// turn that the ended run left unfinished, and only where there is none with the ended
    /// run's own prompt once more. Secrets of the ended run are not known any more. What
    /// `limits` names takes the place of the ended run's own.
    ///
    /// # Errors
    /// `NotFound` for a run nobody knows, `Conflict` for one that has not ended.
    pub async fn resume(
        &self,
        run: RunId,
        prompt: Option<String>,
        limits: SpendLimits,
    ) -> Result<Submitted, ErrorInfo> {
        let summary = self.summary(run)?;
        if summary.state == RunState::Parked
            && prompt.is_none()
            && let Some(live) = self.inner.registry.get(run)
        {
            // It goes on in place: whoever asks does not want to wait for the limit's end.
            self.forget_limits(run);
            let _ = live.commands.send(Command::Wake).await;
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
        let mut turn = None;
        match (&mut request, prompt) {
            (RunRequest::Chat(chat), Some(prompt)) => chat.prompt = prompt,
            _ if summary.state == RunState::Done => {}
            _ => {
                let stored = self.inner.store.checkpoint(run).map_err(|e| store_error(&e))?;
                let left = stored.and_then(|bytes| serde_json::from_slice::<Progress>(&bytes).ok());
                turn = left.map(Progress::taken_up);
            }
        }
        let options = request.options_mut();
        options.foreground = false;
        // The recording is that run's; a replay goes on being one.
        options.record = None;
        options.max_cost = limits.max_cost.or(options.max_cost);
        options.max_ai_credits = limits.max_ai_credits.or(options.max_ai_credits);
        options.max_tokens = limits.max_tokens.or(options.max_tokens);
        if let Some(session) = summary.session {
            options.session = SessionChoice::Resume(session.0);
        }
        self.submit(request, None, Some(Resumed { run, turn })).await
    }

    /// Forgets the limits that keep a run from going on.
    fn forget_limits(&self, run: RunId) {
        let Ok(detail) = self.detail(run) else { return };
        let Ok(request) = serde_json::from_value::<RunRequest>(detail.request) else { return };
        self.inner.upstream.forget_limits(&chain::targets(request.options()));
    }
}
