//! What to do about a model request that failed: ask again, when, or give up.
//!
//! The policy of the request level, for failures that nothing of the answer has been shown
//! of: asking again is then invisible to the conversation. Defaults per class are Python
//! copex's; the rules are the action table of `ARCHITECTURE.md`.

use std::time::Duration;

use super::backoff::Backoff;
use super::budget::Budget;
use super::failure::{Failure, FailureClass};
use super::moment::Moment;

/// A failed try of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Try {
    /// What failed.
    pub failure: Failure,
    /// Which try of this request it was, from 1.
    pub number: u32,
    /// How many tries of this request failed in the same class, this one included.
    pub in_class: u32,
    /// How long this request has been under way, in milliseconds.
    pub elapsed_ms: u64,
    /// What the server asked to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Ask again after so many milliseconds.
    Retry {
        /// The wait.
        delay_ms: u64,
    },
    /// Stop, for this reason.
    GiveUp {
        /// Why no further try is made.
        why: &'static str,
    },
}

/// The numbers of the policy. What `[retry]` says goes over the defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// Tries of one request, the first included.
    pub attempts: u32,
    /// How long one request may take with all its tries and waits.
    pub total: Duration,
    /// The longest Retry-After that is waited for in place.
    pub longest_wait: Duration,
    /// Floor under every backoff ceiling, in milliseconds.
    pub floor_ms: u64,
    /// Cap over every backoff ceiling, in milliseconds.
    pub cap_ms: Option<u64>,
    /// Growth per try, over the classes' own.
    pub factor: Option<f64>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 6,
            // The Copilot CLI gives a request 600 s before its head; a try must fit, too.
            total: Duration::from_mins(9),
            longest_wait: Duration::from_mins(1),
            floor_ms: 0,
            cap_ms: None,
            factor: None,
        }
    }
}

/// Tries in a class after which it is no use, beside the bound over all.
fn most_in_class(class: FailureClass) -> u32 {
    match class {
        FailureClass::RateLimit | FailureClass::Network | FailureClass::Server => u32::MAX,
        FailureClass::Unknown => 3,
        FailureClass::Timeout => 2,
        FailureClass::Quota
        | FailureClass::Limit
        | FailureClass::Auth
        | FailureClass::Client
        | FailureClass::ContextLimit
        | FailureClass::ContentFilter
        | FailureClass::RuntimeDied
        | FailureClass::SessionCorrupt
        | FailureClass::SessionGone
        | FailureClass::Cancelled
        | FailureClass::Unavailable
        | FailureClass::Usage => 1,
    }
}

/// The class's own backoff: base, cap and growth of Python copex 2.23.
fn backoff_of(class: FailureClass) -> Backoff {
    let (base_ms, cap_ms) = match class {
        FailureClass::RateLimit => (5_000, 120_000),
        FailureClass::Server => (2_000, 60_000),
        _ => (1_000, 30_000),
    };
    Backoff { base_ms, cap_ms, factor: 2.0 }
}

impl Retry {
    /// Decides about a failed try. A retry is paid for from the budget that all share.
    pub fn next(&self, failed: &Try, budget: &mut Budget, moment: Moment) -> Next {
        let class = failed.failure.class;
        let give_up = |why| Next::GiveUp { why };
        if failed.in_class >= most_in_class(class) {
            return give_up("this kind of failure is not helped by asking again");
        }
        if failed.number >= self.attempts {
            return give_up("every attempt that is allowed was made");
        }
        let mut backoff = backoff_of(class);
        backoff.base_ms = backoff.base_ms.max(self.floor_ms);
        backoff.cap_ms = self.cap_ms.unwrap_or(backoff.cap_ms).max(backoff.base_ms);
        backoff.factor = self.factor.unwrap_or(backoff.factor);
        let jittered = backoff.delay_ms(failed.number + 1, moment.chance);
        let delay_ms = match failed.retry_after_ms {
            Some(asked) if u128::from(asked) > self.longest_wait.as_millis() => {
                return give_up("the server asks for a longer wait than is made in place");
            }
            // The floor is the server's; a little on top keeps callers apart.
            Some(asked) => asked + jittered.min(asked / 10 + 250),
            None => jittered,
        };
        if u128::from(failed.elapsed_ms + delay_ms) > self.total.as_millis() {
            return give_up("the time for this request is used up");
        }
        if !budget.spend(moment.now_ms) {
            return give_up("too many requests are being retried already");
        }
        Next::Retry { delay_ms }
    }
}

/// Classifies an HTTP status, with the error code of the body where there is one.
pub fn class_of_status(status: u16, code: Option<&str>, has_body: bool) -> FailureClass {
    match code {
        Some("context_length_exceeded" | "model_max_prompt_tokens_exceeded") => {
            return FailureClass::ContextLimit;
        }
        Some(
            "quota_exceeded"
            | "session_quota_exceeded"
            | "billing_not_configured"
            | "insufficient_quota",
        ) => return FailureClass::Quota,
        Some("content_filter") => return FailureClass::ContentFilter,
        _ => {}
    }
    match status {
        401 | 403 => FailureClass::Auth,
        402 => FailureClass::Quota,
        413 => FailureClass::ContextLimit,
        429 => FailureClass::RateLimit,
        400 if has_body => FailureClass::Client,
        400 | 408 | 409 | 500.. => FailureClass::Server,
        401..=499 => FailureClass::Client,
        _ => FailureClass::Unknown,
    }
}

/// Reads what a server asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as an
/// HTTP date (given by `date_ms`, Unix milliseconds).
pub fn retry_after_ms(
    millis: Option<&str>,
    seconds: Option<&str>,
    date_ms: Option<u64>,
    now_ms: u64,
) -> Option<u64> {
    if let Some(millis) = millis.and_then(|text| text.trim().parse::<f64>().ok()) {
        return whole(millis);
    }
    if let Some(seconds) = seconds.and_then(|text| text.trim().parse::<f64>().ok()) {
        return whole(seconds * 1_000.0);
    }
    date_ms.map(|date| date.saturating_sub(now_ms))
}

fn whole(ms: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be positive; a float beyond u64 saturates"
    )]
    (ms.is_finite() && ms >= 0.0).then_some(ms as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn failed(class: FailureClass, number: u32) -> Try {
        Try {
            failure: Failure::new(class, "x"),
            number,
            in_class: number,
            elapsed_ms: 0,
            retry_after_ms: None,
        }
    }

    fn at(now_ms: u64, chance: f64) -> Moment {
        Moment { now_ms, chance }
    }

    fn next(failed: &Try) -> Next {
        Retry::default().next(failed, &mut Budget::full(0), at(0, 0.5))
    }

    #[test]
    fn what_asking_again_cannot_help_costs_one_attempt() {
        for class in [
            FailureClass::Auth,
            FailureClass::Client,
            FailureClass::Quota,
            FailureClass::ContextLimit,
            FailureClass::ContentFilter,
        ] {
            assert!(matches!(next(&failed(class, 1)), Next::GiveUp { .. }), "{class:?}");
        }
    }

    #[test]
    fn each_class_has_its_own_patience() {
        let table = [
            (FailureClass::Server, 5, true),
            (FailureClass::Server, 6, false),
            (FailureClass::Network, 5, true),
            (FailureClass::RateLimit, 5, true),
            (FailureClass::Timeout, 1, true),
            (FailureClass::Timeout, 2, false),
            (FailureClass::Unknown, 2, true),
            (FailureClass::Unknown, 3, false),
        ];
        for (class, number, again) in table {
            let retried = matches!(next(&failed(class, number)), Next::Retry { .. });
            assert_eq!(retried, again, "{class:?} {number}");
        }
    }

    #[test]
    fn the_servers_wait_is_the_floor_and_a_long_one_ends_it() {
        let wait = |ms| Try { retry_after_ms: Some(ms), ..failed(FailureClass::RateLimit, 1) };
        let Next::Retry { delay_ms } = next(&wait(2_000)) else { panic!() };
        assert!((2_000..2_500).contains(&delay_ms), "{delay_ms}");
        assert!(matches!(next(&wait(61_000)), Next::GiveUp { .. }));
    }

    #[test]
    fn statuses_have_their_class() {
        let table = [
            (429, None, true, FailureClass::RateLimit),
            (429, Some("insufficient_quota"), true, FailureClass::Quota),
            (529, None, true, FailureClass::Server),
            (400, None, false, FailureClass::Server),
            (400, None, true, FailureClass::Client),
            (400, Some("context_length_exceeded"), true, FailureClass::ContextLimit),
            (401, None, true, FailureClass::Auth),
            (402, None, true, FailureClass::Quota),
        ];
        for (status, code, body, class) in table {
            assert_eq!(class_of_status(status, code, body), class, "{status} {code:?}");
        }
    }

    #[test]
    fn every_way_to_say_wait_is_read() {
        assert_eq!(retry_after_ms(Some("500"), Some("9"), None, 0), Some(500));
        assert_eq!(retry_after_ms(None, Some("2"), None, 0), Some(2_000));
        assert_eq!(retry_after_ms(None, Some("1.5"), None, 0), Some(1_500));
        assert_eq!(retry_after_ms(None, Some("Mon"), Some(5_000), 2_000), Some(3_000));
        assert_eq!(retry_after_ms(None, Some("-1"), None, 0), None);
        assert_eq!(retry_after_ms(None, None, None, 0), None);
    }

    proptest! {
        #[test]
        fn a_request_ends_within_its_bounds(
            chances in proptest::collection::vec(0.0_f64..1.0, 64),
            waits in proptest::collection::vec(proptest::option::of(0_u64..120_000), 64),
            class in prop_oneof![
                Just(FailureClass::Server), Just(FailureClass::RateLimit), Just(FailureClass::Network),
            ],
        ) {
            let policy = Retry::default();
            let mut budget = Budget::full(0);
            let mut elapsed_ms = 0;
            let mut number = 1;
            for (chance, retry_after_ms) in chances.into_iter().zip(waits) {
                let failed = Try { elapsed_ms, retry_after_ms, ..failed(class, number) };
                match policy.next(&failed, &mut budget, at(elapsed_ms, chance)) {
                    Next::Retry { delay_ms } => {
                        prop_assert!(delay_ms >= retry_after_ms.unwrap_or(0));
                        elapsed_ms += delay_ms;
                        number += 1;
                    }
                    Next::GiveUp { .. } => break,
                }
            }
            prop_assert!(number <= policy.attempts);
            prop_assert!(u128::from(elapsed_ms) <= policy.total.as_millis());
        }
    }
}
