//! Channels: the pairs of bots that have written to each other, and the inbox read across them.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::{Value, json};

use super::connection::MultiBackend;
use super::page::Page;
use super::rows::{ChannelMessageRow, ChannelRow};
use super::schema::channels;
use super::statement::{Field, Statement, rows_of};
use super::{DbConnection, DbError};
use crate::domain::cursor::Cursor;
use crate::domain::ids::{BotId, ChannelId, OrgId};

/// A channel of this organisation.
///
/// # Errors
/// When the database fails.
pub fn find(conn: &mut DbConnection, org: OrgId, id: ChannelId) -> Result<Option<ChannelRow>, DbError> {
    let row = channels::table.find(id.to_string()).filter(channels::org_id.eq(org.to_string()));
    Ok(row.select(ChannelRow::as_select()).first(conn).optional()?)
}

/// A channel of any organisation.
///
/// # Errors
/// When the database fails.
pub fn find_anywhere(conn: &mut DbConnection, id: ChannelId) -> Result<Option<ChannelRow>, DbError> {
    Ok(channels::table.find(id.to_string()).select(ChannelRow::as_select()).first(conn).optional()?)
}

/// The channel of two bots, the smaller id first.
///
/// # Errors
/// When the database fails.
pub fn find_pair(conn: &mut DbConnection, low: BotId, high: BotId) -> Result<Option<ChannelRow>, DbError> {
    let row =
        channels::table.filter(channels::bot_low.eq(low.to_string())).filter(channels::bot_high.eq(high.to_string()));
    Ok(row.select(ChannelRow::as_select()).first(conn).optional()?)
}

/// Stores a new channel.
///
/// # Errors
/// When the pair has one already, or the database fails.
pub fn insert(conn: &mut DbConnection, row: &ChannelRow) -> Result<(), DbError> {
    diesel::insert_into(channels::table).values(row.clone()).execute(conn)?;
    Ok(())
}

/// Every channel of a bot, newest activity first.
///
/// # Errors
/// When the database fails.
pub fn list_of_bot(conn: &mut DbConnection, bot: BotId) -> Result<Vec<ChannelRow>, DbError> {
    let bot = bot.to_string();
    let rows = channels::table.filter(channels::bot_low.eq(&bot).or(channels::bot_high.eq(&bot)));
    let rows = rows.order((channels::last_activity_at.desc(), channels::id.desc()));
    Ok(rows.select(ChannelRow::as_select()).load(conn)?)
}

/// A page of a bot's channels, newest activity first.
///
/// # Errors
/// When the database fails.
pub fn page_of_bot(
    conn: &mut DbConnection,
    bot: BotId,
    after: Option<Cursor>,
    limit: i64,
) -> Result<Page<ChannelRow>, DbError> {
    let bot = bot.to_string();
    let mut query = channels::table
        .filter(channels::bot_low.eq(bot.clone()).or(channels::bot_high.eq(bot)))
        .into_boxed::<MultiBackend>();
    if let Some(after) = after {
        query = query
            .filter(channels::last_activity_at.le(after.t))
            .filter(channels::last_activity_at.lt(after.t).or(channels::id.lt(after.id)));
    }
    let rows = query.order((channels::last_activity_at.desc(), channels::id.desc()));
    let rows = rows.limit(Page::<ChannelRow>::asked(limit)).select(ChannelRow::as_select()).load(conn)?;
    Ok(Page::cut(rows, limit))
}

/// Where a channel's unread messages begin, and how far a full inbox of them would reach.
#[derive(QueryableByName)]
struct Unread {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    first: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    filled: Option<i64>,
}

/// Messages that others sent to a bot after `since`, oldest first, at most `limit`.
///
/// Who goes on from the last one's time misses nothing: messages of one instant are never torn apart. A page ends before
/// an instant that does not fit as a whole; one that alone has more than `limit` is given whole.
///
/// However long the channels are, each contributes at most `limit` rows to the sort: the time up to which the page can
/// reach is found first, from the beginning of what is unread in each.
///
/// # Errors
/// When the database fails.
pub fn inbox(conn: &mut DbConnection, bot: BotId, since: i64, limit: i64) -> Result<Vec<ChannelMessageRow>, DbError> {
    const UNREAD: &str = "SELECT c.id AS id, \
        (SELECT min(m.created_at) FROM channel_messages m \
         WHERE m.channel_id = c.id AND m.created_at > $1 AND m.sender_id <> $2) AS first, \
        (SELECT m.created_at FROM channel_messages m \
         WHERE m.channel_id = c.id AND m.created_at > $1 AND m.sender_id <> $2 \
         ORDER BY m.created_at, m.id LIMIT 1 OFFSET $3) AS filled \
        FROM channels c WHERE (c.bot_low = $2 OR c.bot_high = $2) AND c.last_activity_at > $1";
    let unread: Vec<Unread> =
        Statement::new(UNREAD).number(since).text(bot).number(limit.saturating_sub(1)).load(conn)?;
    let mut firsts: Vec<i64> = unread.iter().filter_map(|channel| channel.first).collect();
    firsts.sort_unstable();
    let by_count = usize::try_from(limit).ok().and_then(|limit| firsts.get(limit.saturating_sub(1)).copied());
    let until = unread.iter().filter_map(|channel| channel.filled).chain(by_count).min().unwrap_or(i64::MAX);
    let ids = unread.into_iter().filter(|channel| channel.first.is_some_and(|first| first <= until));
    let ids: Vec<_> = ids.map(|channel| json!([channel.id])).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT m.* FROM {rows} JOIN channel_messages m ON m.channel_id = v.id AND m.created_at > $2 \
         AND m.created_at <= $3 AND m.sender_id <> $4 ORDER BY m.created_at, m.id LIMIT $5",
        rows = rows_of(conn, "$1", &[("id", Field::Text)])
    );
    let mut load = |since, until, limit| -> Result<Vec<ChannelMessageRow>, DbError> {
        let query = Statement::new(&sql).text(Value::Array(ids.clone())).number(since).number(until);
        Ok(query.text(bot).number(limit).load(conn)?)
    };
    let mut page = load(since, until, limit.saturating_add(1))?;
    match cut_between_instants(&mut page, limit) {
        None => Ok(page),
        Some(instant) => load(instant.saturating_sub(1), instant, i64::MAX),
    }
}

/// Cuts a sorted page at `limit` or before, where one instant ends and another begins. When the whole page is of one
/// instant it is left, and that instant returned.
fn cut_between_instants(page: &mut Vec<ChannelMessageRow>, limit: i64) -> Option<i64> {
    let first_beyond = page.get(usize::try_from(limit).unwrap_or(usize::MAX))?.created_at;
    let whole = page.partition_point(|row| row.created_at < first_beyond);
    if whole == 0 {
        return Some(first_beyond);
    }
    page.truncate(whole);
    None
}
