//! Lists of threads: a bot's own, those of the organisation it may see, and all of them for the admin.
//!
//! One query returns a page with the number of participants and whether the bot is one; the query itself excludes
//! threads that the bot may not see, so that they never take up places on a page. Latest activity comes first; callers
//! flush the activity that is only in memory before they ask.

use std::collections::HashMap;

use diesel::connection::DefaultLoadingMode;
use diesel::dsl::exists;
use diesel::prelude::*;

use super::connection::{MultiBackend, each_backend};
use super::matching::says;
use super::page::{Page, Weigh, within};
use super::rows::{ParticipantRow, ThreadRow};
use super::schema::{thread_participants, threads};
use super::search::needle;
use super::{DbConnection, DbError};
use hxa_domain::cursor::Cursor;
use hxa_domain::ids::{BotId, OrgId, ThreadId};
use hxa_domain::thread::{ThreadStatus, Visibility};

/// Whose eyes a list is for.
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// Threads the bot takes part in.
    Own(BotId),
    /// Threads the bot may find: public ones and its own.
    Visible(BotId),
    /// Every thread of the organisation.
    All,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct ThreadFilter {
    /// Only threads in this state.
    pub status: Option<ThreadStatus>,
    /// Only threads whose topic contains this, in any case.
    pub search: Option<String>,
    /// Only threads after this one in the order of the list.
    pub after: Option<Cursor>,
    /// Rows to skip.
    pub offset: i64,
    /// At most this many rows.
    pub limit: i64,
    /// About so many bytes; the first thread is read whatever it has.
    pub most: usize,
}

/// A thread in a list.
#[derive(Debug, Clone)]
pub struct ListedThread {
    /// The row.
    pub row: ThreadRow,
    /// How many bots take part.
    pub participant_count: i64,
    /// Whether the asking bot does.
    pub is_participant: bool,
}

impl ListedThread {
    /// The cursor that names this row.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor::new(self.row.last_activity_at, self.row.id)
    }
}

/// A row of the list's query.
type Listing = (ThreadRow, Option<i64>, bool);

impl Weigh for Listing {
    fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// A page of an organisation's threads, newest activity first.
///
/// # Errors
/// When the database fails.
pub fn page(
    conn: &mut DbConnection,
    org: OrgId,
    scope: Scope,
    filter: &ThreadFilter,
) -> Result<Page<ListedThread>, DbError> {
    use thread_participants as p;
    let bot = match scope {
        Scope::Own(bot) | Scope::Visible(bot) => bot.to_string(),
        Scope::All => String::new(),
    };
    let joined = p::table.filter(p::thread_id.eq(threads::id)).filter(p::bot_id.eq(bot.clone()));
    let count = p::table.filter(p::thread_id.eq(threads::id)).count().single_value();
    let mut query = threads::table.filter(threads::org_id.eq(org)).into_boxed::<MultiBackend>();
    match scope {
        Scope::Own(_) => {
            let own = p::table.filter(p::bot_id.eq(bot)).select(p::thread_id);
            query = query.filter(threads::id.eq_any(own));
        }
        Scope::Visible(_) => {
            query = query.filter(threads::visibility.eq(Visibility::Public).or(exists(joined.clone())))
        }
        Scope::All => {}
    }
    if let Some(status) = filter.status {
        query = query.filter(threads::status.eq(status));
    }
    if let Some(search) = &filter.search {
        query = query.filter(says(threads::topic, needle(conn, search)));
    }
    if let Some(after) = &filter.after {
        query = query
            .filter(threads::last_activity_at.le(after.t))
            .filter(threads::last_activity_at.lt(after.t).or(threads::id.lt(after.id.clone())));
    }
    let query = query
        .order((threads::last_activity_at.desc(), threads::id.desc()))
        .offset(filter.offset)
        .limit(Page::<Listing>::asked(filter.limit))
        .select((ThreadRow::as_select(), count, exists(joined)));
    let rows = within(query.load_iter::<Listing, DefaultLoadingMode>(conn)?, filter.most)?;
    let listed = |(row, count, is_participant): Listing| ListedThread {
        row,
        participant_count: count.unwrap_or(0),
        is_participant,
    };
    Ok(Page::cut_short(rows, filter.limit).map(listed))
}

/// A thread of an organisation, and a bot's place in it if it takes part.
///
/// # Errors
/// When the database fails.
pub fn find_for(
    conn: &mut DbConnection,
    org: OrgId,
    id: ThreadId,
    bot: BotId,
) -> Result<Option<(ThreadRow, Option<ParticipantRow>)>, DbError> {
    use thread_participants as p;
    let place = p::thread_id.eq(threads::id).and(p::bot_id.eq(bot));
    let rows = threads::table.left_join(p::table.on(place)).filter(threads::id.eq(id).and(threads::org_id.eq(org)));
    let found = each_backend!(conn, |c| {
        rows.select((ThreadRow::as_select(), Option::<ParticipantRow>::as_select())).first(c).optional()
    });
    Ok(found?)
}

/// Participants of several threads, in order of joining, by thread.
///
/// # Errors
/// When the database fails.
pub fn participants_of(
    conn: &mut DbConnection,
    of: &[ThreadId],
) -> Result<HashMap<ThreadId, Vec<ParticipantRow>>, DbError> {
    use thread_participants as p;
    let rows = p::table.filter(p::thread_id.eq_any(of)).order((p::joined_at, p::bot_id));
    let mut by_thread: HashMap<ThreadId, Vec<ParticipantRow>> = HashMap::new();
    for row in rows.select(ParticipantRow::as_select()).load(conn)? {
        by_thread.entry(row.thread_id).or_default().push(row);
    }
    Ok(by_thread)
}
