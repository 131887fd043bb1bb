//! The audit trail: stored rows, and entries derived from messages and artifacts.
//!
//! Sending a message and writing an artifact store a row of their own anyway, so the trail does not store them again;
//! [`list`] derives those entries from the newest messages and artifacts and merges them in. Ids of all entries begin
//! with their time, so the id of the last entry of a page is where the next one starts.

mod computed;

use std::cmp::Reverse;

use diesel::prelude::*;
use serde_json::{Value, json};

use super::connection::MultiBackend;
pub use super::rows::AuditRow;
use super::schema::audit_log;
use super::{DbConnection, DbError, timed_ids};
use hxa_domain::ids::{AuditId, OrgId};
use hxa_domain::query::{self, Before};

/// How long the trail is kept: 90 days.
pub const KEPT_MS: i64 = 90 * 86_400_000;

impl AuditRow {
    /// An entry of an organisation's trail, or of the platform's own when there is no organisation. `bot_id` is the acting
    /// bot, or another name for the actor.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "one for each column; a row has no parts")]
    pub fn new(
        org: impl Into<Option<OrgId>>,
        now: i64,
        bot_id: Option<String>,
        action: &str,
        target_type: &str,
        target_id: impl ToString,
        detail: Option<Value>,
    ) -> Self {
        Self {
            org_id: org.into().map(|org| org.to_string()).unwrap_or_default(),
            id: AuditId::at(now),
            bot_id,
            action: action.to_owned(),
            target_type: target_type.to_owned(),
            target_id: target_id.to_string(),
            detail: detail.map(|detail| detail.to_string()),
            created_at: now,
        }
    }
}

/// Stores an entry.
///
/// # Errors
/// When the database fails.
pub fn insert(conn: &mut DbConnection, row: &AuditRow) -> Result<(), DbError> {
    diesel::insert_into(audit_log::table).values(row.clone()).execute(conn)?;
    Ok(())
}

/// The detail of what somebody did, which says so when it came through a socket.
#[must_use]
pub fn noting_socket(mut detail: Value, via_socket: bool) -> Value {
    if let (Some(fields), true) = (detail.as_object_mut(), via_socket) {
        fields.insert("via".to_owned(), "ws".into());
    }
    detail
}

/// Which entries to list; texts are compared exactly.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only entries after this time, ms.
    pub since: Option<i64>,
    /// Only this action.
    pub action: Option<String>,
    /// Only targets of this kind.
    pub target_type: Option<String>,
    /// Only this target.
    pub target_id: Option<String>,
    /// Only entries of this actor.
    pub bot_id: Option<String>,
    /// Only entries whose id sorts before this; see [`position`].
    pub before: Option<AuditId>,
    /// At most this many entries.
    pub limit: i64,
    /// Now, ms.
    pub now: i64,
}

impl AuditFilter {
    /// Whether it asks for a text that no entry has: NUL is nowhere stored, and PostgreSQL refuses to compare with it.
    fn cannot_match(&self) -> bool {
        let texts = [&self.action, &self.target_type, &self.target_id, &self.bot_id];
        texts.into_iter().flatten().any(|text| text.contains('\0'))
    }
}

/// Where a page ends that a client asks for with `before`: the id of an entry, or a time in ms.
#[must_use]
pub fn position(before: Option<&str>) -> Option<AuditId> {
    match query::before(before) {
        Before::Absent => None,
        Before::Time(at) => Some(timed_ids::first_of(at)),
        Before::Id(id) => AuditId::parse(id),
    }
}

/// Entries of an organisation's trail, newest first.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut DbConnection, org: OrgId, filter: &AuditFilter) -> Result<Vec<AuditRow>, DbError> {
    if filter.cannot_match() {
        return Ok(Vec::new());
    }
    let mut rows = written(conn, org, filter)?;
    rows.extend(computed::entries(conn, org, filter)?);
    if let Some(before) = filter.before {
        rows.retain(|row| row.id < before);
    }
    rows.sort_unstable_by_key(|row| Reverse(row.id));
    rows.truncate(usize::try_from(filter.limit).unwrap_or(0));
    Ok(rows)
}

/// The entries the trail holds.
fn written(conn: &mut DbConnection, org: OrgId, filter: &AuditFilter) -> Result<Vec<AuditRow>, DbError> {
    use audit_log as a;
    let mut query = a::table.filter(a::org_id.eq(org)).into_boxed::<MultiBackend>();
    if let Some(since) = filter.since {
        query = query.filter(a::id.ge(timed_ids::first_of::<AuditId>(since.saturating_add(1))));
    }
    if let Some(before) = filter.before {
        query = query.filter(a::id.lt(before));
    }
    if let Some(action) = &filter.action {
        query = query.filter(a::action.eq(action.clone()));
    }
    if let Some(target_type) = &filter.target_type {
        query = query.filter(a::target_type.eq(target_type.clone()));
    }
    if let Some(target_id) = &filter.target_id {
        query = query.filter(a::target_id.eq(target_id.clone()));
    }
    if let Some(bot_id) = &filter.bot_id {
        query = query.filter(a::bot_id.eq(bot_id.clone()));
    }
    let rows = query.order(a::id.desc()).limit(filter.limit).select(AuditRow::as_select()).load(conn)?;
    Ok(rows.into_iter().map(shown).collect())
}

/// An entry as it is shown: a status change also keeps, for catchup, the topic of the moment and who acted.
fn shown(mut row: AuditRow) -> AuditRow {
    if row.action == "thread.status_changed"
        && let Some(Ok(Value::Object(mut fields))) = row.detail.as_deref().map(serde_json::from_str)
    {
        fields.shift_remove("topic");
        fields.shift_remove("by");
        row.detail = Some(json!(fields).to_string());
    }
    row
}
