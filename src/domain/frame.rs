//! A client's frame as JSON: the fields of one object, with `ref` kept exactly as written.
//!
//! A JSON parser would change values that it does not represent exactly: `1.0`, `1e3`, numbers beyond 2^53, the order
//! of keys. The client compares with what it sent, so a `ref` is never parsed, only copied. A frame that is not valid
//! JSON may still have one.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::ApiError;
use crate::limits;
use crate::text::{Fields, is_truthy};

/// The field that is carried.
pub const REF: &str = "ref";

/// A `ref` as it was written.
pub type Reference = Box<RawValue>;

/// The fields of an object and, apart from them, its `ref`.
#[derive(Debug)]
pub struct Labelled {
    /// The `ref`, if there is one at all.
    pub reference: Option<Reference>,
    /// All other fields.
    pub fields: Fields,
}

impl<'de> Deserialize<'de> for Labelled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Labelled;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object with a `type`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labelled, A::Error> {
                let (mut reference, mut fields) = (None, Fields::new());
                while let Some(key) = map.next_key::<String>()? {
                    if key == REF {
                        reference = Some(map.next_value()?);
                    } else {
                        fields.insert(key, map.next_value()?);
                    }
                }
                Ok(Labelled { reference, fields })
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// Reads a frame. A byte-order mark before it is no part of it.
///
/// # Errors
/// `VALIDATION_ERROR` for what is no JSON object or holds too many values, with the `ref` to answer under where one is
/// found.
pub fn read(text: &str) -> Result<Labelled, (ApiError, Option<Reference>)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > limits::FRAME_VALUES && values(text) > limits::FRAME_VALUES {
        let most = limits::FRAME_VALUES;
        let error = ApiError::validation(format!("The frame holds too many values (at most {most})"));
        return Err((error, find_reference(text)));
    }
    serde_json::from_str(text).map_err(|error| {
        let message = if error.is_data() {
            "A frame is a JSON object with a `type`".to_owned()
        } else {
            format!("The frame is not valid JSON: {error}")
        };
        (ApiError::validation(message), find_reference(text))
    })
}

/// The `ref` that an answer must carry, without reading anything else of the frame.
#[must_use]
pub fn reference_of(text: &str) -> Option<Reference> {
    find_reference(text).filter(|reference| asks(reference))
}

/// Whether a `ref` asks for an answer; one that JavaScript takes for false does not.
#[must_use]
pub fn asks(reference: &RawValue) -> bool {
    let text = reference.get();
    match text.as_bytes().first() {
        Some(b'"') => text != "\"\"",
        Some(b'{' | b'[') => true,
        _ => match text.parse::<f64>() {
            Ok(number) => number != 0.0,
            Err(_) => serde_json::from_str(text).is_ok_and(|value| is_truthy(&value)),
        },
    }
}

/// A little more than the memory that the values of a frame take once they are read, by what separates them.
#[must_use]
pub fn weight(text: &str) -> usize {
    /// What one value takes.
    const VALUE: usize = size_of::<Value>();
    let separators = text.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    text.len().saturating_add(separators.saturating_mul(VALUE))
}

/// How many values there are, give or take one.
fn values(text: &str) -> usize {
    Tokens::of(text).filter(|token| matches!(token.byte, b',' | b'[' | b'{')).count()
}

/// The first `ref` of the outermost object, whatever else is wrong with the text.
fn find_reference(text: &str) -> Option<Reference> {
    let (mut depth, mut key_ends) = (0_usize, None);
    for token in Tokens::of(text) {
        match token.byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' if depth <= 1 && text.get(token.at..token.end) == Some("\"ref\"") => {
                key_ends = Some(token.end);
                continue;
            }
            b':' if key_ends.is_some_and(|end| is_blank(text.get(end..token.at))) => {
                let value = text.get(token.end..).unwrap_or_default();
                let mut values = serde_json::Deserializer::from_str(value).into_iter::<Reference>();
                if let Some(Ok(reference)) = values.next() {
                    return Some(reference);
                }
            }
            _ => {}
        }
        key_ends = None;
    }
    None
}

fn is_blank(between: Option<&str>) -> bool {
    between.is_some_and(|between| between.trim_ascii().is_empty())
}

/// The structure of a JSON text, or of what was meant to be one: strings whole, and what stands between values.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

struct Token {
    byte: u8,
    at: usize,
    end: usize,
}

impl<'a> Tokens<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, at: 0 }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let skipped = rest.iter().position(|byte| b"\"{}[],:".contains(byte))?;
        let (at, byte) = (self.at + skipped, *rest.get(skipped)?);
        let size = if byte == b'"' { string_size(rest.get(skipped..)?) } else { 1 };
        self.at = at + size;
        Some(Token { byte, at, end: self.at })
    }
}

/// Bytes of the string at the start of these, its quotes included; one that does not end takes all.
fn string_size(bytes: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = bytes.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(bytes.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Option<String> {
        let reference = match read(text) {
            Ok(labelled) => labelled.reference,
            Err((_, reference)) => reference,
        };
        reference.map(|reference| reference.get().to_owned())
    }

    #[test]
    fn a_ref_is_carried_as_it_was_written() {
        let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        for reference in [
            "1",
            "1.0",
            "1e3",
            "-0.5E+2",
            "9007199254740993",
            "123456789012345678901234567890",
            "1e400",
            "\"text\"",
            "\"\\u00e9\\ud800\"",
            "{\"b\":1, \"a\" : 2,\"b\":3}",
            "[1.0, null]",
            "true",
            "null",
            &deep,
        ] {
            let whole = format!("{{\"type\":\"ping\", \"ref\" : {reference} ,\"x\":1}}");
            assert!(read(&whole).is_ok(), "{whole}");
            assert_eq!(found(&whole).as_deref(), Some(reference));
            for broken in
                ["{\"ref\":R", "{\"ref\":R,", "{\"type\":,\"ref\":R}", "{\"a\":\"\\x\",\"ref\":R}", "{\"ref\":R} x"]
            {
                let broken = broken.replace('R', reference);
                assert!(read(&broken).is_err(), "{broken}");
                assert_eq!(found(&broken).as_deref(), Some(reference), "{broken}");
            }
        }
    }

    #[test]
    fn only_the_ref_of_the_frame_itself_counts() {
        for text in [
            "",
            "{",
            "[{\"ref\":1}]",
            "{\"a\":{\"ref\":1},",
            "{\"a\":\"\\\"ref\\\":1\",",
            "{\"refs\":1,",
            "{\"a\":\"ref\",1",
            "{\"ref\"",
            "{\"ref\":",
            "{\"ref\":nonsense}",
            "{\"ref\",:1",
            "\"ref",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
        assert_eq!(found("{\"a\":{\"ref\":1},\"ref\":2,").as_deref(), Some("2"));
        assert_eq!(found("\u{feff}{\"type\":\"ping\",\"ref\":3}").as_deref(), Some("3"));
        assert_eq!(found("{\"a\":1e999,\"ref\":4}").as_deref(), Some("4"));
    }

    #[test]
    fn refs_that_are_true_ask_for_an_answer() {
        let asks = |text: &str| super::asks(&RawValue::from_string(text.to_owned()).unwrap());
        for text in ["1", "-1", "0.1", "1e400", "\"0\"", "\" \"", "{}", "[]", "true"] {
            assert!(asks(text), "{text}");
        }
        for text in ["0", "-0", "0.0", "0e7", "1e-400", "\"\"", "false", "null"] {
            assert!(!asks(text), "{text}");
        }
    }

    #[test]
    fn values_beyond_the_limit_are_refused_before_they_are_read() {
        let frame = |item: &str, count: usize| format!("{{\"ref\":1,\"a\":[{}]}}", vec![item; count].join(","));
        assert!(read(&frame("0", limits::FRAME_VALUES - 10)).is_ok());
        let (error, reference) = read(&frame("0", limits::FRAME_VALUES + 10)).unwrap_err();
        assert!(error.message().contains("too many values"), "{error}");
        assert_eq!(reference.unwrap().get(), "1");
        let text = format!("{{\"a\":\"{}\"}}", ",[{".repeat(limits::FRAME_VALUES));
        assert!(read(&text).is_ok(), "what a string holds is no value");
        assert!(weight(&frame("0", 1000)) > 1000 * size_of::<Value>());
        assert!(weight("{\"type\":\"ping\"}") < 200);
    }

    proptest! {
        #[test]
        fn a_whole_frame_is_read_as_ever(fields in proptest::collection::hash_map("[a-z]{1,8}", "\\PC{0,12}", 0..6)) {
            let fields: Fields = fields.into_iter().filter(|(key, _)| key != REF).map(|(k, v)| (k, v.into())).collect();
            let text = Value::Object(fields.clone()).to_string();
            let labelled = read(&text).unwrap();
            prop_assert_eq!(labelled.fields, fields);
            prop_assert!(labelled.reference.is_none());
        }

        #[test]
        fn noise_is_no_trouble(text in "[\\{\\}\\[\\],:\"\\\\ref1 ]{0,60}") {
            let _ = found(&text);
        }
    }
}
