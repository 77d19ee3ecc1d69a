//! SEAM: the only reader of clocks.

use std::time::{Duration, Instant, SystemTime};

/// A moment to be done by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// `duration` from now.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub(crate) fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    /// What is left; nothing once it has passed.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

/// Now, in Unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
