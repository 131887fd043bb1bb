//! A cache of catch-up responses.
//!
//! Most polls find that nothing has happened since the last one. A cached response is used as long as nothing it
//! depends on has changed: the bot, its conversations, and those it has left. Changes that this hub does not make
//! itself are seen when the response is [`FRESH_MS`] old.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use uuid::Uuid;

use super::{CatchupQuery, sources};
use crate::writer::Changes;
use crate::{DbConnection, DbError};
use hxa_domain::ids::{BotId, EventId};

/// How long an answer is kept at most, ms.
const FRESH_MS: i64 = 60_000;
/// All answers that are kept, in bytes.
const KEPT: u64 = 16 << 20;
/// So many of the longest fit, which bounds the parts that the memory is divided into: each must have room for several.
const LONG_ONES: usize = 256;
/// The longest answer that is kept, in bytes.
const LONGEST: usize = 64 << 10;

/// What is asked about catchup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A page of events.
    Page,
    /// How many there are.
    Counts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Question {
    kind: Kind,
    bot: BotId,
    since: i64,
    cursor: Option<EventId>,
    limit: i64,
}

impl Question {
    fn new(kind: Kind, query: &CatchupQuery) -> Self {
        Self { kind, bot: query.bot, since: query.since, cursor: query.cursor, limit: query.limit }
    }
}

#[derive(Clone)]
struct Answer {
    body: Bytes,
    /// What it was made of.
    subjects: Arc<[Uuid]>,
    /// The newest change before it was read.
    change: u64,
    read_at: i64,
}

/// Answers weigh their bytes.
#[derive(Clone)]
struct Bytewise;

impl Weighter<Question, Answer> for Bytewise {
    fn weight(&self, _: &Question, answer: &Answer) -> u64 {
        let bytes = size_of::<Answer>() + answer.body.len() + answer.subjects.len() * size_of::<Uuid>();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// The answers that were given lately.
pub struct Answers {
    changes: Arc<Changes>,
    kept: Cache<Question, Answer, Bytewise>,
}

/// The moment before an answer is read.
#[derive(Debug, Clone, Copy)]
pub struct Moment(u64);

impl Answers {
    /// Answers that are true as far as `changes` know.
    pub fn new(changes: Arc<Changes>) -> Self {
        Self { changes, kept: Cache::with_weighter(LONG_ONES, KEPT, Bytewise) }
    }

    /// The answer that was given to the same question, if it is still true.
    #[must_use]
    pub fn find(&self, kind: Kind, query: &CatchupQuery) -> Option<Bytes> {
        let found = self.kept.get(&Question::new(kind, query))?;
        let is_fresh = (0..FRESH_MS).contains(&query.now.saturating_sub(found.read_at));
        (is_fresh && self.changes.none_after(found.change, &found.subjects)).then_some(found.body)
    }

    /// To be taken before anything of an answer is read or settled.
    #[must_use]
    pub fn begin(&self) -> Moment {
        Moment(self.changes.newest())
    }

    /// Reads an answer and keeps it for the next time.
    ///
    /// # Errors
    /// What `read` refuses, and when the database fails.
    pub fn read(
        &self,
        conn: &mut DbConnection,
        (kind, query): (Kind, &CatchupQuery),
        begun: Moment,
        read: impl FnOnce(&mut DbConnection) -> Result<Vec<u8>, DbError>,
    ) -> Result<Bytes, DbError> {
        let subjects = sources::subjects(conn, query)?;
        let body = Bytes::from(read(conn)?);
        if let Some(subjects) = subjects
            && body.len() <= LONGEST
        {
            let answer = Answer { body: body.clone(), subjects, change: begun.0, read_at: query.now };
            self.kept.insert(Question::new(kind, query), answer);
        }
        Ok(body)
    }
}
