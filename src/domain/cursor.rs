//! Cursors of paged lists, and previews.
//!
//! A cursor names the last row of a page by its time and id. Clients treat it as opaque; a cursor that cannot be
//! decoded is ignored and gives the first page. There are two encodings: the opaque one, and `<time>|<id>` for the
//! organisation admin's thread list.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use crate::limits::{self, fits_utf16};

/// URL-safe base64 that writes no padding and does not mind any.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The last row of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Its time in ms.
    pub t: i64,
    /// Its id; text from a client, so it may name nothing.
    pub id: String,
}

impl Cursor {
    /// A cursor after this row.
    pub fn new(t: i64, id: impl ToString) -> Self {
        Self { t, id: id.to_string() }
    }

    /// The opaque text: base64url of `{"t":…,"id":…}`.
    #[must_use]
    pub fn encode(&self) -> String {
        let id = serde_json::Value::from(self.id.as_str());
        BASE64.encode(format!(r#"{{"t":{},"id":{id}}}"#, self.t))
    }

    /// The row of an opaque text; `None` for anything else.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        if text.len() > limits::CURSOR_BYTES {
            return None;
        }
        let bytes = BASE64.decode(text).ok()?;
        serde_json::from_slice::<Self>(&bytes).ok().filter(|cursor| !cursor.id.contains('\0'))
    }

    /// The readable text `<time>|<id>`.
    #[must_use]
    pub fn encode_readable(&self) -> String {
        format!("{}|{}", self.t, self.id)
    }

    /// The row of a readable text. A plain number is a time before which everything counts, so its id is empty and
    /// sorts before every other.
    #[must_use]
    pub fn decode_readable(text: &str) -> Option<Self> {
        let (t, id) = text.split_once('|').unwrap_or((text, ""));
        (text.len() <= limits::CURSOR_BYTES && !id.contains('\0')).then(|| t.parse().ok().map(|t| Self::new(t, id)))?
    }
}

/// The beginning of a message for a list: 200 UTF-16 units, then `…` if it goes on. Never splits a character.
#[must_use]
pub fn preview(content: &str) -> String {
    if fits_utf16(content, limits::PREVIEW_UNITS) {
        return content.to_owned();
    }
    let mut units = 0;
    let kept = content.chars().take_while(|character| {
        units += character.len_utf16();
        units <= limits::PREVIEW_UNITS
    });
    kept.chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_opaque_form_is_the_documented_one() {
        let cursor = Cursor::new(1_700_000_000_000, "abc");
        assert_eq!(cursor.encode(), "eyJ0IjoxNzAwMDAwMDAwMDAwLCJpZCI6ImFiYyJ9");
        assert_eq!(Cursor::decode("eyJ0IjoxNzAwMDAwMDAwMDAwLCJpZCI6ImFiYyJ9"), Some(cursor));
        assert_eq!(Cursor::decode("eyJ0IjoxLCJpZCI6ImEifQ=="), Some(Cursor::new(1, "a")));
    }

    #[test]
    fn nonsense_is_no_cursor() {
        for text in ["", "x", "%%", "bnVsbA", "e30", "eyJ0IjoiMSIsImlkIjoiYSJ9", &"A".repeat(9999)] {
            assert_eq!(Cursor::decode(text), None, "{text}");
        }
    }

    #[test]
    fn the_readable_form_takes_plain_times() {
        assert_eq!(Cursor::decode_readable("5|a"), Some(Cursor::new(5, "a")));
        assert_eq!(Cursor::decode_readable("5"), Some(Cursor::new(5, "")));
        for text in ["", "|a", "x|a", "5.5|a", "5|\u{0}"] {
            assert_eq!(Cursor::decode_readable(text), None, "{text}");
        }
    }

    #[test]
    fn previews_count_utf16_and_never_split() {
        assert_eq!(preview(&"a".repeat(200)), "a".repeat(200));
        assert_eq!(preview(&"a".repeat(201)), "a".repeat(200) + "…");
        assert_eq!(preview(&"😀".repeat(101)), "😀".repeat(100) + "…");
        assert_eq!(preview(&("a".to_owned() + &"😀".repeat(101))), "a".to_owned() + &"😀".repeat(99) + "…");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(t in any::<i64>(), id in "[^\\x00]{0,30}") {
            let cursor = Cursor::new(t, id);
            prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor.clone()));
            prop_assert_eq!(Cursor::decode_readable(&cursor.encode_readable()), Some(cursor));
        }

        #[test]
        fn any_text_can_be_tried(text in any::<String>()) {
            let _ = (Cursor::decode(&text), Cursor::decode_readable(&text));
        }

        #[test]
        fn previews_are_beginnings(content in ".{0,400}") {
            let shown = preview(&content);
            let kept = shown.strip_suffix('…').unwrap_or(&shown);
            prop_assert!(content.starts_with(kept));
            prop_assert!(limits::utf16_len(kept) <= limits::PREVIEW_UNITS);
        }
    }
}
