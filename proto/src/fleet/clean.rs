//! What fleets left on the disk, and what became of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which worktrees and branches of fleets are cleaned up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CleanTarget {
    /// Those of this run, wherever it worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<crate::id::RunId>,
    /// Without a run: those of all runs in the repository of this absolute folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}

/// A worktree or a branch of a fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FleetItem {
    /// The run, by the name that its branch has.
    pub run: String,
    /// The task, by the name that its branch has; absent for what belongs to the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The branch, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The worktree's folder, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What the folder takes on the disk, in bytes.
    pub bytes: u64,
    /// Why it is still there, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer to `fleet.clean`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FleetCleaned {
    /// What is gone.
    pub removed: Vec<FleetItem>,
    /// What is still there, and why.
    pub kept: Vec<FleetItem>,
    /// Bytes of the folders that are gone.
    pub freed_bytes: u64,
}
