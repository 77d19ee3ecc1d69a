//! A fork made of what can be read, for sessions that the Copilot CLI does not fork itself.

use std::fs::File;
use std::io;
use std::path::Path;

use super::mend::write_sound;
use super::{Checked, Disk, EVENTS, Folder, WORKSPACE, open};
use crate::core::transcript::{Known, named, workspace};

/// Files that are taken along beside the transcript.
const MOST_FILES: usize = 10_000;

/// Bytes that they may have. They are notes and attachments.
const MOST_BYTES: u64 = 1 << 30;

/// Copies a session under a new id, `known.session`: the records that can be read, and its
/// files. Its original is not touched. The copy is there as a whole or not at all.
///
/// # Errors
/// When nothing of the conversation can be read, or the operating system refuses.
pub fn copy(disk: &Disk, folder: &Folder, checked: &Checked, known: &Known) -> io::Result<Folder> {
    if !checked.transcript.mendable() {
        return Err(io::Error::other("nothing of its conversation can be read"));
    }
    // Not a name that anybody takes for a session.
    let half = tempfile::Builder::new().prefix(".copex-fork-").tempdir_in(&disk.root)?;
    let written = tempfile::NamedTempFile::new_in(half.path())?;
    write_sound(folder.open_events()?, &checked.transcript, known, written.as_file())?;
    rename_start(written.path(), &half.path().join(EVENTS), known)?;
    drop(written);
    if let Some(bytes) = folder.workspace()?.filter(|bytes| workspace::readable(bytes)) {
        let text = workspace::renamed(&String::from_utf8_lossy(&bytes), &known.session);
        std::fs::write(half.path().join(WORKSPACE), text)?;
    }
    let mut left = (MOST_FILES, MOST_BYTES);
    take_along(folder.path(), half.path(), &mut left)?;
    File::open(half.path())?.sync_all()?;
    let path = disk.root.join(&known.session);
    std::fs::rename(half.path(), &path)?;
    // It has another name now.
    let _ = half.keep();
    Ok(Folder { id: known.session.clone(), path })
}

/// Copies a transcript; the record that begins the session gets the new id.
fn rename_start(from: &Path, to: &Path, known: &Known) -> io::Result<()> {
    use std::io::Write as _;
    let mut lines = super::lines::Lines::of(open(from)?);
    let mut out = io::BufWriter::new(File::create_new(to)?);
    while let Some((line, _)) = lines.next()? {
        out.write_all(named(line, &known.session).as_deref().unwrap_or(line))?;
        out.write_all(b"\n")?;
    }
    let file = out.into_inner()?;
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.sync_all()
}

/// Copies plain files and folders, but for those that belong to the original alone: its
/// transcript, description, locks, backups and database.
fn take_along(from: &Path, to: &Path, left: &mut (usize, u64)) -> io::Result<()> {
    const ITS_OWN: [&str; 5] = ["inuse.", EVENTS, WORKSPACE, "session.db", "."];
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (name, meta) = (entry.file_name(), entry.metadata()?);
        let own = name.to_str().is_none_or(|name| ITS_OWN.iter().any(|it| name.starts_with(it)));
        if own || meta.is_symlink() {
            continue;
        }
        if left.0 == 0 || meta.len() > left.1 {
            return Err(io::Error::other("its folder holds more than is copied"));
        }
        left.0 -= 1;
        let target = to.join(&name);
        if meta.is_dir() {
            std::fs::create_dir(&target)?;
            take_along(&entry.path(), &target, left)?;
        } else if meta.is_file() {
            left.1 -= meta.len();
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
