//! What a model request is sent to: the unit of health.

use serde::{Deserialize, Serialize};

/// One model behind one endpoint, reached by one backend.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// Which way there: `sdk`, `cli`.
    pub backend: String,
    /// Where it is: `github`, or a provider's URL without anything secret.
    pub endpoint: String,
    /// The model; empty where the backend picks one.
    pub model: String,
}

/// The endpoint of GitHub's own models.
pub const GITHUB: &str = "github";

/// The endpoint of a replay.
pub const CASSETTE: &str = "cassette";

/// The endpoint of the demonstration model.
pub const DEMO: &str = "demo";

impl Target {
    /// Whether somebody outside answers: what is only played has no health to remember.
    pub fn is_real(&self) -> bool {
        self.endpoint != CASSETTE && self.endpoint != DEMO
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let model = if self.model.is_empty() { "the default model" } else { &self.model };
        write!(f, "{model} at {}", self.endpoint)?;
        if self.backend == "sdk" { Ok(()) } else { write!(f, " ({})", self.backend) }
    }
}

/// A model that a turn may be asked of, in the order of preference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// What is asked.
    pub target: Target,
    /// Its context window in tokens, where known.
    pub context_tokens: Option<u64>,
}
