//! How long a runtime takes to answer, and whether that has drifted.
//!
//! A runtime is compared with itself: the median of its latest pings with the median of its
//! first ones. One slow answer moves no median, a machine that was busy from the start has a
//! slow baseline, and the floor keeps a millisecond that became ten from counting.

use std::collections::VecDeque;

/// Pings in a median. Odd, so that the median is one of them; at one look in 15 s a drift is
/// seen after 75 s of it.
pub const WINDOW: usize = 5;

/// How many times slower than at first a runtime may answer. An idle one answers within
/// 1 ms; four times as many busy processes as cores make that 10 ms (measured).
pub const FACTOR: u64 = 20;

/// The latency in microseconds below which nothing counts as drift: half of what a start of
/// the slower kind of runtime takes, so that a replacement is worth its price.
pub const FLOOR_US: u64 = 200_000;

/// The pings of one runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latency {
    first: Vec<u64>,
    latest: VecDeque<u64>,
}

impl Latency {
    /// A ping was answered after `us` microseconds.
    pub fn record(&mut self, us: u64) {
        if self.first.len() < WINDOW {
            self.first.push(us);
        }
        if self.latest.len() == WINDOW {
            self.latest.pop_front();
        }
        self.latest.push_back(us);
    }

    /// The median of the first pings, in microseconds; `None` before any.
    pub fn baseline_us(&self) -> Option<u64> {
        median(self.first.iter().copied())
    }

    /// The median of the latest pings, in microseconds; `None` before any.
    pub fn latest_us(&self) -> Option<u64> {
        median(self.latest.iter().copied())
    }

    /// Whether the latest pings are [`FACTOR`] times slower than the first ones, and at least
    /// [`FLOOR_US`].
    pub fn drifted(&self) -> bool {
        if self.first.len() < WINDOW {
            return false;
        }
        let (Some(first), Some(latest)) = (self.baseline_us(), self.latest_us()) else {
            return false;
        };
        latest >= FLOOR_US && latest >= first.saturating_mul(FACTOR)
    }
}

fn median(values: impl Iterator<Item = u64>) -> Option<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pings(us: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::default();
        us.into_iter().for_each(|us| latency.record(us));
        latency
    }

    #[test]
    fn a_runtime_that_became_slow_has_drifted_and_one_slow_answer_is_none() {
        let healthy = [900, 1_000, 1_100, 1_000, 950];
        assert!(!pings(healthy).drifted());
        assert!(!pings(healthy.into_iter().chain([2_000_000, 2_000_000])).drifted());
        let drifted = pings(healthy.into_iter().chain([2_000_000; 3]));
        assert!(drifted.drifted());
        assert_eq!((drifted.baseline_us(), drifted.latest_us()), (Some(1_000), Some(2_000_000)));
        assert!(!pings(healthy.into_iter().chain([FLOOR_US - 1; 5])).drifted(), "the floor");
        assert_eq!(Latency::default().latest_us(), None);
    }

    proptest! {
        #[test]
        fn a_machine_that_is_busy_all_the_time_drifts_nothing(
            base in 1_u64..2_000_000,
            noise in proptest::collection::vec(1_u64..FACTOR, 0..60),
        ) {
            let latency = pings(noise.into_iter().map(|times| base * times));
            prop_assert!(!latency.drifted());
        }

        #[test]
        fn the_baseline_never_moves_and_the_medians_are_pings(
            all in proptest::collection::vec(0_u64..5_000_000, 1..60),
        ) {
            let latency = pings(all.iter().copied());
            let early = pings(all.iter().copied().take(WINDOW));
            prop_assert_eq!(latency.baseline_us(), early.baseline_us());
            let tail = &all[all.len().saturating_sub(WINDOW)..];
            prop_assert!(tail.contains(&latency.latest_us().unwrap()));
        }
    }
}
