//! What events say: one type per kind, which the OpenAPI document shows as well.
//!
//! The log adds `seq` and `epoch` to what goes to sockets; webhooks get `webhook_version` instead. Kinds of the hot path
//! hold their own `type`, the others get it from [`crate::fanout::event::Event::new`].

use serde::Serialize;
use utoipa::ToSchema;

use super::{Artifact, Channel, ChannelMessage, Thread, ThreadMessage};
use hxa_domain::ids::{BotId, ChannelId, OrgId, RequestId, ThreadId};
use hxa_domain::standing::JoinStatus;
use hxa_domain::thread::{RequestStatus, ThreadStatus};

/// A direct message was sent.
#[derive(Serialize, ToSchema)]
pub struct MessageSent<'a> {
    /// `message`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The channel.
    pub channel_id: ChannelId,
    /// The message.
    pub message: ChannelMessage<'a>,
    /// Its sender's name.
    pub sender_name: &'a str,
}

/// A message was sent to a thread.
#[derive(Serialize, ToSchema)]
pub struct ThreadMessageSent<'a> {
    /// `thread_message`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The thread.
    pub thread_id: ThreadId,
    /// The message.
    pub message: ThreadMessage<'a>,
}

/// An artifact has a new version.
#[derive(Serialize, ToSchema)]
pub struct ArtifactChanged<'a> {
    /// `thread_artifact`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The thread.
    pub thread_id: ThreadId,
    /// The version.
    pub artifact: Artifact<'a>,
    /// `added` for the first version, else `updated`.
    pub action: ArtifactAction,
}

hxa_domain::wire_enum! {
    /// What became of an artifact.
    ArtifactAction { Added = "added", Updated = "updated", }
}

/// Two bots have their channel.
#[derive(Serialize, ToSchema)]
pub struct ChannelCreated<'a> {
    /// The channel.
    pub channel: Channel<'a>,
    /// Its two bots.
    pub members: [BotId; 2],
}

/// A thread was created.
#[derive(Serialize, ToSchema)]
pub struct ThreadCreated<'a> {
    /// The thread.
    pub thread: Thread<'a>,
}

/// A thread was changed.
#[derive(Serialize, ToSchema)]
pub struct ThreadUpdated<'a> {
    /// The thread as it is now.
    pub thread: Thread<'a>,
    /// The names of the fields that changed; `participants` for labels.
    #[schema(value_type = Vec<String>)]
    pub changes: &'a [&'static str],
}

/// An admin or the hub itself changed a thread's status.
#[derive(Serialize, ToSchema)]
pub struct ThreadStatusChanged<'a> {
    /// The thread.
    pub thread_id: ThreadId,
    /// Its topic.
    pub topic: &'a str,
    /// The status before.
    pub from: ThreadStatus,
    /// The status now.
    pub to: ThreadStatus,
    /// Who did it.
    pub by: String,
}

/// A bot takes part in a thread, or does no more.
#[derive(Serialize, ToSchema)]
pub struct ParticipantChanged<'a> {
    /// The thread.
    pub thread_id: ThreadId,
    /// The bot.
    pub bot_id: BotId,
    /// Its name.
    pub bot_name: &'a str,
    /// `joined` or `left`.
    pub action: ParticipantAction,
    /// Who did it.
    pub by: &'a str,
    /// Its label, where one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub label: Option<&'a Option<String>>,
}

hxa_domain::wire_enum! {
    /// What a bot did, or what was done to it.
    ParticipantAction { Joined = "joined", Left = "left", }
}

/// A bot asks to join a thread.
#[derive(Serialize, ToSchema)]
pub struct JoinRequested<'a> {
    /// The thread.
    pub thread_id: ThreadId,
    /// The request.
    pub request_id: RequestId,
    /// The bot.
    pub bot_id: BotId,
    /// Its name.
    pub bot_name: &'a str,
}

/// A request to join was decided.
#[derive(Serialize, ToSchema)]
pub struct JoinResolved {
    /// The thread.
    pub thread_id: ThreadId,
    /// The request.
    pub request_id: RequestId,
    /// The bot that asked.
    pub bot_id: BotId,
    /// `approved` or `rejected`.
    pub status: RequestStatus,
}

/// A bot by its name.
#[derive(Serialize, ToSchema)]
pub struct NamedBot<'a> {
    /// The bot.
    pub id: BotId,
    /// Its name.
    pub name: &'a str,
}

/// A bot came online, or went.
#[derive(Serialize, ToSchema)]
pub struct PresenceChanged<'a> {
    /// The bot.
    pub bot: NamedBot<'a>,
}

/// A bot with its state of admission.
#[derive(Serialize, ToSchema)]
pub struct AdmittedBot<'a> {
    /// The bot.
    pub id: BotId,
    /// Its name.
    pub name: &'a str,
    /// Whether it waits for approval.
    pub join_status: JoinStatus,
}

/// A bot was registered.
#[derive(Serialize, ToSchema)]
pub struct BotRegistered<'a> {
    /// The bot.
    pub bot: AdmittedBot<'a>,
}

/// A bot waits for approval.
#[derive(Serialize, ToSchema)]
pub struct BotJoinRequested<'a> {
    /// The bot.
    pub bot: NamedBot<'a>,
    /// Its organisation.
    pub org_id: OrgId,
}

/// A bot was approved or rejected.
#[derive(Serialize, ToSchema)]
pub struct BotStatusChanged {
    /// The bot.
    pub bot_id: BotId,
    /// Its name.
    pub name: String,
    /// What it is now.
    pub join_status: JoinStatus,
    /// What it was.
    pub previous_status: JoinStatus,
    /// Why, if that was said.
    #[schema(required)]
    pub reason: Option<String>,
}

/// A bot has another name.
#[derive(Serialize, ToSchema)]
pub struct BotRenamed {
    /// The bot.
    pub bot_id: BotId,
    /// The name before.
    pub old_name: String,
    /// The name now.
    pub new_name: String,
}
