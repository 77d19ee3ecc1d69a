//! What comes after a turn: gates, a question, another iteration, or the end.

use super::stillness::{Sense, TOO_MANY};
use super::{Ralph, Said, Stage, promise, prompt};
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{
    Effect, End, Fact, GateResult, Question, Reply, Resolution, Timer, Verdict,
};
use crate::core::moment::Moment;

/// Bytes of a title of a question; all of it stands in the detail.
const TITLE_BYTES: usize = 200;

impl Ralph {
    /// The turn of an iteration has ended.
    pub(super) fn turn_ended(&mut self, end: End, moment: Moment) -> Vec<Effect> {
        self.progress.sum.add(end.outcome);
        match end.verdict {
            Verdict::Done => self.turn_done(moment),
            Verdict::Failed(failure) if counts(&failure) => self.turn_failed(&failure, moment),
            other => self.finish(other),
        }
    }

    fn turn_failed(&mut self, failure: &Failure, moment: Moment) -> Vec<Effect> {
        let progress = &mut self.progress;
        progress.errors += 1;
        if progress.errors >= self.spec.max_errors {
            let message =
                format!("{} iterations in a row failed, the last: {failure}", progress.errors);
            let verdict = self.limit(message);
            self.gave_up = true;
            return self.finish(verdict);
        }
        if matches!(failure.class, FailureClass::SessionGone | FailureClass::SessionCorrupt) {
            progress.turn.session = None;
        }
        let message = format!("iteration {} failed: {failure}", progress.iteration);
        let warning = Fact::Warning { code: "iteration_failed".to_owned(), message };
        let mut effects = vec![Effect::Emit(warning)];
        let words = prompt::failed(&failure.message);
        effects.extend(self.next(words, moment));
        effects
    }

    /// What the last answer says.
    fn said(&self) -> Said {
        promise::read(&self.progress.sum.content, self.spec.promise.as_deref(), &self.prompt())
    }

    fn turn_done(&mut self, moment: Moment) -> Vec<Effect> {
        self.progress.errors = 0;
        self.progress.stage = Stage::Checking;
        let mut effects = vec![Effect::Checkpoint];
        effects.extend(self.check(moment));
        effects
    }

    fn needs_a_person(&mut self, question: &str, why: &str) -> Vec<Effect> {
        let verdict = self.blocked(format!("{why}: {question}"));
        self.finish_for_good(verdict)
    }

    fn ask(&mut self, question: String, moment: Moment) -> Vec<Effect> {
        if self.progress.iteration >= self.progress.max {
            // No iteration is left that could make use of an answer.
            return self.needs_a_person(&question, "the agent needs a person");
        }
        let progress = &mut self.progress;
        progress.turn.asked += 1;
        let ask = format!("{}-{}", self.spec.chat.asks, progress.turn.asked);
        let timeout = self.spec.chat.ask_timeout_ms;
        let expires_at = moment.now_ms.saturating_add(timeout);
        progress.stage = Stage::Asking { ask: ask.clone(), question: question.clone(), expires_at };
        let short = question.len() <= TITLE_BYTES;
        let title = if short { question.clone() } else { "the agent needs a person".to_owned() };
        let detail = if short { String::new() } else { question };
        vec![
            Effect::Emit(Fact::Ask(Question {
                ask: ask.clone(),
                permission: false,
                approval: false,
                title,
                detail,
                choices: Vec::new(),
                always: None,
                expires_at,
            })),
            Effect::Emit(Fact::Asking),
            Effect::Checkpoint,
            Effect::Wait(Timer::Ask(ask), timeout),
        ]
    }

    /// A person answered, or will not.
    pub(super) fn answered(&mut self, resolution: Resolution, moment: Moment) -> Vec<Effect> {
        let (ask, question) = match self.progress.stage.clone() {
            Stage::Asking { ask, question, .. } => (ask, question),
            Stage::Held { ask, .. } if ask == resolution.ask => return self.released(&resolution),
            _ => return Vec::new(),
        };
        if ask != resolution.ask {
            return Vec::new();
        }
        let answer = resolution.answer.clone();
        let mut effects =
            vec![Effect::Unwait(Timer::Ask(ask)), Effect::Emit(Fact::Answered(resolution))];
        match answer {
            Reply::Text(text) => {
                effects.push(Effect::Emit(Fact::Running));
                effects.extend(self.next(prompt::answered(&question, &text), moment));
            }
            Reply::Allow | Reply::AllowAlways => {
                effects.push(Effect::Emit(Fact::Running));
                effects.extend(self.next(prompt::answered(&question, "yes"), moment));
            }
            Reply::Deny(why) => {
                let why = why.unwrap_or_else(|| "a person did not want to answer".to_owned());
                effects.extend(self.needs_a_person(&question, &why));
            }
        }
        effects
    }

    /// Runs the next gate; after the last comes the commit, and then it is decided. For an
    /// agent that does not go on by itself no gate runs.
    pub(super) fn check(&mut self, moment: Moment) -> Vec<Effect> {
        let said = self.said();
        let stops = said.blocked.is_some() || said.question.is_some();
        let index = self.progress.gates.len();
        if let Some(command) = self.spec.gates.get(index).filter(|_| !stops) {
            let (command, timeout_ms) = (command.clone(), self.spec.gate_timeout_ms);
            let begins = Fact::GateStart { command: command.clone() };
            return vec![Effect::Emit(begins), Effect::Gate { index, command, timeout_ms }];
        }
        if let Some(commit) = self.commit() {
            return vec![commit];
        }
        if let Some(reason) = said.blocked {
            let verdict = self.blocked(format!("the agent is blocked: {reason}"));
            return self.finish_for_good(verdict);
        }
        if let Some(question) = said.question {
            return self.ask(question, moment);
        }
        let proven = self.spec.promise.is_some() || !self.spec.gates.is_empty();
        let kept = said.promised || self.spec.promise.is_none();
        if proven && kept && self.all_green() {
            return self.finish_for_good(Verdict::Done);
        }
        if self.progress.iteration >= self.progress.max {
            return self.used_up();
        }
        vec![Effect::Sense]
    }

    /// A gate has ended.
    pub(super) fn gated(&mut self, result: GateResult, moment: Moment) -> Vec<Effect> {
        if result.index != self.progress.gates.len() {
            return Vec::new();
        }
        let command = self.spec.gates.get(result.index).cloned().unwrap_or_default();
        self.progress.gates.push(result.clone());
        let mut effects = vec![Effect::Emit(Fact::Gate { command, result }), Effect::Checkpoint];
        effects.extend(self.check(moment));
        effects
    }

    /// The folder was looked at: does the loop get anywhere?
    pub(super) fn sensed(&mut self, tree: Option<String>, moment: Moment) -> Vec<Effect> {
        let promised = self.said().promised;
        let progress = &mut self.progress;
        let mut words = prompt::not_done(&self.spec, &progress.gates, promised);
        match progress.stillness.note(tree, &progress.gates, &progress.sum.content) {
            Sense::GoOn => {}
            Sense::Pivot => words.push_str(prompt::PIVOT),
            Sense::Stuck => {
                let message = format!(
                    "no progress: in {TOO_MANY} iterations the files, the gates and the answers \
                     stayed the same, and trying something else did not help"
                );
                let verdict = self.limit(message);
                return self.finish_for_good(verdict);
            }
        }
        self.next(words, moment)
    }

    /// Another iteration, if one is left.
    fn next(&mut self, feedback: String, moment: Moment) -> Vec<Effect> {
        if self.progress.iteration >= self.progress.max {
            return self.used_up();
        }
        self.progress.feedback = feedback;
        if self.spec.pause {
            return self.hold(moment);
        }
        if self.spec.delay_ms == 0 {
            return self.begin();
        }
        let until = moment.now_ms.saturating_add(self.spec.delay_ms);
        self.progress.stage = Stage::Pausing { until };
        vec![Effect::Checkpoint, Effect::Wait(Timer::Pause, self.spec.delay_ms)]
    }

    fn used_up(&mut self) -> Vec<Effect> {
        let max = self.progress.max;
        let red = self.progress.gates.iter().find(|gate| !gate.green());
        let why = match red.and_then(|gate| self.spec.gates.get(gate.index)) {
            Some(command) => format!("`{command}` does not pass"),
            None => match &self.spec.promise {
                Some(promise) => format!("the promise \"{promise}\" was not made"),
                None => "there is no promise and no gate that could end the loop".to_owned(),
            },
        };
        let over = if max == 1 { "iteration is over" } else { "iterations are over" };
        let message = format!("{max} {over}, and {why}");
        let verdict = self.limit(message);
        self.finish_for_good(verdict)
    }
}

/// Whether a failed turn is one failed iteration, after which the next may go better. Others
/// end the run: what the user has to change, and limits that nobody is to wait for.
fn counts(failure: &Failure) -> bool {
    !matches!(
        failure.class,
        FailureClass::RateLimit(_)
            | FailureClass::Quota
            | FailureClass::Limit
            | FailureClass::Auth
            | FailureClass::Cancelled
            | FailureClass::Unavailable
            | FailureClass::Usage
    )
}
