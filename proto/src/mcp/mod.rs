//! MCP servers: read as the Copilot CLI, VS Code and Python copex write them down, and brought
//! into one form.
//!
//! Invariant: a secret is a reference (`${env:NAME}`) until a server is started. What is stored
//! and logged has references only: [`hide`] makes them of secrets that are written out.

mod comments;
mod read;
mod secrets;
mod variables;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::health::BackendQuery;

pub use read::{from_value, normalise, read, transport};
pub use secrets::{hide, secret_args};
pub use variables::{Surroundings, references, resolve};

/// Servers by name, each as in the Copilot CLI's own configuration.
pub type Servers = BTreeMap<String, Value>;

/// Why a description of servers cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct McpError {
    /// What is wrong, with the server's name.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// The variable that is not set, where that is all.
    pub variable: Option<String>,
}

impl McpError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, variable: None }
    }

    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

/// What `mcp.check` is to start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct McpCheck {
    /// Servers by name. At most 64.
    pub servers: Servers,
    /// Absolute folder that they start in. Default: the user's home folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Seconds that each may take to start and to list its tools. Default 30, most 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<f64>,
    /// The Copilot CLI that starts them, its environment, and the secrets they refer to.
    pub query: BackendQuery,
}

/// A tool of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct McpTool {
    /// Its name; the agent is offered it as `SERVER-NAME`.
    pub name: String,
    /// What it says that it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What came of one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct McpChecked {
    /// Its name.
    pub name: String,
    /// `stdio`, `http` or `sse`.
    pub transport: String,
    /// Whether it started and listed its tools.
    pub ok: bool,
    /// How long that took, in milliseconds.
    pub took_ms: u64,
    /// Its tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<McpTool>,
    /// Why it failed, in the Copilot CLI's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Answer to `mcp.check`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct McpReport {
    /// Every server that was asked for, by name.
    pub servers: Vec<McpChecked>,
}

#[cfg(test)]
mod tests;
