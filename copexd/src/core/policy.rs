//! What to do about a failure: ask again, go on with another model, wait, or stop.
//!
//! [`rule`] is the action table of `ARCHITECTURE.md` as data; [`Policy::next`] is the one
//! place that reads it, for model requests that nothing was shown of ([`Level::Request`])
//! and for turns ([`Level::Turn`]). Waits per class are Python copex's, with full jitter.
//!
//! Invariant: every answer either moves (retry, resume, fallback, compaction) at a stated
//! time, waits for a stated moment (park), or ends with a reason; and the moves of one turn
//! are bounded in number and time.

use super::backoff::Backoff;
use super::budget::Budget;
use super::failure::{Failure, FailureClass, Scope, Watchdog};
use super::limits::MOST_TOLD_MS;
use super::moment::Moment;

/// What may be done on the same model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same {
    /// Nothing: the answer would be the same.
    No,
    /// Ask again, with growing waits, not before the server wants to be asked.
    Backoff,
    /// Make the conversation smaller, then ask again.
    Compact,
    /// Open the session on another runtime.
    Reopen,
}

/// When another model helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Never.
    No,
    /// At once, unless the wait for this one is short.
    Yes,
    /// After so many failures of this class in a row.
    After(u32),
    /// Only at another endpoint.
    Elsewhere,
    /// Once, where the user allows it.
    IfAllowed,
    /// One with a larger context window.
    Larger,
}

/// What becomes of the run when nothing else is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// It fails.
    Fail,
    /// It waits until the limit ends.
    Park,
    /// It needs a person.
    Block,
    /// A limit of the user's own ends it; it can be resumed.
    Exhaust,
}

/// One row of the action table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// On the same model.
    pub same: Same,
    /// Failures of this class in a row after which the same model is not asked again.
    pub most: u32,
    /// On another model.
    pub others: Others,
    /// Whether it speaks of the model's health: the breaker counts it.
    pub counted: bool,
    /// Whether the limits table learns from it.
    pub limits: bool,
    /// Whether fewer requests are let through at once.
    pub halves: bool,
    /// What else.
    pub otherwise: Otherwise,
}

const LAST: Rule = Rule {
    same: Same::No,
    most: 1,
    others: Others::No,
    counted: false,
    limits: false,
    halves: false,
    otherwise: Otherwise::Fail,
};

/// The row of a class.
pub fn rule(class: FailureClass) -> Rule {
    let limited = Rule { limits: true, otherwise: Otherwise::Park, ..LAST };
    let health = Rule { same: Same::Backoff, counted: true, ..LAST };
    match class {
        FailureClass::RateLimit(Scope::Model) => {
            Rule { same: Same::Backoff, most: u32::MAX, others: Others::Yes, ..limited }
        }
        FailureClass::RateLimit(Scope::Account) => Rule {
            same: Same::Backoff,
            most: u32::MAX,
            others: Others::Elsewhere,
            halves: true,
            ..limited
        },
        FailureClass::RateLimit(Scope::Weekly | Scope::Integration) => {
            Rule { others: Others::Elsewhere, ..limited }
        }
        FailureClass::Quota | FailureClass::Auth => {
            Rule { others: Others::Elsewhere, otherwise: Otherwise::Block, ..LAST }
        }
        FailureClass::Server | FailureClass::Network => {
            Rule { most: u32::MAX, others: Others::After(3), ..health }
        }
        FailureClass::Timeout(Watchdog::FirstEvent | Watchdog::Idle) => {
            Rule { most: 2, others: Others::After(2), ..health }
        }
        FailureClass::Timeout(Watchdog::Total) | FailureClass::Limit => {
            Rule { otherwise: Otherwise::Exhaust, ..LAST }
        }
        FailureClass::ContextLimit => {
            Rule { same: Same::Compact, most: 2, others: Others::Larger, ..LAST }
        }
        FailureClass::ContentFilter => Rule { others: Others::IfAllowed, ..LAST },
        FailureClass::RuntimeDied => Rule { same: Same::Reopen, most: 4, ..LAST },
        FailureClass::SessionCorrupt => Rule { otherwise: Otherwise::Block, ..LAST },
        FailureClass::Unknown => Rule { most: 3, others: Others::After(2), ..health },
        FailureClass::Client
        | FailureClass::SessionGone
        | FailureClass::Cancelled
        | FailureClass::Unavailable
        | FailureClass::Usage => LAST,
    }
}

/// Who asks: what is shown already decides what can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// One model request that nothing was shown of.
    Request,
    /// The turn around it.
    Turn,
}

/// A failure and what went before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// What failed.
    pub failure: Failure,
    /// Tries so far since something last succeeded, this one included.
    pub tries: u32,
    /// The last of them, that failed in the same class.
    pub in_class: u32,
    /// Since the first of them, in milliseconds, without parks.
    pub elapsed_ms: u64,
    /// Parks of this run so far.
    pub parks: u32,
    /// Whether a filter sent the turn to another model before.
    pub filtered: bool,
    /// Whether the turn can be run again over its history.
    pub can_rerun: bool,
    /// Whether it is worth waiting for a breaker: something was achieved already, or nobody
    /// looks on. Otherwise the reason now is better than an answer in a minute.
    pub patient: bool,
}

/// What there is beside the same model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ways {
    /// Another candidate that the rule allows and that may be asked now.
    pub other: Option<usize>,
    /// When a known limit of the present one ends, in Unix milliseconds.
    pub reset: Option<u64>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Make the request again.
    Retry {
        /// When, in Unix milliseconds.
        at: u64,
    },
    /// Run the turn again over its history.
    Resume {
        /// When, in Unix milliseconds.
        at: u64,
    },
    /// Make the conversation smaller, then run the turn again.
    Compact,
    /// Go on with this candidate.
    Fallback {
        /// Which.
        to: usize,
    },
    /// Wait, durably.
    Park {
        /// Until then, in Unix milliseconds; until the assumed end of the limit when absent.
        until: Option<u64>,
    },
    /// Stop.
    GiveUp {
        /// Why nothing else is done.
        why: &'static str,
        /// As what.
        otherwise: Otherwise,
    },
}

/// The numbers of the policy. What `[retry]` says goes over the defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// Tries, the first included.
    pub attempts: u32,
    /// Further turns over the history after the tries ran out.
    pub continues: u32,
    /// How long one request may take with all its tries and waits, in milliseconds. The
    /// Copilot CLI gives a request 600 s before its head; a try must fit, too.
    pub request_ms: u64,
    /// How long a turn may be in trouble without success, in milliseconds, without parks.
    pub turn_ms: u64,
    /// The longest wait in place, in milliseconds; longer ones park.
    pub longest_wait_ms: u64,
    /// Floor under every backoff ceiling, in milliseconds.
    pub floor_ms: u64,
    /// Cap over every backoff ceiling, in milliseconds.
    pub cap_ms: Option<u64>,
    /// Growth per try, over the classes' own.
    pub factor: Option<f64>,
    /// Parks of one run, at most; 0 does not park.
    pub most_parks: u32,
    /// Whether another model may be asked what a filter withheld.
    pub on_content_filter: bool,
    /// How long a model may take to its first word, in milliseconds.
    pub first_event_ms: u64,
}

/// A wait that is shorter than a change of models is worth, in milliseconds.
pub const SHORT_WAIT_MS: u64 = 10_000;

/// Parks of one run, at most, when nothing else is said.
pub const MOST_PARKS: u32 = 20;

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 6,
            continues: 0,
            request_ms: 9 * 60_000,
            turn_ms: 15 * 60_000,
            longest_wait_ms: 60_000,
            floor_ms: 0,
            cap_ms: None,
            factor: None,
            most_parks: MOST_PARKS,
            on_content_filter: false,
            first_event_ms: 120_000,
        }
    }
}

/// The class's own backoff: base, cap and growth of Python copex 2.23.
fn backoff_of(class: FailureClass) -> Backoff {
    let (base_ms, cap_ms) = match class {
        FailureClass::RateLimit(_) => (5_000, 120_000),
        FailureClass::Server => (2_000, 60_000),
        FailureClass::RuntimeDied => return Backoff::RUNTIME,
        _ => (1_000, 30_000),
    };
    Backoff { base_ms, cap_ms, factor: 2.0 }
}

impl Policy {
    /// Decides about a failure. Another try is paid for from the budget that all share.
    pub fn next(
        &self,
        level: Level,
        trouble: &Trouble,
        ways: Ways,
        budget: &mut Budget,
        moment: Moment,
    ) -> Next {
        let rule = rule(trouble.failure.class);
        if let Some(to) = ways.other.filter(|_| Self::prefers_other(rule.others, trouble)) {
            return Next::Fallback { to };
        }
        let why = match self.same(level, rule, trouble, budget, moment) {
            Ok(next) => return next,
            Err(why) => why,
        };
        match (ways.other, rule.others) {
            (_, Others::No) | (None, _) => {}
            (Some(_), Others::IfAllowed) if !self.on_content_filter || trouble.filtered => {}
            (Some(to), _) => return Next::Fallback { to },
        }
        let give_up = |why, otherwise| Next::GiveUp { why, otherwise };
        if rule.otherwise != Otherwise::Park {
            return give_up(why, rule.otherwise);
        }
        if !trouble.can_rerun {
            return give_up("this backend cannot take a turn up again", Otherwise::Fail);
        }
        if self.attempts <= 1 {
            return give_up("it is to be asked once", Otherwise::Fail);
        }
        if trouble.parks >= self.most_parks {
            let why = if self.most_parks == 0 { "it is not to be parked" } else { "parked enough" };
            return give_up(why, Otherwise::Fail);
        }
        // A wait that was made in place already, and did not help, is no reset.
        let fresh = |wait: u64| rule.same == Same::No || wait > self.longest_wait_ms;
        let told = trouble.failure.retry_after_ms.filter(|wait| fresh(*wait));
        let told = told.map(|wait| moment.now_ms.saturating_add(wait.min(MOST_TOLD_MS)));
        let reset = ways.reset.filter(|reset| fresh(reset.saturating_sub(moment.now_ms)));
        Next::Park { until: told.or(reset) }
    }

    /// Whether another model is better than the same one, right now.
    fn prefers_other(others: Others, trouble: &Trouble) -> bool {
        // Nobody was asked and nobody will be for a while.
        let shut = trouble.failure.unasked && others != Others::No;
        match others {
            Others::No | Others::Larger | Others::IfAllowed => false,
            Others::Elsewhere => shut,
            Others::Yes => trouble.failure.retry_after_ms.is_none_or(|wait| wait > SHORT_WAIT_MS),
            Others::After(failures) => shut || trouble.in_class >= failures,
        }
    }

    /// Another try on the same model, or why there is none.
    fn same(
        &self,
        level: Level,
        rule: Rule,
        trouble: &Trouble,
        budget: &mut Budget,
        moment: Moment,
    ) -> Result<Next, &'static str> {
        let failure = &trouble.failure;
        if rule.same == Same::No || trouble.in_class >= rule.most {
            return Err("this kind of failure is not helped by asking again");
        }
        if level == Level::Turn && !trouble.can_rerun {
            return Err("this backend cannot take a turn up again");
        }
        if rule.same == Same::Compact {
            return if level == Level::Turn {
                Ok(Next::Compact)
            } else {
                Err("the conversation must become smaller first")
            };
        }
        let (attempts, total_ms) = match level {
            Level::Request => (self.attempts, self.request_ms),
            Level::Turn => (self.attempts.saturating_add(self.continues), self.turn_ms),
        };
        let behind_breaker =
            failure.unasked && !matches!(failure.class, FailureClass::RateLimit(_));
        if behind_breaker && !trouble.patient {
            return Err("every model that may be asked failed too often");
        }
        // A wait for a breaker or a limit is no try, but who wants no retries does not wait.
        if trouble.tries >= attempts || (failure.unasked && attempts <= 1) {
            return Err("every attempt that is allowed was made");
        }
        let delay_ms = match failure.retry_after_ms {
            Some(asked) if asked > self.longest_wait_ms => {
                return Err("the wait is longer than is made in place");
            }
            // The floor is the server's; a little on top keeps callers apart.
            Some(asked) => {
                asked + self.jittered(failure.class, trouble, moment).min(asked / 10 + 250)
            }
            None => self.jittered(failure.class, trouble, moment),
        };
        if trouble.elapsed_ms.saturating_add(delay_ms) > total_ms {
            return Err("the time for further tries is used up");
        }
        if !failure.unasked && rule.same == Same::Backoff && !budget.spend(moment.now_ms) {
            return Err("too many requests are being retried already");
        }
        let at = moment.now_ms.saturating_add(delay_ms);
        Ok(match level {
            Level::Request => Next::Retry { at },
            Level::Turn => Next::Resume { at },
        })
    }

    fn jittered(&self, class: FailureClass, trouble: &Trouble, moment: Moment) -> u64 {
        let mut backoff = backoff_of(class);
        backoff.base_ms = backoff.base_ms.max(self.floor_ms);
        // The cap is the user's word; a class's own base does not lift it.
        backoff.cap_ms = self.cap_ms.unwrap_or(backoff.cap_ms.max(backoff.base_ms));
        backoff.factor = self.factor.unwrap_or(backoff.factor);
        backoff.delay_ms(trouble.tries.max(1) + 1, moment.chance)
    }
}

/// A moment of resuming: the limit's end and up to a tenth of the wait, so that all who wait
/// for it do not come at once.
pub fn resume_at(until_ms: u64, moment: Moment) -> u64 {
    let wait = until_ms.saturating_sub(moment.now_ms);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a tenth of milliseconds far below 2^52"
    )]
    let jitter = (wait as f64 * 0.1 * moment.chance.clamp(0.0, 1.0)) as u64;
    until_ms.saturating_add(jitter)
}

#[cfg(test)]
mod tests;
