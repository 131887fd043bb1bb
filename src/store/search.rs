//! Finding thread messages by what they say.
//!
//! There is no index of words: messages are looked through, those of the most recently active threads first, some
//! threads at a time, until the page is full and no other thread can hold anything newer, or patience runs out.

use std::time::{Duration, Instant};

use diesel::prelude::*;

use super::connection::MultiBackend;
use super::schema::{thread_messages, threads};
use super::threads_list::{containing, lower};
use super::{DbConnection, DbError};
use crate::domain::ids::OrgId;

/// Threads looked through in one statement.
const CHUNK: i64 = 100;

/// A message that was found.
#[derive(Debug, Clone, Queryable)]
pub struct Hit {
    /// The message.
    pub message_id: String,
    /// Its thread.
    pub thread_id: String,
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
    let (started, pattern) = (Instant::now(), containing(text));
    let mut hits: Vec<Hit> = Vec::new();
    let mut last: Option<(i64, String)> = None;
    loop {
        let chunk = next_threads(conn, org, last.as_ref())?;
        let Some(end) = chunk.last().cloned() else {
            return Ok(Hits { hits, is_complete: true });
        };
        let ids: Vec<String> = chunk.into_iter().map(|(_, id)| id).collect();
        let full = usize::try_from(limit).unwrap_or(0);
        let oldest = if hits.len() >= full { hits.last().map_or(0, |hit| hit.created_at) } else { 0 };
        hits.extend(matching(conn, ids, &pattern, oldest, limit)?);
        hits.sort_unstable_by(|a, b| (b.created_at, &b.message_id).cmp(&(a.created_at, &a.message_id)));
        hits.truncate(full);
        // Threads after this one have been idle for longer than the page reaches back.
        let is_full = hits.len() >= full && hits.last().is_some_and(|hit| hit.created_at >= end.0);
        if is_full || started.elapsed() > patience {
            return Ok(Hits { hits, is_complete: is_full });
        }
        last = Some(end);
    }
}

/// The next threads in order of activity: when, and which.
fn next_threads(
    conn: &mut DbConnection,
    org: OrgId,
    last: Option<&(i64, String)>,
) -> Result<Vec<(i64, String)>, DbError> {
    use threads as t;
    let mut query = t::table.filter(t::org_id.eq(org.to_string())).into_boxed::<MultiBackend>();
    if let Some((at, id)) = last {
        query = query.filter(t::last_activity_at.le(*at)).filter(t::last_activity_at.lt(*at).or(t::id.lt(id.clone())));
    }
    let rows = query.order((t::last_activity_at.desc(), t::id.desc())).limit(CHUNK);
    Ok(rows.select((t::last_activity_at, t::id)).load(conn)?)
}

/// The newest matching messages of some threads, back to a time.
fn matching(
    conn: &mut DbConnection,
    ids: Vec<String>,
    pattern: &str,
    oldest: i64,
    limit: i64,
) -> Result<Vec<Hit>, DbError> {
    use thread_messages as m;
    let rows = m::table
        .inner_join(threads::table.on(threads::id.eq(m::thread_id)))
        .filter(m::thread_id.eq_any(ids))
        .filter(m::created_at.ge(oldest))
        .filter(lower(m::content).like(lower(pattern)).escape('\\'))
        .order((m::created_at.desc(), m::id.desc()))
        .limit(limit);
    Ok(rows.select((m::id, m::thread_id, threads::topic, m::sender_id, m::content, m::created_at)).load(conn)?)
}
