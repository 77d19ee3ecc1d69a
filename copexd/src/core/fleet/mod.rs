//! The fleet machine: many tasks side by side, in the order that their dependencies leave.
//!
//! ```text
//! Queued --> Running <-> Asking, Parked --> Done
//!    |          |                     \---> Failed, Exhausted, Blocked, Cancelled
//!    +----------+--> Blocked: a task that it depends on is not done
//! ```
//!
//! Each task is a chat in a lane of its own, or a ralph where it has check commands:
//! inputs go to it, its effects come out, and only its end stays here. Lanes are the tasks'
//! places in the request, from 1; their names on events are the tasks' ids.
//!
//! Invariant: a task whose end is in a checkpoint never runs again in this run.
//! Invariant: a task begins only when all that it depends on are over, so what its prompt
//! names of them does not change any more.

mod finalize;
mod progress;
mod prompt;
mod queue;
mod report;
mod resolve;
mod tasks;
mod tell;
mod trees;
mod width;
mod worker;

use std::collections::BTreeMap;

pub use finalize::{Landing, Merging};
pub use progress::{Answer, Progress, Resolving, Standing, Stop, TaskProgress};
pub use prompt::{Field, Piece};
pub use resolve::RESOLVER;
pub use trees::{Ground, Isolation, Phase, Told, What, Wish};
pub use width::Width;

use super::chat::{self, ChatSpec};
use super::failure::{Failure, FailureClass};
use super::machine::{Effect, End, Fact, Input, Lane, MAIN, Machine, Tail, Timer, Verdict};
use super::moment::Moment;
use super::plan::Ending;
use super::spend::{Caps, Spent};
use worker::Worker;

/// What a fleet needs to know of its request.
#[derive(Debug, Clone)]
pub struct FleetSpec {
    /// What the run as a whole needs: its name, its time, what there is to warn of.
    pub chat: ChatSpec,
    /// The tasks; each in the lane of its place, from 1. Checked: ids differ, dependencies
    /// are there and do not go round in a circle.
    pub tasks: Vec<TaskSpec>,
    /// Tasks at work at once, at most. At least 1.
    pub max_concurrent: usize,
    /// Whether the first task that fails ends the others.
    pub fail_fast: bool,
    /// Whether tasks have folders of their own.
    pub isolation: Isolation,
    /// How those are prepared and merged.
    pub merging: Merging,
    /// What the branch that is checked out gets; none where it stays as it is.
    pub landing: Option<Landing>,
}

/// One task.
#[derive(Debug, Clone)]
pub struct TaskSpec {
    /// Its name inside the fleet.
    pub id: String,
    /// What its turns need; the prompt is made when it begins.
    pub chat: ChatSpec,
    /// What it is told.
    pub prompt: Vec<Piece>,
    /// Lanes of the tasks that must be over before.
    pub depends_on: Vec<Lane>,
    /// Whether it begins although one of those is not done.
    pub goes_on: bool,
    /// Of those that may begin, the one with the highest number begins first.
    pub priority: i32,
    /// How many tasks in a row come before it.
    pub depth: usize,
    /// How long it may work, in milliseconds.
    pub timeout_ms: u64,
    /// Commands that must all exit 0.
    pub gates: Vec<String>,
    /// How long one of them may run, in milliseconds.
    pub gate_timeout_ms: u64,
    /// The most iterations, where there are gates.
    pub max_iterations: u32,
    /// Failed iterations in a row that end it.
    pub max_errors: u32,
    /// The absolute folder that it works in, where it is not the run's.
    pub folder: Option<String>,
    /// What it may spend by itself.
    pub caps: Caps,
}

/// The machine of a fleet.
#[derive(Debug)]
pub struct Fleet {
    spec: FleetSpec,
    progress: Progress,
    /// The tasks at work.
    running: BTreeMap<Lane, Worker>,
    /// How the run ends once its result is where it belongs and its worktrees are cleaned up.
    verdict: Option<Verdict>,
    /// Whether the one of these is under way.
    landing: bool,
    /// Whether the other is.
    cleaning: bool,
    ended: bool,
}

impl Fleet {
    /// A fleet that has not begun.
    pub fn new(spec: FleetSpec) -> Self {
        Self::restored(spec, Progress::default())
    }

    /// A fleet that goes on from its checkpoint.
    pub fn restored(spec: FleetSpec, mut progress: Progress) -> Self {
        for (_, lane) in spec.tasks.iter().zip(1..) {
            progress.tasks.entry(lane).or_default();
        }
        let running = BTreeMap::new();
        Self {
            spec,
            progress,
            running,
            verdict: None,
            landing: false,
            cleaning: false,
            ended: false,
        }
    }

    fn start(&mut self, moment: Moment) -> Vec<Effect> {
        self.progress.begun = true;
        let mut effects = vec![Effect::Emit(Fact::Running)];
        if let Some(most) = self.spec.chat.max_duration_ms {
            self.progress.deadline = Some(moment.now_ms.saturating_add(most));
        }
        effects.extend(self.watch_total(moment));
        for (code, message) in std::mem::take(&mut self.spec.chat.warnings) {
            effects.push(Effect::Emit(Fact::Warning { code, message }));
        }
        if self.spec.isolation == Isolation::None {
            effects.extend(self.no_gate());
        }
        effects.extend(self.tell_kept());
        effects.extend(self.tell());
        effects.push(Effect::Checkpoint);
        effects.extend(self.advance(moment));
        effects
    }

    fn recover(&mut self, mut tail: Tail, moment: Moment) -> Vec<Effect> {
        if !self.progress.begun {
            return self.start(moment);
        }
        let mut effects: Vec<Effect> = self.watch_total(moment).into_iter().collect();
        for lane in self.at_work() {
            let tail = tail.lanes.remove(&lane).unwrap_or_default();
            match self.tend(lane) {
                Some(wish) => effects.push(wish),
                None => effects.extend(self.take_up(lane, tail, moment)),
            }
        }
        effects.extend(self.advance(moment));
        effects
    }

    fn watch_total(&self, moment: Moment) -> Option<Effect> {
        let deadline = self.progress.deadline?;
        Some(Effect::Wait(Timer::Total, deadline.saturating_sub(moment.now_ms)))
    }

    /// What there is to know of a task.
    fn task(&self, lane: Lane) -> Option<&TaskSpec> {
        self.spec.tasks.get(usize::try_from(lane).ok()?.checked_sub(1)?)
    }

    fn id(&self, lane: Lane) -> &str {
        self.task(lane).map_or("", |task| &task.id)
    }

    /// All lanes, in order.
    fn lanes(&self) -> impl Iterator<Item = Lane> + use<> {
        1..=Lane::try_from(self.spec.tasks.len()).unwrap_or(Lane::MAX)
    }

    /// Goes on: begins what is ready; where nothing is and nothing runs, the run ends.
    fn advance(&mut self, moment: Moment) -> Vec<Effect> {
        if self.ended || self.verdict.is_some() {
            return Vec::new();
        }
        let mut effects = Vec::new();
        if self.progress.ending.is_none() {
            if let Some(wish) = self.survey() {
                effects.extend(self.tell());
                effects.push(wish);
                return effects;
            }
            self.settle_waiting();
            while self.at_work().len() < self.progress.width.now(self.spec.max_concurrent) {
                let Some(lane) = self.ready() else { break };
                effects.extend(self.begin(lane, moment));
            }
        }
        effects.extend(self.tell());
        if self.at_work().is_empty() && !self.ended && self.verdict.is_none() {
            self.verdict = Some(match self.progress.ending.clone() {
                Some(ending) => ending.verdict(),
                None => self.verdict(),
            });
            effects.extend(self.close());
        }
        effects
    }

    /// Ends the run as soon as the tasks that are at work have ended; they are stopped.
    fn end_with(&mut self, ending: Ending, moment: Moment) -> Vec<Effect> {
        if self.progress.ending.is_some() {
            return Vec::new();
        }
        let why = ending.failure().message.clone();
        self.progress.ending = Some(ending);
        let mut effects = vec![Effect::Checkpoint];
        for lane in self.at_work() {
            effects.extend(self.stop(lane, Stop::With(why.clone()), moment));
        }
        effects.extend(self.advance(moment));
        effects
    }

    fn finish(&mut self) -> Vec<Effect> {
        let Some(verdict) = self.verdict.take() else { return Vec::new() };
        let mut outcome = self.progress.sum.clone();
        outcome.content = self.report();
        // They had sessions of their own.
        outcome.session = None;
        outcome.iterations = None;
        self.ended = true;
        vec![Effect::Finish(End { verdict, outcome }), Effect::Release { poisoned: false }]
    }

    fn hear(&mut self, input: &Input, moment: Moment) -> Vec<Effect> {
        match input {
            Input::Timer(Timer::Total) => {
                let seconds = self.spec.chat.max_duration_ms.unwrap_or_default() / 1_000;
                let message = format!("the run took longer than the {seconds} s it may take");
                let failure = Failure::new(FailureClass::Limit, message).with_hint(self.way_on());
                self.end_with(Ending::Exhausted(failure), moment)
            }
            Input::Cancel => {
                let failure = Failure::new(FailureClass::Cancelled, "cancelled");
                let failure = failure.with_hint(self.way_on());
                self.end_with(Ending::Cancelled(failure), moment)
            }
            Input::Answered(_) | Input::Wake => {
                let lanes = self.at_work().into_iter();
                lanes.flat_map(|lane| self.task_hears(lane, input.clone(), moment)).collect()
            }
            // The run's own lane has no conversation.
            _ => Vec::new(),
        }
    }

    fn way_on(&self) -> String {
        format!("`copexctl fleet --resume {}` does what is left", self.spec.chat.run)
    }
}

impl Machine for Fleet {
    fn handle(&mut self, input: Input, moment: Moment) -> Vec<Effect> {
        match input {
            _ if self.ended => Vec::new(),
            Input::Start => self.start(moment),
            Input::Recover(tail) => self.recover(tail, moment),
            Input::Of(lane, input) => self.task_hears(lane, *input, moment),
            Input::Tree(told) => self.run_told(*told, moment),
            Input::Based(found) => self.based(found, moment),
            input => self.hear(&input, moment),
        }
    }

    fn checkpoint(&self) -> serde_json::Value {
        let mut progress = self.progress.clone();
        for (lane, worker) in &self.running {
            let task = progress.tasks.entry(*lane).or_default();
            worker.store(task);
        }
        super::stored::Stored::Fleet(Box::new(progress)).value()
    }

    fn turn(&self, lane: Lane) -> chat::Progress {
        self.running.get(&lane).map(Worker::turn).unwrap_or_default()
    }

    fn purse(&self, lane: Lane) -> Option<(Caps, Spent)> {
        let caps = self.task(lane)?.caps;
        let spent = self.progress.tasks.get(&lane)?.spent;
        (caps != Caps::default()).then_some((caps, spent))
    }

    fn folder(&self, lane: Lane) -> Option<String> {
        if let Some(united) = self.united(lane) {
            return Some(united.folder.to_string_lossy().into_owned());
        }
        let own = self.progress.tasks.get(&lane).and_then(|task| task.folder.clone());
        own.or_else(|| self.task(lane)?.folder.clone())
    }

    fn label(&self, lane: Lane) -> Option<String> {
        let of = if self.united(lane).is_some() { RESOLVER } else { "" };
        (lane != MAIN).then(|| format!("{}{of}", self.id(lane)))
    }
}

#[cfg(test)]
mod tests;
