//! The records that the store itself understands, and their versions.
//!
//! Invariant: a record on disk is one version byte and JSON, and every version that was
//! ever released stays readable: a new shape is a new variant of the version enum and an
//! arm in `upgrade`. Fields are only added with a default inside one version.
//!
//! Not here: specs, events and checkpoints, which are bytes to the store.

use std::sync::Arc;

use copex_proto::id::{AskId, RunId, Seq, SessionId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::keys::Tree;

/// The version byte of opaque bytes: their owner versions what is inside.
pub(super) const OPAQUE: u8 = 1;

/// What a list shows of a run. The spec is apart: it can be megabytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// Its mode by name.
    pub mode: String,
    /// Its state by name.
    pub state: String,
    /// The first words of what was asked.
    pub title: String,
    /// Its working folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// The model that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its Copilot session, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// When it was accepted, in Unix milliseconds.
    pub accepted_at: u64,
    /// When it set to work, in Unix milliseconds: behind the runs that spoke in its session
    /// before it, and those that had the places. Absent: not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<u64>,
    /// When it reached its terminal event. Absent: it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    /// The last event when this was written. The log itself may be ahead: ask
    /// `Store::last_seq`.
    pub last_seq: Seq,
    /// The run that this one goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_from: Option<RunId>,
    /// The client's idempotency key. Deleting the run frees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether it ends with its client.
    #[serde(default)]
    pub foreground: bool,
    /// The variable with a key that it is parked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_key: Option<String>,
    /// The variable with the sign-in that came with it and that its daemon did not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<String>,
    /// How it ended, opaque to the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<serde_json::Value>,
}

/// A question that only a person may answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AskRecord {
    /// The question's name.
    pub ask: AskId,
    /// The run that waits for it.
    pub run: RunId,
    /// When it was asked, in Unix milliseconds.
    pub opened_at: u64,
    /// When it counts as denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<u64>,
    /// When it was answered, denied or dropped. Absent: it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<u64>,
    /// The question, opaque to the store.
    pub question: serde_json::Value,
    /// The answer, opaque to the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<serde_json::Value>,
}

/// A Copilot conversation that runs spoke in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The Copilot CLI's own session id.
    pub session: SessionId,
    /// Its working folder.
    pub cwd: String,
    /// When it was created, in Unix milliseconds.
    pub created_at: u64,
    /// When it was last used.
    pub used_at: u64,
    /// The run that used it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The rest, opaque to the store.
    #[serde(default)]
    pub detail: serde_json::Value,
}

/// A record type with versions.
pub(super) trait Record: Sized {
    /// Where it lies.
    const TREE: Tree;

    /// The version that is written, and the JSON.
    fn encode(&self) -> Result<(u8, Vec<u8>), StoreError>;

    /// Reads any version that was ever written.
    fn decode(version: u8, json: &[u8]) -> Result<Self, StoreError>;
}

/// Every shape a run's summary was ever stored in.
enum RunRecord {
    V1(RunSummary),
}

impl RunRecord {
    fn upgrade(self) -> RunSummary {
        match self {
            Self::V1(summary) => summary,
        }
    }
}

impl Record for RunSummary {
    const TREE: Tree = Tree::Runs;

    fn encode(&self) -> Result<(u8, Vec<u8>), StoreError> {
        Ok((1, to_json(Self::TREE, 1, self)?))
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, StoreError> {
        let record = match version {
            1 => RunRecord::V1(from_json(Self::TREE, version, json)?),
            _ => return Err(unknown(Self::TREE, version)),
        };
        Ok(record.upgrade())
    }
}

impl Record for AskRecord {
    const TREE: Tree = Tree::Asks;

    fn encode(&self) -> Result<(u8, Vec<u8>), StoreError> {
        Ok((1, to_json(Self::TREE, 1, self)?))
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, StoreError> {
        match version {
            1 => from_json(Self::TREE, version, json),
            _ => Err(unknown(Self::TREE, version)),
        }
    }
}

impl Record for SessionRecord {
    const TREE: Tree = Tree::Sessions;

    fn encode(&self) -> Result<(u8, Vec<u8>), StoreError> {
        Ok((1, to_json(Self::TREE, 1, self)?))
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, StoreError> {
        match version {
            1 => from_json(Self::TREE, version, json),
            _ => Err(unknown(Self::TREE, version)),
        }
    }
}

fn to_json<T: Serialize>(tree: Tree, version: u8, value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Record {
        tree: tree.name(),
        version,
        source: Some(Arc::new(error)),
    })
}

fn from_json<T: DeserializeOwned>(tree: Tree, version: u8, json: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(json).map_err(|error| StoreError::Record {
        tree: tree.name(),
        version,
        source: Some(Arc::new(error)),
    })
}

fn unknown(tree: Tree, version: u8) -> StoreError {
    StoreError::Record { tree: tree.name(), version, source: None }
}
