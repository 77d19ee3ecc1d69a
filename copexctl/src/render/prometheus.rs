//! Measurements in Prometheus' text exposition format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use copex_proto::spend::{HistogramSeries, MetricsReport, SpendReport};

/// Everything as text, each family with its HELP and TYPE.
pub(crate) fn text(metrics: &MetricsReport, spend: &SpendReport) -> String {
    let mut out = String::new();
    for family in &metrics.counters {
        head(&mut out, &family.name, &family.help, "counter");
        for series in &family.series {
            sample(&mut out, &family.name, &series.labels, None, &series.value.to_string());
        }
    }
    for family in &metrics.histograms {
        head(&mut out, &family.name, &family.help, "histogram");
        for series in &family.series {
            histogram(&mut out, &family.name, &family.bounds, series);
        }
    }
    today(&mut out, spend);
    out
}

fn today(out: &mut String, spend: &SpendReport) {
    const NAME: &str = "copex_spend_today";
    head(
        out,
        NAME,
        "Spend of the present day (UTC) by unit; estimated_cost is an estimate by [prices].",
        "gauge",
    );
    let usage = &spend.today.usage;
    let units = [
        ("cost", Some(spend.today.cost)),
        ("premium_requests", Some(usage.premium_requests)),
        ("ai_credits", usage.ai_credits),
        ("estimated_cost", usage.estimated_cost),
    ];
    for (unit, value) in units {
        if let Some(value) = value {
            let labels = BTreeMap::from([("unit".to_owned(), unit.to_owned())]);
            sample(out, NAME, &labels, None, &number(value));
        }
    }
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn histogram(out: &mut String, name: &str, bounds: &[f64], series: &HistogramSeries) {
    let bucket = format!("{name}_bucket");
    let mut below = 0;
    for (index, bound) in bounds.iter().enumerate() {
        below += series.counts.get(index).copied().unwrap_or(0);
        sample(out, &bucket, &series.labels, Some(&number(*bound)), &below.to_string());
    }
    sample(out, &bucket, &series.labels, Some("+Inf"), &series.count.to_string());
    sample(out, &format!("{name}_sum"), &series.labels, None, &number(series.sum));
    sample(out, &format!("{name}_count"), &series.labels, None, &series.count.to_string());
}

fn sample(
    out: &mut String,
    name: &str,
    labels: &BTreeMap<String, String>,
    bound: Option<&str>,
    value: &str,
) {
    let bound = bound.map(|bound| format!("le=\"{bound}\""));
    let labels = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    let labels: Vec<_> = labels.chain(bound).collect();
    let braces =
        if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let _ = writeln!(out, "{name}{braces} {value}");
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A float as Go reads it: the shortest text that is the same number.
fn number(value: f64) -> String {
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use copex_proto::spend::{CounterFamily, CounterSeries, HistogramFamily};

    use super::*;

    #[test]
    fn families_have_heads_buckets_add_up_and_labels_are_escaped() {
        let labels = BTreeMap::from([("model".to_owned(), "a\"b\\c\nd".to_owned())]);
        let metrics = MetricsReport {
            counters: vec![CounterFamily {
                name: "copex_x_total".to_owned(),
                help: "X, by\nmodel.".to_owned(),
                series: vec![CounterSeries { labels: labels.clone(), value: 7 }],
            }],
            histograms: vec![HistogramFamily {
                name: "copex_y_seconds".to_owned(),
                help: "Y.".to_owned(),
                bounds: vec![0.5, 1.0],
                series: vec![HistogramSeries {
                    counts: vec![1, 2, 3],
                    count: 6,
                    sum: 9.25,
                    ..HistogramSeries::default()
                }],
            }],
            ..MetricsReport::default()
        };
        let text = text(&metrics, &SpendReport::default());
        let expected = "# HELP copex_x_total X, by\\nmodel.\n\
                        # TYPE copex_x_total counter\n\
                        copex_x_total{model=\"a\\\"b\\\\c\\nd\"} 7\n\
                        # HELP copex_y_seconds Y.\n\
                        # TYPE copex_y_seconds histogram\n\
                        copex_y_seconds_bucket{le=\"0.5\"} 1\n\
                        copex_y_seconds_bucket{le=\"1\"} 3\n\
                        copex_y_seconds_bucket{le=\"+Inf\"} 6\n\
                        copex_y_seconds_sum 9.25\n\
                        copex_y_seconds_count 6\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("# TYPE copex_spend_today gauge\n"), "{text}");
    }
}
