//! How hard the model thinks, by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How hard the model thinks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Not at all.
    None,
    /// The least that the newest models offer.
    Minimal,
    /// A little.
    Low,
    /// Balanced.
    Medium,
    /// Thorough.
    High,
    /// As much as the GPT models offer.
    #[serde(alias = "xh")]
    Xhigh,
    /// As much as the newest models offer.
    Max,
}

impl Effort {
    /// Every level, from none to most.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max];

    /// The name on the wire and in the shell.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }
}

impl std::str::FromStr for Effort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        let lower = if lower == "xh" { "xhigh" } else { &lower };
        Self::ALL.into_iter().find(|effort| effort.as_str() == lower).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|effort| effort.as_str()).collect();
            format!("`{text}` is not a reasoning effort; use one of {}", names.join(", "))
        })
    }
}
