//! Queries on registration tickets.
//!
//! A ticket is identified by its code or by its row's id. Redeeming one re-reads it inside the writer's transaction, so
//! a single-use ticket has exactly one winner.

use diesel::prelude::*;

use super::accounts::has_room;
use super::rows::TicketRow;
use super::schema::org_tickets;
use super::{DbConnection, DbError};
use hxa_domain::cursor::Cursor;
use hxa_domain::error::{ApiError, ErrorCode};
use hxa_domain::grants::has_expired;
use hxa_domain::ids::{OrgId, TicketId};

/// Adds a ticket to an organisation that may have `most` usable ones.
///
/// # Errors
/// `LIMIT_REACHED` when it has.
pub fn insert(conn: &mut DbConnection, row: &TicketRow, most: usize) -> Result<(), DbError> {
    let lives = org_tickets::expires_at.eq(0).or(org_tickets::expires_at.gt(row.created_at));
    let usable = org_tickets::table.filter(org_tickets::org_id.eq(&row.org_id)).filter(org_tickets::consumed.eq(false));
    if !has_room(usable.filter(lives).count().get_result(conn)?, most) {
        return Err(ApiError::limit_reached("organisation", "usable tickets", most).into());
    }
    diesel::insert_into(org_tickets::table).values(row.clone()).execute(conn)?;
    Ok(())
}

/// The usable ticket of an organisation that `reference` names: its code or the id of its row.
///
/// # Errors
/// `INVALID_TICKET`, `TICKET_EXPIRED` or `TICKET_CONSUMED`, in this order.
pub fn find_usable(conn: &mut DbConnection, org: OrgId, reference: &str, now: i64) -> Result<TicketRow, DbError> {
    let named = org_tickets::code.eq(reference).or(org_tickets::id.eq(reference));
    let row = org_tickets::table
        .filter(org_tickets::org_id.eq(org))
        .filter(named)
        .select(TicketRow::as_select())
        .first(conn)
        .optional()?;
    check_usable(row, now)
}

/// The ticket again, inside the transaction that redeems it.
///
/// # Errors
/// As for [`find_usable`].
pub fn recheck(conn: &mut DbConnection, org: OrgId, id: TicketId, now: i64) -> Result<TicketRow, DbError> {
    let own = org_tickets::table.find(id).filter(org_tickets::org_id.eq(org));
    let row = own.select(TicketRow::as_select()).first(conn).optional()?;
    check_usable(row, now)
}

fn check_usable(row: Option<TicketRow>, now: i64) -> Result<TicketRow, DbError> {
    let Some(row) = row else {
        return Err(ApiError::new(ErrorCode::InvalidTicket, "The ticket is not valid for this organisation").into());
    };
    if has_expired(row.expires_at, now) {
        return Err(ApiError::new(ErrorCode::TicketExpired, "The ticket has expired").into());
    }
    if row.consumed {
        return Err(ApiError::new(ErrorCode::TicketConsumed, "The ticket has already been used").into());
    }
    Ok(row)
}

/// Marks a single-use ticket as used.
///
/// # Errors
/// `TICKET_CONSUMED` when another hub was faster.
pub fn consume(conn: &mut DbConnection, ticket: &TicketRow) -> Result<(), DbError> {
    if ticket.reusable {
        return Ok(());
    }
    let fresh = org_tickets::table.find(&ticket.id).filter(org_tickets::consumed.eq(false));
    if diesel::update(fresh).set(org_tickets::consumed.eq(true)).execute(conn)? == 0 {
        return Err(ApiError::new(ErrorCode::TicketConsumed, "The ticket has already been used").into());
    }
    Ok(())
}

/// Unused, unexpired tickets, newest first, after `cursor`; up to `limit` of them.
///
/// # Errors
/// When the database fails.
pub fn list(
    conn: &mut DbConnection,
    org: OrgId,
    now: i64,
    cursor: Option<&Cursor>,
    limit: i64,
) -> Result<Vec<TicketRow>, DbError> {
    let is_alive = org_tickets::expires_at.eq(0).or(org_tickets::expires_at.gt(now));
    let mut query = org_tickets::table
        .filter(org_tickets::org_id.eq(org))
        .filter(org_tickets::consumed.eq(false))
        .filter(is_alive)
        .order((org_tickets::created_at.desc(), org_tickets::id.desc()))
        .select(TicketRow::as_select())
        .limit(limit)
        .into_boxed();
    if let Some(cursor) = cursor {
        let same_time = org_tickets::created_at.eq(cursor.t).and(org_tickets::id.lt(cursor.id.clone()));
        query = query.filter(org_tickets::created_at.lt(cursor.t).or(same_time));
    }
    Ok(query.load(conn)?)
}

/// Deletes a ticket by code or id, used or not; false when the organisation has no such ticket.
///
/// # Errors
/// When the database fails.
pub fn delete(conn: &mut DbConnection, org: OrgId, reference: &str) -> Result<bool, DbError> {
    let named = org_tickets::table
        .filter(org_tickets::org_id.eq(org))
        .filter(org_tickets::code.eq(reference).or(org_tickets::id.eq(reference)));
    Ok(diesel::delete(named).execute(conn)? > 0)
}

/// Deletes the tickets of an admin bot or person that could still be used: it may let nobody in any more.
///
/// # Errors
/// When the database fails.
pub fn delete_unconsumed_of(conn: &mut DbConnection, maker: &str) -> Result<usize, DbError> {
    let open = org_tickets::table.filter(org_tickets::created_by.eq(maker)).filter(org_tickets::consumed.eq(false));
    Ok(diesel::delete(open).execute(conn)?)
}

/// Deletes every ticket that could still be used, reusable ones included.
///
/// # Errors
/// When the database fails.
pub fn delete_unconsumed(conn: &mut DbConnection, org: OrgId) -> Result<usize, DbError> {
    let open = org_tickets::table.filter(org_tickets::org_id.eq(org)).filter(org_tickets::consumed.eq(false));
    Ok(diesel::delete(open).execute(conn)?)
}
