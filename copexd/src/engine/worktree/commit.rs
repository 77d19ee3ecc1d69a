//! What a task changed in its worktree, as one commit on its branch.

use std::path::Path;

use super::super::commit::{Checkout, Scratch, changes, commit_tree, put_over, settled, snapshot};
use super::super::git::{Ask, Git};
use super::branch::{self, Branch};
use super::folder::Start;
use super::repo::Repo;
use super::{Site, about, folder, locks, merge};
use crate::core::commits::{self, Baseline};
use crate::core::worktrees::{self, Commit, Committed};

/// Commits all that a task changed, except what git ignores and what the preparation of the
/// worktree had left. Commits that the task made itself on the way stay below it.
///
/// # Errors
/// With the reason why there is no commit, for people.
///
/// Cancel safe: there is a commit on the branch or there is none, and the next call finds it.
pub(in crate::engine) async fn commit(site: Site, order: Commit) -> Result<Committed, String> {
    let repo = Repo::open(&site).await?;
    let path = repo.home()?.join(worktrees::name(&order.task));
    let name = worktrees::task_branch(&site.run, &order.task);
    let _alone = locks::hold(&path, locks::TURN_WAIT).await?;
    let admin = folder::admin(&repo.common, &path).filter(|_| path.is_dir());
    let Some((admin, start)) = admin.and_then(|at| folder::marked(&at).map(|start| (at, start)))
    else {
        return gone(&repo, &site, &order.task).await;
    };
    folder::heal(&admin, &path).await?;
    let git = repo.git_in(&path).await?;
    let work = Work::look(&git, (&admin, &start), &name).await?;
    let marks = merge::marks(&site, &order.task, None);
    let message = commits::message(&order.title, &order.detail, &marks.each());
    let (commit, tip) = if work.is_saved(&git).await? {
        let marked = is_marked(&git, &work.tip, &message).await?;
        (marked.then(|| work.tip.clone()), work.tip)
    } else {
        let commit = commit_tree(&git, &work.tree, &[&work.tip], &message).await?;
        let held = repo.hold().await?;
        branch::move_to((&git, &repo.common, &held), &name, &commit, Some(&work.tip)).await?;
        (Some(commit.clone()), commit)
    };
    // The worktree is on its branch again, with an index that says so.
    let on = format!("refs/heads/{name}");
    let held = repo.hold().await?;
    locks::unkilled(&git, &held, &["symbolic-ref", "-m", "copex", "HEAD", &on]).await?;
    let index = admin.join("index");
    std::fs::rename(work.scratch.0.join("commit"), &index)
        .map_err(|error| about(&index, &error))?;
    Ok(Committed { commit, tip, left_out: work.left_out })
}

/// What a task has in its worktree.
pub(super) struct Work {
    /// The last commit of its branch.
    tip: String,
    /// All that is to be committed, as a tree.
    tree: String,
    /// Repositories inside, and what the preparation had left and the task changed.
    left_out: Vec<String>,
    /// Has the index that belongs to the tree.
    scratch: Scratch,
}

impl Work {
    /// Looks at a whole worktree.
    ///
    /// # Errors
    /// When what is in it cannot be committed, with the reason.
    pub(super) async fn look(
        git: &Git,
        (admin, start): (&Path, &Start),
        name: &str,
    ) -> Result<Self, String> {
        settled(git, admin).await?;
        let tip = tip(git, name).await?;
        let scratch = Scratch::new(admin)?;
        let checkout = Checkout { folder: admin.to_owned(), head: tip, on: String::new() };
        let now = snapshot(git, &checkout, &scratch).await?;
        let (head, tree) = (start.commit.clone(), start.tree.clone());
        let base = Baseline { head, tree, on: String::new() };
        let (wanted, left_out) = changes(git, &base, &now).await?;
        let tree = put_over(git, &base.head, &wanted, &scratch).await?;
        Ok(Self { tip: checkout.head, tree, left_out, scratch })
    }

    /// Whether the last commit of the branch has all of it.
    pub(super) async fn is_saved(&self, git: &Git) -> Result<bool, String> {
        let tree = git.line(&["rev-parse", &format!("{}^{{tree}}", self.tip)]).await?;
        Ok(tree == self.tree)
    }

    /// Whether nothing would be lost with the folder: commits that are on no branch count, too.
    pub(super) async fn is_all_saved(&self, git: &Git) -> Result<bool, String> {
        let saved = self.left_out.is_empty() && self.is_saved(git).await?;
        Ok(saved && branch::is_in(git, "HEAD", &self.tip).await?)
    }
}

/// The answer where there is no worktree any more: it stands while the commit was made.
async fn gone(repo: &Repo, site: &Site, task: &str) -> Result<Committed, String> {
    let git = repo.git();
    let name = worktrees::task_branch(&site.run, task);
    let message = commits::message("", "", &merge::marks(site, task, None).each());
    match Branch::look(&git, &name).await?.tip {
        Some(tip) if is_marked(&git, &tip, &message).await? => {
            Ok(Committed { commit: Some(tip.clone()), tip, left_out: Vec::new() })
        }
        _ => Err(format!("the worktree of `{task}` is not there")),
    }
}

/// The last commit of the branch, which what is checked out must be made from: a task may
/// have made a branch of its own, and may not have gone somewhere else.
async fn tip(git: &Git, name: &str) -> Result<String, String> {
    let Some(tip) = Branch::look(git, name).await?.tip else {
        return Err(format!("`{name}` is gone"));
    };
    if !branch::is_in(git, &tip, "HEAD").await? {
        return Err(format!("what is checked out in the worktree is not made from `{name}`"));
    }
    Ok(tip)
}

async fn is_marked(git: &Git, commit: &str, message: &str) -> Result<bool, String> {
    let args = ["cat-file", "commit", commit];
    let found = git.ask(Ask { args: &args, ..Ask::default() }).await?;
    Ok(commits::marks(&String::from_utf8_lossy(&found)) == commits::marks(message))
}
