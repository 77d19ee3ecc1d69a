//! An endpoint of the user's own: which dialect, where, and where its key comes from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::Effort;

/// A model endpoint of the user's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Which dialect it speaks.
    #[serde(rename = "type", default)]
    pub kind: ProviderKind,
    /// Where it is, for example `http://127.0.0.1:11434/v1`.
    pub base_url: String,
    /// `completions` or `responses`; OpenAI dialect only. Default `completions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire_api: Option<String>,
    /// Where the key comes from. Absent for endpoints without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySource>,
    /// The API version of an Azure endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure_api_version: Option<String>,
    /// Further headers; values must not be secrets, they are stored with the run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The model's context window in tokens, where the endpoint does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_prompt_tokens: Option<u64>,
    /// The reasoning efforts the endpoint's model supports, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_efforts: Option<Vec<Effort>>,
}

/// The dialect of a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// OpenAI's and everything compatible, Ollama included.
    #[default]
    Openai,
    /// Azure OpenAI.
    Azure,
    /// Anthropic.
    Anthropic,
}

/// Where a key comes from. The key itself is never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// A variable: looked up in the request's `secrets`, then in the daemon's environment.
    Env(String),
    /// The first line that a shell command prints.
    Command(String),
    /// The first line of a file.
    File(String),
}
