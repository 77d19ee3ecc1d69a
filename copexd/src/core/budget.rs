//! The retry budget: a token bucket that all requests share.
//!
//! A backend that fails for everybody must not be asked several times as often as when it
//! works. First attempts pay a fifth of a token in, time adds three a second, a retry takes
//! one out (after finagle's and tower's retry budgets).

/// What a first attempt pays in, in thousandths of a retry: 20 %.
const PER_ATTEMPT: u64 = 200;

/// What a second pays in, in thousandths of a retry.
const PER_SECOND: u64 = 3_000;

/// The most that is saved up, in thousandths of a retry: ten seconds' worth.
const MOST: u64 = 30_000;

/// One retry, in thousandths.
const RETRY: u64 = 1_000;

/// The bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    saved: u64,
    at_ms: u64,
}

impl Budget {
    /// A full bucket.
    pub fn full(now_ms: u64) -> Self {
        Self { saved: MOST, at_ms: now_ms }
    }

    /// A first attempt was made.
    pub fn earn(&mut self, now_ms: u64) {
        self.advance(now_ms);
        self.saved = (self.saved + PER_ATTEMPT).min(MOST);
    }

    /// Takes a retry out, if there is one.
    pub fn spend(&mut self, now_ms: u64) -> bool {
        self.advance(now_ms);
        let enough = self.saved >= RETRY;
        if enough {
            self.saved -= RETRY;
        }
        enough
    }

    /// Retries that there are now.
    pub fn retries(&self, now_ms: u64) -> u32 {
        let mut now = self.clone();
        now.advance(now_ms);
        u32::try_from(now.saved / RETRY).unwrap_or(u32::MAX)
    }

    fn advance(&mut self, now_ms: u64) {
        // A clock that was set back earns nothing and loses nothing.
        let passed = now_ms.saturating_sub(self.at_ms);
        self.at_ms = now_ms;
        self.saved = (self.saved + passed.saturating_mul(PER_SECOND) / 1_000).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_storm_is_held_to_what_was_saved() {
        let mut budget = Budget::full(0);
        let granted = (0..1_000).filter(|_| budget.spend(0)).count();
        assert_eq!(granted, 30);
        assert!(!budget.spend(300));
        assert!(budget.spend(700));
    }

    proptest! {
        #[test]
        fn retries_stay_within_share_and_rate(
            steps in proptest::collection::vec((0_u64..2_000, any::<bool>()), 1..400),
        ) {
            let mut budget = Budget::full(0);
            let (mut now, mut attempts, mut retries) = (0, 0_u64, 0_u64);
            for (passed, first) in steps {
                now += passed;
                if first {
                    attempts += 1;
                    budget.earn(now);
                } else {
                    retries += u64::from(budget.spend(now));
                }
            }
            let most = MOST + attempts * PER_ATTEMPT + now * PER_SECOND / 1_000;
            prop_assert!(retries * RETRY <= most);
        }
    }
}
