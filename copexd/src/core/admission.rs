//! How much is asked at once, and who goes first: one limiter for all modes.
//!
//! Additive increase, multiplicative decrease, on throttling only: an answer's latency
//! depends on its length, so latency says nothing about load here. Halved when the endpoint
//! throttles, one more after three successes, as TCP and Netflix's `concurrency-limits` do.
//!
//! Invariant: a place is given to the most urgent who waits, in the order of asking among
//! equals, and at least one place exists: whoever waits gets it in the end, or leaves.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// How urgent it is, most urgent first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Somebody looks at it.
    Interactive,
    /// A loop or a plan.
    Loop,
    /// One of many tasks.
    Fleet,
    /// Nobody waits for it.
    #[default]
    Background,
}

/// Successes after which one more is let through.
const SUCCESSES: u32 = 3;

/// How soon after a halving the next one counts, in milliseconds: those that were under way
/// when it was throttled are refused too, and say the same thing.
const HALVE_PAUSE_MS: u64 = 1_000;

/// The queue of runs that come back after a restart: it has no endpoint.
pub const RETURNING: &str = "runs that come back";

/// Runs that come back at once. Opening a session again costs the runtime up to 170 ms of a
/// core, and each asks its model next: eight keep both busy, and fifty would be a storm.
pub const RETURNING_AT_ONCE: u32 = 8;

/// How many may be in a queue's place at once, where `most` is what holds for endpoints.
pub fn ceiling(queue: &str, most: u32) -> u32 {
    if queue == RETURNING { most.min(RETURNING_AT_ONCE) } else { most }
}

/// Names someone who waits.
pub type Ticket = u64;

/// The limiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limiter {
    ceiling: u32,
    limit: u32,
    in_use: u32,
    successes: u32,
    halved_at: Option<u64>,
    waiting: BTreeSet<(Priority, Ticket)>,
    next: Ticket,
}

impl Limiter {
    /// A limiter that starts at its ceiling.
    pub fn new(ceiling: u32) -> Self {
        let ceiling = ceiling.max(1);
        Self {
            ceiling,
            limit: ceiling,
            in_use: 0,
            successes: 0,
            halved_at: None,
            waiting: BTreeSet::new(),
            next: 0,
        }
    }

    /// Asks for a place: `Ok` when it is there, else a ticket that [`Limiter::admitted`] will
    /// name.
    pub fn ask(&mut self, priority: Priority) -> Result<(), Ticket> {
        if self.waiting.is_empty() && self.in_use < self.limit {
            self.in_use += 1;
            return Ok(());
        }
        let ticket = self.next;
        self.next += 1;
        self.waiting.insert((priority, ticket));
        Err(ticket)
    }

    /// Gives up waiting. Whether the ticket still waited: otherwise its place must be given
    /// back.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(_, waiting)| *waiting != ticket);
        self.waiting.len() != before
    }

    /// A place is free again.
    pub fn give_back(&mut self) {
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// A request was answered.
    pub fn succeeded(&mut self) {
        if self.limit >= self.ceiling {
            return;
        }
        self.successes += 1;
        if self.successes >= SUCCESSES {
            self.successes = 0;
            self.limit += 1;
        }
    }

    /// The endpoint throttled.
    pub fn throttled(&mut self, now_ms: u64) {
        let again = self.halved_at.is_some_and(|at| now_ms < at + HALVE_PAUSE_MS);
        if again {
            return;
        }
        self.halved_at = Some(now_ms);
        self.successes = 0;
        // What is in use is what the endpoint could not bear, not what might have been.
        self.limit = (self.limit.min(self.in_use.max(1)) / 2).max(1);
    }

    /// Those who get a place now, in order.
    pub fn admitted(&mut self) -> Vec<Ticket> {
        let mut admitted = Vec::new();
        while self.in_use < self.limit
            && let Some((_, ticket)) = self.waiting.pop_first()
        {
            self.in_use += 1;
            admitted.push(ticket);
        }
        admitted
    }

    /// Whether nobody has a place or waits for one.
    pub fn is_empty(&self) -> bool {
        self.in_use == 0 && self.waiting.is_empty()
    }

    /// Places in use, places there are, the most there may be, and who waits.
    pub fn score(&self) -> (u32, u32, u32, usize) {
        (self.in_use, self.limit, self.ceiling, self.waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_most_urgent_goes_first_and_equals_in_order() {
        let mut limiter = Limiter::new(1);
        assert_eq!(limiter.ask(Priority::Fleet), Ok(()));
        let fleet = limiter.ask(Priority::Fleet).unwrap_err();
        let (first, second) = (
            limiter.ask(Priority::Interactive).unwrap_err(),
            limiter.ask(Priority::Interactive).unwrap_err(),
        );
        let mut order = Vec::new();
        for _ in 0..3 {
            limiter.give_back();
            order.extend(limiter.admitted());
        }
        assert_eq!(order, [first, second, fleet]);
    }

    #[test]
    fn throttling_halves_what_was_in_use_once_per_wave_and_three_answers_add_one() {
        let mut limiter = Limiter::new(64);
        for _ in 0..8 {
            limiter.ask(Priority::Fleet).unwrap();
        }
        limiter.throttled(0);
        limiter.throttled(10);
        assert_eq!(limiter.score().1, 4);
        limiter.throttled(2_000);
        assert_eq!(limiter.score().1, 2);
        for _ in 0..3 {
            limiter.succeeded();
        }
        assert_eq!(limiter.score().1, 3);
        for now in 3..20 {
            limiter.throttled(now * 2_000);
        }
        assert_eq!(limiter.score().1, 1, "never none");
    }

    proptest! {
        #[test]
        fn everybody_gets_a_place_in_the_end(
            steps in proptest::collection::vec((0_u8..5, 0_u64..3_000), 1..300),
        ) {
            let mut limiter = Limiter::new(8);
            let (mut now, mut inside, mut waiting) = (0, 0_u32, Vec::new());
            for (what, passed) in steps {
                now += passed;
                match what {
                    0 | 1 => match limiter.ask(Priority::Fleet) {
                        Ok(()) => inside += 1,
                        Err(ticket) => waiting.push(ticket),
                    },
                    2 => limiter.throttled(now),
                    3 => limiter.succeeded(),
                    _ if inside > 0 => { inside -= 1; limiter.give_back(); }
                    _ => {}
                }
                for ticket in limiter.admitted() {
                    waiting.retain(|known| *known != ticket);
                    inside += 1;
                }
                prop_assert!(limiter.score().1 >= 1 && limiter.score().1 <= 8);
            }
            while inside > 0 {
                inside -= 1;
                limiter.give_back();
                for ticket in limiter.admitted() {
                    waiting.retain(|known| *known != ticket);
                    inside += 1;
                }
            }
            prop_assert!(waiting.is_empty());
        }
    }
}
