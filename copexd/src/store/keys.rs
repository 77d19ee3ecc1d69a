//! The trees and the bytes of their keys.
//!
//! Invariant: the keys of one run's events sort by `seq`, and runs sort by the time
//! they were accepted, so "newest first" and "after this one" are range scans.
//! Numbers are big-endian for that reason. Tree names are on disk: never rename one.

use copex_proto::id::{RUN_ID_LEN, RunId, Seq};

/// A tree of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tree {
    /// Schema version and epoch.
    Meta,
    /// Run id to summary: small, so that listing never loads a spec.
    Runs,
    /// Run id to spec.
    Specs,
    /// Run id and seq to event.
    Events,
    /// Run id to the state of the run's machine.
    Checkpoints,
    /// Ask id to ask.
    Asks,
    /// Idempotency key to run id.
    Keys,
    /// Session id to session.
    Sessions,
    /// Circuit breakers, for their owner to define.
    Breakers,
    /// Spend, for its owner to define.
    Spend,
    /// Metrics rollups, for their owner to define.
    Metrics,
    /// Index: runs that have not ended, so that recovery does not read every run.
    Live,
    /// Index: run id and ask id to open or closed.
    AskIndex,
    /// Index: working folder to the session used last there.
    CwdIndex,
    /// Pieces of values that are too large for one key.
    Chunks,
}

/// Every tree, in the order of its discriminant.
pub(super) const TREES: [Tree; 15] = [
    Tree::Meta,
    Tree::Runs,
    Tree::Specs,
    Tree::Events,
    Tree::Checkpoints,
    Tree::Asks,
    Tree::Keys,
    Tree::Sessions,
    Tree::Breakers,
    Tree::Spend,
    Tree::Metrics,
    Tree::Live,
    Tree::AskIndex,
    Tree::CwdIndex,
    Tree::Chunks,
];

impl Tree {
    /// The name on disk and in an export.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Runs => "runs",
            Self::Specs => "specs",
            Self::Events => "events",
            Self::Checkpoints => "checkpoints",
            Self::Asks => "asks",
            Self::Keys => "keys",
            Self::Sessions => "sessions",
            Self::Breakers => "breakers",
            Self::Spend => "spend",
            Self::Metrics => "metrics",
            Self::Live => "live",
            Self::AskIndex => "ask_index",
            Self::CwdIndex => "cwd_index",
            Self::Chunks => "chunks",
        }
    }

    /// Whether values are enveloped (see `chunk.rs`). Indexes, meta and the pieces
    /// themselves are bare.
    pub(super) fn holds_records(self) -> bool {
        !matches!(self, Self::Meta | Self::Live | Self::AskIndex | Self::CwdIndex | Self::Chunks)
    }
}

/// A tree whose keys and values belong to its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawTree {
    /// Circuit breakers.
    Breakers,
    /// Spend.
    Spend,
    /// Metrics rollups.
    Metrics,
}

impl From<RawTree> for Tree {
    fn from(tree: RawTree) -> Self {
        match tree {
            RawTree::Breakers => Self::Breakers,
            RawTree::Spend => Self::Spend,
            RawTree::Metrics => Self::Metrics,
        }
    }
}

/// Key of the schema version in `meta`: u32, big-endian.
pub(super) const SCHEMA_KEY: &[u8] = b"schema";

/// Key of the epoch in `meta`: text.
pub(super) const EPOCH_KEY: &[u8] = b"epoch";

/// Key of the number of the last group of commits in `meta`: u64, big-endian.
pub(super) const GROUP_KEY: &[u8] = b"group";

/// The key of one event.
pub(super) fn event_key(run: RunId, seq: Seq) -> [u8; RUN_ID_LEN + 8] {
    let mut key = [0; RUN_ID_LEN + 8];
    key[..RUN_ID_LEN].copy_from_slice(run.as_bytes());
    key[RUN_ID_LEN..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// The `seq` in the key of an event.
pub(super) fn event_seq(key: &[u8]) -> Option<Seq> {
    Some(u64::from_be_bytes(key.get(RUN_ID_LEN..)?.try_into().ok()?))
}

/// The run that a key begins with.
pub(super) fn run_of(key: &[u8]) -> Option<RunId> {
    std::str::from_utf8(key.get(..RUN_ID_LEN)?).ok()?.parse().ok()
}

/// The key of an ask in the index by run.
pub(super) fn ask_index_key(run: RunId, ask: &str) -> Vec<u8> {
    [run.as_bytes().as_slice(), ask.as_bytes()].concat()
}

/// The ask id in a key of the index by run.
pub(super) fn indexed_ask(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(RUN_ID_LEN..)?).ok()
}

/// The key of one piece of a value. `set` is the value's own number.
pub(super) fn chunk_key(set: u64, index: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&set.to_be_bytes());
    key[8..].copy_from_slice(&index.to_be_bytes());
    key
}
