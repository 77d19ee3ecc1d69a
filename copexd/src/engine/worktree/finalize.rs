//! The result of a run, on the branch that the user has checked out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::super::commit::{Scratch, copy_index, settled};
use super::super::git::{Ask, Git};
use super::branch::{self, Branch};
use super::check::uncommitted;
use super::repo::Repo;
use super::{Site, about};
use crate::core::worktrees::{self, Finalized};

/// Brings the user's checked-out branch to the end of the run's branch, which is asked for.
/// It is only done where that branch is `on` ([`worktrees::Report::on`]), no file that git
/// knows is changed, and nothing has to be merged. Files that git does not know stay; where
/// one is in the way, nothing is done.
///
/// # Errors
/// With the reason why it could not be tried, for people.
///
/// Not cancel safe: it is git that writes the user's files, and one that is killed in the
/// middle leaves its lock and some files behind, as it does for the user.
pub(in crate::engine) async fn finalize(site: Site, on: String) -> Result<Finalized, String> {
    let repo = Repo::open(&site).await?;
    let _held = repo.hold().await?;
    let git = repo.git();
    match forward((&git, &repo.top), &site, &on).await? {
        Ok(commit) => Ok(Finalized::Forwarded { on, commit }),
        Err(why) => Ok(Finalized::Not { why }),
    }
}

async fn forward(
    (git, top): (&Git, &Path),
    site: &Site,
    on: &str,
) -> Result<Result<String, String>, String> {
    let name = worktrees::run_branch(&site.run);
    let Some(commit) = Branch::look(git, &name).await?.tip else {
        return Ok(Err(format!("there is no branch `{name}`: nothing was merged")));
    };
    let now = git.line(&["symbolic-ref", "-q", "--short", "HEAD"]).await.unwrap_or_default();
    if now != on {
        let now = if now.is_empty() { "no branch".to_owned() } else { format!("`{now}`") };
        return Ok(Err(format!("{now} is checked out, and it was `{on}` before the run")));
    }
    if branch::is_in(git, &commit, "HEAD").await? {
        return Ok(Ok(commit));
    }
    let folder = git.line(&["rev-parse", "--absolute-git-dir"]).await?;
    if let Err(why) = settled(git, folder.as_ref()).await {
        return Ok(Err(why));
    }
    let (changed, _) = uncommitted(git).await?;
    if changed > 0 {
        return Ok(Err(format!("there are changes that are not committed ({changed} files)")));
    }
    if !branch::is_in(git, "HEAD", &commit).await? {
        return Ok(Err(format!("`{on}` has commits that `{name}` has not: merge it yourself")));
    }
    if let Err(why) = fits(git, (folder.as_ref(), top), &commit).await? {
        return Ok(Err(why));
    }
    // Ignored files are the user's, too.
    let args = [
        "-c",
        "gc.auto=0",
        "-c",
        "maintenance.auto=false",
        "-c",
        "submodule.recurse=false",
        "merge",
        "--ff-only",
        "--no-autostash",
        "--no-overwrite-ignore",
        "--quiet",
        &commit,
    ];
    let said = git.run(Ask { args: &args, ..Ask::default() }).await?;
    Ok(if said.code == 0 { Ok(commit) } else { Err(format!("git merge: {}", said.err)) })
}

/// Tries it with a copy of the index: whether a file that git does not know is in the way.
async fn fits(
    git: &Git,
    (folder, top): (&Path, &Path),
    commit: &str,
) -> Result<Result<(), String>, String> {
    // Those that git ignores it would overwrite, in this trial.
    let args = ["diff-tree", "-r", "-z", "--name-only", "--diff-filter=A", "HEAD", commit];
    let added = git.ask(Ask { args: &args, ..Ask::default() }).await?;
    for file in added.split(|byte| *byte == 0).filter(|file| !file.is_empty()) {
        let there = top.join(OsStr::from_bytes(file)).symlink_metadata();
        if there.is_ok_and(|data| !data.is_dir()) {
            let file = String::from_utf8_lossy(file);
            return Ok(Err(format!("`{file}` is in the way: git does not know it")));
        }
    }
    let scratch = Scratch::new(folder)?;
    let (own, index) = (folder.join("index"), scratch.0.join("folder"));
    copy_index(&own, &index).map_err(|error| about(&own, &error))?;
    let args = ["read-tree", "-m", "-u", "-n", "HEAD", commit];
    let said = git.run(Ask { args: &args, index: Some(&index), ..Ask::default() }).await?;
    Ok(if said.code == 0 { Ok(()) } else { Err(format!("git read-tree: {}", said.err)) })
}
