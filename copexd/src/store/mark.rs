//! The high-water mark: how far the database must reach, noted outside of it.
//!
//! sled takes the first unreadable place of its log for the end of it, so a damaged byte
//! or a cut file can open as a smaller store without a word. So every group of commits
//! carries a number in the database, and the last number that was flushed is written
//! here. A database that opens below the mark has lost acknowledged commits.
//!
//! Invariant: the mark is written after the flush and never before, so without damage and
//! without a power cut the database is never below it. A mark that is too low is only
//! less watchful: a failed write of it is no failure of the commit.
//!
//! Eight bytes in place, not synced: 2 us, and `kill -9` cannot tear them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::error::StoreError;

/// The mark's file.
const NAME: &str = "mark";

/// The open mark.
#[derive(Debug)]
pub(super) struct Mark(File);

impl Mark {
    /// Opens `<dir>/mark`, or makes one.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(NAME);
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map(Self)
            .map_err(|error| StoreError::io(&path, error))
    }

    /// The last group that was flushed, 0 when unknown.
    pub(super) fn read(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, 0).map_or(0, |()| u64::from_be_bytes(bytes))
    }

    /// Notes a group that was flushed.
    pub(super) fn write(&self, group: u64) {
        if let Err(error) = self.0.write_all_at(&group.to_be_bytes(), 0) {
            tracing::debug!(%error, "the store's mark was not written");
        }
    }
}
