//! Branches of a fleet and merges between them, without any checkout.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::git::{Ask, Git, text};
use super::about;
use super::locks::{self, Held};
use crate::core::commits;

/// How long git waits for the lock of a reference, in milliseconds: longer than one may get
/// old ([`STALE`]), so that the second try finds it stale. It is held for a few milliseconds.
const REFERENCE_WAIT: &str = "core.filesRefLockTimeout=3000";

/// The age from which the lock of one of our references belongs to a process that was killed.
const STALE: Duration = Duration::from_secs(2);

/// How often to look whether a lock is still there. It is held for a few milliseconds.
const LOOK: Duration = Duration::from_millis(50);

/// A branch, or that there is none.
#[derive(Debug, Default)]
pub(super) struct Branch {
    /// Its last commit.
    pub(super) tip: Option<String>,
    /// The folder in which it is checked out.
    pub(super) checked_out: Option<String>,
}

impl Branch {
    /// Looks a branch up.
    pub(super) async fn look(git: &Git, name: &str) -> Result<Self, String> {
        let format = "--format=%(objectname) %(worktreepath)";
        let found = git.line(&["for-each-ref", format, &format!("refs/heads/{name}")]).await?;
        let (tip, folder) = found.split_once(' ').unwrap_or((&found, ""));
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Self { tip: some(tip), checked_out: some(folder) })
    }

    /// Makes sure that it is checked out nowhere. A worktree whose folder is gone is forgotten,
    /// unless somebody locked it.
    ///
    /// # Errors
    /// With where it is checked out.
    pub(super) async fn free(&self, git: &Git, held: &Held, name: &str) -> Result<(), String> {
        let Some(folder) = &self.checked_out else { return Ok(()) };
        let forget = ["worktree", "remove", "-f", folder];
        if Path::new(folder).exists() || locks::unkilled(git, held, &forget).await.is_err() {
            return Err(format!("`{name}` is checked out in {folder}"));
        }
        Ok(())
    }
}

/// Moves one of our branches from where it was seen; from `None`, it must not be there.
pub(super) async fn move_to(
    (git, common, held): (&Git, &Path, &Held),
    name: &str,
    to: &str,
    from: Option<&str>,
) -> Result<(), String> {
    let reference = format!("refs/heads/{name}");
    let from = from.unwrap_or_default();
    let args = ["-c", REFERENCE_WAIT, "update-ref", "-m", "copex", &reference, to, from];
    changed((git, held), &common.join(&reference), &args).await
}

/// The same for a run without worktrees. Waits for the repository.
pub(in crate::engine) async fn move_branch(
    git: &Git,
    name: &str,
    to: &str,
    from: Option<&str>,
) -> Result<(), String> {
    let common = common(git).await?;
    let held: Held = Arc::new(locks::hold(&common, locks::REPOSITORY_WAIT).await?);
    move_to((git, &common, &held), name, to, from).await
}

/// git's own folder, which all worktrees share.
pub(in crate::engine) async fn common(git: &Git) -> Result<PathBuf, String> {
    let said = git.line(&["rev-parse", "--path-format=absolute", "--git-common-dir"]).await?;
    Path::new(&said).canonicalize().map_err(|error| about(Path::new(&said), &error))
}

/// Removes one of our branches where it is still what was seen.
pub(super) async fn remove(
    (git, common, held): (&Git, &Path, &Held),
    name: &str,
    from: &str,
) -> Result<(), String> {
    let reference = format!("refs/heads/{name}");
    let args = ["-c", REFERENCE_WAIT, "update-ref", "-d", &reference, from];
    changed((git, held), &common.join(&reference), &args).await
}

/// Changes a reference; a lock that a killed process left is removed.
async fn changed((git, held): (&Git, &Held), file: &Path, args: &[&str]) -> Result<(), String> {
    let mut lock = file.as_os_str().to_owned();
    lock.push(".lock");
    let lock = Path::new(&lock);
    forget_stale(lock);
    match locks::unkilled(git, held, args).await {
        Err(_) if lock.exists() => {
            forget_stale(lock);
            locks::unkilled(git, held, args).await
        }
        said => said,
    }
}

/// Waits until a lock is gone; one that is stale is removed.
pub(in crate::engine) async fn released(lock: &Path) {
    let until = Instant::now() + STALE + LOOK;
    forget_stale(lock);
    while lock.exists() && Instant::now() < until {
        tokio::time::sleep(LOOK).await;
        forget_stale(lock);
    }
}

/// Removes a lock that is too old for anybody to hold it.
fn forget_stale(lock: &Path) {
    let modified = lock.metadata().and_then(|data| data.modified());
    if modified.ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > STALE) {
        // One that stays is said by the next command.
        let _ = std::fs::remove_file(lock);
    }
}

/// Whether all of one commit is in another.
pub(super) async fn is_in(git: &Git, commit: &str, other: &str) -> Result<bool, String> {
    let args = ["merge-base", "--is-ancestor", commit, other];
    let said = git.run(Ask { args: &args, ..Ask::default() }).await?;
    match said.code {
        0 => Ok(true),
        1 => Ok(false),
        _ => Err(format!("git merge-base: {}", said.err)),
    }
}

/// Two commits merged.
pub(super) enum Fit {
    /// The tree that comes of it.
    Tree(String),
    /// The files that do not fit, and the tree with their conflict markers.
    Conflict(Vec<String>, String),
}

/// Merges two commits into a tree.
pub(super) async fn fit(git: &Git, ours: &str, theirs: &str) -> Result<Fit, String> {
    let args = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs];
    let said = git.run(Ask { args: &args, ..Ask::default() }).await?;
    let mut fields = said.out.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    let tree = fields.next().map(text).unwrap_or_default();
    match said.code {
        0 => Ok(Fit::Tree(tree)),
        1 => {
            let mut files: Vec<String> =
                fields.map(|file| String::from_utf8_lossy(file).into_owned()).collect();
            files.dedup();
            Ok(Fit::Conflict(files, tree))
        }
        _ => Err(format!("git merge-tree: {}", said.err)),
    }
}

/// The merge on a run's branch that has these marks: itself, and the commit it brought.
pub(super) async fn merge_marked(
    git: &Git,
    (base, tip): (&str, &str),
    message: &str,
) -> Result<Option<(String, String)>, String> {
    let without = format!("^{base}");
    let format = "--format=%H %P%n%B";
    let args = ["log", "-z", "--first-parent", "--no-show-signature", format, tip, &without];
    let out = git.ask(Ask { args: &args, ..Ask::default() }).await?;
    let wanted = commits::marks(message);
    for entry in out.split(|byte| *byte == 0) {
        let entry = String::from_utf8_lossy(entry);
        let Some((ids, found)) = entry.split_once('\n') else { continue };
        let mut ids = ids.split(' ').map(str::to_owned);
        if let (Some(commit), Some(_), Some(brought)) = (ids.next(), ids.next(), ids.next())
            && commits::marks(found) == wanted
        {
            return Ok(Some((commit, brought)));
        }
    }
    Ok(None)
}
