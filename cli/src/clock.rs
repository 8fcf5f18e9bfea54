//! The clock seam: the only place that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use griptrace_core::date::Date;

/// Returns now as Unix time in seconds.
#[expect(clippy::disallowed_methods, reason = "this is the clock seam")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Returns today, in UTC.
pub(crate) fn today() -> Date {
    Date::from_unix(now())
}
