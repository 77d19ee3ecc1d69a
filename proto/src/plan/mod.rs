//! A plan: the steps of a task, as a Markdown file that a person may edit.
//!
//! ```markdown
//! # Plan
//!
//! Build a REST API
//!
//! - [x] **1. Set up the project**
//!   - verify: `cargo build`
//!
//!   A crate with axum and a test.
//!
//! - [ ] **2. Add the routes**
//!   - depends_on: 1
//!   - verify: `cargo test`
//! ```
//!
//! The file is the truth: its boxes say what is done, and what a person changes in it holds
//! from the next step on. Invariant: [`Plan::read`] of what [`Plan::print`] gives is the plan.
//!
//! Not here: carrying a plan out.

mod answer;
mod check;
mod draw;
mod legacy;
mod print;
mod read;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use check::waves;
pub use draw::Drawing;
pub use print::mark;

/// Steps of a plan, at most: a plan with more is not one that a person reads.
pub const MOST_STEPS: usize = 200;

/// Bytes of a plan file, at most.
pub const MOST_BYTES: usize = 1024 * 1024;

/// Check commands of one step, at most.
pub const MOST_CHECKS: usize = 32;

/// A plan. Made by [`Plan::new`], it has at least one step, numbers that differ, and
/// dependencies that exist and do not go round in a circle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// What is planned, in the words of whoever asked.
    pub task: String,
    /// The steps, in the order of the file.
    pub steps: Vec<PlanStep>,
}

/// One step of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PlanStep {
    /// Its number, from 1. Names it for those that depend on it.
    pub number: u32,
    /// What is done in it, in a line.
    pub title: String,
    /// The same in detail, in Markdown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Numbers of the steps that must be done before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<u32>,
    /// Commands that must all exit 0 before it is done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<String>,
    /// What its box says.
    pub mark: Mark,
}

/// What the box of a step says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// `[ ]`: it is to be done.
    #[default]
    Open,
    /// `[x]`: it is done.
    Done,
    /// `[!]`: it was tried and is not done.
    Failed,
    /// `[-]`: it is left out.
    Skipped,
}

impl Mark {
    /// The character in the box.
    pub fn sign(self) -> char {
        match self {
            Self::Open => ' ',
            Self::Done => 'x',
            Self::Failed => '!',
            Self::Skipped => '-',
        }
    }

    /// What a character in a box means.
    pub fn of(sign: char) -> Option<Self> {
        match sign {
            ' ' => Some(Self::Open),
            'x' | 'X' => Some(Self::Done),
            '!' => Some(Self::Failed),
            '-' => Some(Self::Skipped),
            _ => None,
        }
    }

    /// Whether nothing is left to do.
    pub fn settled(self) -> bool {
        matches!(self, Self::Done | Self::Skipped)
    }
}

/// Why a text is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError {
    /// The line it is about, from 1, where it is about one.
    pub line: Option<usize>,
    /// What is wrong there.
    pub reason: String,
}

impl PlanError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { line: None, reason: reason.into() }
    }

    pub(crate) fn at(line: usize, reason: impl Into<String>) -> Self {
        Self { line: Some(line), reason: reason.into() }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for PlanError {}

impl Plan {
    /// A plan of these steps, put into the one form in which plans are written: titles in one
    /// line, text without space around it, dependencies in order and once.
    ///
    /// # Errors
    /// When a step cannot be one, or the steps do not make a plan.
    pub fn new(task: &str, steps: Vec<PlanStep>) -> Result<Self, PlanError> {
        let steps: Vec<PlanStep> = steps.into_iter().map(PlanStep::tidied).collect();
        check::check(&steps, |_| None)?;
        Ok(Self { task: print::block(task), steps })
    }

    /// Reads a plan file.
    ///
    /// # Errors
    /// With the line and the reason.
    pub fn read(text: &str) -> Result<Self, PlanError> {
        read::plan(text)
    }

    /// Reads a model's answer: JSON as asked for, else lines `STEP n: …` as Python copex asks
    /// for them.
    ///
    /// # Errors
    /// With words that the model can make use of.
    pub fn from_answer(task: &str, answer: &str) -> Result<Self, PlanError> {
        answer::plan(task, answer)
    }

    /// Reads a plan as Python copex saves it.
    ///
    /// # Errors
    /// With what is wrong in it.
    pub fn from_python(json: &str) -> Result<Self, PlanError> {
        legacy::plan(json)
    }

    /// The plan as a file.
    pub fn print(&self) -> String {
        print::plan(self)
    }

    /// The plan as a picture in text.
    pub fn draw(&self, drawing: Drawing) -> String {
        draw::plan(self, drawing)
    }

    /// The step with this number.
    pub fn step(&self, number: u32) -> Option<&PlanStep> {
        self.steps.iter().find(|step| step.number == number)
    }
}

impl PlanStep {
    fn tidied(self) -> Self {
        let mut depends_on = self.depends_on;
        depends_on.sort_unstable();
        depends_on.dedup();
        let verify = self.verify.iter().map(|command| command.trim().to_owned());
        let words = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        let title: String = words.chars().filter(|it| !it.is_control()).collect();
        Self {
            title: title.trim().to_owned(),
            detail: print::block(&self.detail),
            depends_on,
            verify: verify.filter(|command| !command.is_empty()).collect(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
