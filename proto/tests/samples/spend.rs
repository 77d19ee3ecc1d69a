//! The ledger and what was measured.

use std::collections::BTreeMap;

use copex_proto::spend::{
    CounterFamily, CounterSeries, HistogramFamily, HistogramSeries, MetricsReport, ModelSuccess,
    SpendBy, SpendReport, SpendRow, Spending,
};

use super::events::usage;
use super::{Frame, frame, text};

fn labels(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(text(name), text(value))])
}

fn ledger() -> SpendReport {
    let spending = Spending { usage: usage(), cost: 0.0125 };
    SpendReport {
        since: 1_759_968_000_000,
        by: SpendBy::Repository,
        rows: vec![SpendRow { name: text("/home/ada/project"), spending: spending.clone() }],
        left_out: 3,
        total: spending.clone(),
        today: spending,
        max_cost_per_day: Some(20.0),
    }
}

fn measured() -> MetricsReport {
    MetricsReport {
        since: 1_759_996_800_000,
        until: 1_760_000_000_000,
        counters: vec![CounterFamily {
            name: text("copex_tokens_total"),
            help: text("Tokens, by model and kind."),
            series: vec![CounterSeries { labels: labels("model", "gpt-5.4"), value: 1200 }],
        }],
        histograms: vec![HistogramFamily {
            name: text("copex_turn_duration_seconds"),
            help: text("Turns from their first try to their end."),
            bounds: vec![0.5, 1.0],
            series: vec![HistogramSeries {
                labels: labels("mode", "chat"),
                counts: vec![1, 2, 0],
                count: 3,
                sum: 2.25,
                p50: Some(0.625),
                p90: Some(0.925),
                p99: Some(0.9925),
            }],
        }],
        models: vec![ModelSuccess { model: text("gpt-5.4"), requests: 4, answered: 3, rate: 0.75 }],
    }
}

pub(super) fn all() -> Vec<Frame> {
    vec![frame("spend.report", &ledger()), frame("metrics.report", &measured())]
}
