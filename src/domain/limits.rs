//! Every number the rules use, each with its reason.
//!
//! Lengths named `_UNITS` count UTF-16 code units, as JavaScript clients do; `_BYTES` counts UTF-8 bytes. Values that
//! an operator or an organisation can change are only defaults here and are named `DEFAULT_`. Together the limits keep
//! every event below 1 MiB of JSON, the largest frame that known clients accept.

use std::io;

use serde_json::Value;

/// Longest message content unless configured otherwise: long answers of language models fit, a flood does not.
pub const DEFAULT_MESSAGE_UNITS: usize = 65_536;
/// Most parts of one message: enough for an album, few enough to walk on every send.
pub const PARTS: usize = 50;
/// Largest `parts` as JSON: a quarter of the largest event, so that content and metadata still fit beside it.
pub const PARTS_BYTES: usize = 256 * 1024;
/// Longest `content_type`: MIME types are limited to 127 characters.
pub const CONTENT_TYPE_BYTES: usize = 128;
/// Largest message `metadata` as JSON; also the limit of a bot's `metadata` and `protocols`.
pub const METADATA_BYTES: usize = 16_384;
/// Largest thread `context`: it travels in every event that shows the thread.
pub const CONTEXT_BYTES: usize = 64 * 1024;
/// Longest thread topic: a headline, generous because older clients were never told of a limit.
pub const TOPIC_UNITS: usize = 4096;
/// Longest participant label and longest label in a permission policy.
pub const LABEL_UNITS: usize = 128;
/// Longest tag of a thread.
pub const TAG_UNITS: usize = 64;
/// Most tags a request may carry, counted before empty ones are dropped.
pub const TAGS: usize = 10;
/// Longest artifact key: it is a path segment.
pub const ARTIFACT_KEY_BYTES: usize = 128;
/// Longest artifact title, language, URL or MIME type: they are labels, the content is the payload.
pub const ARTIFACT_LABEL_UNITS: usize = 4096;
/// Most participants of a thread: every message fans out to all of them.
pub const PARTICIPANTS: usize = 200;
/// Most labels in one list of a permission policy.
pub const POLICY_LABELS: usize = 5;
/// Most bots one message can mention; the scan for names stops there.
pub const MENTIONS: usize = 20;
/// Longest search text for threads.
pub const SEARCH_UNITS: usize = 200;
/// Length at which a message preview is cut.
pub const PREVIEW_UNITS: usize = 200;
/// Longest opaque cursor worth decoding; ours are under 100 bytes.
pub const CURSOR_BYTES: usize = 512;
/// Largest JSON request body.
pub const JSON_BODY_BYTES: usize = 1024 * 1024;
/// Most values in a client's frame, so that what it holds once it is read takes no more than twice the largest frame. JSON has
/// about a value in ten bytes, and `parts` of the largest size as many.
pub const FRAME_VALUES: usize = 30_000;

/// Messages a bot may send in a minute unless its organisation says otherwise.
pub const DEFAULT_MESSAGES_PER_MINUTE: i32 = 120;
/// Threads a bot may open in an hour unless its organisation says otherwise.
pub const DEFAULT_THREADS_PER_HOUR: i32 = 30;
/// Megabytes a bot may upload in a day unless its organisation says otherwise.
pub const DEFAULT_BOT_UPLOAD_MB: i32 = 100;
/// Megabytes all bots of an organisation may upload in a day unless configured otherwise.
pub const DEFAULT_ORG_UPLOAD_MB: i32 = 500;
/// Largest uploaded file in megabytes unless configured otherwise.
pub const DEFAULT_FILE_MB: i32 = 50;
/// Window of the message limit.
pub const MESSAGE_WINDOW_MS: i64 = 60_000;
/// Window of the thread limit.
pub const THREAD_WINDOW_MS: i64 = 3_600_000;
/// Largest value of a numeric setting: the column is a 32-bit integer on PostgreSQL.
pub const SETTING_MAX: i64 = 2_147_483_647;

/// Longest bot name.
pub const BOT_NAME_BYTES: usize = 128;
/// Longest organisation name, in UTF-16 units.
pub const ORG_NAME_UNITS: usize = 128;
/// Longest name of the human behind a session.
pub const OWNER_NAME_UNITS: usize = 256;
/// Longest handle of a person, in characters.
pub const HANDLE_CHARS: usize = 64;
/// Longest display name of a person.
pub const DISPLAY_NAME_UNITS: usize = 128;
/// Shortest password, in characters: one that may be chosen by a person and guessed at by everybody.
pub const PASSWORD_MIN_CHARS: usize = 10;
/// Longest password, in characters: a sentence fits.
pub const PASSWORD_MAX_CHARS: usize = 128;
/// Longest id of a Slack user; Slack's have 11 characters.
pub const SLACK_USER_BYTES: usize = 32;
/// How long a login link may wait for its only use: long enough to be handed over, too short to be forgotten somewhere.
pub const LOGIN_LINK_MS: i64 = 15 * 60_000;
/// Longest reason of a join decision.
pub const REASON_UNITS: usize = 500;
/// Longest label of a token or invite code.
pub const GRANT_LABEL_UNITS: usize = 256;
/// Longest webhook URL.
pub const WEBHOOK_URL_BYTES: usize = 2048;
/// Longest webhook secret: it travels in a header.
pub const WEBHOOK_SECRET_BYTES: usize = 1024;
/// Longest time a replaced primary token lives on: a day is enough to restart whatever holds it.
pub const GRACE_MAX_SECONDS: i64 = 86_400;
/// Longest lifetime of a credential, in ms: 100 years, so that sums with a clock never overflow.
pub const LIFETIME_MAX_MS: i64 = 100 * 365 * 86_400_000;

/// Length in UTF-16 code units.
#[must_use]
pub fn utf16_len(text: &str) -> usize {
    // One unit per character, two for those of four bytes. Sums of bytes within a chunk vectorise; 96 bytes cannot
    // overflow one.
    let units = |byte: &u8| u8::from(*byte & 0xC0 != 0x80) + u8::from(*byte >= 0xF0);
    text.as_bytes().chunks(96).map(|chunk| usize::from(chunk.iter().map(units).sum::<u8>())).sum()
}

/// Whether a text has at most `max` UTF-16 code units; only counts when the byte length cannot tell.
#[must_use]
pub fn fits_utf16(text: &str, max: usize) -> bool {
    // A unit takes one to three bytes of UTF-8.
    text.len() <= max || (text.len() <= max.saturating_mul(3) && utf16_len(text) <= max)
}

/// Length of a value as compact JSON, without building the text.
#[must_use]
pub fn json_bytes(value: &impl serde::Serialize) -> usize {
    let mut counter = ByteCounter(0);
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        // Neither the counter nor a JSON value can fail; a type that does must not pass as small.
        Err(_) => usize::MAX,
    }
}

/// Counts what is written to it.
struct ByteCounter(usize);

impl io::Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a value's JSON has at most `max` bytes; strings that are far too long are seen without a walk.
#[must_use]
pub fn fits_json(value: &Value, max: usize) -> bool {
    match value {
        Value::String(text) if text.len() > max => false,
        _ => json_bytes(value) <= max,
    }
}

/// How long catchup reaches back: 30 days.
pub const CATCHUP_KEPT_MS: i64 = 30 * 86_400_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn emoji_count_twice() {
        assert_eq!(utf16_len("a€😀"), 4);
        assert!(fits_utf16(&"😀".repeat(32_768), DEFAULT_MESSAGE_UNITS));
        assert!(!fits_utf16(&"😀".repeat(32_769), DEFAULT_MESSAGE_UNITS));
        assert!(fits_utf16("", 0));
        assert!(!fits_utf16("a", 0));
    }

    #[test]
    fn json_length_is_that_of_the_text() {
        let value = json!({"a": ["x\"y", 1.5, null], "é": true});
        assert_eq!(json_bytes(&value), value.to_string().len());
        assert!(!fits_json(&json!("aaaa"), 5));
        assert!(fits_json(&json!("aaa"), 5));
    }

    proptest! {
        #[test]
        fn utf16_length_agrees_with_the_standard_library(text in any::<String>(), max in 0usize..40) {
            let units = text.encode_utf16().count();
            prop_assert_eq!(utf16_len(&text), units);
            prop_assert_eq!(fits_utf16(&text, max), units <= max);
        }
    }
}
