//! What was installed: only that is ever overwritten or removed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::error::{Failure, Result};

/// The files, with how each was when it was written.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version of copex that wrote last.
    version: String,
    files: BTreeMap<PathBuf, Option<Mark>>,
}

/// Tells a file that nobody touched from one that was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Its length in bytes.
    bytes: u64,
    /// When it was written, in nanoseconds of Unix time.
    written_ns: u128,
}

impl Mark {
    fn of(path: &Path) -> io::Result<Self> {
        let data = path.metadata()?;
        let since = data.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self { bytes: data.len(), written_ns: since.as_nanos() })
    }
}

impl Manifest {
    fn file(prefix: &Path) -> PathBuf {
        prefix.join("share/copex/installed.json")
    }

    /// What is installed below a prefix; nothing when nothing is.
    pub(super) fn read(prefix: &Path) -> Result<Self> {
        let path = Self::file(prefix);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::file("read", &path, &error)),
        };
        serde_json::from_str(&text).map_err(|error| {
            Failure::failed(format!("{} cannot be understood: {error}", path.display()))
                .with_hint("remove it: then what is installed counts as not from here")
        })
    }

    /// Writes it; removes it when nothing is left.
    pub(super) fn write(&mut self, prefix: &Path) -> Result<()> {
        let path = Self::file(prefix);
        if self.files.is_empty() {
            return super::files::remove(&path, prefix);
        }
        env!("CARGO_PKG_VERSION").clone_into(&mut self.version);
        let failed = |error: io::Error| Failure::file("write", &path, &error);
        let folder = path.parent().unwrap_or(prefix);
        fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
        let file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        serde_json::to_writer_pretty(file.as_file(), self)
            .map_err(|error| failed(io::Error::from(error)))?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Says that a file is about to be written.
    pub(super) fn expect(&mut self, path: &Path) {
        self.files.entry(path.to_owned()).or_default();
    }

    /// Says that a file was written.
    pub(super) fn wrote(&mut self, path: &Path) -> Result<()> {
        let mark = Mark::of(path).map_err(|error| Failure::file("read", path, &error))?;
        self.files.insert(path.to_owned(), Some(mark));
        Ok(())
    }

    /// Says that a file is gone.
    pub(super) fn forget(&mut self, path: &Path) {
        self.files.remove(path);
    }

    /// Whether nothing is installed.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether a file is as we wrote it, or was about to be written when we were cut off.
    pub(super) fn is_ours(&self, path: &Path) -> bool {
        match self.files.get(path) {
            Some(Some(mark)) => Mark::of(path).is_ok_and(|now| now == *mark),
            Some(None) => true,
            None => false,
        }
    }

    /// What may be removed, and what was changed and stays.
    pub(super) fn parts(&self, force: bool) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let goes = |path: &Path| force || self.is_ours(path) || path.symlink_metadata().is_err();
        self.files.keys().cloned().partition(|path| goes(path))
    }
}
