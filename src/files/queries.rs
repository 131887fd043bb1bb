//! Metadata of uploaded files. Their bytes are on disk under `path`.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use hxa_domain::ids::{FileId, OrgId};
use hxa_domain::standing::OrgStatus;
use hxa_store::rows::FileRow;
use hxa_store::schema::{files, orgs};
use hxa_store::statement::Statement;
use hxa_store::{DbConnection, DbError};

/// A file of any organisation.
///
/// # Errors
/// When the database fails.
pub fn find(conn: &mut DbConnection, id: FileId) -> Result<Option<FileRow>, DbError> {
    Ok(files::table.find(id).select(FileRow::as_select()).first(conn).optional()?)
}

/// Stores a file.
///
/// # Errors
/// When the database fails.
pub fn insert(conn: &mut DbConnection, row: &FileRow) -> Result<(), DbError> {
    diesel::insert_into(files::table).values(row.clone()).execute(conn)?;
    Ok(())
}

/// Bytes that a bot has uploaded; bots that are gone still count for their organisation.
#[derive(Debug, QueryableByName)]
pub struct Uploaded {
    /// Its organisation.
    #[diesel(sql_type = Text)]
    pub org_id: OrgId,
    /// The bot, unless it is gone.
    #[diesel(sql_type = Nullable<Text>)]
    pub uploader_id: Option<String>,
    /// Together.
    #[diesel(sql_type = BigInt)]
    pub bytes: i64,
}

/// What was uploaded since a time in ms, by whom.
///
/// # Errors
/// When the database fails.
pub fn uploaded_since(conn: &mut DbConnection, since: i64) -> Result<Vec<Uploaded>, DbError> {
    const UPLOADED: &str = "SELECT f.org_id AS org_id, f.uploader_id AS uploader_id, CAST(sum(f.size) AS BIGINT) AS bytes \
         FROM files f WHERE f.created_at >= $1 GROUP BY f.org_id, f.uploader_id";
    Statement::new(UPLOADED).number(since).load(conn)
}

/// Organisations that may upload.
///
/// # Errors
/// When the database fails.
pub fn count_orgs(conn: &mut DbConnection) -> Result<i64, DbError> {
    Ok(orgs::table.filter(orgs::status.eq(OrgStatus::Active)).count().get_result(conn)?)
}
