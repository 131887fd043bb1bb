//! The arguments of an event or an acknowledgement: JSON texts as they came, and binary attachments.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserializer as _, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Malformed;
use super::json::placeholder;

/// Arguments of an event or an acknowledgement.
///
/// Each is the JSON text that was received or serialized, so that what is passed on keeps its numbers and the order of
/// its keys. A binary attachment appears in that text as `{"_placeholder":true,"num":0}`, where `num` is its index.
///
/// Clones share their bytes. Received arguments keep the buffer in memory that they were read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    items: Vec<ByteString>,
    attachments: Vec<Bytes>,
}

impl Args {
    /// No arguments.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with another argument.
    ///
    /// # Errors
    /// If the value has no JSON form.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Result<Self, serde_json::Error> {
        self.items.push(serde_json::to_string(value)?.into());
        Ok(self)
    }

    /// The same with another argument, which is binary.
    #[must_use]
    pub fn binary(mut self, bytes: impl Into<Bytes>) -> Self {
        self.items.push(placeholder(self.attachments.len()).into());
        self.attachments.push(bytes.into());
        self
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The JSON text of an argument.
    #[must_use]
    pub fn raw(&self, index: usize) -> Option<&str> {
        self.items.get(index).map(AsRef::as_ref)
    }

    /// An argument as a JSON value; `null` if it is missing or nested deeper than the parser goes.
    #[must_use]
    pub fn value(&self, index: usize) -> Value {
        self.get(index).unwrap_or_default()
    }

    /// An argument as a type of the application; a missing one is read as `null`.
    ///
    /// # Errors
    /// If it is not of that type.
    pub fn get<T: DeserializeOwned>(&self, index: usize) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.raw(index).unwrap_or("null"))
    }

    /// The bytes of an argument that is binary as a whole.
    #[must_use]
    pub fn bytes(&self, index: usize) -> Option<&Bytes> {
        let text = self.raw(index)?;
        if !text.contains("_placeholder") {
            return None;
        }
        let value: Value = serde_json::from_str(text).ok()?;
        if value.get("_placeholder") != Some(&Value::Bool(true)) {
            return None;
        }
        self.attachments.get(usize::try_from(value.get("num")?.as_u64()?).ok()?)
    }

    /// The binary attachments, which placeholders in the texts refer to.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// The JSON texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(AsRef::as_ref)
    }

    /// Reads the array in a packet; its items share the bytes of `text`.
    pub(super) fn read(text: &ByteString, most: usize) -> Result<Self, Malformed> {
        let mut parser = serde_json::Deserializer::from_str(text);
        let items = parser.deserialize_seq(Items { text, most }).map_err(|_| Malformed::Payload)?;
        parser.end().map_err(|_| Malformed::Payload)?;
        Ok(Self { items, attachments: Vec::new() })
    }

    /// Takes out the first argument, which is the name of an event.
    pub(super) fn take_first(&mut self) -> Option<ByteString> {
        if self.items.is_empty() { None } else { Some(self.items.remove(0)) }
    }

    pub(super) fn attach(&mut self, attachments: Vec<Bytes>) {
        self.attachments = attachments;
    }
}

/// Reads an array's items as texts, but not more than so many.
struct Items<'a> {
    text: &'a ByteString,
    most: usize,
}

impl<'de> Visitor<'de> for Items<'de> {
    type Value = Vec<ByteString>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an array of at most {} items", self.most)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element::<&RawValue>()? {
            if items.len() >= self.most {
                return Err(A::Error::invalid_length(items.len() + 1, &self));
            }
            items.push(self.text.slice_ref(item.get()));
        }
        Ok(items)
    }
}

/// What an event or an acknowledgement can be sent with: [`Args`], or anything that serializes.
///
/// A sequence or tuple is the list of arguments, `()` is none, and any other value is one argument. To send one list or
/// one null as the only argument, put it into a tuple: `(list,)`.
pub trait ToArgs {
    /// The arguments.
    ///
    /// # Errors
    /// If the value has no JSON form.
    fn to_args(&self) -> Result<Args, serde_json::Error>;
}

impl<T: Serialize + ?Sized> ToArgs for T {
    fn to_args(&self) -> Result<Args, serde_json::Error> {
        let text = ByteString::from(serde_json::to_string(self)?);
        if text == "null" {
            return Ok(Args::default());
        }
        match Args::read(&text, usize::MAX) {
            Ok(args) => Ok(args),
            Err(_) => Ok(Args { items: vec![text], attachments: Vec::new() }),
        }
    }
}

impl ToArgs for Args {
    fn to_args(&self) -> Result<Args, serde_json::Error> {
        Ok(self.clone())
    }
}
