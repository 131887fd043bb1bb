//! Checks for all text from clients, and parsing of optional JSON fields.
//!
//! A NUL character is refused everywhere: PostgreSQL cannot store it, and both databases must accept the same values.
//! Strings are never coerced from other types.

use serde_json::{Map, Value};

use crate::error::{ApiError, ApiResult};
use crate::limits::fits_utf16;

/// The fields of a JSON body.
pub type Fields = Map<String, Value>;

/// Refuses a text that holds a NUL character.
pub fn refuse_nul(field: &str, text: &str) -> ApiResult<()> {
    if text.as_bytes().contains(&0) {
        return Err(ApiError::validation(format!("{field} must not contain NUL characters")));
    }
    Ok(())
}

/// Refuses a JSON value that holds a NUL character in any string or key.
pub fn refuse_nul_within(field: &str, value: &Value) -> ApiResult<()> {
    match value {
        Value::String(text) => refuse_nul(field, text),
        Value::Array(items) => items.iter().try_for_each(|item| refuse_nul_within(field, item)),
        Value::Object(map) => map.iter().try_for_each(|(key, item)| {
            refuse_nul(field, key)?;
            refuse_nul_within(field, item)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Whether this is the percent-encoding of some text: two hex digits after each `%`, and UTF-8 once decoded.
#[must_use]
pub fn is_percent_encoded_text(encoded: &str) -> bool {
    let mut pieces = encoded.split('%');
    let mut decoded = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let byte = piece.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(byte) = byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { return false };
        decoded.push(byte);
        decoded.extend(piece.bytes().skip(2));
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// Refuses a text longer than `max` UTF-16 units.
pub fn limit_units(field: &str, text: &str, max: usize) -> ApiResult<()> {
    if fits_utf16(text, max) {
        return Ok(());
    }
    Err(ApiError::validation(format!("{field} is too long (at most {max} characters)")))
}

/// Refuses a text longer than `max` bytes.
pub fn limit_bytes(field: &str, text: &str, max: usize) -> ApiResult<()> {
    if text.len() <= max {
        return Ok(());
    }
    Err(ApiError::validation(format!("{field} is too long (at most {max} bytes)")))
}

/// An optional string: absent and null are `None`, any other type is refused.
pub fn optional<'a>(field: &str, value: Option<&'a Value>) -> ApiResult<Option<&'a str>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            refuse_nul(field, text)?;
            Ok(Some(text))
        }
        Some(other) => Err(wrong_type(field, "a string", other)),
    }
}

/// A string that must be there and not be empty.
pub fn required<'a>(field: &str, value: Option<&'a Value>) -> ApiResult<&'a str> {
    match value {
        None | Some(Value::Null) => Err(ApiError::validation(format!("{field} is required"))),
        Some(Value::String(text)) if text.is_empty() => Err(ApiError::validation(format!("{field} is required"))),
        Some(Value::String(_)) => optional(field, value).map(Option::unwrap_or_default),
        Some(other) => {
            Err(ApiError::validation(format!("{field} is required and must be a string, not {}", kind(other))))
        }
    }
}

/// An optional list of strings: absent and null are `None`.
pub fn optional_list(field: &str, value: Option<&Value>) -> ApiResult<Option<Vec<String>>> {
    let items = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong_type(field, "an array of strings", other)),
    };
    let strings = items.iter().map(|item| match item {
        Value::String(text) => refuse_nul(field, text).map(|()| text.clone()),
        other => Err(wrong_type(field, "an array of strings", other)),
    });
    strings.collect::<ApiResult<Vec<_>>>().map(Some)
}

/// An optional boolean: absent is `None`; null and every other type are refused.
pub fn flag(field: &str, value: Option<&Value>) -> ApiResult<Option<bool>> {
    match value {
        None => Ok(None),
        Some(Value::Bool(on)) => Ok(Some(*on)),
        Some(other) => Err(wrong_type(field, "true or false", other)),
    }
}

/// The refusal of a value of the wrong JSON type.
#[must_use]
pub fn wrong_type(field: &str, wanted: &str, got: &Value) -> ApiError {
    ApiError::validation(format!("{field} must be {wanted}, not {}", kind(got)))
}

/// The JSON type of a value, for messages.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Whether JavaScript would take the value for true: clients use `null`, `""`, `0` and `false` for "not given".
#[must_use]
pub fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nul_is_found_at_any_depth() {
        assert!(refuse_nul_within("x", &json!({"a": ["b", {"c": "d\u{0}"}]})).is_err());
        assert!(refuse_nul_within("x", &json!({"a\u{0}": 1})).is_err());
        assert!(refuse_nul_within("x", &json!({"a": ["b", "\\u0000"]})).is_ok());
    }

    #[test]
    fn percent_encoding_is_of_text_or_refused() {
        for good in ["", "/api/me", "/a%20b", "/%F0%9F%8E%89", "/%C3%a4", "/%25zz", "/ä"] {
            assert!(is_percent_encoded_text(good), "{good}");
        }
        for bad in ["%", "/%", "/%2", "/%zz", "/%+1", "/%ff", "/%C3%28", "/%C3(", "/%ä"] {
            assert!(!is_percent_encoded_text(bad), "{bad}");
        }
    }

    #[test]
    fn strings_are_never_coerced() {
        assert_eq!(optional("x", Some(&json!("a"))).unwrap(), Some("a"));
        assert_eq!(optional("x", Some(&Value::Null)).unwrap(), None);
        assert!(optional("x", Some(&json!(1))).is_err());
        assert!(required("x", Some(&json!(""))).is_err());
        assert!(optional_list("x", Some(&json!(["a", 1]))).is_err());
        assert!(flag("x", Some(&Value::Null)).is_err());
        let refusal = flag("reusable", Some(&json!("yes"))).unwrap_err();
        assert_eq!(refusal.message(), "reusable must be true or false, not a string");
    }

    #[test]
    fn truth_is_that_of_javascript() {
        for value in [json!(null), json!(0), json!(-0.0), json!(""), json!(false)] {
            assert!(!is_truthy(&value), "{value}");
        }
        for value in [json!([]), json!({}), json!("0"), json!(1)] {
            assert!(is_truthy(&value), "{value}");
        }
    }
}
