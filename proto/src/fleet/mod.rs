//! The tasks of a fleet: read from files, checked, and put in order.
//!
//! Client and daemon use the same checks: the client before it sends anything, the daemon
//! again, since others may send as well. Nothing here looks at a disk.
//!
//! Not here: carrying tasks out.

mod check;
mod clean;
mod graph;
mod lines;
mod read;
pub mod template;

use std::fmt;

use serde::Serialize;

pub use check::check;
pub use clean::{CleanTarget, FleetCleaned, FleetItem};
pub use graph::{depths, waves};
pub use read::{Format, read};

use crate::run::FleetTask;

/// Tasks of a fleet, at most. Few are at work at once, but each has a session on the disk and
/// its result in every checkpoint; who has more of them has several fleets.
pub const MOST_TASKS: usize = 500;

/// Tasks at once, at most: each is a session with tools at work on one machine.
pub const MOST_CONCURRENT: u32 = 32;

/// Bytes of a task file, at most.
pub const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Check commands of one task, at most.
pub const MOST_CHECKS: usize = 32;

/// What a task file says.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FleetFile {
    /// The tasks, in the order of the file.
    pub tasks: Vec<FleetTask>,
    /// The most tasks at once.
    pub max_concurrent: Option<u32>,
    /// Whether the first task that fails ends the others.
    pub fail_fast: Option<bool>,
    /// What every task is told before its prompt.
    pub shared_context: Option<String>,
    /// Seconds that a task may work.
    pub timeout: Option<f64>,
    /// Commands that prepare each new worktree.
    pub worktree_setup: Option<Vec<String>>,
    /// Command that must exit 0 in the merged tree.
    pub merge_gate: Option<String>,
    /// Whether a further turn merges what does not fit.
    pub resolve_conflicts: Option<bool>,
}

/// Why something is no fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetError {
    /// What is wrong, and where.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl FleetError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: None }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for FleetError {}

#[cfg(test)]
mod tests;
