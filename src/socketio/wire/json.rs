//! What is checked in a packet's JSON before it is parsed, and the placeholders of binary attachments.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

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
    let mut is_beyond = false;
    let mut parser = serde_json::Deserializer::from_str(text);
    let walk = Walk { attachments, is_beyond: &mut is_beyond };
    walk.deserialize(&mut parser).map_err(|_| Malformed::Payload)?;
    if is_beyond { Err(Malformed::Attachments) } else { Ok(()) }
}

/// Whether a text that is JSON is an object.
#[must_use]
pub fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && is_json(text)
}

/// Whether a text is JSON; without making values of it, which would take many times its memory.
#[must_use]
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Walks over a value without keeping it. Its depth is bounded by the parser.
struct Walk<'a> {
    attachments: usize,
    is_beyond: &'a mut bool,
}

/// What matters of a value.
#[derive(PartialEq, Eq)]
enum Seen {
    True,
    Number(u64),
    Other,
}

impl Walk<'_> {
    fn again(&mut self) -> Walk<'_> {
        Walk { attachments: self.attachments, is_beyond: self.is_beyond }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Seen;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Seen, E> {
        Ok(if value { Seen::True } else { Seen::Other })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Seen, E> {
        Ok(Seen::Number(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_unit<E>(self) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Seen, A::Error> {
        while items.next_element_seed(self.again())?.is_some() {}
        Ok(Seen::Other)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Seen, A::Error> {
        let (mut is_placeholder, mut index) = (false, None);
        while let Some(key) = fields.next_key::<String>()? {
            let seen = fields.next_value_seed(self.again())?;
            match (key.as_str(), seen) {
                ("_placeholder", seen) => is_placeholder = seen == Seen::True,
                ("num", Seen::Number(number)) => index = usize::try_from(number).ok(),
                ("num", _) => index = None,
                _ => {}
            }
        }
        *self.is_beyond |= is_placeholder && index.is_none_or(|index| index >= self.attachments);
        Ok(Seen::Other)
    }
}
