//! What a person wants to know of a run at work, folded from its events. Pure.

use std::collections::{BTreeMap, VecDeque};

use copex_proto::event::{Ask, EventBody, RunEvent, Step, StepState, Usage};
use copex_proto::run::{Mode, RunState};

use super::crew::Crew;
use super::work::{Doing, Work};
use crate::render::commits::{self, Commits};
use crate::render::theme::Look;

/// Notes that are kept for the end.
const NOTES: usize = 50;

/// Iterations that are kept for the end.
const ROUNDS: usize = 200;

/// Steps that are kept. A plan has far fewer.
const STEPS: usize = 1_000;

/// A run as far as its events are known.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// How the agent's words are laid out.
    pub(crate) look: Look,
    /// Its id.
    pub(crate) run: String,
    /// Its mode.
    pub(crate) mode: Option<Mode>,
    /// The first words of its task.
    pub(crate) title: String,
    /// When it was accepted, in Unix milliseconds.
    pub(crate) accepted_at: u64,
    /// The model that is asked or answered last.
    pub(crate) asked: Option<String>,
    /// The present iteration and the last there may be.
    pub(crate) iteration: Option<(u32, u32)>,
    /// The steps of a plan.
    pub(crate) steps: Vec<Step>,
    /// How long the rest of the plan will take, in milliseconds.
    pub(crate) left_ms: Option<u64>,
    /// What it took so far.
    pub(crate) usage: Usage,
    /// What is being done, where there is one who works.
    pub(crate) work: Work,
    /// Those who work side by side, in a fleet or a council.
    pub(crate) crew: Option<Crew>,
    /// The checks of the last iteration that had any.
    pub(crate) gates: Vec<Gate>,
    /// What came of each iteration.
    pub(crate) rounds: VecDeque<Round>,
    /// What a person was told beside it.
    pub(crate) notes: VecDeque<String>,
    /// Questions that wait.
    pub(crate) asks: Vec<Ask>,
    /// The question that is asked in this terminal.
    pub(crate) question: Option<Vec<crate::render::styled::Line>>,
    /// Commits that were made.
    pub(crate) commits: Commits,
    /// What is done for steps that are at work beside the present one, by their numbers.
    beside: BTreeMap<u32, Beside>,
    /// How it ended.
    pub(crate) end: Option<RunState>,
    /// Whether the next gate is the first of its iteration.
    fresh_gates: bool,
}

/// What is done for a step beside the present one.
#[derive(Debug, Default)]
struct Beside {
    work: Work,
    iteration: Option<(u32, u32)>,
}

/// A check that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gate {
    /// Its command.
    pub(crate) command: String,
    /// Its exit status, if it had one.
    pub(crate) exit_code: Option<i32>,
    /// The last line of what it printed.
    pub(crate) last: String,
    /// How long it ran.
    pub(crate) duration_ms: u64,
}

impl Gate {
    /// Whether it lets the run pass.
    pub(crate) fn green(&self) -> bool {
        self.exit_code == Some(0)
    }
}

/// An iteration that was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Its number.
    pub(crate) number: u32,
    /// The step that it belongs to, in a plan.
    pub(crate) step: Option<u32>,
    /// Its checks that ran.
    pub(crate) gates: u32,
    /// The first one that was red.
    pub(crate) red: Option<Gate>,
}

impl Model {
    /// Nothing is known yet.
    pub(crate) fn new(look: Look) -> Self {
        Self { look, ..Self::default() }
    }

    /// Takes an event.
    pub(crate) fn apply(&mut self, event: &RunEvent) {
        let at = event.at;
        if let Some(crew) = &mut self.crew {
            crew.apply(event);
        }
        let other = self.other_step(event);
        match &event.body {
            EventBody::Accepted(accepted) => {
                self.run = event.run.to_string();
                self.mode = Some(accepted.mode);
                self.title.clone_from(&accepted.title);
                self.accepted_at = at;
                self.asked.clone_from(&accepted.model);
                self.crew = Crew::of(accepted.mode);
            }
            EventBody::Iteration { .. } | EventBody::Gate { .. } if self.crew.is_some() => {}
            EventBody::Iteration { .. } | EventBody::Gate { .. } if let Some(number) = other => {
                self.happens_beside(number, event);
            }
            EventBody::Iteration { number, max } => {
                self.iteration = Some((*number, *max));
                self.begin_round(*number);
                self.work.turn_to(Doing::Asked, at);
            }
            EventBody::Step(step) => self.step(step, at),
            EventBody::Gate { command, exit_code, output, duration_ms } => {
                let last = output.trim_end().lines().next_back().unwrap_or_default().to_owned();
                let (command, exit_code) = (command.clone(), *exit_code);
                self.gate(Gate { command, exit_code, last, duration_ms: *duration_ms });
                self.work.turn_to(Doing::Between, at);
            }
            EventBody::Usage(usage) => {
                self.usage.add(usage);
                self.asked.clone_from(&self.usage.model);
            }
            EventBody::Ask(ask) => {
                if self.asks.is_empty() {
                    self.work.since = at;
                }
                self.asks.push(ask.clone());
            }
            EventBody::Answered { ask, .. } => {
                self.asks.retain(|open| open.ask != *ask);
                if self.asks.is_empty() {
                    self.question = None;
                }
                self.work.since = at;
            }
            EventBody::Artifact { file, kind } => {
                let commit = self.commits.note(kind, file).is_some();
                if let Some(line) = commits::other(kind, file).filter(|_| !commit) {
                    self.note_of(event, &line);
                }
            }
            EventBody::Warning { code, message } if code != "gates" => {
                self.note_of(event, &format!("warning: {message}"));
            }
            EventBody::Fallback { from, to, reason } => {
                self.note_of(event, &format!("{to} takes over from {from}: {reason}"));
            }
            body if body.is_terminal() => self.end = ended(body),
            _ if self.crew.is_some() => {}
            _ if let Some(number) = other => self.happens_beside(number, event),
            body => {
                if let EventBody::Attempt(attempt) = body
                    && attempt.model.is_some()
                {
                    self.asked.clone_from(&attempt.model);
                }
                self.work.turn(body, at);
            }
        }
    }

    /// Words of an event: whose they are is said where several work.
    fn note_of(&mut self, event: &RunEvent, text: &str) {
        match event.path.as_deref().filter(|_| self.crew.is_some()) {
            Some(path) => self.note(&format!("[{path}] {text}")),
            None => self.note(text),
        }
    }

    /// Words beside the run, for a person.
    pub(crate) fn note(&mut self, text: &str) {
        if self.notes.len() >= NOTES {
            self.notes.pop_front();
        }
        self.notes.push_back(text.to_owned());
    }

    /// The step that is being done, else the last that was looked at.
    pub(crate) fn present_step(&self) -> Option<&Step> {
        use StepState::{Pending, Running};
        let running = self.steps.iter().rfind(|step| step.state == Running);
        running.or_else(|| self.steps.iter().rfind(|step| step.state != Pending))
    }

    fn begin_round(&mut self, number: u32) {
        self.fresh_gates = true;
        if self.rounds.len() >= ROUNDS {
            self.rounds.pop_front();
        }
        let step = self.present_step().map(|step| step.number);
        self.rounds.push_back(Round { number, step, ..Round::default() });
    }

    fn gate(&mut self, gate: Gate) {
        if std::mem::take(&mut self.fresh_gates) {
            self.gates.clear();
        }
        if let Some(round) = self.rounds.back_mut() {
            round.gates += 1;
            if !gate.green() && round.red.is_none() {
                round.red = Some(gate.clone());
            }
        }
        self.gates.push(gate);
    }

    fn step(&mut self, step: &Step, now: u64) {
        if step.left_ms.is_some() {
            self.left_ms = step.left_ms;
        }
        let before = self.present_step().map(|step| step.number);
        if let Some(known) = self.steps.iter_mut().find(|known| known.number == step.number) {
            known.clone_from(step);
        } else if self.steps.len() < STEPS {
            let at = self.steps.partition_point(|known| known.number < step.number);
            self.steps.insert(at, step.clone());
        }
        let present = self.present_step().map(|step| step.number);
        if let Some(number) = present.filter(|_| before != present) {
            self.turn_to_step(before, number, now);
        }
    }

    /// Another step is the present one: what it does is shown, and what was shown is kept for
    /// as long as its step is at work.
    fn turn_to_step(&mut self, before: Option<u32>, number: u32, now: u64) {
        let new = || Beside { work: Work { since: now, ..Work::default() }, ..Beside::default() };
        let mut shown = self.beside.remove(&number).unwrap_or_else(new);
        std::mem::swap(&mut self.work, &mut shown.work);
        std::mem::swap(&mut self.iteration, &mut shown.iteration);
        self.gates.clear();
        let running = |it: &Step| Some(it.number) == before && it.state == StepState::Running;
        if let Some(step) = self.steps.iter().find(|step| running(step)) {
            self.beside.insert(step.number, shown);
        }
    }

    /// The step that an event belongs to, where that is not the present one.
    fn other_step(&self, event: &RunEvent) -> Option<u32> {
        let number = event.path.as_deref()?.split('/').next()?.parse().ok()?;
        (self.present_step()?.number != number).then_some(number)
    }

    /// What is done for a step beside the present one.
    fn happens_beside(&mut self, number: u32, event: &RunEvent) {
        let beside = self.beside.entry(number).or_default();
        match &event.body {
            EventBody::Iteration { number, max } => {
                beside.iteration = Some((*number, *max));
                beside.work.turn_to(Doing::Asked, event.at);
            }
            EventBody::Gate { .. } => beside.work.turn_to(Doing::Between, event.at),
            body => beside.work.turn(body, event.at),
        }
    }
}

fn ended(body: &EventBody) -> Option<RunState> {
    match body {
        EventBody::Done(_) => Some(RunState::Done),
        EventBody::Failed(_) => Some(RunState::Failed),
        EventBody::Blocked(_) => Some(RunState::Blocked),
        EventBody::Exhausted(_) => Some(RunState::Exhausted),
        EventBody::Cancelled(_) => Some(RunState::Cancelled),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
