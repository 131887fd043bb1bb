//! Messages and their blocks, as Slack's API takes them.
//!
//! A [`Message`] always fits: however its blocks were made, all texts are within the limits of [`text`](crate::text),
//! none is empty, and what may not be there is left out. So a text of a stranger, however long, cannot make Slack
//! refuse a message. The types can be stored as JSON and read again.
//!
//! Markup is on in the texts made by [`Text::mrkdwn`] alone, and Slack is told not to look for names and addresses in
//! any; what strangers wrote must have been escaped.

use serde::{Deserialize, Serialize};

use crate::text::{
    ACTIONS, ALL_BLOCKS, BLOCKS, BUTTON, CONTEXT, EMPTY, HEADER, ID, MESSAGE, SECTION, VALUE, cut, cut_mrkdwn,
    is_blank, plain, web_address,
};

/// A text object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Text {
    /// Shown as it is.
    PlainText {
        /// What is shown.
        text: String,
        /// Whether `:names:` become pictures.
        emoji: bool,
    },
    /// Text with markup.
    Mrkdwn {
        /// What is shown.
        text: String,
        /// Whether addresses and names without markup stay text.
        verbatim: bool,
    },
}

impl Text {
    /// A text without markup, on one line.
    #[must_use]
    pub fn plain(text: &str) -> Self {
        Self::PlainText { text: plain(text), emoji: false }
    }

    /// A text with markup. What strangers wrote of it must have been escaped.
    #[must_use]
    pub fn mrkdwn(text: impl Into<String>) -> Self {
        Self::Mrkdwn { text: text.into(), verbatim: true }
    }

    /// What is shown, with its markup.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::PlainText { text, .. } | Self::Mrkdwn { text, .. } => text,
        }
    }

    fn length(&self) -> usize {
        self.as_str().chars().count()
    }

    fn fit(self, most: usize) -> Self {
        match self {
            Self::PlainText { text, emoji } => Self::PlainText { text: cut(&or_empty(text), most), emoji },
            Self::Mrkdwn { text, verbatim } => Self::Mrkdwn { text: cut_mrkdwn(&or_empty(text), most), verbatim },
        }
    }

    /// Where Slack takes no markup.
    fn fit_plain(self, most: usize) -> Self {
        match self {
            Self::Mrkdwn { text, .. } => Self::plain(&text).fit(most),
            text @ Self::PlainText { .. } => text.fit(most),
        }
    }
}

fn or_empty(text: String) -> String {
    if is_blank(&text) { EMPTY.to_owned() } else { text }
}

/// A block of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// A large line of plain text.
    Header {
        /// The line.
        text: Text,
    },
    /// Text.
    Section {
        /// The text.
        text: Text,
    },
    /// Buttons.
    Actions {
        /// What clicks name besides their button; unique within a message.
        block_id: String,
        /// The buttons.
        elements: Vec<Element>,
    },
    /// Small text.
    Context {
        /// Texts in one line.
        elements: Vec<Text>,
    },
}

impl Block {
    /// A header.
    #[must_use]
    pub fn header(text: &str) -> Self {
        Self::Header { text: Text::plain(text) }
    }

    /// A section of mrkdwn.
    #[must_use]
    pub fn section(mrkdwn: impl Into<String>) -> Self {
        Self::Section { text: Text::mrkdwn(mrkdwn) }
    }

    /// Buttons.
    #[must_use]
    pub fn actions(block_id: impl Into<String>, buttons: impl IntoIterator<Item = Button>) -> Self {
        Self::Actions { block_id: block_id.into(), elements: buttons.into_iter().map(Element::Button).collect() }
    }

    /// Small mrkdwn.
    #[must_use]
    pub fn context(mrkdwn: impl Into<String>) -> Self {
        Self::Context { elements: vec![Text::mrkdwn(mrkdwn)] }
    }

    /// The block within the limits; `None` for one that would be empty.
    fn fit(self) -> Option<Self> {
        match self {
            Self::Header { text } => Some(Self::Header { text: text.fit_plain(HEADER) }),
            Self::Section { text } => Some(Self::Section { text: text.fit(SECTION) }),
            Self::Actions { elements, .. } if elements.is_empty() => None,
            Self::Actions { block_id, elements } => Some(Self::Actions {
                block_id: cut(&block_id, ID),
                elements: elements.into_iter().take(ACTIONS).map(Element::fit).collect(),
            }),
            Self::Context { elements } if elements.is_empty() => None,
            Self::Context { elements } => {
                let elements = elements.into_iter().take(CONTEXT).map(|text| text.fit(SECTION)).collect();
                Some(Self::Context { elements })
            }
        }
    }

    /// Characters of texts that are never shortened further.
    fn fixed(&self) -> usize {
        match self {
            Self::Header { text } => text.length(),
            Self::Actions { elements, .. } => elements.iter().map(|Element::Button(button)| button.text.length()).sum(),
            Self::Section { .. } | Self::Context { .. } => 0,
        }
    }

    /// Texts that may be shortened.
    fn flexible(&self) -> &[Text] {
        match self {
            Self::Section { text } => std::slice::from_ref(text),
            Self::Context { elements } => elements,
            Self::Header { .. } | Self::Actions { .. } => &[],
        }
    }

    fn shorten(self, most: usize) -> Self {
        match self {
            Self::Section { text } => Self::Section { text: text.fit(most) },
            Self::Context { elements } => {
                Self::Context { elements: elements.into_iter().map(|text| text.fit(most)).collect() }
            }
            other => other,
        }
    }
}

/// What stands in a block of actions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Element {
    /// A button.
    Button(Button),
}

impl Element {
    fn fit(self) -> Self {
        let Self::Button(button) = self;
        Self::Button(Button {
            text: button.text.fit_plain(BUTTON),
            action_id: cut(&button.action_id, ID),
            value: button.value.map(|value| cut(&value, VALUE)),
            url: button.url.and_then(|url| web_address(&url)),
            style: button.style,
        })
    }
}

/// A button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What it says.
    pub text: Text,
    /// What it does, for whoever handles its clicks; unique within a block.
    pub action_id: String,
    /// What a click carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// An address that it opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its colour; the usual one without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<Style>,
}

impl Button {
    /// A button whose clicks carry a value.
    #[must_use]
    pub fn new(text: &str, action_id: impl Into<String>, value: impl Into<String>) -> Self {
        Self { text: Text::plain(text), action_id: action_id.into(), value: Some(value.into()), url: None, style: None }
    }

    /// The same in another colour.
    #[must_use]
    pub const fn with_style(mut self, style: Style) -> Self {
        self.style = Some(style);
        self
    }
}

/// The colour of a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Green.
    Primary,
    /// Red.
    Danger,
}

/// A message that Slack takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Parts")]
pub struct Message {
    text: String,
    blocks: Vec<Block>,
}

/// A message as it was stored; what an older version stored need not fit.
#[derive(Deserialize)]
struct Parts {
    text: String,
    #[serde(default)]
    blocks: Vec<Block>,
}

impl From<Parts> for Message {
    fn from(parts: Parts) -> Self {
        Self::new(parts.text, parts.blocks)
    }
}

impl Message {
    /// A message of blocks, and of mrkdwn for where blocks are not shown, such as notifications. Both are cut to what
    /// Slack takes: each text to its own limit, then the longest ones until the whole fits.
    #[must_use]
    pub fn new(text: impl Into<String>, blocks: Vec<Block>) -> Self {
        let blocks: Vec<Block> = blocks.into_iter().filter_map(Block::fit).take(BLOCKS).collect();
        let fixed = blocks.iter().map(Block::fixed).sum();
        let lengths = blocks.iter().flat_map(Block::flexible).map(Text::length).collect();
        let most = longest(lengths, ALL_BLOCKS.saturating_sub(fixed));
        Self {
            text: cut_mrkdwn(&or_empty(text.into()), MESSAGE),
            blocks: blocks.into_iter().map(|block| block.shorten(most)).collect(),
        }
    }

    /// The text of notifications.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The blocks.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}

/// How long each text may be so that all of them together are within a bound; short ones stay whole.
fn longest(mut lengths: Vec<usize>, most: usize) -> usize {
    lengths.sort_unstable();
    let mut left = most;
    let mut waiting = lengths.len();
    for length in lengths {
        let share = left.checked_div(waiting).unwrap_or(left);
        if length > share {
            return share.max(1);
        }
        left -= length;
        waiting -= 1;
    }
    usize::MAX
}

#[cfg(test)]
mod tests;
