//! Rows of the tables, as they are read and inserted; one struct per table, fields in column order.
//!
//! States and ids are types of `hxa_domain`, stored as their texts on the wire. A column that may hold something else than
//! an id is text: the sender of a message, the organisation, actor and target of an audit row, the lane of a delivery.
//! `None` is written as NULL, never as a column default, so that rows of one kind can share a multi-row insert.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::page::Weigh;
use super::schema;
use hxa_domain::artifact::ArtifactType;
use hxa_domain::ids::{
    ArtifactId, AuditId, BotId, ChannelId, EventId, FileId, InviteId, MessageId, OrgId, PersonId, RequestId, ThreadId,
    TicketId, TokenId,
};
use hxa_domain::people::PersonRole;
use hxa_domain::standing::{AuthRole, JoinStatus, OrgStatus};
use hxa_domain::thread::{CloseReason, JoinPolicy, RequestStatus, ThreadStatus, Visibility};
use hxa_domain::webhook::DeliveryStatus;

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::orgs, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct OrgRow {
    pub id: OrgId,
    pub name: String,
    pub secret_hash: String,
    pub persist_messages: bool,
    pub status: OrgStatus,
    pub join_approval_required: bool,
    pub created_at: i64,
}

/// Settings of an organisation; absent until first changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::org_settings, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct OrgSettingsRow {
    pub org_id: OrgId,
    pub messages_per_minute_per_bot: i32,
    pub threads_per_hour_per_bot: i32,
    pub file_upload_mb_per_day_per_bot: i32,
    pub message_ttl_days: Option<i32>,
    pub thread_auto_close_days: Option<i32>,
    pub artifact_retention_days: Option<i32>,
    pub default_thread_permission_policy: Option<String>,
    pub updated_at: i64,
}

/// A bot with its profile and credentials (hashes only).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::bots, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct BotRow {
    pub id: BotId,
    pub org_id: OrgId,
    pub name: String,
    pub token_hash: String,
    pub auth_role: AuthRole,
    pub join_status: JoinStatus,
    pub join_status_changed_by: Option<String>,
    pub join_status_changed_at: Option<i64>,
    pub join_status_reason: Option<String>,
    pub metadata: Option<String>,
    pub webhook_url: Option<String>,
    pub webhook_secret: Option<String>,
    pub bio: Option<String>,
    pub role: Option<String>,
    pub function: Option<String>,
    pub team: Option<String>,
    pub tags: Option<String>,
    pub languages: Option<String>,
    pub protocols: Option<String>,
    pub status_text: Option<String>,
    pub timezone: Option<String>,
    pub active_hours: Option<String>,
    pub version: Option<String>,
    pub runtime: Option<String>,
    pub last_seen_at: Option<i64>,
    pub created_at: i64,
    pub webhook_events: Option<String>,
    pub webhook_old_secret: Option<String>,
    pub webhook_old_secret_until: Option<i64>,
}

/// A scoped token; `scopes` is a JSON list, and it ends with the scoped token `parent_id` that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::bot_tokens, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct BotTokenRow {
    pub id: TokenId,
    pub bot_id: BotId,
    pub token_hash: String,
    pub scopes: String,
    pub label: Option<String>,
    pub expires_at: Option<i64>,
    pub created_at: i64,
    pub last_used_at: Option<i64>,
    pub parent_id: Option<TokenId>,
}

/// A registration ticket; it ends with the scoped token `token_id` that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::org_tickets, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct TicketRow {
    pub id: TicketId,
    pub org_id: OrgId,
    pub code: String,
    pub reusable: bool,
    pub skip_approval: bool,
    pub expires_at: i64,
    pub consumed: bool,
    pub created_by: Option<String>,
    pub created_at: i64,
    pub token_id: Option<TokenId>,
}

/// A platform invite code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::invite_codes, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct InviteCodeRow {
    pub id: InviteId,
    pub code_hash: String,
    pub code: Option<String>,
    pub label: Option<String>,
    pub max_uses: i32,
    pub use_count: i32,
    pub expires_at: i64,
    pub created_at: i64,
}

/// A deleted bot's blocked name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::tombstones, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct TombstoneRow {
    pub id: AuditId,
    pub org_id: OrgId,
    pub name: String,
    pub deleted_at: i64,
    pub deleted_by: Option<String>,
}

/// A human session, found by the hash of its cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::sessions, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct SessionRow {
    pub id_hash: String,
    pub reference: String,
    pub role: String,
    pub org_id: Option<OrgId>,
    pub bot_id: Option<BotId>,
    pub token_id: Option<TokenId>,
    pub owner_name: Option<String>,
    pub scopes: Option<String>,
    pub is_scoped_token: bool,
    pub created_at: i64,
    pub expires_at: i64,
    // Sessions that were put into Redis by an older hub do not name it.
    #[serde(default)]
    pub person_id: Option<PersonId>,
}

/// A person of an organisation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::people, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct PersonRow {
    pub id: PersonId,
    pub org_id: OrgId,
    pub handle: String,
    pub handle_key: String,
    pub display_name: String,
    pub role: PersonRole,
    pub slack_user_id: Option<String>,
    pub password_hash: Option<String>,
    pub is_disabled: bool,
    pub created_at: i64,
    pub updated_at: i64,
}

impl std::fmt::Debug for PersonRow {
    /// Keeps the hash out of logs: unlike those of random secrets it can be guessed at.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("PersonRow");
        shown.field("id", &self.id).field("handle", &self.handle).field("role", &self.role).finish_non_exhaustive()
    }
}

/// A link that lets a person in once; there is one of a person at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::person_links, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct PersonLinkRow {
    pub code_hash: String,
    pub person_id: PersonId,
    pub org_id: OrgId,
    pub expires_at: i64,
    pub created_at: i64,
}

/// A row of the audit trail; `detail` is JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::audit_log, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct AuditRow {
    pub org_id: String,
    pub id: AuditId,
    pub bot_id: Option<String>,
    pub action: String,
    pub target_type: String,
    pub target_id: String,
    pub detail: Option<String>,
    pub created_at: i64,
}

/// A pair of bots that have written to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::channels, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct ChannelRow {
    pub id: ChannelId,
    pub org_id: OrgId,
    pub bot_low: BotId,
    pub bot_high: BotId,
    pub created_at: i64,
    pub last_activity_at: i64,
}

/// A direct message; `parts` is JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, QueryableByName, Selectable, Insertable)]
#[diesel(table_name = schema::channel_messages, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct ChannelMessageRow {
    pub channel_id: ChannelId,
    pub created_at: i64,
    pub id: MessageId,
    pub sender_id: String,
    pub content: String,
    pub content_type: String,
    pub parts: Option<String>,
    pub via_socket: bool,
}

/// A thread; `tags` is a JSON list, `permission_policy` JSON text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::threads, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct ThreadRow {
    pub id: ThreadId,
    pub org_id: OrgId,
    pub topic: String,
    pub tags: Option<String>,
    pub status: ThreadStatus,
    pub initiator_id: Option<BotId>,
    pub channel_id: Option<ChannelId>,
    pub context: Option<String>,
    pub close_reason: Option<CloseReason>,
    pub permission_policy: Option<String>,
    pub visibility: Visibility,
    pub join_policy: JoinPolicy,
    pub revision: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub last_activity_at: i64,
    pub resolved_at: Option<i64>,
}

/// A bot in a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::thread_participants, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct ParticipantRow {
    pub thread_id: ThreadId,
    pub bot_id: BotId,
    pub label: Option<String>,
    pub joined_at: i64,
}

/// A request to join a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::thread_join_requests, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct JoinRequestRow {
    pub id: RequestId,
    pub thread_id: ThreadId,
    pub bot_id: BotId,
    pub status: RequestStatus,
    pub requested_at: i64,
    pub resolved_at: Option<i64>,
    pub resolved_by: Option<BotId>,
}

/// A message in a thread; `parts`, `metadata` and `mentions` are JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::thread_messages, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct ThreadMessageRow {
    pub thread_id: ThreadId,
    pub created_at: i64,
    pub id: MessageId,
    pub sender_id: Option<String>,
    pub content: String,
    pub content_type: String,
    pub parts: Option<String>,
    pub metadata: Option<String>,
    pub mentions: Option<String>,
    pub mention_all: bool,
    pub reply_to_id: Option<String>,
    pub via_socket: bool,
}

/// One version of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::artifacts, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct ArtifactRow {
    pub thread_id: ThreadId,
    pub artifact_key: String,
    pub version: i32,
    pub id: ArtifactId,
    pub kind: ArtifactType,
    pub title: Option<String>,
    pub content: Option<String>,
    pub language: Option<String>,
    pub url: Option<String>,
    pub mime_type: Option<String>,
    pub contributor_id: Option<String>,
    pub format_warning: bool,
    pub via_socket: bool,
    pub created_at: i64,
}

/// An uploaded file; `path` is relative to the data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::files, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct FileRow {
    pub id: FileId,
    pub org_id: OrgId,
    pub uploader_id: Option<String>,
    pub name: String,
    pub mime_type: Option<String>,
    pub size: i64,
    pub path: String,
    pub created_at: i64,
}

/// A stored catchup event; `payload` is a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::catchup_events, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct CatchupRow {
    pub target_bot_id: BotId,
    pub id: EventId,
    pub org_id: OrgId,
    pub kind: String,
    pub payload: String,
    pub occurred_at: i64,
}

/// The body of the webhook requests for an event, shared by all recipients.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::webhook_payloads, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct PayloadRow {
    pub id: EventId,
    pub org_id: OrgId,
    pub bytes: i64,
    pub body: String,
}

/// An event on its way to a bot's webhook. Within a lane, which is a conversation, deliveries keep their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::webhook_deliveries, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct DeliveryRow {
    pub bot_id: BotId,
    pub position: i64,
    pub id: EventId,
    pub org_id: OrgId,
    pub event: String,
    pub lane: String,
    pub payload_id: EventId,
    pub bytes: i64,
    pub status: DeliveryStatus,
    pub attempts: i32,
    pub unanswered: i32,
    pub next_attempt_at: i64,
    pub last_status: Option<i32>,
    pub last_error: Option<String>,
    pub created_at: i64,
    pub finished_at: Option<i64>,
}

/// How a bot's webhook fares; absent until the first delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = schema::webhook_health, primary_key(bot_id), treat_none_as_default_value = false, treat_none_as_null = true)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct WebhookHealthRow {
    pub bot_id: BotId,
    pub last_success: Option<i64>,
    pub last_failure: Option<i64>,
    pub consecutive_failures: i32,
    pub degraded: bool,
    pub hold_until: i64,
    pub dropped: i64,
    pub last_dropped: Option<i64>,
}

impl WebhookHealthRow {
    /// Of a bot whose receiver was sent nothing yet.
    #[must_use]
    pub fn untried(bot: BotId) -> Self {
        Self {
            bot_id: bot,
            last_success: None,
            last_failure: None,
            consecutive_failures: 0,
            degraded: false,
            hold_until: 0,
            dropped: 0,
            last_dropped: None,
        }
    }
}

/// What a bot was answered under an idempotency key; `answer` is the JSON that went out.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::idempotency_keys, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct ReceiptRow {
    pub bot_id: BotId,
    pub key: String,
    pub fingerprint: String,
    pub answer: String,
    pub created_at: i64,
}

impl Weigh for ArtifactRow {
    fn bytes(&self) -> usize {
        self.content.as_ref().map_or(0, String::len)
    }
}

impl Weigh for ChannelMessageRow {
    fn bytes(&self) -> usize {
        self.content.len() + self.parts.as_ref().map_or(0, String::len)
    }
}

impl Weigh for ThreadMessageRow {
    fn bytes(&self) -> usize {
        let more = [&self.parts, &self.metadata, &self.mentions].into_iter().flatten().map(String::len);
        self.content.len() + more.sum::<usize>()
    }
}

impl Weigh for ThreadRow {
    fn bytes(&self) -> usize {
        let more = [&self.context, &self.permission_policy, &self.tags].into_iter().flatten().map(String::len);
        self.topic.len() + more.sum::<usize>()
    }
}
