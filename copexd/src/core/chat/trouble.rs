//! What a chat does when something failed: ask the policy, and do what it says.

use super::{Again, Chat, NeedsKey, Phase};
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{Effect, Fact, Timer, Verdict};
use crate::core::moment::Moment;
use crate::core::policy::{Next, Otherwise, Trouble, resume_at};

/// Turns over the history of one run, at most. Each follows a failure with success between,
/// else the policy's own bounds end it sooner: a turn that fails more often than this does
/// not get better.
pub const MOST_RERUNS: u32 = 64;

/// Names the question about a lost session; no backend's request is called so.
const LOST: &str = "copex-lost-session";

/// The answer of a run that was to make its conversation smaller.
const COMPACTED: &str = "The conversation was compacted: a summary stands in its place.";

/// The answer that starts a lost turn over.
const START_OVER: &str = "start over";

/// What to do when tools ran in a session and it is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnLostSession {
    /// A person decides.
    #[default]
    Ask,
    /// The turn starts over: what tools did may be done again.
    Restart,
    /// The run stops.
    Fail,
}

impl Chat {
    /// Something failed: the policy decides.
    pub(super) fn failed(&mut self, failure: Failure, again: Again, moment: Moment) -> Vec<Effect> {
        if self.is_lost(&failure) {
            return self.lost(failure, moment);
        }
        if let Some(name) = failure.needs_key.clone() {
            return self.wants_key(failure, name, moment);
        }
        let progress = &mut self.progress;
        progress.streak.add(&failure, moment.now_ms);
        if failure.class == FailureClass::RuntimeDied {
            // These never become fewer: a turn may kill its runtime with what it does.
            progress.deaths += 1;
            progress.streak.in_class = progress.deaths;
        }
        let since = progress.streak.since.unwrap_or(moment.now_ms);
        let trouble = Trouble {
            failure: failure.clone(),
            tries: progress.streak.tries,
            in_class: progress.streak.in_class,
            elapsed_ms: moment.now_ms.saturating_sub(since),
            parks: progress.parks,
            filtered: progress.filtered,
            can_rerun: (self.can_rerun || !progress.sent) && progress.reruns < MOST_RERUNS,
            patient: self.spec.patient || self.turn.usage().calls > 0,
        };
        self.failure = Some(failure);
        self.again = again;
        self.requesting = false;
        self.phase = Phase::Judging;
        vec![Effect::Unwait(Timer::Idle), Effect::Judge(Box::new(trouble))]
    }

    /// Does what the policy says.
    pub(super) fn judged(&mut self, next: Next, moment: Moment) -> Vec<Effect> {
        if self.phase != Phase::Judging {
            return Vec::new();
        }
        let unknown = || Failure::new(FailureClass::Unknown, "it failed without a reason");
        let failure = self.failure.take().unwrap_or_else(unknown);
        match next {
            Next::Resume { at } | Next::Retry { at } => self.rest(failure, at, moment),
            Next::Compact => {
                self.failure = Some(failure);
                self.phase = Phase::Compacting;
                vec![Effect::Compact]
            }
            Next::Fallback { to } => self.fall_back(&failure, to, moment),
            Next::Park { until } => self.park(failure, until, moment),
            Next::GiveUp { otherwise, .. } => self.give_up(failure, otherwise, moment),
        }
    }

    fn rest(&mut self, failure: Failure, at: u64, moment: Moment) -> Vec<Effect> {
        let mut effects = self.withdraw(&failure.message, moment);
        let delay_ms = at.saturating_sub(moment.now_ms);
        let attempt = self.progress.attempts + 1;
        self.phase = Phase::Resting;
        effects.push(Effect::Emit(Fact::Retrying { attempt, failure, delay_ms }));
        effects.push(Effect::Checkpoint);
        // The session is kept until it is opened again: it is closed first then.
        effects.push(Effect::Wait(Timer::Backoff, delay_ms));
        effects
    }

    fn fall_back(&mut self, failure: &Failure, to: usize, moment: Moment) -> Vec<Effect> {
        let mut effects = self.withdraw(&failure.message, moment);
        let from = self.progress.candidate;
        self.progress.excluded.push(from);
        self.progress.filtered |= failure.class == FailureClass::ContentFilter;
        self.progress.streak.of_another_model();
        effects.extend(self.turn_to(to, failure.message.clone()));
        effects.push(Effect::Checkpoint);
        self.phase = Phase::Opening;
        effects.push(Effect::Open);
        effects
    }

    /// Another model goes on: says so, and what is different about it.
    pub(super) fn turn_to(&mut self, to: usize, reason: String) -> Vec<Effect> {
        let (from, next) = (self.name_of(self.progress.candidate), self.name_of(to));
        self.progress.candidate = to;
        self.progress.fallbacks += 1;
        self.model_told = false;
        let mut effects = vec![Effect::Emit(Fact::Fallback { from, to: next, reason })];
        let warning = self.spec.choices.get(to).and_then(|choice| choice.warning.clone());
        effects.extend(warning.map(|message| {
            Effect::Emit(Fact::Warning { code: "effort_lowered".to_owned(), message })
        }));
        effects
    }

    fn park(&mut self, failure: Failure, until: Option<u64>, moment: Moment) -> Vec<Effect> {
        let Some(until) = until else {
            return self.give_up(failure, Otherwise::Fail, moment);
        };
        let mut effects = self.withdraw(&failure.message, moment);
        let at = resume_at(until, moment);
        let progress = &mut self.progress;
        progress.parks += 1;
        // The first of the chain is worth another look then.
        progress.candidate = 0;
        progress.excluded.clear();
        progress.streak = super::Streak::default();
        effects.extend(self.rest_parked(failure.message, at, None, moment));
        effects
    }

    fn rest_parked(
        &mut self,
        reason: String,
        until: u64,
        needs_key: Option<String>,
        moment: Moment,
    ) -> [Effect; 4] {
        self.progress.parked = Some(until);
        self.phase = Phase::Parked;
        [
            Effect::Emit(Fact::Parked { reason, until, needs_key }),
            Effect::Checkpoint,
            Effect::Release { poisoned: self.again == Again::Reopen },
            Effect::Wait(Timer::Park, until.saturating_sub(moment.now_ms)),
        ]
    }

    /// A key is gone with the daemon that knew it: waits for a client that brings it, as long
    /// as for an answer.
    fn wants_key(&mut self, mut failure: Failure, name: String, moment: Moment) -> Vec<Effect> {
        let known = self.progress.needs_key.take().filter(|key| key.name == name);
        let by = known.map(|key| key.by);
        let by = by.unwrap_or(moment.now_ms.saturating_add(self.spec.ask_timeout_ms));
        if by <= moment.now_ms {
            failure.message = format!("nobody brought the key in time: {}", failure.message);
            return self.give_up(failure, Otherwise::Block, moment);
        }
        let mut effects = self.withdraw(&failure.message, moment);
        self.again = Again::Reopen;
        self.requesting = false;
        self.progress.needs_key = Some(NeedsKey { name: name.clone(), by });
        effects.push(Effect::Unwait(Timer::Idle));
        effects.extend(self.rest_parked(failure.message, by, Some(name), moment));
        effects
    }

    /// The park is over, or somebody does not want to wait for its end.
    pub(super) fn wake(&mut self) -> Vec<Effect> {
        if self.phase != Phase::Parked {
            return Vec::new();
        }
        self.progress.parked = None;
        self.phase = Phase::Opening;
        vec![
            Effect::Unwait(Timer::Park),
            Effect::Emit(Fact::Running),
            Effect::Checkpoint,
            Effect::Open,
        ]
    }

    fn give_up(&mut self, failure: Failure, otherwise: Otherwise, moment: Moment) -> Vec<Effect> {
        let mut effects: Vec<Effect> =
            self.turn.close_tools(moment).into_iter().map(Effect::Emit).collect();
        let verdict = match otherwise {
            _ if failure.class == FailureClass::Cancelled => Verdict::Cancelled(failure),
            Otherwise::Fail | Otherwise::Park => Verdict::Failed(failure),
            Otherwise::Block => Verdict::Blocked(failure),
            Otherwise::Exhaust => Verdict::Exhausted(failure),
        };
        effects.extend(self.finish(verdict));
        effects
    }

    /// The conversation was made smaller, or could not be.
    pub(super) fn compacted(&mut self, result: Result<(), Failure>, moment: Moment) -> Vec<Effect> {
        if self.phase != Phase::Compacting {
            return Vec::new();
        }
        let failure = self.failure.take();
        if self.spec.compact && failure.is_none() {
            return self.compacted_alone(result, moment);
        }
        match (result, failure) {
            (Ok(()), _) => {
                let mut effects = self.withdraw("the conversation was compacted", moment);
                effects.extend(self.rerun());
                effects
            }
            (Err(error), Some(mut failure)) => {
                failure.message = format!("{}; compacting failed: {error}", failure.message);
                self.failed(failure, Again::Reopen, moment)
            }
            (Err(error), None) => self.failed(error, Again::Reopen, moment),
        }
    }

    /// That was all that the run was to do.
    fn compacted_alone(&mut self, result: Result<(), Failure>, moment: Moment) -> Vec<Effect> {
        match result {
            Ok(()) => {
                let told = self.turn.take_messages(vec![COMPACTED.to_owned()]);
                let mut effects: Vec<Effect> = told.into_iter().map(Effect::Emit).collect();
                effects.extend(self.finish(Verdict::Done));
                effects
            }
            Err(failure) => self.give_up(failure, Otherwise::Fail, moment),
        }
    }

    /// Runs the turn again in the session that is open.
    pub(super) fn rerun(&mut self) -> Vec<Effect> {
        self.progress.attempts += 1;
        self.progress.reruns += 1;
        self.phase = Phase::Working;
        self.requesting = true;
        let mut effects = self.drop_questions(&[]);
        effects.extend([self.attempt(), Effect::Checkpoint, Effect::Rerun, self.watch_idle()]);
        effects
    }

    fn withdraw(&mut self, reason: &str, moment: Moment) -> Vec<Effect> {
        self.turn.break_off(reason, moment).into_iter().map(Effect::Emit).collect()
    }

    /// Whether this says that the run's own session is gone, with what tools may have done in
    /// it. What was only read is read again.
    fn is_lost(&self, failure: &Failure) -> bool {
        failure.class == FailureClass::SessionGone
            && self.progress.session.is_some()
            && self.turn.effects().max(self.progress.effects) > 0
    }

    fn lost(&mut self, failure: Failure, moment: Moment) -> Vec<Effect> {
        match self.spec.on_lost_session {
            OnLostSession::Restart => {
                let message = "the session is lost; the turn starts over".to_owned();
                let code = "session_lost".to_owned();
                let mut effects = vec![Effect::Emit(Fact::Warning { code, message })];
                effects.extend(self.start_over());
                effects
            }
            OnLostSession::Fail => self.give_up(failure, Otherwise::Block, moment),
            OnLostSession::Ask => {
                self.phase = Phase::Lost;
                if let Some(open) = self.progress.open.iter().find(|it| it.request == LOST) {
                    // Asked before the daemon was restarted.
                    let left = open.expires_at.saturating_sub(moment.now_ms);
                    let timer = Timer::Ask(open.ask.clone());
                    self.failure = Some(failure);
                    return vec![Effect::Emit(Fact::Asking), Effect::Wait(timer, left)];
                }
                let title = "the session of this run is lost, and tools ran in it: start over?";
                let detail = format!("{failure}. What the tools did may be done again.");
                self.failure = Some(failure);
                let choices = vec![START_OVER.to_owned(), "stop".to_owned()];
                let question = (title.to_owned(), detail);
                self.ask(LOST.to_owned(), None, question, choices, moment)
            }
        }
    }

    /// A person decided about the lost session.
    pub(super) fn lost_answered(&mut self, text: Option<&str>, moment: Moment) -> Vec<Effect> {
        if self.phase != Phase::Lost {
            return Vec::new();
        }
        if text.is_some_and(|text| text.trim() == START_OVER) {
            return self.start_over();
        }
        let gone = || Failure::new(FailureClass::SessionGone, "the session is lost");
        let failure = self.failure.take().unwrap_or_else(gone);
        self.give_up(failure, Otherwise::Block, moment)
    }

    /// Whether a question is the one about the lost session.
    pub(super) fn is_about_loss(request: &str) -> bool {
        request == LOST
    }

    fn start_over(&mut self) -> Vec<Effect> {
        self.failure = None;
        self.progress.session = None;
        self.progress.sent = false;
        self.progress.user_messages = 0;
        self.phase = Phase::Opening;
        let mut effects = self.drop_questions(&[]);
        effects.extend([Effect::Checkpoint, Effect::Open]);
        effects
    }
}
