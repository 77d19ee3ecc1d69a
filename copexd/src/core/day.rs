//! Days of the calendar (UTC), without a clock.

/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// A day, counted from 1 January 1970 (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u64);

impl Day {
    /// The day of a moment, in Unix milliseconds.
    pub fn of(unix_ms: u64) -> Self {
        Self(unix_ms / DAY_MS)
    }

    /// When it begins, in Unix milliseconds.
    pub fn begin_ms(self) -> u64 {
        self.0.saturating_mul(DAY_MS)
    }

    /// The day after it.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// So many days before it, at least the first.
    pub fn before(self, days: u64) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// Year, month and day of the month, by Howard Hinnant's `civil_from_days`.
    fn civil(self) -> (u64, u64, u64) {
        let shifted = self.0 + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        (year_of_era + era * 400 + u64::from(month <= 2), month, day)
    }

    /// As `20260131`: sorts as days do.
    pub fn compact(self) -> String {
        let (year, month, day) = self.civil();
        format!("{year:04}{month:02}{day:02}")
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_days() {
        let cases = [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (1_764_028_799_999, "2025-11-24"),
            (1_764_028_800_000, "2025-11-25"),
            (4_102_444_800_000, "2100-01-01"),
        ];
        for (ms, name) in cases {
            assert_eq!(Day::of(ms).to_string(), name);
        }
    }

    proptest! {
        #[test]
        fn a_day_sorts_as_it_is_written(day in 0_u64..1_000_000) {
            let (day, next) = (Day(day), Day(day + 1));
            prop_assert!(day.compact() < next.compact());
            prop_assert_eq!(day.to_string().replace('-', ""), day.compact());
            prop_assert_eq!(Day::of(day.begin_ms()), day);
        }
    }
}
