//! Search for thread messages by their content.
//!
//! There is no full-text index, because maintaining one would cost more than storing the messages. Messages are
//! scanned, those of the most recently active threads first, until the page is full and no other thread can have
//! anything newer, or the time limit is reached. No statement scans more than `SPAN` messages, so the time limit holds
//! in threads of any size.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use bytes::Bytes;
use diesel::prelude::*;

use super::connection::MultiBackend;
use super::flights::Flights;
use super::matching::says;
use super::schema::{thread_messages, threads};
use super::{DbConnection, DbError};
use hxa_domain::fold::{folded, pattern};
use hxa_domain::ids::{MessageId, OrgId, ThreadId};

/// The searches under way: who asks for what somebody of the organisation is looking for already gets that answer.
pub type Searches = Flights<(OrgId, String), Bytes>;

/// Threads looked through in one statement.
const CHUNK: i64 = 100;
/// Messages looked through in one statement: some ten milliseconds.
const SPAN: i64 = 10_000;

/// The second argument of `says`: the text as the connection's database needs it.
#[must_use]
pub fn needle(conn: &DbConnection, text: &str) -> String {
    match conn {
        DbConnection::Postgres(_) => pattern(text),
        DbConnection::Sqlite(_) => folded(text.to_owned()),
    }
}

/// A message that was found.
#[derive(Debug, Clone, Queryable)]
pub struct Hit {
    /// The message.
    pub message_id: MessageId,
    /// Its thread.
    pub thread_id: ThreadId,
    /// The thread's topic.
    pub thread_topic: String,
    /// Who wrote it.
    pub sender_id: Option<String>,
    /// What it says.
    pub content: String,
    /// When it was sent, ms.
    pub created_at: i64,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Hits {
    /// The newest messages that match, newest first.
    pub hits: Vec<Hit>,
    /// False when patience ran out before every thread was looked through.
    pub is_complete: bool,
}

/// Messages that one statement may look through, if they are few enough.
enum Span {
    /// All of some threads, the most recently active first.
    Threads(Vec<(i64, ThreadId)>),
    /// Those of one thread before a time.
    Before(ThreadId, i64),
}

/// The newest messages of an organisation's threads that contain a text, in any case.
///
/// # Errors
/// When the database fails.
pub fn messages(
    conn: &mut DbConnection,
    org: OrgId,
    text: &str,
    limit: i64,
    patience: Duration,
) -> Result<Hits, DbError> {
    let until = Instant::now() + patience;
    let mut page = Page { needle: needle(conn, text), limit, hits: Vec::new() };
    let mut last: Option<(i64, ThreadId)> = None;
    loop {
        let chunk = next_threads(conn, org, last)?;
        let Some(end) = chunk.last().copied() else {
            return Ok(Hits { hits: page.hits, is_complete: true });
        };
        // What is left to look through, the newest on top.
        let mut spans = vec![Span::Threads(chunk)];
        while let Some(span) = spans.pop() {
            page.look_through(conn, span, &mut spans)?;
            if Instant::now() > until {
                let is_complete = spans.is_empty() && page.reaches_back_to(end.0);
                return Ok(Hits { hits: page.hits, is_complete });
            }
        }
        if page.reaches_back_to(end.0) {
            return Ok(Hits { hits: page.hits, is_complete: true });
        }
        last = Some(end);
    }
}

/// The page being filled.
struct Page {
    needle: String,
    limit: i64,
    hits: Vec<Hit>,
}

impl Page {
    /// Adds what a span holds, or puts smaller spans onto the stack in its place.
    fn look_through(&mut self, conn: &mut DbConnection, span: Span, spans: &mut Vec<Span>) -> Result<(), DbError> {
        match span {
            Span::Threads(threads) => {
                if threads.first().is_none_or(|newest| self.reaches_back_to(newest.0)) {
                    return Ok(());
                }
                let ids: Vec<ThreadId> = threads.iter().map(|(_, id)| *id).collect();
                if !is_long(conn, &ids)? {
                    return self.add(conn, ids, 0, i64::MAX);
                }
                spans.extend(halves(threads));
            }
            Span::Before(thread, before) => {
                if self.reaches_back_to(before) {
                    return Ok(());
                }
                let from = span_start(conn, thread, before)?;
                self.add(conn, vec![thread], from.unwrap_or(0), before)?;
                spans.extend(from.map(|from| Span::Before(thread, from)));
            }
        }
        Ok(())
    }

    /// Whether the page is full of messages that are at least as new as this.
    fn reaches_back_to(&self, at: i64) -> bool {
        let full = usize::try_from(self.limit).unwrap_or(0);
        self.hits.len() >= full && self.hits.last().is_some_and(|hit| hit.created_at >= at)
    }

    /// Adds the matching messages of some threads in a range of time, and keeps the newest.
    fn add(&mut self, conn: &mut DbConnection, ids: Vec<ThreadId>, from: i64, before: i64) -> Result<(), DbError> {
        use thread_messages as m;
        let rows = m::table
            .inner_join(threads::table.on(threads::id.eq(m::thread_id)))
            .filter(m::thread_id.eq_any(ids))
            .filter(m::created_at.ge(from).and(m::created_at.lt(before)))
            .filter(says(m::content, &self.needle))
            .order((m::created_at.desc(), m::id.desc()))
            .limit(self.limit);
        let found: Vec<Hit> =
            rows.select((m::id, m::thread_id, threads::topic, m::sender_id, m::content, m::created_at)).load(conn)?;
        self.hits.extend(found);
        self.hits.sort_unstable_by_key(|hit| Reverse((hit.created_at, hit.message_id)));
        self.hits.truncate(usize::try_from(self.limit).unwrap_or(0));
        Ok(())
    }
}

/// Smaller spans of the same threads, the newest last.
fn halves(mut threads: Vec<(i64, ThreadId)>) -> Vec<Span> {
    if threads.len() == 1 {
        return threads.into_iter().map(|(_, id)| Span::Before(id, i64::MAX)).collect();
    }
    let older = threads.split_off(threads.len() / 2);
    vec![Span::Threads(older), Span::Threads(threads)]
}

/// Whether threads hold more messages than one statement may look through.
fn is_long(conn: &mut DbConnection, ids: &[ThreadId]) -> Result<bool, DbError> {
    use thread_messages as m;
    let row = m::table.filter(m::thread_id.eq_any(ids)).select(m::created_at).offset(SPAN).limit(1);
    Ok(row.first::<i64>(conn).optional()?.is_some())
}

/// Where the newest `SPAN` messages of a thread before a time begin, if there are older ones.
fn span_start(conn: &mut DbConnection, thread: ThreadId, before: i64) -> Result<Option<i64>, DbError> {
    use thread_messages as m;
    let rows = m::table.filter(m::thread_id.eq(thread)).filter(m::created_at.lt(before));
    let row = rows.order((m::created_at.desc(), m::id.desc())).select(m::created_at).offset(SPAN).limit(1);
    Ok(row.first(conn).optional()?)
}

/// The next threads in order of activity: when, and which.
fn next_threads(
    conn: &mut DbConnection,
    org: OrgId,
    last: Option<(i64, ThreadId)>,
) -> Result<Vec<(i64, ThreadId)>, DbError> {
    use threads as t;
    let mut query = t::table.filter(t::org_id.eq(org)).into_boxed::<MultiBackend>();
    if let Some((at, id)) = last {
        query = query.filter(t::last_activity_at.le(at)).filter(t::last_activity_at.lt(at).or(t::id.lt(id)));
    }
    let rows = query.order((t::last_activity_at.desc(), t::id.desc())).limit(CHUNK);
    Ok(rows.select((t::last_activity_at, t::id)).load(conn)?)
}
