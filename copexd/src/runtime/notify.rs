//! SEAM: what systemd is told, when it is there.

use std::time::Duration;

use sd_notify::NotifyState;

/// Tells the supervisor that the daemon serves.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells the supervisor that the daemon is on its way out.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// A sign of life.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often a sign of life is due: half of what the supervisor allows.
pub fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|most| most / 2)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the supervisor was not told");
    }
}
