//! Limits of pending webhook deliveries and of payloads kept for replay.
//!
//! A bot's queue is bounded in events and bytes, and so is an organisation's; beyond that the oldest events are
//! dropped, which leaves a row that says so and counts in the receiver's health. Payloads are shared by deliveries and
//! deleted with the last of them. Payloads that an organisation keeps only for a replay are dropped before any pending
//! event.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde_json::json;

use super::super::lifecycle::BATCH;
use super::super::schema::{webhook_deliveries as d, webhook_payloads as p};
use super::super::statement::{Field, Statement, rows_of};
use super::super::{DbConnection, DbError};
use hxa_domain::ids::{BotId, EventId, OrgId};

/// Events and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Events.
    pub events: i64,
    /// Bytes of their payloads.
    pub bytes: i64,
}

/// What waits for a bot's receiver.
///
/// # Errors
/// When the database fails.
pub fn waiting(conn: &mut DbConnection, bot: BotId) -> Result<Amount, DbError> {
    let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM webhook_deliveries \
               WHERE bot_id = $1 AND finished_at IS NULL";
    amount(Statement::<Numbers>::of_columns(sql).text(bot).load(conn)?)
}

/// What waits in an organisation, and the bytes of all payloads that it has stored.
///
/// # Errors
/// When the database fails.
pub fn stored(conn: &mut DbConnection, org: OrgId) -> Result<Amount, DbError> {
    let sql = "SELECT \
        (SELECT COUNT(*) FROM webhook_deliveries d WHERE d.bot_id IN (SELECT id FROM bots WHERE org_id = $1) \
            AND d.finished_at IS NULL), \
        (SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM webhook_payloads WHERE org_id = $1)";
    amount(Statement::<Numbers>::of_columns(sql).text(org).load(conn)?)
}

fn amount(rows: Vec<(i64, i64)>) -> Result<Amount, DbError> {
    let (events, bytes) = rows.into_iter().next().unwrap_or_default();
    Ok(Amount { events, bytes })
}

/// Two columns of numbers.
type Numbers = (BigInt, BigInt);

/// Which pending deliveries are dropped: a condition on `d` about `$1` (and `$2`).
struct Doomed<'a> {
    condition: &'a str,
    first: String,
    second: i64,
    why: &'static str,
}

/// Gives them up and counts them in the health of their receivers; returns how many.
fn give_up(conn: &mut DbConnection, doomed: &Doomed<'_>, now: i64) -> Result<usize, DbError> {
    let condition = doomed.condition;
    let counted = format!(
        "INSERT INTO webhook_health (bot_id, consecutive_failures, degraded, hold_until, dropped, last_dropped) \
         SELECT d.bot_id, 0, FALSE, 0, COUNT(*), CAST($3 AS BIGINT) FROM webhook_deliveries d JOIN bots b ON b.id = d.bot_id \
         WHERE d.finished_at IS NULL AND {condition} GROUP BY d.bot_id \
         ON CONFLICT (bot_id) DO UPDATE SET dropped = webhook_health.dropped + excluded.dropped, \
         last_dropped = excluded.last_dropped"
    );
    let bound = |sql: String| Statement::new(sql).text(&doomed.first).number(doomed.second).number(now);
    bound(counted).execute(conn)?;
    let given_up = format!(
        "UPDATE webhook_deliveries AS d SET status = 'dead', finished_at = $3, last_error = $4 \
         WHERE d.finished_at IS NULL AND {condition}"
    );
    bound(given_up).text(doomed.why).execute(conn)
}

/// Gives up a bot's oldest waiting deliveries until those left are within this; returns how many.
///
/// # Errors
/// When the database fails.
pub fn trim(conn: &mut DbConnection, bot: BotId, most: Amount, now: i64) -> Result<usize, DbError> {
    let beyond = "SELECT CAST(COALESCE(MAX(position), 0) AS BIGINT), CAST(0 AS BIGINT) FROM (SELECT position, ROW_NUMBER() OVER w AS n, \
                  SUM(bytes) OVER w AS held FROM webhook_deliveries WHERE bot_id = $1 AND finished_at IS NULL \
                  WINDOW w AS (ORDER BY position DESC, id DESC)) t WHERE n > $2 OR held > $3";
    let found = Statement::<Numbers>::of_columns(beyond).text(bot).number(most.events).number(most.bytes);
    let found: Vec<(i64, i64)> = found.load(conn)?;
    match found.first() {
        Some((position, _)) if *position > 0 => {
            let condition = "d.bot_id = $1 AND d.position <= $2";
            let why = "the queue was full";
            give_up(conn, &Doomed { condition, first: bot.to_string(), second: *position, why }, now)
        }
        _ => Ok(0),
    }
}

/// Gives up an organisation's oldest waiting deliveries beyond the newest `most`; returns how many.
///
/// # Errors
/// When the database fails.
pub fn trim_org(conn: &mut DbConnection, org: OrgId, most: i64, now: i64) -> Result<usize, DbError> {
    let beyond = "SELECT d.position, d.bytes FROM webhook_deliveries d \
                  WHERE d.bot_id IN (SELECT id FROM bots WHERE org_id = $1) AND d.finished_at IS NULL \
                  ORDER BY d.position DESC LIMIT 1 OFFSET $2";
    let found: Vec<(i64, i64)> = Statement::<Numbers>::of_columns(beyond).text(org).number(most).load(conn)?;
    let Some((position, _)) = found.first() else { return Ok(0) };
    let condition = "d.bot_id IN (SELECT id FROM bots WHERE org_id = $1) AND d.position <= $2";
    let why = "the organisation's queue was full";
    give_up(conn, &Doomed { condition, first: org.to_string(), second: *position, why }, now)
}

/// Deletes payloads of an organisation until `excess` bytes are gone or a batch is through: first the oldest that nobody
/// waits for any more, then the oldest of all, whose deliveries are dropped. Returns the bytes that are gone and how
/// many deliveries were dropped.
///
/// # Errors
/// When the database fails.
pub fn shed(conn: &mut DbConnection, org: OrgId, excess: i64, now: i64) -> Result<(i64, usize), DbError> {
    let kept =
        " AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.payload_id = p.id AND d.finished_at IS NULL)";
    let mut oldest = oldest(conn, org, kept)?;
    let is_luxury = !oldest.is_empty();
    if !is_luxury {
        oldest = self::oldest(conn, org, "")?;
    }
    let mut gone = 0_i64;
    let mut ids = Vec::new();
    for (id, bytes) in oldest {
        if gone >= excess {
            break;
        }
        gone = gone.saturating_add(bytes);
        ids.push(id);
    }
    let list = listed(&ids);
    let table = rows_of(conn, "$1", &[("id", Field::Text)]);
    let mut dropped = 0;
    if !is_luxury {
        let condition = format!("$2 = 0 AND d.payload_id IN (SELECT v.id FROM {table})");
        let why = "the organisation's queue was full";
        dropped = give_up(conn, &Doomed { condition: &condition, first: list.clone(), second: 0, why }, now)?;
    }
    let delete = format!("DELETE FROM webhook_payloads WHERE id IN (SELECT v.id FROM {table})");
    Statement::new(delete).text(list).execute(conn)?;
    Ok((gone, dropped))
}

fn oldest(conn: &mut DbConnection, org: OrgId, condition: &str) -> Result<Vec<(String, i64)>, DbError> {
    let sql = format!(
        "SELECT p.id, p.bytes FROM webhook_payloads p WHERE p.org_id = $1{condition} ORDER BY p.id LIMIT {BATCH}"
    );
    Statement::<(Text, BigInt)>::of_columns(sql).text(org).load(conn)
}

/// Ids as the one value that [`rows_of`] reads.
fn listed(ids: &[String]) -> String {
    json!(ids.iter().map(|id| [id]).collect::<Vec<_>>()).to_string()
}

/// Deletes these payloads, but for those that a delivery still needs.
///
/// # Errors
/// When the database fails.
pub fn delete_unneeded(conn: &mut DbConnection, mut ids: Vec<String>) -> Result<usize, DbError> {
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(0);
    }
    let delete = format!(
        "DELETE FROM webhook_payloads WHERE id IN (SELECT v.id FROM {}) \
         AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.payload_id = webhook_payloads.id)",
        rows_of(conn, "$1", &[("id", Field::Text)])
    );
    Statement::new(delete).text(listed(&ids)).execute(conn)
}

/// Deletes a batch of a bot's finished deliveries beyond the newest `most`; returns how many.
///
/// # Errors
/// When the database fails.
pub fn forget_finished(conn: &mut DbConnection, bot: BotId, most: i64) -> Result<usize, DbError> {
    let finished = || d::table.filter(d::bot_id.eq(bot)).filter(d::finished_at.is_not_null());
    let newest: Option<i64> =
        finished().order(d::position.desc()).offset(most).select(d::position).first(conn).optional()?;
    let Some(newest) = newest else { return Ok(0) };
    let keys = finished().filter(d::position.le(newest)).limit(BATCH);
    let keys = keys.select((d::bot_id, d::position, d::id, d::payload_id)).load(conn)?;
    delete(conn, keys)
}

/// Deletes deliveries by their keys, with the payloads that nobody needs then; returns how many.
///
/// # Errors
/// When the database fails.
pub fn delete(conn: &mut DbConnection, keys: Vec<(String, i64, String, String)>) -> Result<usize, DbError> {
    let deleted = keys.len();
    let mut payloads = Vec::with_capacity(deleted);
    for (bot, position, id, payload) in keys {
        diesel::delete(d::table.find((bot, position, id))).execute(conn)?;
        payloads.push(payload);
    }
    delete_unneeded(conn, payloads)?;
    Ok(deleted)
}

/// Deletes a batch of payloads that no delivery needs, of those before the id `until`; returns how many. Deliveries that
/// go at the same moment in two transactions leave them behind: each still sees the other.
///
/// # Errors
/// When the database fails.
pub fn sweep(conn: &mut DbConnection, until: EventId) -> Result<usize, DbError> {
    let old = p::table.filter(p::id.lt(until));
    let needed = d::table.filter(d::payload_id.eq(p::id)).select(d::id);
    let orphans: Vec<String> =
        old.filter(diesel::dsl::not(diesel::dsl::exists(needed))).limit(BATCH).select(p::id).load(conn)?;
    delete_unneeded(conn, orphans)
}
