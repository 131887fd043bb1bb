//! The events that a bot missed, in order of time: some stored, most of them derived from other rows.
//!
//! Only invitations and removals have rows of their own. Summaries of messages and artifacts are derived from the
//! newest rows of each conversation, status changes from the audit trail. Every event has an id that begins with its
//! time, so the id of the last event of a page is a position and never has to be looked up; a summary that changes
//! while a client pages gets a new, later id and hides nothing. Callers flush the activity that is only in memory
//! before they ask.

mod answers;
mod sources;
mod timelines;

use std::collections::HashMap;
use std::fmt::Display;

use serde_json::{Map, Value, json};

use super::page::Page;
use super::rows::CatchupRow;
use super::{DbConnection, DbError, timed_ids};
pub use answers::{Answers, Kind};
use hxa_domain::ids::{BotId, ChannelId, EventId, OrgId};
use hxa_domain::limits::CATCHUP_KEPT_MS;
use sources::{Span, StatusChange};
pub use timelines::Timelines;
use timelines::{Place, Range};

/// Counting the messages of a summary stops here.
const COUNT_MAX: i64 = 1000;
/// So many messages are counted out of their rows before a timeline is read.
const FEW: i64 = 100;

/// What to read.
#[derive(Debug, Clone, Copy)]
pub struct CatchupQuery {
    /// The bot's organisation.
    pub org: OrgId,
    /// The bot.
    pub bot: BotId,
    /// Only events after this time, ms.
    pub since: i64,
    /// The last event of the page before; then `since` only bounds what summaries count.
    pub cursor: Option<EventId>,
    /// Events of a page.
    pub limit: i64,
    /// Now, ms.
    pub now: i64,
}

/// An event a bot missed.
#[derive(Debug, Clone)]
pub struct CatchupEvent {
    /// Its id, which begins with its time.
    pub id: EventId,
    /// When it happened, ms.
    pub occurred_at: i64,
    /// What happened.
    pub kind: String,
    /// The fields of its kind.
    pub payload: Map<String, Value>,
}

/// How many events of each kind a bot missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CatchupCounts {
    /// Invitations.
    pub invites: i64,
    /// Changes of a thread's status.
    pub status_changes: i64,
    /// Threads with new messages, threads with new artifacts, and removals.
    pub activities: i64,
    /// Channels with new messages.
    pub channels: i64,
}

/// The id of a summary: its time, whom it is for and what it is about, so that it stays the same until it moves on.
fn summary_id(at: i64, bot: BotId, kind: &str, subject: impl Display) -> EventId {
    timed_ids::derived(at, &format!("{bot}/{kind}/{subject}"))
}

/// From where a page reads.
struct Position {
    /// Events with a greater id count.
    after_id: EventId,
    /// Rows after this time may belong to such events, ms.
    after: i64,
    /// Summaries count what came after this time, ms.
    count_from: i64,
}

impl CatchupQuery {
    fn position(&self) -> Position {
        let oldest = self.now.saturating_sub(CATCHUP_KEPT_MS);
        let since = self.since.max(oldest);
        match self.cursor.and_then(|cursor| Some((cursor, timed_ids::time_of(cursor.uuid())?))) {
            // An event of the cursor's own millisecond may sort after it.
            Some((cursor, at)) => {
                Position { after_id: cursor, after: at.saturating_sub(1).max(oldest), count_from: since.min(at) }
            }
            None => {
                Position { after_id: timed_ids::first_of(since.saturating_add(1)), after: since, count_from: since }
            }
        }
    }
}

/// An event that will be filled in if it is on the page.
struct Candidate {
    id: EventId,
    at: i64,
    source: Source,
}

enum Source {
    Stored(CatchupRow),
    Status(StatusChange),
    Channel(ChannelId),
    Said(Span),
    Made(Span),
}

/// A page of what a bot missed, oldest first.
///
/// # Errors
/// When the database fails.
pub fn page(
    conn: &mut DbConnection,
    timelines: &Timelines,
    query: &CatchupQuery,
) -> Result<Page<CatchupEvent>, DbError> {
    let position = query.position();
    let asked = Page::<CatchupEvent>::asked(query.limit);
    let mut candidates: Vec<Candidate> = sources::stored(conn, query.bot, position.after_id, asked)?
        .into_iter()
        .map(|row| Candidate { id: row.id, at: row.occurred_at, source: Source::Stored(row) })
        .collect();
    let left = sources::left_spans(conn, query.bot, position.after, query.now.saturating_sub(CATCHUP_KEPT_MS))?;
    for change in sources::status_changes(conn, query, &left, position.after_id, asked)? {
        candidates.push(Candidate { id: change.id, at: change.created_at, source: Source::Status(change) });
    }
    candidates.extend(summaries(conn, query.bot, &left, position.after)?);
    candidates.retain(|candidate| candidate.id > position.after_id);
    candidates.sort_unstable_by_key(|candidate| candidate.id);
    let page = Page::cut(candidates, query.limit);
    let counter = Counter { timelines, bot: query.bot, now: query.now };
    let details = Details::read(conn, &counter, &page.rows, position.count_from)?;
    Ok(page.map(|candidate| details.event(candidate)))
}

/// Summaries of every conversation with something new in it.
fn summaries(conn: &mut DbConnection, bot: BotId, left: &[Span], after: i64) -> Result<Vec<Candidate>, DbError> {
    let mut found = Vec::new();
    for (channel, at) in sources::channels(conn, bot, after)? {
        let id = summary_id(at, bot, "channel_message_summary", channel);
        found.push(Candidate { id, at, source: Source::Channel(channel) });
    }
    for thread in sources::threads(conn, bot, left, after)? {
        let span = thread.span;
        if let Some(at) = thread.said_at {
            let id = summary_id(at, bot, "thread_message_summary", span.subject());
            found.push(Candidate { id, at, source: Source::Said(Span { newest: at, ..span.clone() }) });
        }
        if let Some(at) = thread.made_at {
            let id = summary_id(at, bot, "thread_artifact_added", span.subject());
            found.push(Candidate { id, at, source: Source::Made(Span { newest: at, ..span }) });
        }
    }
    Ok(found)
}

/// How many events of each kind a bot missed since a time.
///
/// # Errors
/// When the database fails.
pub fn counts(conn: &mut DbConnection, query: &CatchupQuery) -> Result<CatchupCounts, DbError> {
    let position = CatchupQuery { cursor: None, ..*query }.position();
    let (invites, removals) = sources::stored_counts(conn, query.bot, position.after_id)?;
    let left = sources::left_spans(conn, query.bot, position.after, query.now.saturating_sub(CATCHUP_KEPT_MS))?;
    let summaries = summaries(conn, query.bot, &left, position.after)?;
    let channels = summaries.iter().filter(|candidate| matches!(candidate.source, Source::Channel(_))).count();
    let threads = summaries.len() - channels;
    Ok(CatchupCounts {
        invites,
        status_changes: sources::status_count(conn, query, &left, position.after_id)?,
        activities: i64::try_from(threads).unwrap_or(i64::MAX).saturating_add(removals),
        channels: i64::try_from(channels).unwrap_or(i64::MAX),
    })
}

/// Counts messages for a bot.
struct Counter<'a> {
    timelines: &'a Timelines,
    bot: BotId,
    now: i64,
}

impl Counter<'_> {
    /// How many messages others wrote within each range, by index; at most [`COUNT_MAX`] each.
    fn counts(&self, conn: &mut DbConnection, ranges: &[&Range]) -> Result<Vec<(usize, i64)>, DbError> {
        let (mut counts, mut unknown) = (Vec::with_capacity(ranges.len()), Vec::new());
        let bot = self.bot.to_string();
        for (index, range) in ranges.iter().enumerate() {
            match self.timelines.count(conn, &bot, range, self.now)? {
                Some(count) => counts.push((index, count)),
                None => unknown.push((index, *range)),
            }
        }
        for place in [Place::Channel, Place::Thread] {
            let here: Vec<_> = unknown.iter().filter(|(_, range)| range.place == place).collect();
            let ranges: Vec<&Range> = here.iter().map(|(_, range)| *range).collect();
            for (position, few) in sources::count_messages(conn, self.bot, &ranges, place, FEW)? {
                let Some((index, range)) = here.get(position) else { continue };
                counts.push((*index, if few < FEW { few } else { self.count_many(conn, range)? }));
            }
        }
        Ok(counts)
    }

    /// By a timeline, read for this and the next time; by the rows if even that is too short to tell.
    fn count_many(&self, conn: &mut DbConnection, range: &Range) -> Result<i64, DbError> {
        self.timelines.note(conn, range, self.now)?;
        if let Some(count) = self.timelines.count(conn, &self.bot.to_string(), range, self.now)? {
            return Ok(count);
        }
        let counted = sources::count_messages(conn, self.bot, &[range], range.place, COUNT_MAX)?;
        Ok(counted.first().map_or(0, |(_, count)| *count))
    }
}

/// What the summaries of a page say, by their event's id.
struct Details(HashMap<EventId, Map<String, Value>>);

impl Details {
    fn read(conn: &mut DbConnection, counter: &Counter<'_>, page: &[Candidate], from: i64) -> Result<Self, DbError> {
        let (mut said, mut made) = (Vec::new(), Vec::new());
        for candidate in page {
            let newest = candidate.at;
            match &candidate.source {
                Source::Stored(_) | Source::Status(_) => {}
                Source::Channel(id) => {
                    let (place, conversation) = (Place::Channel, id.uuid());
                    let range = Range { place, conversation, from, until: i64::MAX, newest };
                    said.push((candidate, range));
                }
                Source::Said(span) => {
                    let (place, conversation) = (Place::Thread, span.thread.uuid());
                    let (from, until) = (span.since.max(from), span.until);
                    said.push((candidate, Range { place, conversation, from, until, newest }));
                }
                Source::Made(span) => made.push((candidate, span)),
            }
        }
        let mut details = Self(HashMap::new());
        let ranges: Vec<&Range> = said.iter().map(|(_, range)| range).collect();
        for (index, count) in counter.counts(conn, &ranges)? {
            details.add(said.get(index), |(candidate, range)| {
                let mut fields = Map::new();
                let conversation = range.conversation.to_string().into();
                if let Source::Said(span) = &candidate.source {
                    fields.insert("thread_id".to_owned(), conversation);
                    fields.insert("topic".to_owned(), span.topic.as_str().into());
                } else {
                    fields.insert("channel_id".to_owned(), conversation);
                }
                fields.insert("count".to_owned(), count.into());
                fields.insert("last_at".to_owned(), candidate.at.into());
                (candidate.id, Value::Object(fields))
            });
        }
        let spans: Vec<&Span> = made.iter().map(|(_, span)| *span).collect();
        for artifact in sources::newest_artifacts(conn, counter.bot, &spans, from)? {
            details.add(made.get(artifact.index), |(candidate, span)| {
                let mut fields =
                    json!({ "thread_id": span.thread, "artifact_key": artifact.key, "version": artifact.version });
                if let (Some(fields), true) = (fields.as_object_mut(), artifact.count > 1) {
                    fields.insert("count".to_owned(), artifact.count.into());
                }
                (candidate.id, fields)
            });
        }
        Ok(details)
    }

    fn add<'a, T>(&mut self, of: Option<&'a T>, fields: impl FnOnce(&'a T) -> (EventId, Value)) {
        if let Some((id, Value::Object(fields))) = of.map(fields) {
            self.0.insert(id, fields);
        }
    }

    fn event(&self, candidate: Candidate) -> CatchupEvent {
        let filled = || self.0.get(&candidate.id).cloned().unwrap_or_default();
        let (kind, payload) = match &candidate.source {
            Source::Stored(row) => (row.kind.clone(), stored_payload(&row.payload)),
            Source::Status(change) => ("thread_status_changed".to_owned(), change.payload()),
            Source::Channel(_) => ("channel_message_summary".to_owned(), filled()),
            Source::Said(_) => ("thread_message_summary".to_owned(), filled()),
            Source::Made(_) => ("thread_artifact_added".to_owned(), filled()),
        };
        CatchupEvent { id: candidate.id, occurred_at: candidate.at, kind, payload }
    }
}

/// The fields of a stored event that are for the bot; `joined_at` only tells the hub from when on it took part.
fn stored_payload(text: &str) -> Map<String, Value> {
    let mut fields: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    fields.shift_remove(sources::JOINED_AT);
    fields
}
