//! Money and counts: prices, the ledger, and what was measured.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Usage;

/// What a million tokens of a model cost, in any one currency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens sent that the endpoint had not cached.
    pub input: f64,
    /// Tokens received, reasoning included.
    pub output: f64,
    /// Tokens sent that the endpoint had cached. Default: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<f64>,
}

/// Limits on what one run may spend. Absent: as much as it takes.
#[expect(clippy::struct_field_names, reason = "they are limits: each is a most")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpendLimits {
    /// Most cost: the estimate for models with a price, premium requests for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<f64>,
    /// Most AI credits, as the backend tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ai_credits: Option<f64>,
    /// Most tokens, sent and received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
}

/// By what the ledger is summed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpendBy {
    /// By run, newest first.
    Run,
    /// By day (UTC), newest first.
    Day,
    /// By repository: the folder that holds `.git`, else the working folder.
    Repository,
    /// By model.
    #[default]
    Model,
}

/// A sum over model calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Spending {
    /// Tokens and money, as they were told; `estimated_cost` is an estimate.
    pub usage: Usage,
    /// What counts against `max_cost`: the estimate for calls of a model with a price, the
    /// premium requests of the others.
    pub cost: f64,
}

/// One line of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SpendRow {
    /// The run, day (`2026-01-31`), repository or model.
    pub name: String,
    /// Its sum.
    #[serde(flatten)]
    pub spending: Spending,
}

/// Answer to `spend.get`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SpendReport {
    /// From when it counts, in Unix milliseconds: the beginning of a day (UTC).
    pub since: u64,
    /// By what it is summed.
    pub by: SpendBy,
    /// The lines, at most 1,000.
    pub rows: Vec<SpendRow>,
    /// Lines left out because there were more.
    pub left_out: u64,
    /// The sum over all, left out or not.
    pub total: Spending,
    /// The sum of today (UTC).
    pub today: Spending,
    /// The most that all runs of a day may cost, where the daemon was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost_per_day: Option<f64>,
}

/// Answer to `metrics.get`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MetricsReport {
    /// From when it counts, in Unix milliseconds: the beginning of an hour.
    pub since: u64,
    /// Until when.
    pub until: u64,
    /// What was counted.
    pub counters: Vec<CounterFamily>,
    /// What was timed.
    pub histograms: Vec<HistogramFamily>,
    /// How often each model answered.
    pub models: Vec<ModelSuccess>,
}

/// Counts of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CounterFamily {
    /// Its name; begins with `copex_`.
    pub name: String,
    /// What is counted.
    pub help: String,
    /// One count per set of labels.
    pub series: Vec<CounterSeries>,
}

/// One count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CounterSeries {
    /// What it counts.
    pub labels: BTreeMap<String, String>,
    /// How many.
    pub value: u64,
}

/// Durations of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HistogramFamily {
    /// Its name; begins with `copex_`, ends with its unit.
    pub name: String,
    /// What is timed.
    pub help: String,
    /// Upper bounds of the buckets, in seconds, rising. What is above the last is counted too.
    pub bounds: Vec<f64>,
    /// One distribution per set of labels.
    pub series: Vec<HistogramSeries>,
}

/// One distribution.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HistogramSeries {
    /// What it is of.
    pub labels: BTreeMap<String, String>,
    /// How many fell into each bucket alone; one more than there are bounds.
    pub counts: Vec<u64>,
    /// How many there were.
    pub count: u64,
    /// Their sum, in seconds.
    pub sum: f64,
    /// Half were at most this long: an estimate within its bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    /// 90 % were at most this long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// 99 % were at most this long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
}

/// How often a model answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ModelSuccess {
    /// The model.
    pub model: String,
    /// Requests that came to an end.
    pub requests: u64,
    /// Those that were answered.
    pub answered: u64,
    /// The share of them, from 0 to 1.
    pub rate: f64,
}
