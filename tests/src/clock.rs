//! The one reader of the clock: deadlines of waits, and what the bench measures.

use std::time::{Duration, Instant};

/// How long a test waits for something that should happen at once. Generous, since a
/// loaded machine is not a failure; a wait that is met costs nothing.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Now, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the seam for the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// A moment by which something must have happened.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment `after` from now.
    pub fn after(after: Duration) -> Self {
        Self(now() + after)
    }

    /// The time that is left; `None` when it is over.
    pub fn left(self) -> Option<Duration> {
        self.0.checked_duration_since(now()).filter(|left| !left.is_zero())
    }
}
