//! Long texts in what an agent reports: their ends are kept. Prompts of people are never cut.

use serde_json::Value;

use crate::rules::limits;
use crate::rules::words::Role;

use super::role_of;

/// Cuts the long texts of an agent's content; whether there were any. Other content stays as it is.
pub fn cut_content(content: &mut Value) -> bool {
    role_of(content) == Some(Role::Agent) && cut_within(content)
}

fn cut_within(value: &mut Value) -> bool {
    match value {
        Value::String(text) => cut_text(text),
        Value::Array(items) => cut_all(items.iter_mut()),
        Value::Object(fields) => cut_all(fields.values_mut()),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn cut_all<'a>(values: impl Iterator<Item = &'a mut Value>) -> bool {
    let mut any = false;
    for value in values {
        any |= cut_within(value);
    }
    any
}

fn cut_text(text: &mut String) -> bool {
    if text.len() <= limits::AGENT_TEXT_BYTES {
        return false;
    }
    let head_end = text.floor_char_boundary(limits::AGENT_TEXT_HEAD_BYTES);
    let tail_start = text.ceil_char_boundary(text.len().saturating_sub(limits::AGENT_TEXT_TAIL_BYTES));
    let (head, tail) = (text.get(..head_end).unwrap_or_default(), text.get(tail_start..).unwrap_or_default());
    let cut = tail_start.saturating_sub(head_end);
    *text = format!("{head}\n[… {cut} bytes left out …]\n{tail}");
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn long_texts_of_agents_keep_their_ends() {
        let long = format!("{}{}", "a".repeat(60_000), "z".repeat(60_000));
        let mut content = json!({"role": "agent", "content": {"data": [{"out": long}, "short", {"more": long}]}});
        assert!(cut_content(&mut content));
        let out = content["content"]["data"][0]["out"].as_str().unwrap();
        assert!(out.len() < limits::AGENT_TEXT_BYTES);
        assert!(out.starts_with(&"a".repeat(48 * 1024)) && out.ends_with(&"z".repeat(12 * 1024)));
        assert!(out.contains("58560 bytes left out"));
        assert_eq!(content["content"]["data"][2]["more"].as_str().unwrap(), out);
        assert!(!cut_content(&mut content));
    }

    #[test]
    fn prompts_and_short_texts_stay() {
        for mut content in [
            json!({"role": "user", "content": "x".repeat(100_000)}),
            json!("x".repeat(100_000)),
            json!({"role": "agent", "content": "x".repeat(limits::AGENT_TEXT_BYTES)}),
        ] {
            let before = content.clone();
            assert!(!cut_content(&mut content));
            assert_eq!(content, before);
        }
    }

    proptest! {
        #[test]
        fn characters_are_never_split(shift in 0_usize..8, sign in "[a-zäß€😀]") {
            let text = format!("{}{}", "x".repeat(shift), sign.repeat(70_000));
            let mut content = json!({"role": "agent", "text": text});
            prop_assert!(cut_content(&mut content));
            let cut = content["text"].as_str().unwrap();
            prop_assert!(cut.len() <= limits::AGENT_TEXT_BYTES && cut.ends_with(&sign));
        }
    }
}
