//! The chat machine: one prompt, one answer, whatever happens to the backend meanwhile.
//!
//! ```text
//! Opening --Opened(Nothing)--> Sending --Sent--> Working --Idle--> ended
//!  ^  ^        Opened(Unfinished) -----------------^  |  ^
//!  |  |        Opened(Finished) -> ended        failed|  |rerun
//!  |  +--- Resting <--- Resume ---+                   v  |
//!  +------ Fallback <-------------+-------------- Judging-+-> ended
//!  +------ Parked <--- Park ------+
//! ```
//!
//! Invariant: the prompt is sent at most once per session. After any break the
//! transcript is read first ([`Effect::Open`] answers with what it has), and the turn is
//! run again over the history, never by sending the prompt a second time.
//! Invariant: what to do about a failure is the policy's word ([`Effect::Judge`]), whatever
//! failed and in whatever state.

mod progress;
mod questions;
mod steering;
mod trouble;
mod working;

pub use progress::{NeedsKey, Progress, Streak};
pub use questions::OpenQuestion;
pub use steering::{MOST_STEERS, STEER_GRACE_MS};
pub use trouble::{MOST_RERUNS, OnLostSession};

use super::approval::Policy;
use super::effort::Effort;
use super::failure::{Failure, FailureClass};
use super::machine::{
    Effect, End, Fact, Found, Input, Lane, Machine, Opened, Outcome, Tail, Timer, Verdict,
};
use super::moment::Moment;
use super::turn::Turn;

/// How long an aborted turn may take to end before its session is given up.
/// The Copilot CLI needs about 10 ms.
pub const ABORT_GRACE_MS: u64 = 5_000;

/// What a chat needs to know of its request.
#[derive(Debug, Clone)]
pub struct ChatSpec {
    /// Names the run.
    pub run: String,
    /// Begins the names of its questions; nobody else's in the run begins with it.
    pub asks: String,
    /// What to say to the agent.
    pub prompt: String,
    /// Whether the conversation is made smaller instead: nothing is said then.
    pub compact: bool,
    /// Who may do what.
    pub policy: Policy,
    /// The models to ask, in order; the first is the one asked for. Never empty.
    pub choices: Vec<Choice>,
    /// Whether another model than the one asked for is a failure.
    pub strict_model: bool,
    /// Silence of a model request that ends the attempt, in milliseconds.
    pub idle_ms: u64,
    /// How long a question waits, in milliseconds.
    pub ask_timeout_ms: u64,
    /// Whether nobody looks on: waits are better than an early end.
    pub patient: bool,
    /// How long the whole run may take, in milliseconds.
    pub max_duration_ms: Option<u64>,
    /// What to do when tools ran in a session and it is lost.
    pub on_lost_session: OnLostSession,
    /// Warnings that came up while the request was read.
    pub warnings: Vec<(String, String)>,
}

/// One of the models to ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Its name; the backend picks one when absent.
    pub model: Option<String>,
    /// Its name for people.
    pub label: String,
    /// The effort that is sent.
    pub effort: Option<Effort>,
    /// What to tell when it is used and that is not the effort asked for.
    pub warning: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Opening,
    Sending,
    Working,
    /// Aborted; the policy decides then.
    Stopping,
    Judging,
    Resting,
    Compacting,
    Parked,
    /// The session is lost; a person decides.
    Lost,
    /// Aborted; the run ends then.
    Ending,
    Ended,
}

/// Where a turn is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// In the session that is open.
    Here,
    /// In the session once it is open again: what it has of the turn must be looked up.
    Reopen,
}

/// The machine of a chat.
#[derive(Debug)]
pub struct Chat {
    spec: ChatSpec,
    progress: Progress,
    phase: Phase,
    turn: Turn,
    failure: Option<Failure>,
    requesting: bool,
    model_told: bool,
    again: Again,
    can_rerun: bool,
    words: steering::Words,
    /// What the backend does beside the turn.
    compaction: working::Compaction,
    backend: String,
}

impl Chat {
    /// A chat that has not begun.
    pub fn new(spec: ChatSpec) -> Self {
        Self::restored(spec, Progress::default())
    }

    /// A chat that goes on from its checkpoint.
    pub fn restored(spec: ChatSpec, progress: Progress) -> Self {
        let words = steering::Words::kept(progress.steers.len());
        Self {
            spec,
            progress,
            words,
            compaction: working::Compaction::None,
            phase: Phase::New,
            turn: Turn::default(),
            failure: None,
            requesting: false,
            model_told: false,
            again: Again::Reopen,
            can_rerun: true,
            backend: String::new(),
        }
    }

    fn start(&mut self, moment: Moment) -> Vec<Effect> {
        let mut effects = vec![Effect::Emit(Fact::Running)];
        if let Some(most) = self.spec.max_duration_ms {
            self.progress.deadline = Some(moment.now_ms.saturating_add(most));
            effects.push(Effect::Wait(Timer::Total, most));
        }
        for (code, message) in std::mem::take(&mut self.spec.warnings) {
            effects.push(Effect::Emit(Fact::Warning { code, message }));
        }
        self.phase = Phase::Opening;
        effects.push(Effect::Open);
        effects
    }

    /// Begins the turn, or takes it up where its progress says, as a part of a run that has
    /// begun already.
    pub(super) fn open(&mut self) -> Vec<Effect> {
        self.phase = Phase::Opening;
        vec![Effect::Open]
    }

    /// Closes what is left open, when the turn has ended and its run goes on.
    pub(super) fn close(&mut self) -> Vec<Effect> {
        let mut effects = self.drop_questions(&[]);
        if !effects.is_empty() {
            effects.push(Effect::Emit(Fact::Running));
        }
        let timers = [Timer::Idle, Timer::Backoff, Timer::Grace, Timer::Park];
        effects.extend(timers.map(Effect::Unwait));
        effects
    }

    /// How the turn stands.
    pub(super) fn progress(&self) -> Progress {
        let (tools, effects) = (self.turn.tools_run(), self.turn.effects());
        Progress { tools, effects, ..self.progress.clone() }
    }

    fn send(&self) -> Effect {
        Effect::Send(self.spec.prompt.clone())
    }

    fn recover(&mut self, tail: Tail, moment: Moment) -> Vec<Effect> {
        self.turn = Turn::resumed(tail.usage, (tail.tools, tail.effects), tail.messages);
        let mut effects = Vec::new();
        // While nobody was there nothing failed.
        self.progress.streak.since = None;
        if let (None, Some(most)) = (self.progress.deadline, self.spec.max_duration_ms) {
            self.progress.deadline = Some(moment.now_ms.saturating_add(most));
        }
        if let Some(deadline) = self.progress.deadline {
            let left = deadline.saturating_sub(moment.now_ms);
            effects.push(Effect::Wait(Timer::Total, left));
        }
        if let (Some(until), false) = (self.progress.parked, self.progress.cancelled) {
            self.phase = Phase::Parked;
            effects.push(Effect::Wait(Timer::Park, until.saturating_sub(moment.now_ms)));
            return effects;
        }
        effects.push(Effect::Emit(Fact::Running));
        for (call, name) in &tail.open_tools {
            effects.push(Effect::Emit(Fact::ToolEnd {
                call: call.clone(),
                name: name.clone(),
                success: false,
                result: "interrupted".to_owned(),
                duration_ms: 0,
            }));
        }
        if tail.unconfirmed_text {
            effects.push(Effect::Emit(Fact::Restarted("the daemon was restarted".to_owned())));
        }
        if self.progress.cancelled {
            let failure = Failure::new(FailureClass::Cancelled, "cancelled");
            effects.extend(self.finish(Verdict::Cancelled(failure)));
            return effects;
        }
        self.phase = Phase::Opening;
        effects.push(Effect::Open);
        effects
    }

    fn attempt(&self) -> Effect {
        let choice = self.spec.choices.get(self.progress.candidate);
        Effect::Emit(Fact::Attempt {
            number: self.progress.attempts,
            backend: self.backend.clone(),
            session: self.progress.session.clone().unwrap_or_default(),
            model: choice.and_then(|choice| choice.model.clone()),
            effort: choice.and_then(|choice| choice.effort),
        })
    }

    fn name_of(&self, candidate: usize) -> String {
        self.spec.choices.get(candidate).map(|choice| choice.label.clone()).unwrap_or_default()
    }

    /// The model that is asked now.
    fn model(&self) -> Option<&str> {
        self.spec.choices.get(self.progress.candidate)?.model.as_deref()
    }

    fn opened(&mut self, opened: Opened, moment: Moment) -> Vec<Effect> {
        self.progress.attempts += 1;
        let before = self.progress.session.replace(opened.session);
        self.progress.needs_key = None;
        self.compaction = working::Compaction::None;
        self.backend = opened.backend;
        self.can_rerun = opened.can_rerun;
        self.words.look(&self.progress.steers, &opened.said);
        let mut effects = Vec::new();
        if before.is_some() && before != self.progress.session {
            let message = "the session was lost before a tool could have changed anything: the \
                           turn starts over in a new one";
            let (code, message) = ("session_lost".to_owned(), message.to_owned());
            effects.push(Effect::Emit(Fact::Warning { code, message }));
        }
        if let Some(message) = opened.repaired {
            let code = "session_repaired".to_owned();
            effects.push(Effect::Emit(Fact::Warning { code, message }));
        }
        if opened.candidate != self.progress.candidate {
            let reason = opened.reason.unwrap_or_default();
            effects.extend(self.turn_to(opened.candidate, reason));
        }
        effects.push(self.attempt());
        effects.extend(self.can_be_told(opened.can_steer));
        match opened.found {
            Found::Nothing if self.spec.compact => {
                self.phase = Phase::Compacting;
                effects.extend([Effect::Checkpoint, Effect::Compact]);
                effects
            }
            Found::Nothing => {
                self.progress.sent = true;
                self.progress.user_messages = opened.user_messages;
                self.phase = Phase::Sending;
                // From now on: the first signals may come before the prompt is confirmed.
                self.requesting = true;
                effects.extend([Effect::Checkpoint, self.send(), self.watch_idle()]);
                effects
            }
            Found::Finished { messages } => {
                if !(self.progress.open.is_empty() && self.progress.decided.is_empty()) {
                    // A runtime that lost its daemon denies what it had asked for.
                    let message = "the agent went on without an answer while copexd was away: \
                                   what it had asked for was not done";
                    let (code, message) = ("answer_lost".to_owned(), message.to_owned());
                    effects.push(Effect::Emit(Fact::Warning { code, message }));
                    effects.extend(self.drop_questions(&[]));
                }
                effects.extend(self.turn.take_messages(messages).into_iter().map(Effect::Emit));
                // Words that came too late for it are said now.
                self.phase = Phase::Working;
                effects.extend(self.idle(moment));
                effects
            }
            Found::Unfinished { waiting } => {
                self.phase = Phase::Working;
                self.requesting = true;
                self.progress.reruns += 1;
                effects.push(Effect::Checkpoint);
                let requests: Vec<String> = waiting.iter().map(|(it, _)| it.clone()).collect();
                let again = waiting.is_empty();
                for (request, wish) in waiting {
                    effects.extend(self.permission(request, wish, moment));
                }
                effects.extend(self.drop_questions(&requests));
                if again {
                    effects.push(Effect::Rerun);
                }
                if self.progress.open.is_empty() {
                    effects.push(self.watch_idle());
                }
                effects
            }
        }
    }

    fn finish(&mut self, verdict: Verdict) -> Vec<Effect> {
        self.phase = Phase::Ended;
        let poisoned = !matches!(verdict, Verdict::Done);
        let outcome = self.outcome();
        vec![Effect::Finish(End { verdict, outcome }), Effect::Release { poisoned }]
    }

    /// What came of the turn so far.
    pub(super) fn outcome(&self) -> Outcome {
        let usage = self.turn.usage().clone();
        Outcome {
            content: self.turn.answer().to_owned(),
            model: usage.model.clone().or_else(|| self.model().map(str::to_owned)),
            requested_model: self.spec.choices.first().and_then(|choice| choice.model.clone()),
            effort: self.spec.choices.get(self.progress.candidate).and_then(|it| it.effort),
            fallbacks: self.progress.fallbacks,
            retries: self.progress.attempts.saturating_sub(1) + self.turn.asked_again(),
            tools: self.turn.tools_run(),
            session: self.progress.session.clone(),
            iterations: None,
            council: None,
            usage,
        }
    }
}

fn no_answer() -> Failure {
    let hint = "try again, or ask another model";
    Failure::new(FailureClass::Unknown, "the model gave no answer").with_hint(hint)
}

impl Machine for Chat {
    fn handle(&mut self, input: Input, moment: Moment) -> Vec<Effect> {
        if self.phase == Phase::Ended {
            return Vec::new();
        }
        match input {
            Input::Start => self.start(moment),
            Input::Recover(tail) => self.recover(tail, moment),
            Input::Opened(opened) if self.phase == Phase::Opening => self.opened(opened, moment),
            Input::Opened(_) => vec![Effect::Release { poisoned: false }],
            Input::Refused(failure) => self.refused(failure, moment),
            Input::Sent(message) => {
                if !message.is_empty() {
                    self.turn.sent(message);
                }
                if self.phase == Phase::Sending {
                    self.phase = Phase::Working;
                }
                self.hand_over().into_iter().collect()
            }
            Input::Steer(text) => self.steer(text),
            Input::Steered(result) => self.steered(result),
            Input::Signal(signal) => self.signal(signal, moment),
            Input::Answered(resolution) => self.answered(resolution, moment),
            Input::Judged(next) => self.judged(next, moment),
            Input::Compacted(result) => self.compacted(result, moment),
            Input::Wake => self.wake(),
            Input::Gated(_)
            | Input::Sensed(_)
            | Input::Drafted(_)
            | Input::Based(_)
            | Input::Committed(_)
            | Input::Tree(_)
            | Input::Loaded(_)
            | Input::Of(..) => Vec::new(),
            Input::Timer(timer) => self.timer(timer, moment),
            Input::Cancel => self.cancel(),
        }
    }

    fn checkpoint(&self) -> serde_json::Value {
        serde_json::to_value(self.progress()).unwrap_or_default()
    }

    fn turn(&self, _lane: Lane) -> Progress {
        self.progress()
    }

    fn steerable(&self) -> Result<(), &'static str> {
        self.takes_words()
    }
}

#[cfg(test)]
mod tests;
