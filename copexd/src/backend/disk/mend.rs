//! Looking for what makes a session unfit to be opened, and repairing it.
//!
//! A repair is a new file beside the old one, flushed and then put in its place; the old one
//! keeps its bytes under a name that says so and was free before. So a crash leaves the one
//! or the other, and nothing is ever lost to a repair.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::lines::Lines;
use super::lock::Copilots;
use super::{EVENTS, Folder, WORKSPACE, lock, open};
use crate::core::transcript::{
    Examiner, Fault, Finding, Known, Verdict, Weight, keep, start_of, workspace,
};

/// Names that are tried for a backup: repairs of one session in one millisecond.
const MOST_NAMES: u32 = 100;

/// What was found in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its transcript.
    pub transcript: Verdict,
    /// Its other files.
    pub beside: Vec<Finding>,
    /// Living processes that have it open.
    pub holders: Vec<u32>,
    /// The transcript's length and state when it was read.
    stamp: Option<Stamp>,
}

type Stamp = (u64, Option<std::time::SystemTime>);

impl Checked {
    /// Everything that was found, the worst first.
    pub fn findings(&self) -> Vec<Finding> {
        let mut all: Vec<_> =
            self.transcript.findings.iter().chain(&self.beside).cloned().collect();
        all.sort_by_key(|finding| (std::cmp::Reverse(finding.fault.weight()), finding.fault));
        all
    }

    /// How much the worst of it matters.
    pub fn weight(&self) -> Weight {
        let weights = self.findings().into_iter().map(|finding| finding.fault.weight());
        weights.max().unwrap_or(Weight::Harmless)
    }
}

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mended {
    /// The files as they were.
    pub backups: Vec<PathBuf>,
}

/// Looks at a session, while these Copilot CLIs live.
///
/// # Errors
/// When its files are there and cannot be read.
pub fn check(folder: &Folder, copilots: &Copilots) -> io::Result<Checked> {
    let holders = copilots.holding(folder.path());
    let (mut transcript, stamp) = examine(folder)?;
    if folder.unused() {
        transcript.findings.retain(|finding| finding.fault != Fault::NoEvents);
        transcript.findings.push(Finding { fault: Fault::Unused, line: None, count: 1 });
    }
    if !holders.is_empty() {
        // Whoever writes in it may be in the middle of a line.
        transcript.findings.retain(|finding| finding.fault != Fault::TornEnd);
    }
    let mut beside = Vec::new();
    let mut found = |fault, count| beside.push(Finding { fault, line: None, count });
    match folder.workspace()? {
        None => found(Fault::NoWorkspace, 1),
        Some(bytes) if !workspace::readable(&bytes) => found(Fault::BadWorkspace, 1),
        Some(_) => {}
    }
    let dead = lock::left_behind(folder.path()).len() as u64;
    if dead > 0 {
        found(Fault::DeadLock, dead);
    }
    Ok(Checked { transcript, beside, holders, stamp })
}

fn examine(folder: &Folder) -> io::Result<(Verdict, Option<Stamp>)> {
    let file = match folder.open_events() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Examiner::default().finish(), None));
        }
        file => file?,
    };
    let stamp = stamp(&file)?;
    let (mut lines, mut examiner) = (Lines::of(file), Examiner::default());
    while let Some((line, ended)) = lines.next()? {
        examiner.line(line, ended);
    }
    Ok((examiner.finish(), Some(stamp)))
}

fn stamp(file: &File) -> io::Result<Stamp> {
    let meta = file.metadata()?;
    Ok((meta.len(), meta.modified().ok()))
}

/// Repairs what was found, where it can be. The caller sees to it that nobody of ours opens
/// the session meanwhile; another process that has it open is an error.
///
/// # Errors
/// When somebody has the session open or wrote in it since it was looked at, and when the
/// operating system refuses. Nothing is changed then, or each file as a whole.
pub fn mend(folder: &Folder, checked: &Checked, known: &Known, now_ms: u64) -> io::Result<Mended> {
    refuse_if_held(folder)?;
    let mut mended = Mended::default();
    let broken = checked.transcript.weight() > Weight::Harmless;
    if broken && checked.transcript.mendable() {
        let sound = rewrite(folder, checked, known)?;
        refuse_if_held(folder)?;
        mended.backups.push(backup(&folder.events(), now_ms)?);
        put(sound, &folder.events())?;
    }
    if checked.beside.iter().any(|finding| finding.fault == Fault::BadWorkspace) {
        // The CLI makes a new one from the transcript.
        let path = folder.path().join(WORKSPACE);
        mended.backups.push(backup(&path, now_ms)?);
        std::fs::remove_file(&path)?;
    }
    for path in lock::left_behind(folder.path()) {
        std::fs::remove_file(path)?;
    }
    File::open(folder.path())?.sync_all()?;
    Ok(mended)
}

fn refuse_if_held(folder: &Folder) -> io::Result<()> {
    match lock::holders(folder.path()).first() {
        Some(pid) => Err(io::Error::other(format!("process {pid} has the session open"))),
        None => Ok(()),
    }
}

/// The sound transcript as a file without its name yet.
fn rewrite(
    folder: &Folder,
    checked: &Checked,
    known: &Known,
) -> io::Result<tempfile::NamedTempFile> {
    let source = folder.open_events()?;
    let permissions = source.metadata()?.permissions();
    let (before, again) = (stamp(&source)?, source.try_clone()?);
    let new = tempfile::Builder::new().prefix(".events.").tempfile_in(folder.path())?;
    write_sound(source, &checked.transcript, known, new.as_file())?;
    if checked.stamp != Some(before) || stamp(&again)? != before {
        return Err(io::Error::other("somebody writes in the session"));
    }
    new.as_file().set_permissions(permissions)?;
    new.as_file().sync_all()?;
    Ok(new)
}

/// Writes what stays of a transcript, with a new first record where it has none.
pub(super) fn write_sound(
    source: File,
    verdict: &Verdict,
    known: &Known,
    target: &File,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(256 << 10, target);
    out.write_all(&start_of(verdict, known).unwrap_or_default())?;
    let (mut lines, mut examiner, mut sound) = (Lines::of(source), Examiner::default(), Vec::new());
    while let Some((line, ended)) = lines.next()? {
        sound.clear();
        keep(&mut sound, line, &examiner.line(line, ended));
        out.write_all(&sound)?;
    }
    out.flush()
}

fn put(new: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    new.persist(path).map(drop).map_err(|error| error.error)
}

/// Keeps a file's bytes under a name that was free: `NAME.before-repair-MILLISECONDS`.
fn backup(path: &Path, now_ms: u64) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or(EVENTS.as_ref()).to_string_lossy().into_owned();
    for number in 0..MOST_NAMES {
        let more = if number == 0 { String::new() } else { format!("-{number}") };
        let kept = path.with_file_name(format!("{name}.before-repair-{now_ms}{more}"));
        match keep_as(path, &kept) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done.map(|()| kept),
        }
    }
    Err(io::Error::other(format!("no name is free for a backup of {}", path.display())))
}

/// A second name for the same bytes: the repair puts a new file in place of the first. Where
/// the file system has no such names, a copy.
fn keep_as(path: &Path, kept: &Path) -> io::Result<()> {
    match std::fs::hard_link(path, kept) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {}
        done => return done,
    }
    let mut copy = File::create_new(kept)?;
    io::copy(&mut open(path)?, &mut copy)?;
    copy.sync_all()
}
