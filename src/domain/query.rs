//! Parsing numbers, times and limits in query strings and bodies.
//!
//! The protocol parses integers as JavaScript's `parseInt` does: the leading digits count and the rest is ignored. If a
//! key is repeated, the first value counts; `key[]` is the same as `key`; `key[x]` is ignored.

use serde_json::{Number, Value};

use crate::error::{ApiError, ApiResult};

/// The decoded parameters of a query string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes a query string, without its `?`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let is_key = |given: &str| given == key || given.strip_suffix("[]") == Some(key);
        self.0.iter().find(|(given, _)| is_key(given)).map(|(_, value)| value.as_str())
    }

    /// A parameter that counts only when it is not empty.
    #[must_use]
    pub fn filled(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.is_empty())
    }

    /// The same query with another value of one parameter, as text that can be sent.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> String {
        let is_key = |given: &str| given == key || given.strip_suffix("[]") == Some(key);
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(self.0.iter().filter(|(given, _)| !is_key(given)));
        text.append_pair(key, value).finish()
    }

    /// A search text: trimmed; blank is none.
    #[must_use]
    pub fn search(&self, key: &str) -> Option<&str> {
        self.get(key).map(str::trim).filter(|value| !value.is_empty())
    }

    /// How many rows to give.
    #[must_use]
    pub fn limit(&self, key: &str, default: i64, max: i64) -> i64 {
        limit(self.get(key), default, max)
    }

    /// How many rows to skip; never negative.
    #[must_use]
    pub fn offset(&self, key: &str) -> i64 {
        self.get(key).and_then(leading_int).unwrap_or(0).max(0)
    }

    /// A time that must be given.
    pub fn required_time(&self, key: &str) -> ApiResult<i64> {
        required_time(key, self.get(key))
    }

    /// A time that may be given; anything but a number is refused, the empty text too.
    pub fn optional_time(&self, key: &str) -> ApiResult<Option<i64>> {
        self.get(key).map(|text| required_time(key, Some(text))).transpose()
    }
}

/// The integer a text starts with, after white space; saturates. `3abc` is 3, `1.5` is 1, `1e3` is 1, `abc` is none.
#[must_use]
pub fn leading_int(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut digits = digits.chars().map_while(|digit| digit.to_digit(10)).peekable();
    digits.peek()?;
    let size = digits.fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit)));
    Some(if is_negative { -size } else { size })
}

/// How many rows to give: no number and 0 mean the default; then at least 1 and at most `max`.
#[must_use]
pub fn limit(text: Option<&str>, default: i64, max: i64) -> i64 {
    text.and_then(leading_int).filter(|number| *number != 0).unwrap_or(default).clamp(1, max)
}

/// A time in ms that must be given and be a number.
pub fn required_time(key: &str, text: Option<&str>) -> ApiResult<i64> {
    text.and_then(leading_int)
        .ok_or_else(|| ApiError::validation(format!("{key} is required and must be a time in milliseconds")))
}

/// What `before` of a message list means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before<'a> {
    /// Not given: the newest rows.
    Absent,
    /// Rows older than this time.
    Time(i64),
    /// Rows before the message with this id.
    Id(&'a str),
}

/// Reads `before` where it may be a time or a message id: what JavaScript takes for a number is a time.
#[must_use]
pub fn before(text: Option<&str>) -> Before<'_> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Before::Absent };
    match text {
        "Infinity" | "+Infinity" => Before::Time(i64::MAX),
        "-Infinity" => Before::Time(i64::MIN),
        _ if is_decimal(text) => text.parse().map_or_else(|_| decimal(text), Before::Time),
        _ => Before::Id(text),
    }
}

/// Whether a text is a decimal number such as `12`, `-1.5` or `1e3`; `inf` and `nan` are words, not numbers.
fn is_decimal(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
        && text.parse::<f64>().is_ok()
}

/// The time of a decimal number that is no plain integer.
fn decimal(text: &str) -> Before<'_> {
    let number = text.parse::<f64>().unwrap_or(f64::INFINITY);
    // A time is compared with whole ones, so the fraction only matters by being there.
    let whole = float_to_int(number.ceil());
    Before::Time(whole.unwrap_or(if number > 0.0 { i64::MAX } else { i64::MIN }))
}

/// The integer of a JSON number: `5` and `5.0` are, `5.5` is not.
#[must_use]
pub fn integer(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| Number::as_f64(number).and_then(float_to_int))
}

/// A whole float within JavaScript's safe integers, as an integer.
fn float_to_int(number: f64) -> Option<i64> {
    const SAFE: f64 = 9_007_199_254_740_991.0;
    let is_whole = number.is_finite() && number.fract() == 0.0 && number.abs() <= SAFE;
    // Printing a whole float gives exactly its digits; numbers that arrive as floats are rare.
    is_whole.then(|| format!("{number:.0}").parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn integers_are_read_from_the_start() {
        let cases = [("3abc", 3), ("1.5", 1), ("-5", -5), ("1e3", 1), ("+7", 7), (" 8 ", 8), ("0x10", 0)];
        for (text, number) in cases {
            assert_eq!(leading_int(text), Some(number), "{text}");
        }
        for text in ["", "abc", "-", "+", ".5", "--1", "٣"] {
            assert_eq!(leading_int(text), None, "{text}");
        }
        assert_eq!(leading_int("99999999999999999999"), Some(i64::MAX));
    }

    #[test]
    fn limits_fall_back_and_are_clamped() {
        for (text, expected) in
            [(None, 50), (Some(""), 50), (Some("x"), 50), (Some("0"), 50), (Some("-1"), 1), (Some("999"), 200)]
        {
            assert_eq!(limit(text, 50, 200), expected, "{text:?}");
        }
    }

    #[test]
    fn the_first_value_of_a_key_counts() {
        let query = Query::parse("a=1&a=2&b[]=3&c[x]=4&d=%20x%20&e=&f=a+b");
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get("b"), Some("3"));
        assert_eq!(query.get("c"), None);
        assert_eq!(query.search("d"), Some("x"));
        assert_eq!((query.get("e"), query.filled("e"), query.search("e")), (Some(""), None, None));
        assert_eq!(query.get("f"), Some("a b"));
        assert_eq!((query.offset("a"), query.offset("d")), (1, 0));
        assert_eq!(Query::parse("a=1&before[]=2&c=x%26y").with("before", "3 4"), "a=1&c=x%26y&before=3+4");
    }

    #[test]
    fn times_must_be_numbers() {
        let query = Query::parse("since=12ab&bad=x&empty=");
        assert_eq!(query.required_time("since").unwrap(), 12);
        assert_eq!(query.optional_time("none").unwrap(), None);
        assert!(query.required_time("none").is_err());
        assert!(query.optional_time("bad").is_err());
        assert!(query.optional_time("empty").is_err());
    }

    #[test]
    fn before_is_a_time_or_an_id() {
        let cases = [
            ("12", Before::Time(12)),
            (" 12 ", Before::Time(12)),
            ("1e3", Before::Time(1000)),
            ("1.5", Before::Time(2)),
            ("-1", Before::Time(-1)),
            ("1e400", Before::Time(i64::MAX)),
            ("Infinity", Before::Time(i64::MAX)),
            ("", Before::Absent),
            ("  ", Before::Absent),
            ("inf", Before::Id("inf")),
            ("12ab", Before::Id("12ab")),
            ("e", Before::Id("e")),
        ];
        for (text, expected) in cases {
            assert_eq!(before(Some(text)), expected, "{text}");
        }
        assert_eq!(before(None), Before::Absent);
        let id = "0192f0c1-2345-7abc-8def-0123456789ab";
        assert_eq!(before(Some(id)), Before::Id(id));
    }

    #[test]
    fn whole_numbers_are_integers_however_written() {
        assert_eq!(integer(&json!(5)), Some(5));
        assert_eq!(integer(&json!(5.0)), Some(5));
        assert_eq!(integer(&json!(-2e3)), Some(-2000));
        for value in [json!(5.5), json!(1e303), json!("5"), json!(null), json!(u64::MAX)] {
            assert_eq!(integer(&value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn integers_round_trip(number in any::<i64>(), tail in "[a-z.]{0,3}") {
            prop_assert_eq!(leading_int(&format!("{number}{tail}")), Some(number.max(-i64::MAX)));
        }

        #[test]
        fn any_text_can_be_read(text in any::<String>()) {
            let _ = (before(Some(&text)), Query::parse(&text));
            prop_assert!((1..=200).contains(&limit(Some(&text), 50, 200)));
        }
    }
}
