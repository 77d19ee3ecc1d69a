//! Limits that endpoints told us: who must not be asked until when.
//!
//! Learned from refusals, kept over restarts, shared by all runs. A limit ends by itself;
//! an answer of its target ends it sooner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::failure::Scope;
use super::target::Target;

/// Limits that are remembered. One per endpoint and model of a user is a handful.
const MOST_LIMITS: usize = 256;

/// How long a limit is assumed to last that came without a time, in milliseconds. It doubles
/// with each that follows, up to [`MOST_ASSUMED_MS`].
pub const ASSUMED_MS: u64 = 5 * 60_000;

/// The longest wait that is assumed, in milliseconds.
pub const MOST_ASSUMED_MS: u64 = 60 * 60_000;

/// The longest wait that is believed, in milliseconds: a week and a day. Weekly limits exist;
/// anything longer is a broken header.
pub const MOST_TOLD_MS: u64 = 8 * 24 * 60 * 60_000;

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Where.
    pub endpoint: String,
    /// Which model; every model there when absent.
    #[serde(default)]
    pub model: Option<String>,
    /// What kind.
    pub scope: Scope,
    /// Until when, in Unix milliseconds.
    pub until: u64,
    /// When it was learned, in Unix milliseconds.
    #[serde(default)]
    pub at: u64,
    /// Whether the endpoint said until when, or it is assumed.
    pub told: bool,
    /// How often in a row it came without a time.
    #[serde(default)]
    pub guesses: u32,
    /// The endpoint's words.
    pub words: String,
}

impl Limit {
    fn holds_for(&self, target: &Target) -> bool {
        self.endpoint == target.endpoint
            && self.model.as_ref().is_none_or(|model| *model == target.model)
    }
}

/// Every limit known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    known: BTreeMap<String, Limit>,
}

/// A week's limit and one of a minute are two: the newest word counts within a kind only.
fn key(endpoint: &str, model: Option<&str>, scope: Scope) -> String {
    format!("{endpoint} {} {scope:?}", model.unwrap_or("*"))
}

impl Limits {
    /// A target refused for a limit; gives until when it is left alone.
    pub fn learn(
        &mut self,
        target: &Target,
        scope: Scope,
        (after_ms, words): (Option<u64>, &str),
        now_ms: u64,
    ) -> u64 {
        let model = (scope == Scope::Model).then(|| target.model.clone());
        let key = key(&target.endpoint, model.as_deref(), scope);
        let known = self.known.get(&key);
        let (until, guesses) = if let Some(ms) = after_ms {
            (now_ms.saturating_add(ms.min(MOST_TOLD_MS)), 0)
        } else {
            let guesses = known.map_or(0, |limit| limit.guesses);
            let assumed = ASSUMED_MS.saturating_mul(1 << guesses.min(16));
            (now_ms + assumed.min(MOST_ASSUMED_MS), guesses + 1)
        };
        let limit = Limit {
            endpoint: target.endpoint.clone(),
            model,
            scope,
            until,
            at: now_ms,
            told: after_ms.is_some(),
            guesses,
            words: words.chars().take(200).collect(),
        };
        if self.known.len() >= MOST_LIMITS
            && !self.known.contains_key(&key)
            && let Some(first) =
                self.known.iter().min_by_key(|(_, limit)| limit.until).map(|(key, _)| key.clone())
        {
            self.known.remove(&first);
        }
        self.known.insert(key, limit);
        until
    }

    /// The limit that keeps this target from being asked now: the one that ends last.
    pub fn on(&self, target: &Target, now_ms: u64) -> Option<&Limit> {
        let holds = |limit: &&Limit| limit.until > now_ms && limit.holds_for(target);
        self.known.values().filter(holds).max_by_key(|limit| limit.until)
    }

    /// The target answered a request made at `since`: no limit that was learned before holds
    /// for it. Returns whether there was one.
    pub fn answered(&mut self, target: &Target, since: u64) -> bool {
        let before = self.known.len();
        self.known.retain(|_, limit| limit.at > since || !limit.holds_for(target));
        self.known.len() != before
    }

    /// Limits that hold now.
    pub fn holding(&self, now_ms: u64) -> impl Iterator<Item = &Limit> {
        self.known.values().filter(move |limit| limit.until > now_ms)
    }

    /// Forgets those that `matches` names; returns how many.
    pub fn forget(&mut self, matches: impl Fn(&Limit) -> bool) -> usize {
        let before = self.known.len();
        self.known.retain(|_, limit| !matches(limit));
        before - self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(model: &str) -> Target {
        Target { backend: "sdk".into(), endpoint: "github".into(), model: model.into() }
    }

    #[test]
    fn a_models_limit_leaves_the_other_models_alone() {
        let mut limits = Limits::default();
        limits.learn(&target("a"), Scope::Model, (Some(5_000), "slow"), 1_000);
        assert_eq!(limits.on(&target("a"), 5_999).map(|limit| limit.until), Some(6_000));
        assert!(limits.on(&target("b"), 2_000).is_none());
        assert!(limits.on(&target("a"), 6_000).is_none(), "it ends by itself");
    }

    #[test]
    fn an_accounts_limit_holds_for_every_model_and_not_elsewhere() {
        for scope in [Scope::Account, Scope::Weekly, Scope::Integration] {
            let mut limits = Limits::default();
            limits.learn(&target("a"), scope, (Some(5_000), ""), 0);
            assert!(limits.on(&target("b"), 1).is_some(), "{scope:?}");
            let other = Target { endpoint: "http://x".into(), ..target("a") };
            assert!(limits.on(&other, 1).is_none(), "{scope:?}");
        }
    }

    #[test]
    fn without_a_time_the_wait_is_assumed_and_grows() {
        let mut limits = Limits::default();
        let mut now = 0;
        for minutes in [5, 10, 20, 40, 60, 60] {
            let until = limits.learn(&target("a"), Scope::Account, (None, ""), now);
            assert_eq!(until - now, minutes * 60_000);
            now = until;
        }
        assert!(!limits.answered(&target("a"), 0), "one that was asked before");
        assert!(limits.answered(&target("a"), now));
        let until = limits.learn(&target("a"), Scope::Account, (None, ""), now);
        assert_eq!(until - now, 5 * 60_000, "an answer begins it anew");
    }
}
