//! Worktrees of a fleet: each task has a folder and a branch of its own, and what is good
//! is merged into the branch of the run.
//!
//! Worktrees lie outside the user's tree, at `ROOT/RUN/TASK`, on `copex/fleet-task/RUN/TASK`;
//! merges go on `copex/fleet/RUN`. They are made of objects, without any checkout.
//!
//! Invariant: the user's files, index, `HEAD`, branches and stash stay as they are; only
//! `finalize` moves them, and only where git can do it without losing anything.
//! Invariant: each function may be called again after a crash at any point. Names follow
//! from ids, a worktree is used once its mark says that it is whole, a branch moves from
//! where it was seen, and commits and merges are found by their marks.
//! Invariant: what is in no other branch is only removed by force.
//!
//! Not here: which task is next, and what a conflict means for others (the fleet's machine).

mod branch;
mod check;
mod clean;
mod commit;
mod create;
mod finalize;
mod folder;
mod locks;
mod merge;
mod repo;
mod resolve;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::gate::{self, Workplace};
use super::git;
use crate::core::worktrees::{self, Failed, Step};

pub(super) use branch::{common, move_branch, released};
pub(super) use check::check;
pub(super) use clean::{Sweep, Which, clean, repositories};
pub(super) use commit::commit;
pub(super) use create::create;
pub(super) use finalize::finalize;
pub(super) use merge::merge;
pub(super) use resolve::{settle, unite};

/// How long the commands of one phase may take in all. The longest is the checkout of a
/// repository of many gigabytes.
const PATIENCE: Duration = Duration::from_mins(10);

/// The variable that has the user's top level, for commands that prepare or judge a worktree.
const SOURCE: &str = "COPEX_SOURCE";

/// Where a run's worktrees are.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// The user's folder, in the environment and with the mark of the run.
    pub(super) place: Workplace,
    /// The folder of all worktrees, as `<state>/worktrees`. It is made when it is missing.
    pub(super) root: PathBuf,
    /// The run.
    pub(super) run: String,
}

impl Site {
    /// Where to run commands and sessions in a folder of a worktree: without the variables
    /// that would lead git back to the user's repository.
    pub(super) fn inside(&self, folder: &Path) -> Workplace {
        let mut place = self.place.clone();
        place.env.retain(|name, _| !git::LEADS_AWAY.contains(&name.as_str()));
        folder.clone_into(&mut place.folder);
        place
    }

    /// The folder of this run's worktrees, which is made, by its real name.
    fn home(&self) -> Result<PathBuf, String> {
        let home = self.root.join(worktrees::name(&self.run));
        std::fs::create_dir_all(&home).map_err(|error| about(&home, &error))?;
        home.canonicalize().map_err(|error| about(&home, &error))
    }

    /// Runs a command in a folder of a worktree. It is told where the user's files are, so
    /// that it can copy what git ignores.
    async fn step(&self, folder: &Path, step: &Step, top: &Path) -> Result<(), Failed> {
        let most = Duration::from_millis(step.timeout_ms);
        let mut place = self.inside(folder);
        place.env.insert(SOURCE.to_owned(), top.to_string_lossy().into_owned());
        let ended = gate::run(place, 0, step.command.clone(), most).await;
        match ended.exit_code {
            Some(0) => Ok(()),
            exit_code => Err(Failed { exit_code, output: ended.output }),
        }
    }
}

/// What went wrong with a path.
fn about(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// A path as a word of a command.
fn word(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests;
