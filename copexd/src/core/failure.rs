//! What can go wrong with a turn, decided once by the adapter that saw it.

use serde::{Deserialize, Serialize};

/// Whom a limit on requests holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// One model.
    Model,
    /// Everything that this account asks there; a limit that does not say is one of these.
    Account,
    /// The account's week.
    Weekly,
    /// Everybody who comes through the same integration.
    Integration,
}

/// Which watchdog fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Watchdog {
    /// The model did not begin to answer.
    FirstEvent,
    /// The answer stopped in the middle.
    Idle,
    /// The whole turn took longer than it may.
    Total,
}

/// The kinds of failure. Everything downstream decides by class, never by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureClass {
    /// A limit on requests.
    RateLimit(Scope),
    /// An allowance is used up.
    Quota,
    /// The endpoint could not be reached or broke off.
    Network,
    /// The endpoint failed.
    Server,
    /// Nothing came for too long.
    Timeout(Watchdog),
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
    /// A limit that the user set was reached: spend, tokens.
    Limit,
    /// The Copilot CLI is missing, too old, or does not start.
    Unavailable,
    /// The caller's input is wrong.
    Usage,
    /// Anything else.
    Unknown,
}

impl FailureClass {
    /// Every class, for tables and tests.
    pub const ALL: [Self; 22] = [
        Self::RateLimit(Scope::Model),
        Self::RateLimit(Scope::Account),
        Self::RateLimit(Scope::Weekly),
        Self::RateLimit(Scope::Integration),
        Self::Quota,
        Self::Network,
        Self::Server,
        Self::Timeout(Watchdog::FirstEvent),
        Self::Timeout(Watchdog::Idle),
        Self::Timeout(Watchdog::Total),
        Self::Auth,
        Self::Client,
        Self::ContextLimit,
        Self::ContentFilter,
        Self::RuntimeDied,
        Self::SessionCorrupt,
        Self::SessionGone,
        Self::Cancelled,
        Self::Limit,
        Self::Unavailable,
        Self::Usage,
        Self::Unknown,
    ];

    /// Its name in counts and on the wire, where scopes and watchdogs are one class each.
    pub fn name(self) -> &'static str {
        match self {
            Self::RateLimit(_) => "rate_limit",
            Self::Quota => "quota",
            Self::Network => "network",
            Self::Server => "server",
            Self::Timeout(_) => "timeout",
            Self::Auth => "auth",
            Self::Client => "client",
            Self::ContextLimit => "context_limit",
            Self::ContentFilter => "content_filter",
            Self::RuntimeDied => "runtime_died",
            Self::SessionCorrupt | Self::SessionGone => "session_corrupt",
            Self::Cancelled => "cancelled",
            Self::Limit => "limit",
            Self::Unavailable => "unavailable",
            Self::Usage => "usage",
            Self::Unknown => "unknown",
        }
    }
}

/// Tries that were made of a request before its failure was handed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// All of them.
    pub tries: u32,
    /// The last ones, that failed in the same class.
    pub in_class: u32,
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
    /// How long the server wants to be left alone, in milliseconds from when it said so.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
    /// What was tried before it was handed on. Nothing, where nobody tried below.
    #[serde(default)]
    pub spent: Spent,
    /// Whether nobody was asked: a breaker is open, or a known limit holds.
    #[serde(default)]
    pub unasked: bool,
    /// Whether it is a limit of a part of the run alone.
    #[serde(default)]
    pub part: bool,
    /// The variable with a key that only a client has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_key: Option<String>,
}

impl Failure {
    /// A failure without further detail.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        let (message, spent) = (message.into(), Spent::default());
        let (status, retry_after_ms, unasked) = (None, None, false);
        let (hint, needs_key, part) = (None, None, false);
        Self { class, message, hint, status, retry_after_ms, spent, unasked, part, needs_key }
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

    /// Adds how long the server wants to be left alone.
    pub fn with_retry_after(mut self, ms: Option<u64>) -> Self {
        self.retry_after_ms = ms;
        self
    }

    /// Marks it as one that nobody was asked for.
    pub fn unasked(mut self) -> Self {
        self.unasked = true;
        self
    }

    /// Adds what was tried.
    pub fn with_spent(mut self, spent: Spent) -> Self {
        self.spent = spent;
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
