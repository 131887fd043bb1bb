//! Artifacts of a thread: the newest version of each, and the versions of one. Rows are never updated.
//!
//! Contents are large, so a list first reads the size of each version, which the database knows without reading the
//! content, and then reads only the versions that fit into a response.

use diesel::dsl::{not, sql};
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::MultiBackend;
use super::page::Page;
use super::rows::ArtifactRow;
use super::schema::artifacts;
use super::{DbConnection, DbError};
use hxa_domain::cursor::Cursor;
use hxa_domain::ids::ThreadId;

/// Versions read in one statement; below every limit of bound variables.
const CHUNK: usize = 500;

/// Bytes of a version's texts.
const BYTES: &str = "CAST(COALESCE(octet_length(artifacts.content), 0) + COALESCE(octet_length(artifacts.title), 0) \
                     + COALESCE(octet_length(artifacts.url), 0) AS BIGINT)";

/// In which order the newest versions are listed, and from where on.
#[derive(Debug, Clone)]
pub enum Order {
    /// By the time of the newest version, what was updated last comes last.
    Time(Option<Cursor>),
    /// By key.
    Key(Option<String>),
}

/// How much of a list is read.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Rows at most.
    pub rows: i64,
    /// Bytes of texts, about; the first row is read whatever it has.
    pub bytes: usize,
}

/// A version without its content.
#[derive(Debug, Queryable)]
struct Head {
    key: String,
    version: i32,
    bytes: i64,
}

/// The newest version of each artifact.
///
/// # Errors
/// When the database fails.
pub fn newest(
    conn: &mut DbConnection,
    thread: ThreadId,
    order: Order,
    room: Room,
) -> Result<Page<ArtifactRow>, DbError> {
    use artifacts as a;
    let newer = diesel::alias!(artifacts as newer);
    let has_newer = diesel::dsl::exists(
        newer
            .filter(newer.field(a::thread_id).eq(a::thread_id))
            .filter(newer.field(a::artifact_key).eq(a::artifact_key))
            .filter(newer.field(a::version).gt(a::version)),
    );
    let mut query = a::table.filter(a::thread_id.eq(thread)).filter(not(has_newer)).into_boxed::<MultiBackend>();
    match order {
        Order::Time(after) => {
            if let Some(Cursor { t, id }) = after {
                query = query.filter(a::created_at.gt(t).or(a::created_at.eq(t).and(a::id.gt(id))));
            }
            query = query.order((a::created_at, a::id));
        }
        Order::Key(after) => {
            if let Some(after) = after {
                query = query.filter(a::artifact_key.gt(after));
            }
            query = query.order(a::artifact_key);
        }
    }
    let heads = query
        .limit(Page::<Head>::asked(room.rows))
        .select((a::artifact_key, a::version, sql::<BigInt>(BYTES)))
        .load(conn)?;
    read(conn, thread, fitting(heads, room))
}

/// The versions of an artifact after one of them, oldest first; empty when the thread has no such artifact.
///
/// # Errors
/// When the database fails.
pub fn versions(
    conn: &mut DbConnection,
    thread: ThreadId,
    (key, after): (&str, i32),
    room: Room,
) -> Result<Page<ArtifactRow>, DbError> {
    use artifacts as a;
    let heads = a::table
        .filter(a::thread_id.eq(thread))
        .filter(a::artifact_key.eq(key).and(a::version.gt(after)))
        .order(a::version)
        .limit(Page::<Head>::asked(room.rows))
        .select((a::artifact_key, a::version, sql::<BigInt>(BYTES)))
        .load(conn)?;
    read(conn, thread, fitting(heads, room))
}

/// Those that there is room for: until the bytes are used up, at least one.
fn fitting(heads: Vec<Head>, room: Room) -> Page<Head> {
    let mut page = Page::cut(heads, room.rows);
    let mut left = room.bytes;
    let goes_over = |head: &Head| {
        let bytes = usize::try_from(head.bytes).unwrap_or(usize::MAX);
        let is_full = left == 0;
        left = left.saturating_sub(bytes);
        is_full
    };
    if let Some(kept) = page.rows.iter().position(goes_over).filter(|kept| *kept > 0) {
        page.rows.truncate(kept);
        page.has_more = true;
    }
    page
}

/// The versions themselves, in the order of their heads.
fn read(conn: &mut DbConnection, thread: ThreadId, heads: Page<Head>) -> Result<Page<ArtifactRow>, DbError> {
    use artifacts as a;
    let mut rows = Vec::with_capacity(heads.rows.len());
    for chunk in heads.rows.chunks(CHUNK) {
        let keys: Vec<&str> = chunk.iter().map(|head| head.key.as_str()).collect();
        let versions: Vec<i32> = chunk.iter().map(|head| head.version).collect();
        let found: Vec<ArtifactRow> = a::table
            .filter(a::thread_id.eq(thread))
            .filter(a::artifact_key.eq_any(keys).and(a::version.eq_any(versions)))
            .select(ArtifactRow::as_select())
            .load(conn)?;
        let mut found: std::collections::HashMap<(String, i32), ArtifactRow> =
            found.into_iter().map(|row| ((row.artifact_key.clone(), row.version), row)).collect();
        rows.extend(chunk.iter().filter_map(|head| found.remove(&(head.key.clone(), head.version))));
    }
    Ok(Page { rows, has_more: heads.has_more })
}
