//! Moments of people, in their own time zone.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::error::{Failure, Result};

/// Day and time.
pub(crate) fn moment(unix_ms: u64) -> String {
    format(unix_ms, "%Y-%m-%d %H:%M:%S")
}

/// A moment for programs, in UTC.
pub(crate) fn stamp(unix_ms: u64) -> String {
    let moment = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    moment.map_or_else(|| unix_ms.to_string(), |moment| moment.to_string())
}

/// A moment that is near `now`: the time, with its day when that is another.
pub(crate) fn soon(unix_ms: u64, now: u64) -> String {
    let same_day = format(unix_ms, "%F") == format(now, "%F");
    format(unix_ms, if same_day { "%H:%M" } else { "%F %H:%M" })
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

/// The moment that `--since` names, in Unix milliseconds: a span before `now_ms` (`90s`, `30m`,
/// `12h`, `7d`, `2w`), a day or a time of the reader's own zone, or a moment with its zone.
pub(crate) fn since(text: &str, now_ms: u64) -> Result<u64> {
    span(text).map(|span| now_ms.saturating_sub(span)).or_else(|| date(text)).ok_or_else(|| {
        Failure::usage(format!("--since: `{text}` is no span and no date"))
            .with_hint("for example --since 1h, --since 7d or --since 2026-01-31")
    })
}

fn span(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok()?;
    count.checked_mul(seconds)?.checked_mul(1_000)
}

fn date(text: &str) -> Option<u64> {
    let here = |zoned: Zoned| zoned.timestamp();
    let moment = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| Some(here(text.parse::<DateTime>().ok()?.to_zoned(TimeZone::system()).ok()?)))
        .or_else(|| Some(here(text.parse::<Date>().ok()?.to_zoned(TimeZone::system()).ok()?)));
    u64::try_from(moment?.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_dates() {
        const NOW: u64 = 1_800_000_000_000;
        let cases = [
            ("90s", NOW - 90_000),
            ("1h", NOW - 3_600_000),
            ("2d", NOW - 172_800_000),
            ("2w", NOW - 1_209_600_000),
            ("1970-01-02T00:00:00Z", 86_400_000),
        ];
        for (text, moment) in cases {
            assert_eq!(since(text, NOW).unwrap(), moment, "{text}");
        }
        let day = since("2026-01-31", NOW).unwrap();
        assert_eq!(since("2026-01-31T01:00:00", NOW).unwrap(), day + 3_600_000);
        assert!(super::moment(day).starts_with("2026-01-31 00:00:00"));
        for wrong in ["", "h", "1y", "-1h", "soon", "2026-13-01", "99999999999999999999d", "1ü"] {
            let failure = since(wrong, NOW).unwrap_err();
            assert_eq!(failure.exit() as u8, 2, "{wrong}");
        }
    }
}
