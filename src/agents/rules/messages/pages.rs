//! Pages of messages: which are read, and what the answer says of them.
//!
//! A page is the newest one, or the one before or after a cursor. A cursor of an old epoch may have missed messages; it is
//! answered with the newest page and `reset: true`, after which the client begins anew.

use hxa_domain::query::Query;
use serde::Serialize;

use super::{Log, Message, MessageView, Position};
use crate::rules::faults::{Fault, quoted};
use crate::rules::limits;
use crate::rules::words::Direction;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageQuery {
    /// How many messages.
    pub limit: i64,
    /// Where to begin.
    pub from: From,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With the newest message.
    Latest,
    /// With the message before this.
    Before(Position),
    /// With the message after this.
    After {
        /// The cursor.
        cursor: Position,
        /// The last position that is wanted.
        until: Option<Position>,
        /// The epoch of the cursor.
        epoch: Option<i64>,
    },
}

/// A whole number of a query.
fn number(query: &Query, key: &str, least: i64, most: i64) -> Result<Option<i64>, Fault> {
    let Some(text) = query.get(key) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    let range = || match most {
        i64::MAX => format!("of at least {least}"),
        most => format!("from {least} to {most}"),
    };
    number
        .map(Some)
        .ok_or_else(|| Fault::new(key, format!("Expected whole number {}, received {}", range(), quoted(text))))
}

/// A position of a query: both of its parts or none.
fn position(query: &Query, seq_key: &str, at_key: &str) -> Result<Option<Position>, Fault> {
    match (number(query, seq_key, 1, i64::MAX)?, number(query, at_key, 0, i64::MAX)?) {
        (Some(seq), Some(at)) => Ok(Some(Position { at, seq })),
        (None, None) => Ok(None),
        _ => Err(Fault::new(seq_key, format!("{seq_key} and {at_key} must be given together"))),
    }
}

impl PageQuery {
    /// Reads `limit`, `beforeSeq` and `beforeAt`, or `afterSeq` and `afterAt` with `untilSeq`, `untilAt` and `epoch`.
    ///
    /// # Errors
    /// A number is none, a pair is not whole, or fields exclude each other.
    pub fn read(query: &Query) -> Result<Self, Fault> {
        let limit = number(query, "limit", 1, limits::PAGE_MAX)?.unwrap_or(limits::PAGE_DEFAULT);
        let before = position(query, "beforeSeq", "beforeAt")?;
        let after = position(query, "afterSeq", "afterAt")?;
        let until = position(query, "untilSeq", "untilAt")?;
        let epoch = number(query, "epoch", 0, i64::MAX)?;
        let from = match (before, after) {
            (Some(_), Some(_)) => return Err(Fault::new("beforeSeq", "before and after exclude each other")),
            (_, Some(cursor)) => From::After { cursor, until, epoch },
            _ if until.is_some() => return Err(Fault::new("untilSeq", "until needs afterSeq and afterAt")),
            _ if epoch.is_some() => return Err(Fault::new("epoch", "epoch needs afterSeq and afterAt")),
            (Some(cursor), None) => From::Before(cursor),
            (None, None) => From::Latest,
        };
        Ok(Self { limit, from })
    }

    /// Decides what is read.
    #[must_use]
    pub fn plan(self, log: Log) -> Plan {
        let is_old = matches!(self.from, From::After { epoch: Some(epoch), .. } if epoch != log.epoch);
        Plan { query: Self { from: if is_old { From::Latest } else { self.from }, ..self }, is_reset: is_old, log }
    }
}

/// What is read for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The query; one more message than its limit is read, to know whether there are more.
    pub query: PageQuery,
    /// Whether the client's cursor is of an old epoch.
    pub is_reset: bool,
    /// The log when the page was planned.
    pub log: Log,
}

/// A page of messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// What is said of them.
    pub info: PageInfo,
}

/// What is said of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    /// Which way the page leads.
    pub direction: Direction,
    /// How many messages were asked for.
    pub limit: i64,
    /// The epoch of its cursors.
    pub epoch: i64,
    /// Whether the client begins anew.
    pub reset: bool,
    /// The cursor of the page before.
    pub next_before_seq: Option<i64>,
    /// The same.
    pub next_before_at: Option<i64>,
    /// The cursor of the page after.
    pub next_after_seq: Option<i64>,
    /// The same.
    pub next_after_at: Option<i64>,
    /// The last position when the page was read.
    pub snapshot_head_seq: Option<i64>,
    /// The same.
    pub snapshot_head_at: Option<i64>,
    /// Whether there are more messages that way.
    pub has_more: bool,
}

/// A page as clients get it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PageView<'a> {
    /// The messages, oldest first.
    pub messages: Vec<MessageView<'a>>,
    /// What is said of them.
    pub page: PageInfo,
}

impl Page {
    /// The page as clients get it.
    #[must_use]
    pub fn view(&self) -> PageView<'_> {
        PageView { messages: self.messages.iter().map(Message::view).collect(), page: self.info }
    }
}

impl Plan {
    /// Whether a position is in the page, but for its limit.
    #[must_use]
    pub fn holds(&self, position: Position) -> bool {
        match self.query.from {
            From::Latest => true,
            From::Before(cursor) => position < cursor,
            From::After { cursor, until, .. } => position > cursor && until.is_none_or(|until| position <= until),
        }
    }

    const fn direction(&self) -> Direction {
        match self.query.from {
            From::Latest => Direction::Latest,
            From::Before(_) => Direction::Before,
            From::After { .. } => Direction::After,
        }
    }

    /// Makes the page. `rows` are those that the plan holds, one more than the limit at most: the newest ones, or after a cursor
    /// the oldest ones. `queued` are the prompts that wait; the newest page has all of them, and its cursors pass over those
    /// beyond the limit.
    #[must_use]
    pub fn page(&self, mut rows: Vec<Message>, queued: Vec<Message>) -> Page {
        rows.sort_unstable_by_key(Message::position);
        let limit = usize::try_from(self.query.limit).unwrap_or(0);
        let excess = rows.len().saturating_sub(limit);
        let direction = self.direction();
        if direction == Direction::After {
            rows.truncate(limit);
        } else {
            rows.drain(..excess);
        }
        let (first, last) = (rows.first().map(Message::position), rows.last().map(Message::position));
        let (before, after) = match self.query.from {
            From::Latest => (first, last),
            From::Before(cursor) => (first.or(Some(cursor)), None),
            From::After { cursor, .. } => (None, last.or(Some(cursor))),
        };
        if direction == Direction::Latest {
            let known: std::collections::HashSet<i64> = rows.iter().map(|row| row.seq).collect();
            rows.extend(queued.into_iter().filter(|row| !known.contains(&row.seq)));
            rows.sort_unstable_by_key(Message::position);
        }
        let info = PageInfo {
            direction,
            limit: self.query.limit,
            epoch: self.log.epoch,
            reset: self.is_reset,
            next_before_seq: before.map(|position| position.seq),
            next_before_at: before.map(|position| position.at),
            next_after_seq: after.map(|position| position.seq),
            next_after_at: after.map(|position| position.at),
            snapshot_head_seq: self.log.head.map(|head| head.seq),
            snapshot_head_at: self.log.head.map(|head| head.at),
            has_more: excess > 0,
        };
        Page { messages: rows, info }
    }
}

/// What a command-line client asks for: the messages after a number, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backfill {
    /// The number after which it begins.
    pub after_seq: i64,
    /// How many messages.
    pub limit: i64,
}

impl Backfill {
    /// Reads `afterSeq`, which must be there, and `limit`.
    ///
    /// # Errors
    /// A number is none.
    pub fn read(query: &Query) -> Result<Self, Fault> {
        let after_seq = number(query, "afterSeq", 0, i64::MAX)?.ok_or_else(|| Fault::new("afterSeq", "Required"))?;
        let limit = number(query, "limit", 1, limits::PAGE_MAX)?.unwrap_or(limits::BACKFILL_DEFAULT);
        Ok(Self { after_seq, limit })
    }
}
