//! Which reasoning effort a model gets when it was asked for another.

use serde::{Deserialize, Serialize};

/// How hard a model thinks, from not at all to the most that any model offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Not at all.
    None,
    /// The least.
    Minimal,
    /// A little.
    Low,
    /// Balanced.
    Medium,
    /// Thorough.
    High,
    /// More.
    Xhigh,
    /// The most.
    Max,
}

impl Effort {
    /// Every level, ascending.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max];

    /// The name that the Copilot CLI and its endpoints use.
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

    /// The level with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == name)
    }
}

/// What a model gets, and what to tell the user when that is not what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The level to send; `None` sends nothing.
    pub effort: Option<Effort>,
    /// The warning, where the level was changed.
    pub warning: Option<String>,
}

/// Fits the effort asked for to what the model supports.
///
/// `supported` is what somebody who knows said (the account's model list or the
/// provider's settings). Without it the name decides, by the rule of Python copex
/// 2.23 (models without reasoning; `xhigh` only from GPT 5.2 on), and the warning
/// says that this is an assumption. A name of no known family is trusted as it is.
pub fn resolve(asked: Effort, model: Option<&str>, supported: Option<&[Effort]>) -> Resolved {
    let (levels, known) = match (supported, model) {
        (Some(levels), _) => (levels.to_vec(), true),
        (None, Some(model)) => match assumed(model) {
            Some(levels) => (levels, false),
            None => return Resolved { effort: Some(asked), warning: None },
        },
        (None, None) => return Resolved { effort: Some(asked), warning: None },
    };
    if levels.contains(&asked) || (asked == Effort::None && levels.is_empty()) {
        return Resolved { effort: (!levels.is_empty()).then_some(asked), warning: None };
    }
    let lower = levels.iter().copied().filter(|level| *level < asked).max();
    let effort = lower.filter(|level| *level != Effort::None);
    let name = model.unwrap_or("the model");
    let basis = if known { "does not support" } else { "is assumed not to support" };
    let instead = effort.map_or("none", Effort::as_str);
    let warning =
        format!("{name} {basis} reasoning effort `{}`; using `{instead}`", asked.as_str());
    Resolved { effort, warning: Some(warning) }
}

/// Levels by name alone, for the families that Python copex knew.
fn assumed(model: &str) -> Option<Vec<Effort>> {
    const WITHOUT: [&str; 6] = [
        "claude-sonnet-4.5",
        "claude-sonnet-4",
        "claude-haiku-4.5",
        "claude-opus-4.5",
        "gemini-3-pro-preview",
        "gpt-4.1",
    ];
    if WITHOUT.contains(&model) {
        return Some(Vec::new());
    }
    let mut levels = vec![Effort::None, Effort::Low, Effort::Medium, Effort::High];
    if let Some(version) = model.strip_prefix("gpt-") {
        let number: String =
            version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let mut parts = number.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        if (major, minor) >= (5, 2) {
            levels.push(Effort::Xhigh);
        }
        return Some(levels);
    }
    model.starts_with("claude-").then_some(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_supported_passes_in_silence() {
        let resolved = resolve(Effort::High, Some("gpt-5.2-codex"), None);
        assert_eq!(resolved, Resolved { effort: Some(Effort::High), warning: None });
    }

    #[test]
    fn too_much_is_lowered_to_the_next_level_with_a_warning() {
        let resolved = resolve(Effort::Xhigh, Some("claude-opus-4.6"), None);
        assert_eq!(resolved.effort, Some(Effort::High));
        assert!(resolved.warning.unwrap().contains("assumed"));
        let told = resolve(Effort::Max, Some("m"), Some(&[Effort::Low, Effort::Medium]));
        assert_eq!(told.effort, Some(Effort::Medium));
        assert!(told.warning.unwrap().contains("does not support"));
    }

    #[test]
    fn a_model_without_reasoning_gets_none() {
        assert_eq!(resolve(Effort::High, Some("gpt-4.1"), None).effort, None);
        assert_eq!(resolve(Effort::High, Some("x"), Some(&[])).effort, None);
    }

    #[test]
    fn a_stranger_is_trusted() {
        let resolved = resolve(Effort::Max, Some("llama-9"), None);
        assert_eq!(resolved, Resolved { effort: Some(Effort::Max), warning: None });
    }

    #[test]
    fn xhigh_begins_with_gpt_5_2() {
        assert_eq!(resolve(Effort::Xhigh, Some("gpt-5.1"), None).effort, Some(Effort::High));
        assert_eq!(resolve(Effort::Xhigh, Some("gpt-5.2"), None).effort, Some(Effort::Xhigh));
        assert_eq!(resolve(Effort::Xhigh, Some("gpt-6"), None).effort, Some(Effort::Xhigh));
    }
}
