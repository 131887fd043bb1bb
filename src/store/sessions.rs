//! Where human sessions are kept, behind one enum, so that another store can take the table's place.
//!
//! A session is found by the hash of its cookie. Adding one and evicting those over the limit is one transaction, so
//! parallel logins cannot pass the limit together. What reads a session compares its expiry with the clock; rows that
//! have ended are only leftovers to purge.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::rows::SessionRow;
use super::schema::sessions;
use super::{DbConnection, DbError, Store};
use crate::domain::ids::OrgId;
use crate::error::{ApiError, ApiResult, ErrorCode};

/// Writes of sessions share a key, so that they keep their order.
const KEY: u64 = 0x5e55;

/// The place of the sessions.
#[derive(Clone)]
pub enum Sessions {
    /// The main database.
    Sql(Store),
}

impl Sessions {
    /// The session of a cookie's hash, ended or not.
    ///
    /// # Errors
    /// 503 when the store is away.
    pub async fn find(&self, id_hash: String) -> ApiResult<Option<SessionRow>> {
        match self {
            Sessions::Sql(store) => store.read(move |conn| find(conn, &id_hash)).await,
        }
    }

    /// Adds a session; when that makes more than `limit` live ones of its bot, or of its role and organisation, the
    /// oldest end. Returns the hashes of those.
    ///
    /// # Errors
    /// 401 when the bot or token behind it is gone; 503 when the store is away.
    pub async fn insert(&self, row: SessionRow, limit: i64) -> ApiResult<Vec<String>> {
        match self {
            Sessions::Sql(store) => store.write(KEY, move |conn| insert(conn, &row, limit)).await,
        }
    }

    /// Moves the end of sessions.
    ///
    /// # Errors
    /// 503 when the store is away.
    pub async fn extend(&self, ends: Vec<(String, i64)>) -> ApiResult<()> {
        match self {
            Sessions::Sql(store) => store.write(KEY, move |conn| extend(conn, &ends)).await,
        }
    }

    /// Deletes a session; deleting what is gone is no error.
    ///
    /// # Errors
    /// 503 when the store is away.
    pub async fn delete(&self, id_hash: String) -> ApiResult<()> {
        match self {
            Sessions::Sql(store) => store.write(KEY, move |conn| delete(conn, &id_hash)).await,
        }
    }

    /// Live sessions of an organisation, newest first.
    ///
    /// # Errors
    /// 503 when the store is away.
    pub async fn list(&self, org: OrgId, now: i64, offset: i64, limit: i64) -> ApiResult<Vec<SessionRow>> {
        match self {
            Sessions::Sql(store) => store.read(move |conn| list(conn, org, now, offset, limit)).await,
        }
    }

    /// The live session of an organisation that has this public reference.
    ///
    /// # Errors
    /// 503 when the store is away.
    pub async fn find_by_reference(&self, org: OrgId, reference: String, now: i64) -> ApiResult<Option<SessionRow>> {
        match self {
            Sessions::Sql(store) => store.read(move |conn| find_by_reference(conn, org, &reference, now)).await,
        }
    }

    /// Deletes sessions that have ended.
    ///
    /// # Errors
    /// 503 when the store is away.
    pub async fn delete_ended(&self, now: i64) -> ApiResult<usize> {
        match self {
            Sessions::Sql(store) => {
                let ended = move |conn: &mut DbConnection| {
                    Ok(diesel::delete(sessions::table.filter(sessions::expires_at.le(now))).execute(conn)?)
                };
                store.write(KEY, ended).await
            }
        }
    }
}

fn find(conn: &mut DbConnection, id_hash: &str) -> Result<Option<SessionRow>, DbError> {
    Ok(sessions::table.find(id_hash).select(SessionRow::as_select()).first(conn).optional()?)
}

fn insert(conn: &mut DbConnection, row: &SessionRow, limit: i64) -> Result<Vec<String>, DbError> {
    let mut rivals = sessions::table
        .filter(sessions::role.eq(&row.role))
        .filter(sessions::expires_at.gt(row.created_at))
        .order((sessions::created_at.desc(), sessions::id_hash))
        .select(sessions::id_hash)
        .offset((limit - 1).max(0))
        // SQLite takes an offset only together with a limit.
        .limit(i64::from(i32::MAX))
        .into_boxed();
    rivals = match (&row.bot_id, &row.org_id) {
        (Some(bot), _) => rivals.filter(sessions::bot_id.eq(bot.clone())),
        (None, Some(org)) => rivals.filter(sessions::org_id.eq(org.clone())),
        (None, None) => rivals,
    };
    let evicted: Vec<String> = rivals.load(conn)?;
    for old in &evicted {
        delete(conn, old)?;
    }
    diesel::insert_into(sessions::table).values(row.clone()).execute(conn).map_err(as_gone)?;
    Ok(evicted)
}

/// A missing bot or token means that the credential went away during the login.
fn as_gone(error: DieselError) -> DbError {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => {
            ApiError::new(ErrorCode::InvalidToken, "The credential is not valid any more").into()
        }
        other => other.into(),
    }
}

fn extend(conn: &mut DbConnection, ends: &[(String, i64)]) -> Result<(), DbError> {
    for (id_hash, at) in ends {
        diesel::update(sessions::table.find(id_hash)).set(sessions::expires_at.eq(*at)).execute(conn)?;
    }
    Ok(())
}

fn delete(conn: &mut DbConnection, id_hash: &str) -> Result<(), DbError> {
    diesel::delete(sessions::table.find(id_hash)).execute(conn)?;
    Ok(())
}

fn list(conn: &mut DbConnection, org: OrgId, now: i64, offset: i64, limit: i64) -> Result<Vec<SessionRow>, DbError> {
    let rows = sessions::table
        .filter(sessions::org_id.eq(org.to_string()))
        .filter(sessions::expires_at.gt(now))
        .order((sessions::created_at.desc(), sessions::id_hash))
        .select(SessionRow::as_select())
        .offset(offset)
        .limit(limit)
        .load(conn)?;
    Ok(rows)
}

fn find_by_reference(
    conn: &mut DbConnection,
    org: OrgId,
    reference: &str,
    now: i64,
) -> Result<Option<SessionRow>, DbError> {
    let row = sessions::table
        .filter(sessions::reference.eq(reference))
        .filter(sessions::org_id.eq(org.to_string()))
        .filter(sessions::expires_at.gt(now))
        .select(SessionRow::as_select())
        .first(conn)
        .optional()?;
    Ok(row)
}

/// Ends every admin session of an organisation; runs inside the transaction that changes its secret.
///
/// # Errors
/// When the database fails.
pub fn delete_of_admins(conn: &mut DbConnection, org: OrgId) -> Result<(), DbError> {
    let admins = sessions::table.filter(sessions::org_id.eq(org.to_string())).filter(sessions::role.eq("org_admin"));
    diesel::delete(admins).execute(conn)?;
    Ok(())
}
