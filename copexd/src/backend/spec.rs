//! What a session is made of, in the backend's own terms.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::backend::skills;
use crate::core::approval::Mode;

/// A secret in memory. Never printed, never stored.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one who has to send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What tells one runtime process from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuntimeSpec {
    /// The Copilot CLI to use; found when absent.
    pub cli_path: Option<PathBuf>,
    /// The whole environment of the process and of the tools it starts.
    pub env: BTreeMap<String, String>,
    /// Secrets that go into the environment as well.
    pub secret_env: BTreeMap<String, SecretText>,
    /// Whether the built-in demonstration model answers.
    pub demo: bool,
}

/// A model endpoint of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProviderSpec {
    /// `openai`, `azure` or `anthropic`.
    pub kind: String,
    /// Where it is.
    pub base_url: String,
    /// `completions` or `responses`.
    pub wire_api: Option<String>,
    /// The key, if it wants one.
    pub key: Option<SecretText>,
    /// Whether the key is a bearer token, whatever the dialect calls its keys.
    pub bearer: bool,
    /// The API version of an Azure endpoint.
    pub azure_api_version: Option<String>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// The context window in tokens.
    pub max_prompt_tokens: Option<u64>,
}

/// What becomes of a session's model traffic, beside reaching the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum TapeSpec {
    /// It is kept.
    Record {
        /// The file, absolute.
        file: PathBuf,
        /// The run that it is kept for.
        run: String,
    },
    /// It is answered from here.
    Replay {
        /// The file, absolute.
        file: PathBuf,
        /// How many times faster than recorded; 0 is at once.
        speed: f64,
    },
}

impl TapeSpec {
    /// The file.
    pub fn file(&self) -> &Path {
        match self {
            Self::Record { file, .. } | Self::Replay { file, .. } => file,
        }
    }
}

/// What a session is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionSpec {
    /// Its process.
    pub runtime: RuntimeSpec,
    /// Its working folder, canonical.
    pub cwd: PathBuf,
    /// The model asked for.
    pub model: Option<String>,
    /// The effort to send, by name.
    pub effort: Option<String>,
    /// The endpoint, if not GitHub's.
    pub provider: Option<ProviderSpec>,
    /// Words for the system message and whether they replace it.
    pub system_message: Option<(String, bool)>,
    /// Only these tools.
    pub available_tools: Option<Vec<String>>,
    /// Never these tools.
    pub excluded_tools: Vec<String>,
    /// Folders that hold skills, or are one.
    pub skill_directories: Vec<PathBuf>,
    /// Skills by name that stay out.
    pub disabled_skills: Vec<String>,
    /// Of the skills that come with the Copilot CLI only these; absent: all.
    pub built_in_skills: Option<Vec<String>>,
    /// MCP servers by name, as the Copilot CLI takes them, with their secrets put in.
    pub mcp_servers: BTreeMap<String, serde_json::Value>,
    /// Whether text arrives while it is written.
    pub streaming: bool,
    /// The most prompt tokens before the conversation is compacted.
    pub context_budget: Option<u64>,
    /// The cassette that keeps or answers them.
    pub tape: Option<TapeSpec>,
    /// What a Copilot CLI process of its own per turn needs; absent over a shared runtime.
    pub cli: Option<CliSpec>,
}

/// What goes to a Copilot CLI process beside the session's options: nobody can be asked
/// while it works, so it is told the rules beforehand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CliSpec {
    /// The rule for tools that no pattern names.
    pub approval: Mode,
    /// Patterns that are allowed.
    pub allow: Vec<String>,
    /// Patterns that are denied.
    pub deny: Vec<String>,
}

impl RuntimeSpec {
    /// Tells runtimes apart.
    pub fn key(&self) -> String {
        digest(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// The Copilot CLI's folder for its state.
    pub fn copilot_home(&self) -> Option<PathBuf> {
        let variable = |name: &str| self.env.get(name).filter(|value| !value.is_empty());
        let own = variable("COPILOT_HOME").map(PathBuf::from);
        own.or_else(|| variable("HOME").map(|home| Path::new(home).join(".copilot")))
    }
}

impl SessionSpec {
    /// Tells sessions apart: every option, the folder, and the state of the files that the
    /// Copilot CLI reads when a session begins. `stamp` gives a file's state or nothing.
    pub fn key(&self, stamp: impl Fn(&Path) -> Option<u128>) -> String {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        for path in self.read_at_start() {
            bytes.extend(stamp(&path).unwrap_or(0).to_le_bytes());
        }
        digest(&bytes)
    }

    /// Files whose content goes into a new session.
    fn read_at_start(&self) -> Vec<PathBuf> {
        const IN_FOLDERS: [&str; 7] = [
            "AGENTS.md",
            "CLAUDE.md",
            "GEMINI.md",
            ".github/copilot-instructions.md",
            ".github/instructions",
            ".mcp.json",
            ".git/HEAD",
        ];
        const IN_HOME: [&str; 3] = ["copilot-instructions.md", "mcp-config.json", "config.json"];
        let mut paths = Vec::new();
        for folder in self.cwd.ancestors() {
            paths.extend(IN_FOLDERS.iter().map(|name| folder.join(name)));
        }
        if let Some(home) = self.runtime.copilot_home() {
            paths.extend(IN_HOME.iter().map(|name| home.join(name)));
        }
        paths.extend(skills::files(&self.skill_directories));
        paths
    }
}

fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(32);
    for byte in &Sha256::digest(bytes)[..16] {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
