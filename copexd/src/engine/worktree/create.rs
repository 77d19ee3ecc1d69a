//! A worktree for one task.

use std::path::{Path, PathBuf};

use super::super::commit::{Checkout, Scratch, commit_tree, snapshot};
use super::super::git::Git;
use super::branch::{self, Branch, Fit};
use super::folder::{self, Start};
use super::locks::Held;
use super::repo::Repo;
use super::{Site, locks, merge};
use crate::core::commits;
use crate::core::worktrees::{self, Clash, Create, Created, Worktree};

/// Makes the worktree of a task, or adopts the one that is there. A branch that is there
/// stays where it is, so that commits of a worktree whose folder was deleted are kept.
///
/// # Errors
/// With the reason why there is none, for people.
///
/// Cancel safe: dropped midway, its processes are killed, and the next call begins anew.
pub(in crate::engine) async fn create(site: Site, order: Create) -> Result<Created, String> {
    let repo = Repo::open(&site).await?;
    let home = repo.home()?;
    let path = home.join(worktrees::name(&order.task));
    let name = worktrees::task_branch(&site.run, &order.task);
    let _alone = locks::hold(&path, locks::TURN_WAIT).await?;
    {
        let held = repo.hold().await?;
        let git = repo.git();
        if let Some(found) = adopt(&repo, (&git, &held), &path, &name).await? {
            return Ok(Created::Ready(found));
        }
        let known = Branch::look(&git, &name).await?;
        known.free(&git, &held, &name).await?;
        if known.tip.is_none() {
            let start = match start(&git, &site, &order).await? {
                Ok(commit) => commit,
                Err(clash) => return Ok(Created::Conflict(clash)),
            };
            branch::move_to((&git, &repo.common, &held), &name, &start, None).await?;
        }
        folder::add((&git, &held), &path, &[&name]).await?;
    }
    folder::sweep(&home).await;
    let git = folder::fill(&repo, &path).await?;
    let folder = repo.folder_in(&path)?;
    if let Some(step) = &order.setup
        && let Err(failed) = site.step(&folder, step, &repo.top).await
    {
        return Ok(Created::Setup(failed));
    }
    // The command may have taken longer than git may.
    let git = if order.setup.is_some() { repo.git_in(&path).await? } else { git };
    let tip = settle(&git).await?;
    Ok(Created::Ready(Worktree { branch: name, path, folder, tip, adopted: false }))
}

/// Takes a whole worktree as it is, and removes one that is not whole.
async fn adopt(
    repo: &Repo,
    (git, held): (&Git, &Held),
    path: &Path,
    name: &str,
) -> Result<Option<Worktree>, String> {
    let Some(admin) = folder::admin(&repo.common, path) else {
        folder::set_aside(path)?;
        return Ok(None);
    };
    if path.is_dir() && folder::marked(&admin).is_some() {
        folder::heal(&admin, path).await?;
        repo.git_in(path).await?;
        let Some(tip) = Branch::look(git, name).await?.tip else {
            return Err(format!("`{name}` is gone, and {} is still there", path.display()));
        };
        let (path, folder) = (path.to_owned(), repo.folder_in(path)?);
        let branch = name.to_owned();
        return Ok(Some(Worktree { branch, path, folder, tip, adopted: true }));
    }
    folder::discard((git, &repo.common, held), path).await?;
    Ok(None)
}

/// Marks a worktree as whole; its commit.
async fn settle(git: &Git) -> Result<String, String> {
    let admin = PathBuf::from(git.line(&["rev-parse", "--absolute-git-dir"]).await?);
    let head = git.line(&["rev-parse", "-q", "--verify", "HEAD^{commit}"]).await?;
    let scratch = Scratch::new(&admin)?;
    let checkout = Checkout { folder: admin, head, on: String::new() };
    let tree = snapshot(git, &checkout, &scratch).await?;
    folder::mark(&checkout.folder, &Start { commit: checkout.head.clone(), tree })?;
    Ok(checkout.head)
}

/// The commit that a task starts from.
async fn start(git: &Git, site: &Site, order: &Create) -> Result<Result<String, Clash>, String> {
    let base = format!("{}^{{commit}}", order.base);
    let mut ours = git.line(&["rev-parse", "-q", "--verify", &base]).await?;
    let mut merged = Vec::new();
    let marks = merge::marks(site, &order.task, Some("start"));
    for task in &order.after {
        let name = worktrees::task_branch(&site.run, task);
        let theirs = tip_of(git, site, (task, &order.base)).await?;
        if branch::is_in(git, &ours, &theirs).await? {
            ours = theirs;
        } else if !branch::is_in(git, &theirs, &ours).await? {
            let tree = match branch::fit(git, &ours, &theirs).await? {
                Fit::Tree(tree) => tree,
                Fit::Conflict(files, _) => {
                    return Ok(Err(Clash { ours: merged, theirs: name, files }));
                }
            };
            let title = format!("fleet: {} starts from what it depends on", order.task);
            let message = commits::message(&title, "", &marks.each());
            ours = commit_tree(git, &tree, &[&ours, &theirs], &message).await?;
        }
        merged.push(name);
    }
    Ok(Ok(ours))
}

/// The last commit of a task that others depend on. Where its branch was cleaned away, the
/// run's branch knows it.
async fn tip_of(git: &Git, site: &Site, (task, base): (&str, &str)) -> Result<String, String> {
    let name = worktrees::task_branch(&site.run, task);
    if let Some(tip) = Branch::look(git, &name).await?.tip {
        return Ok(tip);
    }
    if let Some(run) = Branch::look(git, &worktrees::run_branch(&site.run)).await?.tip
        && let Some((_, tip)) = merge::made_before(git, site, task, (base, &run)).await?
    {
        return Ok(tip);
    }
    Err(format!("there is no branch `{name}` to start from"))
}
