//! How many tasks may be at work: fewer while the model throttles, more again when it does not.

use serde::{Deserialize, Serialize};

/// Tasks in a row that must be done before one more may be at work.
const STREAK: u32 = 3;

/// The width of a fleet. The floor is 1, the ceiling what was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Width {
    /// Tasks at once; the ceiling while nothing was throttled.
    now: Option<usize>,
    /// How often it was halved.
    cuts: u32,
    /// Tasks done in a row since something else happened.
    streak: u32,
}

impl Width {
    /// Tasks that may be at work.
    pub fn now(&self, ceiling: usize) -> usize {
        self.now.unwrap_or(ceiling).clamp(1, ceiling.max(1))
    }

    /// How often it was halved so far.
    pub fn cuts(&self) -> u32 {
        self.cuts
    }

    /// The model throttles a task that was begun after so many cuts: half as many from now
    /// on. Those that were at work at a cut already say nothing new. Whether it changed.
    pub fn throttled(&mut self, begun_after: u32, ceiling: usize) -> bool {
        self.streak = 0;
        let before = self.now(ceiling);
        if begun_after < self.cuts || before == 1 {
            return false;
        }
        self.cuts += 1;
        self.now = Some((before / 2).max(1));
        true
    }

    /// A task is done. Whether one more may be at work now.
    pub fn succeeded(&mut self, ceiling: usize) -> bool {
        let before = self.now(ceiling);
        if before >= ceiling {
            self.streak = 0;
            return false;
        }
        self.streak += 1;
        if self.streak < STREAK {
            return false;
        }
        self.streak = 0;
        self.now = Some(before + 1);
        true
    }

    /// A task ended otherwise.
    pub fn failed(&mut self) {
        self.streak = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_halved_once_for_a_storm_and_grows_by_three() {
        let mut width = Width::default();
        assert_eq!(width.now(5), 5);
        assert!(width.throttled(0, 5));
        assert!(!width.throttled(0, 5), "it was at work at the cut already");
        assert_eq!((width.now(5), width.cuts()), (2, 1));
        assert!(width.throttled(1, 5));
        assert!(!width.throttled(2, 5), "there is no less than one");
        assert_eq!(width.now(5), 1);
        assert_eq!([0; 3].map(|_| width.succeeded(5)), [false, false, true]);
        width.succeeded(5);
        width.failed();
        assert_eq!([0; 3].map(|_| width.succeeded(5)), [false, false, true]);
        assert_eq!(width.now(5), 3);
    }

    proptest! {
        #[test]
        fn it_stays_between_one_and_the_ceiling(
            ceiling in 1..40_usize,
            steps in prop::collection::vec(0..3_u8, 0..200),
        ) {
            let mut width = Width::default();
            for step in steps {
                let before = width.now(ceiling);
                match step {
                    0 => { width.throttled(width.cuts(), ceiling); }
                    1 => { width.succeeded(ceiling); }
                    _ => width.failed(),
                }
                let now = width.now(ceiling);
                prop_assert!((1..=ceiling).contains(&now));
                prop_assert!(now <= before + 1 && now >= before / 2);
            }
        }
    }
}
