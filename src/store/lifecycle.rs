//! Time-based deletion: expired credentials, old messages, artifacts, events and audit entries.
//!
//! Everything is deleted in batches, so that no transaction delays others for long; callers repeat while a batch was
//! full. Credentials that never expire have no expiry or 0 and are not touched.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde_json::{Map, Value};

use super::audit::AuditRow;
use super::schema::{
    artifacts, audit_log, bot_tokens, catchup_events, org_settings, org_tickets, person_links, sessions, threads,
};
use super::{DbConnection, DbError, audit, timed_ids};
use hxa_domain::ids::{AuditId, OrgId, ThreadId};
use hxa_domain::limits::CATCHUP_KEPT_MS;
use hxa_domain::thread::ThreadStatus;

/// Most rows one call deletes from each table.
pub const BATCH: i64 = 5000;
/// Most threads one look finds idle; a full look means that there may be more.
pub const IDLE_BATCH: i64 = 1000;

/// Deletes what has expired by the hub's own rules; returns how many rows went. As many as [`BATCH`] or more mean that
/// there may be more.
///
/// # Errors
/// When the database fails.
pub fn purge_expired(conn: &mut DbConnection, now: i64) -> Result<usize, DbError> {
    let tokens = bot_tokens::table.filter(bot_tokens::expires_at.le(now));
    let tickets = org_tickets::table.filter(org_tickets::expires_at.gt(0).and(org_tickets::expires_at.le(now)));
    let ended = sessions::table.filter(sessions::expires_at.le(now));
    let links = person_links::table.filter(person_links::expires_at.le(now));
    let mut purged = diesel::delete(tokens).execute(conn)?;
    purged += diesel::delete(tickets).execute(conn)?;
    purged += diesel::delete(ended).execute(conn)?;
    purged += diesel::delete(links).execute(conn)?;
    purged += purge_catchup(conn, now.saturating_sub(CATCHUP_KEPT_MS))?;
    purged += purge_audit(conn, now.saturating_sub(audit::KEPT_MS))?;
    Ok(purged)
}

fn purge_catchup(conn: &mut DbConnection, before: i64) -> Result<usize, DbError> {
    use catchup_events as e;
    let old: Vec<(String, String)> =
        e::table.filter(e::occurred_at.lt(before)).limit(BATCH).select((e::target_bot_id, e::id)).load(conn)?;
    let (bots, ids): (Vec<String>, Vec<String>) = old.into_iter().unzip();
    Ok(diesel::delete(e::table.filter(e::target_bot_id.eq_any(bots)).filter(e::id.eq_any(ids))).execute(conn)?)
}

fn purge_audit(conn: &mut DbConnection, before: i64) -> Result<usize, DbError> {
    use audit_log as a;
    let is_old = || a::id.lt(timed_ids::first_of::<AuditId>(before));
    let old: Vec<(String, String)> = a::table.filter(is_old()).limit(BATCH).select((a::org_id, a::id)).load(conn)?;
    let (orgs, ids): (Vec<String>, Vec<String>) = old.into_iter().unzip();
    Ok(diesel::delete(a::table.filter(a::org_id.eq_any(orgs)).filter(a::id.eq_any(ids))).execute(conn)?)
}

/// Organisations that have any retention rule.
///
/// # Errors
/// When the database fails.
pub fn orgs_with_retention(conn: &mut DbConnection) -> Result<Vec<OrgId>, DbError> {
    use org_settings as s;
    let any = s::message_ttl_days
        .is_not_null()
        .or(s::thread_auto_close_days.is_not_null())
        .or(s::artifact_retention_days.is_not_null());
    Ok(s::table.filter(any).select(s::org_id).load(conn)?)
}

/// Threads that are still going but in which nothing happened since a time, the longest idle first; at most 1000.
///
/// # Errors
/// When the database fails.
pub fn idle_threads(conn: &mut DbConnection, org: OrgId, before: i64) -> Result<Vec<ThreadId>, DbError> {
    let idle = threads::table
        .filter(threads::org_id.eq(org))
        .filter(threads::last_activity_at.lt(before))
        .filter(threads::status.ne_all(ThreadStatus::OVER));
    Ok(idle.order(threads::last_activity_at).limit(IDLE_BATCH).select(threads::id).load(conn)?)
}

/// What an organisation's rules let go; no time for a kind means that there is no such rule.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The organisation.
    pub org: OrgId,
    /// Messages older than this go.
    pub messages_before: Option<i64>,
    /// Artifact versions older than this go.
    pub artifacts_before: Option<i64>,
    /// Now, ms, for the audit trail.
    pub now: i64,
}

/// What a run over an organisation has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// Messages deleted.
    pub messages: i64,
    /// Artifact versions deleted.
    pub artifacts: i64,
    /// Threads closed.
    pub closed: i64,
    /// Threads that lost artifacts in the last batch: what their actors know of them is stale.
    pub threads: Vec<ThreadId>,
    /// Whether another batch may find more.
    pub has_more: bool,
}

/// Deletes one more batch of what an organisation's rules let go. The last one notes the whole run in the audit trail, so
/// that each run is one row.
///
/// # Errors
/// When the database fails.
pub fn purge_org(conn: &mut DbConnection, rules: Rules, so_far: &Purged) -> Result<Purged, DbError> {
    let mut purged = Purged { threads: Vec::new(), has_more: false, ..so_far.clone() };
    if let Some(before) = rules.messages_before {
        for batch in [DIRECT_MESSAGES, THREAD_MESSAGES] {
            let deleted = delete_batch(conn, batch, rules.org, before)?;
            purged.has_more |= deleted >= BATCH;
            purged.messages += deleted;
        }
    }
    if let Some(before) = rules.artifacts_before {
        purged.threads = with_old_artifacts(conn, rules.org, before)?;
        let deleted = delete_batch(conn, ARTIFACTS, rules.org, before)?;
        purged.has_more |= deleted >= BATCH;
        purged.artifacts += deleted;
    }
    if !purged.has_more {
        note(conn, rules, &purged)?;
    }
    Ok(purged)
}

const DIRECT_MESSAGES: &str = "DELETE FROM channel_messages WHERE (channel_id, created_at, id) IN \
    (SELECT m.channel_id, m.created_at, m.id FROM channels c JOIN channel_messages m ON m.channel_id = c.id \
    WHERE c.org_id = $1 AND m.created_at < $2 LIMIT $3)";
/// Threads that go on keep their messages.
const THREAD_MESSAGES: &str = "DELETE FROM thread_messages WHERE (thread_id, created_at, id) IN \
    (SELECT m.thread_id, m.created_at, m.id FROM threads t JOIN thread_messages m ON m.thread_id = t.id \
    WHERE t.org_id = $1 AND t.status IN ('resolved', 'closed') AND m.created_at < $2 LIMIT $3)";
const ARTIFACTS: &str = "DELETE FROM artifacts WHERE (thread_id, artifact_key, version) IN \
    (SELECT a.thread_id, a.artifact_key, a.version FROM threads t JOIN artifacts a ON a.thread_id = t.id \
    WHERE t.org_id = $1 AND t.status IN ('resolved', 'closed') AND a.created_at < $2 \
    ORDER BY a.thread_id, a.artifact_key, a.version LIMIT $3)";

fn delete_batch(conn: &mut DbConnection, statement: &str, org: OrgId, before: i64) -> Result<i64, DbError> {
    let deleted = diesel::sql_query(statement)
        .bind::<Text, _>(org)
        .bind::<BigInt, _>(before)
        .bind::<BigInt, _>(BATCH)
        .execute(conn)?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}

/// Threads that are over and hold artifact versions from before a time.
fn with_old_artifacts(conn: &mut DbConnection, org: OrgId, before: i64) -> Result<Vec<ThreadId>, DbError> {
    let old = artifacts::table.filter(artifacts::thread_id.eq(threads::id)).filter(artifacts::created_at.lt(before));
    let rows = threads::table
        .filter(threads::org_id.eq(org))
        .filter(threads::status.eq_any(ThreadStatus::OVER))
        .filter(diesel::dsl::exists(old));
    Ok(rows.select(threads::id).load(conn)?)
}

/// The audit row of a run, if anything happened.
fn note(conn: &mut DbConnection, rules: Rules, purged: &Purged) -> Result<(), DbError> {
    let happened = [
        ("messages_deleted", purged.messages),
        ("threads_closed", purged.closed),
        ("artifacts_deleted", purged.artifacts),
    ];
    let detail: Map<String, Value> = happened
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.to_owned(), Value::from(count)))
        .collect();
    if detail.is_empty() {
        return Ok(());
    }
    let detail = Some(Value::Object(detail));
    audit::insert(conn, &AuditRow::new(rules.org, rules.now, None, "lifecycle.cleanup", "org", rules.org, detail))
}
