//! What model calls took.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tokens and money. Of one model call in a `usage` event, summed elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Usage {
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Model calls.
    pub calls: u64,
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Tokens sent that the endpoint had cached.
    pub cached_tokens: u64,
    /// Tokens received that were reasoning.
    pub reasoning_tokens: u64,
    /// Premium requests, with the model's multiplier.
    pub premium_requests: f64,
    /// AI credits, where the backend tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai_credits: Option<f64>,
    /// What it cost by the price table of the request: an estimate, in the table's currency,
    /// of the calls whose model has a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_cost: Option<f64>,
}

impl Usage {
    /// Adds another call's numbers; the newest model name stays.
    pub fn add(&mut self, other: &Self) {
        if other.model.is_some() {
            self.model.clone_from(&other.model);
        }
        self.calls += other.calls;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cached_tokens += other.cached_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.premium_requests += other.premium_requests;
        if let Some(credits) = other.ai_credits {
            *self.ai_credits.get_or_insert(0.0) += credits;
        }
        if let Some(cost) = other.estimated_cost {
            *self.estimated_cost.get_or_insert(0.0) += cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_adds_up_over_calls() {
        let mut sum = Usage::default();
        let call = Usage { calls: 1, input_tokens: 10, ai_credits: Some(0.5), ..Usage::default() };
        sum.add(&call);
        sum.add(&call);
        assert_eq!((sum.calls, sum.input_tokens, sum.ai_credits), (2, 20, Some(1.0)));
    }
}
