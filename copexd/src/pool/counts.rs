//! What the pool has done so far.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::core::slots::Reason;

/// Runtimes that left for one reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recycled {
    /// How many.
    pub count: u64,
    /// When the last one did, in Unix milliseconds.
    pub last_at: u64,
}

/// How often what a run needed was warm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// New sessions that were there already.
    pub spare_hits: u64,
    /// New sessions that had to be opened.
    pub spare_misses: u64,
    /// Known sessions that were open still.
    pub idle_hits: u64,
    /// Known sessions that had to be resumed.
    pub idle_misses: u64,
    /// Runtimes that left, by reason.
    pub recycled: BTreeMap<Reason, Recycled>,
}

/// The tally, counted by many.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<Tally>);

impl Counts {
    pub(super) fn recycled(&self, reason: Reason, now_ms: u64) {
        let mut tally = self.lock();
        let entry = tally.recycled.entry(reason).or_default();
        entry.count += 1;
        entry.last_at = now_ms;
    }

    pub(super) fn spare(&self, hit: bool) {
        let mut tally = self.lock();
        *if hit { &mut tally.spare_hits } else { &mut tally.spare_misses } += 1;
    }

    pub(super) fn idle(&self, hit: bool) {
        let mut tally = self.lock();
        *if hit { &mut tally.idle_hits } else { &mut tally.idle_misses } += 1;
    }

    pub(super) fn tally(&self) -> Tally {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
