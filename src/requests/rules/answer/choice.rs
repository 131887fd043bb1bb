//! Choices: the answer names the key of an option, or of several.

use serde_json::{Map, Value};

use super::DATA;
use crate::rules::faults::{Faults, quoted};
use crate::rules::request::{ResponseSchema, Verdict};

/// Fields that hold the choice, the first that is there.
const ONE: [&str; 7] = ["choice", "selected", "option", "decision", "value", "answer", "key"];
/// The same where several may be chosen.
const SEVERAL: [&str; 7] = ["choices", "selected", "options", "decisions", "values", "answers", "keys"];

/// Checks it.
pub fn check(schema: &ResponseSchema, data: &Map<String, Value>, faults: &mut Faults) -> Verdict {
    let is_key = |text: &str| schema.options().iter().any(|option| option.key == text);
    let names = if schema.is_multiple() { [ONE, SEVERAL].concat() } else { ONE.to_vec() };
    let named = names.into_iter().find_map(|name| Some((name, data.get(name)?)));
    // A form may name its field otherwise.
    let other = || data.iter().find(|(_, value)| holds_keys(value, schema.is_multiple(), &is_key));
    let found = named.or_else(|| other().map(|(name, value)| (name.as_str(), value)));
    let keys = match found {
        Some((name, value)) => keys(schema, (name, value), &is_key, faults),
        None => {
            faults.add(format!("{DATA}.choice"), format!("Required: {}", legal(schema)));
            Vec::new()
        }
    };
    Verdict::Chosen(keys)
}

fn holds_keys(value: &Value, is_multiple: bool, is_key: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_key(text),
        Value::Array(items) => {
            is_multiple && !items.is_empty() && items.iter().all(|item| item.as_str().is_some_and(is_key))
        }
        _ => false,
    }
}

/// The keys, sorted; faults where there is one that is none.
fn keys(
    schema: &ResponseSchema,
    (name, value): (&str, &Value),
    is_key: &impl Fn(&str) -> bool,
    faults: &mut Faults,
) -> Vec<String> {
    let path = format!("{DATA}.{name}");
    let given: Vec<(String, &Value)> = match value {
        Value::Array(items) if schema.is_multiple() => {
            items.iter().enumerate().map(|(index, item)| (format!("{path}.{index}"), item)).collect()
        }
        one => vec![(path.clone(), one)],
    };
    if given.is_empty() {
        faults.add(path, format!("Array must contain at least 1 element(s): {}", legal(schema)));
    }
    let mut keys: Vec<String> = Vec::new();
    for (path, item) in given {
        match item.as_str() {
            Some(text) if keys.iter().any(|key| key == text) => faults.add(path, "Keys must be different"),
            Some(text) if is_key(text) => keys.push(text.to_owned()),
            Some(text) => faults.add(path, format!("Invalid option. {}, received {}", legal(schema), quoted(text))),
            None => faults.add(path, format!("Must be the key of an option. {}", legal(schema))),
        }
    }
    keys.sort_unstable();
    keys
}

/// The first of the keys, for messages.
fn legal(schema: &ResponseSchema) -> String {
    let mut keys: Vec<String> = schema.options().iter().take(10).map(|option| quoted(&option.key)).collect();
    if schema.options().len() > keys.len() {
        keys.push("…".to_owned());
    }
    format!("Expected {}", keys.join(" | "))
}
