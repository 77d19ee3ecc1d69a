//! The request of a plan.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RunOptions, is_default, is_false};

/// A plan: made from a task, or given, and carried out step by step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanRequest {
    /// The task to plan. May be empty where a plan is given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub task: String,
    /// Whether to carry the plan out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub execute: bool,
    /// Whether a person is to approve the plan first. It is carried out then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub review: bool,
    /// Absolute path of a plan file to go on with: it is read again before each step, and its
    /// boxes are ticked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<String>,
    /// A plan to begin with, in the form of a plan file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Absolute path of the file for a plan that is not loaded. Default: one in the daemon's
    /// state folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Steps with lower numbers are taken for done (default 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_step: Option<u32>,
    /// The most iterations of a step (default 10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_iterations: Option<u32>,
    /// Seconds that a step's check command may run (default 600). It is killed then, and
    /// counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_timeout_s: Option<f64>,
    /// Failed iterations in a row that end a step (default 3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<u32>,
    /// Steps at work at once, where they do not need each other (default 1, most 16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    /// The model that plans. Default: the one that carries out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_model: Option<String>,
    /// Tools that are offered for planning beside those that only read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan_tools: Vec<String>,
    /// Whether check commands of a plan that nobody approved are run. Those of a loaded plan
    /// always are.
    #[serde(default, skip_serializing_if = "is_false")]
    pub trust: bool,
    /// Whether what a step changed is committed once it is done, on the branch
    /// `copex/plan/RUN`. Nothing else in the repository is touched.
    #[serde(default, skip_serializing_if = "is_false")]
    pub commit: bool,
    /// What to do about a step that failed, once no other can go on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_failure: OnStepFailure,
    /// Everything that is the same in all modes.
    #[serde(flatten)]
    pub options: RunOptions,
}

/// What to do about a plan's step that failed, once no other can go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStepFailure {
    /// A person is asked: retry, skip, edit or stop.
    #[default]
    Ask,
    /// The run ends as the step did.
    Stop,
}
