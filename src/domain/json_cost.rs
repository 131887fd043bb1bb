//! Estimates the memory that a JSON text takes once it is parsed: two characters can become a hundred bytes.
//!
//! The upper bound is needed before parsing, and is computed in one pass that skips strings.

use memchr::memchr2;
use serde_json::Value;

/// A value in a list or object, which grow by doubling.
const VALUE: usize = 2 * std::mem::size_of::<Value>();
/// A list with something in it: room for four values is taken at once.
const LIST: usize = 4 * std::mem::size_of::<Value>();
/// A key with its value, hash and place in the index, which grow by doubling, and the allocation of its text.
const KEY: usize = 2 * (std::mem::size_of::<Value>() + 48) + 32;
/// An object with something in it.
const OBJECT: usize = 4 * (std::mem::size_of::<Value>() + 48);

/// Most bytes that the parsed text takes.
#[must_use]
pub fn parsed_bytes(text: &[u8]) -> usize {
    let mut rest = text;
    let mut cost = VALUE;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let more = match first {
            b'"' => {
                let (length, after) = string(rest);
                rest = after;
                length.saturating_add(16)
            }
            b',' => VALUE,
            b'[' => LIST,
            b'{' => OBJECT,
            b':' => KEY,
            _ => 0,
        };
        cost = cost.saturating_add(more);
    }
    cost
}

/// The length of the string that begins here, and what comes after it.
fn string(text: &[u8]) -> (usize, &[u8]) {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        let place = at.saturating_add(found);
        if text.get(place) == Some(&b'"') {
            return (place, text.get(place.saturating_add(1)..).unwrap_or_default());
        }
        at = place.saturating_add(2);
    }
    (text.len(), &[])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// What a value holds on the heap at least, without what its containers keep free.
    fn held(value: &Value) -> usize {
        let own = std::mem::size_of::<Value>();
        own + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.capacity() * own - items.len() * own + items.iter().map(held).sum::<usize>(),
            Value::Object(fields) => fields.iter().map(|(key, value)| 24 + 8 + key.len() + held(value)).sum(),
            _ => 0,
        }
    }

    #[test]
    fn no_text_costs_more_than_is_said() {
        for text in [
            format!("[{}0]", "0,".repeat(10_000)),
            format!("[{}0]", "[0],".repeat(10_000)),
            format!("[{}0]", "[],".repeat(10_000)),
            format!("[{}0]", "{\"\":0},".repeat(10_000)),
            format!("{{{}\"\":0}}", (0..10_000).map(|n| format!("\"{n}\":0,")).collect::<String>()),
            format!("{}{}", "[".repeat(100), "]".repeat(100)),
            "\"a\\\"b\\\\\"".to_owned(),
        ] {
            let value: Value = serde_json::from_str(&text).unwrap();
            let (cost, held) = (parsed_bytes(text.as_bytes()), held(&value));
            assert!(held <= cost, "{text:.30}: {held} > {cost}");
        }
    }

    #[test]
    fn prose_costs_what_it_is_long() {
        let prose = json!({ "content": "one, two, [three]: {\"four\"}, ".repeat(10_000) }).to_string();
        assert!(parsed_bytes(prose.as_bytes()) < prose.len() + 4096);
        assert_eq!(parsed_bytes(b"\"never ends, \\"), VALUE + 14 + 16 - 1);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<i32>().prop_map(Value::from), any::<String>().prop_map(Value::from)];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
                proptest::collection::vec((any::<String>(), inner), 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn parsed_values_cost_no_more(value in any_json()) {
            let text = value.to_string();
            let parsed: Value = serde_json::from_str(&text).unwrap();
            prop_assert!(held(&parsed) <= parsed_bytes(text.as_bytes()));
        }

        #[test]
        fn any_bytes_can_be_judged(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(parsed_bytes(&bytes) >= VALUE);
        }
    }
}
