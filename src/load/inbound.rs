//! What the load tester reads of the hub's frames: the few fields it checks, borrowed from the read buffer.
//!
//! Unknown fields and unknown frame types are skipped, as every client must.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Any frame of the hub.
#[derive(Debug, Deserialize)]
pub struct Inbound<'a> {
    /// `ack`, `error`, `pong` or an event name.
    #[serde(rename = "type", borrow)]
    pub kind: &'a str,
    /// The ref of the operation that this answers.
    #[serde(rename = "ref", borrow, default)]
    pub reference: Option<&'a str>,
    /// Result of an ack.
    #[serde(borrow, default)]
    pub result: Option<AckResult<'a>>,
    /// Error text, or the message of a `message` or `thread_message` event.
    #[serde(borrow, default)]
    pub message: Option<Body<'a>>,
    /// Error code.
    #[serde(borrow, default)]
    pub code: Option<&'a str>,
    /// Thread of the event.
    #[serde(borrow, default)]
    pub thread_id: Option<&'a str>,
    /// Channel of the event.
    #[serde(borrow, default)]
    pub channel_id: Option<&'a str>,
    /// The thread of a `thread_updated` event.
    #[serde(borrow, default)]
    pub thread: Option<ThreadView<'a>>,
    /// The artifact of a `thread_artifact` event.
    #[serde(borrow, default)]
    pub artifact: Option<ArtifactView<'a>>,
}

/// Result of an ack.
#[derive(Debug, Deserialize)]
pub struct AckResult<'a> {
    /// Of a sent message.
    #[serde(borrow, default)]
    pub message_id: Option<&'a str>,
    /// Of a changed thread.
    #[serde(default)]
    pub revision: Option<u32>,
    /// Of an artifact.
    #[serde(default)]
    pub version: Option<u32>,
}

/// A thread after a change.
#[derive(Debug, Deserialize)]
pub struct ThreadView<'a> {
    /// Its id.
    #[serde(borrow)]
    pub id: &'a str,
    /// Its status.
    #[serde(borrow)]
    pub status: &'a str,
    /// Its revision.
    pub revision: u32,
}

/// A new artifact version.
#[derive(Debug, Deserialize)]
pub struct ArtifactView<'a> {
    /// Its key.
    #[serde(borrow)]
    pub artifact_key: &'a str,
    /// Its version.
    pub version: u32,
}

/// A delivered message.
#[derive(Debug, Deserialize)]
pub struct Delivered<'a> {
    /// Its text.
    #[serde(borrow)]
    pub content: Cow<'a, str>,
    /// Milliseconds since the epoch.
    pub created_at: i64,
}

impl Inbound<'_> {
    /// The text of an error, empty if it has none.
    pub fn error_text(&self) -> &str {
        match &self.message {
            Some(Body::Text(text)) => text,
            _ => "",
        }
    }
}

/// The field `message` is a text in an error and an object in an event.
#[derive(Debug)]
pub enum Body<'a> {
    /// Error text.
    Text(Cow<'a, str>),
    /// An event's message.
    Delivered(Delivered<'a>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrObject;

        impl<'de> Visitor<'de> for TextOrObject {
            type Value = Body<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text or a message")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Body::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Body::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Delivered::deserialize(MapAccessDeserializer::new(map)).map(Body::Delivered)
            }
        }

        deserializer.deserialize_any(TextOrObject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_text_or_object() {
        let error: Inbound<'_> = serde_json::from_str(r#"{"type":"error","message":"no \"x\"","ref":"7"}"#).unwrap();
        assert!(matches!(error.message, Some(Body::Text(text)) if text == "no \"x\""));
        assert_eq!(error.reference, Some("7"));
        let event =
            r#"{"type":"message","channel_id":"c","message":{"id":"m","content":"hi","created_at":5,"parts":[{}]}}"#;
        let event: Inbound<'_> = serde_json::from_str(event).unwrap();
        assert!(matches!(event.message, Some(Body::Delivered(Delivered { created_at: 5, .. }))));
    }
}
