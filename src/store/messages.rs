//! Messages of channels and threads: pages by time and by cursor, single lookups, previews.
//!
//! Both tables are keyed by (conversation, created_at, id), the order in which they are read, so every query here is a
//! seek. An id the hub made holds its own time and is found through the key; ids brought along from elsewhere do not,
//! and are looked for within their conversation.

use std::collections::HashMap;

use diesel::prelude::*;

use super::append::append;
use super::connection::{MultiBackend, each_backend};
use super::page::Page;
use super::rows::{ChannelMessageRow, ThreadMessageRow};
use super::schema::{channel_messages, channels, thread_messages};
use super::{DbConnection, DbError};
use crate::domain::ids::{ChannelId, MessageId, ThreadId};

/// Which messages a page by time holds: the newest `limit` of those between the two times, both exclusive.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Only messages before this time, ms.
    pub before: Option<i64>,
    /// Only messages after this time, ms.
    pub since: Option<i64>,
    /// At most this many.
    pub limit: i64,
}

/// Declares the queries that both kinds of conversation share.
macro_rules! conversation {
    ($table:ident.$key:ident: $Row:ident of $Id:ident => $window:ident, $page:ident, $find:ident) => {
        /// The newest messages of a window of time, oldest first.
        ///
        /// # Errors
        /// When the database fails.
        pub fn $window(conn: &mut DbConnection, of: $Id, window: Window) -> Result<Vec<$Row>, DbError> {
            // Bounds that exclude nothing keep this one statement, which each connection prepares once.
            let newest = $table::table
                .filter($table::$key.eq(of.to_string()))
                .filter($table::created_at.lt(window.before.unwrap_or(i64::MAX)))
                .filter($table::created_at.gt(window.since.unwrap_or(i64::MIN)))
                .order(($table::created_at.desc(), $table::id.desc()))
                .limit(window.limit);
            let mut rows = each_backend!(conn, |c| newest.select($Row::as_select()).load(c))?;
            rows.reverse();
            Ok(rows)
        }

        /// The messages before one of the conversation, newest first; the newest page when it has no such message.
        ///
        /// # Errors
        /// When the database fails.
        pub fn $page(
            conn: &mut DbConnection,
            of: $Id,
            before: Option<MessageId>,
            limit: i64,
        ) -> Result<Page<$Row>, DbError> {
            let before = before.map(|id| $find(conn, of, id)).transpose()?.flatten();
            let (time, id) = before.map_or((i64::MAX, String::new()), |row| (row.created_at, row.id));
            // The first condition on the time is the seek; the second cuts off what shares the cursor's time.
            let rows = $table::table
                .filter($table::$key.eq(of.to_string()))
                .filter($table::created_at.le(time))
                .filter($table::created_at.lt(time).or($table::id.lt(id)))
                .order(($table::created_at.desc(), $table::id.desc()))
                .limit(Page::<$Row>::asked(limit));
            let rows = each_backend!(conn, |c| rows.select($Row::as_select()).load(c))?;
            Ok(Page::cut(rows, limit))
        }

        /// One message of a conversation.
        ///
        /// # Errors
        /// When the database fails.
        pub fn $find(conn: &mut DbConnection, of: $Id, id: MessageId) -> Result<Option<$Row>, DbError> {
            let rows = $table::table.filter($table::$key.eq(of.to_string()).and($table::id.eq(id.to_string())));
            let row = match id.millis() {
                Some(at) => rows.filter($table::created_at.eq(at)).select($Row::as_select()).first(conn),
                None => rows.select($Row::as_select()).first(conn),
            };
            Ok(row.optional()?)
        }
    };
}

conversation!(channel_messages.channel_id: ChannelMessageRow of ChannelId => channel_window, channel_page, find_in_channel);
conversation!(thread_messages.thread_id: ThreadMessageRow of ThreadId => thread_window, thread_page, find_in_thread);

/// Appends messages to threads.
///
/// # Errors
/// When the database fails.
pub fn insert_in_threads(conn: &mut DbConnection, rows: &[&ThreadMessageRow]) -> Result<(), DbError> {
    append!(
        conn,
        thread_messages: ThreadMessageRow {
            thread_id, created_at, id, sender_id, content, content_type, parts, metadata, mentions, mention_all,
            reply_to_id, via_socket,
        },
        rows
    );
    Ok(())
}

/// The messages that others of a thread reply to, by id.
///
/// # Errors
/// When the database fails.
pub fn parents(
    conn: &mut DbConnection,
    thread: ThreadId,
    replies: &[ThreadMessageRow],
) -> Result<HashMap<String, ThreadMessageRow>, DbError> {
    use thread_messages as m;
    let ids: Vec<MessageId> =
        replies.iter().filter_map(|row| row.reply_to_id.as_deref()).filter_map(MessageId::parse).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let mut query =
        m::table.filter(m::thread_id.eq(thread.to_string())).filter(m::id.eq_any(texts)).into_boxed::<MultiBackend>();
    let times: Vec<i64> = ids.iter().filter_map(|id| id.millis()).collect();
    if times.len() == ids.len() {
        query = query.filter(m::created_at.eq_any(times));
    }
    let rows = query.select(ThreadMessageRow::as_select()).load(conn)?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}

/// The newest message of each channel, by channel.
///
/// # Errors
/// When the database fails.
pub fn newest_of_channels(
    conn: &mut DbConnection,
    of: &[String],
) -> Result<HashMap<String, ChannelMessageRow>, DbError> {
    use channel_messages as m;
    let newer = diesel::alias!(channel_messages as newer);
    let newest_time = newer
        .filter(newer.field(m::channel_id).eq(channels::id))
        .select(diesel::dsl::max(newer.field(m::created_at)))
        .single_value();
    let rows = channels::table
        .inner_join(m::table.on(m::channel_id.eq(channels::id)))
        .filter(channels::id.eq_any(of))
        .filter(m::created_at.nullable().eq(newest_time))
        .order(m::id)
        .select(ChannelMessageRow::as_select())
        .load(conn)?;
    // Of messages that share the newest time the last one stays.
    Ok(rows.into_iter().map(|row| (row.channel_id.clone(), row)).collect())
}
