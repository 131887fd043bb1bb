//! Looking at JSON: short accessors, and `shape`, which replaces ids, times and secrets by their kind for snapshots.

use serde_json::Value;

/// Accessors that panic with the whole value, so that a failing test shows what came.
pub trait Fields {
    fn text(&self, key: &str) -> String;
    fn int(&self, key: &str) -> i64;
    fn items(&self, key: &str) -> &Vec<Value>;
    /// Names of the fields, sorted.
    fn keys(&self) -> Vec<&str>;
    /// The field of every element.
    fn all(&self, key: &str) -> Vec<&str>;
}

impl Fields for Value {
    #[track_caller]
    fn text(&self, key: &str) -> String {
        self[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {self}")).to_owned()
    }

    #[track_caller]
    fn int(&self, key: &str) -> i64 {
        self[key].as_i64().unwrap_or_else(|| panic!("no integer `{key}` in {self}"))
    }

    #[track_caller]
    fn items(&self, key: &str) -> &Vec<Value> {
        self[key].as_array().unwrap_or_else(|| panic!("no array `{key}` in {self}"))
    }

    #[track_caller]
    fn keys(&self) -> Vec<&str> {
        let object = self.as_object().unwrap_or_else(|| panic!("not an object: {self}"));
        let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    #[track_caller]
    fn all(&self, key: &str) -> Vec<&str> {
        let items = self.as_array().unwrap_or_else(|| panic!("not an array: {self}"));
        items.iter().map(|item| item[key].as_str().unwrap_or("?")).collect()
    }
}

/// The value with ids, times and secrets replaced by `[kind]`, and keys sorted: the same on every run.
pub fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            let of =
                |key: &str| if key == "seq" && map.contains_key("epoch") { "[seq]".into() } else { shape(&map[key]) };
            keys.into_iter().map(|key| (key.clone(), of(key))).collect()
        }
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Number(number) if number.as_i64().is_some_and(|n| n > 1_000_000_000_000) => "[ms]".into(),
        Value::String(text) => shape_of_text(text).into(),
        other => other.clone(),
    }
}

fn shape_of_text(text: &str) -> &str {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match text.split_once('_') {
        Some(("bot", rest)) if rest.len() == 48 && hex(rest) => "[bot token]",
        Some(("scoped", rest)) if rest.len() == 48 && hex(rest) => "[scoped token]",
        Some(("tkt", rest)) if hex(rest) => "[ticket]",
        Some(("hxa", rest)) if hex(rest) => "[invite code]",
        _ if uuid::Uuid::try_parse(text).is_ok() => "[uuid]",
        _ if text.len() >= 16 && hex(text) => "[hex]",
        _ => text,
    }
}
