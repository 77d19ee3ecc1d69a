//! What was measured, on disk: one rollup per hour.
//!
//! Invariant: a rollup is written whole, so writing it again changes nothing. What was
//! measured since the last write is lost with a killed daemon: [`WRITE_PERIOD`] at most.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use copex_proto::error::ErrorInfo;
use copex_proto::spend::{
    CounterFamily, CounterSeries, HistogramFamily, HistogramSeries, MetricsReport, ModelSuccess,
};

use super::{Engine, ledger, store_error};
use crate::core::metrics::{self, BOUNDS, COUNTERS, Family, HISTOGRAMS, Measured};
use crate::runtime::clock;
use crate::runtime::meter::{Meter, begin_of, hour_of};
use crate::store::{Commit, Op, RawTree, Store, StoreError};

/// How often what was measured is written, when anything was.
const WRITE_PERIOD: Duration = Duration::from_secs(5);

/// Days that rollups are kept. One takes a few kilobytes.
pub(super) const KEPT_DAYS: u64 = 90;

const HOURS_A_DAY: u64 = 24;

fn key(hour: u64) -> Vec<u8> {
    hour.to_be_bytes().to_vec()
}

/// A meter that goes on where the store's rollup of the present hour stops.
pub(super) fn load(store: &Store, now_ms: u64) -> Result<Meter, StoreError> {
    let hour = hour_of(now_ms);
    let bytes = store.get_raw(RawTree::Metrics, &key(hour))?;
    let measured = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(Meter::starting(hour, measured.unwrap_or_default()))
}

/// Removes rollups that are older than [`KEPT_DAYS`]. Blocks.
pub(super) fn retain(store: &Store, now_ms: u64) -> Result<usize, StoreError> {
    let oldest = key(hour_of(now_ms).saturating_sub(KEPT_DAYS * HOURS_A_DAY));
    ledger::remove(store, RawTree::Metrics, |key| key < oldest.as_slice())
}

/// A value's name on the wire, for values that are a name there.
pub(super) fn wire_name(value: &impl serde::Serialize) -> String {
    let name = serde_json::to_value(value).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

impl Engine {
    /// What is measured, for whoever has something to count.
    pub fn meter(&self) -> &Meter {
        &self.inner.accounts.meter
    }

    /// Writes what was measured every few seconds, until the daemon stops.
    pub fn keep_metrics(&self) {
        let (engine, stopping) = (self.clone(), self.inner.tasks.stopping());
        self.inner.tasks.spawn("metrics", async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(WRITE_PERIOD) => engine.write_metrics().await,
                    () = stopping.cancelled() => return,
                }
            }
        });
    }

    /// Writes what was measured since the last time. While the store refuses it is kept.
    pub async fn write_metrics(&self) {
        let meter = &self.inner.accounts.meter;
        let taken = meter.take();
        if taken.is_empty() {
            return;
        }
        let put = |(hour, measured): &(u64, Measured)| {
            let bytes = Bytes::from(serde_json::to_vec(measured).unwrap_or_default());
            Op::PutRaw { tree: RawTree::Metrics, key: key(*hour), bytes }
        };
        let ops = taken.iter().map(put).collect();
        if let Err(error) = self.inner.store.commit(Commit::flushed(ops)).await {
            tracing::debug!(%error, "what was measured is not written yet");
            meter.give_back(taken);
        }
    }

    /// What was measured since the hour of `since`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn metrics(&self, since: Option<u64>) -> Result<MetricsReport, ErrorInfo> {
        let now = clock::now_ms();
        let oldest = hour_of(now).saturating_sub(KEPT_DAYS * HOURS_A_DAY);
        let first = since.map_or(oldest, |since| hour_of(since.min(now))).max(oldest);
        let (store, fresh) = (self.inner.store.clone(), self.inner.accounts.meter.hours());
        let hours = first..=hour_of(now);
        let read = tokio::task::spawn_blocking(move || sum(&store, &fresh, hours)).await;
        let sum = read.unwrap_or_else(|_| Ok(Measured::default()));
        let sum = sum.map_err(|error| store_error(&error))?;
        Ok(report(&sum, begin_of(first), now))
    }
}

/// Everything in these hours; those in memory are newer than the store's.
fn sum(
    store: &Store,
    fresh: &BTreeMap<u64, Measured>,
    hours: RangeInclusive<u64>,
) -> Result<Measured, StoreError> {
    let mut sum = Measured::default();
    for hour in hours {
        if let Some(measured) = fresh.get(&hour) {
            sum.merge(measured);
        } else if let Some(bytes) = store.get_raw(RawTree::Metrics, &key(hour))?
            && let Ok(measured) = serde_json::from_slice(&bytes)
        {
            sum.merge(&measured);
        }
    }
    Ok(sum)
}

fn report(sum: &Measured, since: u64, until: u64) -> MetricsReport {
    let counters = COUNTERS.iter().map(|family| CounterFamily {
        name: family.name.to_owned(),
        help: family.help.to_owned(),
        series: sum
            .counter(family)
            .map(|(labels, value)| CounterSeries { labels: named(family, labels), value: *value })
            .collect(),
    });
    let histograms = HISTOGRAMS.iter().map(|family| HistogramFamily {
        name: family.name.to_owned(),
        help: family.help.to_owned(),
        bounds: BOUNDS.to_vec(),
        series: sum
            .histogram(family)
            .map(|(labels, histogram)| series(named(family, labels), histogram))
            .collect(),
    });
    let models = sum.success().into_iter().map(|(model, (requests, answered))| {
        #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
        let rate = if requests == 0 { 0.0 } else { answered as f64 / requests as f64 };
        ModelSuccess { model, requests, answered, rate }
    });
    MetricsReport {
        since,
        until,
        counters: counters.collect(),
        histograms: histograms.collect(),
        models: models.collect(),
    }
}

fn series(labels: BTreeMap<String, String>, histogram: &metrics::Histogram) -> HistogramSeries {
    HistogramSeries {
        labels,
        counts: histogram.counts().to_vec(),
        count: histogram.count(),
        sum: histogram.sum(),
        p50: histogram.quantile(0.5),
        p90: histogram.quantile(0.9),
        p99: histogram.quantile(0.99),
    }
}

fn named(family: &Family, labels: &[String]) -> BTreeMap<String, String> {
    let names = family.labels.iter().map(|name| (*name).to_owned());
    names.zip(labels.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::metrics::RUNS;
    use crate::store::StoreOptions;

    #[test]
    fn hours_are_summed_since_one_and_go_after_their_time() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path(), StoreOptions::new(0, "epoch")).unwrap();
        let now = hour_of(clock::now_ms());
        let measured = |count| {
            let mut measured = Measured::default();
            measured.add(&RUNS, &["chat", "done"], count);
            measured
        };
        let old = now - KEPT_DAYS * HOURS_A_DAY;
        let hours = [(old - 1, 1), (old, 10), (now - 2, 100), (now, 1_000)];
        let put = |(hour, count): (u64, u64)| {
            let bytes = Bytes::from(serde_json::to_vec(&measured(count)).unwrap());
            Op::PutRaw { tree: RawTree::Metrics, key: key(hour), bytes }
        };
        let written = store.enqueue(Commit::flushed(hours.map(put).to_vec())).unwrap();
        written.blocking_recv().unwrap().unwrap();

        let runs = |measured: &Measured| measured.counter(&RUNS).map(|(_, n)| *n).sum::<u64>();
        let meter = load(&store, begin_of(now)).unwrap();
        assert_eq!(meter.hours().values().map(runs).collect::<Vec<_>>(), [1_000]);
        let since = |first| runs(&sum(&store, &BTreeMap::new(), first..=now).unwrap());
        assert_eq!((since(old - 1), since(now - 2), since(now - 1)), (1_111, 1_100, 1_000));
        // What is in memory is newer than what was written of the same hour.
        let fresh = BTreeMap::from([(now, measured(5_000))]);
        assert_eq!(runs(&sum(&store, &fresh, now - 2..=now).unwrap()), 5_100);
        assert_eq!(retain(&store, begin_of(now)).unwrap(), 1);
        assert_eq!(since(old - 1), 1_110);
    }
}
