//! What a person wants to know of a run at work, folded from its events. Pure.

use std::collections::VecDeque;

use copex_proto::event::{Ask, EventBody, RunEvent, Step, ToolStart, Usage};
use copex_proto::run::{Mode, RunState};

use crate::render::commits::Commits;
use crate::render::telling;

/// Bytes of the agent's last words that are kept: more than any screen shows.
const WORDS: usize = 16 * 1024;

/// Notes that are kept for the end.
const NOTES: usize = 50;

/// Iterations that are kept for the end.
const ROUNDS: usize = 200;

/// Steps that are kept. A plan has far fewer.
const STEPS: usize = 1_000;

/// A run as far as its events are known.
#[derive(Debug, Default)]
pub(crate) struct Model {
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
    /// What is being done.
    pub(crate) doing: Doing,
    /// When that began, in Unix milliseconds.
    pub(crate) since: u64,
    /// The checks of the last iteration that had any.
    pub(crate) gates: Vec<Gate>,
    /// What came of each iteration.
    pub(crate) rounds: VecDeque<Round>,
    /// The agent's last words.
    pub(crate) words: String,
    /// What a person was told beside it.
    pub(crate) notes: VecDeque<String>,
    /// Questions that wait.
    pub(crate) asks: Vec<Ask>,
    /// The question that is asked in this terminal.
    pub(crate) question: Option<String>,
    /// Commits that were made.
    pub(crate) commits: Commits,
    /// How it ended.
    pub(crate) end: Option<RunState>,
    /// Whether the words are of a whole message: what comes next replaces them.
    whole: bool,
    /// Whether the next gate is the first of its iteration.
    fresh_gates: bool,
}

/// What is being done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Nothing that was told.
    #[default]
    Starting,
    /// The model was asked and has said nothing yet.
    Asked,
    /// The model answers.
    Answering,
    /// A tool runs.
    Tool {
        /// Its name.
        name: String,
        /// The argument that says most.
        argument: String,
    },
    /// A check runs.
    Gate {
        /// Its command.
        command: String,
    },
    /// It waits before another try.
    Retrying {
        /// Until when, in Unix milliseconds.
        until: u64,
        /// What failed.
        why: String,
    },
    /// It waits for the end of a limit.
    Parked {
        /// Until when, in Unix milliseconds, where that is known.
        until: Option<u64>,
        /// Which.
        why: String,
    },
    /// Something is settled between two iterations.
    Between,
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
    /// Takes an event.
    pub(crate) fn apply(&mut self, event: &RunEvent) {
        let at = event.at;
        match &event.body {
            EventBody::Accepted(accepted) => {
                self.run = event.run.to_string();
                self.mode = Some(accepted.mode);
                self.title.clone_from(&accepted.title);
                self.accepted_at = at;
                self.asked.clone_from(&accepted.model);
            }
            EventBody::Iteration { number, max } => {
                self.iteration = Some((*number, *max));
                self.begin_round(*number);
                self.turn_to(Doing::Asked, at);
            }
            EventBody::Step(step) => self.step(step),
            EventBody::Gate { command, exit_code, output, duration_ms } => {
                let last = output.trim_end().lines().next_back().unwrap_or_default().to_owned();
                let (command, exit_code) = (command.clone(), *exit_code);
                self.gate(Gate { command, exit_code, last, duration_ms: *duration_ms });
                self.turn_to(Doing::Between, at);
            }
            EventBody::Usage(usage) => {
                self.usage.add(usage);
                self.asked.clone_from(&self.usage.model);
            }
            EventBody::Ask(ask) => {
                if self.asks.is_empty() {
                    self.since = at;
                }
                self.asks.push(ask.clone());
            }
            EventBody::Answered { ask, .. } => {
                self.asks.retain(|open| open.ask != *ask);
                if self.asks.is_empty() {
                    self.question = None;
                }
                self.since = at;
            }
            EventBody::Artifact { file, kind } => {
                let line = self.commits.note(kind, file);
                if line.is_none() && kind != "changes" {
                    self.note(&format!("{kind}: {file}"));
                }
            }
            EventBody::Warning { code, message } if code != "gates" => {
                self.note(&format!("warning: {message}"));
            }
            EventBody::Fallback { from, to, reason } => {
                self.note(&format!("{to} takes over from {from}: {reason}"));
            }
            body if body.is_terminal() => self.end = ended(body),
            body => self.turn(body, at),
        }
    }

    /// What belongs to a turn.
    fn turn(&mut self, body: &EventBody, at: u64) {
        match body {
            EventBody::Attempt(attempt) => {
                if attempt.model.is_some() {
                    self.asked.clone_from(&attempt.model);
                }
                self.turn_to(Doing::Asked, at);
            }
            EventBody::MessageDelta { text } => {
                self.say(text);
                self.turn_to(Doing::Answering, at);
            }
            EventBody::Message { text } => {
                self.words.clear();
                self.whole = false;
                self.say(text);
                self.whole = true;
                self.turn_to(Doing::Asked, at);
            }
            EventBody::ReasoningDelta { .. } => self.turn_to(Doing::Answering, at),
            EventBody::ToolStart(tool) => {
                let (name, argument) = (tool.name.clone(), argument(tool));
                self.whole = true;
                self.turn_to(Doing::Tool { name, argument }, at);
            }
            EventBody::ToolEnd(_) => self.turn_to(Doing::Asked, at),
            EventBody::GateStart { command } => {
                self.turn_to(Doing::Gate { command: command.clone() }, at);
            }
            EventBody::Retrying(retry) => {
                let (until, why) = (at + retry.delay_ms, retry.error.message.clone());
                self.turn_to(Doing::Retrying { until, why }, at);
            }
            EventBody::Parked { reason, until } => {
                self.turn_to(Doing::Parked { until: *until, why: reason.clone() }, at);
            }
            EventBody::Restarted { .. } => {
                self.words.clear();
                self.turn_to(Doing::Asked, at);
            }
            EventBody::State { state: RunState::Running } if self.doing != Doing::Starting => {
                self.turn_to(Doing::Asked, at);
            }
            _ => {}
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
        use copex_proto::event::StepState::{Pending, Running};
        let running = self.steps.iter().rfind(|step| step.state == Running);
        running.or_else(|| self.steps.iter().rfind(|step| step.state != Pending))
    }

    fn turn_to(&mut self, doing: Doing, at: u64) {
        if self.doing != doing {
            (self.doing, self.since) = (doing, at);
        }
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

    fn step(&mut self, step: &Step) {
        if step.left_ms.is_some() {
            self.left_ms = step.left_ms;
        }
        if let Some(known) = self.steps.iter_mut().find(|known| known.number == step.number) {
            known.clone_from(step);
        } else if self.steps.len() < STEPS {
            let at = self.steps.partition_point(|known| known.number < step.number);
            self.steps.insert(at, step.clone());
        }
    }

    /// A piece of the agent's words.
    fn say(&mut self, text: &str) {
        if std::mem::take(&mut self.whole) {
            self.words.clear();
        }
        self.words.push_str(text);
        if self.words.len() > WORDS {
            let from = self.words.ceil_char_boundary(self.words.len() - WORDS / 2);
            self.words.drain(..from);
        }
    }
}

fn argument(tool: &ToolStart) -> String {
    telling(tool).unwrap_or_default().to_owned()
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
