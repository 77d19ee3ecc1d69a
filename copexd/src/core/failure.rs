//! What can go wrong with a turn, decided once by the adapter that saw it.

use serde::{Deserialize, Serialize};

/// The kinds of failure. Everything downstream decides by class, never by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureClass {
    /// A limit on requests.
    RateLimit,
    /// An allowance is used up.
    Quota,
    /// A limit that the user set on spending is reached.
    Limit,
    /// The endpoint could not be reached or broke off.
    Network,
    /// The endpoint failed.
    Server,
    /// Nothing came for too long.
    Timeout,
    /// Not signed in, or not allowed.
    Auth,
    /// The request was refused as wrong.
    Client,
    /// The conversation does not fit the model.
    ContextLimit,
    /// The answer was withheld by a filter.
    ContentFilter,
    /// The runtime process died, or its stream broke.
    RuntimeDied,
    /// The session cannot be opened.
    SessionCorrupt,
    /// There is no such session.
    SessionGone,
    /// Somebody cancelled.
    Cancelled,
    /// The Copilot CLI is missing, too old, or does not start.
    Unavailable,
    /// The caller's input is wrong.
    Usage,
    /// Anything else.
    Unknown,
}

/// One failure: its class, its own words, and what to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub class: FailureClass,
    /// What happened, in the words of whoever saw it.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
}

impl Failure {
    /// A failure without further detail.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), hint: None, status: None }
    }

    /// Adds the way out.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the HTTP status.
    pub fn with_status(mut self, status: Option<u16>) -> Self {
        self.status = status;
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
