//! A handle to what is measured, for whoever has something to count.
//!
//! Invariant: a call costs one short lock and no wait. What was measured is kept by the
//! hour; the engine writes it to the store ([`Meter::take`]) and puts back what a killed
//! daemon had written of the present hour ([`Meter::starting`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock;
use crate::core::metrics::{self, Family, Measured};

const HOUR_MS: u64 = 60 * 60 * 1_000;

/// Hours that wait to be written. While the disk is full nothing is written; a day of it is
/// kept, and then the oldest hour is lost.
const MOST_WAITING: usize = 24;

/// Counts and times. Clones are one meter.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Whole hours, by number since 1970. The last is the present one.
    hours: BTreeMap<u64, Measured>,
    /// Hours that were measured in since they were taken.
    dirty: BTreeSet<u64>,
}

/// The hour of a moment, by number since 1970.
pub fn hour_of(unix_ms: u64) -> u64 {
    unix_ms / HOUR_MS
}

/// When an hour begins, in Unix milliseconds.
pub fn begin_of(hour: u64) -> u64 {
    hour.saturating_mul(HOUR_MS)
}

impl Meter {
    /// A meter that goes on in an hour of which something was measured before.
    pub fn starting(hour: u64, measured: Measured) -> Self {
        let hours = BTreeMap::from([(hour, measured)]);
        Self(Arc::new(Mutex::new(State { hours, dirty: BTreeSet::new() })))
    }

    /// Counts one more. As many `labels` as the family names.
    pub fn count(&self, family: &Family, labels: &[&str]) {
        self.add(family, labels, 1);
    }

    /// Counts `count` more.
    pub fn add(&self, family: &Family, labels: &[&str], count: u64) {
        if count > 0 {
            self.measure(|measured| measured.add(family, labels, count));
        }
    }

    /// Adds one duration.
    pub fn observe(&self, family: &Family, labels: &[&str], took: Duration) {
        self.measure(|measured| measured.observe(family, labels, took.as_secs_f64()));
    }

    /// A model request came to an end: how (`ok`, or the class of the failure by its wire
    /// name), how long it took, and when its first token came.
    pub fn request(
        &self,
        (endpoint, model): (&str, &str),
        outcome: &str,
        took: Duration,
        first_token: Option<Duration>,
    ) {
        self.measure(|measured| {
            measured.add(&metrics::REQUESTS, &[endpoint, model, outcome], 1);
            if outcome == metrics::ANSWERED {
                measured.observe(&metrics::REQUEST_TIME, &[model], took.as_secs_f64());
            }
            if let Some(first) = first_token {
                measured.observe(&metrics::FIRST_TOKEN, &[model], first.as_secs_f64());
            }
        });
    }

    fn measure(&self, change: impl FnOnce(&mut Measured)) {
        let hour = hour_of(clock::now_ms());
        let mut state = self.lock();
        change(state.hours.entry(hour).or_default());
        state.dirty.insert(hour);
        while state.hours.len() > MOST_WAITING {
            let Some((oldest, _)) = state.hours.pop_first() else { break };
            state.dirty.remove(&oldest);
        }
    }

    /// Hours that were measured in since this was asked last, whole. [`Meter::give_back`]
    /// those that could not be written.
    pub fn take(&self) -> Vec<(u64, Measured)> {
        let present = hour_of(clock::now_ms());
        let mut state = self.lock();
        let dirty = std::mem::take(&mut state.dirty);
        let taken = dirty
            .into_iter()
            .filter_map(|hour| Some((hour, state.hours.get(&hour)?.clone())))
            .collect();
        // A past hour that is being written stays until it is known to be.
        let State { hours, .. } = &mut *state;
        hours.retain(|hour, _| *hour >= present.saturating_sub(1));
        taken
    }

    /// What was taken could not be written: it is taken again next time.
    pub fn give_back(&self, taken: Vec<(u64, Measured)>) {
        let mut state = self.lock();
        for (hour, measured) in taken {
            // What came since is in there already, since hours are taken whole.
            state.hours.entry(hour).or_insert(measured);
            state.dirty.insert(hour);
        }
    }

    /// Hours in memory, whole: newer than what the store has of them.
    pub fn hours(&self) -> BTreeMap<u64, Measured> {
        self.lock().hours.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::metrics::{PARKS, RUNS};

    #[test]
    fn what_was_taken_is_whole_and_given_back_when_it_was_not_written() {
        let hour = hour_of(clock::now_ms());
        let mut before = Measured::default();
        before.add(&PARKS, &["chat"], 2);
        let meter = Meter::starting(hour, before);
        assert_eq!(meter.take(), []);
        meter.count(&PARKS, &["chat"]);
        let taken = meter.take();
        let parks = |measured: &Measured| measured.counter(&PARKS).map(|(_, n)| *n).sum::<u64>();
        assert_eq!(taken.iter().map(|(_, measured)| parks(measured)).sum::<u64>(), 3);
        meter.give_back(taken);
        meter.count(&RUNS, &["chat", "done"]);
        let again = meter.take();
        assert_eq!(again.iter().map(|(_, measured)| parks(measured)).sum::<u64>(), 3);
        assert_eq!(meter.take(), []);
    }
}
