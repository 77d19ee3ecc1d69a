//! What is counted and timed, in the whole product.

use std::collections::{BTreeMap, BTreeSet};

use copex_tests::model::{MODEL, Reply};
use serde_json::{Value, json};

use crate::product::Product;

/// The sum of a counter over the series with these labels.
fn counted(report: &Value, name: &str, labels: &[(&str, &str)]) -> u64 {
    let families = report["counters"].as_array().unwrap();
    let family = families.iter().find(|family| family["name"] == name).unwrap();
    let fits = |series: &&Value| labels.iter().all(|(name, it)| series["labels"][name] == *it);
    let series = family["series"].as_array().unwrap().iter().filter(fits);
    series.filter_map(|series| series["value"].as_u64()).sum()
}

fn turns(report: &Value) -> Value {
    let families = report["histograms"].as_array().unwrap();
    let name = "copex_turn_duration_seconds";
    families.iter().find(|family| family["name"] == name).unwrap()["series"][0].clone()
}

#[test]
fn runs_retries_and_tokens_are_counted_and_survive_a_stop() {
    let mut product = Product::start();
    let retried = "copex_retries_total";
    product.model.push(Reply::status(503, ""));
    assert_eq!(product.chat(["one"]).ok(), "echo: one\n");
    product.model.push(Reply::error(400, "invalid", "no"));
    let _failed = product.chat(["two"]).expect_code(1);
    let report = |product: &Product| product.rpc().call("metrics.get", &json!({}));
    let before = report(&product);
    let runs = |state| counted(&before, "copex_runs_total", &[("mode", "chat"), ("state", state)]);
    assert_eq!((runs("done"), runs("failed")), (1, 1), "{before}");
    assert_eq!(counted(&before, retried, &[("level", "request"), ("class", "server")]), 1);
    let tokens = |kind| counted(&before, "copex_tokens_total", &[("model", MODEL), ("kind", kind)]);
    assert_eq!((tokens("input"), tokens("output")), (11, 7), "{before}");
    let took = turns(&before);
    assert_eq!((&took["count"], &took["labels"]["mode"]), (&json!(2), &json!("chat")));
    assert!(took["p50"].as_f64().unwrap() > 0.0, "{took}");

    let _stopped = product.ctl().run(["daemon", "stop"]).expect_code(0);
    let _ended = product.daemon.process().wait();
    product.daemon.restart();
    let after = report(&product);
    for name in ["counters", "histograms"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    let _third = product.chat(["three"]).ok();
    let more = report(&product);
    assert_eq!(counted(&more, "copex_runs_total", &[]), 3, "{more}");
    let since = |text: &str| product.ctl().run(["metrics", "--since", text, "--json"]);
    let recent = since("1h").expect_code(0).json();
    assert_eq!(counted(&recent["metrics"], "copex_runs_total", &[]), 3, "{recent}");
    let output = since("yesterday").expect_code(2);
    assert_eq!(output.json()["error"]["class"], "usage", "{output:?}");
    let people = product.ctl().run(["metrics"]).expect_code(0).stdout;
    for words in ["spend today", "turn duration mode=chat", "runs mode=chat state=done"] {
        assert!(people.contains(words), "{words}: {people}");
    }
}

/// One line of the format: name, labels, value.
type Sample = (String, BTreeMap<String, String>, f64);

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some((series.to_owned(), BTreeMap::new(), value));
    };
    let mut rest = labels.strip_suffix('}')?;
    let mut found = BTreeMap::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"")?;
        let mut text = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => text.push('\n'),
                    plain @ ('"' | '\\') => text.push(plain),
                    _ => return None,
                },
                (_, plain) => text.push(plain),
            }
        };
        found.insert(label.to_owned(), text);
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some((name.to_owned(), found, value))
}

#[test]
fn the_prometheus_form_is_read_line_by_line() {
    let product = Product::start();
    let odd = "odd \"model\"\\";
    let _one = product.chat(["one", "-m", odd]).ok();
    let _two = product.chat(["two"]).ok();
    let text = product.ctl().run(["metrics", "--prometheus"]).ok();
    let mut kinds: BTreeMap<String, String> = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            helped.insert(help.split_once(' ').unwrap().0.to_owned());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
        } else {
            let sample = sample(line).unwrap_or_else(|| panic!("not a sample: {line}"));
            assert!(seen.insert((sample.0.clone(), sample.1.clone())), "twice: {line}");
            samples.push(sample);
        }
    }
    let named: BTreeSet<String> = kinds.keys().cloned().collect();
    assert_eq!(named, helped);
    for (name, labels, value) in &samples {
        assert!(name.starts_with("copex_") && *value >= 0.0, "{name}");
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end).filter(|it| kinds.contains_key(*it)))
            .unwrap_or(name);
        let kind = kinds.get(family).unwrap_or_else(|| panic!("no TYPE for {name}"));
        assert_eq!(kind == "histogram", family != name, "{name}");
        assert_eq!(name.ends_with("_bucket"), labels.contains_key("le"), "{name}");
    }
    let tokens = samples.iter().find(|(name, labels, _)| {
        name == "copex_tokens_total" && labels.get("model").is_some_and(|model| model == odd)
    });
    assert!(tokens.is_some(), "the odd name came through: {text}");
    let bucket = |(name, _, _): &&Sample| name == "copex_turn_duration_seconds_bucket";
    let buckets: Vec<_> = samples.iter().filter(bucket).collect();
    assert!(buckets.windows(2).all(|pair| pair[0].2 <= pair[1].2), "{buckets:?}");
    assert_eq!(buckets.last().unwrap().1["le"], "+Inf");
    let count = samples.iter().find(|it| it.0 == "copex_turn_duration_seconds_count").unwrap();
    assert_eq!((buckets.last().unwrap().2, count.2), (2.0, 2.0));
}
