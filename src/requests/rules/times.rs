//! Times on the wire: ISO 8601 in UTC with milliseconds; inside they are ms since the epoch.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat};

/// Latest time that is shown as it is: the end of the year 9999, after which years have a sign.
pub const LATEST: i64 = 253_402_300_799_999;

/// A time as text.
#[must_use]
pub fn iso(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms.clamp(0, LATEST)).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The time of a text: ISO 8601 with a zone, a date alone (its beginning in UTC), or ms.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse::<i64>() {
        return Some(ms);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_time(NaiveTime::MIN).and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_utc_with_milliseconds() {
        assert_eq!(iso(1_700_000_000_000), "2023-11-14T22:13:20.000Z");
        assert_eq!(iso(1), "1970-01-01T00:00:00.001Z");
        assert_eq!(iso(i64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn several_spellings_are_read() {
        for (text, ms) in [
            ("1700000000000", 1_700_000_000_000),
            ("2023-11-14T22:13:20.000Z", 1_700_000_000_000),
            ("2023-11-14T23:13:20+01:00", 1_700_000_000_000),
            ("1970-01-02", 86_400_000),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
        for bad in ["", "yesterday", "2023-11-14T22:13:20", "1.5", "99999999999999999999", "2023-13-01"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read(ms in 0..LATEST) {
            prop_assert_eq!(parse(&iso(ms)), Some(ms));
        }

        #[test]
        fn any_text_can_be_tried(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
