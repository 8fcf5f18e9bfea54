//! The clock seam: the only place that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use griptrace_core::date::Date;

/// Returns today, in UTC.
#[expect(clippy::disallowed_methods, reason = "this is the program's clock seam")]
pub(crate) fn today() -> Date {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Date::from_unix(now.map_or(0, |time| time.as_secs()))
}
