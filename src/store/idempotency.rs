//! Queries on idempotency keys: the stored response for each key of a bot.
//!
//! A row is written with the effect of its request and is valid for a day. The primary key guarantees that a request is
//! executed once even if several hubs share a database; an expired row is replaced by a new one.

use diesel::prelude::*;

use super::lifecycle::BATCH;
use super::rows::ReceiptRow;
use super::schema::idempotency_keys as k;
use super::statement::Statement;
use super::{DbConnection, DbError};
use hxa_domain::error::{ApiError, ErrorCode};
use hxa_domain::idempotency::KEPT_MS;
use hxa_domain::ids::BotId;

/// The answer that is remembered for a key.
///
/// # Errors
/// When the database fails.
pub fn find(conn: &mut DbConnection, bot: BotId, key: &str, now: i64) -> Result<Option<ReceiptRow>, DbError> {
    let row = k::table.find((bot, key)).filter(k::created_at.gt(now.saturating_sub(KEPT_MS)));
    Ok(row.select(ReceiptRow::as_select()).first(conn).optional()?)
}

/// Remembers an answer.
///
/// # Errors
/// `IDEMPOTENCY_IN_PROGRESS` when another hub has answered under the key since it was looked for.
pub fn insert(conn: &mut DbConnection, row: &ReceiptRow) -> Result<(), DbError> {
    let upsert = "INSERT INTO idempotency_keys (bot_id, key, fingerprint, answer, created_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (bot_id, key) DO UPDATE SET fingerprint = $3, answer = $4, created_at = $5 \
         WHERE idempotency_keys.created_at <= $6";
    let upsert = Statement::new(upsert).text(row.bot_id).text(&row.key).text(&row.fingerprint).text(&row.answer);
    let stored = upsert.number(row.created_at).number(row.created_at.saturating_sub(KEPT_MS)).execute(conn)?;
    if stored == 0 { Err(in_progress().into()) } else { Ok(()) }
}

/// The refusal of a request whose twin is under way.
#[must_use]
pub fn in_progress() -> ApiError {
    let message = "A request with this idempotency key is being answered; try again";
    ApiError::new(ErrorCode::IdempotencyInProgress, message).with("retry_after", 1)
}

/// Forgets everything a bot was answered.
///
/// # Errors
/// When the database fails.
pub fn delete_of_bot(conn: &mut DbConnection, bot: BotId) -> Result<(), DbError> {
    diesel::delete(k::table.filter(k::bot_id.eq(bot))).execute(conn)?;
    Ok(())
}

/// Deletes a batch of answers that are old enough; as many as [`BATCH`] mean that there may be more.
///
/// # Errors
/// When the database fails.
pub fn purge(conn: &mut DbConnection, now: i64) -> Result<usize, DbError> {
    let old = k::table.filter(k::created_at.le(now.saturating_sub(KEPT_MS)));
    let keys: Vec<(String, String)> = old.limit(BATCH).select((k::bot_id, k::key)).load(conn)?;
    for key in &keys {
        diesel::delete(k::table.find((&key.0, &key.1))).execute(conn)?;
    }
    Ok(keys.len())
}
