//! Queries on webhooks: the queue of deliveries, the health of receivers, and the settings of a bot's webhook.
//!
//! A delivery is pending while it has no `finished_at`. Those of one lane, which is a conversation, are sent in the
//! order of `(position, id)`; one that was sent without a response moves from its conversation to a lane of its own.
//! Positions only increase within a hub and are assigned when the event happens, so equal keys of the writer keep them
//! in order. Finished deliveries are kept for a while, so that they can be listed and replayed. A payload is stored
//! once for all bots that receive its event.

mod bounds;

use diesel::dsl::{exists, max};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

pub use bounds::{Amount, forget_finished, shed, stored, trim, trim_org, waiting};

use super::connection::each_backend;
use super::lifecycle::BATCH;
use super::rows::{DeliveryRow, WebhookHealthRow};
use super::schema::{
    bots, thread_participants as tp, webhook_deliveries as d, webhook_health as h, webhook_payloads as p,
};
use super::statement::Statement;
use super::timed_ids;
use super::{DbConnection, DbError};
use hxa_domain::error::{ApiError, ErrorCode};
use hxa_domain::ids::{BotId, EventId, OrgId, ThreadId};
use hxa_domain::webhook::DeliveryStatus;
use hxa_domain::webhook::is_for_participants;

/// How long a delivered event can be sent again: a day.
const DELIVERED_KEPT_MS: i64 = 86_400_000;
/// How long a dropped event can be replayed: a week.
const DEAD_KEPT_MS: i64 = 7 * 86_400_000;
/// A payload that is older than this is needed only where deliveries were held up for long.
const ORPHANED_MS: i64 = 14 * 86_400_000;

/// The newest position ever handed out that is still stored.
///
/// # Errors
/// When the database fails.
pub fn newest_position(conn: &mut DbConnection) -> Result<i64, DbError> {
    let newest: Option<i64> = d::table.select(max(d::position)).first(conn)?;
    Ok(newest.unwrap_or(0))
}

/// A bot's lanes with something that waits, after this one in the order of their names: each with the time, ms, before
/// which its first delivery is not to be sent. Skips from lane to lane, however much waits in them.
///
/// # Errors
/// When the database fails.
pub fn list_lanes(conn: &mut DbConnection, bot: BotId, after: &str, limit: i64) -> Result<Vec<(String, i64)>, DbError> {
    const LANES: &str = "WITH RECURSIVE lanes (lane, n) AS (\
        SELECT (SELECT d.lane FROM webhook_deliveries d WHERE d.bot_id = $1 AND d.finished_at IS NULL AND d.lane > $2 \
            ORDER BY d.lane LIMIT 1), 1 \
        UNION ALL \
        SELECT (SELECT d.lane FROM webhook_deliveries d WHERE d.bot_id = $1 AND d.finished_at IS NULL \
            AND d.lane > lanes.lane ORDER BY d.lane LIMIT 1), lanes.n + 1 \
        FROM lanes WHERE lanes.lane IS NOT NULL AND lanes.n < $3) \
        SELECT lanes.lane, (SELECT d.next_attempt_at FROM webhook_deliveries d WHERE d.bot_id = $1 \
            AND d.finished_at IS NULL AND d.lane = lanes.lane ORDER BY d.position, d.id LIMIT 1) \
        FROM lanes WHERE lanes.lane IS NOT NULL";
    Statement::<(Text, BigInt)>::of_columns(LANES).text(bot).text(after).number(limit).load(conn)
}

/// The first deliveries that wait in a lane.
///
/// # Errors
/// When the database fails.
pub fn list_lane(conn: &mut DbConnection, bot: BotId, lane: &str, limit: i64) -> Result<Vec<DeliveryRow>, DbError> {
    let waiting = d::table.filter(d::bot_id.eq(bot)).filter(d::finished_at.is_null());
    let waiting = waiting.filter(d::lane.eq(lane.to_owned())).order((d::position, d::id)).limit(limit);
    Ok(waiting.select(DeliveryRow::as_select()).load(conn)?)
}

/// What there is to send of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The body of the request.
    Body(String),
    /// Nothing: it was finished, dropped or deleted meanwhile.
    Finished,
    /// The body is not kept any more.
    Gone,
    /// The bot has left the thread since and may not read there any more.
    Unreadable,
}

/// What there is to send of a delivery now; to a bot that has left a thread no more than [`is_for_participants`] allows.
///
/// # Errors
/// When the database fails.
pub fn find_body(conn: &mut DbConnection, bot: BotId, row: &DeliveryRow) -> Result<Found, DbError> {
    let waiting = d::table.find((bot, row.position, row.id)).filter(d::finished_at.is_null());
    if !diesel::select(exists(waiting)).get_result::<bool>(conn)? {
        return Ok(Found::Finished);
    }
    let thread = ThreadId::parse(&row.lane).filter(|_| is_for_participants(&row.event));
    if let Some(thread) = thread {
        let is_in = tp::table.find((thread, bot));
        if !diesel::select(exists(is_in)).get_result::<bool>(conn)? {
            return Ok(Found::Unreadable);
        }
    }
    let body = p::table.find(row.payload_id).select(p::body).first(conn).optional()?;
    Ok(body.map_or(Found::Gone, Found::Body))
}

/// The bots with pending deliveries that may be tried now.
///
/// # Errors
/// When the database fails.
pub fn list_waiting_bots(conn: &mut DbConnection) -> Result<Vec<(OrgId, BotId)>, DbError> {
    Ok(d::table.filter(d::finished_at.is_null()).select((d::org_id, d::bot_id)).distinct().load(conn)?)
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Which delivery.
    pub position: i64,
    /// Its id.
    pub id: EventId,
    /// Its lane from now on.
    pub lane: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Attempts so far.
    pub attempts: i32,
    /// Those of them that were sent and not answered.
    pub unanswered: i32,
    /// When to try next, ms.
    pub next_attempt_at: i64,
    /// The receiver's answer, if there was one.
    pub last_status: Option<i32>,
    /// What went wrong.
    pub last_error: Option<String>,
    /// When it was finished, ms.
    pub finished_at: Option<i64>,
}

/// Notes outcomes and how the receiver fares since. A bot that is gone leaves nothing to note.
///
/// # Errors
/// When the database fails.
pub fn record(
    conn: &mut DbConnection,
    bot: BotId,
    outcomes: &[Outcome],
    health: &WebhookHealthRow,
) -> Result<(), DbError> {
    for outcome in outcomes {
        let changes = (
            d::lane.eq(&outcome.lane),
            d::status.eq(outcome.status),
            d::attempts.eq(outcome.attempts),
            d::unanswered.eq(outcome.unanswered),
            d::next_attempt_at.eq(outcome.next_attempt_at),
            d::last_status.eq(outcome.last_status),
            d::last_error.eq(&outcome.last_error),
            d::finished_at.eq(outcome.finished_at),
        );
        let row = d::table.find((bot, outcome.position, outcome.id)).filter(d::finished_at.is_null());
        diesel::update(row).set(changes).execute(conn)?;
    }
    put_health(conn, health)
}

fn put_health(conn: &mut DbConnection, health: &WebhookHealthRow) -> Result<(), DbError> {
    let known: Option<BotId> = bots::table.find(health.bot_id).select(bots::id).first(conn).optional()?;
    if known.is_none() {
        return Ok(());
    }
    // The code that drops events also counts them.
    let fares = (
        h::last_success.eq(health.last_success),
        h::last_failure.eq(health.last_failure),
        h::consecutive_failures.eq(health.consecutive_failures),
        h::degraded.eq(health.degraded),
        h::hold_until.eq(health.hold_until),
    );
    each_backend!(conn, |c| diesel::insert_into(h::table)
        .values(health)
        .on_conflict(h::bot_id)
        .do_update()
        .set(fares)
        .execute(c))?;
    Ok(())
}

/// How a bot's receiver fares, if anything was ever sent.
///
/// # Errors
/// When the database fails.
pub fn find_health(conn: &mut DbConnection, bot: BotId) -> Result<Option<WebhookHealthRow>, DbError> {
    Ok(h::table.find(bot).select(WebhookHealthRow::as_select()).first(conn).optional()?)
}

/// Forgets the failures of a receiver and lets what waits for it go out at once.
///
/// # Errors
/// When the database fails.
pub fn revive(conn: &mut DbConnection, bot: BotId) -> Result<(), DbError> {
    let recovered = (h::consecutive_failures.eq(0), h::degraded.eq(false), h::hold_until.eq(0));
    diesel::update(h::table.find(bot)).set(recovered).execute(conn)?;
    let pending = d::table.filter(d::bot_id.eq(bot)).filter(d::finished_at.is_null());
    diesel::update(pending.filter(d::next_attempt_at.gt(0))).set(d::next_attempt_at.eq(0)).execute(conn)?;
    Ok(())
}

/// Gives up every pending delivery of a bot whose webhook was taken away.
///
/// # Errors
/// When the database fails.
pub fn give_up_all(conn: &mut DbConnection, bot: BotId, now: i64) -> Result<usize, DbError> {
    let waiting = d::table.filter(d::bot_id.eq(bot)).filter(d::finished_at.is_null());
    let why = "the bot has no webhook";
    let dead = (d::status.eq(DeliveryStatus::Dead), d::finished_at.eq(Some(now)), d::last_error.eq(Some(why)));
    Ok(diesel::update(waiting).set(dead).execute(conn)?)
}

/// Deletes everything that was queued for a bot.
///
/// # Errors
/// When the database fails.
pub fn delete_of_bot(conn: &mut DbConnection, bot: BotId) -> Result<(), DbError> {
    let own = "DELETE FROM webhook_payloads WHERE id IN (SELECT payload_id FROM webhook_deliveries WHERE bot_id = $1) \
               AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.payload_id = webhook_payloads.id \
               AND d.bot_id <> $1)";
    Statement::new(own).text(bot).execute(conn)?;
    diesel::delete(d::table.filter(d::bot_id.eq(bot))).execute(conn)?;
    Ok(())
}

/// Deletes everything that was queued in an organisation.
///
/// # Errors
/// When the database fails.
pub fn delete_of_org(conn: &mut DbConnection, org: OrgId) -> Result<(), DbError> {
    diesel::delete(p::table.filter(p::org_id.eq(org))).execute(conn)?;
    diesel::delete(d::table.filter(d::org_id.eq(org))).execute(conn)?;
    Ok(())
}

/// A page of a bot's deliveries, newest first: with this status, before this position.
///
/// # Errors
/// When the database fails.
pub fn list(
    conn: &mut DbConnection,
    bot: BotId,
    status: Option<DeliveryStatus>,
    before: Option<(i64, String)>,
    limit: i64,
) -> Result<Vec<DeliveryRow>, DbError> {
    let mut rows = d::table.filter(d::bot_id.eq(bot)).into_boxed();
    if let Some(status) = status {
        rows = rows.filter(d::status.eq(status));
    }
    if let Some((position, id)) = before {
        rows = rows.filter(d::position.lt(position).or(d::position.eq(position).and(d::id.lt(id))));
    }
    let newest_first = rows.order((d::position.desc(), d::id.desc())).limit(limit);
    Ok(newest_first.select(DeliveryRow::as_select()).load(conn)?)
}

/// Makes a finished delivery pending again, in its old place and under its old id; returns it as it is then.
///
/// # Errors
/// `NOT_FOUND` when the bot has no such delivery, or its payload is not kept any more.
pub fn replay(conn: &mut DbConnection, bot: BotId, id: EventId) -> Result<DeliveryRow, DbError> {
    let found = d::table.filter(d::bot_id.eq(bot)).filter(d::id.eq(id)).select(DeliveryRow::as_select());
    let row: Option<DeliveryRow> = found.first(conn).optional()?;
    let mut row = row.ok_or_else(|| ApiError::not_found("Delivery"))?;
    let payload: Option<EventId> = p::table.find(row.payload_id).select(p::id).first(conn).optional()?;
    if payload.is_none() {
        let message = "The delivery's payload is not kept any more: its organisation had stored too much for webhooks";
        return Err(ApiError::new(ErrorCode::NotFound, message).into());
    }
    row.status = DeliveryStatus::Pending;
    (row.attempts, row.unanswered, row.next_attempt_at, row.finished_at) = (0, 0, 0, None);
    (row.last_status, row.last_error) = (None, None);
    let changes = (
        d::status.eq(row.status),
        d::attempts.eq(row.attempts),
        d::unanswered.eq(row.unanswered),
        d::next_attempt_at.eq(row.next_attempt_at),
        d::last_status.eq(row.last_status),
        d::last_error.eq(&row.last_error),
        d::finished_at.eq(row.finished_at),
    );
    diesel::update(d::table.find((bot, row.position, id))).set(changes).execute(conn)?;
    Ok(row)
}

/// Deletes old secrets whose time is over and a batch of finished deliveries that are kept long enough; returns how
/// many deliveries. As many as [`BATCH`] mean that there may be more.
///
/// # Errors
/// When the database fails.
pub fn purge(conn: &mut DbConnection, now: i64) -> Result<usize, DbError> {
    let old_delivered =
        d::status.eq(DeliveryStatus::Delivered).and(d::finished_at.lt(now.saturating_sub(DELIVERED_KEPT_MS)));
    let old = d::finished_at.lt(now.saturating_sub(DEAD_KEPT_MS)).or(old_delivered);
    let doomed: Vec<(String, i64, String, String)> =
        d::table.filter(old).limit(BATCH).select((d::bot_id, d::position, d::id, d::payload_id)).load(conn)?;
    let ended = bots::table.filter(bots::webhook_old_secret_until.lt(now));
    let without = (bots::webhook_old_secret.eq(None::<String>), bots::webhook_old_secret_until.eq(None::<i64>));
    diesel::update(ended).set(without).execute(conn)?;
    bounds::sweep(conn, timed_ids::first_of(now.saturating_sub(ORPHANED_MS)))?;
    bounds::delete(conn, doomed)
}

/// Columns of a bot's webhook to change; `None` leaves a column as it is, `Some(None)` clears it.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = bots)]
#[expect(missing_docs, reason = "columns of the row")]
pub struct WebhookChanges {
    pub webhook_url: Option<Option<String>>,
    pub webhook_events: Option<Option<String>>,
    pub webhook_secret: Option<Option<String>>,
    pub webhook_old_secret: Option<Option<String>>,
    pub webhook_old_secret_until: Option<Option<i64>>,
}

/// Changes a bot's webhook; naming no column changes nothing.
///
/// # Errors
/// `NOT_FOUND` when the bot is gone.
pub fn update(conn: &mut DbConnection, bot: BotId, changes: &WebhookChanges) -> Result<(), DbError> {
    match diesel::update(bots::table.find(bot)).set(changes.clone()).execute(conn)? {
        0 => Err(ApiError::not_found("Bot").into()),
        _ => Ok(()),
    }
}

impl WebhookChanges {
    /// Makes the same change on a row in memory.
    pub fn apply(&self, row: &mut super::rows::BotRow) {
        fn set<T: Clone>(column: &mut T, change: Option<&T>) {
            if let Some(value) = change {
                *column = value.clone();
            }
        }
        set(&mut row.webhook_url, self.webhook_url.as_ref());
        set(&mut row.webhook_events, self.webhook_events.as_ref());
        set(&mut row.webhook_secret, self.webhook_secret.as_ref());
        set(&mut row.webhook_old_secret, self.webhook_old_secret.as_ref());
        set(&mut row.webhook_old_secret_until, self.webhook_old_secret_until.as_ref());
    }
}
