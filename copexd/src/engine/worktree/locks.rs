//! One at a time: git's own locks say "somebody else is at work" instead of waiting.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::super::git::Git;

/// The right to change references and worktrees of a repository.
pub(super) type Held = Arc<OwnedMutexGuard<()>>;

/// How long to wait for a repository. Who has it runs a few commands, none of which reads
/// or writes a user's files: each takes milliseconds.
pub(super) const REPOSITORY_WAIT: Duration = Duration::from_mins(5);

/// How long to wait for a worktree, and for one's turn to merge. Who has it may be at a
/// command of the user's, like a gate, and there may be others before us.
pub(super) const TURN_WAIT: Duration = Duration::from_hours(2);

/// By the path that each is about. Forgotten when nobody wants it.
static LOCKS: Mutex<BTreeMap<PathBuf, Weak<tokio::sync::Mutex<()>>>> = Mutex::new(BTreeMap::new());

/// Waits until nobody else holds this path, but not longer than `most`. It is free again
/// when the guard is dropped.
///
/// # Errors
/// With whom was waited for, when that took too long.
///
/// Cancel safe: who does not wait any more holds nothing.
pub(super) async fn hold(path: &Path, most: Duration) -> Result<OwnedMutexGuard<()>, String> {
    let lock = {
        let mut locks = LOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| lock.strong_count() > 0);
        let known = locks.get(path).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let lock = Arc::default();
            locks.insert(path.to_owned(), Arc::downgrade(&lock));
            lock
        })
    };
    let late = |_| format!("{} was in use for {} s", path.display(), most.as_secs());
    tokio::time::timeout(most, lock.lock_owned()).await.map_err(late)
}

/// Runs a command that takes milliseconds and, killed in the middle, would leave something
/// broken in git's own folder, where the user needs it. It is therefore not killed when the
/// future is dropped, and the repository is held until it has ended.
pub(super) async fn unkilled(git: &Git, held: &Held, args: &[&str]) -> Result<(), String> {
    let (git, held) = (git.clone(), held.clone());
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let runtime = tokio::runtime::Handle::current();
    let work = move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let said = runtime.block_on(git.line(&args));
        drop(held);
        said.map(drop)
    };
    let lost = |_| "git was not waited for".to_owned();
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}
