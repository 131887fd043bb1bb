//! Idempotency keys: identify a request so that a repetition has no effect.
//!
//! The key is the client's; the fingerprint is the hub's and determines whether two requests under one key are the
//! same. It covers the caller, the operation and its fields, in any order of the fields, and nothing that differs
//! between two attempts.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{ApiError, ApiResult};
use crate::secrets;
use crate::text::Fields;

/// How long an answer is remembered: a day outlives every sensible retry.
pub const KEPT_MS: i64 = 86_400_000;
/// Longest key; a UUID has 36.
pub const KEY_BYTES: usize = 255;

/// A key as it may be stored.
///
/// # Errors
/// `VALIDATION_ERROR` unless it is 1 to 255 visible ASCII characters. `field` is what the client calls it.
pub fn key(field: &str, given: &str) -> ApiResult<String> {
    let is_visible = given.bytes().all(|byte| byte.is_ascii_graphic());
    if given.is_empty() || given.len() > KEY_BYTES || !is_visible {
        return Err(ApiError::validation(format!("{field} must be 1 to {KEY_BYTES} visible ASCII characters")));
    }
    Ok(given.to_owned())
}

/// The fingerprint of a request: its operation (with the thing it is about), whether a person speaks, and its fields.
#[must_use]
pub fn fingerprint(operation: &str, by_human: bool, fields: &Fields) -> String {
    let mut hasher = Sha256::new();
    hasher.update(operation.as_bytes());
    hasher.update([0, u8::from(by_human)]);
    hash_fields(&mut hasher, fields);
    secrets::hex(&hasher.finalize())
}

fn hash_fields(hasher: &mut Sha256, fields: &Fields) {
    let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    hasher.update(b"{");
    for (name, value) in sorted {
        hash_text(hasher, name);
        hash_value(hasher, value);
    }
    hasher.update(b"}");
}

fn hash_value(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => hash_fields(hasher, fields),
        Value::Array(items) => {
            hasher.update(b"[");
            items.iter().for_each(|item| hash_value(hasher, item));
            hasher.update(b"]");
        }
        Value::String(text) => hash_text(hasher, text),
        // As text these end where the next value's mark or quote begins.
        scalar => hasher.update(format!("#{scalar}").as_bytes()),
    }
}

/// The length first, so that no text can pass for the end of itself and something else.
fn hash_text(hasher: &mut Sha256, text: &str) {
    hasher.update(format!("\"{}:", text.len()).as_bytes());
    hasher.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> String {
        fingerprint("send", false, value.as_object().unwrap())
    }

    #[test]
    fn keys_are_visible_and_short() {
        assert_eq!(key("k", "a-1/~").unwrap(), "a-1/~");
        assert!(key("k", &"a".repeat(255)).is_ok());
        for bad in ["", " ", "a b", "a\n", "ä", &"a".repeat(256)] {
            assert!(key("k", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_order_of_fields_does_not_matter_and_everything_else_does() {
        assert_eq!(
            of(&json!({"a": 1, "b": {"c": [1, 2], "d": null}})),
            of(&json!({"b": {"d": null, "c": [1, 2]}, "a": 1}))
        );
        let different = [
            json!({}),
            json!({"a": 1}),
            json!({"a": "1"}),
            json!({"a": 12}),
            json!({"a": [1, 2]}),
            json!({"a": [12]}),
            json!({"a": [2, 1]}),
            json!({"a": [[1], 2]}),
            json!({"a": [[1, 2]]}),
            json!({"a": null}),
            json!({"a": {}}),
            json!({"a": []}),
            json!({"a": ""}),
            json!({"a": "", "b": ""}),
            json!({"a": "\"1:b"}),
        ];
        let all: std::collections::HashSet<String> = different.iter().map(of).collect();
        assert_eq!(all.len(), different.len());
        assert_ne!(fingerprint("a", true, &Fields::new()), fingerprint("a", false, &Fields::new()));
        assert_ne!(fingerprint("a", true, &Fields::new()), fingerprint("b", true, &Fields::new()));
    }
}
