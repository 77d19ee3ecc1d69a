//! `metrics`: what was spent, counted and timed.

use std::collections::BTreeMap;

use copex_proto::spend::{
    CounterFamily, HistogramSeries, MetricsReport, SpendBy, SpendReport, Spending,
};
use serde_json::json;

use crate::cli::{ByName, MetricsArgs};
use crate::connect::Connection;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::render::{self, amount, brief, cost, duration, prometheus};
use crate::{clock, when};

/// Lines of spend shown; `--json` has up to a thousand.
const SHOWN: usize = 20;

/// Prints what was measured.
pub(crate) fn run(ctx: &Context, args: &MetricsArgs) -> Result<Exit> {
    let since =
        args.since.as_deref().map(|text| when::since(text, clock::unix_ms())).transpose()?;
    let mut connection = Connection::open(ctx)?;
    let metrics = connection.send("metrics.get", &json!({ "since": since }))?;
    let by = SpendBy::from(args.by);
    let spend = connection.send("spend.get", &json!({ "since": since, "by": by }))?;
    let metrics: MetricsReport = connection.answer(metrics)?;
    let spend: SpendReport = connection.answer(spend)?;
    if args.json {
        render::value(&json!({ "metrics": metrics, "spend": spend }))?;
    } else if args.prometheus {
        render::text(prometheus::text(&metrics, &spend).as_bytes())?;
    } else {
        let asked = args.since.is_some();
        render::text(people(&metrics, &spend, asked).as_bytes())?;
    }
    Ok(Exit::Done)
}

impl From<ByName> for SpendBy {
    fn from(name: ByName) -> Self {
        match name {
            ByName::Run => Self::Run,
            ByName::Day => Self::Day,
            ByName::Repository => Self::Repository,
            ByName::Model => Self::Model,
        }
    }
}

/// Today's spend on one line, with the limit of a day where there is one.
pub(crate) fn today(spend: &SpendReport) -> String {
    let text = spending(&spend.today);
    match spend.max_cost_per_day {
        Some(most) => format!("{text}; {} of {} a day", amount(spend.today.cost), amount(most)),
        None => text,
    }
}

fn spending(spending: &Spending) -> String {
    let usage = &spending.usage;
    if usage.calls == 0 {
        return "nothing".to_owned();
    }
    let calls = if usage.calls == 1 { "call" } else { "calls" };
    let counted = format!(
        "{} {calls}, {} in, {} out tokens",
        usage.calls, usage.input_tokens, usage.output_tokens
    );
    match cost(usage) {
        Some(cost) => format!("{cost} ({counted})"),
        None => counted,
    }
}

fn people(metrics: &MetricsReport, spend: &SpendReport, asked: bool) -> String {
    let mut text = String::new();
    if asked {
        let (day, hour) = (when::moment(spend.since), when::moment(metrics.since));
        text = format!("spend since {day}, the rest since {hour}\n\n");
    }
    let mut rows = vec![
        vec!["spend today".to_owned(), today(spend)],
        vec!["spend".to_owned(), spending(&spend.total)],
    ];
    for row in spend.rows.iter().take(SHOWN) {
        rows.push(vec![format!("  {}", brief(&row.name, 60)), spending(&row.spending)]);
    }
    let left = spend.rows.len().saturating_sub(SHOWN) as u64 + spend.left_out;
    if left > 0 {
        rows.push(vec![format!("  {left} more"), "--json shows them".to_owned()]);
    }
    text.push_str(&render::table(&rows));
    section(&mut text, &models(metrics));
    section(&mut text, &times(metrics));
    section(&mut text, &counts(metrics));
    text
}

fn section(text: &mut String, rows: &[Vec<String>]) {
    // A head alone says nothing.
    if rows.len() > 1 {
        text.push('\n');
        text.push_str(&render::table(rows));
    }
}

fn heads(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn models(metrics: &MetricsReport) -> Vec<Vec<String>> {
    let mut rows = vec![heads(&["model", "requests", "answered"])];
    rows.extend(metrics.models.iter().map(|model| {
        let share = format!("{} ({:.1} %)", model.answered, model.rate * 100.0);
        vec![brief(&model.model, 60), model.requests.to_string(), share]
    }));
    rows
}

fn times(metrics: &MetricsReport) -> Vec<Vec<String>> {
    let mut rows = vec![heads(&["time", "p50", "p90", "p99", "of"])];
    for family in &metrics.histograms {
        let name = plain(&family.name, "_seconds");
        for series in &family.series {
            let what = format!("{name} {}", labels(&series.labels));
            rows.push(time_row(what, series));
        }
    }
    rows
}

fn time_row(what: String, series: &HistogramSeries) -> Vec<String> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "durations are positive; a float beyond u64 saturates"
    )]
    let shown = |seconds: Option<f64>| {
        seconds.map_or_else(|| "-".to_owned(), |it| duration((it * 1_000.0).round() as u64))
    };
    vec![what, shown(series.p50), shown(series.p90), shown(series.p99), series.count.to_string()]
}

/// What is counted and not shown with the models.
fn counts(metrics: &MetricsReport) -> Vec<Vec<String>> {
    let mut rows = vec![heads(&["count", ""])];
    for family in &metrics.counters {
        rows.extend(count_rows(family));
    }
    rows
}

fn count_rows(family: &CounterFamily) -> impl Iterator<Item = Vec<String>> + '_ {
    let name = plain(&family.name, "_total");
    family.series.iter().map(move |series| {
        vec![format!("{name} {}", labels(&series.labels)), series.value.to_string()]
    })
}

fn plain(name: &str, unit: &str) -> String {
    let name = name.strip_prefix("copex_").unwrap_or(name);
    name.strip_suffix(unit).unwrap_or(name).replace('_', " ")
}

fn labels(labels: &BTreeMap<String, String>) -> String {
    let all: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    brief(&all.join(" "), 90)
}
