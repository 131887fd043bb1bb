//! The text of a load message carries what the receiver checks: conversation, sender's slot, sequence number and the
//! intended start, as decimal numbers. The rest is padding up to the wanted size.

use std::fmt::Write;

/// What a load message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Index of the conversation in the recorder.
    pub conversation: u32,
    /// The sender's place among the members.
    pub slot: u16,
    /// 1 for the first message of this sender in this conversation, then without gaps.
    pub sequence: u32,
    /// Intended start in microseconds on the run's clock.
    pub due: u64,
}

impl Content {
    /// The content of a message of this conversation; what does not fit its field becomes the field's maximum.
    pub fn new(conversation: usize, slot: usize, sequence: u32, due: u64) -> Self {
        let conversation = u32::try_from(conversation).unwrap_or(u32::MAX);
        Self { conversation, slot: u16::try_from(slot).unwrap_or(u16::MAX), sequence, due }
    }

    /// Appends the text to `out`, padded to `size` bytes. Only digits, letters, blanks: nothing that JSON escapes.
    pub fn write(&self, out: &mut String, size: usize) {
        let from = out.len();
        let Self { conversation, slot, sequence, due } = self;
        // Writing to a String cannot fail.
        let _ = write!(out, "load {conversation} {slot} {sequence} {due} ");
        let written = out.len() - from;
        out.extend(std::iter::repeat_n('x', size.saturating_sub(written)));
    }

    /// Reads it back; None: not a load message.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix("load ")?.split(' ');
        Some(Self {
            conversation: words.next()?.parse().ok()?,
            slot: words.next()?.parse().ok()?,
            sequence: words.next()?.parse().ok()?,
            due: words.next()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        let content = Content { conversation: 12, slot: 3, sequence: 400, due: 123_456_789 };
        let mut text = String::from("\"");
        content.write(&mut text, 100);
        assert_eq!(text.len(), 101);
        assert_eq!(text.strip_prefix('"').and_then(Content::parse), Some(content));
        assert_eq!(Content::parse("hello"), None);
    }
}
