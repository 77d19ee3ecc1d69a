//! Why a run waits, and what would let it go on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::ErrorInfo;
use crate::id::RunId;
use crate::run::RunState;

/// The answer to "why is nothing happening?".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The run.
    pub run: RunId,
    /// How it stands.
    pub state: RunState,
    /// The same in a sentence.
    pub summary: String,
    /// What it waits for. Empty for a run that is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<Wait>,
    /// The models it may be asked of, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelStanding>,
    /// Tries so far, the first included.
    pub attempts: u32,
    /// Changes to another model so far.
    pub fallbacks: u32,
    /// Parks so far.
    pub parks: u32,
    /// Retries that may be made now, of those that all runs share.
    pub retry_budget: u32,
    /// Why it ended, if it did not end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
}

/// One thing that a run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wait {
    /// What kind of thing.
    pub kind: WaitKind,
    /// What, in words.
    pub detail: String,
    /// Since when, in Unix milliseconds, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Until when at the latest, in Unix milliseconds, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// What would let it go on now.
    pub unblock: String,
}

/// Kinds of waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitKind {
    /// A place among the runs at work.
    Slot,
    /// The session: another run speaks in it.
    Session,
    /// A place among the requests to an endpoint.
    Admission,
    /// The model's answer.
    Model,
    /// The pause before another try.
    Backoff,
    /// A circuit breaker.
    Breaker,
    /// The end of a limit.
    Limit,
    /// The end of a park.
    Park,
    /// A person's answer.
    Ask,
    /// A key that only a client has.
    NeedsKey,
    /// A tool, or the Copilot CLI itself.
    Agent,
    /// A check command.
    Gate,
    /// Space on the disk.
    Store,
    /// Something of a later version.
    #[serde(other)]
    Unknown,
}

/// How one of a run's models stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelStanding {
    /// The model; empty for the backend's own choice.
    pub model: String,
    /// `github`, or the provider's URL.
    pub endpoint: String,
    /// Whether it is the one that is asked.
    pub current: bool,
    /// Whether it failed in this turn and is passed over.
    pub excluded: bool,
    /// Why it may not be asked now, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
}
