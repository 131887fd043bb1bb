//! Queries on threads, their participants and join requests.
//!
//! A thread's row changes only through [`ThreadUpdate`], which is guarded by the revision on which the change was
//! computed: if no row matches, another hub was faster and the caller must reload.

use std::collections::HashMap;

use diesel::prelude::*;

use super::connection::each_backend;
use super::rows::{JoinRequestRow, ParticipantRow, ThreadRow};
use super::schema::{artifacts, thread_join_requests, thread_messages, thread_participants, threads};
use super::statement::{Statement, Value};
use super::{DbConnection, DbError};
use hxa_domain::artifact::{self, ArtifactType};
use hxa_domain::error::ApiError;
use hxa_domain::ids::{BotId, OrgId, RequestId, ThreadId};
use hxa_domain::thread::{CloseReason, JoinPolicy, RequestStatus, ThreadStatus, Visibility};

/// A change of a thread's row; `None` leaves a column as it is.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "columns of the row")]
pub struct ThreadChanges {
    pub topic: Option<String>,
    pub status: Option<ThreadStatus>,
    pub context: Option<Option<String>>,
    pub close_reason: Option<Option<CloseReason>>,
    pub permission_policy: Option<Option<String>>,
    pub visibility: Option<Visibility>,
    pub join_policy: Option<JoinPolicy>,
    pub tags: Option<Option<String>>,
    pub revision: Option<i64>,
    pub updated_at: Option<i64>,
    pub last_activity_at: Option<i64>,
    pub resolved_at: Option<Option<i64>>,
}

/// A guarded change of one thread and of what belongs to it.
#[derive(Debug, Clone)]
pub struct ThreadUpdate {
    /// The thread.
    pub id: ThreadId,
    /// The revision the change was computed on.
    pub expected_revision: i64,
    /// Columns to set.
    pub changes: ThreadChanges,
    /// Changes of participants and requests, in order.
    pub members: Vec<MemberChange>,
}

/// A change beside the thread's row.
#[derive(Debug, Clone)]
pub enum MemberChange {
    /// A bot joins.
    Add(ParticipantRow),
    /// A bot leaves.
    Remove(BotId),
    /// A participant's label changes.
    Label(BotId, Option<String>),
    /// Pending join requests are resolved: one (by id) or all.
    Resolve {
        /// The request, or `None` for every pending one of the thread.
        request: Option<RequestId>,
        /// `approved` or `rejected`.
        status: RequestStatus,
        /// The deciding bot.
        by: Option<BotId>,
        /// When, ms.
        at: i64,
    },
}

/// Everything a thread actor needs to start.
#[derive(Debug, Clone)]
pub struct LoadedThread {
    /// The row.
    pub row: ThreadRow,
    /// Participants in order of joining.
    pub participants: Vec<ParticipantRow>,
    /// Pending join requests, oldest first.
    pub requests: Vec<JoinRequestRow>,
    /// Newest version of each artifact.
    pub heads: HashMap<String, ArtifactHead>,
    /// Newest time stamp in use, ms.
    pub newest: i64,
}

/// What the next version of an artifact builds on.
#[derive(Debug, Clone, Queryable)]
pub struct ArtifactHead {
    /// Newest version number.
    pub version: i32,
    /// Type of version 1, or `json` when that version carries a format warning.
    pub base_type: ArtifactType,
    /// Inherited fields.
    pub title: Option<String>,
    /// Programming language.
    pub language: Option<String>,
    /// Link target.
    pub url: Option<String>,
    /// MIME type.
    pub mime_type: Option<String>,
}

/// Applies a guarded update.
///
/// # Errors
/// 503 when the guard does not match: the caller's state is stale and must be reloaded.
pub fn apply_update(conn: &mut DbConnection, update: &ThreadUpdate) -> Result<(), DbError> {
    if guarded(update).execute(conn)? == 0 {
        return Err(ApiError::unavailable("The thread has changed elsewhere; try again").into());
    }
    for member in &update.members {
        apply_member(conn, update.id, member)?;
    }
    Ok(())
}

/// The update of the thread's row. Its texts are as many as there are sets of columns that are changed together.
fn guarded(update: &ThreadUpdate) -> Statement {
    let columns = update.changes.columns();
    let set: Vec<String> = columns.iter().zip(1..).map(|((name, _), at)| format!("{name} = ${at}")).collect();
    let (set, count) = (set.join(", "), columns.len());
    let sql = format!("UPDATE threads SET {set} WHERE id = ${} AND revision = ${}", count + 1, count + 2);
    let values = columns.into_iter().map(|(_, value)| value);
    values.fold(Statement::new(sql), Statement::value).text(update.id).number(update.expected_revision)
}

impl ThreadChanges {
    /// The columns to set, with their values.
    fn columns(&self) -> Vec<(&'static str, Value)> {
        let texts = [
            ("topic", self.topic.clone().map(Some)),
            ("status", self.status.map(|status| Some(status.to_string()))),
            ("context", self.context.clone()),
            ("close_reason", self.close_reason.map(|reason| reason.map(|reason| reason.to_string()))),
            ("permission_policy", self.permission_policy.clone()),
            ("visibility", self.visibility.map(|visibility| Some(visibility.to_string()))),
            ("join_policy", self.join_policy.map(|policy| Some(policy.to_string()))),
            ("tags", self.tags.clone()),
        ];
        let numbers = [
            ("revision", self.revision.map(Some)),
            ("updated_at", self.updated_at.map(Some)),
            ("last_activity_at", self.last_activity_at.map(Some)),
            ("resolved_at", self.resolved_at),
        ];
        let texts = texts.into_iter().filter_map(|(name, value)| Some((name, Value::Text(value?))));
        texts.chain(numbers.into_iter().filter_map(|(name, value)| Some((name, Value::Number(value?))))).collect()
    }
}

fn apply_member(conn: &mut DbConnection, id: ThreadId, change: &MemberChange) -> Result<(), DbError> {
    match change {
        MemberChange::Add(row) => {
            diesel::insert_into(thread_participants::table).values(row.clone()).execute(conn)?;
        }
        MemberChange::Remove(bot) => {
            diesel::delete(thread_participants::table.find((id, *bot))).execute(conn)?;
        }
        MemberChange::Label(bot, label) => {
            diesel::update(thread_participants::table.find((id, *bot)))
                .set(thread_participants::label.eq(label))
                .execute(conn)?;
        }
        MemberChange::Resolve { request, status, by, at } => {
            use thread_join_requests as requests;
            let resolved =
                (requests::status.eq(*status), requests::resolved_at.eq(Some(*at)), requests::resolved_by.eq(*by));
            let pending = requests::thread_id.eq(id).and(requests::status.eq(RequestStatus::Pending));
            match request {
                Some(request) => {
                    let one = requests::table.filter(pending).filter(requests::id.eq(*request));
                    diesel::update(one).set(resolved).execute(conn)?;
                }
                None => {
                    diesel::update(requests::table.filter(pending)).set(resolved).execute(conn)?;
                }
            }
        }
    }
    Ok(())
}

/// Inserts a new thread with its participants.
///
/// # Errors
/// When the database fails.
pub fn insert(conn: &mut DbConnection, thread: &ThreadRow, participants: &[ParticipantRow]) -> Result<(), DbError> {
    diesel::insert_into(threads::table).values(thread.clone()).execute(conn)?;
    each_backend!(conn, |c| diesel::insert_into(thread_participants::table).values(participants.to_vec()).execute(c))?;
    Ok(())
}

/// Inserts a pending join request.
///
/// # Errors
/// When the database fails.
pub fn insert_request(conn: &mut DbConnection, request: &JoinRequestRow) -> Result<(), DbError> {
    diesel::insert_into(thread_join_requests::table).values(request.clone()).execute(conn)?;
    Ok(())
}

/// The row of a thread of this organisation.
///
/// # Errors
/// When the database fails.
pub fn find(conn: &mut DbConnection, org: OrgId, id: ThreadId) -> Result<Option<ThreadRow>, DbError> {
    let row = threads::table.find(id).filter(threads::org_id.eq(org));
    Ok(row.select(ThreadRow::as_select()).first(conn).optional()?)
}

/// Participants of a thread in order of joining.
///
/// # Errors
/// When the database fails.
pub fn participants(conn: &mut DbConnection, id: ThreadId) -> Result<Vec<ParticipantRow>, DbError> {
    use thread_participants as p;
    let rows = p::table.filter(p::thread_id.eq(id)).order((p::joined_at, p::bot_id));
    Ok(rows.select(ParticipantRow::as_select()).load(conn)?)
}

/// Pending join requests of a thread, oldest first.
///
/// # Errors
/// When the database fails.
pub fn pending_requests(conn: &mut DbConnection, id: ThreadId, limit: i64) -> Result<Vec<JoinRequestRow>, DbError> {
    use thread_join_requests as r;
    let rows = r::table.filter(r::thread_id.eq(id).and(r::status.eq(RequestStatus::Pending)));
    Ok(rows.order((r::requested_at, r::id)).limit(limit).select(JoinRequestRow::as_select()).load(conn)?)
}

/// Loads a thread for its actor; `None` when this organisation has no such thread.
///
/// # Errors
/// When the database fails.
pub fn load(conn: &mut DbConnection, org: OrgId, id: ThreadId) -> Result<Option<LoadedThread>, DbError> {
    let Some(row) = find(conn, org, id)? else {
        return Ok(None);
    };
    let participants = participants(conn, id)?;
    let requests = pending_requests(conn, id, i64::MAX)?;
    let heads = artifact_heads(conn, id)?;
    let newest_message: Option<i64> = thread_messages::table
        .filter(thread_messages::thread_id.eq(id))
        .order((thread_messages::created_at.desc(), thread_messages::id.desc()))
        .select(thread_messages::created_at)
        .first(conn)
        .optional()?;
    let newest = [row.last_activity_at, row.updated_at, newest_message.unwrap_or(0)].into_iter().max().unwrap_or(0);
    Ok(Some(LoadedThread { row, participants, requests, heads, newest }))
}

fn artifact_heads(conn: &mut DbConnection, id: ThreadId) -> Result<HashMap<String, ArtifactHead>, DbError> {
    use artifacts as a;
    type Version = (String, i32, ArtifactType, bool, Option<String>, Option<String>, Option<String>, Option<String>);
    let versions: Vec<Version> = a::table
        .filter(a::thread_id.eq(id))
        .order((a::artifact_key, a::version))
        .select((a::artifact_key, a::version, a::kind, a::format_warning, a::title, a::language, a::url, a::mime_type))
        .load(conn)?;
    let mut heads: HashMap<String, ArtifactHead> = HashMap::new();
    let mut firsts = HashMap::new();
    for (key, version, kind, format_warning, title, language, url, mime_type) in versions {
        if version == 1 {
            firsts.insert(key.clone(), (kind, format_warning));
        }
        let base_type = artifact::base_type(firsts.get(&key).copied(), kind);
        heads.insert(key, ArtifactHead { version, base_type, title, language, url, mime_type });
    }
    Ok(heads)
}
