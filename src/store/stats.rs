//! Statistics of the whole hub, for its public statistics route. Counting every row is slow, so concurrent callers
//! share one count, and the result is cached for a minute ([`Counted`]).

use std::future::Future;

use diesel::dsl::count_star;
use diesel::prelude::*;

use parking_lot::Mutex;

use super::flights::Flights;
use super::schema::{bots, channel_messages, orgs, thread_messages, threads};
use super::{DbConnection, DbError};
use hxa_domain::error::ApiResult;

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

/// How long the figures are kept, ms.
const FRESH_MS: i64 = 60_000;

/// The newest figures and when they were counted.
#[derive(Debug, Default)]
pub struct Counted {
    newest: Mutex<Option<(i64, Stats)>>,
    counting: Flights<(), Stats>,
}

impl Counted {
    /// The figures as of now, or of a minute ago at most; `count` counts them anew if they are older.
    ///
    /// # Errors
    /// What counting them is refused with.
    pub async fn at(&self, now: i64, count: impl Future<Output = ApiResult<Stats>>) -> ApiResult<Stats> {
        let known = self.newest.lock().filter(|(at, _)| (0..FRESH_MS).contains(&now.saturating_sub(*at)));
        if let Some((_, figures)) = known {
            return Ok(figures);
        }
        let keep = async {
            let counted = count.await?;
            *self.newest.lock() = Some((now, counted));
            Ok(counted)
        };
        self.counting.ask((), keep).await
    }
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
