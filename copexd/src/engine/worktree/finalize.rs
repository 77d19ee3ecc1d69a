//! The result of a run, on the branch that the user has checked out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::super::commit::{Scratch, commit_tree, copy_index, settled};
use super::super::git::{Ask, Git};
use super::branch::{self, Branch, Fit};
use super::check::uncommitted;
use super::repo::Repo;
use super::{Site, about};
use crate::core::commits;
use crate::core::worktrees::{self, Finalize, Finalized};

/// Brings the user's checked-out branch to the end of the run's branch, which is asked for.
/// It is only done where that branch is `on` ([`worktrees::Report::on`]), no file that git
/// knows is changed, and nothing has to be merged. Files that git does not know stay; where
/// one is in the way, nothing is done. With a message, a merge commit with it brings all of
/// the run's branch; the next one of the same run goes on top of it.
///
/// # Errors
/// With the reason why it could not be tried, for people.
///
/// Not cancel safe: it is git that writes the user's files, and one that is killed in the
/// middle leaves its lock and some files behind, as it does for the user.
pub(in crate::engine) async fn finalize(site: Site, order: Finalize) -> Result<Finalized, String> {
    let repo = Repo::open(&site).await?;
    let _held = repo.hold().await?;
    let git = repo.git();
    let name = worktrees::run_branch(&site.run);
    let Some(tip) = Branch::look(&git, &name).await?.tip else { return Ok(Finalized::Nothing) };
    match forward((&git, &repo.top), (&name, &tip), &order).await? {
        Ok(commit) => {
            let (on, left_out) = (order.on, Vec::new());
            Ok(Finalized::Forwarded { on, commit, left_out })
        }
        Err(why) => Ok(Finalized::Not { why }),
    }
}

async fn forward(
    (git, top): (&Git, &Path),
    (name, tip): (&str, &str),
    Finalize { on, message }: &Finalize,
) -> Result<Result<String, String>, String> {
    let now = git.line(&["symbolic-ref", "-q", "--short", "HEAD"]).await.unwrap_or_default();
    if now != *on || on.is_empty() {
        let now = if now.is_empty() { "no branch".to_owned() } else { format!("`{now}`") };
        return Ok(Err(format!("{now} is checked out, and it was `{on}` before the run")));
    }
    if branch::is_in(git, tip, "HEAD").await? {
        return git.line(&["rev-parse", "HEAD"]).await.map(Ok);
    }
    let folder = git.line(&["rev-parse", "--absolute-git-dir"]).await?;
    if let Err(why) = settled(git, folder.as_ref()).await {
        return Ok(Err(why));
    }
    let (changed, _) = uncommitted(git).await?;
    if changed > 0 {
        return Ok(Err(format!("there are changes that are not committed ({changed} files)")));
    }
    let Some(commit) = brought(git, tip, message.as_deref()).await? else {
        return Ok(Err(format!("`{on}` has commits that `{name}` has not: merge it yourself")));
    };
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

/// The commit that the branch is forwarded to; none where it has commits of others.
async fn brought(git: &Git, tip: &str, message: Option<&str>) -> Result<Option<String>, String> {
    let simple = branch::is_in(git, "HEAD", tip).await?;
    let Some(message) = message else { return Ok(simple.then(|| tip.to_owned())) };
    let head = git.line(&["rev-parse", "HEAD"]).await?;
    let tree = if simple {
        git.line(&["rev-parse", &format!("{tip}^{{tree}}")]).await?
    } else {
        // What the run brought before is no commit of others.
        let before =
            git.ask(Ask { args: &["cat-file", "commit", &head], ..Ask::default() }).await?;
        if commits::step(&String::from_utf8_lossy(&before)) != Some("finalize") {
            return Ok(None);
        }
        match branch::fit(git, &head, tip).await? {
            Fit::Tree(tree) => tree,
            Fit::Conflict(..) => return Ok(None),
        }
    };
    commit_tree(git, &tree, &[&head, tip], message).await.map(Some)
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
