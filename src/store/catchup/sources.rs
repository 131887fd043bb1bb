//! The rows from which catch-up events are derived.
//!
//! A [`Span`] is a time a bot spent in a thread: from joining until now, or until it left. Events of a thread count for
//! the bot only within its spans. Each query is one statement for all conversations and seeks by (conversation, time),
//! so that its cost depends on the number of conversations with something new.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::timelines::{Place, Range};
use super::{COUNT_MAX, CatchupQuery};
use crate::rows::CatchupRow;
use crate::schema::catchup_events;
use crate::statement::{Field, Statement, rows_of};
use crate::{DbConnection, DbError, timed_ids};
use hxa_domain::ids::{BotId, ChannelId, EventId, ThreadId};
use hxa_domain::limits::CATCHUP_KEPT_MS;

/// A bot with more conversations than these has something new all the time.
pub(super) const SUBJECTS: usize = 500;

/// The key of a removal's payload that says since when the bot had taken part.
pub const JOINED_AT: &str = "joined_at";
/// Most removals whose threads are still looked into; newest first.
const LEFT_MAX: usize = 200;
/// The kinds that open and end a span.
const INVITED: &str = "thread_invited";
const REMOVED: &str = "thread_participant_removed";

/// A time a bot spent in a thread.
#[derive(Debug, Clone)]
pub struct Span {
    /// The thread.
    pub thread: ThreadId,
    /// Its topic as it is now.
    pub topic: String,
    /// When the bot joined, ms.
    pub since: i64,
    /// When it left, ms.
    pub until: i64,
    /// The newest row of the summary, ms.
    pub newest: i64,
}

impl Span {
    /// What makes summaries of different spans of a thread differ.
    pub fn subject(&self) -> String {
        if self.until == i64::MAX { self.thread.to_string() } else { format!("{}/{}", self.thread, self.until) }
    }
}

/// Stored events after a position, oldest first.
pub fn stored(conn: &mut DbConnection, bot: BotId, after_id: EventId, limit: i64) -> Result<Vec<CatchupRow>, DbError> {
    use catchup_events as e;
    let rows = e::table.filter(e::target_bot_id.eq(bot)).filter(e::id.gt(after_id)).order(e::id);
    Ok(rows.limit(limit).select(CatchupRow::as_select()).load(conn)?)
}

/// How many stored invitations and removals come after a position.
pub fn stored_counts(conn: &mut DbConnection, bot: BotId, after_id: EventId) -> Result<(i64, i64), DbError> {
    use catchup_events as e;
    let rows = e::table.filter(e::target_bot_id.eq(bot)).filter(e::id.gt(after_id));
    let counted: Vec<(String, i64)> = rows.group_by(e::kind).select((e::kind, diesel::dsl::count_star())).load(conn)?;
    let of = |kind: &str| counted.iter().find(|(other, _)| other == kind).map_or(0, |(_, count)| *count);
    Ok((of(INVITED), of(REMOVED)))
}

/// Spans that ended after a time, from the stored removals. Where a removal does not say when its span began, the
/// invitation before it does; a bot that had joined by itself could have read everything anyway.
pub fn left_spans(conn: &mut DbConnection, bot: BotId, after: i64, oldest: i64) -> Result<Vec<Span>, DbError> {
    use catchup_events as e;
    let of_bot = || e::table.filter(e::target_bot_id.eq(bot));
    let removed: Vec<(String, i64)> = of_bot()
        .filter(e::id.ge(timed_ids::first_of::<EventId>(after)).and(e::kind.eq(REMOVED)))
        .order(e::id.desc())
        .limit(i64::try_from(LEFT_MAX).unwrap_or(i64::MAX))
        .select((e::payload, e::occurred_at))
        .load(conn)?;
    if removed.is_empty() {
        return Ok(Vec::new());
    }
    let invited: Vec<(String, i64)> = of_bot()
        .filter(e::id.ge(timed_ids::first_of::<EventId>(oldest)).and(e::kind.eq(INVITED)))
        .order(e::id)
        .select((e::payload, e::occurred_at))
        .load(conn)?;
    let mut invitations: HashMap<ThreadId, Vec<i64>> = HashMap::new();
    for (payload, at) in invited {
        if let Some((thread, _)) = thread_of(&payload) {
            invitations.entry(thread).or_default().push(at);
        }
    }
    let span = |(payload, until): (String, i64)| {
        let (thread, joined_at) = thread_of(&payload)?;
        let invited_at =
            invitations.get(&thread).and_then(|times| times.iter().rev().find(|at| **at <= until)).copied();
        let since = joined_at.or(invited_at).unwrap_or(0);
        Some(Span { thread, topic: String::new(), since, until, newest: 0 })
    };
    Ok(removed.into_iter().filter_map(span).collect())
}

/// The thread a stored event is about, and since when the bot had been in it.
fn thread_of(payload: &str) -> Option<(ThreadId, Option<i64>)> {
    let fields: Map<String, Value> = serde_json::from_str(payload).ok()?;
    let thread = ThreadId::parse(fields.get("thread_id")?.as_str()?)?;
    Some((thread, fields.get(JOINED_AT).and_then(Value::as_i64)))
}

/// The bot, its conversations, and the threads it has left: what its catchup is made of. `None` when these are too many to
/// look at each time.
pub fn subjects(conn: &mut DbConnection, query: &CatchupQuery) -> Result<Option<Arc<[Uuid]>>, DbError> {
    const MINE: &str = "SELECT c.id FROM channels c WHERE c.bot_low = $1 OR c.bot_high = $1 \
         UNION ALL SELECT p.thread_id FROM thread_participants p WHERE p.bot_id = $1 LIMIT $2";
    let limit = i64::try_from(SUBJECTS + 1).unwrap_or(i64::MAX);
    let mine: Vec<String> = Statement::<Text>::of_columns(MINE).text(query.bot).number(limit).load(conn)?;
    if mine.len() > SUBJECTS {
        return Ok(None);
    }
    let oldest = query.now.saturating_sub(CATCHUP_KEPT_MS);
    let left = left_spans(conn, query.bot, oldest, oldest)?;
    let conversations = mine.iter().map(|id| Uuid::try_parse(id).ok());
    let left = left.iter().map(|span| Some(span.thread.uuid()));
    Ok(conversations.chain(left).chain([Some(query.bot.uuid())]).collect())
}

/// A table of the bot's spans: those that last, and those that have ended. In all statements that begin with it `$1` is
/// the bot and `$2` the ended spans.
fn spans_table(conn: &DbConnection, left: &[Span]) -> String {
    const LASTING: &str = "SELECT p.thread_id AS thread_id, p.joined_at AS since, 9223372036854775807 AS until \
         FROM thread_participants p WHERE p.bot_id = $1";
    // Two texts instead of one: hardly any bot has left a thread lately, and the others need not pay for it.
    let ended = match left {
        [] => String::new(),
        _ => format!(" UNION ALL SELECT v.thread, v.since, v.until FROM {}", span_rows(conn, "$2")),
    };
    format!("WITH spans AS ({LASTING}{ended}) ")
}

/// The start of a statement over the bot's spans.
fn over_spans(conn: &DbConnection, bot: BotId, left: &[Span], select: &str) -> Statement {
    let ended: Vec<&Span> = left.iter().collect();
    Statement::new(format!("{}{select}", spans_table(conn, left))).text(bot).text(span_values(&ended, i64::MIN))
}

/// A table of spans out of the value of [`span_values`].
fn span_rows(conn: &DbConnection, value: &str) -> String {
    use Field::{Number, Text};
    rows_of(conn, value, &[("thread", Text), ("since", Number), ("until", Number), ("newest", Number)])
}

/// Spans as one value: thread, lower bound, upper bound, newest row.
fn span_values(spans: &[&Span], from: i64) -> String {
    let row = |span: &&Span| json!([span.thread, span.since.max(from), span.until, span.newest]);
    Value::Array(spans.iter().map(row).collect()).to_string()
}

#[derive(QueryableByName)]
struct NewestInChannel {
    #[diesel(sql_type = Text)]
    id: ChannelId,
    #[diesel(sql_type = Nullable<BigInt>)]
    newest: Option<i64>,
}

/// Channels of a bot in which others wrote after a time, with the time of their newest message.
pub fn channels(conn: &mut DbConnection, bot: BotId, after: i64) -> Result<Vec<(ChannelId, i64)>, DbError> {
    const NEWEST: &str = "SELECT c.id AS id, (SELECT max(m.created_at) FROM channel_messages m \
         WHERE m.channel_id = c.id AND m.sender_id <> $1 AND m.created_at > $2) AS newest \
         FROM channels c WHERE (c.bot_low = $1 OR c.bot_high = $1) AND c.last_activity_at > $2";
    let rows: Vec<NewestInChannel> = Statement::new(NEWEST).text(bot).number(after).load(conn)?;
    Ok(rows.into_iter().filter_map(|row| Some((row.id, row.newest?))).collect())
}

#[derive(QueryableByName)]
struct NewestInThread {
    #[diesel(sql_type = Text)]
    thread: ThreadId,
    #[diesel(sql_type = Text)]
    topic: String,
    #[diesel(sql_type = BigInt)]
    since: i64,
    #[diesel(sql_type = BigInt)]
    until: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    said_at: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    made_at: Option<i64>,
}

/// A span with something new in it.
pub struct ActiveSpan {
    /// Where and when.
    pub span: Span,
    /// The newest message of somebody else.
    pub said_at: Option<i64>,
    /// The newest artifact version of somebody else.
    pub made_at: Option<i64>,
}

/// The bot's spans in threads with activity after a time.
pub fn threads(conn: &mut DbConnection, bot: BotId, left: &[Span], after: i64) -> Result<Vec<ActiveSpan>, DbError> {
    // One lower bound, so that a seek by (thread, time) can use it.
    const WITHIN: &str = "created_at > CASE WHEN s.since > $3 THEN s.since ELSE $3 END";
    let sql = format!(
        "SELECT t.id AS thread, t.topic AS topic, s.since AS since, s.until AS until, \
         (SELECT max(m.created_at) FROM thread_messages m WHERE m.thread_id = t.id AND m.{WITHIN} \
          AND m.created_at <= s.until AND (m.sender_id IS NULL OR m.sender_id <> $1)) AS said_at, \
         (SELECT max(a.created_at) FROM artifacts a WHERE a.thread_id = t.id AND a.{WITHIN} \
          AND a.created_at <= s.until AND (a.contributor_id IS NULL OR a.contributor_id <> $1)) AS made_at \
         FROM spans s JOIN threads t ON t.id = s.thread_id WHERE t.last_activity_at > $3"
    );
    let rows: Vec<NewestInThread> = over_spans(conn, bot, left, &sql).number(after).load(conn)?;
    let active = |row: NewestInThread| ActiveSpan {
        span: Span { thread: row.thread, topic: row.topic, since: row.since, until: row.until, newest: 0 },
        said_at: row.said_at,
        made_at: row.made_at,
    };
    Ok(rows.into_iter().map(active).collect())
}

/// A change of a thread's status, as the audit trail has it.
#[derive(QueryableByName)]
pub struct StatusChange {
    /// Id of the audit row, which also serves as the event's.
    #[diesel(sql_type = Text)]
    pub id: EventId,
    #[diesel(sql_type = Text)]
    thread: ThreadId,
    #[diesel(sql_type = Nullable<Text>)]
    detail: Option<String>,
    /// When, ms.
    #[diesel(sql_type = BigInt)]
    pub created_at: i64,
}

impl StatusChange {
    /// The fields of the event.
    pub fn payload(&self) -> Map<String, Value> {
        let detail = self.detail.as_deref().and_then(|detail| serde_json::from_str(detail).ok());
        let mut detail: Map<String, Value> = detail.unwrap_or_default();
        let mut fields = Map::new();
        fields.insert("thread_id".to_owned(), self.thread.into());
        for key in ["topic", "from", "to", "by"] {
            fields.insert(key.to_owned(), detail.remove(key).unwrap_or(Value::Null));
        }
        fields
    }
}

/// Status changes within the bot's spans; `$3` is the organisation and `$4` a position.
const STATUS: &str = "FROM spans s JOIN threads t ON t.id = s.thread_id AND t.org_id = $3 \
     JOIN audit_log a ON a.action = 'thread.status_changed' AND a.target_id = s.thread_id AND a.id > $4 \
     AND a.org_id = $3 WHERE a.created_at > s.since AND a.created_at <= s.until";

/// Status changes of the bot's threads after a position, oldest first.
pub fn status_changes(
    conn: &mut DbConnection,
    query: &CatchupQuery,
    left: &[Span],
    after_id: EventId,
    limit: i64,
) -> Result<Vec<StatusChange>, DbError> {
    let sql = format!(
        "SELECT a.id AS id, s.thread_id AS thread, a.detail AS detail, a.created_at AS created_at {STATUS} \
         ORDER BY a.id LIMIT $5"
    );
    over_spans(conn, query.bot, left, &sql).text(query.org).text(after_id).number(limit).load(conn)
}

#[derive(QueryableByName)]
struct Total {
    #[diesel(sql_type = BigInt)]
    total: i64,
}

/// How many status changes of the bot's threads come after a position.
pub fn status_count(
    conn: &mut DbConnection,
    query: &CatchupQuery,
    left: &[Span],
    after_id: EventId,
) -> Result<i64, DbError> {
    let sql = format!("SELECT count(*) AS total {STATUS}");
    let rows: Vec<Total> = over_spans(conn, query.bot, left, &sql).text(query.org).text(after_id).load(conn)?;
    Ok(rows.first().map_or(0, |row| row.total))
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    position: i64,
    #[diesel(sql_type = BigInt)]
    total: i64,
}

/// The rows of counts as pairs of index and count.
fn counted(rows: Vec<Counted>) -> Vec<(usize, i64)> {
    rows.into_iter().filter_map(|row| Some((usize::try_from(row.position).ok()?, row.total))).collect()
}

/// How many messages others wrote within each range of one place, by index; at most `limit` each.
pub fn count_messages(
    conn: &mut DbConnection,
    bot: BotId,
    ranges: &[&Range],
    place: Place,
    limit: i64,
) -> Result<Vec<(usize, i64)>, DbError> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let (table, key) = place.table();
    let columns = [("conversation", Field::Text), ("since", Field::Number), ("until", Field::Number)];
    let sql = format!(
        "SELECT v.position AS position, (SELECT count(*) FROM (SELECT 1 FROM {table} m \
         WHERE m.{key} = v.conversation AND (m.sender_id IS NULL OR m.sender_id <> $1) \
         AND m.created_at > v.since AND m.created_at <= v.until LIMIT $3) few) AS total FROM {rows}",
        rows = rows_of(conn, "$2", &columns)
    );
    let values = ranges.iter().map(|range| json!([range.conversation, range.from, range.until])).collect();
    Ok(counted(Statement::new(sql).text(bot).text(Value::Array(values)).number(limit).load(conn)?))
}

/// The newest artifact version of a span.
pub struct NewestArtifact {
    /// Which span.
    pub index: usize,
    /// Its key.
    pub key: String,
    /// Its version.
    pub version: i32,
    /// How many versions others wrote within the span.
    pub count: i64,
}

#[derive(QueryableByName)]
struct ArtifactInSpan {
    #[diesel(sql_type = BigInt)]
    position: i64,
    #[diesel(sql_type = Text)]
    artifact_key: String,
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = BigInt)]
    total: i64,
}

/// The newest artifact version others wrote within each span, and how many there are after a time.
pub fn newest_artifacts(
    conn: &mut DbConnection,
    bot: BotId,
    spans: &[&Span],
    from: i64,
) -> Result<Vec<NewestArtifact>, DbError> {
    if spans.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT v.position AS position, a.artifact_key AS artifact_key, a.version AS version, \
         (SELECT count(*) FROM (SELECT 1 FROM artifacts b \
          WHERE b.thread_id = v.thread AND (b.contributor_id IS NULL OR b.contributor_id <> $1) \
          AND b.created_at > v.since AND b.created_at <= v.until LIMIT {COUNT_MAX}) few) AS total \
         FROM {rows} JOIN artifacts a ON a.thread_id = v.thread AND a.created_at = v.newest",
        rows = span_rows(conn, "$2")
    );
    let rows: Vec<ArtifactInSpan> = Statement::new(sql).text(bot).text(span_values(spans, from)).load(conn)?;
    let newest = |row: ArtifactInSpan| {
        let index = usize::try_from(row.position).ok()?;
        Some(NewestArtifact { index, key: row.artifact_key, version: row.version, count: row.total })
    };
    Ok(rows.into_iter().filter_map(newest).collect())
}
