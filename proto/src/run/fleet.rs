//! The request of a fleet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RunOptions, is_default, is_false};
use crate::effort::Effort;
use crate::spend::SpendLimits;

/// A fleet: many tasks side by side, each in a session of its own, in the order that their
/// dependencies leave.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FleetRequest {
    /// The tasks. At least 1, at most [`crate::fleet::MOST_TASKS`].
    pub tasks: Vec<FleetTask>,
    /// The most tasks at once (default 5, most 32). Fewer while the model throttles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// Whether the first task that fails ends the others.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fail_fast: bool,
    /// What every task is told before its prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_context: Option<String>,
    /// Seconds that a task may work, where it does not say itself (default 3,600). Waits for a
    /// person or for the end of a limit do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_timeout_s: Option<f64>,
    /// The most iterations of a task that has `verify` (default 10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_iterations: Option<u32>,
    /// Seconds that a check command may run (default 600). It is killed then, and counts as
    /// failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_timeout_s: Option<f64>,
    /// Whether tasks have working folders of their own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub isolation: Isolation,
    /// Whether the branch that is checked out gets what the tasks changed, once they are over:
    /// from worktrees by a fast-forward, else by a commit of what they changed and nothing else.
    #[serde(default, skip_serializing_if = "is_false")]
    pub git_finalize: bool,
    /// The message of the commit that is made for it (default: the prompts, shortened). With
    /// worktrees, such a commit is only made where there is a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_message: Option<String>,
    /// Command that must exit 0 in the merged tree before a task's merge counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_gate: Option<String>,
    /// Seconds that it may run (default 600). It is killed then, and counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_gate_timeout_s: Option<f64>,
    /// Commands that prepare each new worktree, in this order, where the task will work. They
    /// have the user's top level in `COPEX_SOURCE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub worktree_setup: Vec<String>,
    /// Seconds that they may run together (default 600).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup_timeout_s: Option<f64>,
    /// Whether a task that does not fit what was merged before it is merged by a further turn,
    /// in a worktree that holds the merge with its conflicts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub resolve_conflicts: bool,
    /// What a task may spend, where it does not say itself. The run's own limits hold beside.
    #[serde(default, skip_serializing_if = "is_default")]
    pub task_limits: SpendLimits,
    /// Everything that is the same in all modes.
    #[serde(flatten)]
    pub options: RunOptions,
}

/// One task of a fleet. What is absent is the fleet's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FleetTask {
    /// Its name inside the fleet, and the `path` of its events.
    pub id: String,
    /// What to do. `{{task:ID.FIELD}}` is what came of a task that it depends on.
    pub prompt: String,
    /// Names of the tasks that must be done first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// What to do when one of those is not done.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_dependency_failure: OnDependencyFailure,
    /// Of the tasks that may begin, the one with the highest number begins first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: i32,
    /// Commands that must all exit 0 before it is done. With them it is tried again, in the
    /// same session, until they do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<String>,
    /// The model to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How hard to think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<Effort>,
    /// Absolute working folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Tools that are not offered, beside those of the fleet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_tools: Vec<String>,
    /// Absolute folders that hold skills, beside those of the fleet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills_dirs: Vec<String>,
    /// Only these skills are offered, by name. Absent: as the fleet says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skills: Option<Vec<String>>,
    /// MCP servers by name, beside those of the fleet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mcp_servers: BTreeMap<String, serde_json::Value>,
    /// Seconds that it may work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_sec: Option<f64>,
    /// What it may spend.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: SpendLimits,
}

/// What a task does when a task that it depends on is not done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDependencyFailure {
    /// It is not begun.
    #[default]
    Block,
    /// It begins all the same.
    Continue,
}

/// Whether the tasks of a fleet have working folders of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Where that is possible and more than one task may be at work.
    #[default]
    Auto,
    /// Each task in a git worktree.
    Worktree,
    /// All in the run's folder, or in the one that a task names.
    None,
}
