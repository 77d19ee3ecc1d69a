//! How a run's failures are answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the waits between attempts grow. What is absent is the default of the failure's kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryOptions {
    /// The least ceiling of a wait, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_delay_s: Option<f64>,
    /// The most that a wait grows to, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_delay_s: Option<f64>,
    /// Growth per attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exponential_base: Option<f64>,
    /// How long a model may take to its first word, in seconds. Default 120.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_event_timeout_s: Option<f64>,
}

/// What to do when tools ran in a session and it is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnLostSession {
    /// A person decides.
    #[default]
    Ask,
    /// The turn starts over: what tools did may be done again.
    Restart,
    /// The run stops.
    Fail,
}
