//! Moments for people, in their own time zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Day and time.
pub(crate) fn moment(unix_ms: u64) -> String {
    format(unix_ms, "%Y-%m-%d %H:%M:%S")
}

/// The time alone, to the millisecond.
pub(crate) fn clock(unix_ms: u64) -> String {
    format(unix_ms, "%H:%M:%S%.3f")
}

fn format(unix_ms: u64, form: &str) -> String {
    let moment = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    moment.map_or_else(
        || unix_ms.to_string(),
        |moment| moment.to_zoned(TimeZone::system()).strftime(form).to_string(),
    )
}
