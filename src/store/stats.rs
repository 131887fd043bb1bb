//! Figures of the whole hub, for its public statistics. Counting every row takes its time: callers keep the answer.

use diesel::dsl::count_star;
use diesel::prelude::*;

use super::schema::{bots, channel_messages, orgs, thread_messages, threads};
use super::{DbConnection, DbError};

/// What the hub holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Organisations.
    pub orgs: i64,
    /// Bots, whatever their join status.
    pub bots: i64,
    /// Threads.
    pub threads: i64,
    /// Direct and thread messages.
    pub messages: i64,
    /// Threads with activity in the last day.
    pub active_threads: i64,
}

/// One day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// Counts everything.
///
/// # Errors
/// When the database fails.
pub fn load(conn: &mut DbConnection, now: i64) -> Result<Stats, DbError> {
    let direct: i64 = channel_messages::table.select(count_star()).first(conn)?;
    let in_threads: i64 = thread_messages::table.select(count_star()).first(conn)?;
    let active = threads::table.filter(threads::last_activity_at.gt(now.saturating_sub(DAY_MS)));
    Ok(Stats {
        orgs: orgs::table.select(count_star()).first(conn)?,
        bots: bots::table.select(count_star()).first(conn)?,
        threads: threads::table.select(count_star()).first(conn)?,
        messages: direct.saturating_add(in_threads),
        active_threads: active.select(count_star()).first(conn)?,
    })
}
