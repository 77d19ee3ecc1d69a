//! What is done with a database that does not open or does not read.
//!
//! Two attempts, each on a copy: as it is, then without sled's snapshots (a damaged one
//! is rebuilt from the log). In each, every tree is walked from both ends up to the
//! damage and written to a new database; the attempt that reaches further in the log of
//! commits wins, then the one that kept more.
//!
//! Invariant: the original is only ever renamed. The order is: build `sled.new`, rename it
//! to `sled.salvaged`, rename `sled` to the quarantine, rename `sled.salvaged` to `sled`. A kill
//! between any two of them is finished or undone by the next open.

use std::fs;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use super::chunk::{self, Value};
use super::error::StoreError;
use super::handle::StoreOptions;
use super::index;
use super::keys::{TREES, Tree};
use super::open::{SLED, sync_parent};
use super::sled_dir::{self, Changes, Database};

/// The copy that is read.
const COPY: &str = "sled.copy";
/// What an attempt builds.
const ATTEMPTS: [&str; 2] = ["sled.new", "sled.new-without-snapshot"];
/// A finished attempt.
const SALVAGED: &str = "sled.salvaged";

/// Bytes written to the new database at once.
const BATCH_BYTES: usize = 1024 * 1024;

/// What became of a damaged store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvage {
    /// Where the damaged database is, whole.
    pub quarantine: PathBuf,
    /// What was wrong with it.
    pub cause: String,
    /// Records that were kept, large ones counted once.
    pub kept: u64,
    /// Where records are known to be missing. Absent: every tree was read to its end, and
    /// only the newest records may be missing.
    pub lost_hint: Option<String>,
}

impl Salvage {
    /// Adds what the high-water mark knows.
    pub(super) fn note_missing(&mut self, groups: u64) {
        if groups > 0 {
            let tail = format!("the newest {groups} groups of commits");
            self.lost_hint = Some(match self.lost_hint.take() {
                Some(hint) => format!("{hint}; {tail}"),
                None => tail,
            });
        }
    }
}

/// What one attempt kept.
#[derive(Debug, Default)]
struct Kept {
    /// The last group of commits.
    group: u64,
    records: u64,
    lost: Vec<String>,
}

/// How a walk over a tree ended.
enum Walk {
    /// With the tree, or where the caller wanted.
    Complete,
    /// In damage, behind this key if any.
    Damaged(Option<sled::IVec>),
}

/// Puts a salvaged database in the place of the damaged one.
pub(super) fn salvage(
    dir: &Path,
    options: &StoreOptions,
    cause: &StoreError,
) -> Result<Salvage, StoreError> {
    let attempts = attempt(dir, options, 0)
        .and_then(|first| attempt(dir, options, 1).map(|second| (first, second)));
    let (first, second) = match attempts {
        Ok(attempts) => attempts,
        Err(error) => {
            // Copies on a full disk are the last thing to leave behind.
            let _left = remove_leftovers(dir);
            return Err(error);
        }
    };
    // The one that reaches further, then the one with more in it.
    let reach = |kept: &Option<Kept>| kept.as_ref().map(|kept| (kept.group, kept.records));
    let (name, kept) =
        if reach(&first) >= reach(&second) { (ATTEMPTS[0], first) } else { (ATTEMPTS[1], second) };
    let nothing = || Kept { lost: vec!["nothing could be read".to_owned()], ..Kept::default() };
    let opened = kept.is_some();
    let kept = kept.unwrap_or_else(nothing);

    let salvaged = dir.join(SALVAGED);
    if opened {
        rename(&dir.join(name), &salvaged)?;
    } else {
        fs::create_dir(&salvaged).map_err(|error| StoreError::io(&salvaged, error))?;
    }
    let quarantine = quarantine_path(dir, options.now_ms);
    rename(&dir.join(SLED), &quarantine)?;
    rename(&salvaged, &dir.join(SLED))?;
    remove_leftovers(dir)?;
    Ok(Salvage {
        quarantine,
        cause: cause_text(cause),
        kept: kept.records,
        lost_hint: (!kept.lost.is_empty()).then(|| kept.lost.join("; ")),
    })
}

/// Goes on where a kill interrupted [`salvage`].
pub(super) fn finish_interrupted(dir: &Path) -> Result<(), StoreError> {
    let (sled, salvaged) = (dir.join(SLED), dir.join(SALVAGED));
    if salvaged.exists() {
        if sled.exists() {
            remove_tree(&salvaged)?;
        } else {
            rename(&salvaged, &sled)?;
        }
    }
    remove_leftovers(dir)
}

fn remove_leftovers(dir: &Path) -> Result<(), StoreError> {
    [COPY, ATTEMPTS[0], ATTEMPTS[1]].iter().try_for_each(|name| remove_tree(&dir.join(name)))
}

fn quarantine_path(dir: &Path, now_ms: u64) -> PathBuf {
    let mut path = dir.as_os_str().to_owned();
    path.push(format!(".quarantine-{now_ms}"));
    let mut free = PathBuf::from(path.clone());
    let mut count = 1;
    while free.exists() {
        let mut next = path.clone();
        next.push(format!("-{count}"));
        free = next.into();
        count += 1;
    }
    free
}

/// `None`: the copy did not even open. An error: the disk refused, so nothing was moved.
fn attempt(dir: &Path, options: &StoreOptions, number: usize) -> Result<Option<Kept>, StoreError> {
    let copy = dir.join(COPY);
    remove_tree(&copy)?;
    remove_tree(&dir.join(ATTEMPTS[number]))?;
    copy_database(&dir.join(SLED), &copy, number == 0)?;
    let cache = options.cache_bytes;
    let old = match sled_dir::open(dir, COPY, cache) {
        Ok(old) => old,
        Err(error) if error.is_damage() => return Ok(None),
        Err(error) => return Err(error),
    };
    let new = sled_dir::open(dir, ATTEMPTS[number], cache)?;
    let kept = sled_dir::caught(dir, "salvaging", move || {
        let kept = copy_trees(&old, &new);
        old.close();
        let flushed = index::rebuild(&new).and_then(|()| new.flush()).and_then(|()| new.sync());
        new.close();
        flushed.and(kept)
    })?;
    remove_tree(&copy)?;
    Ok(Some(kept))
}

fn copy_trees(old: &Database, new: &Database) -> Result<Kept, StoreError> {
    let mut kept = Kept::default();
    for tree in TREES {
        // Pieces go with the record they belong to.
        if tree == Tree::Chunks {
            continue;
        }
        let before = kept.records;
        let mut front = old.tree(tree).iter();
        let walked = walk(old, new, tree, &mut kept, || front.next())?;
        if let Walk::Damaged(last) = walked {
            let mut back = old.tree(tree).iter();
            // Up to where the walk from the front stopped, or the same damage again.
            let mut met = false;
            let walked = walk(old, new, tree, &mut kept, || {
                let next = back.next_back()?;
                if let (Ok((key, _)), Some(last)) = (&next, &last)
                    && key <= last
                {
                    met = true;
                    return None;
                }
                Some(next)
            })?;
            if !met || matches!(walked, Walk::Damaged(_)) {
                let found = kept.records - before;
                kept.lost.push(format!("{}: a damaged stretch, {found} kept", tree.name()));
            }
        }
    }
    kept.group = new.group()?;
    Ok(kept)
}

type Entry = Result<(sled::IVec, sled::IVec), sled::Error>;

/// Copies what `next` yields.
fn walk(
    old: &Database,
    new: &Database,
    tree: Tree,
    kept: &mut Kept,
    mut next: impl FnMut() -> Option<Entry>,
) -> Result<Walk, StoreError> {
    let mut changes = Changes::new();
    let mut bytes = 0;
    let mut last = None;
    let ended = loop {
        let entry = std::panic::catch_unwind(AssertUnwindSafe(&mut next));
        let (key, value) = match entry {
            Ok(None) => break Walk::Complete,
            Ok(Some(Ok(entry))) => entry,
            Ok(Some(Err(_))) | Err(_) => break Walk::Damaged(last),
        };
        last = Some(key.clone());
        if !take_pieces(old, tree, &value, &mut changes) {
            kept.lost.push(format!("{}: a large record misses pieces", tree.name()));
            continue;
        }
        bytes += key.len() + value.len();
        changes.insert((tree, key.to_vec()), Some(value.to_vec()));
        kept.records += 1;
        if bytes > BATCH_BYTES || changes.len() > 1024 {
            new.apply(std::mem::take(&mut changes))?;
            bytes = 0;
        }
    };
    new.apply(changes)?;
    Ok(ended)
}

/// Adds the pieces of a large value. `false`: one of them cannot be read.
fn take_pieces(old: &Database, tree: Tree, value: &[u8], changes: &mut Changes) -> bool {
    if !tree.holds_records() {
        return true;
    }
    let Some(Value::Chunked { pieces, .. }) = chunk::parse(value) else { return true };
    let mut found = Changes::new();
    for key in pieces.keys() {
        let piece = std::panic::catch_unwind(AssertUnwindSafe(|| old.bare(Tree::Chunks, &key)));
        let Ok(Ok(Some(piece))) = piece else { return false };
        found.insert((Tree::Chunks, key.to_vec()), Some(piece.to_vec()));
    }
    changes.append(&mut found);
    true
}

fn copy_database(from: &Path, to: &Path, with_snapshots: bool) -> Result<(), StoreError> {
    fs::create_dir_all(to).map_err(|error| StoreError::io(to, error))?;
    for entry in fs::read_dir(from).map_err(|error| StoreError::io(from, error))? {
        let entry = entry.map_err(|error| StoreError::io(from, error))?;
        let (path, name) = (entry.path(), entry.file_name());
        let text = name.to_string_lossy();
        // `conf` only says what the defaults are, and is the part most easily replaced.
        if !with_snapshots && (text.starts_with("snap.") || text == "conf") {
            continue;
        }
        if path.is_dir() {
            copy_database(&path, &to.join(&name), true)?;
        } else {
            fs::copy(&path, to.join(&name)).map_err(|error| StoreError::io(&path, error))?;
        }
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).and_then(|()| sync_parent(to)).map_err(|error| StoreError::io(from, error))
}

fn remove_tree(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(path, error)),
        _ => Ok(()),
    }
}

/// The cause with the causes below it.
fn cause_text(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut below = std::error::Error::source(error);
    while let Some(source) = below {
        text.push_str(": ");
        text.push_str(&source.to_string());
        below = source.source();
    }
    text
}
