//! A plan as the machine knows it.

use serde::{Deserialize, Serialize};

/// A plan file that was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outline {
    /// What is planned.
    pub task: String,
    /// The steps, in the order of the file. Their numbers differ, and what they depend on is
    /// there and does not go round in a circle.
    pub steps: Vec<Step>,
    /// The file, word for word.
    pub text: String,
}

/// One step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// Its number, from 1; its lane, too.
    pub number: u32,
    /// What is done in it, in a line.
    pub title: String,
    /// The same in detail.
    pub detail: String,
    /// Steps that must be done before.
    pub depends_on: Vec<u32>,
    /// Commands that must all exit 0.
    pub verify: Vec<String>,
    /// What its box says.
    pub mark: Mark,
}

/// What a box says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mark {
    /// To be done.
    #[default]
    Open,
    /// Done.
    Done,
    /// Tried, and not done.
    Failed,
    /// Left out.
    Skipped,
}

impl Mark {
    /// Whether nothing is left to do.
    pub fn settled(self) -> bool {
        matches!(self, Self::Done | Self::Skipped)
    }
}

impl Outline {
    /// The step with this number.
    pub fn step(&self, number: u32) -> Option<&Step> {
        self.steps.iter().find(|step| step.number == number)
    }

    /// Puts another sign into a step's box.
    pub(super) fn mark(&mut self, number: u32, mark: Mark) {
        if let Some(step) = self.steps.iter_mut().find(|step| step.number == number) {
            step.mark = mark;
        }
    }

    /// This plan with one step as another plan has it; nothing where either lacks it.
    pub(super) fn with_step_of(&self, other: &Self, number: u32) -> Option<Self> {
        let taken = other.step(number)?;
        let mut plan = self.clone();
        let step = plan.steps.iter_mut().find(|step| step.number == number)?;
        let depends_on = step.depends_on.clone();
        // What it depends on may not make sense in the plan that stays.
        *step = Step { mark: step.mark, depends_on, ..taken.clone() };
        Some(plan)
    }

    /// This plan with the signs that steps of the same number and title had before.
    pub(super) fn with_marks_of(mut self, before: &Self) -> Self {
        for step in &mut self.steps {
            let same = before.step(step.number).filter(|known| known.title == step.title);
            step.mark = same.map_or(step.mark, |known| known.mark);
        }
        self
    }
}
