//! The folder of one worktree, and what git keeps of it.
//!
//! git keeps a folder of its own for each worktree, which ends with it. A mark in there says
//! that the worktree is whole: checked out, prepared, and maybe worked in. A worktree without
//! its mark was being made or removed when copex was killed, and holds nothing of a task.

use std::path::{Path, PathBuf};

use super::super::git::Git;
use super::locks::{self, Held};
use super::repo::Repo;
use super::{about, branch, word};

/// The name of the mark in git's folder of a worktree.
const MARK: &str = "copex-worktree";

/// Begins the names of folders that are being removed.
const TRASH: &str = ".trash-";

/// What a task found when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    /// The commit that was checked out.
    pub(super) commit: String,
    /// The folder with what its preparation left in it, as a tree.
    pub(super) tree: String,
}

/// git's own folder of the worktree at this path, whether or not the path is still there.
pub(super) fn admin(common: &Path, path: &Path) -> Option<PathBuf> {
    let all = std::fs::read_dir(common.join("worktrees")).ok()?;
    let wanted = path.join(".git");
    all.flatten().map(|entry| entry.path()).find(|admin| {
        let Ok(gitdir) = std::fs::read_to_string(admin.join("gitdir")) else { return false };
        let gitdir = admin.join(gitdir.trim_end_matches('\n'));
        gitdir == wanted
            || gitdir.parent().and_then(|at| at.canonicalize().ok()).as_deref() == Some(path)
    })
}

/// What the mark says, where there is one.
pub(super) fn marked(admin: &Path) -> Option<Start> {
    let text = std::fs::read_to_string(admin.join(MARK)).ok()?;
    let (commit, tree) = text.trim().split_once(' ')?;
    Some(Start { commit: commit.to_owned(), tree: tree.to_owned() })
}

/// Says that a worktree is whole.
pub(super) fn mark(admin: &Path, start: &Start) -> Result<(), String> {
    let (file, fresh) = (admin.join(MARK), admin.join(format!("{MARK}.new")));
    let text = format!("{} {}\n", start.commit, start.tree);
    std::fs::write(&fresh, text).map_err(|error| about(&fresh, &error))?;
    std::fs::rename(&fresh, &file).map_err(|error| about(&file, &error))
}

/// Takes the mark away: what is left is removed by whoever comes next.
pub(super) fn unmark(admin: &Path) -> Result<(), String> {
    let file = admin.join(MARK);
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(about(&file, &error)),
        _ => Ok(()),
    }
}

/// Puts the link to git back into a whole worktree, where somebody removed it.
pub(super) fn relink(admin: &Path, path: &Path) -> Result<(), String> {
    let link = path.join(".git");
    if link.exists() {
        return Ok(());
    }
    let text = format!("gitdir: {}\n", admin.display());
    std::fs::write(&link, text).map_err(|error| about(&link, &error))
}

/// Makes a whole worktree usable again whose task has ended or was killed: its link to git,
/// and locks that nobody holds any more. One that is held, or whose process was killed just
/// now, is waited for: a branch cannot be moved either where `HEAD` is locked.
pub(super) async fn heal(admin: &Path, path: &Path) -> Result<(), String> {
    for lock in ["index.lock", "HEAD.lock"] {
        branch::released(&admin.join(lock)).await;
    }
    relink(admin, path)
}

/// Adds a worktree without any file in it: a branch, or a commit with `--detach` before it.
pub(super) async fn add(
    (git, held): (&Git, &Held),
    path: &Path,
    what: &[&str],
) -> Result<(), String> {
    let mut args = vec!["worktree", "add", "--no-checkout"];
    let (detach, what) = what.split_at(what.len().saturating_sub(1));
    args.extend(detach);
    args.push(word(path)?);
    args.extend(what);
    locks::unkilled(git, held, &args).await
}

/// Fills a new worktree with the files of its commit.
pub(super) async fn fill(repo: &Repo, path: &Path) -> Result<Git, String> {
    let git = repo.git_in(path).await?;
    // Not `reset --hard`: it takes the lock of the packed references, which the user needs.
    git.line(&["read-tree", "--reset", "-u", "--no-recurse-submodules", "HEAD"]).await?;
    Ok(git)
}

/// Removes a worktree that is not whole, or of which nothing is wanted any more. What is
/// left of its files is removed by [`sweep`].
pub(super) async fn discard(
    (git, common, held): (&Git, &Path, &Held),
    path: &Path,
) -> Result<(), String> {
    if let Some(admin) = admin(common, path) {
        unmark(&admin)?;
    }
    if path.symlink_metadata().is_ok() {
        let trash = path.with_file_name(format!("{TRASH}{}", uuid::Uuid::new_v4()));
        std::fs::rename(path, &trash).map_err(|error| about(path, &error))?;
    }
    if admin(common, path).is_some() {
        let args = ["worktree", "remove", "-f", "-f", word(path)?];
        locks::unkilled(git, held, &args).await?;
    }
    Ok(())
}

/// Moves a folder out of the way that is no worktree: nobody knows what is in it.
pub(super) fn set_aside(path: &Path) -> Result<(), String> {
    if path.symlink_metadata().is_err() || std::fs::remove_dir(path).is_ok() {
        return Ok(());
    }
    let aside = path.with_extension(format!("aside-{}", uuid::Uuid::new_v4()));
    std::fs::rename(path, &aside).map_err(|error| about(path, &error))
}

/// Whether a folder is being removed.
pub(super) fn is_trash(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TRASH))
}

/// Removes the files of worktrees that were removed. What stays is removed the next time.
///
/// Cancel safe: it goes on by itself.
pub(super) async fn sweep(home: &Path) {
    let home = home.to_owned();
    let work = move || {
        for entry in std::fs::read_dir(&home).into_iter().flatten().flatten() {
            if is_trash(&entry.path()) {
                // Somebody else may be at it, too.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    };
    // It does not panic; and if it did, the next one would do its work.
    let _ = tokio::task::spawn_blocking(work).await;
}
