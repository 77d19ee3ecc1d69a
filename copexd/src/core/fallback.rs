//! Which models follow one another when one fails.

/// Where a model of the chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where the run's own model is.
    Same,
    /// GitHub's models.
    Github,
    /// The provider of the configuration.
    Provider,
}

/// One link of a chain: `gpt-5`, `github:gpt-5`, `provider:qwen3:8b`.
pub fn link(name: &str) -> (Place, &str) {
    if let Some(model) = name.strip_prefix("github:") {
        (Place::Github, model)
    } else if let Some(model) = name.strip_prefix("provider:") {
        (Place::Provider, model)
    } else {
        (Place::Same, name)
    }
}

/// Models of one chain, at most: each costs a few failures before it is left.
pub const MOST_LINKS: usize = 16;

/// The chain that follows one of GitHub's models when nothing else is said: Python copex's.
pub fn built_in(model: &str) -> &'static [&'static str] {
    match model {
        "claude-opus-4.6" => &[
            "claude-opus-4.6-fast",
            "claude-opus-4.6-1m",
            "claude-opus-4.5",
            "claude-sonnet-4.5",
            "claude-haiku-4.5",
        ],
        "claude-opus-4.6-fast" => &[
            "claude-opus-4.6",
            "claude-opus-4.6-1m",
            "claude-opus-4.5",
            "claude-sonnet-4.5",
            "claude-haiku-4.5",
        ],
        "claude-opus-4.6-1m" => &[
            "claude-opus-4.6",
            "claude-opus-4.6-fast",
            "claude-opus-4.5",
            "claude-sonnet-4.5",
            "claude-haiku-4.5",
        ],
        "claude-opus-4.5" => &["claude-sonnet-4.5", "claude-haiku-4.5"],
        "claude-sonnet-4.5" => &["claude-sonnet-4", "claude-haiku-4.5"],
        "claude-sonnet-4" => &["claude-haiku-4.5"],
        "gpt-5.2-codex" => &["gpt-5.1-codex", "gpt-5.2", "gpt-5.1"],
        "gpt-5.1-codex" => &["gpt-5.1-codex-max", "gpt-5.1", "gpt-5"],
        "gpt-5.2" => &["gpt-5.1", "gpt-5"],
        "gpt-5.1" => &["gpt-5", "gpt-5-mini"],
        "gpt-5" => &["gpt-5-mini", "gpt-4.1"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_may_say_where_its_model_is() {
        assert_eq!(link("gpt-5"), (Place::Same, "gpt-5"));
        assert_eq!(link("github:gpt-5"), (Place::Github, "gpt-5"));
        assert_eq!(link("provider:qwen3:8b"), (Place::Provider, "qwen3:8b"));
        assert_eq!(link("qwen3:8b"), (Place::Same, "qwen3:8b"));
    }

    #[test]
    fn no_built_in_chain_comes_back_to_its_own_model() {
        for model in ["claude-opus-4.6", "claude-opus-4.5", "gpt-5.2-codex", "gpt-5"] {
            let chain = built_in(model);
            assert!(!chain.is_empty() && !chain.contains(&model) && chain.len() <= MOST_LINKS);
        }
        assert!(built_in("qwen3:8b").is_empty());
    }
}
