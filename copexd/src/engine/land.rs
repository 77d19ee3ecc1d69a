//! What a run changed in the user's folder, as one commit on the branch that is checked out.
//!
//! Files stay as they are. The branch and the index move together, under git's own lock of
//! the index, so that the user's `git status` never sees the one without the other.
//!
//! Invariant: nothing that the user had changed before the run is committed or unstaged.
//! Invariant: the same order may be repeated after a crash at any point: its commit is known
//! by its marks, and a lock that was left by it is known by its other name.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::commit::{
    Checkout, Scratch, changes, commit_tree, copy_index, put_over, short, snapshot,
};
use super::gate::Workplace;
use super::git::{Ask, Git};
use super::worktree;
use crate::core::commits;
use crate::core::worktrees::{Finalized, Land};

/// How long it may take in all; as for the commits of a run on a branch of its own.
const PATIENCE: Duration = Duration::from_mins(2);

/// The other name of our lock of the index, in git's own folder.
const INDEX: &str = "copex-index";

/// Commits what a run changed since its baseline on the branch that is checked out.
///
/// # Errors
/// With the reason why it could not be tried, for people.
///
/// Cancel safe: either the branch and the index have it, or neither has; the step between
/// the two is not left in the middle.
pub(super) async fn land(place: Workplace, order: Land) -> Result<Finalized, String> {
    let git = Git::within(place, PATIENCE);
    let checkout = Checkout::look(&git).await?;
    let (on, base) = (short(&checkout.on).to_owned(), &order.base);
    if !checkout.on.starts_with("refs/") {
        return Err(format!("no branch is checked out (detached HEAD at {on})"));
    }
    let index = Index::of(&checkout.folder);
    let args = ["cat-file", "commit", &checkout.head];
    let head = git.ask(Ask { args: &args, ..Ask::default() }).await?;
    let head = String::from_utf8_lossy(&head);
    let there = commits::marks(&head) == commits::marks(&order.message);
    if index.is_ours() {
        unlock(&git, &checkout, &order.message).await?;
    }
    index.settle(there)?;
    if there {
        return Ok(Finalized::Forwarded { on, commit: checkout.head, left_out: Vec::new() });
    }
    if checkout.on != base.on {
        let then = short(&base.on);
        let why = format!("`{on}` is checked out, and it was `{then}` before the run");
        return Ok(Finalized::Not { why });
    }
    if checkout.head != base.head {
        let why = format!("`{on}` has commits that it had not before the run");
        return Ok(Finalized::Not { why });
    }
    let scratch = Scratch::new(&checkout.folder)?;
    let now = snapshot(&git, &checkout, &scratch).await?;
    let (wanted, left_out) = changes(&git, base, &now).await?;
    if wanted.is_empty() {
        return Ok(if left_out.is_empty() {
            Finalized::Nothing
        } else {
            let names = commits::named(&left_out);
            let why =
                format!("{names}: changed before the run already, or a repository of its own");
            Finalized::Not { why }
        });
    }
    let tree = put_over(&git, &base.head, &wanted, &scratch).await?;
    let commit = commit_tree(&git, &tree, &[&base.head], &order.message).await?;
    let seen = index.fresh(&git, &wanted).await?;
    let locks = locks(&git, &checkout.folder, &checkout.on).await?;
    let (from, to) = (checkout.head, commit.clone());
    Moving { git, index, seen, on: checkout.on, from, to, locks }.go().await?;
    Ok(Finalized::Forwarded { on, commit, left_out })
}

/// The user's index.
struct Index {
    own: PathBuf,
    lock: PathBuf,
    /// What it becomes.
    next: PathBuf,
}

/// How a file was seen.
type Seen = Option<(u64, u64, i64, i64)>;

fn seen(path: &Path) -> Seen {
    let data = path.metadata().ok()?;
    Some((data.ino(), data.size(), data.mtime(), data.mtime_nsec()))
}

impl Index {
    fn of(folder: &Path) -> Self {
        let [own, lock, next] = ["index", "index.lock", INDEX].map(|name| folder.join(name));
        Self { own, lock, next }
    }

    /// Whether the lock is one that we left in the middle.
    fn is_ours(&self) -> bool {
        let inode = |path: &Path| path.metadata().ok().map(|data| (data.dev(), data.ino()));
        let next = inode(&self.next);
        next.is_some() && inode(&self.lock) == next
    }

    /// Ends what was left in the middle: with the branch, or without.
    fn settle(&self, there: bool) -> Result<(), String> {
        if !self.next.exists() {
            return Ok(());
        }
        let done = match (self.is_ours(), there) {
            (true, true) => std::fs::rename(&self.lock, &self.own),
            (true, false) => std::fs::remove_file(&self.lock),
            (false, _) => Ok(()),
        };
        done.and_then(|()| std::fs::remove_file(&self.next))
            .map_err(|error| about(&self.lock, &error))
    }

    /// Makes the next index: the present one with these changes. How that one was seen.
    async fn fresh(&self, git: &Git, wanted: &[u8]) -> Result<Seen, String> {
        let seen = seen(&self.own);
        copy_index(&self.own, &self.next).map_err(|error| about(&self.next, &error))?;
        let index = Some(self.next.as_path());
        let args = ["update-index", "-z", "--index-info"];
        git.ask(Ask { args: &args, input: wanted, index, ..Ask::default() }).await?;
        // What differs is no failure here: it only makes `git status` faster.
        let args = ["update-index", "-q", "--refresh"];
        git.run(Ask { args: &args, index, ..Ask::default() }).await?;
        Ok(seen)
    }
}

/// The locks that git takes to move the branch that is checked out.
async fn locks(git: &Git, folder: &Path, on: &str) -> Result<[PathBuf; 2], String> {
    let common = worktree::common(git).await?;
    Ok([folder.join("HEAD.lock"), common.join(format!("{on}.lock"))])
}

/// Removes what our git left when it was killed while it moved the branch: a lock that is old,
/// and holds nothing yet, or the commit of this very order.
async fn unlock(git: &Git, checkout: &Checkout, message: &str) -> Result<(), String> {
    for lock in locks(git, &checkout.folder, &checkout.on).await? {
        let Ok(held) = std::fs::read_to_string(&lock) else { continue };
        let commit = git.line(&["cat-file", "commit", held.trim()]).await.unwrap_or_default();
        let ours = held.is_empty() || commits::marks(&commit) == commits::marks(message);
        if ours {
            worktree::released(&lock).await;
        }
        if lock.exists() {
            return Err(in_the_way(&lock));
        }
    }
    Ok(())
}

/// What to do about a lock that may be another's.
fn in_the_way(lock: &Path) -> String {
    format!(
        "another git is at work, or was killed: {} is there; remove it if no git is at work",
        lock.display()
    )
}

/// The branch and the index, about to be moved.
struct Moving {
    git: Git,
    index: Index,
    seen: Seen,
    on: String,
    from: String,
    to: String,
    /// The locks that this takes.
    locks: [PathBuf; 2],
}

impl Moving {
    /// Moves both. It is not left in the middle when the future is dropped.
    async fn go(self) -> Result<(), String> {
        let runtime = tokio::runtime::Handle::current();
        let work = move || {
            let moved = self.locked(&runtime);
            if moved.is_err() {
                // Gone already where it was never made.
                let _ = std::fs::remove_file(&self.index.next);
            }
            moved
        };
        let lost = |_| "git was not waited for".to_owned();
        tokio::task::spawn_blocking(work).await.map_err(lost)?
    }

    fn locked(&self, runtime: &tokio::runtime::Handle) -> Result<(), String> {
        let Index { own, lock, next } = &self.index;
        std::fs::hard_link(next, lock).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                format!("another git is at work: {} is there", lock.display())
            }
            _ => about(lock, &error),
        })?;
        let moved = if seen(own) == self.seen {
            let args = ["update-ref", "-m", "copex", &self.on, &self.to, &self.from];
            runtime.block_on(self.git.line(&args)).map(drop).map_err(|why| {
                let held = self.locks.iter().find(|lock| lock.exists());
                held.map_or(why, |lock| in_the_way(lock))
            })
        } else {
            Err("the index was changed at this moment".to_owned())
        };
        if let Err(why) = moved {
            std::fs::remove_file(lock).map_err(|error| about(lock, &error))?;
            return Err(why);
        }
        std::fs::rename(lock, own).map_err(|error| about(own, &error))?;
        std::fs::remove_file(next).map_err(|error| about(next, &error))
    }
}

fn about(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests;
