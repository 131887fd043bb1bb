//! Queries on requests and what is kept of them.
//!
//! Lists are in [`lists`]: a page's ids are found first, in the order of an index, and then its rows are read.

pub mod lists;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::rows::{COLUMNS, Kept, RequestRow};
use crate::rules::{RequestId, State};
use crate::schema::{coordination_requests, request_policies};
use hxa_domain::ids::{BotId, OrgId, ThreadId};
use hxa_store::schema::thread_participants;
use hxa_store::statement::{Field, Statement, rows_of};
use hxa_store::{DbConnection, DbError};

/// Requests read at a time where all of some kind are looked at.
pub const BATCH: i64 = 1000;

type Rows = Statement<coordination_requests::SqlType>;

fn kept(rows: Vec<RequestRow>) -> Result<Vec<Kept>, DbError> {
    rows.into_iter().map(RequestRow::kept).collect()
}

/// A request of any organisation.
///
/// # Errors
/// When the database fails.
pub fn find(conn: &mut DbConnection, id: RequestId) -> Result<Option<Kept>, DbError> {
    let find = Rows::of_columns(format!("SELECT {COLUMNS} FROM coordination_requests WHERE id = $1")).text(id);
    find.load::<RequestRow>(conn)?.into_iter().next().map(RequestRow::kept).transpose()
}

/// Those of these requests that there are, in any order.
///
/// # Errors
/// When the database fails.
pub fn find_many(conn: &mut DbConnection, ids: &[RequestId]) -> Result<Vec<Kept>, DbError> {
    let listed: Vec<[String; 1]> = ids.iter().map(|id| [id.to_string()]).collect();
    let wanted = rows_of(conn, "$1", &[("id", Field::Text)]);
    let find = format!("SELECT {COLUMNS} FROM coordination_requests WHERE id IN (SELECT v.id FROM {wanted})");
    let find = Rows::of_columns(find).text(serde_json::json!(listed));
    kept(find.load(conn)?)
}

/// What a bot asked under an idempotency key.
///
/// # Errors
/// When the database fails.
pub fn find_by_key(conn: &mut DbConnection, bot: BotId, key: &str) -> Result<Option<Kept>, DbError> {
    let find = format!("SELECT {COLUMNS} FROM coordination_requests WHERE bot_id = $1 AND idempotency_key = $2");
    let find = Rows::of_columns(find).text(bot).text(key);
    find.load::<RequestRow>(conn)?.into_iter().next().map(RequestRow::kept).transpose()
}

/// What is kept in memory of an open request.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct OpenRequest {
    /// Its id.
    pub id: RequestId,
    /// Its organisation.
    pub org: OrgId,
    /// The agent.
    pub bot: BotId,
    /// Where it stands.
    pub state: State,
    /// When something is to be done about it, ms.
    pub due_at: i64,
}

/// Open requests of all organisations behind one in the order of organisation and id.
///
/// # Errors
/// When the database fails.
pub fn list_open(conn: &mut DbConnection, after: Option<&OpenRequest>) -> Result<Vec<OpenRequest>, DbError> {
    const OPEN: &str = "SELECT id, org_id, bot_id, state, due_at FROM coordination_requests \
         WHERE due_at IS NOT NULL AND (org_id, id) > ($1, $2) ORDER BY org_id, id LIMIT 1000";
    let (org, id) = after.map(|last| (last.org.to_string(), last.id.to_string())).unwrap_or_default();
    Statement::<(Text, Text, Text, Text, BigInt)>::of_columns(OPEN).text(org).text(id).load(conn)
}

/// Open requests of a bot, at most [`BATCH`].
///
/// # Errors
/// When the database fails.
pub fn list_open_of(conn: &mut DbConnection, org: OrgId, bot: BotId) -> Result<Vec<Kept>, DbError> {
    let open = format!(
        "SELECT {COLUMNS} FROM coordination_requests \
         WHERE org_id = $1 AND bot_id = $2 AND due_at IS NOT NULL ORDER BY id LIMIT {BATCH}"
    );
    kept(Rows::of_columns(open).text(org).text(bot).load(conn)?)
}

/// Whether a bot takes part in a thread.
///
/// # Errors
/// When the database fails.
pub fn takes_part(conn: &mut DbConnection, thread: ThreadId, bot: BotId) -> Result<bool, DbError> {
    let own = thread_participants::table.find((thread, bot));
    Ok(diesel::select(diesel::dsl::exists(own)).get_result(conn)?)
}

/// Threads that must still be told something, with their organisations.
///
/// # Errors
/// When the database fails.
pub fn list_owed_threads(conn: &mut DbConnection) -> Result<Vec<(OrgId, ThreadId)>, DbError> {
    const OWED: &str = "SELECT DISTINCT org_id, thread_id FROM coordination_requests WHERE thread_owed IS NOT NULL";
    Statement::<(Text, Text)>::of_columns(OWED).load(conn)
}

/// What a thread must still be told, oldest request first.
///
/// # Errors
/// When the database fails.
pub fn list_owed(conn: &mut DbConnection, org: OrgId, thread: ThreadId) -> Result<Vec<(Kept, State)>, DbError> {
    let owed = format!(
        "SELECT {COLUMNS} FROM coordination_requests \
         WHERE org_id = $1 AND thread_id = $2 AND thread_owed IS NOT NULL ORDER BY id LIMIT 100"
    );
    let rows: Vec<RequestRow> = Rows::of_columns(owed).text(org).text(thread).load(conn)?;
    let told = |row: RequestRow| {
        let owed = row.thread_owed.unwrap_or(row.state);
        Ok((row.kept()?, owed))
    };
    rows.into_iter().map(told).collect()
}

/// Whether a thread waits for an answer to any request.
///
/// # Errors
/// When the database fails.
pub fn is_waiting(conn: &mut DbConnection, thread: ThreadId) -> Result<bool, DbError> {
    const OPEN: &str = "SELECT id FROM coordination_requests WHERE thread_id = $1 AND due_at IS NOT NULL LIMIT 1";
    let open: Vec<(String,)> = Statement::<(Text,)>::of_columns(OPEN).text(thread).load(conn)?;
    Ok(!open.is_empty())
}

/// What an organisation lets requests do by themselves, as it is stored, and whether strangers in Slack answer.
///
/// # Errors
/// When the database fails.
pub fn find_policy(conn: &mut DbConnection, org: OrgId) -> Result<Option<(String, bool)>, DbError> {
    let columns = (request_policies::auto_approve, request_policies::slack_names);
    let own = request_policies::table.find(org.to_string()).select(columns);
    Ok(own.first(conn).optional()?)
}

/// Requests by state, of all organisations.
///
/// # Errors
/// When the database fails.
pub fn count_open(conn: &mut DbConnection) -> Result<i64, DbError> {
    Ok(coordination_requests::table.filter(coordination_requests::due_at.is_not_null()).count().get_result(conn)?)
}

/// Deletes requests that ended before a time, at most a batch of them; how many went. Answers that nobody has read stay.
///
/// # Errors
/// When the database fails.
pub fn purge(conn: &mut DbConnection, before: i64) -> Result<usize, DbError> {
    // Ids begin with the time at which the request was made, so those that are younger need no look.
    let delete = format!(
        "DELETE FROM coordination_requests WHERE id IN (SELECT id FROM coordination_requests WHERE id < $1 \
         AND state IN ('DELIVERED', 'TIMED_OUT', 'CANCELLED') AND thread_owed IS NULL AND updated_at < $2 \
         ORDER BY id LIMIT {BATCH})"
    );
    Statement::new(delete).text(RequestId::first_of(before)).number(before).execute(conn)
}

/// Deletes requests of an organisation that goes, at most a batch of them; how many went.
///
/// # Errors
/// When the database fails.
pub fn delete_of_org(conn: &mut DbConnection, org: OrgId) -> Result<usize, DbError> {
    let delete = format!(
        "DELETE FROM coordination_requests WHERE id IN \
         (SELECT id FROM coordination_requests WHERE org_id = $1 ORDER BY id LIMIT {BATCH})"
    );
    Statement::new(delete).text(org).execute(conn)
}
