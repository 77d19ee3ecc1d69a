//! The plan machine: a task becomes a plan, the plan a file, and its steps are carried out.
//!
//! ```text
//! New --> Drafting --> Writing --> (Reviewing <-> Rereading) --> Executing --> ended
//!            ^  no plan |               | approved                |     ^
//!            +----------+               v                         v     |
//!                                    Approving             a person decides
//! ```
//!
//! Planning is a [`Chat`] in the run's own lane, each step a [`Ralph`] in the lane of its
//! number: inputs go to them, their effects come out, and only their ends stay here.
//!
//! Invariant: the file is the truth. It is read again before each step is chosen; this machine
//! changes nothing in it but the signs in boxes, and only after the checkpoint says so.
//! Invariant: a step whose end is in a checkpoint never runs again in this run, unless a person
//! empties its box.
//! Invariant: check commands that a model proposed run only where a person approved the plan,
//! or said that it is to be trusted.

mod ask;
mod commit;
mod outline;
mod progress;
mod prompt;
mod steps;

use std::collections::BTreeMap;

pub use outline::{Mark, Outline, Step};
pub use progress::{About, Ending, Progress, Stage, StepProgress, Waiting};

use super::chat::{self, Chat, ChatSpec};
use super::failure::{Failure, FailureClass};
use super::machine::{
    Effect, End, Fact, Input, Lane, MAIN, Machine, Reply, Resolution, Tail, Timer, Verdict,
};
use super::moment::Moment;
use super::ralph::Ralph;

/// Answers in a row that are no plan, at most. A model that does not manage by then will not.
const MOST_UNREADABLE: u32 = 3;

/// What a plan needs to know of its request.
#[derive(Debug, Clone)]
pub struct PlanSpec {
    /// What each turn of a step needs; its prompt is made anew for each.
    pub chat: ChatSpec,
    /// The same for planning, which must not change anything.
    pub draft: ChatSpec,
    /// What is to be planned.
    pub task: String,
    /// Where the plan is kept; absolute.
    pub file: String,
    /// What there is of it already.
    pub given: Given,
    /// Whether a person is to approve it.
    pub review: bool,
    /// Whether it is carried out.
    pub execute: bool,
    /// Whether the check commands of a plan that nobody approved are run.
    pub trust: bool,
    /// Steps with lower numbers are taken for done.
    pub from_step: u32,
    /// Steps at work at once, at most. At least 1.
    pub parallel: usize,
    /// What to do about a step that failed, once no other can go on.
    pub on_failure: OnFailure,
    /// The branch for a commit after each step, if there are to be any.
    pub commit: Option<String>,
    /// The most iterations of a step.
    pub max_iterations: u32,
    /// How long a check command may run, in milliseconds.
    pub gate_timeout_ms: u64,
    /// Failed iterations in a row that end a step.
    pub max_errors: u32,
}

/// What there is of a plan when its run begins.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// Nothing: it is to be made.
    Nothing,
    /// Its file.
    File,
    /// The plan itself, not in a file yet.
    Plan(Outline),
}

/// What to do about a step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// A person is asked.
    Ask,
    /// The run ends.
    Stop,
}

/// The machine of a plan.
#[derive(Debug)]
pub struct Plan {
    spec: PlanSpec,
    progress: Progress,
    /// The turn in which it is planned.
    chat: Option<Chat>,
    /// The steps at work.
    running: BTreeMap<u32, Ralph>,
    /// What is being done with files.
    filing: Option<Filing>,
    ended: bool,
}

/// What is being done with the plan's file, or with the repository. One thing at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filing {
    Load,
    Write,
    Mark(u32, Mark),
    /// What was there before the run is looked up.
    Base,
    Commit(u32),
}

impl Plan {
    /// A plan that has not begun.
    pub fn new(spec: PlanSpec) -> Self {
        Self::restored(spec, Progress::default())
    }

    /// A plan that goes on from its checkpoint.
    pub fn restored(spec: PlanSpec, progress: Progress) -> Self {
        let (chat, running) = (None, BTreeMap::new());
        Self { spec, progress, chat, running, filing: None, ended: false }
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
        if self.progress.file.is_none() {
            self.progress.file = Some(self.spec.file.clone());
        }
        match self.progress.stage {
            Stage::New => match self.spec.given.clone() {
                Given::Nothing => {
                    let prompt = prompt::draft(&self.spec.task);
                    effects.extend(self.draft(prompt));
                }
                Given::File => effects.extend(self.reload()),
                Given::Plan(outline) => effects.extend(self.write(outline)),
            },
            Stage::Drafting => {
                effects.push(Effect::Checkpoint);
                effects.extend(self.chat().open());
            }
            Stage::Writing => {
                let outline = self.progress.outline.clone();
                effects.extend(self.write(outline));
            }
            _ => effects.extend(self.reload()),
        }
        effects
    }

    fn recover(&mut self, mut tail: Tail, moment: Moment) -> Vec<Effect> {
        if self.progress.stage == Stage::New {
            return self.start(moment);
        }
        let mut effects: Vec<Effect> = self.watch_total(moment).into_iter().collect();
        if let Some(waiting) = &self.progress.question {
            let left = waiting.expires_at.saturating_sub(moment.now_ms);
            effects.push(Effect::Wait(Timer::Ask(waiting.ask.clone()), left));
        }
        match self.progress.stage.clone() {
            Stage::Drafting => {
                // Before it is sent there is nothing of this turn: what was seen is another's.
                let tail = if self.progress.draft.sent { tail } else { Tail::default() };
                let heard = self.chat().handle(Input::Recover(tail), moment);
                effects.extend(self.pass_draft(heard, moment));
            }
            Stage::Writing => {
                let outline = self.progress.outline.clone();
                effects.extend(self.write(outline));
            }
            Stage::Reviewing => {}
            Stage::New | Stage::Loading | Stage::Approving | Stage::Rereading { .. } => {
                effects.extend(self.load());
            }
            Stage::Executing => {
                if self.progress.question.is_none() {
                    effects.push(Effect::Emit(Fact::Running));
                }
                effects.extend(self.recover_steps(&mut tail.lanes, moment));
            }
        }
        effects
    }

    fn watch_total(&self, moment: Moment) -> Option<Effect> {
        let deadline = self.progress.deadline?;
        Some(Effect::Wait(Timer::Total, deadline.saturating_sub(moment.now_ms)))
    }

    /// Where the plan is kept.
    fn file(&self) -> String {
        self.progress.file.clone().unwrap_or_else(|| self.spec.file.clone())
    }

    /// Reads the file.
    fn load(&mut self) -> Option<Effect> {
        if self.filing.is_some() {
            return None;
        }
        self.filing = Some(Filing::Load);
        Some(Effect::LoadPlan { file: self.file() })
    }

    /// Reads the file, for what comes next.
    fn reload(&mut self) -> Vec<Effect> {
        self.progress.stage = Stage::Loading;
        let mut effects = vec![Effect::Checkpoint];
        effects.extend(self.load());
        effects
    }

    /// Writes the plan to its file.
    fn write(&mut self, outline: Outline) -> Vec<Effect> {
        self.progress.stage = Stage::Writing;
        self.progress.outline = outline.clone();
        self.filing = Some(Filing::Write);
        vec![Effect::Checkpoint, Effect::WritePlan { file: self.file(), outline }]
    }

    /// Begins a turn in which the agent plans, in the session that it has.
    fn draft(&mut self, prompt: String) -> Vec<Effect> {
        let progress = &mut self.progress;
        progress.stage = Stage::Drafting;
        progress.prompt = prompt;
        let before = std::mem::take(&mut progress.draft);
        progress.draft = chat::Progress {
            session: before.session,
            asked: before.asked,
            always: before.always,
            parks: before.parks,
            deadline: progress.deadline,
            ..chat::Progress::default()
        };
        let mut effects = vec![Effect::Checkpoint];
        effects.extend(self.chat().open());
        effects
    }

    /// The turn in which the agent plans.
    fn chat(&mut self) -> &mut Chat {
        let (spec, progress) = (&self.spec.draft, &self.progress);
        self.chat.get_or_insert_with(|| {
            let spec = ChatSpec { prompt: progress.prompt.clone(), ..spec.clone() };
            Chat::restored(spec, progress.draft.clone())
        })
    }

    /// Passes on what planning wants, and takes over when its turn has ended.
    fn pass_draft(&mut self, effects: Vec<Effect>, moment: Moment) -> Vec<Effect> {
        let (mut passed, mut ended) = (Vec::with_capacity(effects.len()), None);
        for effect in effects {
            match effect {
                Effect::Finish(end) => ended = Some(end),
                other => passed.push(other),
            }
        }
        let Some(end) = ended else { return passed };
        if let Some(mut chat) = self.chat.take() {
            passed.extend(chat.close());
            self.progress.draft = chat.progress();
        }
        let answer = end.outcome.content.clone();
        self.progress.sum.add(end.outcome);
        match Ending::of(end.verdict) {
            None => {
                let outline = &self.progress.outline;
                let known = !outline.steps.is_empty();
                let task = if known { outline.task.clone() } else { self.spec.task.clone() };
                passed.push(Effect::ReadPlan { task, answer });
            }
            Some(ending) => passed.extend(self.end_with(ending, moment)),
        }
        passed
    }

    /// The agent's answer was read as a plan, or cannot be.
    fn drafted(&mut self, result: Result<Outline, String>, moment: Moment) -> Vec<Effect> {
        if self.progress.stage != Stage::Drafting || self.chat.is_some() {
            return Vec::new();
        }
        let before = &self.progress.outline;
        let changed = result.and_then(|drafted| match self.progress.only {
            Some(number) => before
                .with_step_of(&drafted, number)
                .ok_or_else(|| format!("it has no step {number}")),
            None => Ok(drafted.with_marks_of(before)),
        });
        match changed {
            Ok(outline) => {
                self.progress.unreadable = 0;
                self.progress.only = None;
                self.write(outline)
            }
            Err(reason) => {
                self.progress.unreadable += 1;
                let (code, message) =
                    ("unreadable_plan".to_owned(), format!("the answer is no plan: {reason}"));
                let mut effects = vec![Effect::Emit(Fact::Warning { code, message })];
                if self.progress.unreadable < MOST_UNREADABLE {
                    effects.extend(self.draft(prompt::again(&reason)));
                    return effects;
                }
                let message =
                    format!("{MOST_UNREADABLE} answers in a row were no plan, the last: {reason}");
                let hint = "ask another model with --plan-model, or write the plan yourself";
                let failure = Failure::new(FailureClass::Unknown, message).with_hint(hint);
                self.progress.stage = Stage::New;
                self.progress.unreadable = 0;
                effects.extend(self.end_with(Ending::Failed(failure), moment));
                effects
            }
        }
    }

    /// The file was read, perhaps after it was written.
    fn loaded(&mut self, result: Result<Outline, String>, moment: Moment) -> Vec<Effect> {
        let Some(filed) = self.filing.take() else { return Vec::new() };
        let stage = self.progress.stage.clone();
        let outline = match result {
            Ok(outline) => outline,
            Err(problem) => return self.not_loaded(&stage, &problem, moment),
        };
        self.progress.outline = outline;
        match stage {
            Stage::Rereading { words } => {
                let (number, rest) = numbered(&words);
                let known = number.filter(|it| self.progress.outline.step(*it).is_some());
                let said = if known.is_some() { rest } else { words.as_str() };
                self.progress.only = known;
                let prompt = prompt::revise(&self.progress.outline, said, known);
                self.draft(prompt)
            }
            Stage::Approving => {
                self.progress.approved = true;
                self.execute(moment)
            }
            Stage::Executing => self.reread_while_executing(filed, moment),
            _ => self.settle(moment),
        }
    }

    fn not_loaded(&mut self, stage: &Stage, problem: &str, moment: Moment) -> Vec<Effect> {
        match stage {
            // A person is asked something already; the file is read again after that.
            Stage::Executing if self.progress.question.is_some() => Vec::new(),
            Stage::Executing => self.ask_about_file(problem, moment),
            Stage::Approving | Stage::Rereading { .. } => {
                self.ask_for_review(Some(problem), moment)
            }
            _ => {
                let message = format!("the plan {}: {problem}", self.file());
                let failure = Failure::new(FailureClass::Usage, message);
                self.end_with(Ending::Failed(failure), moment)
            }
        }
    }

    /// The plan is there: what comes next?
    fn settle(&mut self, moment: Moment) -> Vec<Effect> {
        let told = Fact::Artifact { file: self.file(), kind: "plan".to_owned() };
        let mut effects = vec![Effect::Emit(told)];
        effects.extend(self.tell_steps());
        if self.spec.review && !self.progress.approved {
            effects.extend(self.ask_for_review(None, moment));
        } else if self.spec.execute {
            effects.extend(self.execute(moment));
        } else {
            self.progress.stage = Stage::Loading;
            effects.extend(self.finish(Verdict::Done));
        }
        effects
    }

    /// Ends the run; one that goes on with it takes up what is left.
    fn finish(&mut self, verdict: Verdict) -> Vec<Effect> {
        let mut effects = self.withdraw();
        let mut outcome = self.progress.sum.clone();
        let iterations: u32 = self.progress.steps.values().map(|step| step.iterations).sum();
        outcome.iterations = (iterations > 0).then_some(iterations);
        if self.progress.stage != Stage::Drafting {
            outcome.content.clone_from(&self.progress.outline.text);
        }
        self.ended = true;
        effects.extend([
            Effect::Finish(End { verdict, outcome }),
            Effect::Release { poisoned: false },
        ]);
        effects
    }

    fn hear(&mut self, input: &Input, moment: Moment) -> Vec<Effect> {
        match input {
            Input::Timer(Timer::Total) => {
                let seconds = self.spec.chat.max_duration_ms.unwrap_or_default() / 1_000;
                let message = format!("the run took longer than the {seconds} s it may take");
                let hint = format!("`copexctl runs resume {}` goes on", self.spec.chat.run);
                let failure = Failure::new(FailureClass::Limit, message).with_hint(hint);
                self.end_with(Ending::Exhausted(failure), moment)
            }
            Input::Cancel => {
                let failure = Failure::new(FailureClass::Cancelled, "cancelled");
                self.end_with(Ending::Cancelled(failure), moment)
            }
            Input::Answered(_) | Input::Wake => {
                let lanes: Vec<Lane> = self.running.keys().copied().collect();
                lanes
                    .into_iter()
                    .flat_map(|lane| self.step_hears(lane, input.clone(), moment))
                    .collect()
            }
            // Of a turn that has ended.
            _ => Vec::new(),
        }
    }
}

impl Machine for Plan {
    fn handle(&mut self, input: Input, moment: Moment) -> Vec<Effect> {
        match input {
            _ if self.ended => Vec::new(),
            Input::Start => self.start(moment),
            Input::Recover(tail) => self.recover(tail, moment),
            Input::Of(lane, input) => self.step_hears(lane, *input, moment),
            Input::Drafted(result) => self.drafted(result, moment),
            Input::Loaded(result) => self.loaded(result, moment),
            Input::Based(found) => self.based(found, moment),
            Input::Committed(made) => self.committed(made),
            Input::Answered(resolution) if self.asks(&resolution.ask) => {
                self.answered(resolution, moment)
            }
            Input::Timer(Timer::Ask(ask)) if self.asks(&ask) => {
                let answer = Reply::Deny(Some("nobody answered in time".to_owned()));
                self.answered(Resolution { ask, answer, by_client: false }, moment)
            }
            input => match &mut self.chat {
                Some(chat) => {
                    let effects = chat.handle(input, moment);
                    self.pass_draft(effects, moment)
                }
                None => self.hear(&input, moment),
            },
        }
    }

    fn checkpoint(&self) -> serde_json::Value {
        let mut progress = Progress { draft: self.turn(MAIN), ..self.progress.clone() };
        for (number, ralph) in &self.running {
            let step = progress.steps.entry(*number).or_default();
            step.ralph = Some(Box::new(ralph.progress()));
        }
        super::stored::Stored::Plan(Box::new(progress)).value()
    }

    fn turn(&self, lane: Lane) -> chat::Progress {
        match (lane, &self.chat) {
            (MAIN, Some(chat)) => chat.progress(),
            (MAIN, None) => self.progress.draft.clone(),
            (lane, _) => self.running.get(&lane).map(|it| it.turn(lane)).unwrap_or_default(),
        }
    }
}

/// `3: words` is about step 3.
fn numbered(words: &str) -> (Option<u32>, &str) {
    let text = words.trim();
    let bare = text.strip_prefix("step ").or_else(|| text.strip_prefix("Step ")).unwrap_or(text);
    match bare.split_once(':') {
        Some((number, rest)) => match number.trim().parse() {
            Ok(number) => (Some(number), rest.trim()),
            Err(_) => (None, text),
        },
        None => (None, text),
    }
}

#[cfg(test)]
mod tests;
