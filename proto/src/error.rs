//! Errors as clients see them: a class to decide by, words to read, a way out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of failure this is. Clients and the retry policy decide by class, never by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// A limit on requests; see `retry_after_ms` where it is known.
    RateLimit,
    /// An allowance is used up; only a person can change that.
    Quota,
    /// A limit that the user set on spending is reached; a higher one lets the run go on.
    Limit,
    /// The model's endpoint could not be reached or broke off.
    Network,
    /// The model's endpoint failed (5xx).
    Server,
    /// Nothing came for too long.
    Timeout,
    /// Not signed in, or not allowed.
    Auth,
    /// The request was refused as wrong (4xx).
    Client,
    /// The conversation does not fit the model.
    ContextLimit,
    /// The answer was withheld by a filter.
    ContentFilter,
    /// The Copilot runtime process died.
    RuntimeDied,
    /// The Copilot session cannot be opened.
    SessionCorrupt,
    /// Somebody cancelled.
    Cancelled,
    /// The caller's input is wrong: fix it and ask again.
    Usage,
    /// The thing named does not exist.
    NotFound,
    /// It clashes with the present state (already answered, drained, wrong epoch).
    Conflict,
    /// The daemon has too much to do; ask again after `retry_after_ms`.
    Overloaded,
    /// The daemon or the Copilot CLI cannot serve now.
    Unavailable,
    /// Known by name, but not in this version.
    NotAvailable,
    /// The store refused: full disk, damage, or a lock.
    Store,
    /// Anything else, with its own words kept.
    #[serde(other)]
    Unknown,
}

/// The `data` of every JSON-RPC error, and the `error` of every failed run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorInfo {
    /// What kind of failure.
    pub class: ErrorClass,
    /// What happened, naming the thing and the reason.
    pub message: String,
    /// Whether the same request may succeed later, unchanged.
    #[serde(default)]
    pub retryable: bool,
    /// Wait at least this long before asking again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The way out, as a sentence or a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl ErrorInfo {
    /// An error that will not go away by itself.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retryable: false, retry_after_ms: None, hint: None }
    }

    /// Adds the way out.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Marks the error as worth another try after `retry_after_ms` milliseconds.
    pub fn retry_after(mut self, retry_after_ms: u64) -> Self {
        self.retryable = true;
        self.retry_after_ms = Some(retry_after_ms);
        self
    }

    /// The JSON-RPC code this error travels under.
    pub fn code(&self) -> i32 {
        match self.class {
            ErrorClass::Usage => code::INVALID_PARAMS,
            ErrorClass::Overloaded => code::OVERLOADED,
            ErrorClass::NotFound => code::NOT_FOUND,
            ErrorClass::Conflict => code::CONFLICT,
            ErrorClass::Unavailable => code::UNAVAILABLE,
            ErrorClass::NotAvailable => code::NOT_AVAILABLE,
            ErrorClass::Store => code::STORE,
            ErrorClass::Auth => code::AUTH,
            ErrorClass::RateLimit
            | ErrorClass::Quota
            | ErrorClass::Limit
            | ErrorClass::Network
            | ErrorClass::Server
            | ErrorClass::Timeout
            | ErrorClass::Client
            | ErrorClass::ContextLimit
            | ErrorClass::ContentFilter
            | ErrorClass::RuntimeDied
            | ErrorClass::SessionCorrupt
            | ErrorClass::Cancelled
            | ErrorClass::Unknown => code::BACKEND,
        }
    }
}

impl std::fmt::Display for ErrorInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ErrorInfo {}

/// JSON-RPC error codes: the standard ones and ours.
pub mod code {
    /// The frame is not JSON.
    pub const PARSE: i32 = -32700;
    /// The frame is JSON but not a request.
    pub const INVALID_REQUEST: i32 = -32600;
    /// No such method.
    pub const METHOD_NOT_FOUND: i32 = -32601;
    /// The parameters do not fit the method.
    pub const INVALID_PARAMS: i32 = -32602;
    /// A bug of the daemon.
    pub const INTERNAL: i32 = -32603;
    /// A queue is full; see `retry_after_ms`.
    pub const OVERLOADED: i32 = -32001;
    /// The thing named does not exist.
    pub const NOT_FOUND: i32 = -32002;
    /// It clashes with the present state.
    pub const CONFLICT: i32 = -32003;
    /// The daemon or the Copilot CLI cannot serve now.
    pub const UNAVAILABLE: i32 = -32004;
    /// Known by name, but not in this version.
    pub const NOT_AVAILABLE: i32 = -32005;
    /// Too many subscriptions on this connection (jsonrpsee's own code).
    pub const TOO_MANY_SUBSCRIPTIONS: i32 = -32006;
    /// One message is larger than the limit (jsonrpsee's own code).
    pub const TOO_LARGE: i32 = -32007;
    /// The answer is larger than the limit (jsonrpsee's own code).
    pub const ANSWER_TOO_LARGE: i32 = -32008;
    /// Too many connections (jsonrpsee's own code).
    pub const TOO_MANY_CONNECTIONS: i32 = -32009;
    /// The store refused.
    pub const STORE: i32 = -32010;
    /// Not signed in, or not allowed.
    pub const AUTH: i32 = -32011;
    /// The backend failed; the class in `data` says how.
    pub const BACKEND: i32 = -32012;
    /// A call was cancelled by its own client.
    pub const CALL_CANCELLED: i32 = -32800;
}
