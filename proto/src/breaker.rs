//! What the daemon has learned of models and endpoints.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Breakers, limits, and how much is asked at once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BreakerList {
    /// Every target asked so far.
    pub breakers: Vec<BreakerStatus>,
    /// Limits that hold now.
    pub limits: Vec<LimitStatus>,
    /// The queues of requests by endpoint, and of runs.
    pub gates: Vec<GateStatus>,
    /// Retries that may be made now, of those that all runs share.
    pub retry_budget: u32,
}

/// One target's circuit breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BreakerStatus {
    /// The backend: `sdk` or `cli`.
    pub backend: String,
    /// `github`, or the provider's URL.
    pub endpoint: String,
    /// The model; empty for the backend's own choice.
    pub model: String,
    /// What the breaker is.
    pub state: BreakerState,
    /// When the next request may be made, in Unix milliseconds, unless it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Failures among the outcomes it looks at.
    pub failures: u32,
    /// Outcomes it looks at.
    pub samples: u32,
    /// How often it opened without closing between.
    pub opened: u32,
    /// When it was last used, in Unix milliseconds.
    pub used_at: u64,
}

/// What a breaker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// None pass.
    Open,
    /// One probe is on its way.
    HalfOpen,
}

/// A limit that an endpoint told us of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitStatus {
    /// Where.
    pub endpoint: String,
    /// Which model; every model there when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `model`, `account`, `weekly` or `integration`.
    pub scope: String,
    /// Until when, in Unix milliseconds.
    pub until: u64,
    /// Whether the endpoint said until when; otherwise it is assumed.
    pub told: bool,
    /// The endpoint's words.
    pub message: String,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateStatus {
    /// The endpoint; `runs at work` for whole runs.
    pub endpoint: String,
    /// Places in use.
    pub in_use: u32,
    /// Places there are at the moment.
    pub limit: u32,
    /// The most there may be.
    pub ceiling: u32,
    /// Who waits for one.
    pub waiting: u32,
}

/// What `breaker.reset` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResetResponse {
    /// Breakers closed and limits forgotten.
    pub reset: u32,
}
