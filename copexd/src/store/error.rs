//! What can go wrong, by the object it happened to.
//!
//! Every variant is cheap to clone: one failed flush answers a whole group of commits.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use copex_proto::id::{RunId, Seq};

/// A failure of the store.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another daemon owns the folder.
    #[error("store {} is in use by {}", path.display(), holder(*pid))]
    Locked {
        /// The store's folder.
        path: PathBuf,
        /// The owner, when its lock file says so.
        pid: Option<u32>,
    },
    /// A newer copexd wrote it.
    #[error("store {} has schema {found}, this copexd knows up to {known}", path.display())]
    Newer {
        /// The store's folder.
        path: PathBuf,
        /// The schema in the store.
        found: u32,
        /// The newest schema of this build.
        known: u32,
    },
    /// The disk or the quota is full. Nothing of the commit was acknowledged.
    #[error("no space left on the device of store {}", path.display())]
    Full {
        /// The store's folder.
        path: PathBuf,
    },
    /// The file system said no. The store was not touched because of it.
    #[error("store {} cannot be read or written", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: Arc<io::Error>,
    },
    /// The database engine failed.
    #[error("database of store {} failed", path.display())]
    Engine {
        /// The store's folder.
        path: PathBuf,
        /// The engine's words.
        #[source]
        source: sled::Error,
    },
    /// Stored bytes are not what was written. The next open reads everything and salvages.
    #[error("store {} is damaged: {detail}", path.display())]
    Damaged {
        /// The store's folder.
        path: PathBuf,
        /// Where, as far as known.
        detail: String,
    },
    /// Events are numbered upwards and never overwritten.
    #[error("event {seq} of run {run} is not above the last one stored, {last}")]
    IllegalSeq {
        /// The run.
        run: RunId,
        /// The number asked for.
        seq: Seq,
        /// The last number there is.
        last: Seq,
    },
    /// The idempotency key names another run already.
    #[error("idempotency key `{key}` belongs to run {run}")]
    KeyTaken {
        /// The key.
        key: String,
        /// Its run.
        run: RunId,
    },
    /// One value is larger than the store takes.
    #[error("{tree} value of {size} bytes is above the limit of {limit}")]
    TooLarge {
        /// The kind of record.
        tree: &'static str,
        /// Its size.
        size: usize,
        /// The largest size.
        limit: usize,
    },
    /// A stored record is not understood.
    #[error("record in {tree} of version {version} is not understood")]
    Record {
        /// The kind of record.
        tree: &'static str,
        /// The version byte in front of it.
        version: u8,
        /// The decoder's words, absent when the version itself is unknown.
        #[source]
        source: Option<Arc<serde_json::Error>>,
    },
    /// More is waiting to be written than the queue takes.
    #[error("write queue of store {} is full", path.display())]
    Busy {
        /// The store's folder.
        path: PathBuf,
    },
    /// The store was closed.
    #[error("store {} is closed", path.display())]
    Closed {
        /// The store's folder.
        path: PathBuf,
    },
    /// The database is between two openings after a failed write.
    #[error("store {} is being reopened", path.display())]
    Reopening {
        /// The store's folder.
        path: PathBuf,
    },
    /// Import goes into an empty store only.
    #[error("store {} is not empty", path.display())]
    NotEmpty {
        /// The store's folder.
        path: PathBuf,
    },
    /// An export cannot be read back.
    #[error("line {line} of the export is not understood: {detail}")]
    Import {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        detail: String,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Whether this is "no room", by disk or by quota.
///
/// By kind and not by number: sled copies its errors and keeps only the kind.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl StoreError {
    /// An error of the file system at `path`.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        if is_full(&source) {
            Self::Full { path: path.to_owned() }
        } else {
            Self::Io { path: path.to_owned(), source: Arc::new(source) }
        }
    }

    /// An error of the engine.
    pub(super) fn engine(path: &Path, source: sled::Error) -> Self {
        match source {
            sled::Error::Io(error) if is_full(&error) => Self::Full { path: path.to_owned() },
            sled::Error::Corruption { at, .. } => Self::Damaged {
                path: path.to_owned(),
                detail: format!("the engine found corruption at {at:?}"),
            },
            source => Self::Engine { path: path.to_owned(), source },
        }
    }

    /// Whether an open that failed like this is a damaged store, which may be moved
    /// aside, and not a refusal of the system, which must leave it alone.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Engine { source, .. } => match source {
                // A real answer of the system has its own kind. These four are sled's
                // own words, or a file that ends early or is not there.
                sled::Error::Io(error) => matches!(
                    error.kind(),
                    io::ErrorKind::Other
                        | io::ErrorKind::InvalidData
                        | io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::NotFound
                ),
                _ => true,
            },
            _ => false,
        }
    }
}
