//! Free JSON of requests: kept as its text, bounded in depth and size, and canonical where it is hashed.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use hxa_domain::secrets;

/// JSON that is passed on and never read: shared, one allocation.
#[derive(Clone)]
pub struct JsonText(Arc<RawValue>);

impl JsonText {
    /// The text of a value.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        let raw = serde_json::value::to_raw_value(value).ok();
        Self(raw.unwrap_or_default_null())
    }

    /// The canonical text of a value: keys sorted, no blanks.
    #[must_use]
    pub fn canonical(value: &Value) -> Self {
        Self(RawValue::from_string(canonical(value)).ok().unwrap_or_default_null())
    }

    /// A stored text; `None` when it is no JSON.
    #[must_use]
    pub fn read(text: String) -> Option<Self> {
        RawValue::from_string(text).ok().map(|raw| Self(Arc::from(raw)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(self.as_str()).unwrap_or_default()
    }
}

/// The text `null` in place of what could not be written.
trait OrNull {
    fn unwrap_or_default_null(self) -> Arc<RawValue>;
}

impl OrNull for Option<Box<RawValue>> {
    fn unwrap_or_default_null(self) -> Arc<RawValue> {
        Arc::from(self.unwrap_or_else(|| RawValue::NULL.to_owned()))
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for JsonText {}

impl std::fmt::Debug for JsonText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self(Arc::from(raw)))
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// How many objects and lists are inside each other; 0 for what is neither.
#[must_use]
pub fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(fields) => fields.values().map(depth).max(),
        _ => return 0,
    };
    inner.unwrap_or(0).saturating_add(1)
}

/// The canonical text: the keys of every object in the order of their bytes, and no blanks.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(&mut out, value);
    out
}

fn write_canonical(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            let open = items.iter().fold('[', |mark, item| {
                out.push(mark);
                write_canonical(out, item);
                ','
            });
            out.push_str(if open == '[' { "[]" } else { "]" });
        }
        Value::Object(fields) => write_sorted(out, fields),
        // Writing to a string cannot fail.
        scalar => drop(write!(out, "{scalar}")),
    }
}

fn write_sorted(out: &mut String, fields: &Map<String, Value>) {
    let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let open = sorted.into_iter().fold('{', |mark, (key, value)| {
        out.push(mark);
        push_quoted(out, key);
        out.push(':');
        write_canonical(out, value);
        ','
    });
    out.push_str(if open == '{' { "{}" } else { "}" });
}

/// Appends a text as JSON.
pub fn push_quoted(out: &mut String, text: &str) {
    // A text can always be written.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// The SHA-256 of a value's canonical text, as hex.
#[must_use]
pub fn hash(value: &Value) -> String {
    secrets::hex(&Sha256::digest(canonical(value).as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn canonical_text_does_not_depend_on_order() {
        let one = json!({"b": [1, {"d": null, "c": "x\"y"}], "a": {}, "e": []});
        assert_eq!(canonical(&one), r#"{"a":{},"b":[1,{"c":"x\"y","d":null}],"e":[]}"#);
        let other = json!({"e": [], "a": {}, "b": [1, {"c": "x\"y", "d": null}]});
        assert_eq!(hash(&one), hash(&other));
        assert_ne!(hash(&one), hash(&json!({"a": {}})));
        assert_ne!(hash(&json!([1, 2])), hash(&json!([2, 1])));
    }

    #[test]
    fn depth_counts_containers() {
        assert_eq!(depth(&json!(1)), 0);
        assert_eq!(depth(&json!({})), 1);
        assert_eq!(depth(&json!({"a": [[1]], "b": {}})), 3);
    }

    #[test]
    fn texts_are_kept_as_they_are() {
        let text = JsonText::read("{\"b\": 1, \"a\":2}".to_owned()).unwrap();
        assert_eq!(serde_json::to_string(&text).unwrap(), "{\"b\": 1, \"a\":2}");
        assert_eq!(text.value(), json!({"b": 1, "a": 2}));
        assert_eq!(JsonText::of(&json!({"b": 1, "a": 2})).as_str(), "{\"b\":1,\"a\":2}");
        assert_eq!(JsonText::canonical(&json!({"b": 1, "a": 2})).as_str(), "{\"a\":2,\"b\":1}");
        assert!(JsonText::read("{".to_owned()).is_none());
    }
}
