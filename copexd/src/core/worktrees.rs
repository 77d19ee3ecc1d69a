//! Worktrees of a fleet: what is asked for, what is answered, and how all of it is named.
//!
//! Invariant: names follow from the ids of run and task alone, so that what a killed daemon
//! left is found by its name and adopted.
//!
//! git keeps a branch as a file: beside `copex/fleet/RUN` there can be no
//! `copex/fleet/RUN/TASK`. The branches of tasks therefore lie beside those of runs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::commits::Baseline;

/// Begins the branches into which runs are merged.
pub const RUN_BRANCHES: &str = "copex/fleet/";

/// Begins the branches of tasks.
pub const TASK_BRANCHES: &str = "copex/fleet-task/";

/// Characters of an id that its name keeps. With its mark it still fits into a file name
/// to which git appends `.lock`.
const NAME_CHARS: usize = 60;

/// A command that prepares or judges a worktree, in the run's folder of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What the shell is given.
    pub command: String,
    /// How long it may take, in milliseconds; then it is killed.
    pub timeout_ms: u64,
}

/// How such a command failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Its exit status; none when it was killed, took too long or could not be run.
    pub exit_code: Option<i32>,
    /// What it printed, clipped.
    pub output: String,
}

/// A worktree that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// The task it is for.
    pub task: String,
    /// The commit that the run started from, by its whole name ([`Report::head`]).
    pub base: String,
    /// The tasks it depends on: it starts from their merge; without any, from `base`.
    pub after: Vec<String>,
    /// Prepares a new worktree (`[fleet] worktree_setup`).
    pub setup: Option<Step>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Created {
    /// It is there and ready.
    Ready(Worktree),
    /// Its dependencies cannot be merged with each other.
    Conflict(Clash),
    /// The command that prepares it failed. The next call begins anew.
    Setup(Failed),
}

/// A worktree that is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worktree {
    /// Its branch, without `refs/heads/`.
    pub branch: String,
    /// Its top level.
    pub path: PathBuf,
    /// The folder in it where the task works: where the run's own folder would be.
    pub folder: PathBuf,
    /// The last commit of its branch.
    pub tip: String,
    /// Whether it was there before, as after a crash.
    pub adopted: bool,
}

/// Branches that cannot be merged by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clash {
    /// The branches that had been merged so far.
    pub ours: Vec<String>,
    /// The branch that does not fit.
    pub theirs: String,
    /// The files in question, from the top level.
    pub files: Vec<String>,
}

/// A commit of all that a task changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The task.
    pub task: String,
    /// The title of the message.
    pub title: String,
    /// What else the message says; may be empty.
    pub detail: String,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The commit; none when nothing had changed since the tip. The same call after a crash
    /// finds the commit that was made before.
    pub commit: Option<String>,
    /// The last commit of the branch now.
    pub tip: String,
    /// Paths that are in no commit, because they are repositories of their own.
    pub left_out: Vec<String>,
}

/// A merge that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// The task whose branch is merged into the run's.
    pub task: String,
    /// The commit that the run started from, where the run's branch begins.
    pub base: String,
    /// Must exit with 0 in the merged tree, before the branch moves.
    pub gate: Option<Step>,
    /// Prepares the folder in which the gate runs (`[fleet] worktree_setup`).
    pub setup: Option<Step>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Merged {
    /// It is in the run's branch, by this commit.
    Done {
        /// The merge commit. For a task that came in with one that depends on it, that one's.
        commit: String,
    },
    /// The task changed nothing that could be merged.
    Nothing,
    /// It does not fit. Both branches stay as they are.
    Conflict(Clash),
    /// The gate, or what prepares its folder, failed. Both branches stay as they are.
    Red(Failed),
}

/// A worktree that is wanted for a merge that does not fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unite {
    /// The task.
    pub task: String,
    /// The commit that the run started from.
    pub base: String,
    /// Prepares the worktree.
    pub setup: Option<Step>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uniting {
    /// It is there.
    Ready(United),
    /// It fits by now.
    Fits,
    /// The command that prepares it failed.
    Setup(Failed),
}

/// A worktree that holds a merge with its conflicts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct United {
    /// The name of the worktree, as a task's.
    pub name: String,
    /// The folder in it to work in.
    pub folder: PathBuf,
    /// The last commit of the run's branch then.
    pub ours: String,
    /// The last commit of the task's.
    pub theirs: String,
    /// The files that do not fit, from the top level.
    pub files: Vec<String>,
}

/// A merge whose conflicts somebody settled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settle {
    /// The task's id, for the message.
    pub id: String,
    /// The merge.
    pub united: United,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is a commit on the branch of its worktree, and can be merged.
    Done,
    /// Files still have conflict markers.
    Markers(Vec<String>),
}

/// The result of a run that is wanted on the branch that the user has checked out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalize {
    /// The branch that was checked out at the start, without `refs/heads/`.
    pub on: String,
    /// The message of a commit that brings all of it; without one the branch is forwarded to
    /// the last commit of the run's.
    pub message: Option<String>,
}

/// The same for a run that worked in the user's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Land {
    /// What was there before the run.
    pub base: Baseline,
    /// The message of the commit.
    pub message: String,
}

/// What became of the wish to have the result on the user's branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finalized {
    /// The user's branch has it.
    Forwarded {
        /// The branch, without `refs/heads/`.
        on: String,
        /// Its last commit.
        commit: String,
        /// Files that the run changed and that are not in it: the user had changed them before,
        /// or they are repositories of their own.
        left_out: Vec<String>,
    },
    /// There is nothing that it has not.
    Nothing,
    /// It has not, and nothing was touched.
    Not {
        /// Why, for people.
        why: String,
    },
}

/// Something because of which there can be no worktrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Problem {
    /// The folder is in no repository.
    NoRepository,
    /// The repository has no files of its own.
    Bare,
    /// There is no commit yet to start from.
    NoCommit,
    /// No branch is checked out.
    Detached,
    /// Something is half done: a merge, a rebase, a cherry-pick, or conflicts.
    HalfDone(String),
    /// This version of git cannot merge without a folder.
    OldGit(String),
    /// git does not answer.
    Broken(String),
}

/// Something to know before the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Caution {
    /// Submodules are empty folders in the worktrees.
    Submodules,
    /// The sparse checkout holds for the worktrees, too.
    Sparse,
    /// What is not committed is not in the worktrees.
    Uncommitted {
        /// Files that git knows and that are changed.
        changed: usize,
        /// Files and folders that git does not know and does not ignore.
        untracked: usize,
    },
}

/// What there is to say of a repository before anything starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The commit that is checked out; empty where there is none.
    pub head: String,
    /// The branch that is checked out, without `refs/heads/`; empty where there is none.
    pub on: String,
    /// Without any of these, worktrees can be made.
    pub problems: Vec<Problem>,
    /// Each is worth one warning.
    pub cautions: Vec<Caution>,
}

/// Something of a run that lies about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The run, by the name that its branch has.
    pub run: String,
    /// The task, by the name that its branch has; none for what belongs to the whole run.
    pub task: Option<String>,
    /// The branch, where there is one.
    pub branch: Option<String>,
    /// The worktree's folder, where there is one.
    pub path: Option<PathBuf>,
    /// What the folder takes on the disk, in bytes.
    pub bytes: u64,
    /// Why it is only removed by force; none when nothing would be lost.
    pub keep: Option<String>,
}

/// What cleaning came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleaned {
    /// What is gone.
    pub removed: Vec<Item>,
    /// What is still there, and why.
    pub kept: Vec<Item>,
}

/// The branch of a run, without `refs/heads/`.
pub fn run_branch(run: &str) -> String {
    format!("{RUN_BRANCHES}{}", name(run))
}

/// The branch of a task, without `refs/heads/`.
pub fn task_branch(run: &str, task: &str) -> String {
    format!("{TASK_BRANCHES}{}/{}", name(run), name(task))
}

/// An id as a part of a branch and as a folder: two ids have two names, and an id of plain
/// letters, digits, `-` and `_` is its own.
pub fn name(id: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let kept: String = id.chars().filter(plain).take(NAME_CHARS).collect();
    if kept == id && !id.is_empty() && !id.starts_with('-') {
        return kept;
    }
    // The dot is in no plain id, so that no two can meet.
    format!("_{kept}.{:016x}", fnv(id.as_bytes()))
}

/// FNV-1a: it must be the same in every version of copex.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_id_is_its_own_name_and_every_other_has_one_of_its_own() {
        assert_eq!(task_branch("r1", "add-tests_2"), "copex/fleet-task/r1/add-tests_2");
        assert_eq!(run_branch("r1"), "copex/fleet/r1");
        let odd =
            ["", ".", "..", "a b", "a/b", "a.b", "ab.lock", "-a", "ä", "a\nb", "@{", "~^:?*["];
        let long = ["x".repeat(61), "x".repeat(300)];
        let all = odd.into_iter().chain(long.iter().map(String::as_str));
        let mut names: Vec<String> = all.map(name).collect();
        for name in &names {
            assert!(name.starts_with('_') && name.len() < 100 && name.is_ascii(), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)));
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 14);
        assert_eq!(name("a b"), "_ab.e63f991904833892", "kept for ever");
    }
}
