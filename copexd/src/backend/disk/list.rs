//! Sessions as a list shows them, from a few bytes of each.

use std::io::{self, Read as _};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::lines::Lines;
use super::lock::Copilots;
use super::{Disk, Folder};
use crate::core::transcript::peek::{self, Beginning};
use crate::core::transcript::workspace;

/// Bytes that are read from the beginning of a transcript. The first prompt follows its
/// first record, of 0.4 KB.
const HEAD: u64 = 64 << 10;

/// The longest transcript whose prompts are counted: 0.1 s of reading, 8,000 turns.
const MOST_COUNTED: u64 = 16 << 20;

/// Bytes that one list reads for counting: half a second.
const MOST_COUNTED_IN_ALL: u64 = 128 << 20;

/// Files of one session that are summed up.
const MOST_FILES: usize = 10_000;

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Where it is.
    pub folder: Folder,
    /// What its transcript begins with.
    pub beginning: Beginning,
    /// Its working folder.
    pub cwd: Option<String>,
    /// Prompts; nothing where the transcript is too long to be counted.
    pub turns: Option<u64>,
    /// When it was last written to, in Unix milliseconds.
    pub used_at: u64,
    /// What it takes on the disk, in bytes.
    pub size: u64,
    /// Living processes that have it open.
    pub holders: Vec<u32>,
}

/// The sessions used last, newest first, and whether there are more: those of the folder
/// `cwd`, or all, without those that nobody has spoken in.
///
/// # Errors
/// When the sessions cannot be listed. One that cannot be read is there with what is known.
pub fn recent(disk: &Disk, cwd: Option<&str>, limit: usize) -> io::Result<(Vec<Seen>, bool)> {
    let mut folders: Vec<_> =
        disk.folders()?.into_iter().map(|folder| (used_at(&folder), folder)).collect();
    folders.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.id.cmp(&other.id)));
    let copilots = Copilots::now();
    let mut budget = MOST_COUNTED_IN_ALL;
    let mut list = Vec::new();
    for (_, folder) in folders {
        if folder.unused() {
            continue;
        }
        let Some(seen) = look(&folder, cwd, &copilots, &mut budget) else { continue };
        if list.len() == limit {
            return Ok((list, true));
        }
        list.push(seen);
    }
    Ok((list, false))
}

/// One session.
pub fn seen(folder: &Folder) -> Seen {
    let mut budget = MOST_COUNTED_IN_ALL;
    look(folder, None, &Copilots::now(), &mut budget).unwrap_or_else(|| Seen {
        folder: folder.clone(),
        beginning: Beginning::default(),
        cwd: None,
        turns: None,
        used_at: 0,
        size: 0,
        holders: Vec::new(),
    })
}

/// A look at one session; nothing when it is of another folder than `cwd`.
fn look(folder: &Folder, cwd: Option<&str>, copilots: &Copilots, budget: &mut u64) -> Option<Seen> {
    let beginning = head(folder).unwrap_or_default();
    let own = described_cwd(folder).or_else(|| beginning.cwd.clone());
    if cwd.is_some_and(|cwd| own.as_deref() != Some(cwd)) {
        return None;
    }
    Some(Seen {
        cwd: own,
        turns: turns(folder, budget).unwrap_or_default(),
        used_at: used_at(folder),
        size: size(folder),
        holders: copilots.holding(folder.path()),
        folder: folder.clone(),
        beginning,
    })
}

/// Its working folder, where that is known.
pub fn cwd(folder: &Folder) -> Option<String> {
    described_cwd(folder).or_else(|| head(folder).ok()?.cwd)
}

fn described_cwd(folder: &Folder) -> Option<String> {
    let described = folder.workspace().ok().flatten()?;
    workspace::field(&String::from_utf8_lossy(&described), "cwd")
}

fn head(folder: &Folder) -> io::Result<Beginning> {
    let mut bytes = Vec::new();
    folder.open_events()?.take(HEAD).read_to_end(&mut bytes)?;
    Ok(peek::beginning(&bytes))
}

/// How many prompts there are; nothing where that costs more than there is budget for.
fn turns(folder: &Folder, budget: &mut u64) -> io::Result<Option<u64>> {
    // As the CLI writes a record.
    const PROMPT: &[u8] = b"{\"type\":\"user.message\"";
    let file = match folder.open_events() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(0)),
        file => file?,
    };
    let length = file.metadata()?.len();
    if length > MOST_COUNTED || length > *budget {
        return Ok(None);
    }
    *budget -= length;
    let (mut lines, mut count) = (Lines::of(file), 0);
    while let Some((line, _)) = lines.next()? {
        let prompt = line.starts_with(PROMPT)
            && serde_json::from_slice(line).is_ok_and(|value| peek::is_said(&value));
        count += u64::from(prompt);
    }
    Ok(Some(count))
}

fn used_at(folder: &Folder) -> u64 {
    let own = |path: &Path| path.symlink_metadata()?.modified();
    let written = own(&folder.events()).or_else(|_| own(folder.path()));
    let since = written.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// What its files take, in bytes. Links are not followed.
pub fn size(folder: &Folder) -> u64 {
    let (mut open, mut sum, mut files) = (vec![folder.path.clone()], 0, 0);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            files += 1;
            let Ok(meta) = entry.metadata() else { continue };
            if files > MOST_FILES {
                return sum;
            }
            if meta.is_dir() {
                open.push(entry.path());
            } else {
                sum += meta.len();
            }
        }
    }
    sum
}
