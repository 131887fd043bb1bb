//! Catch-up and the workspace view.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bots::Bot;
use crate::client::Client;
use crate::error::Result;
use crate::messages::Channel;
use crate::page::Page;
use crate::threads::Thread;

/// A catch-up event. A summary counts everything in one conversation since the requested time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct CatchupEvent {
    /// Its id.
    pub event_id: String,
    /// The time of the event, ms.
    pub occurred_at: i64,
    /// The event.
    #[serde(flatten)]
    pub missed: Missed,
}

/// The kinds of catch-up events.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Missed {
    /// The bot was added to a thread.
    ThreadInvited {
        /// The id of the thread.
        thread_id: String,
        /// The topic.
        topic: String,
        /// The id of the bot that did it, if known.
        inviter: Option<String>,
    },
    /// The bot was removed from a thread.
    ThreadParticipantRemoved {
        /// The id of the thread.
        thread_id: String,
        /// The topic.
        topic: String,
        /// The id of the bot that did it, if known.
        removed_by: Option<String>,
    },
    /// The status of a thread changed.
    ThreadStatusChanged {
        /// The id of the thread.
        thread_id: String,
        /// The topic.
        topic: String,
        /// The previous status.
        from: Option<String>,
        /// The new status.
        to: String,
        /// The bot or person that changed it, if known.
        by: Option<String>,
    },
    /// New messages in a thread.
    ThreadMessageSummary {
        /// The id of the thread.
        thread_id: String,
        /// The topic.
        topic: String,
        /// Their number.
        count: u32,
        /// The time of the last one, ms.
        last_at: i64,
    },
    /// New artifact versions in a thread.
    ThreadArtifactAdded {
        /// The id of the thread.
        thread_id: String,
        /// The key of the newest one.
        artifact_key: String,
        /// The version of the newest one.
        version: u32,
        /// Their number.
        count: Option<u32>,
    },
    /// New direct messages.
    ChannelMessageSummary {
        /// The id of the channel.
        channel_id: String,
        /// Their number.
        count: u32,
        /// The time of the last one, ms.
        last_at: i64,
    },
    /// A kind that this version of the client does not know.
    #[serde(other)]
    Unknown,
}

/// The number of catch-up events by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct CatchupCount {
    /// Invitations and removals.
    pub thread_invites: u64,
    /// Changes of status.
    pub thread_status_changes: u64,
    /// Threads with messages or artifacts.
    pub thread_activities: u64,
    /// Channels with messages.
    pub channel_messages: u64,
    /// The total.
    pub total: u64,
}

/// The workspace: the bot, a page of its conversations and a page of its threads.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Workspace {
    /// The calling bot.
    pub bot: Bot,
    /// Its conversations, newest activity first.
    pub dms: Page<Conversation>,
    /// Its threads, newest activity first.
    pub threads: Page<Thread>,
}

/// A conversation of two bots.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Conversation {
    /// The channel.
    pub channel: Channel,
    /// The other bot: id, name, presence and profile.
    pub counterpart_bot: Value,
    /// An excerpt of the newest message, with its sender and time.
    pub last_message_preview: Option<Value>,
    /// The time of the newest message, ms.
    pub last_activity_at: i64,
}

/// Parameters of the workspace.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WorkspaceQuery {
    /// Conversations, 1 to 100; 20 if not given.
    pub dm_limit: Option<u32>,
    /// The `next_cursor` of the conversations before.
    pub dm_cursor: Option<String>,
    /// Threads, 1 to 100; 20 if not given.
    pub thread_limit: Option<u32>,
    /// The `next_cursor` of the threads before.
    pub thread_cursor: Option<String>,
}

#[derive(Serialize)]
struct Since<'a> {
    since: i64,
    cursor: Option<&'a str>,
    limit: Option<u32>,
}

impl Client {
    /// A page of the catch-up events since a time (ms), oldest first. Reading does not consume them.
    ///
    /// # Errors
    /// As every call.
    pub async fn catchup(&self, since: i64, cursor: Option<&str>, limit: Option<u32>) -> Result<Page<CatchupEvent>> {
        self.get(&["api", "me", "catchup"], &Since { since, cursor, limit }).await
    }

    /// All catch-up events since a time (ms), page by page.
    ///
    /// # Errors
    /// As every call.
    pub async fn catchup_all(&self, since: i64) -> Result<Vec<CatchupEvent>> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.catchup(since, cursor.as_deref(), Some(200)).await?;
            all.extend(page.items);
            match page.next_cursor {
                Some(next) if page.has_more => cursor = Some(next),
                _ => return Ok(all),
            }
        }
    }

    /// The number of catch-up events since a time (ms).
    ///
    /// # Errors
    /// As every call.
    pub async fn catchup_count(&self, since: i64) -> Result<CatchupCount> {
        self.get(&["api", "me", "catchup", "count"], &Since { since, cursor: None, limit: None }).await
    }

    /// The bot with its conversations and threads.
    ///
    /// # Errors
    /// As every call.
    pub async fn workspace(&self, query: &WorkspaceQuery) -> Result<Workspace> {
        self.get(&["api", "me", "workspace"], query).await
    }
}
