//! The author of a message: a person through the web, or a bot.
//!
//! Messages sent with a bot owner's session carry `provenance` in their metadata; only the hub sets it. Agents rely on
//! it, so the key is removed from everything that a bot sends, however the JSON is nested, because consumers parse
//! metadata that is text once more.

use serde_json::{Value, json};

use crate::text::Fields;

/// The key of the metadata that only the hub writes.
const PROVENANCE: &str = "provenance";

/// Who stands behind the caller of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author<'a> {
    /// A bot with its token.
    Bot,
    /// A human who acts for a bot through the web.
    Human {
        /// The name given at login.
        owner_name: Option<&'a str>,
    },
}

/// Checked metadata text as it shall be stored for this author.
#[must_use]
pub fn attribute(author: Author<'_>, metadata: Option<String>) -> Option<String> {
    match author {
        Author::Human { owner_name } => {
            let given = metadata.and_then(|text| serde_json::from_str(&text).ok());
            Some(set_human(given, owner_name).to_string())
        }
        Author::Bot => metadata.map(|text| match unwrap_claim(&text) {
            Some(honest) => honest.to_string(),
            None => text,
        }),
    }
}

/// Metadata of a message a human wrote: what was given, if it is an object, with the hub's word on its author.
#[must_use]
pub fn set_human(metadata: Option<Value>, owner_name: Option<&str>) -> Value {
    let mut fields = match metadata {
        Some(Value::Object(fields)) => fields,
        _ => Fields::new(),
    };
    let provenance = json!({ "authored_by": "human", "owner_name": owner_name, "auth_mode": "web_ui" });
    fields.insert(PROVENANCE.to_owned(), provenance);
    Value::Object(fields)
}

/// Metadata of a message a bot sent: as given, but without a claim to be written by a human.
#[must_use]
pub fn strip_forged(metadata: Value) -> Value {
    match metadata {
        Value::Object(mut fields) => {
            fields.shift_remove(PROVENANCE);
            Value::Object(fields)
        }
        Value::String(text) => match unwrap_claim(&text) {
            Some(honest) => honest,
            None => Value::String(text),
        },
        other => other,
    }
}

/// The object without its claim, when a text is the JSON (of the JSON …) of an object that makes one.
fn unwrap_claim(text: &str) -> Option<Value> {
    // Without the word, only an escape can spell it.
    if !text.contains(PROVENANCE) && !text.contains("\\u") {
        return None;
    }
    let mut value: Value = serde_json::from_str(text).ok()?;
    while let Value::String(inner) = &value {
        value = serde_json::from_str(inner).ok()?;
    }
    let fields = value.as_object_mut()?;
    fields.shift_remove(PROVENANCE)?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claims(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.contains_key(PROVENANCE),
            Value::String(text) => serde_json::from_str(text).is_ok_and(|inner: Value| claims(&inner)),
            _ => false,
        }
    }

    #[test]
    fn the_hub_names_the_human() {
        let expected =
            json!({"a": 1, "provenance": {"authored_by": "human", "owner_name": "Ann", "auth_mode": "web_ui"}});
        assert_eq!(set_human(Some(json!({"a": 1, "provenance": "x"})), Some("Ann")), expected);
        let nameless = set_human(Some(json!("text")), None);
        assert_eq!(nameless["provenance"]["owner_name"], Value::Null);
        assert_eq!(nameless.as_object().unwrap().len(), 1);
        assert_eq!(set_human(None, None), nameless);
    }

    #[test]
    fn bots_cannot_claim_to_be_human() {
        let forged = json!({"a": 1, "provenance": {"authored_by": "human"}, "b": 2});
        let honest = json!({"a": 1, "b": 2});
        assert_eq!(strip_forged(forged.clone()).to_string(), honest.to_string());
        let once = forged.to_string();
        assert_eq!(strip_forged(Value::from(once.as_str())), honest);
        let twice = Value::from(once).to_string();
        assert_eq!(strip_forged(Value::from(twice)), honest);
        let escaped = r#"{"a":1,"b":2,"\u0070rovenance":{"authored_by":"human"}}"#;
        assert_eq!(strip_forged(json!(escaped)), honest);
    }

    #[test]
    fn stored_metadata_is_attributed_to_its_author() {
        let human = Author::Human { owner_name: Some("Ann") };
        let text = attribute(human, Some(r#"{"a":1}"#.into())).unwrap();
        assert!(text.starts_with(r#"{"a":1,"provenance":{"authored_by":"human","owner_name":"Ann""#), "{text}");
        assert!(attribute(human, Some("plain".into())).unwrap().starts_with(r#"{"provenance""#));
        assert_eq!(attribute(Author::Bot, text.into()).unwrap(), r#"{"a":1}"#);
        assert_eq!(attribute(Author::Bot, Some("plain".into())).unwrap(), "plain");
        assert_eq!(attribute(Author::Bot, None), None);
    }

    #[test]
    fn everything_else_stays_as_given() {
        for value in [json!("provenance"), json!("{\"a\":1}"), json!([{"provenance": 1}]), json!(7), Value::Null] {
            assert_eq!(strip_forged(value.clone()), value);
        }
    }

    proptest! {
        #[test]
        fn no_wrapping_carries_a_claim(depth in 0usize..5, extra in any::<bool>()) {
            let mut value = if extra { json!({"provenance": {}, "x": [1]}) } else { json!({"provenance": 1}) };
            for _ in 0..depth {
                value = Value::from(value.to_string());
            }
            prop_assert!(claims(&value));
            prop_assert!(!claims(&strip_forged(value)));
        }
    }
}
