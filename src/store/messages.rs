//! Messages of channels and threads: pages by time and by cursor, single lookups, previews.
//!
//! Both tables are keyed by (conversation, created_at, id), the order in which they are read, so every query here is a
//! seek. An id that the hub made contains its own time and is found through the key; imported ids do not, and are
//! searched for within their conversation.

use std::collections::HashMap;

use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;

use super::append::append;
use super::connection::MultiBackend;
use super::page::{Page, Weigh, WithNext, read_within};
use super::rows::{ChannelMessageRow, ThreadMessageRow};
use super::schema::{channel_messages, channels, thread_messages};
use super::{DbConnection, DbError};
use hxa_domain::ids::{ChannelId, MessageId, ThreadId};

/// Which messages a page by time holds: the newest `limit` of those between the two times, both exclusive.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Only messages before this time, ms.
    pub before: Option<i64>,
    /// Only messages after this time, ms.
    pub since: Option<i64>,
    /// At most this many.
    pub limit: i64,
    /// About so many bytes; the newest message is read whatever it has.
    pub most: usize,
}

/// No id is before this one.
const FIRST: MessageId = MessageId::from_uuid(uuid::Uuid::nil());
/// Messages whose parents are read in one statement: those of an ordinary page.
const REPLIES: usize = 50;
/// Characters read of a message that is shown by its beginning; one more than are shown, to know that it goes on.
const BEGINNING: i32 = 201;

diesel::define_sql_function! {
    /// Some characters of a text, from a place that is counted from 1.
    fn substr(
        text: diesel::sql_types::Text,
        from: diesel::sql_types::Integer,
        count: diesel::sql_types::Integer,
    ) -> diesel::sql_types::Text;
}

/// Declares the queries that both kinds of conversation share.
macro_rules! conversation {
    ($table:ident.$key:ident: $Row:ident of $Id:ident => $window:ident, $page:ident, $find:ident) => {
        /// The newest messages of a window of time, newest first; `has_more` only if its bytes were used up.
        ///
        /// # Errors
        /// When the database fails.
        pub fn $window(conn: &mut DbConnection, of: $Id, window: Window) -> Result<Page<$Row>, DbError> {
            // Bounds that exclude nothing keep this one statement, which each connection prepares once.
            let newest = $table::table
                .filter($table::$key.eq(of))
                .filter($table::created_at.lt(window.before.unwrap_or(i64::MAX)))
                .filter($table::created_at.gt(window.since.unwrap_or(i64::MIN)))
                .order(($table::created_at.desc(), $table::id.desc()))
                .limit(window.limit);
            Ok(Page::cut_short(read_within!(conn, newest.select($Row::as_select()), $Row, window.most)?, window.limit))
        }

        /// The messages before one of the conversation, newest first; the newest page when it has no such message.
        ///
        /// # Errors
        /// When the database fails.
        pub fn $page(
            conn: &mut DbConnection,
            of: $Id,
            before: Option<MessageId>,
            (limit, most): (i64, usize),
        ) -> Result<Page<$Row>, DbError> {
            let before = before.map(|id| $find(conn, of, id)).transpose()?.flatten();
            let (time, id) = before.map_or((i64::MAX, FIRST), |row| (row.created_at, row.id));
            // The first condition on the time is the seek; the second cuts off what shares the cursor's time.
            let rows = $table::table
                .filter($table::$key.eq(of))
                .filter($table::created_at.le(time))
                .filter($table::created_at.lt(time).or($table::id.lt(id)))
                .order(($table::created_at.desc(), $table::id.desc()))
                .limit(Page::<$Row>::asked(limit));
            Ok(Page::cut_short(read_within!(conn, rows.select($Row::as_select()), $Row, most)?, limit))
        }

        /// One message of a conversation.
        ///
        /// # Errors
        /// When the database fails.
        pub fn $find(conn: &mut DbConnection, of: $Id, id: MessageId) -> Result<Option<$Row>, DbError> {
            let rows = $table::table.filter($table::$key.eq(of).and($table::id.eq(id)));
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

/// What is shown of a message that others reply to.
#[derive(Debug, Clone, Queryable)]
pub struct Parent {
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub sender_id: Option<String>,
    /// What it says.
    pub content: String,
    /// When it was sent, ms.
    pub created_at: i64,
}

impl From<ThreadMessageRow> for Parent {
    fn from(row: ThreadMessageRow) -> Self {
        Self { id: row.id, sender_id: row.sender_id, content: row.content, created_at: row.created_at }
    }
}

impl Weigh for Parent {
    fn bytes(&self) -> usize {
        self.content.len()
    }
}

/// Parents by id.
pub type Parents = HashMap<MessageId, Parent>;

/// The messages that those of a page reply to. The page is cut where their bytes are used up, behind its first message.
///
/// # Errors
/// When the database fails.
pub fn parents(
    conn: &mut DbConnection,
    thread: ThreadId,
    page: &mut Page<ThreadMessageRow>,
    most: usize,
) -> Result<Parents, DbError> {
    let (mut parents, mut used, mut covered, mut step) = (Parents::new(), 0_usize, 0_usize, REPLIES);
    while covered < page.rows.len() && used < most {
        let rows = page.rows.iter().skip(covered).take(step);
        let ids = rows.filter_map(|row| row.reply_to_id.as_deref()).filter_map(MessageId::parse).collect();
        let (found, next) = parents_of(conn, thread, ids, most.saturating_sub(used))?;
        if next.is_some() && step > 1 {
            // Which ones are missing is not known: in smaller steps, one in the end.
            step = (step / 8).max(1);
            continue;
        }
        used = found.iter().fold(used, |used, parent| used.saturating_add(parent.bytes()));
        parents.extend(found.into_iter().map(|parent| (parent.id, parent)));
        covered = covered.saturating_add(step);
    }
    if covered < page.rows.len() {
        page.rows.truncate(covered);
        page.has_more = true;
    }
    Ok(parents)
}

fn parents_of(
    conn: &mut DbConnection,
    thread: ThreadId,
    ids: Vec<MessageId>,
    most: usize,
) -> Result<WithNext<Parent>, DbError> {
    use thread_messages as m;
    if ids.is_empty() {
        return Ok((Vec::new(), None));
    }
    let times: Vec<i64> = ids.iter().filter_map(|id| id.millis()).collect();
    let has_all_times = times.len() == ids.len();
    let mut query = m::table.filter(m::thread_id.eq(thread)).filter(m::id.eq_any(ids)).into_boxed::<MultiBackend>();
    if has_all_times {
        query = query.filter(m::created_at.eq_any(times));
    }
    let parents = query.select((m::id, m::sender_id, m::content, m::created_at));
    super::page::within(parents.load_iter::<Parent, DefaultLoadingMode>(conn)?, most)
}

/// A channel's newest message, as far as lists show it.
#[derive(Debug, Clone, Queryable)]
pub struct Newest {
    /// The channel.
    pub channel_id: ChannelId,
    /// Who wrote it.
    pub sender_id: String,
    /// How it begins.
    pub beginning: String,
    /// When it was sent, ms.
    pub created_at: i64,
}

/// The newest message of each channel, by channel.
///
/// # Errors
/// When the database fails.
pub fn newest_of_channels(conn: &mut DbConnection, of: &[ChannelId]) -> Result<HashMap<ChannelId, Newest>, DbError> {
    use channel_messages as m;
    let newer = diesel::alias!(channel_messages as newer);
    let newest_time = newer
        .filter(newer.field(m::channel_id).eq(channels::id))
        .select(diesel::dsl::max(newer.field(m::created_at)))
        .single_value();
    let rows: Vec<Newest> = channels::table
        .inner_join(m::table.on(m::channel_id.eq(channels::id)))
        .filter(channels::id.eq_any(of))
        .filter(m::created_at.nullable().eq(newest_time))
        .order(m::id)
        .select((m::channel_id, m::sender_id, substr(m::content, 1, BEGINNING), m::created_at))
        .load(conn)?;
    // Of messages that share the newest time the last one stays.
    Ok(rows.into_iter().map(|row| (row.channel_id, row)).collect())
}
