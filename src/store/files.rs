//! Uploaded files: what is known of them. Their bytes lie on disk under `path`.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::rows::FileRow;
use super::schema::files;
use super::statement::Statement;
use super::{DbConnection, DbError};
use crate::domain::ids::FileId;

/// A file of any organisation.
///
/// # Errors
/// When the database fails.
pub fn find(conn: &mut DbConnection, id: FileId) -> Result<Option<FileRow>, DbError> {
    Ok(files::table.find(id.to_string()).select(FileRow::as_select()).first(conn).optional()?)
}

/// Stores a file.
///
/// # Errors
/// When the database fails.
pub fn insert(conn: &mut DbConnection, row: &FileRow) -> Result<(), DbError> {
    diesel::insert_into(files::table).values(row.clone()).execute(conn)?;
    Ok(())
}

/// Removes a file's row.
///
/// # Errors
/// When the database fails.
pub fn delete(conn: &mut DbConnection, id: &str) -> Result<(), DbError> {
    diesel::delete(files::table.find(id)).execute(conn)?;
    Ok(())
}

/// What may be uploaded in a day, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// When the day began, ms.
    pub since: i64,
    /// By all bots of an organisation together.
    pub org: i64,
    /// By one bot.
    pub bot: i64,
}

/// Bytes uploaded.
#[derive(QueryableByName)]
struct Usage {
    #[diesel(sql_type = BigInt)]
    org: i64,
    #[diesel(sql_type = BigInt)]
    bot: i64,
}

/// Whether another `size` bytes of a bot fit into the day; bots that are gone still count for their organisation.
///
/// # Errors
/// When the database fails.
pub fn fits(conn: &mut DbConnection, org: &str, bot: &str, size: i64, quota: Quota) -> Result<bool, DbError> {
    const USAGE: &str = "SELECT CAST(coalesce(sum(CASE WHEN f.uploader_id = $1 THEN f.size ELSE 0 END), 0) AS BIGINT) \
         AS bot, CAST(coalesce(sum(f.size), 0) AS BIGINT) AS org FROM files f WHERE f.org_id = $2 AND f.created_at >= $3";
    let used: Vec<Usage> = Statement::new(USAGE).text(bot).text(org).number(quota.since).load(conn)?;
    let fits = |used: i64, most: i64| used.saturating_add(size) <= most;
    Ok(used.iter().all(|used| fits(used.org, quota.org) && fits(used.bot, quota.bot)))
}
