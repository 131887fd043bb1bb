//! Artifacts of a thread: the newest version of each, and the versions of one. Rows are never updated.

use diesel::dsl::not;
use diesel::prelude::*;

use super::connection::MultiBackend;
use super::page::Page;
use super::rows::ArtifactRow;
use super::schema::artifacts;
use super::{DbConnection, DbError};
use crate::domain::ids::ThreadId;

/// In which order the newest versions are listed, and how many.
enum Order {
    /// By the time of the newest version; all.
    Time,
    /// By key, from after this one, at most so many.
    Key(Option<String>, i64),
}

/// The newest version of each artifact; what was updated last comes last.
///
/// # Errors
/// When the database fails.
pub fn list_newest(conn: &mut DbConnection, thread: ThreadId) -> Result<Vec<ArtifactRow>, DbError> {
    newest(conn, thread, Order::Time)
}

/// A page of the newest versions, by key.
///
/// # Errors
/// When the database fails.
pub fn page_newest(
    conn: &mut DbConnection,
    thread: ThreadId,
    after: Option<String>,
    limit: i64,
) -> Result<Page<ArtifactRow>, DbError> {
    let asked = Page::<ArtifactRow>::asked(limit);
    Ok(Page::cut(newest(conn, thread, Order::Key(after, asked))?, limit))
}

fn newest(conn: &mut DbConnection, thread: ThreadId, order: Order) -> Result<Vec<ArtifactRow>, DbError> {
    use artifacts as a;
    let newer = diesel::alias!(artifacts as newer);
    let has_newer = diesel::dsl::exists(
        newer
            .filter(newer.field(a::thread_id).eq(a::thread_id))
            .filter(newer.field(a::artifact_key).eq(a::artifact_key))
            .filter(newer.field(a::version).gt(a::version)),
    );
    let mut query =
        a::table.filter(a::thread_id.eq(thread.to_string())).filter(not(has_newer)).into_boxed::<MultiBackend>();
    match order {
        Order::Time => query = query.order((a::created_at, a::id)),
        Order::Key(after, limit) => {
            if let Some(after) = after {
                query = query.filter(a::artifact_key.gt(after));
            }
            query = query.order(a::artifact_key).limit(limit);
        }
    }
    Ok(query.select(ArtifactRow::as_select()).load(conn)?)
}

/// Every version of an artifact, oldest first; empty when the thread has no such artifact.
///
/// # Errors
/// When the database fails.
pub fn versions(conn: &mut DbConnection, thread: ThreadId, key: &str) -> Result<Vec<ArtifactRow>, DbError> {
    use artifacts as a;
    let rows = a::table.filter(a::thread_id.eq(thread.to_string()).and(a::artifact_key.eq(key))).order(a::version);
    Ok(rows.select(ArtifactRow::as_select()).load(conn)?)
}
