//! JSON that is kept as text: columns that are written through without being parsed again.

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Stored JSON text, or what to write where there is none (or none that parses).
pub struct StoredJson<'a> {
    text: Option<&'a str>,
    fallback: Fallback,
}

#[derive(Clone, Copy)]
enum Fallback {
    Null,
    EmptyList,
}

impl<'a> StoredJson<'a> {
    /// `null` when absent.
    #[must_use]
    pub fn or_null(text: Option<&'a str>) -> Self {
        Self { text, fallback: Fallback::Null }
    }

    /// `[]` when absent.
    #[must_use]
    pub fn or_empty_list(text: Option<&'a str>) -> Self {
        Self { text, fallback: Fallback::EmptyList }
    }
}

impl Serialize for StoredJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(raw) = self.text.and_then(|text| serde_json::from_str::<&RawValue>(text).ok()) {
            return raw.serialize(serializer);
        }
        match self.fallback {
            Fallback::Null => serializer.serialize_none(),
            Fallback::EmptyList => serializer.serialize_seq(Some(0))?.end(),
        }
    }
}

/// The parts of a message: as stored, or one text part made of the content.
pub struct Parts<'a> {
    /// Stored JSON text.
    pub stored: Option<&'a str>,
    /// The content to fall back on.
    pub content: &'a str,
}

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(raw) = self.stored.and_then(|text| serde_json::from_str::<&RawValue>(text).ok()) {
            return raw.serialize(serializer);
        }
        let mut list = serializer.serialize_seq(Some(1))?;
        list.serialize_element(&TextPart { kind: "text", content: self.content })?;
        list.end()
    }
}

#[derive(Serialize)]
struct TextPart<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    content: &'a str,
}
