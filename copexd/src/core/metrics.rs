//! Counters and histograms: what is measured, by which names, and how sums meet.
//!
//! Invariant: bounded. A family has at most [`MOST_SERIES`] sets of labels; what comes after
//! them is counted under [`OTHER`], so that nothing is lost from a sum.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Sets of labels of one family. A person works with a handful of models and classes; more
/// are names made up by something, and each would be kept for months.
pub const MOST_SERIES: usize = 200;

/// Bytes of one label; the rest is cut off. Names of models are shorter.
const LABEL_BYTES: usize = 120;

/// Every label of what came after the last set that is kept apart.
pub const OTHER: &str = "other";

/// Upper bounds of all histograms, in seconds: from a local answer to a turn of an hour.
pub const BOUNDS: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1_800.0, 3_600.0,
];

/// Something that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name, which is also its name in the store: never change one.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

const fn family(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, help, labels }
}

/// How a model request that was answered is labelled in [`REQUESTS`].
pub const ANSWERED: &str = "ok";

/// Model requests that came to an end.
pub const REQUESTS: Family = family(
    "copex_requests_total",
    &["endpoint", "model", "outcome"],
    "Model requests that came to an end, by outcome: ok, or the class of the failure.",
);
/// Tries after the first.
pub const RETRIES: Family = family(
    "copex_retries_total",
    &["level", "class"],
    "Tries after the first, of a model request or of a turn, by the class of the failure.",
);
/// Models that took over.
pub const FALLBACKS: Family =
    family("copex_fallbacks_total", &["from", "to"], "Turns that went on with another model.");
/// Waits for a known moment.
pub const PARKS: Family =
    family("copex_parks_total", &["mode"], "Runs that began to wait for a known moment.");
/// What breakers did.
pub const BREAKERS: Family = family(
    "copex_breaker_transitions_total",
    &["target", "state"],
    "Circuit breakers that came into a state.",
);
/// Runs that ended.
pub const RUNS: Family =
    family("copex_runs_total", &["mode", "state"], "Runs that ended, by their last state.");
/// Tokens.
pub const TOKENS: Family = family(
    "copex_tokens_total",
    &["model", "kind"],
    "Tokens: input (cached ones included), cached, output (reasoning included), reasoning.",
);
/// From a request to its first token.
pub const FIRST_TOKEN: Family = family(
    "copex_request_first_token_seconds",
    &["model"],
    "From sending a model request to the first token of its answer.",
);
/// Whole requests.
pub const REQUEST_TIME: Family = family(
    "copex_request_duration_seconds",
    &["model"],
    "From sending a model request to the end of its answer.",
);
/// Whole turns.
pub const TURN_TIME: Family = family(
    "copex_turn_duration_seconds",
    &["mode"],
    "Turns from their first try to their end, questions and waits included.",
);

/// What is counted, in the order in which it is shown.
pub const COUNTERS: [Family; 7] = [REQUESTS, RETRIES, FALLBACKS, PARKS, BREAKERS, RUNS, TOKENS];

/// What is timed, in the order in which it is shown.
pub const HISTOGRAMS: [Family; 3] = [FIRST_TOKEN, REQUEST_TIME, TURN_TIME];

/// Durations in buckets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many fell into each bucket alone; the last is above all bounds.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// Adds one duration, in seconds.
    pub fn observe(&mut self, seconds: f64) {
        let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
        self.counts.resize(BOUNDS.len() + 1, 0);
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        self.counts[bucket] += 1;
        self.sum += seconds;
    }

    /// Adds what another one has. One with other buckets, of another version, is left out.
    pub fn merge(&mut self, other: &Self) {
        if other.counts.len() != BOUNDS.len() + 1 {
            return;
        }
        self.counts.resize(BOUNDS.len() + 1, 0);
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.sum += other.sum;
    }

    /// How many fell into each bucket alone.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum, in seconds.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The duration that `share` of all did not pass (0 to 1): an estimate, as if those in a
    /// bucket lay evenly in it. What is above all bounds counts as the last bound.
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = share.clamp(0.0, 1.0) * count as f64;
        let mut below = 0.0;
        for (bucket, inside) in self.counts.iter().enumerate() {
            let inside = *inside as f64;
            if inside > 0.0 && below + inside >= rank {
                let low = if bucket == 0 { 0.0 } else { BOUNDS[bucket - 1] };
                let Some(high) = BOUNDS.get(bucket) else { return Some(low) };
                return Some(low + (high - low) * ((rank - below) / inside).clamp(0.0, 1.0));
            }
            below += inside;
        }
        BOUNDS.last().copied()
    }
}

/// Values by labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(Vec<String>, V)>", into = "Vec<(Vec<String>, V)>")]
#[serde(bound(serialize = "V: Clone + Serialize", deserialize = "V: serde::de::DeserializeOwned"))]
pub struct Series<V>(BTreeMap<Vec<String>, V>);

impl<V> Default for Series<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> From<Vec<(Vec<String>, V)>> for Series<V> {
    fn from(pairs: Vec<(Vec<String>, V)>) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl<V> From<Series<V>> for Vec<(Vec<String>, V)> {
    fn from(series: Series<V>) -> Self {
        series.0.into_iter().collect()
    }
}

impl<V: Default> Series<V> {
    /// The value of these labels, or the one that all others share.
    fn of(&mut self, labels: Vec<String>) -> &mut V {
        let full = self.0.len() >= MOST_SERIES && !self.0.contains_key(&labels);
        let labels = if full { vec![OTHER.to_owned(); labels.len()] } else { labels };
        self.0.entry(labels).or_default()
    }

    /// Every set of labels with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&[String], &V)> {
        self.0.iter().map(|(labels, value)| (labels.as_slice(), value))
    }
}

/// Everything that was measured in some time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    counters: BTreeMap<String, Series<u64>>,
    histograms: BTreeMap<String, Series<Histogram>>,
}

impl Measured {
    /// Counts `count` more. As many `labels` as the family names.
    pub fn add(&mut self, family: &Family, labels: &[&str], count: u64) {
        debug_assert_eq!(labels.len(), family.labels.len(), "{}", family.name);
        *self.counters.entry(family.name.to_owned()).or_default().of(cut(labels)) += count;
    }

    /// Adds one duration, in seconds.
    pub fn observe(&mut self, family: &Family, labels: &[&str], seconds: f64) {
        debug_assert_eq!(labels.len(), family.labels.len(), "{}", family.name);
        let series = self.histograms.entry(family.name.to_owned()).or_default();
        series.of(cut(labels)).observe(seconds);
    }

    /// Adds what was measured at another time.
    pub fn merge(&mut self, other: &Self) {
        for (name, series) in &other.counters {
            let mine = self.counters.entry(name.clone()).or_default();
            for (labels, count) in series.iter() {
                *mine.of(labels.to_vec()) += count;
            }
        }
        for (name, series) in &other.histograms {
            let mine = self.histograms.entry(name.clone()).or_default();
            for (labels, histogram) in series.iter() {
                mine.of(labels.to_vec()).merge(histogram);
            }
        }
    }

    /// The counts of a family.
    pub fn counter(&self, family: &Family) -> impl Iterator<Item = (&[String], &u64)> {
        self.counters.get(family.name).into_iter().flat_map(Series::iter)
    }

    /// The distributions of a family.
    pub fn histogram(&self, family: &Family) -> impl Iterator<Item = (&[String], &Histogram)> {
        self.histograms.get(family.name).into_iter().flat_map(Series::iter)
    }

    /// Of every model: requests that came to an end, and those of them that were answered.
    pub fn success(&self) -> BTreeMap<String, (u64, u64)> {
        let mut models: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (labels, count) in self.counter(&REQUESTS) {
            let [_, model, outcome] = labels else { continue };
            let (all, answered) = models.entry(model.clone()).or_default();
            *all += count;
            if outcome == ANSWERED {
                *answered += count;
            }
        }
        models
    }
}

fn cut(labels: &[&str]) -> Vec<String> {
    let cut = |label: &&str| {
        let mut end = label.len().min(LABEL_BYTES);
        while !label.is_char_boundary(end) {
            end -= 1;
        }
        label[..end].to_owned()
    };
    labels.iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_of_the_form_that_prometheus_wants() {
        for family in COUNTERS.iter().chain(&HISTOGRAMS) {
            assert!(family.name.starts_with("copex_"), "{}", family.name);
            let plain = |text: &str| text.chars().all(|it| it.is_ascii_lowercase() || it == '_');
            assert!(plain(family.name) && family.labels.iter().all(|label| plain(label)));
        }
        assert!(COUNTERS.iter().all(|family| family.name.ends_with("_total")));
        assert!(HISTOGRAMS.iter().all(|family| family.name.ends_with("_seconds")));
        assert!(BOUNDS.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn quantiles_lie_in_their_buckets() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for seconds in [0.2, 0.2, 0.2, 4.0] {
            histogram.observe(seconds);
        }
        assert!((0.1..=0.25).contains(&histogram.quantile(0.5).unwrap()));
        assert!((2.5..=5.0).contains(&histogram.quantile(0.99).unwrap()));
        histogram.observe(1e9);
        assert_eq!(histogram.quantile(1.0), BOUNDS.last().copied());
        assert_eq!((histogram.count(), histogram.counts().len()), (5, BOUNDS.len() + 1));
    }

    #[test]
    fn a_duration_on_a_bound_is_at_most_that_bound() {
        let mut histogram = Histogram::default();
        histogram.observe(BOUNDS[3]);
        assert_eq!(histogram.counts()[3], 1);
    }

    #[test]
    fn one_family_has_so_many_series_and_the_rest_is_others() {
        let mut measured = Measured::default();
        for number in 0..MOST_SERIES * 2 {
            measured.add(&TOKENS, &[&format!("model-{number}"), "input"], 1);
        }
        assert_eq!(measured.counter(&TOKENS).count(), MOST_SERIES + 1);
        let sum: u64 = measured.counter(&TOKENS).map(|(_, count)| count).sum();
        assert_eq!(sum, MOST_SERIES as u64 * 2);
        let long = "ä".repeat(LABEL_BYTES);
        let mut measured = Measured::default();
        measured.add(&PARKS, &[&long], 1);
        assert!(measured.counter(&PARKS).all(|(labels, _)| labels[0].len() <= LABEL_BYTES));
    }

    #[test]
    fn success_is_told_by_model() {
        let mut measured = Measured::default();
        measured.add(&REQUESTS, &["a", "m", ANSWERED], 3);
        measured.add(&REQUESTS, &["b", "m", "server"], 1);
        assert_eq!(measured.success()["m"], (4, 3));
    }

    fn measured(steps: &[(u8, u8, u16)]) -> Measured {
        let mut measured = Measured::default();
        for (kind, label, value) in steps {
            let label = format!("l{label}");
            match kind % 2 {
                0 => measured.add(&RUNS, &["chat", &label], u64::from(*value)),
                _ => measured.observe(&TURN_TIME, &[&label], f64::from(*value)),
            }
        }
        measured
    }

    proptest! {
        #[test]
        fn it_does_not_matter_when_sums_meet(
            one in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u16>()), 0..40),
            two in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u16>()), 0..40),
        ) {
            let mut merged = measured(&one);
            merged.merge(&measured(&two));
            let together: Vec<_> = one.iter().chain(&two).copied().collect();
            prop_assert_eq!(&merged, &measured(&together));
            let json = serde_json::to_string(&merged).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Measured>(&json).unwrap(), &merged);
        }
    }
}
