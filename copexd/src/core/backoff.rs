//! How long to wait before another try: exponential with full jitter.
//!
//! Full jitter (uniform between zero and the ceiling) spreads callers that failed
//! together better than a jittered fixed delay does; see the AWS architecture blog,
//! "Exponential Backoff And Jitter".

/// Ceiling of the wait before try `attempt` (the second try is 2), and its growth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Ceiling before the second try, in milliseconds.
    pub base_ms: u64,
    /// The most it grows to, in milliseconds.
    pub cap_ms: u64,
    /// Growth per try.
    pub factor: f64,
}

impl Backoff {
    /// For a dead runtime: the next one starts in tens of milliseconds, so the wait
    /// only keeps a crash loop from spinning.
    pub const RUNTIME: Self = Self { base_ms: 200, cap_ms: 5_000, factor: 4.0 };

    /// The wait before try number `attempt` (2 or more), with `chance` in `[0, 1)`.
    pub fn delay_ms(&self, attempt: u32, chance: f64) -> u64 {
        let exponent = i32::try_from(attempt.saturating_sub(2)).unwrap_or(i32::MAX);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds far below 2^52")]
        let ceiling = (self.base_ms as f64 * self.factor.powi(exponent)).min(self.cap_ms as f64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between zero and the cap"
        )]
        let delay = (ceiling * chance.clamp(0.0, 1.0)) as u64;
        delay.min(self.cap_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_delay_stays_within_its_ceiling(attempt in 2_u32..200, chance in 0.0_f64..1.0) {
            let delay = Backoff::RUNTIME.delay_ms(attempt, chance);
            prop_assert!(delay <= Backoff::RUNTIME.cap_ms);
        }

        #[test]
        fn later_tries_never_have_a_lower_ceiling(attempt in 2_u32..100) {
            let edge = 1.0 - f64::EPSILON;
            let now = Backoff::RUNTIME.delay_ms(attempt, edge);
            let next = Backoff::RUNTIME.delay_ms(attempt + 1, edge);
            prop_assert!(next >= now);
        }
    }
}
