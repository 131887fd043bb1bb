//! The objects of the protocol, with exactly the keys that clients know.
//!
//! Each is a thin serializable view over stored rows plus names and presence from memory. Columns that contain JSON
//! text are written through without being parsed again. REST responses and socket events share these shapes.

use std::borrow::Cow;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use hxa_domain::ids::{ArtifactId, BotId, ChannelId, MessageId, OrgId, ThreadId};
use hxa_domain::thread::CloseReason;
use hxa_store::inbox::{Correspondent, InboxMessage};
use hxa_store::messages::Parent;
use hxa_store::rows::{ArtifactRow, BotRow, ChannelMessageRow, ChannelRow, ThreadMessageRow, ThreadRow};

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

/// A direct message.
#[derive(Serialize)]
pub struct ChannelMessage<'a> {
    id: MessageId,
    channel_id: ChannelId,
    sender_id: Cow<'a, str>,
    content: &'a str,
    content_type: &'a str,
    parts: Parts<'a>,
    created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_name: Option<&'a str>,
    /// Null in the inbox, because channels are pairs and have no name; absent everywhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_name: Option<()>,
}

impl<'a> ChannelMessage<'a> {
    /// The message alone, as events carry it.
    #[must_use]
    pub fn new(row: &'a ChannelMessageRow) -> Self {
        Self {
            id: row.id,
            channel_id: row.channel_id,
            sender_id: row.sender_id.as_str().into(),
            content: &row.content,
            content_type: &row.content_type,
            parts: Parts { stored: row.parts.as_deref(), content: &row.content },
            created_at: row.created_at,
            sender_name: None,
            channel_name: None,
        }
    }

    /// The message as the inbox carries it, from whom the reader shares a channel with.
    #[must_use]
    pub fn in_inbox(message: &'a InboxMessage, from: &'a Correspondent, sender_name: &'a str) -> Self {
        Self {
            id: message.id,
            channel_id: from.channel_id,
            sender_id: from.bot_id.to_string().into(),
            content: &message.content,
            content_type: &message.content_type,
            parts: Parts { stored: message.parts.as_deref(), content: &message.content },
            created_at: message.created_at,
            sender_name: Some(sender_name),
            channel_name: Some(()),
        }
    }

    /// With other parts than the stored ones.
    #[must_use]
    pub fn with_parts(mut self, parts: Option<&'a str>) -> Self {
        self.parts.stored = parts.or(self.parts.stored);
        self
    }

    /// With the sender's name, as lists carry it.
    #[must_use]
    pub fn named(row: &'a ChannelMessageRow, sender_name: &'a str) -> Self {
        Self { sender_name: Some(sender_name), ..Self::new(row) }
    }
}

/// The message a reply refers to, one level deep.
#[derive(Serialize, Clone, Debug)]
pub struct RepliedTo {
    /// Message id.
    pub id: MessageId,
    /// Null when the sender is gone.
    pub sender_id: Option<BotId>,
    /// Name, `"unknown"` when the sender is gone.
    pub sender_name: String,
    /// The whole content.
    pub content: String,
    /// When it was sent, ms.
    pub created_at: i64,
}

impl RepliedTo {
    /// `sender` is `None` when that bot is gone.
    #[must_use]
    pub fn new(parent: &Parent, sender: Option<&BotRow>) -> Self {
        Self {
            id: parent.id,
            sender_id: sender.map(|bot| bot.id),
            sender_name: sender.map_or_else(|| "unknown".to_owned(), |bot| bot.name.clone()),
            content: parent.content.clone(),
            created_at: parent.created_at,
        }
    }
}

/// A message in a thread.
#[derive(Serialize)]
pub struct ThreadMessage<'a> {
    id: MessageId,
    thread_id: ThreadId,
    sender_id: Option<&'a str>,
    content: &'a str,
    content_type: &'a str,
    parts: Parts<'a>,
    reply_to_id: Option<&'a str>,
    created_at: i64,
    mentions: StoredJson<'a>,
    mention_all: bool,
    metadata: StoredJson<'a>,
    sender_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to_message: Option<&'a RepliedTo>,
}

impl<'a> ThreadMessage<'a> {
    /// With other parts than the stored ones.
    #[must_use]
    pub fn with_parts(mut self, parts: Option<&'a str>) -> Self {
        self.parts.stored = parts.or(self.parts.stored);
        self
    }

    /// `sender_name` is `None` when the sender is gone: id null, name `"unknown"`.
    #[must_use]
    pub fn new(row: &'a ThreadMessageRow, sender_name: Option<&'a str>, replied_to: Option<&'a RepliedTo>) -> Self {
        Self {
            id: row.id,
            thread_id: row.thread_id,
            sender_id: sender_name.and(row.sender_id.as_deref()),
            content: &row.content,
            content_type: &row.content_type,
            parts: Parts { stored: row.parts.as_deref(), content: &row.content },
            reply_to_id: row.reply_to_id.as_deref(),
            created_at: row.created_at,
            mentions: StoredJson::or_empty_list(row.mentions.as_deref()),
            mention_all: row.mention_all,
            metadata: StoredJson::or_null(row.metadata.as_deref()),
            sender_name: sender_name.unwrap_or("unknown"),
            reply_to_message: replied_to,
        }
    }
}

/// A thread.
#[derive(Serialize)]
pub struct Thread<'a> {
    id: ThreadId,
    org_id: OrgId,
    topic: &'a str,
    tags: StoredJson<'a>,
    status: &'a str,
    initiator_id: Option<BotId>,
    channel_id: Option<ChannelId>,
    context: Option<&'a str>,
    close_reason: Option<&'a str>,
    permission_policy: Option<&'a str>,
    visibility: &'a str,
    join_policy: &'a str,
    revision: i64,
    created_at: i64,
    updated_at: i64,
    last_activity_at: i64,
    resolved_at: Option<i64>,
}

impl<'a> From<&'a ThreadRow> for Thread<'a> {
    fn from(row: &'a ThreadRow) -> Self {
        Self {
            id: row.id,
            org_id: row.org_id,
            topic: &row.topic,
            tags: StoredJson::or_null(row.tags.as_deref()),
            status: row.status.as_str(),
            initiator_id: row.initiator_id,
            channel_id: row.channel_id,
            context: row.context.as_deref(),
            close_reason: row.close_reason.map(CloseReason::as_str),
            permission_policy: row.permission_policy.as_deref(),
            visibility: row.visibility.as_str(),
            join_policy: row.join_policy.as_str(),
            revision: row.revision,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_activity_at: row.last_activity_at,
            resolved_at: row.resolved_at,
        }
    }
}

/// A bot in a thread, as shown to its peers.
#[derive(Serialize, Debug, Clone)]
pub struct ParticipantView {
    /// The bot.
    pub bot_id: BotId,
    /// Its name.
    pub name: String,
    /// Whether it has a live token socket.
    pub online: bool,
    /// Its label in the thread.
    pub label: Option<String>,
    /// When it joined, ms.
    pub joined_at: i64,
}

/// One version of an artifact.
#[derive(Serialize)]
pub struct Artifact<'a> {
    id: ArtifactId,
    thread_id: ThreadId,
    artifact_key: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    title: Option<&'a str>,
    content: Option<&'a str>,
    language: Option<&'a str>,
    url: Option<&'a str>,
    mime_type: Option<&'a str>,
    contributor_id: Option<&'a str>,
    version: i32,
    format_warning: bool,
    created_at: i64,
    updated_at: i64,
}

impl<'a> Artifact<'a> {
    /// `contributor_exists` is false when the bot is gone: its id is then null.
    #[must_use]
    pub fn new(row: &'a ArtifactRow, contributor_exists: bool) -> Self {
        Self {
            id: row.id,
            thread_id: row.thread_id,
            artifact_key: &row.artifact_key,
            kind: row.kind.as_str(),
            title: row.title.as_deref(),
            content: row.content.as_deref(),
            language: row.language.as_deref(),
            url: row.url.as_deref(),
            mime_type: row.mime_type.as_deref(),
            contributor_id: row.contributor_id.as_deref().filter(|_| contributor_exists),
            version: row.version,
            format_warning: row.format_warning,
            created_at: row.created_at,
            updated_at: row.created_at,
        }
    }
}

/// A direct channel.
#[derive(Serialize)]
pub struct Channel<'a> {
    id: ChannelId,
    org_id: OrgId,
    #[serde(rename = "type")]
    kind: &'static str,
    name: Option<&'a str>,
    created_at: i64,
}

impl<'a> From<&'a ChannelRow> for Channel<'a> {
    fn from(row: &'a ChannelRow) -> Self {
        Self { id: row.id, org_id: row.org_id, kind: "direct", name: None, created_at: row.created_at }
    }
}

/// A bot as channel lists show it.
#[derive(Serialize, Debug, Clone)]
pub struct ChannelMember {
    /// The bot.
    pub id: BotId,
    /// Its name.
    pub name: String,
    /// Whether it has a live token socket.
    pub online: bool,
}

/// A bot, with what may be shown of it; never its token or webhook.
pub struct BotView<'a> {
    /// The stored row.
    pub row: &'a BotRow,
    /// Whether it has a live token socket.
    pub online: bool,
    /// Newest sign of life, ms.
    pub last_seen_at: Option<i64>,
}

impl Serialize for BotView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = self.row;
        let mut map = serializer.serialize_map(Some(21))?;
        map.serialize_entry("id", &row.id)?;
        map.serialize_entry("org_id", &row.org_id)?;
        map.serialize_entry("name", &row.name)?;
        map.serialize_entry("auth_role", &row.auth_role)?;
        map.serialize_entry("online", &self.online)?;
        map.serialize_entry("last_seen_at", &self.last_seen_at)?;
        map.serialize_entry("created_at", &row.created_at)?;
        map.serialize_entry("metadata", &StoredJson::or_null(row.metadata.as_deref()))?;
        map.serialize_entry("bio", &row.bio)?;
        map.serialize_entry("role", &row.role)?;
        map.serialize_entry("function", &row.function)?;
        map.serialize_entry("team", &row.team)?;
        map.serialize_entry("tags", &StoredJson::or_null(row.tags.as_deref()))?;
        map.serialize_entry("languages", &StoredJson::or_null(row.languages.as_deref()))?;
        map.serialize_entry("protocols", &StoredJson::or_null(row.protocols.as_deref()))?;
        map.serialize_entry("status_text", &row.status_text)?;
        map.serialize_entry("timezone", &row.timezone)?;
        map.serialize_entry("active_hours", &row.active_hours)?;
        map.serialize_entry("version", row.version.as_deref().unwrap_or("1.0.0"))?;
        map.serialize_entry("runtime", &row.runtime)?;
        map.serialize_entry("join_status", &row.join_status)?;
        map.end()
    }
}
