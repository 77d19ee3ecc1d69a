//! What may be spent at most, and what is said when that is reached.

use super::tokens;
use crate::core::failure::{Failure, FailureClass};

/// The most that one run may spend. Absent: as much as it takes.
#[expect(clippy::struct_field_names, reason = "they are limits: each is a most")]
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Caps {
    /// By the rule of the module.
    pub max_cost: Option<f64>,
    /// AI credits, as the backend tells.
    pub max_ai_credits: Option<f64>,
    /// Tokens sent and received.
    pub max_tokens: Option<u64>,
}

impl Caps {
    pub(super) fn most(&self, cap: Cap) -> Option<f64> {
        match cap {
            Cap::Cost => self.max_cost,
            Cap::AiCredits => self.max_ai_credits,
            Cap::Tokens => self.max_tokens.map(tokens),
            Cap::CostPerDay => None,
        }
    }
}

/// A cap by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cap {
    /// Cost of the run.
    Cost,
    /// AI credits of the run.
    AiCredits,
    /// Tokens of the run.
    Tokens,
    /// Cost of all runs of one day (UTC).
    CostPerDay,
}

/// The caps of a run.
pub(super) const OF_RUN: [Cap; 3] = [Cap::Cost, Cap::AiCredits, Cap::Tokens];

impl Cap {
    /// Its name in the configuration, without the table.
    pub fn key(self) -> &'static str {
        match self {
            Self::Cost => "max_cost",
            Self::AiCredits => "max_ai_credits",
            Self::Tokens => "max_tokens",
            Self::CostPerDay => "max_cost_per_day",
        }
    }

    pub(super) fn noun(self, part: bool) -> &'static str {
        match self {
            Self::Cost if part => "the task's cost",
            Self::AiCredits if part => "the task's AI credits",
            Self::Tokens if part => "the task's tokens",
            Self::Cost => "the run's cost",
            Self::AiCredits => "the run's AI credits",
            Self::Tokens => "the run's tokens",
            Self::CostPerDay => "today's cost of all runs",
        }
    }

    pub(super) fn way_out(self, part: bool) -> String {
        if part {
            return "`copexctl fleet --resume RUN` gives it as much again".to_owned();
        }
        let flag = match self {
            Self::Cost => "--max-cost",
            Self::AiCredits => "--max-ai-credits",
            Self::Tokens => "--max-tokens",
            Self::CostPerDay => {
                return "raise `limits.max_cost_per_day` and restart the daemon, or wait for the \
                        next day (UTC); then `copexctl runs resume RUN` goes on"
                    .to_owned();
            }
        };
        format!("`copexctl runs resume RUN {flag} N` goes on with a higher limit")
    }
}

/// A call that was not admitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exceeded {
    /// Which cap.
    pub cap: Cap,
    /// What was spent.
    pub spent: f64,
    /// What is reserved for calls in flight.
    pub reserved: f64,
    /// What this call was estimated to take.
    pub estimate: f64,
    /// The cap.
    pub most: f64,
    /// Whether it is that of a part of the run.
    pub part: bool,
}

impl std::fmt::Display for Exceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (noun, key) = (self.cap.noun(self.part), self.cap.key());
        let (spent, most) = (amount(self.spent), amount(self.most));
        write!(f, "{noun} is {spent}, the limit `{key}` is {most}")?;
        if self.reserved > 0.0 {
            write!(f, "; {} more is reserved for calls in flight", amount(self.reserved))?;
        }
        if self.estimate > 0.0 && self.spent + self.reserved < self.most {
            write!(f, "; the next call may take {}", amount(self.estimate))?;
        }
        Ok(())
    }
}

impl std::error::Error for Exceeded {}

impl From<Exceeded> for Failure {
    fn from(exceeded: Exceeded) -> Self {
        let hint = exceeded.cap.way_out(exceeded.part);
        let failure = Self::new(FailureClass::Limit, exceeded.to_string()).with_hint(hint);
        Self { part: exceeded.part, ..failure }
    }
}

/// A number for people: four places at most, without trailing zeros.
pub fn amount(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    // What is there is never shown as nothing.
    if text == "0" && value > 0.0 { format!("{value:.1e}") } else { text.to_owned() }
}

/// A share of a cap that was passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Passed {
    /// Which cap.
    pub cap: Cap,
    /// The highest share that was passed, in percent.
    pub percent: u32,
    /// What was spent.
    pub spent: f64,
    /// The cap.
    pub most: f64,
    /// Whether it is that of a part of the run.
    pub part: bool,
}

impl std::fmt::Display for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (noun, key) = (self.cap.noun(self.part), self.cap.key());
        let (spent, most) = (amount(self.spent), amount(self.most));
        write!(f, "{noun} passed {} % of `{key}`: {spent} of {most}", self.percent)
    }
}
