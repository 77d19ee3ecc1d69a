//! What runs left: their worktrees, their branches, and what of it can go.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::super::git::{Ask, Git};
use super::commit::Work;
use super::folder::Start;
use super::repo::Repo;
use super::{Site, branch, folder, locks};
use crate::core::worktrees::{self, Cleaned, Item, RUN_BRANCHES, TASK_BRANCHES};

/// Which runs are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Which {
    /// That of the site.
    This,
    /// All whose worktrees or branches the repository has.
    All,
}

/// What is to go.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Sweep<'a> {
    /// Of which runs.
    pub(in crate::engine) which: Which,
    /// Whether that goes, too, of which something would be lost.
    pub(in crate::engine) force: bool,
    /// Whether the runs' own branches go, too, once another branch has all of them.
    pub(in crate::engine) branches: bool,
    /// Whether a run is at work, by the name that its branch has. Nothing of it goes.
    pub(in crate::engine) at_work: &'a (dyn Fn(&str) -> bool + Sync),
}

/// Removes worktrees and branches of which nothing would be lost: all that is committed in
/// them is in another branch that stays, and everything is committed.
///
/// # Errors
/// With the reason why it could not be tried, for people.
///
/// Cancel safe: what is half removed is removed by the next call.
pub(in crate::engine) async fn clean(
    site: Site,
    Sweep { which, force, branches, at_work }: Sweep<'_>,
) -> Result<Cleaned, String> {
    let repo = Repo::open(&site).await?;
    let mut cleaned = Cleaned::default();
    for found in find(&repo, &site, which).await? {
        let mut item = found.item.clone();
        if item.task.is_none() && !branches {
            continue;
        }
        // Asked each time: one may have begun meanwhile.
        if at_work(&item.run) {
            item.keep = Some("its run is at work".to_owned());
            cleaned.kept.push(item);
        } else if item.keep.is_some() && !force {
            cleaned.kept.push(item);
        } else if let Err(why) = remove(&repo, &found).await {
            item.keep = Some(why);
            cleaned.kept.push(item);
        } else {
            cleaned.removed.push(item);
        }
    }
    for home in homes(&site, which).into_iter().filter(|home| !at_work(&file_name(home))) {
        folder::sweep(&home).await;
        // One that is not empty is wanted.
        let _ = std::fs::remove_dir(&home);
    }
    Ok(cleaned)
}

/// The repositories that have worktrees below this root, by git's own folder of each. For a
/// look at all of them, wherever the caller is.
pub(in crate::engine) fn repositories(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in folders(root).iter().flat_map(|home| folders(home)) {
        let link = std::fs::read_to_string(path.join(".git")).unwrap_or_default();
        // `gitdir: COMMON/worktrees/NAME`
        let admin = link.trim_end_matches('\n').strip_prefix("gitdir: ").map(|at| path.join(at));
        let common = admin.and_then(|at| Some(at.parent()?.parent()?.to_owned()));
        found.extend(common.and_then(|at| at.canonicalize().ok()));
    }
    found.sort();
    found.dedup();
    found
}

/// Something that was found.
pub(super) struct Found {
    pub(super) item: Item,
    tip: String,
}

/// What is there.
pub(super) async fn find(repo: &Repo, site: &Site, which: Which) -> Result<Vec<Found>, String> {
    let git = repo.git();
    let branches = branches(&git).await?;
    let mut found: BTreeMap<(String, Option<String>), Found> = BTreeMap::new();
    for home in homes(site, which) {
        let run = file_name(&home);
        let folders = folders(&home);
        // A folder that is no worktree any more belongs where the others of its run do.
        let known = folders.iter().any(|path| is_ours(repo, path))
            || branches.iter().any(|(name, _)| owner(name).is_some_and(|(of, _)| of == run));
        for path in folders {
            if !(is_ours(repo, &path) || known && !path.join(".git").exists()) {
                continue;
            }
            let key = (run.clone(), Some(file_name(&path)));
            let mut one = Found::new(key.clone());
            one.item.bytes = size(&path).await;
            one.item.path = Some(path);
            found.insert(key, one);
        }
    }
    for (name, tip) in branches {
        let Some(key) = owner(&name) else { continue };
        if which == Which::This && key.0 != worktrees::name(&site.run) {
            continue;
        }
        let one = found.entry(key.clone()).or_insert_with(|| Found::new(key));
        (one.item.branch, one.tip) = (Some(name), tip);
    }
    // Branches of tasks first: they may be in their run's, which stays or goes after them.
    let mut found: Vec<Found> = found.into_values().collect();
    found.sort_by_key(|one| (one.item.run.clone(), one.item.task.is_none()));
    for one in &mut found {
        one.item.keep = keep(repo, &git, one).await?;
    }
    Ok(found)
}

impl Found {
    fn new((run, task): (String, Option<String>)) -> Self {
        let item = Item { run, task, branch: None, path: None, bytes: 0, keep: None };
        Self { item, tip: String::new() }
    }
}

/// Why something must stay, if it must.
async fn keep(repo: &Repo, git: &Git, found: &Found) -> Result<Option<String>, String> {
    if let Some(path) = &found.item.path {
        let Some(admin) = folder::admin(&repo.common, path) else {
            return Ok(Some(
                "it is no worktree any more, and nobody knows what is in it".to_owned(),
            ));
        };
        if let Some(start) = folder::marked(&admin)
            && let Some(why) = unsaved(repo, (&admin, &start), &found.item).await
        {
            return Ok(Some(why));
        }
    }
    let Some(name) = &found.item.branch else { return Ok(None) };
    let format = "--format=%(refname)";
    let holders = git.line(&["for-each-ref", "--contains", &found.tip, format]).await?;
    let run = format!("refs/heads/{RUN_BRANCHES}{}", found.item.run);
    let fleets = [RUN_BRANCHES, TASK_BRANCHES].map(|prefix| format!("refs/heads/{prefix}"));
    let stays = |holder: &str| {
        let branch = holder.starts_with("refs/heads/") || holder.starts_with("refs/remotes/");
        let fleet = fleets.iter().any(|prefix| holder.starts_with(prefix));
        branch && (!fleet || found.item.task.is_some() && holder == run)
    };
    if holders.lines().any(stays) {
        return Ok(None);
    }
    Ok(Some(format!("`{name}` is merged into no other branch")))
}

/// What would be lost with the folder of a whole worktree.
async fn unsaved(repo: &Repo, (admin, start): (&Path, &Start), found: &Item) -> Option<String> {
    let look = async {
        let path = found.path.as_deref().unwrap_or(admin);
        folder::relink(admin, path)?;
        let git = repo.git_in(path).await?;
        let task = found.task.as_deref().unwrap_or_default();
        let name = format!("{TASK_BRANCHES}{}/{task}", found.run);
        Work::look(&git, (admin, start), &name).await?.is_all_saved(&git).await
    };
    match look.await {
        Ok(true) => None,
        Ok(false) => Some("something in it is not committed".to_owned()),
        Err(why) => Some(why),
    }
}

async fn remove(repo: &Repo, found: &Found) -> Result<(), String> {
    let git = repo.git();
    if let Some(path) = &found.item.path {
        let _alone = locks::hold(path, locks::REPOSITORY_WAIT).await?;
        let held = repo.hold().await?;
        folder::discard((&git, &repo.common, &held), path).await?;
    }
    let Some(name) = &found.item.branch else { return Ok(()) };
    let held = repo.hold().await?;
    let now = branch::Branch::look(&git, name).await?;
    if now.tip.is_none() {
        return Ok(());
    }
    now.free(&git, &held, name).await?;
    branch::remove((&git, &repo.common, &held), name, &found.tip).await
}

/// All branches of fleets, each with its last commit.
async fn branches(git: &Git) -> Result<Vec<(String, String)>, String> {
    let prefixes = [RUN_BRANCHES, TASK_BRANCHES].map(|prefix| format!("refs/heads/{prefix}"));
    let args = ["for-each-ref", "--format=%(objectname) %(refname)", &prefixes[0], &prefixes[1]];
    let out = git.ask(Ask { args: &args, ..Ask::default() }).await?;
    let out = String::from_utf8_lossy(&out).into_owned();
    let entry = |line: &str| {
        let (tip, name) = line.split_once(" refs/heads/")?;
        Some((name.to_owned(), tip.to_owned()))
    };
    Ok(out.lines().filter_map(entry).collect())
}

/// Whose branch this is.
fn owner(name: &str) -> Option<(String, Option<String>)> {
    if let Some(rest) = name.strip_prefix(TASK_BRANCHES) {
        let (run, task) = rest.split_once('/')?;
        return Some((run.to_owned(), Some(task.to_owned())));
    }
    Some((name.strip_prefix(RUN_BRANCHES)?.to_owned(), None))
}

/// Whether a folder below the root is a worktree of this repository, or was one.
fn is_ours(repo: &Repo, path: &Path) -> bool {
    if folder::admin(&repo.common, path).is_some() {
        return true;
    }
    let link = std::fs::read_to_string(path.join(".git")).unwrap_or_default();
    let admin = link.trim_end_matches('\n').strip_prefix("gitdir: ");
    admin.is_some_and(|admin| path.join(admin).starts_with(&repo.common))
}

/// The folders of the runs that are meant, by their real names.
fn homes(site: &Site, which: Which) -> Vec<PathBuf> {
    let Ok(root) = site.root.canonicalize() else { return Vec::new() };
    match which {
        Which::This => {
            let home = root.join(worktrees::name(&site.run));
            if home.is_dir() { vec![home] } else { Vec::new() }
        }
        Which::All => folders(&root),
    }
}

/// The folders in a folder, without those that are being removed.
fn folders(path: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = all
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|path| !folder::is_trash(path))
        .collect();
    found.sort();
    found
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a folder takes on the disk, in bytes; links are not followed.
async fn size(path: &Path) -> u64 {
    let path = path.to_owned();
    let work = move || {
        let (mut bytes, mut open) = (0, vec![path]);
        while let Some(path) = open.pop() {
            for entry in std::fs::read_dir(&path).into_iter().flatten().flatten() {
                let Ok(data) = entry.metadata() else { continue };
                // A block is 512 bytes, whatever the disk's own are.
                bytes += data.blocks() * 512;
                if data.is_dir() {
                    open.push(entry.path());
                }
            }
        }
        bytes
    };
    // It does not panic; and if it did, the size would be unknown.
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}
