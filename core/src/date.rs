//! Whole UTC days. The proleptic Gregorian arithmetic is Howard Hinnant's `days_from_civil`.

use core::fmt;

/// A whole UTC day, as days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Date(u32);

/// Seconds of a day.
pub const DAY_SECONDS: u64 = 86_400;
/// 9999-12-31: the last day that has a four-digit year.
const LAST_DAY: u32 = 2_932_896;

impl Date {
    /// Returns the day that is `days` after 1970-01-01; `None` beyond 9999-12-31.
    pub fn from_days(days: u32) -> Option<Self> {
        (days <= LAST_DAY).then_some(Self(days))
    }

    /// Returns the day that holds a Unix time in seconds, held at 9999-12-31.
    pub fn from_unix(seconds: u64) -> Self {
        let days = seconds / DAY_SECONDS;
        Self(u32::try_from(days).unwrap_or(LAST_DAY).min(LAST_DAY))
    }

    /// Parses `YYYY-MM-DD`, refusing days that no calendar has.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, rest) = text.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        let digits = |t: &str, n: usize| t.len() == n && t.bytes().all(|b| b.is_ascii_digit());
        if !(digits(year, 4) && digits(month, 2) && digits(day, 2)) {
            return None;
        }
        let date = from_civil(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
        (alloc::format!("{date}") == text).then_some(date)
    }

    /// Returns days since 1970-01-01.
    pub const fn days(self) -> u32 {
        self.0
    }

    /// Returns the day `days` later, held at 9999-12-31.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        Self(self.0.saturating_add(days).min(LAST_DAY))
    }

    /// Returns the same day `months` later; a day that month lacks becomes its last.
    #[must_use]
    pub fn plus_months(self, months: u32) -> Self {
        let (year, month, day) = self.to_civil();
        let total = i64::from(year)
            .saturating_mul(12)
            .saturating_add(i64::from(month).saturating_sub(1))
            .saturating_add(i64::from(months));
        let year = i32::try_from(total.div_euclid(12)).unwrap_or(9999);
        let month = u32::try_from(total.rem_euclid(12)).unwrap_or(11).saturating_add(1);
        (0..4).find_map(|less| from_civil(year, month, day.saturating_sub(less))).unwrap_or(Self(LAST_DAY))
    }

    /// Returns the last second of the day, as Unix time.
    pub fn end_unix(self) -> u64 {
        (u64::from(self.0).saturating_add(1)).saturating_mul(DAY_SECONDS).saturating_sub(1)
    }

    /// Returns year, month and day.
    fn to_civil(self) -> (i32, u32, u32) {
        let z = i64::from(self.0).saturating_add(719_468);
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe.saturating_sub(doe / 1_460).saturating_add(doe / 36_524).saturating_sub(doe / 146_096)) / 365;
        let doy = doe.saturating_sub(yoe.saturating_mul(365).saturating_add(yoe / 4).saturating_sub(yoe / 100));
        let mp = doy.saturating_mul(5).saturating_add(2) / 153;
        let day = doy.saturating_sub(mp.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
        let month = if mp < 10 { mp.saturating_add(3) } else { mp.saturating_sub(9) };
        let year = yoe.saturating_add(era.saturating_mul(400)).saturating_add(i64::from(month <= 2));
        let small = |v: i64| u32::try_from(v).unwrap_or(0);
        (i32::try_from(year).unwrap_or(0), small(month), small(day))
    }
}

/// Returns the day of a civil date; `None` if the month lacks it or it precedes 1970.
fn from_civil(year: i32, month: u32, day: u32) -> Option<Date> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let y = i64::from(year).saturating_sub(i64::from(month <= 2));
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let m = i64::from(month);
    let mp = if m > 2 { m.saturating_sub(3) } else { m.saturating_add(9) };
    let doy = (mp.saturating_mul(153).saturating_add(2) / 5).saturating_add(i64::from(day)).saturating_sub(1);
    let doe = yoe.saturating_mul(365).saturating_add(yoe / 4).saturating_sub(yoe / 100).saturating_add(doy);
    let days = era.saturating_mul(146_097).saturating_add(doe).saturating_sub(719_468);
    let date = Date::from_days(u32::try_from(days).ok()?)?;
    (date.to_civil() == (year, month, day)).then_some(date)
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.to_civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_goes_there_and_back_and_follows_the_one_before() {
        let mut last = alloc::string::String::new();
        for days in 0..=LAST_DAY {
            let date = Date::from_days(days).unwrap();
            let text = alloc::format!("{date}");
            assert!(text > last, "{text} after {last}");
            if days % 97 == 0 {
                assert_eq!(Date::parse(&text), Some(date));
            }
            last = text;
        }
        assert_eq!(last, "9999-12-31");
    }

    #[test]
    fn days_that_no_calendar_has_are_refused() {
        for text in ["2026-02-29", "2026-13-01", "2026-00-10", "2026-1-1", "1969-12-31", "2026-04-31", "+026-04-30"] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn months_are_added_on_the_calendar() {
        let plus = |text: &str, months| alloc::format!("{}", Date::parse(text).unwrap().plus_months(months));
        assert_eq!(plus("2024-02-29", 36), "2027-02-28");
        assert_eq!(plus("2026-12-31", 2), "2027-02-28");
        assert_eq!(plus("2026-01-15", 24), "2028-01-15");
    }
}
