//! What was typed before: a file of the user's own, bounded, without secrets.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use reedline::{
    FileBackedHistory, History, HistoryItem, HistoryItemId, HistorySessionId, SearchQuery,
};

use super::paste::Pastes;
use super::secret::looks_secret;

/// Lines that are kept: years of one folder's work.
const LINES: usize = 5_000;

/// Bytes of one line that is kept: a paste is not typed again from here.
const LINE_BYTES: usize = 16 * 1024;

/// The history file, and what does not go into it.
pub(super) struct Guarded {
    inner: FileBackedHistory,
    pastes: Pastes,
}

impl Guarded {
    /// Opens or makes the file, for the user alone.
    pub(super) fn open(file: &Path, pastes: Pastes) -> io::Result<Self> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
        let inner = FileBackedHistory::with_file(LINES, file.to_owned());
        Ok(Self { inner: inner.map_err(io::Error::other)?, pastes })
    }

    /// In memory alone.
    pub(super) fn unkept(pastes: Pastes) -> io::Result<Self> {
        let inner = FileBackedHistory::new(LINES).map_err(io::Error::other)?;
        Ok(Self { inner, pastes })
    }
}

impl History for Guarded {
    fn save(&mut self, mut item: HistoryItem) -> reedline::Result<HistoryItem> {
        let line = self.pastes.expand(&item.command_line);
        if line.starts_with(' ') || line.len() > LINE_BYTES || looks_secret(&line) {
            return Ok(item);
        }
        item.command_line = line;
        let saved = self.inner.save(item)?;
        // At once: a terminal that is closed ends us without a word.
        if let Err(error) = self.inner.sync() {
            crate::render::note(&format!("the history is not kept: {error}"));
        }
        Ok(saved)
    }

    fn load(&self, id: HistoryItemId) -> reedline::Result<HistoryItem> {
        self.inner.load(id)
    }

    fn count(&self, query: SearchQuery) -> reedline::Result<i64> {
        self.inner.count(query)
    }

    fn search(&self, query: SearchQuery) -> reedline::Result<Vec<HistoryItem>> {
        self.inner.search(query)
    }

    fn update(
        &mut self,
        id: HistoryItemId,
        updater: &dyn Fn(HistoryItem) -> HistoryItem,
    ) -> reedline::Result<()> {
        self.inner.update(id, updater)
    }

    fn clear(&mut self) -> reedline::Result<()> {
        self.inner.clear()
    }

    fn delete(&mut self, id: HistoryItemId) -> reedline::Result<()> {
        self.inner.delete(id)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.inner.sync()
    }

    fn session(&self) -> Option<HistorySessionId> {
        self.inner.session()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_file_is_the_users_alone_and_has_no_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/history");
        let pastes = Pastes::default();
        let word = pastes.word(&"x\n".repeat(10_000));
        let mut history = Guarded::open(&file, pastes).unwrap();
        let lines =
            ["one", "two\nlines", " hidden", "token=abcdefgh", "ghp_0123456789abcdef", &word];
        for line in lines {
            history.save(HistoryItem::from_command_line(line)).unwrap();
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("one") && text.contains("lines"), "{text}");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
