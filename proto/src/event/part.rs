//! Parts of a composite run: a plan's steps, a fleet's tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Usage;
use crate::run::RunState;

/// A plan's step changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Its number in the plan, from 1.
    pub number: u32,
    /// Steps of the plan.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub total: u32,
    /// Its title.
    pub title: String,
    /// Its new state.
    pub state: StepState,
    /// Numbers of the steps that must be done first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<u32>,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How long the steps that are left will take, by those that are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// How a plan's step stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    #[default]
    Pending,
    /// The agent is at it.
    Running,
    /// Done, and its gates are green.
    Done,
    /// It ended otherwise.
    Failed,
    /// A person left it out.
    Skipped,
    /// A step it depends on failed.
    Blocked,
}

/// A fleet's task changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// Its new state. `blocked`: a task that it depends on is not done, or it needs a person.
    pub state: RunState,
    /// Its place among the tasks, from 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub number: u32,
    /// Tasks of the fleet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub total: u32,
    /// Tasks that may be at work at once at this moment: fewer while the model throttles.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub at_once: u32,
    /// Names of the tasks that must be done first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Tries of it, once it is over; with checks, iterations.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// How long it took, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// What it took, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The folder that it works in, where it is not the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}
