//! What a run changed in its repository, as commits on a branch of its own.
//!
//! The folder before the run is a tree, the folder now is another; what differs between them
//! is the run's, file by file. It is put over the commit that was checked out before the
//! run, and the result is committed on the run's branch.
//!
//! Invariant: what is checked out stays as it is: files, index, `HEAD` and branch. Trees are
//! made with copies of the index, commits with `commit-tree`, and the one reference that
//! moves is the run's own, from where the run left it.
//! Invariant: a message makes one commit. The tip of the branch is looked at first, and one
//! with the same marks is the commit that was wanted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::gate::Workplace;
use super::git::{Ask, Git, text};
use super::worktree;
use crate::core::commits::{self, Baseline, Made, Order};

/// How long a commit, or the look before the run, may take in all. Reading a folder of a
/// million files takes git a few seconds; what needs longer is a folder of big files that
/// nobody ignores.
const PATIENCE: Duration = Duration::from_mins(2);

/// Begins the name of a folder for indexes.
const SCRATCH: &str = "copex-scratch-";

/// How old a folder for indexes may get: far longer than it is used.
const SCRATCH_LIFE: Duration = Duration::from_hours(1);

/// The mode of a path that is a repository of its own.
const REPOSITORY: &str = "160000";

/// Characters by which people know a commit.
const COMMIT_CHARS: usize = 12;

/// What git leaves in its folder while something is half done.
const HALF_DONE: [(&str, &str); 5] = [
    ("MERGE_HEAD", "a merge is in progress"),
    ("CHERRY_PICK_HEAD", "a cherry-pick is in progress"),
    ("REVERT_HEAD", "a revert is in progress"),
    ("rebase-merge", "a rebase is in progress"),
    ("rebase-apply", "a rebase is in progress"),
];

/// Looks up what was there before the run. The `known` baseline of the run that it goes on
/// from holds while its commit and its branch are still checked out.
///
/// # Errors
/// With the reason why nothing can be committed, for people.
///
/// Cancel safe: nothing is left but objects that git removes by itself.
pub(super) async fn baseline(
    place: Workplace,
    known: Option<Baseline>,
) -> Result<Baseline, String> {
    let git = Git::within(place, PATIENCE);
    let checkout = Checkout::look(&git).await?;
    if let Some(known) = known.filter(|it| (&it.head, &it.on) == (&checkout.head, &checkout.on))
        && git.line(&["cat-file", "-e", &known.tree]).await.is_ok()
    {
        return Ok(known);
    }
    let scratch = Scratch::new(&checkout.folder)?;
    let tree = snapshot(&git, &checkout, &scratch).await?;
    Ok(Baseline { head: checkout.head, tree, on: checkout.on })
}

/// Commits what the run changed since its baseline, if that is more than its last commit has.
///
/// # Errors
/// With the reason why there is no commit, for people.
///
/// Cancel safe: there is a commit on the branch or there is none, and the same order finds it.
/// A lock of the branch that a killed git left is removed: the branch is the run's own.
pub(super) async fn commit(place: Workplace, order: Order) -> Result<Made, String> {
    let git = Git::within(place, PATIENCE);
    let checkout = Checkout::look(&git).await?;
    if checkout.on != order.base.on {
        let (now, then) = (short(&checkout.on), short(&order.base.on));
        return Err(format!("`{now}` is checked out, and it was `{then}` before the run"));
    }
    let branch = format!("refs/heads/{}", order.branch);
    if let Some(made) = made_before(&git, &branch, &order).await? {
        return Ok(Made { commit: Some(made), left_out: Vec::new() });
    }
    let scratch = Scratch::new(&checkout.folder)?;
    let now = snapshot(&git, &checkout, &scratch).await?;
    let (wanted, left_out) = changes(&git, &order.base, &now).await?;
    let tree = put_over(&git, &order.base.head, &wanted, &scratch).await?;
    let parent = order.tip.as_ref().unwrap_or(&order.base.head);
    if git.line(&["rev-parse", &format!("{parent}^{{tree}}")]).await? == tree {
        return Ok(Made { commit: None, left_out });
    }
    let commit = commit_tree(&git, &tree, &[parent], &order.message).await?;
    worktree::move_branch(&git, &order.branch, &commit, order.tip.as_deref()).await?;
    Ok(Made { commit: Some(commit), left_out })
}

/// What is checked out.
pub(super) struct Checkout {
    /// git's own folder of it.
    pub(super) folder: PathBuf,
    pub(super) head: String,
    /// The branch, as a whole reference; where there is none (a detached `HEAD`), the commit.
    pub(super) on: String,
}

impl Checkout {
    /// Looks at what is checked out in a folder.
    ///
    /// # Errors
    /// When nothing can be committed there, with the reason.
    pub(super) async fn look(git: &Git) -> Result<Self, String> {
        if !git.folder().is_dir() {
            return Err(format!("{} is not there any more", git.folder().display()));
        }
        let inside = git.line(&["rev-parse", "--is-inside-work-tree"]).await;
        match inside.as_deref() {
            Ok("true") => {}
            Ok(_) => return Err("the folder is inside a repository's own files".to_owned()),
            Err(why) if why.contains("not a git repository") => {
                return Err(format!("{} is in no git repository", git.folder().display()));
            }
            Err(why) => return Err(why.to_owned()),
        }
        let folder = PathBuf::from(git.line(&["rev-parse", "--absolute-git-dir"]).await?);
        let on = git.line(&["symbolic-ref", "-q", "HEAD"]).await;
        let head = git.line(&["rev-parse", "-q", "--verify", "HEAD^{commit}"]).await;
        let (on, head) = match (on, head) {
            (Ok(on), Ok(head)) => (on, head),
            (Err(_), Ok(head)) => (head.clone(), head),
            (Ok(on), Err(_)) => return Err(format!("`{}` has no commit yet", short(&on))),
            (Err(why), Err(_)) => return Err(why),
        };
        settled(git, &folder).await?;
        Ok(Self { folder, head, on })
    }
}

/// Nothing is half done in a checkout whose own folder is this one.
///
/// # Errors
/// With what is, for people.
pub(super) async fn settled(git: &Git, folder: &Path) -> Result<(), String> {
    if let Some((_, why)) = HALF_DONE.iter().find(|(name, _)| folder.join(name).exists()) {
        return Err((*why).to_owned());
    }
    if !git.line(&["ls-files", "--unmerged"]).await?.is_empty() {
        return Err("there are conflicts that nobody has settled".to_owned());
    }
    Ok(())
}

/// What is checked out, for people.
pub(super) fn short(on: &str) -> &str {
    let commit = if on.starts_with("refs/") { on } else { on.get(..COMMIT_CHARS).unwrap_or(on) };
    on.strip_prefix("refs/heads/").unwrap_or(commit)
}

/// A folder for indexes, inside git's own; removed when dropped.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new(folder: &Path) -> Result<Self, String> {
        forget_old(folder);
        let path = folder.join(format!("{SCRATCH}{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path)
            .map_err(|error| format!("{} cannot be made: {error}", path.display()))?;
        Ok(Self(path))
    }
}

/// Removes what a killed daemon left.
fn forget_old(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(SCRATCH) {
            continue;
        }
        let modified = entry.metadata().and_then(|data| data.modified());
        let age = modified.ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
        if age > SCRATCH_LIFE {
            // It will be tried again.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is removed later.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The folder as a tree: all files that git does not ignore.
pub(super) async fn snapshot(
    git: &Git,
    checkout: &Checkout,
    scratch: &Scratch,
) -> Result<String, String> {
    let index = scratch.0.join("folder");
    let own = checkout.folder.join("index");
    copy_index(&own, &index).map_err(|error| format!("{}: {error}", own.display()))?;
    let index = Some(index.as_path());
    let sparse = git.line(&["config", "--type=bool", "core.sparseCheckout"]).await;
    // Only there: older versions of git do not know the option.
    let add: &[&str] = match sparse.as_deref() {
        Ok("true") => &["add", "--all", "--sparse", "--", ":/"],
        _ => &["add", "--all", "--", ":/"],
    };
    git.ask(Ask { args: add, index, ..Ask::default() }).await?;
    let tree = git.ask(Ask { args: &["write-tree"], index, ..Ask::default() }).await?;
    Ok(text(&tree))
}

/// A copy that is as old as the original: git tells by the age of an index which of its
/// entries it must look at again.
pub(super) fn copy_index(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    let modified = std::fs::metadata(from)?.modified()?;
    std::fs::copy(from, to)?;
    std::fs::File::options().write(true).open(to)?.set_modified(modified)
}

/// What the run changed, in the form that `update-index` reads, and the files among it that
/// are left out.
pub(super) async fn changes(
    git: &Git,
    base: &Baseline,
    now: &str,
) -> Result<(Vec<u8>, Vec<String>), String> {
    let before: BTreeSet<Vec<u8>> =
        difference(git, &base.head, &base.tree).await?.into_iter().map(|it| it.path).collect();
    let (mut gone, mut there, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for change in difference(git, &base.tree, now).await? {
        if change.repository || before.contains(&change.path) {
            left_out.push(String::from_utf8_lossy(&change.path).into_owned());
            continue;
        }
        // Those that are gone first: a file may have become a folder.
        let list = if change.mode == "000000" { &mut gone } else { &mut there };
        list.extend_from_slice(format!("{} {}\t", change.mode, change.blob).as_bytes());
        list.extend_from_slice(&change.path);
        list.push(0);
    }
    gone.append(&mut there);
    Ok((gone, left_out))
}

/// One path that differs between two trees.
struct Change {
    mode: String,
    blob: String,
    path: Vec<u8>,
    repository: bool,
}

async fn difference(git: &Git, from: &str, to: &str) -> Result<Vec<Change>, String> {
    let args = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", from, to];
    let out = git.ask(Ask { args: &args, ..Ask::default() }).await?;
    let mut fields = out.split(|byte| *byte == 0);
    let mut found = Vec::new();
    while let (Some(head), Some(path)) = (fields.next(), fields.next()) {
        // `:old-mode new-mode old-blob new-blob status`
        let head = String::from_utf8_lossy(head).into_owned();
        let mut parts = head.trim_start_matches(':').split(' ');
        let (old, mode) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        found.push(Change {
            repository: old == REPOSITORY || mode == REPOSITORY,
            mode: mode.to_owned(),
            blob: parts.nth(1).unwrap_or_default().to_owned(),
            path: path.to_vec(),
        });
    }
    Ok(found)
}

/// The tree of a commit with these changes put over it.
pub(super) async fn put_over(
    git: &Git,
    commit: &str,
    changes: &[u8],
    scratch: &Scratch,
) -> Result<String, String> {
    let index = scratch.0.join("commit");
    let index = Some(index.as_path());
    git.ask(Ask { args: &["read-tree", commit], index, ..Ask::default() }).await?;
    let args = ["update-index", "-z", "--index-info"];
    git.ask(Ask { args: &args, input: changes, index, ..Ask::default() }).await?;
    let tree = git.ask(Ask { args: &["write-tree"], index, ..Ask::default() }).await?;
    Ok(text(&tree))
}

/// The commit that this order made before a crash, if it did.
///
/// # Errors
/// When the branch is not where the run left it: it is somebody else's now.
async fn made_before(git: &Git, branch: &str, order: &Order) -> Result<Option<String>, String> {
    let format = "--format=%(objectname) %(worktreepath)";
    let found = git.line(&["for-each-ref", format, branch]).await?;
    let (tip, checked_out) = found.split_once(' ').unwrap_or((&found, ""));
    if !checked_out.is_empty() {
        return Err(format!("`{}` is checked out in {checked_out}", order.branch));
    }
    if tip == order.tip.as_deref().unwrap_or_default() {
        return Ok(None);
    }
    let moved = || format!("`{}` is not where this run left it", order.branch);
    if tip.is_empty() {
        return Err(moved());
    }
    let message = git.line(&["cat-file", "commit", tip]).await?;
    let wanted = commits::marks(&order.message);
    if commits::marks(&message) == wanted { Ok(Some(tip.to_owned())) } else { Err(moved()) }
}

/// A commit by whom git knows, else by copex.
pub(super) async fn commit_tree(
    git: &Git,
    tree: &str,
    parents: &[&str],
    message: &str,
) -> Result<String, String> {
    let known = ["-c", "user.useConfigOnly=true"];
    let mut words = vec!["commit-tree", tree];
    words.extend(parents.iter().flat_map(|parent| ["-p", *parent]));
    words.extend(["-F", "-"]);
    let args: Vec<&str> = known.iter().chain(&words).copied().collect();
    let input = message.as_bytes();
    let said = git.run(Ask { args: &args, input, ..Ask::default() }).await?;
    if said.code == 0 {
        return Ok(text(&said.out));
    }
    let made = git.ask(Ask { args: &words, input, nobody: true, ..Ask::default() }).await?;
    Ok(text(&made))
}

#[cfg(test)]
mod tests;
