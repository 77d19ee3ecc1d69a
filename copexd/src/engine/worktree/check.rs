//! What is wrong with a repository before a fleet starts in it.

use std::path::{Path, PathBuf};

use super::super::commit::settled;
use super::super::gate::Workplace;
use super::super::git::{Ask, Git};
use super::PATIENCE;
use crate::core::worktrees::{Caution, Problem, Report};

/// The first version of git that merges without a folder and says what does not fit.
const GIT: (u32, u32) = (2, 38);

/// Looks at the repository of a folder. Nothing is written. The report with problems has
/// what could be found out beside them.
///
/// Cancel safe.
pub(in crate::engine) async fn check(place: Workplace) -> Report {
    let mut report = Report::default();
    if let Err(problem) = look(&Git::within(place, PATIENCE), &mut report).await {
        report.problems.push(problem);
    }
    report
}

async fn look(git: &Git, report: &mut Report) -> Result<(), Problem> {
    if !git.folder().is_dir() {
        return Err(Problem::Broken(format!("{} is not there", git.folder().display())));
    }
    let version = git.line(&["version"]).await.map_err(Problem::Broken)?;
    if number(&version).is_some_and(|number| number < GIT) {
        return Err(Problem::OldGit(version));
    }
    let inside =
        ["rev-parse", "--is-bare-repository", "--is-inside-work-tree", "--absolute-git-dir"];
    let said = match git.line(&inside).await {
        Err(why) if why.contains("not a git repository") => return Err(Problem::NoRepository),
        said => said.map_err(Problem::Broken)?,
    };
    let folder = match said.lines().collect::<Vec<_>>()[..] {
        ["false", "true", folder] => PathBuf::from(folder),
        ["true", ..] => return Err(Problem::Bare),
        _ => return Err(Problem::NoRepository),
    };
    match git.line(&["symbolic-ref", "-q", "HEAD"]).await {
        Ok(on) => on.strip_prefix("refs/heads/").unwrap_or(&on).clone_into(&mut report.on),
        Err(_) => report.problems.push(Problem::Detached),
    }
    match git.line(&["rev-parse", "-q", "--verify", "HEAD^{commit}"]).await {
        Ok(head) => report.head = head,
        Err(_) => report.problems.push(Problem::NoCommit),
    }
    if let Err(why) = settled(git, &folder).await {
        report.problems.push(Problem::HalfDone(why));
    }
    report.cautions = cautions(git, &folder).await.map_err(Problem::Broken)?;
    Ok(())
}

async fn cautions(git: &Git, folder: &Path) -> Result<Vec<Caution>, String> {
    let mut found = Vec::new();
    let stages = git.ask(Ask { args: &["ls-files", "--stage", "-z"], ..Ask::default() }).await?;
    if stages.split(|byte| *byte == 0).any(|entry| entry.starts_with(b"160000 ")) {
        found.push(Caution::Submodules);
    }
    let sparse = git.line(&["config", "--type=bool", "core.sparseCheckout"]).await;
    if sparse.as_deref() == Ok("true") && folder.join("info/sparse-checkout").exists() {
        found.push(Caution::Sparse);
    }
    let (changed, untracked) = uncommitted(git).await?;
    if changed + untracked > 0 {
        found.push(Caution::Uncommitted { changed, untracked });
    }
    Ok(found)
}

/// How many files are changed, and how many files and folders are not known.
pub(super) async fn uncommitted(git: &Git) -> Result<(usize, usize), String> {
    let args = ["status", "--porcelain=v2", "-z", "--untracked-files=normal", "--no-renames"];
    let out = git.ask(Ask { args: &args, ..Ask::default() }).await?;
    let entries = || out.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    let untracked = entries().filter(|entry| entry.starts_with(b"? ")).count();
    Ok((entries().count() - untracked, untracked))
}

/// The first two numbers of a version.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(' ').nth(2)?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
