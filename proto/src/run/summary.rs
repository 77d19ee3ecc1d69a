//! How a run stands: in a list, and in full.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Mode;
use crate::error::ErrorInfo;
use crate::event::{Outcome, Usage};
use crate::id::{AskId, RunId, Seq, SessionId};

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Accepted, waiting for its turn.
    Queued,
    /// At work.
    Running,
    /// Waits for a person's answer.
    Asking,
    /// Waits for a known moment.
    Parked,
    /// Ended well.
    Done,
    /// Ended with an error.
    Failed,
    /// Ended because only a person can go on.
    Blocked,
    /// Ended at a limit.
    Exhausted,
    /// Ended by a cancel.
    Cancelled,
}

impl RunState {
    /// Whether nothing more will happen.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Asking | Self::Parked => false,
            Self::Done | Self::Failed | Self::Blocked | Self::Exhausted | Self::Cancelled => true,
        }
    }
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// Which run.
    pub run: RunId,
    /// Its mode.
    pub mode: Mode,
    /// How it stands.
    pub state: RunState,
    /// The first words of what was asked.
    pub title: String,
    /// Where it works.
    pub cwd: String,
    /// The model asked for, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The Copilot session it speaks in, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Number of its newest event.
    pub last_seq: Seq,
    /// When it was accepted, in Unix milliseconds.
    pub accepted_at: u64,
    /// When it ended, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    /// The run it was resumed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_from: Option<RunId>,
    /// The variable with a key that it is parked for: only a client has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_key: Option<String>,
}

/// A run in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunDetail {
    /// What a list shows.
    pub summary: RunSummary,
    /// The request, without its secrets.
    pub request: serde_json::Value,
    /// Variables that its request refers to for secrets: a client that goes on with the run
    /// hands over those that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Questions that wait for an answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<AskId>,
    /// Tokens and money so far.
    pub usage: Usage,
    /// What came of it, once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why it failed, was blocked or ran out, once it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
}
