//! What one agent is doing, folded from its events. Pure.

use copex_proto::event::{EventBody, ToolStart};
use copex_proto::run::RunState;

use crate::render::{held_back, telling};

/// Bytes of the agent's last words that are kept: more than any screen shows, and a whole plan.
pub(super) const WORDS: usize = 64 * 1024;

/// An agent at work.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// What is being done.
    pub(crate) doing: Doing,
    /// When that began, in Unix milliseconds.
    pub(crate) since: u64,
    /// The agent's last words.
    pub(crate) words: String,
    /// Whether the words are of a whole message: what comes next replaces them.
    pub(super) whole: bool,
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
        /// What it waits for, where nobody was asked and nothing failed.
        held_back: Option<&'static str>,
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

impl Work {
    /// What belongs to a turn.
    pub(super) fn turn(&mut self, body: &EventBody, at: u64) {
        match body {
            EventBody::Attempt(_) | EventBody::ToolEnd(_) => self.turn_to(Doing::Asked, at),
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
            EventBody::GateStart { command } => {
                self.turn_to(Doing::Gate { command: command.clone() }, at);
            }
            EventBody::Retrying(retry) => {
                let (until, why) = (at + retry.delay_ms, retry.error.message.clone());
                let held_back = held_back(retry);
                self.turn_to(Doing::Retrying { until, why, held_back }, at);
            }
            EventBody::Parked { reason, until, needs_key } => {
                let key = needs_key.as_ref().map(|name| format!("needs the key in {name}"));
                let why = key.unwrap_or_else(|| reason.clone());
                self.turn_to(Doing::Parked { until: *until, why }, at);
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

    /// Whether it waits for the end of a limit.
    pub(super) fn is_parked(&self) -> bool {
        matches!(self.doing, Doing::Parked { .. })
    }

    /// Notes what is being done.
    pub(super) fn turn_to(&mut self, doing: Doing, at: u64) {
        if self.doing != doing {
            (self.doing, self.since) = (doing, at);
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
