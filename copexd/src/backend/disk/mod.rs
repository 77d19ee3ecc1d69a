//! Copilot sessions on the disk: `COPILOT_HOME/session-state/ID`.
//!
//! Invariant: an id is a plain name and a session's folder is a folder, not a link, so nothing
//! here reaches outside of `session-state`. Files of a session are opened without following
//! links either.
//! Invariant: a session that a living process has open is never written to.
//!
//! Everything here blocks: it is called off the async threads. Not here: what is wrong with a
//! transcript (`core::transcript`), and sessions that are open (`sdk`, `cli`).

mod copy;
mod lines;
mod list;
pub mod lock;
mod mend;
mod read;

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::spec::RuntimeSpec;
use crate::core::transcript::workspace;

pub use copy::copy;
pub use list::{Seen, cwd, recent, seen, size};
pub use mend::{Checked, Mended, check, mend};
pub use read::{Conversation, conversation};

/// Sessions that are looked at. Each costs a look at its folder; a person has hundreds.
pub const MOST_SESSIONS: usize = 20_000;

/// Characters of an id. The CLI's have 36.
const MOST_ID: usize = 128;

/// The name of a transcript.
const EVENTS: &str = "events.jsonl";

/// The name of the file that describes a session.
const WORKSPACE: &str = "workspace.yaml";

/// Where the sessions of one `COPILOT_HOME` are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    root: PathBuf,
}

/// One session's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    id: String,
    path: PathBuf,
}

/// What the beginning of an id leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// One session.
    One(Folder),
    /// None.
    Nothing,
    /// More than one; here are two of them.
    Many(String, String),
}

impl Disk {
    /// The sessions of a runtime with this environment; none where it has no home.
    pub fn of(spec: &RuntimeSpec) -> Option<Self> {
        Some(Self { root: spec.copilot_home()?.join("session-state") })
    }

    /// The folder of a session.
    pub fn folder(&self, id: &str) -> Option<Folder> {
        let path = self.root.join(is_id(id).then_some(id)?);
        // Not followed: a link may lead anywhere.
        let kind = path.symlink_metadata().ok()?;
        kind.is_dir().then(|| Folder { id: id.to_owned(), path })
    }

    /// All sessions, in no order; [`MOST_SESSIONS`] at most.
    ///
    /// # Errors
    /// When the folder is there and cannot be read.
    pub fn folders(&self) -> io::Result<Vec<Folder>> {
        let entries = match std::fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter_map(|name| self.folder(&name)).take(MOST_SESSIONS).collect())
    }

    /// The session whose id begins like this.
    ///
    /// # Errors
    /// As [`Disk::folders`].
    pub fn find(&self, beginning: &str) -> io::Result<Found> {
        if let Some(folder) = self.folder(beginning) {
            return Ok(Found::One(folder));
        }
        if !is_id(beginning) {
            return Ok(Found::Nothing);
        }
        let mut fits = self.folders()?.into_iter().filter(|it| it.id.starts_with(beginning));
        Ok(match (fits.next(), fits.next()) {
            (None, _) => Found::Nothing,
            (Some(one), None) => Found::One(one),
            (Some(one), Some(other)) => Found::Many(one.id, other.id),
        })
    }
}

impl Folder {
    /// The session's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it with everything in it.
    ///
    /// # Errors
    /// When a living process has it open, and when the operating system refuses.
    pub fn remove(&self) -> io::Result<()> {
        if let Some(pid) = lock::holders(&self.path).first() {
            return Err(io::Error::other(format!("process {pid} has it open")));
        }
        std::fs::remove_dir_all(&self.path)
    }

    fn events(&self) -> PathBuf {
        self.path.join(EVENTS)
    }

    fn open_events(&self) -> io::Result<File> {
        open(&self.events())
    }

    /// Whether nobody has spoken in it: it has no transcript, and no name. The CLI is perhaps
    /// just making it.
    fn unused(&self) -> bool {
        let absent = self.events().symlink_metadata().is_err();
        let described = || self.workspace().ok().flatten();
        absent && described().is_none_or(|bytes| workspace::unused(&bytes))
    }

    /// What describes the session; nothing where that is not there.
    fn workspace(&self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        match open(&self.path.join(WORKSPACE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?.take(workspace::MOST_WORKSPACE).read_to_end(&mut bytes)?,
        };
        Ok(Some(bytes))
    }
}

/// Opens a file to be read, unless it is a link or no plain file.
fn open(path: &Path) -> io::Result<File> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!("{} is no file", path.display())));
    }
    Ok(file)
}

/// Whether a text can be a session's id: a name without dots and slashes.
fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= MOST_ID && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_nowhere_but_into_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk { root: home.path().join("session-state") };
        assert_eq!(disk.folders().unwrap(), []);
        std::fs::create_dir_all(disk.root.join("abc-1")).unwrap();
        std::fs::create_dir_all(disk.root.join("abd-2")).unwrap();
        std::fs::create_dir(home.path().join("outside")).unwrap();
        std::os::unix::fs::symlink(home.path().join("outside"), disk.root.join("link")).unwrap();
        std::fs::write(disk.root.join("file"), "").unwrap();
        let long = "x".repeat(MOST_ID + 1);
        for id in ["", ".", "..", "../outside", "/", "link", "file", "abc-1/..", "a\0", &long] {
            assert_eq!(disk.folder(id), None, "{id:?}");
            assert_eq!(disk.find(id).unwrap(), Found::Nothing, "{id:?}");
        }
        assert_eq!(disk.folders().unwrap().len(), 2);
        assert!(matches!(disk.find("abc").unwrap(), Found::One(folder) if folder.id() == "abc-1"));
        assert!(matches!(disk.find("ab").unwrap(), Found::Many(..)));
    }

    #[test]
    fn a_link_in_place_of_a_transcript_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(home.path().join("secret"), home.path().join(EVENTS)).unwrap();
        let folder = Folder { id: "s".to_owned(), path: home.path().to_owned() };
        assert!(folder.open_events().is_err());
    }
}
