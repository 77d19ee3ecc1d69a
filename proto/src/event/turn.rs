//! Tries of a turn, and the tools in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::ErrorInfo;
use crate::id::SessionId;
use crate::run::Effort;

/// A turn is tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// Which try of the turn, from 1.
    pub number: u32,
    /// The model asked for, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The effort asked for, after what the model supports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// Which backend: `sdk`, `cli` or `demo`.
    pub backend: String,
    /// The session it speaks in.
    pub session: SessionId,
}

/// The turn failed and will be tried again, or waits before it asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Retrying {
    /// The try that comes, from 2; from 1 where nobody was asked yet.
    pub attempt: u32,
    /// What failed, or what is waited for.
    pub error: ErrorInfo,
    /// How long it waits first.
    pub delay_ms: u64,
    /// Whether nobody was asked: a limit or a breaker that is known holds it back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unasked: bool,
}

/// A tool begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolStart {
    /// Names this call inside the run.
    pub call: String,
    /// The tool.
    pub name: String,
    /// What it was called with.
    #[serde(default)]
    pub arguments: serde_json::Value,
}

/// A tool ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolEnd {
    /// The call that ended.
    pub call: String,
    /// The tool.
    pub name: String,
    /// Whether it succeeded.
    pub success: bool,
    /// What it gave back, clipped in the middle when long.
    pub result: String,
    /// How long it ran.
    pub duration_ms: u64,
}
