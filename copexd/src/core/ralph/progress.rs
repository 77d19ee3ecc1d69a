//! What a loop must know after a crash.

use serde::{Deserialize, Serialize};

use super::stillness::Stillness;
use crate::core::chat;
use crate::core::commits::Commits;
use crate::core::machine::{GateResult, Outcome};

/// The stored part of the machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The present iteration, from 1; 0 before the first.
    pub iteration: u32,
    /// The last there may be.
    pub max: u32,
    /// What is being done in it.
    pub stage: Stage,
    /// Its turn.
    pub turn: chat::Progress,
    /// The last answer, with what all turns of this run that ended took together.
    pub sum: Outcome,
    /// Iterations that failed since the last that did not.
    pub errors: u32,
    /// Gates that ran in this iteration, in order.
    pub gates: Vec<GateResult>,
    /// What the present iteration is told of the one before.
    pub feedback: String,
    /// What has changed of late.
    pub stillness: Stillness,
    /// When the run must be over, in Unix milliseconds.
    pub deadline: Option<u64>,
    /// Where it commits.
    pub commits: Commits,
    /// Whether the present iteration was committed, or needs no commit.
    pub committed: bool,
}

/// What is being done in an iteration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing yet: the next iteration is to begin.
    #[default]
    Between,
    /// The agent works.
    Turn,
    /// The agent has answered: gates run, and it is decided what comes next.
    Checking,
    /// A person is asked.
    Asking {
        /// Names the question.
        ask: String,
        /// The question.
        question: String,
        /// When nobody answers any more, in Unix milliseconds.
        expires_at: u64,
    },
    /// A person is asked whether the next iteration may begin.
    Held {
        /// Names the question.
        ask: String,
        /// When nobody answers any more, in Unix milliseconds.
        expires_at: u64,
    },
    /// The wait before the next iteration.
    Pausing {
        /// Until when, in Unix milliseconds.
        until: u64,
    },
    /// The run has ended.
    Over,
}

impl Progress {
    /// Where an ended loop stands for the run that goes on with it: at its iteration, and
    /// with nothing of what the ended run spent, asked or allowed. Gates run again: the
    /// folder may be another by now.
    pub fn taken_up(self) -> Self {
        let stage = match self.stage {
            Stage::Turn => Stage::Turn,
            Stage::Checking => Stage::Checking,
            Stage::Between
            | Stage::Asking { .. }
            | Stage::Held { .. }
            | Stage::Pausing { .. }
            | Stage::Over => Stage::Between,
        };
        let sum = Outcome { content: self.sum.content, ..Outcome::default() };
        Self {
            iteration: self.iteration,
            max: self.max,
            stage,
            turn: self.turn.taken_up(),
            sum,
            feedback: self.feedback,
            commits: self.commits,
            ..Self::default()
        }
    }

    /// The same, but with a task of its own: the next iteration begins.
    pub fn with_another_task(self) -> Self {
        Self { stage: Stage::Between, feedback: String::new(), ..self.taken_up() }
    }
}
