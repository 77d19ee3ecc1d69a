//! A task's branch, merged into its run's.

use super::super::commit::commit_tree;
use super::super::git::Git;
use super::branch::{self, Branch, Fit};
use super::locks::Held;
use super::repo::Repo;
use super::{Site, folder, locks};
use crate::core::commits;
use crate::core::worktrees::{self, Clash, Failed, Merge, Merged};

/// The folder in which gates of merges run. No task has this name.
const GATE: &str = ".gate";

/// Merges what a task has on its branch into the run's branch, if it fits and the gate is
/// green. Merges of one run take turns.
///
/// # Errors
/// With the reason why it could not be tried, for people.
///
/// Cancel safe: the branch has moved or it has not, and the next call finds the merge. The
/// folder of a gate that was cut off is removed by the next one.
pub(in crate::engine) async fn merge(site: Site, order: Merge) -> Result<Merged, String> {
    let repo = Repo::open(&site).await?;
    let into = worktrees::run_branch(&site.run);
    let _turn = locks::hold(&repo.common.join(&into), locks::TURN_WAIT).await?;
    let git = repo.git();
    let (run, ours) = target(&git, &repo.hold().await?, &into, &order.base).await?;
    let before = made_before(&git, &site, &order.task, (&order.base, &ours)).await?;
    let name = worktrees::task_branch(&site.run, &order.task);
    let Some(theirs) = Branch::look(&git, &name).await?.tip else {
        let Some((commit, _)) = before else {
            return Err(format!("there is no branch `{name}`"));
        };
        return Ok(Merged::Done { commit });
    };
    if branch::is_in(&git, &theirs, &ours).await? {
        return Ok(before.map_or(Merged::Nothing, |(commit, _)| Merged::Done { commit }));
    }
    let tree = match branch::fit(&git, &ours, &theirs).await? {
        Fit::Tree(tree) => tree,
        Fit::Conflict(files, _) => {
            return Ok(Merged::Conflict(Clash { ours: vec![into], theirs: name, files }));
        }
    };
    // What follows a colon is no part of the id.
    let id = order.task.split(':').next().unwrap_or_default();
    let title = format!("fleet: merge {id}");
    let message = commits::message(&title, "", &marks(&site, &order.task, Some("merge")).each());
    let commit = commit_tree(&git, &tree, &[&ours, &theirs], &message).await?;
    if let Err(failed) = judge(&repo, &site, &order, &commit).await? {
        return Ok(Merged::Red(failed));
    }
    let held = repo.hold().await?;
    // The gate may have taken longer than git may, and somebody may have come meanwhile.
    let git = repo.git();
    target(&git, &held, &into, &order.base).await?;
    branch::move_to((&git, &repo.common, &held), &into, &commit, run.as_deref()).await?;
    Ok(Merged::Done { commit })
}

/// The tip of the run's branch, if it is there; and the commit to merge into.
pub(super) async fn target(
    git: &Git,
    held: &Held,
    into: &str,
    base: &str,
) -> Result<(Option<String>, String), String> {
    let branch = Branch::look(git, into).await?;
    branch.free(git, held, into).await?;
    let ours = match &branch.tip {
        Some(tip) => tip.clone(),
        None => git.line(&["rev-parse", "-q", "--verify", &format!("{base}^{{commit}}")]).await?,
    };
    Ok((branch.tip, ours))
}

/// Runs the gate on a merge that is not on the branch yet.
async fn judge(
    repo: &Repo,
    site: &Site,
    order: &Merge,
    commit: &str,
) -> Result<Result<(), Failed>, String> {
    let Some(gate) = &order.gate else { return Ok(Ok(())) };
    let home = repo.home()?;
    let path = home.join(GATE);
    let _alone = locks::hold(&path, locks::TURN_WAIT).await?;
    {
        let held = repo.hold().await?;
        let git = repo.git();
        folder::discard((&git, &repo.common, &held), &path).await?;
        folder::add((&git, &held), &path, &["--detach", commit]).await?;
    }
    folder::fill(repo, &path).await?;
    let folder = repo.folder_in(&path)?;
    let mut ended = Ok(());
    for step in order.setup.iter().chain([gate]) {
        ended = site.step(&folder, step, &repo.top).await;
        if ended.is_err() {
            break;
        }
    }
    {
        let held = repo.hold().await?;
        folder::discard((&repo.git(), &repo.common, &held), &path).await?;
    }
    folder::sweep(&home).await;
    Ok(ended)
}

/// The merge of this task that is on the run's branch, and the commit that it brought.
pub(super) async fn made_before(
    git: &Git,
    site: &Site,
    task: &str,
    (base, run): (&str, &str),
) -> Result<Option<(String, String)>, String> {
    let message = commits::message("", "", &marks(site, task, Some("merge")).each());
    branch::merge_marked(git, (base, run), &message).await
}

/// What says whose a commit is.
pub(super) struct Marks {
    run: String,
    task: String,
    step: Option<&'static str>,
}

impl Marks {
    /// As names and values.
    pub(super) fn each(&self) -> Vec<(&str, &str)> {
        let step = self.step.map(|step| ("Step", step));
        let marks = [("Run", self.run.as_str()), ("Task", self.task.as_str())];
        marks.into_iter().chain(step).collect()
    }
}

/// The marks of a task's commit; of a merge, which step it is for.
pub(super) fn marks(site: &Site, task: &str, step: Option<&'static str>) -> Marks {
    Marks { run: worktrees::name(&site.run), task: worktrees::name(task), step }
}
