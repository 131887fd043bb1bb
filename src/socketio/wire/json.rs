//! What is checked in a packet's JSON before it is parsed, and the placeholders of binary attachments.

use serde_json::Value;

use super::Malformed;

/// Refuses JSON whose arrays and objects are nested deeper than `most`. What is not JSON is the parser's to refuse.
///
/// # Errors
/// If it is nested too deep.
pub fn check_depth(text: &str, most: usize) -> Result<(), Malformed> {
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if is_string {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => is_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => is_string = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > most {
                    return Err(Malformed::Depth);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// The placeholder of the attachment with this index.
#[must_use]
pub fn placeholder(index: usize) -> String {
    format!(r#"{{"_placeholder":true,"num":{index}}}"#)
}

/// Refuses a placeholder of an attachment that the packet does not have.
///
/// # Errors
/// If there is such a placeholder, or the text is no JSON.
pub fn check_placeholders(text: &str, attachments: usize) -> Result<(), Malformed> {
    let value = serde_json::from_str(text).map_err(|_| Malformed::Payload)?;
    if refers_within(&value, attachments) { Ok(()) } else { Err(Malformed::Attachments) }
}

/// The depth of the value is bounded by the parser.
fn refers_within(value: &Value, attachments: usize) -> bool {
    match value {
        Value::Object(fields) if fields.get("_placeholder") == Some(&Value::Bool(true)) => {
            let index = fields.get("num").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
            index.is_some_and(|index| index < attachments)
        }
        Value::Object(fields) => fields.values().all(|field| refers_within(field, attachments)),
        Value::Array(items) => items.iter().all(|item| refers_within(item, attachments)),
        _ => true,
    }
}
