//! A bot's workspace: its conversations and threads, latest activity first.
//!
//! Previews are the newest message of each listed channel, read in one statement for the page. Callers flush the
//! activity that is only in memory before they ask.

use super::page::Page;
use super::rows::ChannelRow;
use super::threads_list::{self, ListedThread, Scope, ThreadFilter};
use super::{DbConnection, DbError, channels, messages};
use hxa_domain::cursor::Cursor;
use hxa_domain::ids::{BotId, ChannelId, OrgId};

/// Which pages to read.
#[derive(Debug, Clone)]
pub struct WorkspaceQuery {
    /// The bot's organisation.
    pub org: OrgId,
    /// The bot.
    pub bot: BotId,
    /// Conversations of a page.
    pub dm_limit: i64,
    /// The last conversation of the page before.
    pub dm_cursor: Option<Cursor>,
    /// Threads of a page.
    pub thread_limit: i64,
    /// The last thread of the page before.
    pub thread_cursor: Option<Cursor>,
    /// About so many bytes of threads.
    pub most: usize,
}

/// A conversation with its newest message.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// The channel.
    pub channel: ChannelRow,
    /// Its newest message, if any is left.
    pub newest: Option<messages::Newest>,
}

/// The two pages.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Conversations.
    pub dms: Page<Conversation>,
    /// Threads.
    pub threads: Page<ListedThread>,
}

/// Reads a bot's workspace.
///
/// # Errors
/// When the database fails.
pub fn load(conn: &mut DbConnection, query: WorkspaceQuery) -> Result<Workspace, DbError> {
    let channels = channels::page_of_bot(conn, query.bot, query.dm_cursor, query.dm_limit)?;
    let ids: Vec<ChannelId> = channels.rows.iter().map(|row| row.id).collect();
    let mut newest = messages::newest_of_channels(conn, &ids)?;
    let dms = channels.map(|channel| Conversation { newest: newest.remove(&channel.id), channel });
    let filter = ThreadFilter {
        after: query.thread_cursor,
        limit: query.thread_limit,
        most: query.most,
        ..ThreadFilter::default()
    };
    let threads = threads_list::page(conn, query.org, Scope::Own(query.bot), &filter)?;
    Ok(Workspace { dms, threads })
}
