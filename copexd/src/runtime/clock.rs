//! SEAM: the only reader of the wall clock, and the only source of chance.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rand::Rng as _;

use crate::core::moment::Moment;

/// For tests alone: milliseconds that the daemon's wall clock is ahead. So a limit that ends in
/// an hour ends at the next start. Timers that run already are not moved.
pub const AHEAD_VARIABLE: &str = "COPEX_TEST_CLOCK_AHEAD_MS";

static AHEAD_MS: AtomicU64 = AtomicU64::new(0);

/// Sets the clock ahead, before anybody reads it.
pub fn set_ahead(ms: u64) {
    AHEAD_MS.store(ms, Ordering::Relaxed);
}

/// Unix milliseconds.
pub fn now_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "this is the seam that reads the clock")]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    now.saturating_add(AHEAD_MS.load(Ordering::Relaxed))
}

/// The present moment, with a throw of the dice.
pub fn moment() -> Moment {
    Moment { now_ms: now_ms(), chance: rand::rng().random_range(0.0..1.0) }
}

/// A random number, for ids.
pub fn chance() -> u32 {
    rand::rng().random()
}
