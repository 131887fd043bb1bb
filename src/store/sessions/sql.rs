//! Sessions in the main database.
//!
//! Adding one and evicting those over the limit is one transaction of the one writer that sessions share. Foreign keys
//! delete a session with its organisation, bot, token or person.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::super::rows::SessionRow;
use super::super::schema::sessions;
use super::super::{DbConnection, DbError};
use super::Holder;
use hxa_domain::error::{ApiError, ErrorCode};
use hxa_domain::ids::{BotId, OrgId, PersonId};

pub(super) fn find(conn: &mut DbConnection, id_hash: &str) -> Result<Option<SessionRow>, DbError> {
    Ok(sessions::table.find(id_hash).select(SessionRow::as_select()).first(conn).optional()?)
}

pub(super) fn insert(conn: &mut DbConnection, row: &SessionRow, limit: i64) -> Result<Vec<String>, DbError> {
    let mut rivals = sessions::table
        .filter(sessions::role.eq(&row.role))
        .filter(sessions::expires_at.gt(row.created_at))
        .order((sessions::created_at.desc(), sessions::id_hash))
        .select(sessions::id_hash)
        .offset((limit - 1).max(0))
        // SQLite takes an offset only together with a limit.
        .limit(i64::from(i32::MAX))
        .into_boxed();
    rivals = match (row.bot_id, row.person_id, row.org_id) {
        (Some(bot), ..) => rivals.filter(sessions::bot_id.eq(bot)),
        (None, Some(person), _) => rivals.filter(sessions::person_id.eq(person)),
        (None, None, Some(org)) => rivals.filter(sessions::org_id.eq(org)),
        (None, None, None) => rivals,
    };
    rivals = match row.token_id {
        Some(token) => rivals.filter(sessions::token_id.eq(token)),
        None => rivals.filter(sessions::token_id.is_null()),
    };
    let evicted: Vec<String> = rivals.load(conn)?;
    for old in &evicted {
        delete(conn, old)?;
    }
    diesel::insert_into(sessions::table).values(row.clone()).execute(conn).map_err(as_gone)?;
    Ok(evicted)
}

/// A missing bot, token or person means that the credential went away during the login.
fn as_gone(error: DieselError) -> DbError {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => {
            ApiError::new(ErrorCode::InvalidToken, "The credential is not valid any more").into()
        }
        other => other.into(),
    }
}

pub(super) fn extend(conn: &mut DbConnection, ends: &[(String, i64)]) -> Result<(), DbError> {
    for (id_hash, at) in ends {
        diesel::update(sessions::table.find(id_hash)).set(sessions::expires_at.eq(*at)).execute(conn)?;
    }
    Ok(())
}

pub(super) fn delete(conn: &mut DbConnection, id_hash: &str) -> Result<(), DbError> {
    diesel::delete(sessions::table.find(id_hash)).execute(conn)?;
    Ok(())
}

pub(super) fn list(
    conn: &mut DbConnection,
    holder: Holder,
    now: i64,
    offset: i64,
    limit: i64,
) -> Result<Vec<SessionRow>, DbError> {
    let all = sessions::table.into_boxed();
    let held = match holder {
        Holder::Org(org) => all.filter(sessions::org_id.eq(org)),
        Holder::Bot(bot) => all.filter(sessions::bot_id.eq(bot)),
    };
    let rows = held
        .filter(sessions::expires_at.gt(now))
        .order((sessions::created_at.desc(), sessions::id_hash))
        .select(SessionRow::as_select())
        .offset(offset)
        .limit(limit)
        .load(conn)?;
    Ok(rows)
}

pub(super) fn find_by_reference(
    conn: &mut DbConnection,
    org: OrgId,
    reference: &str,
    now: i64,
) -> Result<Option<SessionRow>, DbError> {
    let row = sessions::table
        .filter(sessions::reference.eq(reference))
        .filter(sessions::org_id.eq(org))
        .filter(sessions::expires_at.gt(now))
        .select(SessionRow::as_select())
        .first(conn)
        .optional()?;
    Ok(row)
}

pub(super) fn delete_ended(conn: &mut DbConnection, now: i64) -> Result<usize, DbError> {
    Ok(diesel::delete(sessions::table.filter(sessions::expires_at.le(now))).execute(conn)?)
}

/// Ends the sessions that were opened with a bot's primary token; runs inside the transaction that replaces it.
///
/// # Errors
/// When the database fails.
pub fn delete_of_primary(conn: &mut DbConnection, bot: BotId) -> Result<(), DbError> {
    let opened = sessions::table.filter(sessions::bot_id.eq(bot)).filter(sessions::token_id.is_null());
    diesel::delete(opened).execute(conn)?;
    Ok(())
}

/// Ends every admin session of an organisation; runs inside the transaction that changes its secret.
///
/// # Errors
/// When the database fails.
pub fn delete_of_admins(conn: &mut DbConnection, org: OrgId) -> Result<(), DbError> {
    let admins = sessions::table.filter(sessions::org_id.eq(org)).filter(sessions::role.eq("org_admin"));
    diesel::delete(admins).execute(conn)?;
    Ok(())
}

/// Ends every session of a person; runs inside the transaction that changes what they were opened for.
///
/// # Errors
/// When the database fails.
pub fn delete_of_person(conn: &mut DbConnection, person: PersonId) -> Result<(), DbError> {
    diesel::delete(sessions::table.filter(sessions::person_id.eq(person))).execute(conn)?;
    Ok(())
}
