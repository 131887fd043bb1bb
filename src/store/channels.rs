//! Channels: the pairs of bots that have written to each other.

use diesel::prelude::*;

use super::connection::MultiBackend;
use super::page::Page;
use super::rows::ChannelRow;
use super::schema::channels;
use super::{DbConnection, DbError};
use hxa_domain::cursor::Cursor;
use hxa_domain::ids::{BotId, ChannelId, OrgId};

/// A channel of this organisation.
///
/// # Errors
/// When the database fails.
pub fn find(conn: &mut DbConnection, org: OrgId, id: ChannelId) -> Result<Option<ChannelRow>, DbError> {
    let row = channels::table.find(id).filter(channels::org_id.eq(org));
    Ok(row.select(ChannelRow::as_select()).first(conn).optional()?)
}

/// The channel of two bots, the smaller id first.
///
/// # Errors
/// When the database fails.
pub fn find_pair(conn: &mut DbConnection, low: BotId, high: BotId) -> Result<Option<ChannelRow>, DbError> {
    let row = channels::table.filter(channels::bot_low.eq(low)).filter(channels::bot_high.eq(high));
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
    let mut query =
        channels::table.filter(channels::bot_low.eq(bot).or(channels::bot_high.eq(bot))).into_boxed::<MultiBackend>();
    if let Some(after) = after {
        query = query
            .filter(channels::last_activity_at.le(after.t))
            .filter(channels::last_activity_at.lt(after.t).or(channels::id.lt(after.id)));
    }
    let rows = query.order((channels::last_activity_at.desc(), channels::id.desc()));
    let rows = rows.limit(Page::<ChannelRow>::asked(limit)).select(ChannelRow::as_select()).load(conn)?;
    Ok(Page::cut(rows, limit))
}
