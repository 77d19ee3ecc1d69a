//! SEAM: the only reader of the wall clock, and the only source of chance.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::Rng as _;

use crate::core::moment::Moment;

/// Unix milliseconds.
pub fn now_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "this is the seam that reads the clock")]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The present moment, with a throw of the dice.
pub fn moment() -> Moment {
    Moment { now_ms: now_ms(), chance: rand::rng().random_range(0.0..1.0) }
}

/// A random number, for ids.
pub fn chance() -> u32 {
    rand::rng().random()
}
