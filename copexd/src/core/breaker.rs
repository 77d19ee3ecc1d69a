//! A circuit breaker: does it still make sense to ask this target?
//!
//! ```text
//! Closed --rate of failures--> Open --cooldown over, probe leased--> HalfOpen
//!    ^                          ^                                      |
//!    |                          +------- probe failed or expired ------+
//!    +-------------------------------------- probe succeeded ----------+
//! ```
//!
//! Invariant: half-open admits one probe at a time. The probe is a lease that expires, so a
//! probe that never comes back cannot keep the breaker half-open for ever.
//!
//! A sliding window of the last outcomes, a failure rate and a least number of samples, as
//! in resilience4j; the growing cooldown is Envoy's.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerRules {
    /// Outcomes it looks at.
    pub window: usize,
    /// Share of failures among them that opens it.
    pub failure_rate: f64,
    /// Outcomes needed before it may open.
    pub min_samples: usize,
    /// How long it stays open the first time, in milliseconds.
    pub cooldown_ms: u64,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self { window: 10, failure_rate: 0.5, min_samples: 5, cooldown_ms: 60_000 }
    }
}

/// The most that a cooldown grows to, in milliseconds: an hour without a look is a reset
/// that nobody made.
pub const MOST_COOLDOWN_MS: u64 = 10 * 60_000;

/// How long a probe may take before another one is let through, in milliseconds: the wait
/// for a first event and some.
pub const PROBE_LEASE_MS: u64 = 150_000;

/// How soon to ask again while somebody else's probe is on its way, in milliseconds.
const PROBE_POLL_MS: u64 = 2_000;

/// What it is at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Requests pass.
    #[default]
    Closed,
    /// None pass until then (Unix milliseconds).
    Open {
        /// When a probe may be made.
        until: u64,
    },
    /// One probe is on its way.
    HalfOpen {
        /// When it counts as lost.
        lease: u64,
    },
}

/// The answer to a request that wants to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Go.
    Free,
    /// Go, as the one probe, known by the end of its lease.
    Probe(u64),
    /// Not before then (Unix milliseconds).
    Shut {
        /// When to ask again.
        until: u64,
    },
}

/// One target's breaker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Breaker {
    /// What it is.
    pub state: State,
    /// The last outcomes, the newest last; `true` is a failure.
    pub(super) outcomes: VecDeque<bool>,
    /// How often it opened without closing between.
    pub opened: u32,
    /// When it was last used, in Unix milliseconds.
    pub used_at: u64,
}

impl Breaker {
    /// Whether a request would pass now, without letting one through.
    pub fn peek(&self, now_ms: u64) -> Pass {
        match self.state {
            State::Closed => Pass::Free,
            State::Open { until } if now_ms < until => Pass::Shut { until },
            State::HalfOpen { lease } if now_ms < lease => {
                Pass::Shut { until: lease.min(now_ms + PROBE_POLL_MS) }
            }
            State::Open { .. } | State::HalfOpen { .. } => Pass::Probe(now_ms + PROBE_LEASE_MS),
        }
    }

    /// Lets a request through, or not. A probe takes the lease.
    pub fn admit(&mut self, now_ms: u64) -> Pass {
        self.used_at = now_ms;
        let pass = self.peek(now_ms);
        if let Pass::Probe(lease) = pass {
            self.state = State::HalfOpen { lease };
        }
        pass
    }

    /// Whether this is the probe that it waits for: one that passed before it opened, or a
    /// probe whose lease has expired, says nothing about the half-open state.
    fn is_probe(&self, probe: Option<u64>) -> bool {
        matches!(self.state, State::HalfOpen { lease } if probe == Some(lease))
    }

    /// A request that passed began to be answered: a probe that gets as far has shown what
    /// it was to show, however long the answer takes. It is no outcome yet.
    pub fn begun(&mut self, probe: Option<u64>) {
        if self.is_probe(probe) {
            self.state = State::Closed;
            self.opened = 0;
            self.outcomes.clear();
        }
    }

    /// A request that passed was answered. Returns whether the state changed.
    pub fn succeeded(&mut self, probe: Option<u64>, now_ms: u64, rules: &BreakerRules) -> bool {
        self.used_at = now_ms;
        let before = self.state;
        self.begun(probe);
        self.push(false, rules);
        self.state != before
    }

    /// A request that passed failed in a way that speaks of the target's health. Returns
    /// whether the state changed.
    pub fn failed(&mut self, probe: Option<u64>, now_ms: u64, rules: &BreakerRules) -> bool {
        self.used_at = now_ms;
        let before = self.state;
        self.push(true, rules);
        match before {
            State::HalfOpen { .. } if self.is_probe(probe) => self.open(now_ms, rules),
            State::Closed if self.too_many(rules) => self.open(now_ms, rules),
            // One that was under way when it opened changes nothing.
            State::Closed | State::Open { .. } | State::HalfOpen { .. } => {}
        }
        self.state != before
    }

    /// The probe ended without saying anything of the target's health: cancelled, or a limit.
    /// The next caller may probe at once.
    pub fn returned(&mut self, probe: Option<u64>, now_ms: u64) {
        if self.is_probe(probe) {
            self.state = State::Open { until: now_ms };
        }
    }

    /// Failures among the outcomes it looks at, and how many those are.
    pub fn score(&self) -> (usize, usize) {
        (self.outcomes.iter().filter(|failed| **failed).count(), self.outcomes.len())
    }

    fn push(&mut self, failed: bool, rules: &BreakerRules) {
        self.outcomes.push_back(failed);
        while self.outcomes.len() > rules.window.max(1) {
            self.outcomes.pop_front();
        }
    }

    fn too_many(&self, rules: &BreakerRules) -> bool {
        let (failures, all) = self.score();
        #[expect(clippy::cast_precision_loss, reason = "windows are far below 2^52")]
        let rate = failures as f64 / all.max(1) as f64;
        // A window smaller than the least number of samples could never open it.
        all >= rules.min_samples.min(rules.window) && rate >= rules.failure_rate
    }

    fn open(&mut self, now_ms: u64, rules: &BreakerRules) {
        let cooldown = rules.cooldown_ms.saturating_mul(1 << self.opened.min(16));
        self.opened = self.opened.saturating_add(1);
        let cooldown = cooldown.min(MOST_COOLDOWN_MS.max(rules.cooldown_ms));
        self.state = State::Open { until: now_ms + cooldown };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: BreakerRules =
        BreakerRules { window: 10, failure_rate: 0.5, min_samples: 5, cooldown_ms: 60_000 };

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            breaker.failed(None, 0, &RULES);
        }
        breaker
    }

    fn probe(breaker: &mut Breaker, now_ms: u64) -> u64 {
        let Pass::Probe(lease) = breaker.admit(now_ms) else { panic!("no probe") };
        lease
    }

    #[test]
    fn it_opens_at_half_of_at_least_five() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            assert!(!breaker.failed(None, 0, &RULES));
        }
        assert_eq!(breaker.admit(0), Pass::Free);
        assert!(breaker.failed(None, 0, &RULES));
        assert_eq!(breaker.admit(1), Pass::Shut { until: 60_000 });

        let mut mixed = Breaker::default();
        for _ in 0..6 {
            mixed.succeeded(None, 0, &RULES);
        }
        for _ in 0..4 {
            assert!(!mixed.failed(None, 0, &RULES), "4 of 10");
        }
        // The oldest success leaves the window: 5 of 10.
        assert!(mixed.failed(None, 0, &RULES));
    }

    #[test]
    fn an_answer_that_begins_closes_it_and_counts_once_it_ends() {
        let mut breaker = opened();
        let Pass::Probe(lease) = breaker.admit(60_000) else { panic!("{breaker:?}") };
        breaker.begun(Some(lease));
        assert_eq!((breaker.state, breaker.score()), (State::Closed, (0, 0)));
        for _ in 0..4 {
            breaker.begun(None);
            assert!(!breaker.failed(None, 60_003, &RULES), "one outcome each");
        }
        breaker.begun(None);
        assert!(breaker.failed(None, 60_005, &RULES), "every answer breaks");
    }

    #[test]
    fn it_stays_shut_through_the_cooldown_and_lets_one_probe_through() {
        let mut breaker = opened();
        assert!(matches!(breaker.admit(59_999), Pass::Shut { until: 60_000 }));
        let probe = Some(probe(&mut breaker, 60_000));
        for _ in 0..50 {
            assert!(matches!(breaker.admit(60_001), Pass::Shut { .. }));
        }
        assert!(breaker.succeeded(probe, 60_100, &RULES));
        assert_eq!(breaker.admit(60_200), Pass::Free);
        assert_eq!(breaker.score(), (0, 1), "it begins anew");
    }

    #[test]
    fn a_failed_probe_opens_it_again_for_longer() {
        let mut breaker = opened();
        let probe = Some(probe(&mut breaker, 60_000));
        assert!(breaker.failed(probe, 60_100, &RULES));
        assert_eq!(breaker.state, State::Open { until: 60_100 + 120_000 });
    }

    #[test]
    fn a_lost_probe_is_followed_by_another() {
        let mut breaker = opened();
        let lost = Some(probe(&mut breaker, 60_000));
        let second = Some(probe(&mut breaker, 60_000 + PROBE_LEASE_MS));
        breaker.returned(lost, 250_000);
        assert!(matches!(breaker.admit(250_000), Pass::Shut { .. }), "it is not the lost one's");
        breaker.returned(second, 300_000);
        assert!(matches!(breaker.admit(300_000), Pass::Probe(_)));
    }

    #[test]
    fn a_request_from_before_it_opened_changes_nothing() {
        let mut breaker = opened();
        assert!(!breaker.failed(None, 30_000, &RULES));
        assert!(!breaker.succeeded(None, 30_000, &RULES));
        assert_eq!(breaker.state, State::Open { until: 60_000 });
        let probe = Some(probe(&mut breaker, 60_000));
        assert!(!breaker.failed(None, 60_001, &RULES), "nor in half-open");
        breaker.returned(None, 60_002);
        assert!(matches!(breaker.admit(60_003), Pass::Shut { .. }));
        assert!(breaker.succeeded(probe, 60_004, &RULES));
    }

    proptest! {
        #[test]
        fn there_are_never_two_probes(
            steps in proptest::collection::vec((0_u64..40_000, 0_u8..6), 1..300),
        ) {
            let mut breaker = Breaker::default();
            let (mut now, mut probe): (u64, Option<u64>) = (0, None);
            for (passed, what) in steps {
                now += passed;
                match what {
                    0 => if let Pass::Probe(lease) = breaker.admit(now) {
                        prop_assert!(probe.is_none_or(|lease| now >= lease));
                        probe = Some(lease);
                    },
                    1 => { breaker.succeeded(probe.take(), now, &RULES); }
                    2 => { breaker.failed(probe.take(), now, &RULES); }
                    3 => { breaker.returned(probe.take(), now); }
                    // One from before it opened: whatever becomes of it.
                    4 => { breaker.failed(None, now, &RULES); }
                    _ => { breaker.returned(None, now); breaker.succeeded(None, now, &RULES); }
                }
            }
        }

        #[test]
        fn an_open_breaker_says_when_and_that_is_not_far(
            failures in 1_u32..400, gap in 0_u64..700_000,
        ) {
            let mut breaker = Breaker::default();
            let mut now = 0;
            for _ in 0..failures {
                let probe = match breaker.admit(now) {
                    Pass::Probe(lease) => Some(lease),
                    Pass::Free | Pass::Shut { .. } => None,
                };
                breaker.failed(probe, now, &RULES);
                if let Pass::Shut { until } = breaker.peek(now) {
                    prop_assert!(until > now && until <= now + MOST_COOLDOWN_MS);
                }
                now += gap;
            }
        }
    }
}
