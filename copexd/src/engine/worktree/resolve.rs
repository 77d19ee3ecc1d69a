//! A merge that does not fit, in a worktree of its own, until somebody has settled it.
//!
//! Its branch begins at a commit of the files with their conflict markers. That commit is
//! part of no history that is kept: what is merged in the end is one commit of the settled
//! files, made from the two that did not fit.

use super::super::commit::commit_tree;
use super::super::git::{Ask, Git};
use super::branch::{self, Branch, Fit};
use super::{Site, commit, create, merge, repo::Repo};
use crate::core::commits;
use crate::core::worktrees::{
    self, Commit, Create, Created, Settle, Settled, Unite, United, Uniting,
};

/// Characters of a commit's name that are part of the worktree's: another merge has another.
const SHORT: usize = 12;

/// A line that git puts into a file that does not fit.
const MARKER: &str = "^(<<<<<<<|>>>>>>>) ";

/// Makes a worktree of the merge of a task's branch into the run's, with conflict markers.
///
/// # Errors
/// With the reason why there is none, for people.
///
/// Cancel safe: the next call begins anew, or finds it.
pub(in crate::engine) async fn unite(site: Site, order: Unite) -> Result<Uniting, String> {
    let repo = Repo::open(&site).await?;
    let git = repo.git();
    let into = worktrees::run_branch(&site.run);
    let (_, ours) = merge::target(&git, &repo.hold().await?, &into, &order.base).await?;
    let theirs = worktrees::task_branch(&site.run, &order.task);
    let Some(theirs) = Branch::look(&git, &theirs).await?.tip else {
        return Err(format!("there is no branch `{theirs}`"));
    };
    let (files, tree) = match branch::fit(&git, &ours, &theirs).await? {
        Fit::Conflict(files, tree) => (files, tree),
        Fit::Tree(_) => return Ok(Uniting::Fits),
    };
    let short: String = ours.chars().take(SHORT).collect();
    let task = format!("{}:merge:{short}", order.task);
    let name = worktrees::task_branch(&site.run, &task);
    if Branch::look(&git, &name).await?.tip.is_none() {
        let marks = merge::marks(&site, &task, Some("conflict"));
        let message = commits::message("fleet: a merge with its conflicts", "", &marks.each());
        let commit = commit_tree(&git, &tree, &[&ours, &theirs], &message).await?;
        let held = repo.hold().await?;
        branch::move_to((&git, &repo.common, &held), &name, &commit, None).await?;
    }
    let wanted = Create { task: task.clone(), base: order.base, after: vec![], setup: order.setup };
    match create(site, wanted).await? {
        Created::Ready(tree) => {
            let folder = tree.folder;
            Ok(Uniting::Ready(United { name: task, folder, ours, theirs, files }))
        }
        Created::Setup(failed) => Ok(Uniting::Setup(failed)),
        Created::Conflict(clash) => Err(format!("{} does not fit", clash.theirs)),
    }
}

/// Commits what was settled, unless a marker is left: as a merge of the two commits.
///
/// # Errors
/// With the reason why it could not be tried, for people.
///
/// Cancel safe: the next call goes on where this one stopped.
pub(in crate::engine) async fn settle(site: Site, order: Settle) -> Result<Settled, String> {
    let United { name: task, ours, theirs, files, .. } = order.united;
    let title = format!("fleet: settle the conflicts of {}", order.id);
    let marks = merge::marks(&site, &task, Some("settled"));
    let message = commits::message(&title, "", &marks.each());
    let repo = Repo::open(&site).await?;
    let git = repo.git();
    let name = worktrees::task_branch(&site.run, &task);
    if let Some(tip) = Branch::look(&git, &name).await?.tip {
        let found = git.ask(Ask { args: &["cat-file", "commit", &tip], ..Ask::default() }).await?;
        if commits::marks(&String::from_utf8_lossy(&found)) == commits::marks(&message) {
            return Ok(Settled::Done);
        }
    }
    let saved = Commit { task, title, detail: String::new() };
    let tip = commit(site, saved).await?.tip;
    let left = marked(&git, &tip, &files).await?;
    if !left.is_empty() {
        return Ok(Settled::Markers(left));
    }
    let tree = git.line(&["rev-parse", &format!("{tip}^{{tree}}")]).await?;
    let commit = commit_tree(&git, &tree, &[&ours, &theirs], &message).await?;
    let held = repo.hold().await?;
    branch::move_to((&git, &repo.common, &held), &name, &commit, Some(&tip)).await?;
    Ok(Settled::Done)
}

/// The files that have a conflict marker in a commit.
async fn marked(git: &Git, commit: &str, files: &[String]) -> Result<Vec<String>, String> {
    let mut args = vec!["--literal-pathspecs", "grep", "-z", "-l", "--full-name", "-I", "-E"];
    args.extend(["-e", MARKER, commit, "--"]);
    // From the top level, wherever the run's folder is.
    let top = git.line(&["rev-parse", "--show-cdup"]).await?;
    let files: Vec<String> = files.iter().map(|file| format!("{top}{file}")).collect();
    args.extend(files.iter().map(String::as_str));
    let said = git.run(Ask { args: &args, ..Ask::default() }).await?;
    if said.code > 1 {
        return Err(format!("git grep: {}", said.err));
    }
    let found = said.out.split(|byte| *byte == 0).filter(|file| !file.is_empty());
    let name = |file: &[u8]| {
        let file = String::from_utf8_lossy(file);
        file.split_once(':').map_or(file.to_string(), |(_, file)| file.to_owned())
    };
    Ok(found.map(name).collect())
}
