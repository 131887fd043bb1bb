//! Reading the fields of a JSON object. The first fault ends the reading; unknown fields are ignored.
//!
//! A field that is absent and one that is null differ: see [`Given`]. Numbers follow the clients' language: a whole number
//! may be written as `1.0`, and a time may have a fraction, which is dropped.

use hxa_domain::limits::{fits_json, fits_utf16};
use serde_json::{Map, Value};

use super::faults::{Fault, quoted};
use super::limits;

/// What an object says of a field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Given<T> {
    /// Nothing: what is known stays.
    #[default]
    Absent,
    /// There is no value.
    Null,
    /// This value.
    Value(T),
}

impl<T> Given<T> {
    /// The value, if there is one.
    #[must_use]
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// What is known after this was said; whether it differs from what was known.
    pub fn apply(self, known: &mut Option<T>) -> bool
    where
        T: PartialEq,
    {
        let next = match self {
            Self::Absent => return false,
            Self::Null => None,
            Self::Value(value) => Some(value),
        };
        let changes = *known != next;
        *known = next;
        changes
    }

    /// The value made into another, or a fault of it.
    ///
    /// # Errors
    /// What the function returns.
    pub fn and_then<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Given<U>, E> {
        Ok(match self {
            Self::Absent => Given::Absent,
            Self::Null => Given::Null,
            Self::Value(value) => Given::Value(change(value)?),
        })
    }
}

/// The JSON type of a value, in the words of faults.
#[must_use]
pub const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The fault of a value of the wrong type.
#[must_use]
pub fn wrong_type(path: &str, wanted: &str, got: &Value) -> Fault {
    Fault::new(path, format!("Expected {wanted}, received {}", kind(got)))
}

/// A whole number; `None` for fractions and what no 64-bit integer holds.
#[must_use]
pub fn whole(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| number.as_f64().filter(|float| float.fract() == 0.0).and_then(truncated))
}

/// A number without its fraction; `None` outside of what JavaScript counts exactly.
fn truncated(float: f64) -> Option<i64> {
    // The text of a float without its fraction is that of the integer.
    (float.abs() <= 9_007_199_254_740_992.0).then(|| format!("{:.0}", float.trunc()).parse().ok()).flatten()
}

/// A time in milliseconds of a number; its fraction is dropped.
fn millis(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| number.as_f64().and_then(truncated))
}

/// The text of an id or name: not empty, not too long, without NUL, which PostgreSQL does not store.
///
/// # Errors
/// What is wrong with it.
pub fn checked(path: &str, text: String, most_units: usize) -> Result<String, Fault> {
    if text.is_empty() {
        return Err(Fault::new(path, "Must not be empty"));
    }
    if text.contains('\0') {
        return Err(Fault::new(path, "Must not contain NUL characters"));
    }
    if !fits_utf16(&text, most_units) {
        return Err(Fault::new(path, format!("Must have at most {most_units} characters")));
    }
    Ok(text)
}

/// An object that is being read.
#[derive(Debug, Clone)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Begins with a payload or a body.
    ///
    /// # Errors
    /// It is no object.
    pub fn of(value: Value) -> Result<Self, Fault> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            other => Err(wrong_type("", "object", &other)),
        }
    }

    /// What is left of the object.
    #[must_use]
    pub fn rest(self) -> Map<String, Value> {
        self.0
    }

    /// Whether the field is there; null is a value.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The value of a field; null is a value.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    /// A value that must be there; null is one.
    ///
    /// # Errors
    /// The field is absent.
    pub fn need(&mut self, key: &str) -> Result<Value, Fault> {
        self.take(key).ok_or_else(|| Fault::new(key, "Required"))
    }

    /// What is said of a field.
    pub fn given(&mut self, key: &str) -> Given<Value> {
        match self.take(key) {
            None => Given::Absent,
            Some(Value::Null) => Given::Null,
            Some(value) => Given::Value(value),
        }
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// It is absent, no text, empty or too long.
    pub fn text(&mut self, key: &str, most_units: usize) -> Result<String, Fault> {
        match self.need(key)? {
            Value::String(text) => checked(key, text, most_units),
            other => Err(wrong_type(key, "string", &other)),
        }
    }

    /// An id that must be there.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn id(&mut self, key: &str) -> Result<String, Fault> {
        self.text(key, limits::ID_UNITS)
    }

    /// A text that may be absent, but not null.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn optional_text(&mut self, key: &str, most_units: usize) -> Result<Option<String>, Fault> {
        if self.has(key) { self.text(key, most_units).map(Some) } else { Ok(None) }
    }

    /// A text that may be null. An empty one counts as null, as there is no such name.
    ///
    /// # Errors
    /// It is neither a text nor null, or too long.
    pub fn nullable_text(&mut self, key: &str, most_units: usize) -> Result<Given<String>, Fault> {
        match self.given(key) {
            Given::Value(Value::String(text)) if text.is_empty() => Ok(Given::Null),
            Given::Value(Value::String(text)) => checked(key, text, most_units).map(Given::Value),
            Given::Value(other) => Err(wrong_type(key, "string or null", &other)),
            Given::Null => Ok(Given::Null),
            Given::Absent => Ok(Given::Absent),
        }
    }

    /// A time that must be there.
    ///
    /// # Errors
    /// It is absent or no number.
    pub fn time(&mut self, key: &str) -> Result<i64, Fault> {
        let value = self.need(key)?;
        millis(&value).ok_or_else(|| wrong_type(key, "number of milliseconds", &value))
    }

    /// A time that may be absent.
    ///
    /// # Errors
    /// It is no number.
    pub fn optional_time(&mut self, key: &str) -> Result<Option<i64>, Fault> {
        if self.has(key) { self.time(key).map(Some) } else { Ok(None) }
    }

    /// A whole number that must be there.
    ///
    /// # Errors
    /// It is absent, no number or has a fraction.
    pub fn whole(&mut self, key: &str) -> Result<i64, Fault> {
        let value = self.need(key)?;
        whole(&value).ok_or_else(|| wrong_type(key, "whole number", &value))
    }

    /// True or false, if it is there.
    ///
    /// # Errors
    /// It is neither.
    pub fn flag(&mut self, key: &str) -> Result<Option<bool>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(on)) => Ok(Some(on)),
            Some(other) => Err(wrong_type(key, "boolean", &other)),
        }
    }

    /// A word of a list that may be absent.
    ///
    /// # Errors
    /// It is another.
    pub fn word<T>(&mut self, key: &str, parse: fn(&str) -> Option<T>, accepted: &str) -> Result<Option<T>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => parse(&text)
                .map(Some)
                .ok_or_else(|| Fault::new(key, format!("Expected one of {accepted}, received {}", quoted(&text)))),
            Some(other) => Err(wrong_type(key, "string", &other)),
        }
    }

    /// A list of ids that must be there, without repetitions.
    ///
    /// # Errors
    /// It is no list of texts, or too long.
    pub fn ids(&mut self, key: &str, most: usize) -> Result<Vec<String>, Fault> {
        let items = match self.need(key)? {
            Value::Array(items) if items.len() <= most => items,
            Value::Array(_) => return Err(Fault::new(key, format!("Must have at most {most} entries"))),
            other => return Err(wrong_type(key, "array", &other)),
        };
        let mut seen = std::collections::HashSet::new();
        let mut ids = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{key}.{index}");
            let id = match item {
                Value::String(text) => checked(&path, text, limits::LOCAL_ID_UNITS)?,
                other => return Err(wrong_type(&path, "string", &other)),
            };
            if seen.insert(id.clone()) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// An object of any content and limited size that must be there; null is none.
    ///
    /// # Errors
    /// It is no object or too large.
    pub fn object(&mut self, key: &str, most_bytes: usize) -> Result<Map<String, Value>, Fault> {
        let value = self.need(key)?;
        if !fits_json(&value, most_bytes) {
            return Err(Fault::new(key, format!("Must not be larger than {most_bytes} bytes of JSON")));
        }
        match value {
            Value::Object(map) => Ok(map),
            other => Err(wrong_type(key, "object", &other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        Fields::of(value).unwrap()
    }

    #[test]
    fn absent_and_null_differ() {
        let mut given = fields(json!({"a": null, "b": "x", "c": 1}));
        assert_eq!(given.nullable_text("a", 10), Ok(Given::Null));
        assert_eq!(given.nullable_text("b", 10), Ok(Given::Value("x".to_owned())));
        assert_eq!(given.nullable_text("d", 10), Ok(Given::Absent));
        assert_eq!(fields(json!({"e": ""})).nullable_text("e", 10), Ok(Given::Null));
        assert_eq!(given.nullable_text("c", 10).unwrap_err().path, "c");
        let mut known = Some("x".to_owned());
        assert!(!Given::Absent.apply(&mut known));
        assert!(!Given::Value("x".to_owned()).apply(&mut known));
        assert!(Given::Null.apply(&mut known));
        assert_eq!(known, None);
    }

    #[test]
    fn whole_numbers_may_be_written_as_floats() {
        assert_eq!(whole(&json!(3.0)), Some(3));
        assert_eq!(whole(&json!(3.5)), None);
        assert_eq!(whole(&json!(1e300)), None);
        assert_eq!(whole(&json!("3")), None);
        assert_eq!(whole(&json!(u64::MAX)), None);
        assert_eq!(fields(json!({"t": 1_700_000_000_000.75})).time("t"), Ok(1_700_000_000_000));
        assert!(fields(json!({"t": "1"})).time("t").is_err());
        assert!(fields(json!({})).time("t").is_err());
    }

    #[test]
    fn texts_are_neither_empty_nor_long() {
        assert!(fields(json!({"a": ""})).id("a").is_err());
        assert!(fields(json!({"a": "\0"})).id("a").is_err());
        assert!(fields(json!({"a": "x".repeat(257)})).id("a").is_err());
        assert!(fields(json!({"a": "x".repeat(256)})).id("a").is_ok());
        assert_eq!(fields(json!({})).optional_text("a", 5), Ok(None));
        assert!(fields(json!({"a": null})).optional_text("a", 5).is_err());
    }

    #[test]
    fn lists_of_ids_lose_repetitions() {
        assert_eq!(fields(json!({"l": ["b", "a", "b"]})).ids("l", 3), Ok(vec!["b".to_owned(), "a".to_owned()]));
        assert_eq!(fields(json!({"l": ["b", 1]})).ids("l", 3).unwrap_err().path, "l.1");
        assert!(fields(json!({"l": ["b", "a", "b"]})).ids("l", 2).is_err());
    }

    proptest! {
        #[test]
        fn integers_are_whole(number in -9_007_199_254_740_992_i64..=9_007_199_254_740_992) {
            prop_assert_eq!(whole(&json!(number)), Some(number));
            prop_assert_eq!(millis(&json!(number)), Some(number));
        }
    }
}
