//! The system's clock: the only code that reads it.
//!
//! A running hub takes the time from its core, where tests can replace it; code without a core (the store itself,
//! commands, log lines) takes it from here.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// Now, in ms since the epoch; 0 when the clock says that it is earlier.
#[must_use]
pub fn now_ms() -> i64 {
    let since = now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
