//! The ralph machine: the same task again and again, until it is true.
//!
//! ```text
//! Between --> Turn --Done--> Checking, Commit --green, promised--> ended
//!    ^         |  \             | red, or no promise
//!    |    failed   needs-human  v
//!    +---- Pausing <-- Asking, Sensed
//! ```
//!
//! Each iteration's turn is a [`Chat`] inside this machine, with all that it does about
//! failures: inputs go to it, its effects go out, and only its end stays here.
//!
//! Invariant: the model proposes and copex disposes. The run ends well only when the promise
//! was made, where there is one, and every gate has exited 0 after that answer.
//! Invariant: what ends an iteration's stage is in the checkpoint of the same commit, so after
//! a crash no turn that ended runs again, and no gate that has a result.

mod commit;
mod pause;
mod progress;
mod promise;
mod prompt;
mod stillness;
mod verdict;

pub use progress::{Progress, Stage};

use super::chat::{self, Chat, ChatSpec};
use super::failure::{Failure, FailureClass};
use super::machine::{
    Effect, End, Fact, Input, Lane, Machine, Reply, Resolution, Tail, Timer, Verdict,
};
use super::moment::Moment;
use promise::Said;

/// What a loop needs to know of its request.
#[derive(Debug, Clone)]
pub struct RalphSpec {
    /// What each turn needs; its prompt is made anew for each.
    pub chat: ChatSpec,
    /// The task of every iteration.
    pub task: String,
    /// The text the model must promise.
    pub promise: Option<String>,
    /// Commands that must all exit 0.
    pub gates: Vec<String>,
    /// How long one of them may run, in milliseconds.
    pub gate_timeout_ms: u64,
    /// The most iterations.
    pub max_iterations: u32,
    /// Which session an iteration speaks in.
    pub context: Context,
    /// Failed iterations in a row that end the loop.
    pub max_errors: u32,
    /// The wait between two iterations, in milliseconds.
    pub delay_ms: u64,
    /// The branch on which each iteration is committed; none where it is not.
    pub commit: Option<String>,
    /// Whether a person is asked before each iteration but the first.
    pub pause: bool,
}

/// Which session an iteration speaks in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// All in one.
    Same,
    /// Each in one of its own.
    Fresh,
    /// So many in one, then the next.
    FreshEvery(u32),
}

impl Context {
    /// Whether this iteration begins a session.
    fn begins(self, iteration: u32) -> bool {
        match self {
            Self::Same => false,
            Self::Fresh => true,
            Self::FreshEvery(many) => (iteration.saturating_sub(1)).is_multiple_of(many.max(1)),
        }
    }
}

/// The machine of a loop.
#[derive(Debug)]
pub struct Ralph {
    spec: RalphSpec,
    progress: Progress,
    /// The turn that runs.
    chat: Option<Chat>,
    /// Whether the loop itself gave up, and not what it needs to go on.
    gave_up: bool,
    ended: bool,
}

impl Ralph {
    /// A loop that has not begun.
    pub fn new(spec: RalphSpec) -> Self {
        Self::restored(spec, Progress::default())
    }

    /// A loop that goes on from its checkpoint.
    pub fn restored(spec: RalphSpec, progress: Progress) -> Self {
        Self { spec, progress, chat: None, gave_up: false, ended: false }
    }

    fn start(&mut self, moment: Moment) -> Vec<Effect> {
        let mut effects = vec![Effect::Emit(Fact::Running)];
        if let Some(most) = self.spec.chat.max_duration_ms {
            self.progress.deadline = Some(moment.now_ms.saturating_add(most));
        }
        effects.extend(self.watch_total(moment));
        for (code, message) in std::mem::take(&mut self.spec.chat.warnings) {
            effects.push(Effect::Emit(Fact::Warning { code, message }));
        }
        if self.wants_base() {
            effects.push(self.progress.commits.look());
        } else {
            effects.extend(self.set_out(moment));
        }
        effects
    }

    /// Begins, or goes on where another run ended.
    fn set_out(&mut self, moment: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        let progress = &mut self.progress;
        if progress.iteration == 0 {
            progress.max = self.spec.max_iterations;
        } else if progress.iteration >= progress.max && progress.stage != Stage::Turn {
            // It goes on after its last iteration: as many again.
            progress.max = progress.iteration.saturating_add(self.spec.max_iterations);
        }
        match progress.stage {
            Stage::Turn => {
                progress.turn.deadline = progress.deadline;
                effects.push(self.tell_iteration());
                effects.push(Effect::Checkpoint);
                effects.extend(self.chat().open());
            }
            Stage::Checking => {
                effects.push(self.tell_iteration());
                effects.push(Effect::Checkpoint);
                effects.extend(self.check(moment));
            }
            _ => effects.extend(self.begin()),
        }
        effects
    }

    fn recover(&mut self, tail: Tail, moment: Moment) -> Vec<Effect> {
        if self.progress.iteration == 0 || self.wants_base() {
            return self.start(moment);
        }
        if self.progress.stage == Stage::Turn {
            let effects = self.chat().handle(Input::Recover(tail), moment);
            return self.pass(effects, moment);
        }
        let mut effects: Vec<Effect> = self.watch_total(moment).into_iter().collect();
        match self.progress.stage.clone() {
            Stage::Asking { ask, expires_at, .. } | Stage::Held { ask, expires_at } => {
                let left = expires_at.saturating_sub(moment.now_ms);
                effects.push(Effect::Wait(Timer::Ask(ask), left));
            }
            Stage::Pausing { until } => {
                effects.push(Effect::Wait(Timer::Pause, until.saturating_sub(moment.now_ms)));
            }
            Stage::Checking => effects.extend(self.check(moment)),
            Stage::Between | Stage::Turn | Stage::Over => effects.extend(self.begin()),
        }
        effects
    }

    fn watch_total(&self, moment: Moment) -> Option<Effect> {
        let deadline = self.progress.deadline?;
        Some(Effect::Wait(Timer::Total, deadline.saturating_sub(moment.now_ms)))
    }

    fn prompt(&self) -> String {
        let Progress { iteration, max, feedback, .. } = &self.progress;
        prompt::iteration(&self.spec, (*iteration, *max), feedback)
    }

    /// The turn of the present iteration.
    fn chat(&mut self) -> &mut Chat {
        let prompt = self.prompt();
        let (spec, progress) = (&self.spec.chat, &self.progress.turn);
        self.chat.get_or_insert_with(|| {
            Chat::restored(ChatSpec { prompt, ..spec.clone() }, progress.clone())
        })
    }

    fn tell_iteration(&self) -> Effect {
        let Progress { iteration, max, .. } = self.progress;
        Effect::Emit(Fact::Iteration { number: iteration, max })
    }

    /// Begins the next iteration.
    fn begin(&mut self) -> Vec<Effect> {
        let progress = &mut self.progress;
        progress.iteration += 1;
        progress.stage = Stage::Turn;
        progress.gates.clear();
        progress.committed = false;
        let before = std::mem::take(&mut progress.turn);
        let kept = before.session.filter(|_| !self.spec.context.begins(progress.iteration));
        progress.turn = chat::Progress {
            session: kept,
            asked: before.asked,
            always: before.always,
            parks: before.parks,
            deadline: progress.deadline,
            ..chat::Progress::default()
        };
        let mut effects = vec![self.tell_iteration(), Effect::Checkpoint];
        effects.extend(self.chat().open());
        effects
    }

    /// Passes on what the turn wants, and takes over when it has ended.
    fn pass(&mut self, effects: Vec<Effect>, moment: Moment) -> Vec<Effect> {
        let mut passed = Vec::with_capacity(effects.len());
        let mut ended = None;
        for effect in effects {
            match effect {
                Effect::Finish(end) => ended = Some(end),
                other => passed.push(other),
            }
        }
        let Some(end) = ended else { return passed };
        if let Some(mut chat) = self.chat.take() {
            passed.extend(chat.close());
            self.progress.turn = chat.progress();
        }
        passed.extend(self.turn_ended(end, moment));
        passed
    }

    /// The end at a limit of the loop.
    fn limit(&self, message: String) -> Verdict {
        let hint = format!("`copexctl runs resume {}` goes on", self.spec.chat.run);
        Verdict::Exhausted(Failure::new(FailureClass::Limit, message).with_hint(hint))
    }

    /// The end where only a person can go on.
    fn blocked(&self, message: String) -> Verdict {
        let run = &self.spec.chat.run;
        let hint = format!("settle it, then `copexctl runs resume {run}`");
        Verdict::Blocked(Failure::new(FailureClass::Unknown, message).with_hint(hint))
    }

    fn checks(&self) -> bool {
        self.progress.stage == Stage::Checking
    }

    /// Ends the run.
    fn finish(&mut self, verdict: Verdict) -> Vec<Effect> {
        let mut outcome = self.progress.sum.clone();
        outcome.iterations = Some(self.progress.iteration);
        self.ended = true;
        let end = End { verdict, outcome };
        vec![Effect::Finish(end), Effect::Release { poisoned: false }]
    }

    /// Ends the run; one that goes on with it begins with another iteration.
    fn finish_for_good(&mut self, verdict: Verdict) -> Vec<Effect> {
        self.progress.stage = Stage::Over;
        self.gave_up = verdict != Verdict::Done;
        self.finish(verdict)
    }

    fn hear(&mut self, input: Input, moment: Moment) -> Vec<Effect> {
        match input {
            Input::Based(found) => self.based(found, moment),
            Input::Gated(result) if self.checks() => self.gated(result, moment),
            Input::Committed(made) if self.checks() => self.committed(made, moment),
            Input::Sensed(tree) if self.checks() => self.sensed(tree, moment),
            Input::Answered(resolution) => self.answered(resolution, moment),
            Input::Timer(Timer::Ask(ask)) => {
                let answer = Reply::Deny(Some("nobody answered in time".to_owned()));
                self.answered(Resolution { ask, answer, by_client: false }, moment)
            }
            Input::Timer(Timer::Pause) | Input::Wake => match self.progress.stage {
                Stage::Pausing { .. } => {
                    let mut effects = vec![Effect::Unwait(Timer::Pause)];
                    effects.extend(self.begin());
                    effects
                }
                _ => Vec::new(),
            },
            Input::Timer(Timer::Total) => {
                let seconds = self.spec.chat.max_duration_ms.unwrap_or_default() / 1_000;
                let message = format!("the run took longer than the {seconds} s it may take");
                let verdict = self.limit(message);
                self.finish(verdict)
            }
            Input::Cancel => {
                let failure = Failure::new(FailureClass::Cancelled, "cancelled");
                self.finish(Verdict::Cancelled(failure))
            }
            // Of a turn that has ended.
            _ => Vec::new(),
        }
    }
}

impl Machine for Ralph {
    fn handle(&mut self, input: Input, moment: Moment) -> Vec<Effect> {
        match input {
            _ if self.ended => Vec::new(),
            Input::Start => self.start(moment),
            Input::Recover(tail) => self.recover(tail, moment),
            input => match &mut self.chat {
                Some(chat) => {
                    let effects = chat.handle(input, moment);
                    self.pass(effects, moment)
                }
                None => self.hear(input, moment),
            },
        }
    }

    fn checkpoint(&self) -> serde_json::Value {
        super::stored::Stored::Ralph(Box::new(self.progress())).value()
    }

    fn turn(&self, _lane: Lane) -> chat::Progress {
        self.turn_now()
    }
}

impl Ralph {
    /// Whether it ended because its own limits were reached or the agent is blocked: another
    /// loop may do better. Otherwise what ended it would end others too.
    pub fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// Where it stands.
    pub fn progress(&self) -> Progress {
        Progress { turn: self.turn_now(), ..self.progress.clone() }
    }

    fn turn_now(&self) -> chat::Progress {
        match &self.chat {
            Some(chat) => chat.progress(),
            None => self.progress.turn.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
