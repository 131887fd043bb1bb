//! The objects of the protocol, with exactly the keys that clients know.
//!
//! Each is a thin serializable view over stored rows plus names and presence from memory. Columns that contain JSON
//! text are written through without being parsed again. REST responses and socket events share these shapes.

pub mod events;
mod stored;

pub use stored::{Parts, StoredJson};

use serde::Serialize;
use utoipa::ToSchema;

use hxa_domain::artifact::ArtifactType;
use hxa_domain::ids::{ArtifactId, BotId, ChannelId, MessageId, OrgId, ThreadId};
use hxa_domain::parts::MessagePart;
use hxa_domain::profile::DEFAULT_VERSION;
use hxa_domain::schema::Json;
use hxa_domain::standing::{AuthRole, JoinStatus};
use hxa_domain::thread::{CloseReason, JoinPolicy, ThreadStatus, Visibility};
use hxa_store::inbox::{Correspondent, InboxMessage};
use hxa_store::messages::Parent;
use hxa_store::rows::{ArtifactRow, BotRow, ChannelMessageRow, ChannelRow, ThreadMessageRow, ThreadRow};

/// A direct message.
#[derive(Serialize, ToSchema)]
pub struct ChannelMessage<'a> {
    id: MessageId,
    channel_id: ChannelId,
    #[schema(value_type = BotId)]
    sender_id: &'a str,
    content: &'a str,
    content_type: &'a str,
    #[schema(value_type = Vec<MessagePart>)]
    parts: Parts<'a>,
    created_at: i64,
    /// Where the message is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sender_name: Option<&'a str>,
}

impl<'a> ChannelMessage<'a> {
    /// The message alone, as events carry it.
    #[must_use]
    pub fn new(row: &'a ChannelMessageRow) -> Self {
        Self {
            id: row.id,
            channel_id: row.channel_id,
            sender_id: &row.sender_id,
            content: &row.content,
            content_type: &row.content_type,
            parts: Parts { stored: row.parts.as_deref(), content: &row.content },
            created_at: row.created_at,
            sender_name: None,
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

/// A direct message in the inbox.
#[derive(Serialize, ToSchema)]
pub struct InboxItem<'a> {
    id: MessageId,
    channel_id: ChannelId,
    sender_id: BotId,
    content: &'a str,
    content_type: &'a str,
    #[schema(value_type = Vec<MessagePart>)]
    parts: Parts<'a>,
    created_at: i64,
    sender_name: &'a str,
    /// Always null, because channels are pairs and have no name.
    #[schema(required, value_type = Option<String>)]
    channel_name: Option<()>,
}

impl<'a> InboxItem<'a> {
    /// A message from somebody the reader shares a channel with.
    #[must_use]
    pub fn new(message: &'a InboxMessage, from: &'a Correspondent, sender_name: &'a str) -> Self {
        Self {
            id: message.id,
            channel_id: from.channel_id,
            sender_id: from.bot_id,
            content: &message.content,
            content_type: &message.content_type,
            parts: Parts { stored: message.parts.as_deref(), content: &message.content },
            created_at: message.created_at,
            sender_name,
            channel_name: None,
        }
    }
}

/// The message a reply refers to, one level deep.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct RepliedTo {
    /// Message id.
    pub id: MessageId,
    /// Null when the sender is gone.
    #[schema(required)]
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

/// A bot that a message names.
#[derive(Serialize, ToSchema)]
pub struct Mention<'a> {
    /// The bot.
    pub bot_id: BotId,
    /// Its name when the message was sent.
    pub name: &'a str,
}

/// A message in a thread.
#[derive(Serialize, ToSchema)]
pub struct ThreadMessage<'a> {
    id: MessageId,
    thread_id: ThreadId,
    #[schema(required, value_type = Option<BotId>)]
    sender_id: Option<&'a str>,
    content: &'a str,
    content_type: &'a str,
    #[schema(value_type = Vec<MessagePart>)]
    parts: Parts<'a>,
    #[schema(required, value_type = Option<MessageId>)]
    reply_to_id: Option<&'a str>,
    created_at: i64,
    #[schema(value_type = Vec<Mention>)]
    mentions: StoredJson<'a>,
    mention_all: bool,
    #[schema(value_type = Json)]
    metadata: StoredJson<'a>,
    sender_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
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
#[derive(Serialize, ToSchema)]
pub struct Thread<'a> {
    id: ThreadId,
    org_id: OrgId,
    topic: &'a str,
    #[schema(required, value_type = Option<Vec<String>>)]
    tags: StoredJson<'a>,
    status: ThreadStatus,
    #[schema(required)]
    initiator_id: Option<BotId>,
    #[schema(required)]
    channel_id: Option<ChannelId>,
    #[schema(required)]
    context: Option<&'a str>,
    #[schema(required)]
    close_reason: Option<CloseReason>,
    #[schema(required)]
    permission_policy: Option<&'a str>,
    visibility: Visibility,
    join_policy: JoinPolicy,
    revision: i64,
    created_at: i64,
    updated_at: i64,
    last_activity_at: i64,
    #[schema(required)]
    resolved_at: Option<i64>,
}

impl<'a> From<&'a ThreadRow> for Thread<'a> {
    fn from(row: &'a ThreadRow) -> Self {
        Self {
            id: row.id,
            org_id: row.org_id,
            topic: &row.topic,
            tags: StoredJson::or_null(row.tags.as_deref()),
            status: row.status,
            initiator_id: row.initiator_id,
            channel_id: row.channel_id,
            context: row.context.as_deref(),
            close_reason: row.close_reason,
            permission_policy: row.permission_policy.as_deref(),
            visibility: row.visibility,
            join_policy: row.join_policy,
            revision: row.revision,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_activity_at: row.last_activity_at,
            resolved_at: row.resolved_at,
        }
    }
}

/// A bot in a thread, as shown to its peers.
#[derive(Serialize, ToSchema, Debug, Clone)]
pub struct ParticipantView {
    /// The bot.
    pub bot_id: BotId,
    /// Its name.
    pub name: String,
    /// Whether it has a live token socket.
    pub online: bool,
    /// Its label in the thread.
    #[schema(required)]
    pub label: Option<String>,
    /// When it joined, ms.
    pub joined_at: i64,
}

/// One version of an artifact.
#[derive(Serialize, ToSchema)]
pub struct Artifact<'a> {
    id: ArtifactId,
    thread_id: ThreadId,
    artifact_key: &'a str,
    #[serde(rename = "type")]
    kind: ArtifactType,
    #[schema(required)]
    title: Option<&'a str>,
    #[schema(required)]
    content: Option<&'a str>,
    #[schema(required)]
    language: Option<&'a str>,
    #[schema(required)]
    url: Option<&'a str>,
    #[schema(required)]
    mime_type: Option<&'a str>,
    #[schema(required, value_type = Option<BotId>)]
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
            kind: row.kind,
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
#[derive(Serialize, ToSchema)]
pub struct Channel<'a> {
    id: ChannelId,
    org_id: OrgId,
    #[serde(rename = "type")]
    kind: ChannelType,
    #[schema(required)]
    name: Option<&'a str>,
    created_at: i64,
}

impl<'a> From<&'a ChannelRow> for Channel<'a> {
    fn from(row: &'a ChannelRow) -> Self {
        Self { id: row.id, org_id: row.org_id, kind: ChannelType::Direct, name: None, created_at: row.created_at }
    }
}

hxa_domain::wire_enum! {
    /// What a channel is: a pair of bots.
    ChannelType { Direct = "direct", }
}

hxa_domain::wire_enum! {
    /// Whether a bot takes part from now on or did before.
    JoiningStatus { Joined = "joined", AlreadyJoined = "already_joined", }
}

/// A bot as channel lists show it.
#[derive(Serialize, ToSchema, Debug, Clone)]
pub struct ChannelMember {
    /// The bot.
    pub id: BotId,
    /// Its name.
    pub name: String,
    /// Whether it has a live token socket.
    pub online: bool,
}

/// A bot, with what may be shown of it; never its token or webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = Bot)]
pub struct BotView<'a> {
    id: BotId,
    org_id: OrgId,
    name: &'a str,
    auth_role: AuthRole,
    /// Whether it has a live token socket.
    online: bool,
    /// Newest sign of life, ms.
    #[schema(required)]
    last_seen_at: Option<i64>,
    created_at: i64,
    #[schema(value_type = Json)]
    metadata: StoredJson<'a>,
    #[schema(required)]
    bio: Option<&'a str>,
    #[schema(required)]
    role: Option<&'a str>,
    #[schema(required)]
    function: Option<&'a str>,
    #[schema(required)]
    team: Option<&'a str>,
    #[schema(required, value_type = Option<Vec<String>>)]
    tags: StoredJson<'a>,
    #[schema(required, value_type = Option<Vec<String>>)]
    languages: StoredJson<'a>,
    /// How else it can be reached: an object, an array or null.
    #[schema(value_type = Json)]
    protocols: StoredJson<'a>,
    #[schema(required)]
    status_text: Option<&'a str>,
    #[schema(required)]
    timezone: Option<&'a str>,
    #[schema(required)]
    active_hours: Option<&'a str>,
    version: &'a str,
    #[schema(required)]
    runtime: Option<&'a str>,
    join_status: JoinStatus,
}

impl<'a> BotView<'a> {
    /// A stored bot with what memory knows of it: whether it is online, and its newest sign of life, ms.
    #[must_use]
    pub fn new(row: &'a BotRow, online: bool, last_seen_at: Option<i64>) -> Self {
        Self {
            id: row.id,
            org_id: row.org_id,
            name: &row.name,
            auth_role: row.auth_role,
            online,
            last_seen_at,
            created_at: row.created_at,
            metadata: StoredJson::or_null(row.metadata.as_deref()),
            bio: row.bio.as_deref(),
            role: row.role.as_deref(),
            function: row.function.as_deref(),
            team: row.team.as_deref(),
            tags: StoredJson::or_null(row.tags.as_deref()),
            languages: StoredJson::or_null(row.languages.as_deref()),
            protocols: StoredJson::or_null(row.protocols.as_deref()),
            status_text: row.status_text.as_deref(),
            timezone: row.timezone.as_deref(),
            active_hours: row.active_hours.as_deref(),
            version: row.version.as_deref().unwrap_or(DEFAULT_VERSION),
            runtime: row.runtime.as_deref(),
            join_status: row.join_status,
        }
    }
}
