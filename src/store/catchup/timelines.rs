//! An in-memory index of the times and senders of messages, from which summaries are counted.
//!
//! Counting a summary's messages from their rows costs more than everything else in a poll, and the same polls repeat.
//! A [`Timeline`] has the times and senders of a conversation's newest messages. It is not notified of new ones: the
//! caller says how recent it has to be, and it reads the rows it lacks. Messages of a conversation are committed in
//! order of their times, so nothing can appear before its end; only rows that share its newest time may. Messages that
//! were deleted by retention are noticed when the timeline is read again.

use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use uuid::Uuid;

use super::COUNT_MAX;
use crate::statement::Statement;
use crate::{DbConnection, DbError};

/// Messages a timeline keeps: what a summary counts at most, and as many by the reader of the summary.
const KEPT: usize = 2000;
/// Messages of all timelines, about 10 bytes each.
const MOST: u64 = 2_000_000;
/// So many of the longest fit, which bounds the parts that the memory is divided into.
const LONG_ONES: usize = 1000;
/// After this long a timeline is read anew, ms.
const FRESH_MS: i64 = 600_000;
/// Rows of this age have all the company they will get at their time, ms: no commit takes longer.
const SETTLED_MS: i64 = 60_000;

/// Which table a conversation's messages are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// A channel.
    Channel,
    /// A thread.
    Thread,
}

impl Place {
    /// The table of the messages, and its column that names the conversation.
    pub(super) fn table(self) -> (&'static str, &'static str) {
        match self {
            Place::Channel => ("channel_messages", "channel_id"),
            Place::Thread => ("thread_messages", "thread_id"),
        }
    }

    /// Times and senders of a conversation's messages from `$2` on.
    fn sql(self, order: &str) -> String {
        let (table, key) = self.table();
        format!(
            "SELECT created_at, sender_id FROM {table} WHERE {key} = $1 AND created_at >= $2 \
             ORDER BY created_at {order} LIMIT {KEPT}"
        )
    }
}

/// Part of a conversation whose messages are to be counted.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// Where it is stored.
    pub place: Place,
    /// Its id: of a channel or of a thread, as `place` says.
    pub conversation: Uuid,
    /// Only messages after this time, ms.
    pub from: i64,
    /// Only messages up to this time, ms.
    pub until: i64,
    /// The newest message that is known of, ms.
    pub newest: i64,
}

#[derive(QueryableByName)]
struct Said {
    #[diesel(sql_type = BigInt)]
    created_at: i64,
    #[diesel(sql_type = Nullable<Text>)]
    sender_id: Option<String>,
}

/// The newest messages of a conversation, oldest first.
#[derive(Default)]
struct Timeline {
    times: Vec<i64>,
    /// Positions in `names`, one per time.
    senders: Vec<u16>,
    names: Vec<Option<String>>,
    /// Whether it begins with the conversation's first message.
    is_whole: bool,
    read_at: i64,
}

impl Timeline {
    fn push(&mut self, said: Said) {
        let known = self.names.iter().position(|name| *name == said.sender_id);
        let position = known.unwrap_or_else(|| {
            self.names.push(said.sender_id);
            self.names.len().saturating_sub(1)
        });
        // Never more names than messages, of which there are few.
        self.senders.push(u16::try_from(position).unwrap_or(u16::MAX));
        self.times.push(said.created_at);
    }

    /// Forgets all but the newest half when it has become too long.
    fn trim(&mut self) {
        if self.times.len() > 2 * KEPT {
            let excess = self.times.len() - KEPT;
            self.times.drain(..excess);
            self.senders.drain(..excess);
            self.is_whole = false;
        }
    }

    fn newest(&self) -> i64 {
        self.times.last().copied().unwrap_or(i64::MIN)
    }

    /// Whether it has everything up to `newest` for sure.
    fn reaches(&self, newest: i64, now: i64) -> bool {
        self.newest() >= newest && self.newest() < now.saturating_sub(SETTLED_MS)
    }

    fn is_stale(&self, now: i64) -> bool {
        !(0..FRESH_MS).contains(&now.saturating_sub(self.read_at))
    }

    /// Messages of others in a range, at most [`COUNT_MAX`]; `None` when it does not reach back far enough to tell.
    fn count(&self, bot: &str, range: &Range) -> Option<i64> {
        let first = self.times.partition_point(|time| *time <= range.from);
        let end = self.times.partition_point(|time| *time <= range.until);
        let own = self.names.iter().position(|name| name.as_deref() == Some(bot));
        let senders = self.senders.get(first..end).unwrap_or_default();
        // Compared as plain numbers, many at a time.
        let others = match own.and_then(|own| u16::try_from(own).ok()) {
            Some(own) => senders.iter().filter(|sender| **sender != own).count(),
            None => senders.len(),
        };
        let others = i64::try_from(others).unwrap_or(COUNT_MAX).min(COUNT_MAX);
        (first > 0 || self.is_whole || others == COUNT_MAX).then_some(others)
    }
}

type Key = (Place, Uuid);

/// A timeline in memory; clones share it. The cache gives out a clone, so the lock of a timeline, which is held while its
/// rows are read, is never waited for inside the cache.
#[derive(Clone)]
struct Shared {
    timeline: Arc<Mutex<Timeline>>,
    /// How long it was when it was put there; it may grow to twice of that.
    length: usize,
}

/// Timelines weigh their messages. One without any weighs something, or it would never be forgotten.
#[derive(Clone)]
struct ByLength;

impl Weighter<Key, Shared> for ByLength {
    fn weight(&self, _: &Key, shared: &Shared) -> u64 {
        u64::try_from(shared.length).unwrap_or(u64::MAX).max(1)
    }
}

/// The timelines of the conversations that were counted lately.
pub struct Timelines(Cache<Key, Shared, ByLength>);

impl Default for Timelines {
    fn default() -> Self {
        Self(Cache::with_weighter(LONG_ONES, MOST, ByLength))
    }
}

impl Timelines {
    /// Forgets everything: messages were removed.
    pub fn clear(&self) {
        self.0.clear();
    }

    /// How many messages others than `bot` wrote in a range, if its conversation has a timeline that can tell.
    pub(super) fn count(
        &self,
        conn: &mut DbConnection,
        bot: &str,
        range: &Range,
        now: i64,
    ) -> Result<Option<i64>, DbError> {
        let key = (range.place, range.conversation);
        let Some(shared) = self.0.get(&key) else { return Ok(None) };
        let mut timeline = shared.timeline.lock();
        if timeline.is_stale(now) {
            *timeline = read(conn, range, now)?;
        } else if !timeline.reaches(range.newest, now) {
            extend(conn, range, &mut timeline)?;
        }
        Ok(timeline.count(bot, range))
    }

    /// Reads a conversation's timeline, for the next time it is counted.
    pub(super) fn note(&self, conn: &mut DbConnection, range: &Range, now: i64) -> Result<(), DbError> {
        let timeline = read(conn, range, now)?;
        let key = (range.place, range.conversation);
        let length = timeline.times.len();
        self.0.insert(key, Shared { timeline: Arc::new(Mutex::new(timeline)), length });
        Ok(())
    }
}

fn rows(conn: &mut DbConnection, range: &Range, from: i64, order: &str) -> Result<Vec<Said>, DbError> {
    Statement::new(range.place.sql(order)).text(range.conversation).number(from).load(conn)
}

fn read(conn: &mut DbConnection, range: &Range, now: i64) -> Result<Timeline, DbError> {
    let newest = rows(conn, range, i64::MIN, "DESC")?;
    let mut timeline = Timeline { is_whole: newest.len() < KEPT, read_at: now, ..Timeline::default() };
    newest.into_iter().rev().for_each(|said| timeline.push(said));
    Ok(timeline)
}

/// Adds what came after the newest time, which is read again because it may have got company.
fn extend(conn: &mut DbConnection, range: &Range, timeline: &mut Timeline) -> Result<(), DbError> {
    let newest = timeline.newest();
    let later = rows(conn, range, newest, "ASC")?;
    if later.len() >= KEPT {
        *timeline = read(conn, range, timeline.read_at)?;
        return Ok(());
    }
    let settled = timeline.times.partition_point(|time| *time < newest);
    timeline.times.truncate(settled);
    timeline.senders.truncate(settled);
    later.into_iter().for_each(|said| timeline.push(said));
    timeline.trim();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(said: &[(i64, &str)]) -> Timeline {
        let mut timeline = Timeline { is_whole: true, ..Timeline::default() };
        said.iter().for_each(|(at, who)| timeline.push(Said { created_at: *at, sender_id: Some((*who).to_owned()) }));
        timeline
    }

    fn range(from: i64, until: i64) -> Range {
        Range { place: Place::Thread, conversation: Uuid::nil(), from, until, newest: until }
    }

    #[test]
    fn counts_others_within_the_range() {
        let timeline = timeline(&[(1, "x"), (2, "y"), (2, "x"), (3, "z"), (9, "y")]);
        assert_eq!(timeline.count("x", &range(0, i64::MAX)), Some(3));
        assert_eq!(timeline.count("x", &range(2, i64::MAX)), Some(2));
        assert_eq!(timeline.count("y", &range(1, 3)), Some(2));
        assert_eq!(timeline.count("nobody", &range(0, 1)), Some(1));
    }

    #[test]
    fn says_when_it_cannot_tell() {
        let mut long = Timeline::default();
        for at in 0..=i64::try_from(2 * KEPT).unwrap() {
            long.push(Said { created_at: at, sender_id: Some(if at % 4 == 0 { "y" } else { "x" }.to_owned()) });
        }
        long.trim();
        assert_eq!(long.times.len(), KEPT);
        assert_eq!(long.count("x", &range(0, i64::MAX)), None, "older ones were forgotten");
        assert_eq!(long.count("y", &range(0, i64::MAX)), Some(COUNT_MAX));
        assert_eq!(long.count("x", &range(long.newest() - 8, i64::MAX)), Some(2));
    }

    #[test]
    fn is_read_again_while_company_may_come() {
        let timeline = timeline(&[(100, "x")]);
        assert!(!timeline.reaches(100, 100 + SETTLED_MS));
        assert!(timeline.reaches(100, 101 + SETTLED_MS));
        assert!(!timeline.reaches(101, 101 + SETTLED_MS));
    }
}
