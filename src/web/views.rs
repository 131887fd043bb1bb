//! The responses of collaboration routes: stored rows together with names and presence from memory.

use std::sync::Arc;

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use hxa_domain::error::Allowance;
use hxa_domain::ids::{BotId, MessageId, ThreadId};
use hxa_hub::core::org_state::{Bot, OrgState};
use hxa_hub::wire;
use hxa_store::messages::{Parent, Parents};
use hxa_store::page::Page;
use hxa_store::rows::{ArtifactRow, ChannelMessageRow, ChannelRow, ParticipantRow, ThreadMessageRow, ThreadRow};
use hxa_store::threads_list::ListedThread as StoredThread;

/// A bot by the text of its id, if it still exists.
#[must_use]
pub fn bot_of(org: &OrgState, id: Option<&str>) -> Option<Arc<Bot>> {
    id.and_then(BotId::parse).and_then(|id| org.bot(id))
}

/// A direct message and its sender's name.
pub struct NamedMessage {
    row: ChannelMessageRow,
    name: Arc<str>,
}

impl NamedMessage {
    /// Names the senders of messages.
    #[must_use]
    pub fn all(org: &OrgState, page: Page<ChannelMessageRow>) -> Page<Self> {
        page.map(|row| Self { name: org.bot_name(BotId::parse(&row.sender_id)), row })
    }

    /// Its id, as the cursor that names it.
    #[must_use]
    pub fn id(&self) -> String {
        self.row.id.to_string()
    }

    /// When it was sent, ms.
    #[must_use]
    pub fn time(&self) -> i64 {
        self.row.created_at
    }

    /// The message as lists show it.
    #[must_use]
    pub fn view(&self) -> wire::ChannelMessage<'_> {
        wire::ChannelMessage::named(&self.row, &self.name)
    }
}

/// A thread message with the name of its sender and what it replies to.
pub struct ShownMessage {
    row: ThreadMessageRow,
    sender: Option<Arc<Bot>>,
    replied_to: Option<wire::RepliedTo>,
}

impl ShownMessage {
    /// Completes messages; a reply to a message that is gone is no reply any more.
    #[must_use]
    pub fn all(org: &OrgState, page: Page<ThreadMessageRow>, parents: &Parents) -> Page<Self> {
        page.map(|mut row| {
            let parent = row.reply_to_id.as_deref().and_then(MessageId::parse).and_then(|id| parents.get(&id));
            let replied_to = parent.map(|parent| replied_to(org, parent));
            if replied_to.is_none() {
                row.reply_to_id = None;
            }
            Self { sender: bot_of(org, row.sender_id.as_deref()), row, replied_to }
        })
    }

    /// Its id, as the cursor that names it.
    #[must_use]
    pub fn id(&self) -> String {
        self.row.id.to_string()
    }

    /// When it was sent, ms.
    #[must_use]
    pub fn time(&self) -> i64 {
        self.row.created_at
    }

    /// The message on the wire.
    #[must_use]
    pub fn view(&self) -> wire::ThreadMessage<'_> {
        let name = self.sender.as_ref().map(|bot| bot.row.name.as_str());
        wire::ThreadMessage::new(&self.row, name, self.replied_to.as_ref())
    }
}

fn replied_to(org: &OrgState, parent: &Parent) -> wire::RepliedTo {
    wire::RepliedTo::new(parent, bot_of(org, parent.sender_id.as_deref()).as_ref().map(|bot| &bot.row))
}

/// A thread in a list.
#[derive(Serialize, ToSchema)]
pub struct ListedThread<'a> {
    #[serde(flatten)]
    thread: wire::Thread<'a>,
    participant_count: i64,
    /// Where the list has threads that the bot may find.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    is_participant: Option<bool>,
}

impl<'a> ListedThread<'a> {
    /// A thread in a bot's own list.
    #[must_use]
    pub fn own(listed: &'a StoredThread) -> Self {
        Self { thread: (&listed.row).into(), participant_count: listed.participant_count, is_participant: None }
    }

    /// A thread in the organisation's list, as a bot sees it.
    #[must_use]
    pub fn visible(listed: &'a StoredThread) -> Self {
        Self { is_participant: Some(listed.is_participant), ..Self::own(listed) }
    }
}

/// A thread with its participants.
#[derive(Serialize, ToSchema)]
pub struct ThreadWithParticipants<'a> {
    #[serde(flatten)]
    thread: wire::Thread<'a>,
    participant_count: i64,
    participants: Vec<wire::ParticipantView>,
}

impl<'a> ThreadWithParticipants<'a> {
    /// A thread in the admin's list.
    #[must_use]
    pub fn listed(listed: &'a StoredThread, participants: Vec<wire::ParticipantView>) -> Self {
        Self { thread: (&listed.row).into(), participant_count: listed.participant_count, participants }
    }

    /// A thread alone.
    #[must_use]
    pub fn whole(org: &OrgState, row: &'a ThreadRow, participants: &[ParticipantRow]) -> Self {
        let participants = participant_views(org, participants);
        Self {
            thread: row.into(),
            participant_count: i64::try_from(participants.len()).unwrap_or(i64::MAX),
            participants,
        }
    }
}

/// A place in a thread.
#[derive(Serialize, ToSchema)]
pub struct Participant<'a> {
    thread_id: ThreadId,
    bot_id: BotId,
    #[schema(required)]
    label: Option<&'a str>,
    joined_at: i64,
}

impl<'a> From<&'a ParticipantRow> for Participant<'a> {
    fn from(row: &'a ParticipantRow) -> Self {
        Self { thread_id: row.thread_id, bot_id: row.bot_id, label: row.label.as_deref(), joined_at: row.joined_at }
    }
}

/// Participants with names and presence.
#[must_use]
pub fn participant_views(org: &OrgState, rows: &[ParticipantRow]) -> Vec<wire::ParticipantView> {
    let view = |row: &ParticipantRow| {
        let bot = org.bot(row.bot_id)?;
        Some(wire::ParticipantView {
            bot_id: row.bot_id,
            name: bot.row.name.clone(),
            online: org.channel().is_online(bot.id),
            label: row.label.clone(),
            joined_at: row.joined_at,
        })
    };
    rows.iter().filter_map(view).collect()
}

/// The members of a channel that still exist.
#[must_use]
pub fn members(org: &OrgState, channel: &ChannelRow) -> Vec<wire::ChannelMember> {
    let pair = [channel.bot_low, channel.bot_high];
    let member = |id: BotId| {
        let bot = org.bot(id)?;
        Some(wire::ChannelMember { id, name: bot.row.name.clone(), online: org.channel().is_online(id) })
    };
    pair.into_iter().filter_map(member).collect()
}

/// An artifact version; a contributor that is gone is not named.
#[must_use]
pub fn artifact<'a>(org: &OrgState, row: &'a ArtifactRow) -> wire::Artifact<'a> {
    wire::Artifact::new(row, bot_of(org, row.contributor_id.as_deref()).is_some())
}

/// Moves a thread's newest activity to what memory knows of it; the stored one may lag a few seconds.
pub fn show_newest_activity(org: &OrgState, row: &mut ThreadRow) {
    if let Some(at) = org.thread_activity.get(&row.id).map(|at| *at) {
        row.last_activity_at = at.max(row.last_activity_at);
    }
}

/// Tells a client what is left of a limit.
#[must_use]
pub fn with_allowance(mut response: HttpResponse, left: Allowance) -> HttpResponse {
    left.write(&mut response);
    response
}
