//! What a task changed in its worktree, as one commit on its branch.

use super::super::commit::{Checkout, Scratch, changes, commit_tree, put_over, settled, snapshot};
use super::super::git::{Ask, Git};
use super::branch::{self, Branch};
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
    folder::heal(&admin, &path)?;
    let git = repo.git_in(&path).await?;
    settled(&git, &admin).await?;
    let tip = tip(&git, &name).await?;
    let scratch = Scratch::new(&admin)?;
    let checkout = Checkout { folder: admin, head: tip.clone(), on: String::new() };
    let now = snapshot(&git, &checkout, &scratch).await?;
    let base = Baseline { head: start.commit, tree: start.tree, on: String::new() };
    let (wanted, left_out) = changes(&git, &base, &now).await?;
    let tree = put_over(&git, &base.head, &wanted, &scratch).await?;
    let marks = merge::marks(&site, &order.task, None);
    let message = commits::message(&order.title, &order.detail, &marks.each());
    let (commit, tip) = if tree_of(&git, &tip).await? == tree {
        (is_marked(&git, &tip, &message).await?.then(|| tip.clone()), tip)
    } else {
        let commit = commit_tree(&git, &tree, &[&tip], &message).await?;
        let _held = repo.hold().await?;
        branch::move_to((&git, &repo.common), &name, &commit, Some(&tip)).await?;
        (Some(commit.clone()), commit)
    };
    // The worktree is on its branch again, with an index that says so.
    git.line(&["symbolic-ref", "-m", "copex", "HEAD", &format!("refs/heads/{name}")]).await?;
    let index = checkout.folder.join("index");
    std::fs::rename(scratch.0.join("commit"), &index).map_err(|error| about(&index, &error))?;
    Ok(Committed { commit, tip, left_out })
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

async fn tree_of(git: &Git, commit: &str) -> Result<String, String> {
    git.line(&["rev-parse", &format!("{commit}^{{tree}}")]).await
}

async fn is_marked(git: &Git, commit: &str, message: &str) -> Result<bool, String> {
    let args = ["cat-file", "commit", commit];
    let found = git.ask(Ask { args: &args, ..Ask::default() }).await?;
    Ok(commits::marks(&String::from_utf8_lossy(&found)) == commits::marks(message))
}
