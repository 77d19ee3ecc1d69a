//! The chat machine: one prompt, one answer, whatever happens to the backend meanwhile.
//!
//! ```text
//! Opening --Opened(Nothing)--> Sending --Sent--> Working --Idle--> ended
//!    ^         Opened(Unfinished) ------------------^  |
//!    |         Opened(Finished) -> ended               | backend gone
//!    +----------------- Backoff <----------------------+
//! ```
//!
//! Invariant: the prompt is sent at most once per session. After any break the
//! transcript is read first ([`Effect::Open`] answers with what it has), and the turn is
//! run again over the history, never by sending the prompt a second time.

mod questions;

use serde::{Deserialize, Serialize};

pub use questions::OpenQuestion;

use super::approval::Policy;
use super::backoff::Backoff;
use super::effort::Effort;
use super::failure::{Failure, FailureClass};
use super::machine::{
    Effect, End, Fact, Found, Input, Machine, Opened, Outcome, Reply, Resolution, Tail, Timer,
    Verdict,
};
use super::moment::Moment;
use super::signal::{Signal, Wish};
use super::turn::Turn;

/// How often a turn goes on after its runtime died. A runtime that dies with the same
/// turn four times dies of that turn.
pub const MOST_RUNTIME_DEATHS: u32 = 3;

/// How long an aborted turn may take to end before its session is given up.
/// The Copilot CLI needs about 10 ms.
pub const ABORT_GRACE_MS: u64 = 5_000;

/// What a chat needs to know of its request.
#[derive(Debug, Clone)]
pub struct ChatSpec {
    /// Names the run, for the names of its questions.
    pub run: String,
    /// Who may do what.
    pub policy: Policy,
    /// The model asked for.
    pub model: Option<String>,
    /// The effort that is sent.
    pub effort: Option<Effort>,
    /// Whether another model than the one asked for is a failure.
    pub strict_model: bool,
    /// Silence of a model request that ends the attempt, in milliseconds.
    pub idle_ms: u64,
    /// How long a question waits, in milliseconds.
    pub ask_timeout_ms: u64,
    /// Tries after the first, at most.
    pub max_retries: u32,
    /// Warnings that came up while the request was read.
    pub warnings: Vec<(String, String)>,
}

/// The stored part of the machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Whether the prompt may have been sent.
    pub sent: bool,
    /// The session, once open.
    pub session: Option<String>,
    /// User messages that the session had before ours.
    pub user_messages: u64,
    /// Tries so far.
    pub attempts: u32,
    /// Deaths of the runtime so far.
    pub deaths: u32,
    /// Tools that ran so far.
    pub tools: u32,
    /// Questions asked so far.
    pub asked: u32,
    /// Wishes that a person allowed for the rest of the run.
    pub always: Vec<String>,
    /// Questions that wait.
    pub open: Vec<OpenQuestion>,
    /// Answers given, by wish, for the case that the backend asks the same again.
    pub decided: Vec<(Wish, Reply)>,
    /// Whether the run was told to end.
    pub cancelled: bool,
}

impl Progress {
    /// Where the turn of an ended run stands for the run that finishes it: its place in the
    /// session, and nothing of what the ended run spent, asked or allowed.
    pub fn taken_up(self) -> Self {
        let Self { sent, session, user_messages, .. } = self;
        Self { sent, session, user_messages, ..Self::default() }
    }

    /// Whether a tool waits for a person's decision, or for its delivery.
    pub fn waits(&self) -> bool {
        !self.decided.is_empty() || self.open.iter().any(|open| open.wish.is_some())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Opening,
    Sending,
    Working,
    Resting,
    Ending,
    Ended,
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
}

impl Chat {
    /// A chat that has not begun.
    pub fn new(spec: ChatSpec) -> Self {
        Self::restored(spec, Progress::default())
    }

    /// A chat that goes on from its checkpoint.
    pub fn restored(spec: ChatSpec, progress: Progress) -> Self {
        Self {
            spec,
            progress,
            phase: Phase::New,
            turn: Turn::default(),
            failure: None,
            requesting: false,
            model_told: false,
        }
    }

    fn start(&mut self) -> Vec<Effect> {
        let mut effects = vec![Effect::Emit(Fact::Running)];
        for (code, message) in std::mem::take(&mut self.spec.warnings) {
            effects.push(Effect::Emit(Fact::Warning { code, message }));
        }
        self.phase = Phase::Opening;
        effects.push(Effect::Open);
        effects
    }

    fn recover(&mut self, tail: Tail) -> Vec<Effect> {
        self.turn = Turn::resumed(tail.usage, tail.tools, tail.messages);
        let mut effects = vec![Effect::Emit(Fact::Running)];
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

    fn opened(&mut self, opened: Opened, moment: Moment) -> Vec<Effect> {
        self.progress.attempts += 1;
        self.progress.session = Some(opened.session.clone());
        let attempt = Effect::Emit(Fact::Attempt {
            number: self.progress.attempts,
            backend: opened.backend,
            session: opened.session,
        });
        match opened.found {
            Found::Nothing => {
                self.progress.sent = true;
                self.progress.user_messages = opened.user_messages;
                self.phase = Phase::Sending;
                // From now on: the first signals may come before the prompt is confirmed.
                self.requesting = true;
                vec![attempt, Effect::Checkpoint, Effect::Send, self.watch_idle()]
            }
            Found::Finished { messages } => {
                let mut effects = vec![attempt];
                if !(self.progress.open.is_empty() && self.progress.decided.is_empty()) {
                    // A runtime that lost its daemon denies what it had asked for.
                    let message = "the agent went on without an answer while copexd was away: \
                                   what it had asked for was not done";
                    let (code, message) = ("answer_lost".to_owned(), message.to_owned());
                    effects.push(Effect::Emit(Fact::Warning { code, message }));
                    effects.extend(self.drop_questions(&[]));
                }
                effects.extend(self.turn.take_messages(messages).into_iter().map(Effect::Emit));
                effects.extend(self.idle(moment));
                effects
            }
            Found::Unfinished { waiting } => {
                self.phase = Phase::Working;
                self.requesting = true;
                let mut effects = vec![attempt, Effect::Checkpoint];
                let requests: Vec<String> = waiting.iter().map(|(it, _)| it.clone()).collect();
                let again = waiting.is_empty();
                for (request, wish) in waiting {
                    effects.extend(self.permission(request, wish, moment));
                }
                effects.extend(self.drop_questions(&requests));
                if again {
                    effects.push(Effect::Rerun);
                    effects.push(self.watch_idle());
                }
                effects
            }
        }
    }

    fn watch_idle(&self) -> Effect {
        Effect::Wait(Timer::Idle, self.spec.idle_ms)
    }

    fn signal(&mut self, signal: Signal, moment: Moment) -> Vec<Effect> {
        if matches!(self.phase, Phase::New | Phase::Opening | Phase::Resting | Phase::Ended) {
            return Vec::new();
        }
        let mut effects: Vec<Effect> =
            self.turn.fold(&signal, moment).into_iter().map(Effect::Emit).collect();
        let mut waiting_ms = 0;
        match signal {
            Signal::Requesting(requesting) => self.requesting = requesting,
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
            Signal::Failed(failure) => self.failure = Some(failure),
            Signal::Idle => {
                effects.push(Effect::Unwait(Timer::Idle));
                effects.extend(self.idle(moment));
                return effects;
            }
            Signal::Closed(failure) => {
                effects.push(Effect::Unwait(Timer::Idle));
                effects.extend(self.broke(failure, moment));
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
        if self.phase == Phase::Ending {
            return effects;
        }
        // The idle watchdog counts only while a model request is in flight: never in a
        // tool, never while a person is asked.
        if self.requesting && !self.turn.in_tool() && self.progress.open.is_empty() {
            // A wait before another try is no silence of the model's.
            effects.push(Effect::Wait(Timer::Idle, self.spec.idle_ms + waiting_ms));
        } else {
            effects.push(Effect::Unwait(Timer::Idle));
        }
        effects
    }

    fn check_model(&mut self, answered: Option<&str>) -> Vec<Effect> {
        let (Some(asked), Some(answered)) = (self.spec.model.as_deref(), answered) else {
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
            return vec![Effect::Abort, Effect::Wait(Timer::AbortGrace, ABORT_GRACE_MS)];
        }
        vec![Effect::Emit(Fact::Warning { code: "model_replaced".to_owned(), message })]
    }

    fn timer(&mut self, timer: Timer, moment: Moment) -> Vec<Effect> {
        match (timer, self.phase) {
            (Timer::Backoff, Phase::Resting) => {
                self.phase = Phase::Opening;
                vec![Effect::Open]
            }
            (Timer::Idle, Phase::Sending | Phase::Working) => {
                let seconds = self.spec.idle_ms / 1_000;
                let message = format!("no sign of life from the model for {seconds} s");
                let hint = "raise `timeout`, or try another model";
                self.failure = Some(Failure::new(FailureClass::Timeout, message).with_hint(hint));
                self.phase = Phase::Ending;
                vec![Effect::Abort, Effect::Wait(Timer::AbortGrace, ABORT_GRACE_MS)]
            }
            (Timer::AbortGrace, Phase::Ending) => self.idle(moment),
            (Timer::Ask(ask), _) => {
                let answer = Reply::Deny(Some("nobody answered in time".to_owned()));
                self.answered(Resolution { ask, answer, by_client: false })
            }
            _ => Vec::new(),
        }
    }

    fn cancel(&mut self) -> Vec<Effect> {
        let failure = Failure::new(FailureClass::Cancelled, "cancelled");
        self.progress.cancelled = true;
        match self.phase {
            Phase::Ended => Vec::new(),
            Phase::New | Phase::Opening | Phase::Resting => {
                self.finish(Verdict::Cancelled(failure))
            }
            Phase::Sending | Phase::Working | Phase::Ending => {
                self.phase = Phase::Ending;
                self.failure = Some(failure);
                vec![
                    Effect::Checkpoint,
                    Effect::Unwait(Timer::Idle),
                    Effect::Abort,
                    Effect::Wait(Timer::AbortGrace, ABORT_GRACE_MS),
                ]
            }
        }
    }

    /// The turn is over, one way or another.
    fn idle(&mut self, moment: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        let failure = self.failure.take().or_else(|| {
            let hint = "try again, or ask another model";
            let silent = || Failure::new(FailureClass::Unknown, "the model gave no answer");
            self.turn.answer().is_empty().then(|| silent().with_hint(hint))
        });
        let verdict = match failure {
            None => Verdict::Done,
            Some(failure) => {
                let facts = self.turn.close_tools(moment);
                effects.extend(facts.into_iter().map(Effect::Emit));
                match failure.class {
                    FailureClass::Cancelled => Verdict::Cancelled(failure),
                    FailureClass::Auth | FailureClass::Quota => Verdict::Blocked(failure),
                    FailureClass::Limit => Verdict::Exhausted(failure),
                    _ => Verdict::Failed(failure),
                }
            }
        };
        effects.extend(self.finish(verdict));
        effects
    }

    /// The backend is gone in the middle of the turn.
    fn broke(&mut self, failure: Failure, moment: Moment) -> Vec<Effect> {
        if self.phase == Phase::Ending {
            return self.idle(moment);
        }
        if self.phase == Phase::Opening {
            // A try that did not get as far as a session is a try as well.
            self.progress.attempts += 1;
        }
        self.progress.deaths += 1;
        let retryable = failure.class == FailureClass::RuntimeDied;
        if !retryable || self.progress.deaths > MOST_RUNTIME_DEATHS.min(self.spec.max_retries) {
            self.failure = Some(failure);
            return self.idle(moment);
        }
        let mut effects: Vec<Effect> =
            self.turn.break_off(&failure.message, moment).into_iter().map(Effect::Emit).collect();
        self.failure = None;
        self.requesting = false;
        self.phase = Phase::Resting;
        let attempt = self.progress.attempts + 1;
        let delay_ms = Backoff::RUNTIME.delay_ms(attempt, moment.chance);
        effects.push(Effect::Emit(Fact::Retrying { attempt, failure, delay_ms }));
        effects.push(Effect::Checkpoint);
        effects.push(Effect::Release { poisoned: true });
        effects.push(Effect::Wait(Timer::Backoff, delay_ms));
        effects
    }

    fn refused(&mut self, failure: Failure, moment: Moment) -> Vec<Effect> {
        match self.phase {
            Phase::Opening | Phase::Sending | Phase::Working | Phase::Ending => {
                self.broke(failure, moment)
            }
            Phase::New | Phase::Resting | Phase::Ended => Vec::new(),
        }
    }

    fn finish(&mut self, verdict: Verdict) -> Vec<Effect> {
        self.phase = Phase::Ended;
        let usage = self.turn.usage().clone();
        let outcome = Outcome {
            content: self.turn.answer().to_owned(),
            model: usage.model.clone().or_else(|| self.spec.model.clone()),
            requested_model: self.spec.model.clone(),
            effort: self.spec.effort,
            retries: self.progress.attempts.saturating_sub(1) + self.turn.asked_again(),
            tools: self.turn.tools_run(),
            session: self.progress.session.clone(),
            usage,
        };
        let poisoned = !matches!(verdict, Verdict::Done);
        vec![Effect::Finish(End { verdict, outcome }), Effect::Release { poisoned }]
    }
}

impl Machine for Chat {
    fn handle(&mut self, input: Input, moment: Moment) -> Vec<Effect> {
        if self.phase == Phase::Ended {
            return Vec::new();
        }
        match input {
            Input::Start => self.start(),
            Input::Recover(tail) => self.recover(tail),
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
                Vec::new()
            }
            Input::Signal(signal) => self.signal(signal, moment),
            Input::Answered(resolution) => self.answered(resolution),
            Input::Timer(timer) => self.timer(timer, moment),
            Input::Cancel => self.cancel(),
        }
    }

    fn checkpoint(&self) -> serde_json::Value {
        let progress = Progress { tools: self.turn.tools_run(), ..self.progress.clone() };
        serde_json::to_value(progress).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
