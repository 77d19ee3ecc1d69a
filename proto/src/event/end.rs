//! How a run ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Usage;
use crate::council::CouncilReport;
use crate::error::ErrorInfo;
use crate::id::SessionId;
use crate::run::Effort;

/// What came of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Outcome {
    /// The answer.
    pub content: String,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The model asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_model: Option<String>,
    /// The effort used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// Summed over all model calls.
    pub usage: Usage,
    /// Tries after the first.
    pub retries: u32,
    /// Models that took over.
    pub fallbacks: u32,
    /// Tools that ran.
    pub tools: u32,
    /// The session it spoke in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The number of the last iteration, where the run is a loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u32>,
    /// What came of it as a council.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub council: Option<Box<CouncilReport>>,
    /// In milliseconds: of a chat or a loop from when it had its turn in its session and its place
    /// among the runs at work (0 when it never had), else from when it was accepted; to the end.
    pub duration_ms: u64,
}

/// A run that did not end well: why, and what there is of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ending {
    /// Why.
    pub error: ErrorInfo,
    /// What there is.
    #[serde(default)]
    pub outcome: Outcome,
}
