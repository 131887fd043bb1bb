//! Queries on bots and the tombstones of deleted ones.
//!
//! Names are compared ignoring case: two names that look alike in a mention are one name. Deleting a bot deletes its
//! credentials, sessions, memberships and join requests, keeps what it wrote, and blocks its name.

use std::collections::BTreeSet;

use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use serde_json::Value;

use super::connection::{MultiBackend, each_backend};
use super::page::Page;
use super::rows::{BotRow, TombstoneRow};
use super::schema::{bots, thread_join_requests, thread_participants, threads, tombstones};
use super::{DbConnection, DbError};
use hxa_domain::cursor::Cursor;
use hxa_domain::error::{ApiError, ErrorCode};
use hxa_domain::ids::{AuditId, BotId, OrgId, ThreadId};
use hxa_domain::profile::{ProfilePatch, name_key};
use hxa_domain::standing::{AuthRole, JoinStatus};
use hxa_domain::thread::{CloseReason, RequestStatus, ThreadStatus};

diesel::define_sql_function! {
    /// Lower case; names are ASCII, so both databases agree.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// Rows named in one statement; below every limit of bound variables.
const CHUNK: usize = 500;

/// Refuses a name that a tombstone blocks or another bot has.
///
/// # Errors
/// `NAME_TOMBSTONED`, then `NAME_CONFLICT`.
pub fn check_name(conn: &mut DbConnection, org: OrgId, name: &str, own: Option<BotId>) -> Result<(), DbError> {
    let key = name_key(name);
    let blocked: i64 = tombstones::table
        .filter(tombstones::org_id.eq(org))
        .filter(lower(tombstones::name).eq(&key))
        .select(count_star())
        .first(conn)?;
    if blocked > 0 {
        let message = format!("The name {name:?} belonged to a deleted bot; an organisation admin can release it");
        return Err(ApiError::new(ErrorCode::NameTombstoned, message).into());
    }
    let namesakes: Vec<BotId> = bots::table
        .filter(bots::org_id.eq(org))
        .filter(lower(bots::name).eq(&key))
        .select(bots::id)
        .limit(2)
        .load(conn)?;
    if namesakes.into_iter().any(|id| Some(id) != own) { Err(name_conflict(name)) } else { Ok(()) }
}

fn name_conflict(name: &str) -> DbError {
    ApiError::new(ErrorCode::NameConflict, format!("The name {name:?} is taken in this organisation")).into()
}

/// The loser of a race for a name gets the same error as a later caller.
fn as_conflict(error: DieselError, name: &str) -> DbError {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => name_conflict(name),
        other => other.into(),
    }
}

/// Adds a bot.
///
/// # Errors
/// `NAME_CONFLICT` when the name is taken.
pub fn insert(conn: &mut DbConnection, row: &BotRow) -> Result<(), DbError> {
    let inserted = diesel::insert_into(bots::table).values(row.clone()).execute(conn);
    inserted.map_err(|error| as_conflict(error, &row.name))?;
    Ok(())
}

/// Columns of a bot to change; `None` leaves a column as it is, `Some(None)` clears it.
#[derive(Debug, Clone, Default, PartialEq, AsChangeset)]
#[diesel(table_name = bots)]
#[expect(missing_docs, reason = "columns of the row")]
pub struct BotChanges {
    pub name: Option<String>,
    pub auth_role: Option<AuthRole>,
    pub join_status: Option<JoinStatus>,
    pub join_status_changed_by: Option<Option<String>>,
    pub join_status_changed_at: Option<Option<i64>>,
    pub join_status_reason: Option<Option<String>>,
    pub metadata: Option<Option<String>>,
    pub bio: Option<Option<String>>,
    pub role: Option<Option<String>>,
    pub function: Option<Option<String>>,
    pub team: Option<Option<String>>,
    pub tags: Option<Option<String>>,
    pub languages: Option<Option<String>>,
    pub protocols: Option<Option<String>>,
    pub status_text: Option<Option<String>>,
    pub timezone: Option<Option<String>>,
    pub active_hours: Option<Option<String>>,
    pub version: Option<Option<String>>,
    pub runtime: Option<Option<String>>,
}

impl BotChanges {
    /// Bytes of the columns that hold whatever their bot likes.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        let free = [&self.metadata, &self.protocols];
        free.into_iter().flatten().flatten().map(String::len).sum()
    }

    /// The columns of a profile.
    #[must_use]
    pub fn of_profile(patch: &ProfilePatch) -> Self {
        let list = |list: &Option<Option<Vec<String>>>| {
            list.clone().map(|list| list.map(|items| Value::from(items).to_string()))
        };
        Self {
            bio: patch.bio.clone(),
            role: patch.role.clone(),
            function: patch.function.clone(),
            team: patch.team.clone(),
            tags: list(&patch.tags),
            languages: list(&patch.languages),
            protocols: patch.protocols.as_ref().map(|value| value.as_ref().map(Value::to_string)),
            status_text: patch.status_text.clone(),
            timezone: patch.timezone.clone(),
            active_hours: patch.active_hours.clone(),
            version: patch.version.clone(),
            runtime: patch.runtime.clone(),
            ..Self::default()
        }
    }

    /// Whether a bot that was an admin is none after this.
    #[must_use]
    pub fn takes_admin_rights(&self) -> bool {
        let (role, status) =
            (self.auth_role.unwrap_or(AuthRole::Admin), self.join_status.unwrap_or(JoinStatus::Active));
        !role.is_admin(status)
    }

    /// Makes the same change on a row in memory.
    pub fn apply(&self, row: &mut BotRow) {
        fn set<T: Clone>(column: &mut T, change: &Option<T>) {
            if let Some(value) = change {
                *column = value.clone();
            }
        }
        set(&mut row.name, &self.name);
        set(&mut row.auth_role, &self.auth_role);
        set(&mut row.join_status, &self.join_status);
        set(&mut row.join_status_changed_by, &self.join_status_changed_by);
        set(&mut row.join_status_changed_at, &self.join_status_changed_at);
        set(&mut row.join_status_reason, &self.join_status_reason);
        set(&mut row.metadata, &self.metadata);
        set(&mut row.bio, &self.bio);
        set(&mut row.role, &self.role);
        set(&mut row.function, &self.function);
        set(&mut row.team, &self.team);
        set(&mut row.tags, &self.tags);
        set(&mut row.languages, &self.languages);
        set(&mut row.protocols, &self.protocols);
        set(&mut row.status_text, &self.status_text);
        set(&mut row.timezone, &self.timezone);
        set(&mut row.active_hours, &self.active_hours);
        set(&mut row.version, &self.version);
        set(&mut row.runtime, &self.runtime);
    }
}

/// Changes a bot.
///
/// # Errors
/// `NOT_FOUND` when it is gone, `NAME_CONFLICT` when its new name is taken.
pub fn update(conn: &mut DbConnection, id: BotId, changes: &BotChanges) -> Result<(), DbError> {
    let updated = diesel::update(bots::table.find(id)).set(changes.clone()).execute(conn);
    let name = changes.name.as_deref().unwrap_or_default();
    match updated.map_err(|error| as_conflict(error, name))? {
        0 => Err(ApiError::not_found("Bot").into()),
        _ => Ok(()),
    }
}

/// Replaces the hash of a bot's primary token; false when it is not `old` any more.
///
/// # Errors
/// When the database fails.
pub fn replace_token(conn: &mut DbConnection, id: BotId, old: &str, new: &str) -> Result<bool, DbError> {
    let current = bots::table.find(id).filter(bots::token_hash.eq(old));
    Ok(diesel::update(current).set(bots::token_hash.eq(new)).execute(conn)? > 0)
}

/// Notes when bots were last seen.
///
/// # Errors
/// When the database fails.
pub fn touch(conn: &mut DbConnection, seen: &[(BotId, i64)]) -> Result<(), DbError> {
    for (id, at) in seen {
        diesel::update(bots::table.find(id)).set(bots::last_seen_at.eq(Some(*at))).execute(conn)?;
    }
    Ok(())
}

/// Who is deleted, by whom and when.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// The organisation.
    pub org: OrgId,
    /// The bot.
    pub id: BotId,
    /// Its name, which is blocked from now on.
    pub name: String,
    /// The acting bot's id, or `session`.
    pub by: String,
    /// When, ms.
    pub at: i64,
    /// Id of the tombstone's row.
    pub tombstone: AuditId,
}

/// Deletes a bot and blocks its name. Open threads in which it was alone are closed. Returns every thread whose actor
/// may hold something of it: a participant, an initiator or a request.
///
/// # Errors
/// `NOT_FOUND` when it is gone.
pub fn delete(conn: &mut DbConnection, deletion: &Deletion) -> Result<Vec<ThreadId>, DbError> {
    let bot = deletion.id;
    put_tombstone(conn, deletion)?;
    let joined: Vec<ThreadId> = thread_participants::table
        .filter(thread_participants::bot_id.eq(bot))
        .select(thread_participants::thread_id)
        .load(conn)?;
    let affected = affected_threads(conn, bot, &joined)?;
    close_lonely_threads(conn, &joined, deletion.at)?;
    super::webhooks::delete_of_bot(conn, deletion.id)?;
    super::idempotency::delete_of_bot(conn, deletion.id)?;
    super::tickets::delete_unconsumed_of(conn, &deletion.id.to_string())?;
    if diesel::delete(bots::table.find(bot)).execute(conn)? == 0 {
        return Err(ApiError::not_found("Bot").into());
    }
    Ok(affected)
}

fn put_tombstone(conn: &mut DbConnection, deletion: &Deletion) -> Result<(), DbError> {
    let row = TombstoneRow {
        id: deletion.tombstone,
        org_id: deletion.org,
        name: deletion.name.clone(),
        deleted_at: deletion.at,
        deleted_by: Some(deletion.by.clone()),
    };
    delete_tombstone(conn, deletion.org, &deletion.name)?;
    diesel::insert_into(tombstones::table).values(row).execute(conn)?;
    Ok(())
}

fn affected_threads(conn: &mut DbConnection, bot: BotId, joined: &[ThreadId]) -> Result<Vec<ThreadId>, DbError> {
    let opened: Vec<ThreadId> = threads::table.filter(threads::initiator_id.eq(bot)).select(threads::id).load(conn)?;
    let asked: Vec<ThreadId> = thread_join_requests::table
        .filter(thread_join_requests::bot_id.eq(bot))
        .filter(thread_join_requests::status.eq(RequestStatus::Pending))
        .select(thread_join_requests::thread_id)
        .load(conn)?;
    let ids: BTreeSet<ThreadId> = joined.iter().copied().chain(opened).chain(asked).collect();
    Ok(ids.into_iter().collect())
}

/// Closes those of the threads that have one participant and are still open.
fn close_lonely_threads(conn: &mut DbConnection, joined: &[ThreadId], now: i64) -> Result<(), DbError> {
    for chunk in joined.chunks(CHUNK) {
        let counted = thread_participants::table
            .filter(thread_participants::thread_id.eq_any(chunk))
            .group_by(thread_participants::thread_id)
            .select((thread_participants::thread_id, count_star()));
        let counts: Vec<(ThreadId, i64)> = each_backend!(conn, |c| counted.load(c))?;
        let lonely: Vec<ThreadId> = counts.into_iter().filter(|(_, count)| *count == 1).map(|(id, _)| id).collect();
        let open =
            threads::table.filter(threads::id.eq_any(&lonely)).filter(threads::status.ne_all(ThreadStatus::OVER));
        let closed = (
            threads::status.eq(ThreadStatus::Closed),
            threads::close_reason.eq(Some(CloseReason::Manual)),
            threads::revision.eq(threads::revision + 1),
            threads::updated_at.eq(now),
        );
        each_backend!(conn, |c| diesel::update(open).set(closed).execute(c))?;
    }
    Ok(())
}

/// Releases the exact name of a deleted bot; false when it is not blocked.
///
/// # Errors
/// When the database fails.
pub fn delete_tombstone(conn: &mut DbConnection, org: OrgId, name: &str) -> Result<bool, DbError> {
    let named = tombstones::table.filter(tombstones::org_id.eq(org)).filter(tombstones::name.eq(name));
    Ok(diesel::delete(named).execute(conn)? > 0)
}

/// A page of the names that deleted bots block, newest first.
///
/// # Errors
/// When the database fails.
pub fn list_tombstones(
    conn: &mut DbConnection,
    org: OrgId,
    after: Option<&Cursor>,
    limit: i64,
) -> Result<Page<TombstoneRow>, DbError> {
    use tombstones as t;
    let mut rows = t::table.filter(t::org_id.eq(org)).into_boxed::<MultiBackend>();
    if let Some(Cursor { t: at, id }) = after {
        rows = rows.filter(t::deleted_at.lt(*at).or(t::deleted_at.eq(*at).and(t::id.lt(id.clone()))));
    }
    let newest_first = rows.order((t::deleted_at.desc(), t::id.desc())).limit(Page::<TombstoneRow>::asked(limit));
    Ok(Page::cut(newest_first.select(TombstoneRow::as_select()).load(conn)?, limit))
}
