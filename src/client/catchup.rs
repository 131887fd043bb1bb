//! Catch-up and the workspace view.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bots::Bot;
use crate::client::Client;
use crate::error::Result;
use crate::messages::Channel;
use crate::page::Page;
use crate::threads::Thread;

/// Something that a bot missed. A summary stands for all that came in one conversation since the time asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct CatchupEvent {
    /// Its id.
    pub event_id: String,
    /// When it happened, ms.
    pub occurred_at: i64,
    /// What happened.
    #[serde(flatten)]
    pub missed: Missed,
}

/// What a bot missed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Missed {
    /// It was put into a thread.
    ThreadInvited {
        /// The thread.
        thread_id: String,
        /// What it is about.
        topic: String,
        /// By whom, if known.
        inviter: Option<String>,
    },
    /// It was taken out of a thread.
    ThreadParticipantRemoved {
        /// The thread.
        thread_id: String,
        /// What it is about.
        topic: String,
        /// By whom, if known.
        removed_by: Option<String>,
    },
    /// The status of a thread changed.
    ThreadStatusChanged {
        /// The thread.
        thread_id: String,
        /// What it is about.
        topic: String,
        /// The status before.
        from: Option<String>,
        /// The status since then.
        to: String,
        /// Who changed it, if known.
        by: Option<String>,
    },
    /// Messages came in a thread.
    ThreadMessageSummary {
        /// The thread.
        thread_id: String,
        /// What it is about.
        topic: String,
        /// How many.
        count: u32,
        /// When the last one came, ms.
        last_at: i64,
    },
    /// Versions of artifacts came in a thread.
    ThreadArtifactAdded {
        /// The thread.
        thread_id: String,
        /// The artifact of the newest one.
        artifact_key: String,
        /// The newest one's version.
        version: u32,
        /// How many.
        count: Option<u32>,
    },
    /// Direct messages came.
    ChannelMessageSummary {
        /// The channel.
        channel_id: String,
        /// How many.
        count: u32,
        /// When the last one came, ms.
        last_at: i64,
    },
    /// Something that this version of the client does not know.
    #[serde(other)]
    Unknown,
}

/// How many catch-up events there are, by kind.
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
    /// All of them.
    pub total: u64,
}

/// The bot, a page of its conversations and a page of its threads.
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
    /// The other bot: id, name, presence, and what it says of itself.
    pub counterpart_bot: Value,
    /// The beginning of the newest message, with its sender and time.
    pub last_message_preview: Option<Value>,
    /// When the newest message came, ms.
    pub last_activity_at: i64,
}

/// Which part of the workspace to show.
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
    /// A page of what the bot missed since a time (ms), oldest first. Reading consumes nothing.
    ///
    /// # Errors
    /// As every call.
    pub async fn catchup(&self, since: i64, cursor: Option<&str>, limit: Option<u32>) -> Result<Page<CatchupEvent>> {
        self.get(&["api", "me", "catchup"], &Since { since, cursor, limit }).await
    }

    /// Everything the bot missed since a time (ms), page by page.
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

    /// How much the bot missed since a time (ms).
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
