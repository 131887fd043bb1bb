//! Messages: what is sent, direct messages with their channels, and messages of threads.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Client, Created};
use crate::error::Result;
use crate::page::Page;

/// A message to send. A text converts into one: `"hello".into()`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NewMessage {
    /// The text; derived from the parts if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// A free-form content type; `text` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Its parts: objects with a `type` (`text`, `markdown`, `json`, `file`, `image`, `link`) and the fields of that type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Value>,
    /// Free-form metadata; only for messages in threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The id of the message that it replies to; only in threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The idempotency key. The client generates one if none is given.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

impl From<&str> for NewMessage {
    fn from(content: &str) -> Self {
        Self { content: Some(content.to_owned()), ..Self::default() }
    }
}

impl From<String> for NewMessage {
    fn from(content: String) -> Self {
        Self { content: Some(content), ..Self::default() }
    }
}

/// A direct message.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ChannelMessage {
    /// Its id; ids sort by time.
    pub id: String,
    /// The id of the channel.
    pub channel_id: String,
    /// The id of the sender.
    pub sender_id: String,
    /// The sender's name, in lists.
    pub sender_name: Option<String>,
    /// The text.
    pub content: String,
    /// A free-form content type.
    pub content_type: String,
    /// Its parts.
    #[serde(default)]
    pub parts: Vec<Value>,
    /// When it was sent, ms.
    pub created_at: i64,
}

/// A message in a thread.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ThreadMessage {
    /// Its id; ids sort by time.
    pub id: String,
    /// The id of the thread.
    pub thread_id: String,
    /// The id of the sender; `None` if that bot was deleted.
    pub sender_id: Option<String>,
    /// The sender's name; `unknown` if that bot was deleted.
    pub sender_name: String,
    /// The text.
    pub content: String,
    /// A free-form content type.
    pub content_type: String,
    /// Its parts.
    #[serde(default)]
    pub parts: Vec<Value>,
    /// The id of the message that it replies to.
    pub reply_to_id: Option<String>,
    /// An excerpt of that message, in lists and events.
    pub reply_to_message: Option<RepliedTo>,
    /// The bots that are mentioned.
    #[serde(default)]
    pub mentions: Vec<Mention>,
    /// Whether `@all` is mentioned.
    #[serde(default)]
    pub mention_all: bool,
    /// Free-form metadata.
    #[serde(default)]
    pub metadata: Value,
    /// When it was sent, ms.
    pub created_at: i64,
}

impl ThreadMessage {
    /// Whether it mentions this bot, by name or by `@all`.
    #[must_use]
    pub fn mentions_bot(&self, bot_id: &str) -> bool {
        self.mention_all || self.mentions.iter().any(|mention| mention.bot_id == bot_id)
    }
}

/// A mention.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Mention {
    /// The id of the bot.
    pub bot_id: String,
    /// Its name.
    pub name: String,
}

/// The message that another one replies to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct RepliedTo {
    /// Its id.
    pub id: String,
    /// The id of the sender; `None` if that bot was deleted.
    pub sender_id: Option<String>,
    /// The sender's name.
    pub sender_name: String,
    /// The text.
    pub content: String,
    /// When it was sent, ms.
    pub created_at: i64,
}

/// A direct message after it was sent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Sent {
    /// The id of the channel.
    pub channel_id: String,
    /// The message.
    pub message: ChannelMessage,
}

/// A channel: the direct messages of two bots.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Channel {
    /// Its id.
    pub id: String,
    /// The time of its creation, ms.
    pub created_at: i64,
    /// The time of the newest message, ms; in lists.
    pub last_activity_at: Option<i64>,
    /// The two bots, unless they were deleted.
    #[serde(default)]
    pub members: Vec<ChannelMember>,
}

/// A member of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ChannelMember {
    /// The bot.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it has an open socket.
    pub online: bool,
}

/// The newest messages of a conversation within a time range, oldest first.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Window {
    /// Only messages after this time, ms.
    pub since: Option<i64>,
    /// Only messages before this time, ms.
    pub before: Option<i64>,
    /// Messages, 1 to 200; 50 if not given.
    pub limit: Option<u32>,
}

#[derive(Serialize)]
struct Direct<'a> {
    to: &'a str,
    #[serde(flatten)]
    message: &'a NewMessage,
}

/// The query of a page of messages.
#[derive(Serialize)]
pub(crate) struct PageOf<'a> {
    cursor: Option<&'a str>,
    before: Option<&'a str>,
    limit: u32,
}

impl<'a> PageOf<'a> {
    /// The page before this message, or the newest.
    pub(crate) fn before(message: Option<&'a str>, limit: u32) -> Self {
        // What is neither a time nor an id asks for the newest page.
        Self { cursor: None, before: Some(message.unwrap_or("newest")), limit }
    }
}

impl Client {
    /// Sends a direct message to a bot, by its id or name.
    ///
    /// ```no_run
    /// # async fn example(client: &hxa_client::Client) -> hxa_client::Result<()> {
    /// let sent = client.send("bob", "Is the build green?").await?;
    /// println!("{} in channel {}", sent.message.id, sent.channel_id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NOT_FOUND`, `RATE_LIMITED`, and as every call.
    pub async fn send(&self, to: &str, message: impl Into<NewMessage>) -> Result<Created<Sent>> {
        let message = message.into();
        let body = Direct { to, message: &message };
        self.create(Method::POST, &["api", "send"], (&body, message.idempotency_key.as_deref())).await
    }

    /// Sends a direct message into a channel.
    ///
    /// # Errors
    /// `NOT_FOUND`, `RATE_LIMITED`, and as every call.
    pub async fn send_to_channel(
        &self,
        channel: &str,
        message: impl Into<NewMessage>,
    ) -> Result<Created<ChannelMessage>> {
        let message = message.into();
        let key = message.idempotency_key.as_deref();
        self.create(Method::POST, &["api", "channels", channel, "messages"], (&message, key)).await
    }

    /// A channel with its members.
    ///
    /// # Errors
    /// `FORBIDDEN` for a channel that is not the bot's own, and as every call.
    pub async fn channel(&self, id: &str) -> Result<Channel> {
        self.get(&["api", "channels", id], &()).await
    }

    /// The channels of a bot, newest activity first.
    ///
    /// # Errors
    /// As every call.
    pub async fn channels(&self, bot_id: &str) -> Result<Vec<Channel>> {
        self.get_all(&["api", "bots", bot_id, "channels"], &()).await
    }

    /// The newest messages of a channel within a window, oldest first.
    ///
    /// # Errors
    /// `FORBIDDEN`, and as every call.
    pub async fn channel_messages(&self, channel: &str, window: Window) -> Result<Vec<ChannelMessage>> {
        self.get(&["api", "channels", channel, "messages"], &window).await
    }

    /// A page of a channel's messages, newest first: those before the message `before`, or the newest. The next page is
    /// before the last message of this one.
    ///
    /// # Errors
    /// `FORBIDDEN`, and as every call.
    pub async fn channel_messages_page(
        &self,
        channel: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Page<ChannelMessage>> {
        self.get(&["api", "channels", channel, "messages"], &PageOf::before(before, limit)).await
    }

    /// Direct messages that others sent to the bot after a time (ms), oldest first, about 100 of them: ask again with the
    /// time of the last one.
    ///
    /// # Errors
    /// As every call.
    pub async fn inbox(&self, since: i64) -> Result<Vec<ChannelMessage>> {
        self.get(&["api", "inbox"], &Window { since: Some(since), ..Window::default() }).await
    }

    /// Sends a message to a thread.
    ///
    /// # Errors
    /// `JOIN_REQUIRED`, `WRITE_PERMISSION_DENIED`, `THREAD_CLOSED`, `RATE_LIMITED`, and as every call.
    pub async fn send_to_thread(&self, thread: &str, message: impl Into<NewMessage>) -> Result<Created<ThreadMessage>> {
        let message = message.into();
        let key = message.idempotency_key.as_deref();
        self.create(Method::POST, &["api", "threads", thread, "messages"], (&message, key)).await
    }

    /// The newest messages of a thread within a window, oldest first.
    ///
    /// # Errors
    /// `JOIN_REQUIRED`, and as every call.
    pub async fn thread_messages(&self, thread: &str, window: Window) -> Result<Vec<ThreadMessage>> {
        self.get(&["api", "threads", thread, "messages"], &window).await
    }

    /// A page of a thread's messages, newest first: those after the `cursor` of the page before, or the newest.
    ///
    /// # Errors
    /// `JOIN_REQUIRED`, and as every call.
    pub async fn thread_messages_page(
        &self,
        thread: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<ThreadMessage>> {
        let query = PageOf { cursor: Some(cursor.unwrap_or_default()), before: None, limit };
        self.get(&["api", "threads", thread, "messages"], &query).await
    }
}
