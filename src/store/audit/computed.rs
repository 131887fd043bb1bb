//! Audit entries derived from messages and artifacts.
//!
//! The newest entries of an organisation are in its most recently active conversations. These are read in that order,
//! many per statement, only as far as the page can reach: for each the time of its newest row, and of the row that
//! would fill the page alone. These times determine how far back rows have to be read at all.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{AuditFilter, AuditRow, KEPT_MS};
use crate::connection::MultiBackend;
use crate::schema::{artifacts, channel_messages, channels, thread_messages, threads};
use crate::{DbConnection, DbError, timed_ids};
use hxa_domain::ids::{BotId, MessageId, OrgId};

/// Conversations looked at in one statement.
const CHUNK: i64 = 500;
/// Most statements for one page; an organisation without a match in so many conversations has none worth the time.
const CHUNKS: usize = 20;
/// Rows of one conversation that are searched for those of one bot.
const SEARCHED: i64 = 2000;
/// More rows than the page holds, for those that share a time with the position.
const SPARE: i64 = 64;

/// A kind of row that stands for audit entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    ChannelMessages,
    ThreadMessages,
    Artifacts,
}

impl Source {
    const ALL: [Self; 3] = [Self::ChannelMessages, Self::ThreadMessages, Self::Artifacts];

    /// The table of conversations, the table of rows, the column that names the conversation, and the author's.
    const fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::ChannelMessages => ("channels", "channel_messages", "channel_id", "sender_id"),
            Self::ThreadMessages => ("threads", "thread_messages", "thread_id", "sender_id"),
            Self::Artifacts => ("threads", "artifacts", "thread_id", "contributor_id"),
        }
    }

    const fn target_type(self) -> &'static str {
        match self {
            Self::ChannelMessages => "channel_message",
            Self::ThreadMessages => "thread_message",
            Self::Artifacts => "artifact",
        }
    }

    /// Whether entries of this kind can pass the filter at all.
    fn may_match(self, filter: &AuditFilter) -> bool {
        let actions: &[&str] = match self {
            Self::ChannelMessages | Self::ThreadMessages => &["message.send"],
            Self::Artifacts => &["artifact.add", "artifact.update"],
        };
        let is =
            |wanted: &Option<String>, given: &[&str]| wanted.as_deref().is_none_or(|wanted| given.contains(&wanted));
        is(&filter.action, actions) && is(&filter.target_type, &[self.target_type()])
    }
}

/// What an entry says of a direct message; never its content, which may be large.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = channel_messages)]
struct SentInChannel {
    channel_id: String,
    created_at: i64,
    id: String,
    sender_id: String,
    via_socket: bool,
}

/// The same of a message in a thread.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = thread_messages)]
struct SentInThread {
    thread_id: String,
    created_at: i64,
    id: String,
    sender_id: Option<String>,
    via_socket: bool,
}

/// The same of a version of an artifact.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = artifacts)]
struct Contributed {
    thread_id: String,
    artifact_key: String,
    version: i32,
    id: String,
    contributor_id: Option<String>,
    created_at: i64,
    via_socket: bool,
}

/// Which rows may become entries of the page; both times are exclusive.
struct Range {
    org: OrgId,
    after: i64,
    before: i64,
    bot: Option<BotId>,
    limit: i64,
}

/// The newest entries that pass the filter, in no order.
pub fn entries(conn: &mut DbConnection, org: OrgId, filter: &AuditFilter) -> Result<Vec<AuditRow>, DbError> {
    let bot = match filter.bot_id.as_deref().map(BotId::parse) {
        // A caller that is not a bot has sent nothing.
        Some(None) => return Ok(Vec::new()),
        bot => bot.flatten(),
    };
    let position = filter.before.and_then(|id| timed_ids::time_of(id.uuid()));
    let range = Range {
        org,
        after: filter.since.unwrap_or(0).max(filter.now.saturating_sub(KEPT_MS)),
        before: position.map_or(i64::MAX, |at| at.saturating_add(1)),
        bot,
        limit: filter.limit.saturating_add(SPARE),
    };
    let mut found = Vec::new();
    for source in Source::ALL {
        if source.may_match(filter) {
            found.extend(match filter.target_id.as_deref() {
                Some(target) => targeted(conn, source, &range, target)?,
                None => newest(conn, source, &range)?,
            });
        }
    }
    found.retain(|entry| {
        filter.action.as_ref().is_none_or(|action| entry.action == *action)
            && filter.bot_id.as_ref().is_none_or(|bot| entry.bot_id.as_ref() == Some(bot))
    });
    Ok(found)
}

/// A conversation, with the newest of its rows that may count and the one that would fill the page.
#[derive(QueryableByName)]
struct Reach {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = BigInt)]
    active_at: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    newest: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    filled: Option<i64>,
}

/// The newest rows of one kind.
fn newest(conn: &mut DbConnection, source: Source, range: &Range) -> Result<Vec<AuditRow>, DbError> {
    let mut seen: Vec<Reach> = Vec::new();
    let mut back_to = i64::MIN;
    for _ in 0..CHUNKS {
        let chunk = reach(conn, source, range, seen.last())?;
        let is_last = i64::try_from(chunk.len()).is_ok_and(|len| len < CHUNK);
        seen.extend(chunk);
        back_to = page_end(&seen, range.limit);
        // What is less active than the page's oldest row has nothing newer.
        if is_last || seen.last().is_some_and(|least| back_to >= least.active_at) {
            break;
        }
    }
    let ids: Vec<String> = seen
        .into_iter()
        .filter(|conversation| conversation.newest.is_some_and(|newest| newest >= back_to))
        .map(|conversation| conversation.id)
        .collect();
    let range = Range { after: range.after.max(back_to.saturating_sub(1)), ..*range };
    rows_of(conn, source, &range, &ids)
}

/// The time at which a page of `limit` rows ends at the latest; the beginning of time when there are fewer rows.
fn page_end(seen: &[Reach], limit: i64) -> i64 {
    let mut newest: Vec<i64> = seen.iter().filter_map(|conversation| conversation.newest).collect();
    newest.sort_unstable_by(|a, b| b.cmp(a));
    let by_count = usize::try_from(limit).ok().and_then(|limit| newest.get(limit.saturating_sub(1)).copied());
    let filled = seen.iter().filter_map(|conversation| conversation.filled);
    filled.chain(by_count).max().unwrap_or(i64::MIN)
}

/// The next conversations in order of activity. Everything written into the statement is a number or a parsed id.
fn reach(conn: &mut DbConnection, source: Source, range: &Range, last: Option<&Reach>) -> Result<Vec<Reach>, DbError> {
    let (conversations, table, key, author) = source.names();
    let Range { org, after, before, bot, limit } = range;
    let within = format!("m.{key} = c.id AND m.created_at > {after} AND m.created_at < {before}");
    let rows = match bot {
        None => format!("(SELECT m.created_at AS t FROM {table} m WHERE {within}) r"),
        // Without an index by author, only the newest rows are searched.
        Some(bot) => format!(
            "(SELECT s.t AS t FROM (SELECT m.created_at AS t, m.{author} AS author FROM {table} m WHERE {within} \
             ORDER BY m.created_at DESC LIMIT {SEARCHED}) s WHERE s.author = '{bot}') r"
        ),
    };
    let next = match last.and_then(|last| Some((last.active_at, Uuid::try_parse(&last.id).ok()?.hyphenated()))) {
        Some((at, id)) => {
            format!("AND c.last_activity_at <= {at} AND (c.last_activity_at < {at} OR c.id < '{id}')")
        }
        None => String::new(),
    };
    let skipped = limit.saturating_sub(1);
    let sql = format!(
        "SELECT c.id AS id, c.last_activity_at AS active_at, (SELECT max(r.t) FROM {rows}) AS newest, \
         (SELECT r.t FROM {rows} ORDER BY r.t DESC LIMIT 1 OFFSET {skipped}) AS filled \
         FROM {conversations} c WHERE c.org_id = '{org}' AND c.last_activity_at > {after} AND c.created_at < {before} \
         {next} ORDER BY c.last_activity_at DESC, c.id DESC LIMIT {CHUNK}"
    );
    Ok(diesel::sql_query(sql).load(conn)?)
}

/// Declares how the newest rows of some conversations are read.
macro_rules! newest_rows {
    ($conn:ident, $range:ident, $ids:ident, $table:ident.$key:ident by $author:ident => $Row:ident) => {{
        let rows = $table::table
            .filter($table::$key.eq_any($ids))
            .filter($table::created_at.gt($range.after).and($table::created_at.lt($range.before)))
            .order(($table::created_at.desc(), $table::id.desc()))
            .limit($range.limit)
            .into_boxed::<MultiBackend>();
        let rows = match $range.bot {
            Some(bot) => rows.filter($table::$author.eq(bot)),
            None => rows,
        };
        rows.select($Row::as_select()).load($conn)?
    }};
}

/// The newest rows of some conversations as entries.
fn rows_of(conn: &mut DbConnection, source: Source, range: &Range, ids: &[String]) -> Result<Vec<AuditRow>, DbError> {
    let org = range.org;
    match source {
        Source::ChannelMessages => {
            let rows: Vec<SentInChannel> =
                newest_rows!(conn, range, ids, channel_messages.channel_id by sender_id => SentInChannel);
            let used: Vec<&str> = rows.iter().map(|row| row.channel_id.as_str()).collect();
            let pairs: Vec<(String, String, String)> = channels::table
                .filter(channels::id.eq_any(used))
                .select((channels::id, channels::bot_low, channels::bot_high))
                .load(conn)?;
            let entry = |row: SentInChannel| {
                let pair = pairs.iter().find(|(id, _, _)| *id == row.channel_id);
                let to = pair.map(|(_, low, high)| if *low == row.sender_id { high } else { low });
                channel_message(org, &row, to.map(String::as_str))
            };
            Ok(rows.into_iter().map(entry).collect())
        }
        Source::ThreadMessages => {
            let rows: Vec<SentInThread> =
                newest_rows!(conn, range, ids, thread_messages.thread_id by sender_id => SentInThread);
            Ok(rows.iter().map(|row| thread_message(org, row)).collect())
        }
        Source::Artifacts => {
            let rows: Vec<Contributed> =
                newest_rows!(conn, range, ids, artifacts.thread_id by contributor_id => Contributed);
            Ok(rows.iter().map(|row| artifact(org, row)).collect())
        }
    }
}

/// The entry of one message or artifact, whose id tells its time and so where to look.
fn targeted(conn: &mut DbConnection, source: Source, range: &Range, target: &str) -> Result<Vec<AuditRow>, DbError> {
    let Some((id, at)) = MessageId::parse(target).and_then(|id| Some((id, id.millis()?))) else {
        return Ok(Vec::new());
    };
    if at <= range.after || at >= range.before {
        return Ok(Vec::new());
    }
    let org = range.org;
    let of_org = threads::org_id.eq(org).and(threads::created_at.le(at));
    match source {
        Source::ChannelMessages => {
            use channel_messages as m;
            let rows: Vec<(SentInChannel, String, String)> = channels::table
                .inner_join(m::table.on(m::channel_id.eq(channels::id)))
                .filter(channels::org_id.eq(org).and(channels::created_at.le(at)))
                .filter(m::created_at.eq(at).and(m::id.eq(id)))
                .select((SentInChannel::as_select(), channels::bot_low, channels::bot_high))
                .load(conn)?;
            let entry = |(row, low, high): (SentInChannel, String, String)| {
                let to = if low == row.sender_id { high } else { low };
                channel_message(org, &row, Some(&to))
            };
            Ok(rows.into_iter().map(entry).collect())
        }
        Source::ThreadMessages => {
            use thread_messages as m;
            let rows = threads::table.inner_join(m::table.on(m::thread_id.eq(threads::id))).filter(of_org);
            let rows: Vec<SentInThread> =
                rows.filter(m::created_at.eq(at).and(m::id.eq(id))).select(SentInThread::as_select()).load(conn)?;
            Ok(rows.iter().map(|row| thread_message(org, row)).collect())
        }
        Source::Artifacts => {
            use artifacts as a;
            let rows = threads::table.inner_join(a::table.on(a::thread_id.eq(threads::id))).filter(of_org);
            let rows: Vec<Contributed> =
                rows.filter(a::created_at.eq(at).and(a::id.eq(id))).select(Contributed::as_select()).load(conn)?;
            Ok(rows.iter().map(|row| artifact(org, row)).collect())
        }
    }
}

/// What all entries made here have in common.
struct Made<'a> {
    org: OrgId,
    action: &'static str,
    source: Source,
    target: &'a str,
    by: Option<&'a str>,
    at: i64,
    via_socket: bool,
}

impl Made<'_> {
    /// The entry, whose id is made of the time and the target and so stays the same.
    fn entry(&self, detail: Value) -> AuditRow {
        let detail = super::noting_socket(detail, self.via_socket);
        AuditRow {
            org_id: self.org.to_string(),
            id: timed_ids::derived(self.at, self.target),
            bot_id: self.by.map(str::to_owned),
            action: self.action.to_owned(),
            target_type: self.source.target_type().to_owned(),
            target_id: self.target.to_owned(),
            detail: Some(detail.to_string()),
            created_at: self.at,
        }
    }
}

fn channel_message(org: OrgId, row: &SentInChannel, to: Option<&str>) -> AuditRow {
    let source = Source::ChannelMessages;
    let (target, by, at, via_socket) = (&row.id, Some(row.sender_id.as_str()), row.created_at, row.via_socket);
    Made { org, action: "message.send", source, target, by, at, via_socket }
        .entry(json!({ "channel_id": row.channel_id, "to": to }))
}

fn thread_message(org: OrgId, row: &SentInThread) -> AuditRow {
    let source = Source::ThreadMessages;
    let (target, by, at, via_socket) = (&row.id, row.sender_id.as_deref(), row.created_at, row.via_socket);
    Made { org, action: "message.send", source, target, by, at, via_socket }
        .entry(json!({ "thread_id": row.thread_id }))
}

fn artifact(org: OrgId, row: &Contributed) -> AuditRow {
    let source = Source::Artifacts;
    let action = if row.version == 1 { "artifact.add" } else { "artifact.update" };
    let (target, by, at, via_socket) = (&row.id, row.contributor_id.as_deref(), row.created_at, row.via_socket);
    Made { org, action, source, target, by, at, via_socket }
        .entry(json!({ "thread_id": row.thread_id, "artifact_key": row.artifact_key, "version": row.version }))
}
