//! What a plan must know after a crash.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::outline::{Mark, Outline};
use crate::core::commits::Commits;
use crate::core::failure::Failure;
use crate::core::machine::{Outcome, StepState};
use crate::core::{chat, ralph};

/// The stored part of the machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// The plan file, once it is settled which.
    pub file: Option<String>,
    /// The turn in which it is planned.
    pub draft: chat::Progress,
    /// What that turn is told.
    pub prompt: String,
    /// Answers of it in a row that were no plan.
    pub unreadable: u32,
    /// The step that is being changed, where only one is.
    pub only: Option<u32>,
    /// The plan as it was read last.
    pub outline: Outline,
    /// Whether a person approved it.
    pub approved: bool,
    /// What came of the steps that were begun.
    pub steps: BTreeMap<u32, StepProgress>,
    /// Signs that the file does not have yet.
    pub marks: Vec<(u32, Mark)>,
    /// Steps that are done and not committed yet.
    pub to_commit: Vec<u32>,
    /// The commits of the run.
    pub commits: Commits,
    /// The question to a person that waits.
    pub question: Option<Waiting>,
    /// Questions asked so far.
    pub asked: u32,
    /// What clients were told of the steps.
    pub told: BTreeMap<u32, (String, StepState)>,
    /// The last answer, with what all turns of this run that ended took together.
    pub sum: Outcome,
    /// How the run ends once the steps that are at work have ended.
    pub ending: Option<Ending>,
    /// When the run must be over, in Unix milliseconds.
    pub deadline: Option<u64>,
}

/// What is being done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing yet.
    #[default]
    New,
    /// The agent plans.
    Drafting,
    /// The plan is written to its file.
    Writing,
    /// The file is read, for what comes next.
    Loading,
    /// A person looks at it.
    Reviewing,
    /// A person approved: the file is read as it is now.
    Approving,
    /// A person wants it changed: the file is read as it is now.
    Rereading {
        /// In these words.
        words: String,
    },
    /// Its steps are carried out.
    Executing,
}

/// What came of a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepProgress {
    /// Whether it is at work.
    pub running: bool,
    /// Its loop, begun and not done.
    pub ralph: Option<Box<ralph::Progress>>,
    /// Why it failed, until somebody decides what to do about it.
    pub failed: Option<Ending>,
    /// Its last answer, clipped: for the steps that follow.
    pub answer: String,
    /// Rounds of it.
    pub iterations: u32,
    /// When it began, in Unix milliseconds.
    pub began_at: u64,
    /// How long it took, once it is done.
    pub took_ms: Option<u64>,
}

/// How a run or a step ends that does not end well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With an error.
    Failed(Failure),
    /// Only a person can go on.
    Blocked(Failure),
    /// A limit was reached.
    Exhausted(Failure),
    /// Somebody cancelled.
    Cancelled(Failure),
}

impl Ending {
    /// Why.
    pub fn failure(&self) -> &Failure {
        let (Self::Failed(it) | Self::Blocked(it) | Self::Exhausted(it) | Self::Cancelled(it)) =
            self;
        it
    }
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Names it.
    pub ask: String,
    /// What it is about.
    pub about: About,
    /// When nobody answers any more, in Unix milliseconds.
    pub expires_at: u64,
}

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// Whether the plan is good.
    Review,
    /// A file that cannot be read.
    Broken,
    /// This step, which failed.
    Failed(u32),
}

impl Progress {
    /// The present turn: that of planning, else of the first step at work.
    pub fn turn(&self) -> &chat::Progress {
        let at_work = self.steps.values().find(|step| step.running);
        at_work.and_then(|step| step.ralph.as_ref()).map_or(&self.draft, |ralph| &ralph.turn)
    }

    /// Where an ended plan stands for the run that goes on with it: what is done is done,
    /// steps that failed are tried again, and nothing of what the ended run spent, asked or
    /// allowed counts.
    pub fn taken_up(self) -> Self {
        let stage = match self.stage {
            Stage::New | Stage::Drafting | Stage::Writing => self.stage,
            _ => Stage::Loading,
        };
        let step = |step: StepProgress| StepProgress {
            running: false,
            ralph: step.ralph.map(|ralph| Box::new(ralph.taken_up())),
            failed: None,
            ..step
        };
        Self {
            stage,
            file: self.file,
            draft: self.draft.taken_up(),
            prompt: self.prompt,
            only: self.only,
            outline: self.outline,
            approved: self.approved,
            steps: self.steps.into_iter().map(|(number, it)| (number, step(it))).collect(),
            marks: self.marks,
            to_commit: self.to_commit,
            commits: self.commits,
            ..Self::default()
        }
    }
}
