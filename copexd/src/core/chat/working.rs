//! A chat at work: what the backend says, what the watchdogs say, and how it ends.

use super::{ABORT_GRACE_MS, Again, Chat, Phase, Streak, no_answer};
use crate::core::failure::{Failure, FailureClass, Watchdog};
use crate::core::machine::{Effect, Fact, Reply, Resolution, Timer, Verdict};
use crate::core::moment::Moment;
use crate::core::signal::Signal;

/// How long a turn that is over waits for the end of a compaction beside it, in milliseconds:
/// what that took is told by its end. A summary by a slow model takes about as long.
const COMPACTION_GRACE_MS: u64 = 30_000;

/// A compaction that the backend does by itself beside the turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Compaction {
    #[default]
    None,
    UnderWay,
    /// The turn is over, and waits for its end.
    Awaited,
}

impl Chat {
    pub(super) fn watch_idle(&self) -> Effect {
        Effect::Wait(Timer::Idle, self.spec.idle_ms)
    }

    pub(super) fn signal(&mut self, signal: Signal, moment: Moment) -> Vec<Effect> {
        if let (Phase::Compacting, Signal::Usage(_)) = (self.phase, &signal) {
            return self.turn.fold(&signal, moment).into_iter().map(Effect::Emit).collect();
        }
        let listens =
            matches!(self.phase, Phase::Sending | Phase::Working | Phase::Stopping | Phase::Ending);
        if !listens {
            return Vec::new();
        }
        let mut effects: Vec<Effect> =
            self.turn.fold(&signal, moment).into_iter().map(Effect::Emit).collect();
        let mut waiting_ms = 0;
        if is_success(&signal) {
            // What failed before is past.
            self.progress.streak = Streak::default();
        }
        match signal {
            Signal::Requesting(requesting) => self.requesting = requesting,
            Signal::Prompted { text, message } => effects.extend(self.heard(&text, message)),
            Signal::Compacting(begins) => {
                let before = self.compaction;
                self.compaction = if begins { Compaction::UnderWay } else { Compaction::None };
                if before == Compaction::Awaited && !begins && self.phase == Phase::Working {
                    effects.push(Effect::Unwait(Timer::Grace));
                    effects.extend(self.idle(moment));
                    return effects;
                }
            }
            Signal::Usage(usage) => {
                effects.extend(self.check_model(usage.model.as_deref()));
            }
            Signal::Permission { request, wish } => {
                effects.extend(self.permission(request, wish, moment));
            }
            Signal::Question { request, question, choices } => {
                let title = question;
                effects.extend(self.ask(request, None, (title, String::new()), choices, moment));
            }
            // Whoever aborted knows better why.
            Signal::Failed(failure) => {
                self.failure.get_or_insert(failure);
            }
            Signal::Idle => {
                effects.push(Effect::Unwait(Timer::Idle));
                effects.extend(self.idle(moment));
                return effects;
            }
            Signal::Closed(failure) => {
                effects.push(Effect::Unwait(Timer::Idle));
                effects.extend(self.refused(failure, moment));
                return effects;
            }
            Signal::MessageDelta(_)
            | Signal::Message { .. }
            | Signal::ReasoningDelta(_)
            | Signal::ToolStart { .. }
            | Signal::ToolEnd { .. }
            | Signal::Restarting(_)
            | Signal::Notice { .. } => {}
            Signal::Waiting { delay_ms, .. } => waiting_ms = delay_ms,
        }
        if matches!(self.phase, Phase::Ending | Phase::Stopping) {
            return effects;
        }
        if self.failure.is_some() {
            // Its end is all that is waited for; a shell in the background may hold it up.
            effects.push(Effect::Wait(Timer::Idle, ABORT_GRACE_MS));
            return effects;
        }
        // The idle watchdog counts only while a model request is in flight: never in a
        // tool, never while a person is asked.
        if self.requesting && !self.turn.in_tool() && self.progress.open.is_empty() {
            // A wait before another try is no silence of the model's.
            let wait = self.spec.idle_ms.saturating_add(waiting_ms);
            effects.push(Effect::Wait(Timer::Idle, wait));
        } else {
            effects.push(Effect::Unwait(Timer::Idle));
        }
        effects.extend(self.hand_over());
        effects
    }

    fn check_model(&mut self, answered: Option<&str>) -> Vec<Effect> {
        let asked = self.model().map(str::to_owned);
        let (Some(asked), Some(answered)) = (asked, answered) else {
            return Vec::new();
        };
        if asked == answered || asked == "auto" || self.model_told {
            return Vec::new();
        }
        self.model_told = true;
        let message = format!("asked for the model {asked}, but {answered} answered");
        if self.spec.strict_model {
            let hint = "leave out strict_model to accept it, or pick one of `copexctl models`";
            self.failure = Some(Failure::new(FailureClass::Client, message).with_hint(hint));
            self.phase = Phase::Ending;
            return vec![Effect::Abort, Effect::Wait(Timer::Grace, ABORT_GRACE_MS)];
        }
        vec![Effect::Emit(Fact::Warning { code: "model_replaced".to_owned(), message })]
    }

    pub(super) fn timer(&mut self, timer: Timer, moment: Moment) -> Vec<Effect> {
        match (timer, self.phase) {
            (Timer::Backoff, Phase::Resting) if self.again == Again::Here => self.rerun(),
            (Timer::Backoff, Phase::Resting) => {
                self.phase = Phase::Opening;
                vec![Effect::Open]
            }
            (Timer::Park, Phase::Parked) => self.wake(),
            (Timer::Idle, Phase::Sending | Phase::Working) => {
                let seconds = self.spec.idle_ms / 1_000;
                let message = format!("no sign of life from the model for {seconds} s");
                let hint = "raise `timeout`, or try another model";
                let class = FailureClass::Timeout(Watchdog::Idle);
                // A turn that failed already only did not come to its end.
                self.failure.get_or_insert(Failure::new(class, message).with_hint(hint));
                self.phase = Phase::Stopping;
                vec![Effect::Abort, Effect::Wait(Timer::Grace, ABORT_GRACE_MS)]
            }
            (Timer::Grace, Phase::Stopping) => {
                let failure = self.failure.take().unwrap_or_else(no_answer);
                self.failed(failure, Again::Reopen, moment)
            }
            (Timer::Grace, Phase::Ending) => self.idle(moment),
            (Timer::Grace, Phase::Working) => self.words_lost(moment),
            (Timer::Total, _) => self.out_of_time(),
            (Timer::Ask(ask), _) => {
                let answer = Reply::Deny(Some("nobody answered in time".to_owned()));
                self.answered(Resolution { ask, answer, by_client: false }, moment)
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn out_of_time(&mut self) -> Vec<Effect> {
        let seconds = self.spec.max_duration_ms.unwrap_or_default() / 1_000;
        let message = format!("the run took longer than the {seconds} s it may take");
        let hint = "`copexctl runs resume RUN` goes on; `--max-duration` allows more";
        let class = FailureClass::Timeout(Watchdog::Total);
        self.end_with(Failure::new(class, message).with_hint(hint), Verdict::Exhausted)
    }

    pub(super) fn cancel(&mut self) -> Vec<Effect> {
        self.progress.cancelled = true;
        self.end_with(Failure::new(FailureClass::Cancelled, "cancelled"), Verdict::Cancelled)
    }

    /// Ends the run: at once where nothing is under way, else once that was stopped.
    pub(super) fn end_with(
        &mut self,
        failure: Failure,
        verdict: fn(Failure) -> Verdict,
    ) -> Vec<Effect> {
        match self.phase {
            Phase::Ended => Vec::new(),
            Phase::Sending | Phase::Working | Phase::Stopping | Phase::Ending => {
                self.phase = Phase::Ending;
                self.failure = Some(failure);
                vec![
                    Effect::Checkpoint,
                    Effect::Unwait(Timer::Idle),
                    Effect::Abort,
                    Effect::Wait(Timer::Grace, ABORT_GRACE_MS),
                ]
            }
            Phase::New
            | Phase::Opening
            | Phase::Judging
            | Phase::Resting
            | Phase::Compacting
            | Phase::Parked
            | Phase::Lost => self.finish(verdict(failure)),
        }
    }

    /// The turn is over, one way or another.
    pub(super) fn idle(&mut self, moment: Moment) -> Vec<Effect> {
        let failure = self.failure.take();
        if failure.is_none() && self.phase == Phase::Working && self.words.are_out() {
            return self.wait_for_words();
        }
        let works = failure.is_none() && self.phase == Phase::Working;
        if works && self.compaction == Compaction::UnderWay {
            self.compaction = Compaction::Awaited;
            return vec![Effect::Wait(Timer::Grace, COMPACTION_GRACE_MS)];
        }
        let failure = failure.or_else(|| self.turn.answer().is_empty().then(no_answer));
        let Some(failure) = failure else { return self.finish(Verdict::Done) };
        if self.phase != Phase::Ending {
            return self.failed(failure, Again::Here, moment);
        }
        let mut effects: Vec<Effect> =
            self.turn.close_tools(moment).into_iter().map(Effect::Emit).collect();
        let verdict = match failure.class {
            FailureClass::Cancelled => Verdict::Cancelled(failure),
            FailureClass::Timeout(Watchdog::Total) => Verdict::Exhausted(failure),
            _ => Verdict::Failed(failure),
        };
        effects.extend(self.finish(verdict));
        effects
    }

    /// The session could not be opened, took nothing, or is gone in the middle of the turn.
    pub(super) fn refused(&mut self, failure: Failure, moment: Moment) -> Vec<Effect> {
        match self.phase {
            Phase::Ending => self.idle(moment),
            Phase::Opening | Phase::Sending | Phase::Working | Phase::Stopping => {
                if self.phase == Phase::Opening && !failure.unasked {
                    // A try that did not get as far as a session is a try as well.
                    self.progress.attempts += 1;
                }
                if self.phase == Phase::Sending && failure.unasked {
                    // Nothing left: it is sent for the first time when somebody may be asked.
                    self.progress.sent = false;
                }
                // Whoever aborted knows better why.
                let failure = self.failure.take().unwrap_or(failure);
                self.failed(failure, Again::Reopen, moment)
            }
            Phase::New
            | Phase::Judging
            | Phase::Resting
            | Phase::Compacting
            | Phase::Parked
            | Phase::Lost
            | Phase::Ended => Vec::new(),
        }
    }
}

/// Whether the model achieved something. An answer without a word is none, whole as it is.
fn is_success(signal: &Signal) -> bool {
    match signal {
        Signal::Message { text, .. } => !text.is_empty(),
        Signal::ToolStart { .. } => true,
        _ => false,
    }
}
