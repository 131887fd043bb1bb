//! Queries on organisations and their settings.
//!
//! An organisation is read as a whole ([`load`]) when it is first used and stays in memory from then on; changes to it
//! run in the writer, through the organisation's actor. Deleting one takes several steps, because its messages have no
//! foreign keys and may be many: mark, purge in slices, delete the row.

use diesel::dsl::count;
use diesel::prelude::*;

use super::page::Page;
use super::rows::{BotRow, OrgRow, OrgSettingsRow, PersonRow};
use super::schema::{
    artifacts, bots, catchup_events, channel_messages, channels, idempotency_keys, org_settings, orgs, thread_messages,
    threads,
};
use super::{DbConnection, DbError};
use hxa_domain::cursor::Cursor;
use hxa_domain::ids::{ChannelId, OrgId, ThreadId};
use hxa_domain::policy::PermissionPolicy;
use hxa_domain::settings::OrgSettings;
use hxa_domain::standing::OrgStatus;

/// What the hub keeps in memory of an organisation in use.
pub struct StoredOrg {
    /// Its row.
    pub row: OrgRow,
    /// Its settings.
    pub settings: OrgSettings,
    /// Its bots.
    pub bots: Vec<BotRow>,
    /// Its people.
    pub people: Vec<PersonRow>,
}

/// Everything the hub keeps in memory of an organisation in use; `None` when there is no such organisation.
///
/// # Errors
/// When the database fails.
pub fn load(conn: &mut DbConnection, id: OrgId) -> Result<Option<StoredOrg>, DbError> {
    let row = orgs::table.find(id).select(OrgRow::as_select()).first(conn).optional()?;
    let Some(row) = row else {
        return Ok(None);
    };
    let bots = bots::table.filter(bots::org_id.eq(id)).select(BotRow::as_select()).load(conn)?;
    let people = super::people::list(conn, id)?;
    let settings = settings_of(conn, &row)?;
    Ok(Some(StoredOrg { row, settings, bots, people }))
}

/// The settings of an organisation, defaults where nothing was ever set.
///
/// # Errors
/// When the database fails.
pub fn find_settings(conn: &mut DbConnection, id: OrgId) -> Result<Option<OrgSettings>, DbError> {
    match find(conn, id)? {
        Some(row) => settings_of(conn, &row).map(Some),
        None => Ok(None),
    }
}

fn settings_of(conn: &mut DbConnection, org: &OrgRow) -> Result<OrgSettings, DbError> {
    let stored = org_settings::table.find(&org.id).select(OrgSettingsRow::as_select()).first(conn).optional()?;
    let approval = OrgSettings { join_approval_required: org.join_approval_required, ..OrgSettings::default() };
    let Some(row): Option<OrgSettingsRow> = stored else {
        return Ok(approval);
    };
    Ok(OrgSettings {
        messages_per_minute_per_bot: row.messages_per_minute_per_bot,
        threads_per_hour_per_bot: row.threads_per_hour_per_bot,
        file_upload_mb_per_day_per_bot: row.file_upload_mb_per_day_per_bot,
        message_ttl_days: row.message_ttl_days,
        thread_auto_close_days: row.thread_auto_close_days,
        artifact_retention_days: row.artifact_retention_days,
        default_thread_permission_policy: row
            .default_thread_permission_policy
            .as_deref()
            .map(PermissionPolicy::from_stored),
        updated_at: row.updated_at,
        ..approval
    })
}

/// One organisation's row.
///
/// # Errors
/// When the database fails.
pub fn find(conn: &mut DbConnection, id: OrgId) -> Result<Option<OrgRow>, DbError> {
    Ok(orgs::table.find(id).select(OrgRow::as_select()).first(conn).optional()?)
}

/// All organisations, oldest first, each with the number of its bots in any status.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut DbConnection, after: Option<&Cursor>, limit: i64) -> Result<Page<(OrgRow, i64)>, DbError> {
    let (at, id) = after.map_or((i64::MIN, ""), |after| (after.t, after.id.as_str()));
    let rows: Vec<OrgRow> = orgs::table
        .filter(orgs::status.ne(OrgStatus::Destroyed))
        .filter(orgs::created_at.gt(at).or(orgs::created_at.eq(at).and(orgs::id.gt(id))))
        .order((orgs::created_at, orgs::id))
        .limit(Page::<OrgRow>::asked(limit))
        .select(OrgRow::as_select())
        .load(conn)?;
    let counts = bots::table.group_by(bots::org_id).select((bots::org_id, count(bots::id)));
    let counts: std::collections::HashMap<OrgId, i64> = counts.load::<(OrgId, i64)>(conn)?.into_iter().collect();
    let counted = |row: OrgRow| {
        let bots = counts.get(&row.id).copied().unwrap_or(0);
        (row, bots)
    };
    Ok(Page::cut(rows, limit).map(counted))
}

/// Adds an organisation.
///
/// # Errors
/// When the database fails.
pub fn insert(conn: &mut DbConnection, row: &OrgRow) -> Result<(), DbError> {
    diesel::insert_into(orgs::table).values(row.clone()).execute(conn)?;
    Ok(())
}

/// Columns of an organisation to change; `None` leaves a column as it is.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = orgs)]
#[expect(missing_docs, reason = "columns of the row")]
pub struct OrgChanges {
    pub name: Option<String>,
    pub status: Option<OrgStatus>,
    pub secret_hash: Option<String>,
    pub join_approval_required: Option<bool>,
}

/// Changes an organisation; naming no column changes nothing.
///
/// # Errors
/// When the database fails.
pub fn update(conn: &mut DbConnection, id: OrgId, changes: &OrgChanges) -> Result<(), DbError> {
    let OrgChanges { name, status, secret_hash, join_approval_required } = changes;
    if name.is_some() || status.is_some() || secret_hash.is_some() || join_approval_required.is_some() {
        diesel::update(orgs::table.find(id)).set(changes.clone()).execute(conn)?;
    }
    Ok(())
}

/// Writes the settings row, whether there was one or not.
///
/// # Errors
/// When the database fails.
pub fn put_settings(conn: &mut DbConnection, id: OrgId, settings: &OrgSettings) -> Result<(), DbError> {
    let row = OrgSettingsRow {
        org_id: id,
        messages_per_minute_per_bot: settings.messages_per_minute_per_bot,
        threads_per_hour_per_bot: settings.threads_per_hour_per_bot,
        file_upload_mb_per_day_per_bot: settings.file_upload_mb_per_day_per_bot,
        message_ttl_days: settings.message_ttl_days,
        thread_auto_close_days: settings.thread_auto_close_days,
        artifact_retention_days: settings.artifact_retention_days,
        default_thread_permission_policy: settings
            .default_thread_permission_policy
            .as_ref()
            .map(|policy| policy.text().to_owned()),
        updated_at: settings.updated_at,
    };
    diesel::delete(org_settings::table.find(id)).execute(conn)?;
    diesel::insert_into(org_settings::table).values(row).execute(conn)?;
    Ok(())
}

/// Organisations whose deletion was begun and not finished.
///
/// # Errors
/// When the database fails.
pub fn list_destroyed(conn: &mut DbConnection) -> Result<Vec<OrgId>, DbError> {
    Ok(orgs::table.filter(orgs::status.eq(OrgStatus::Destroyed)).select(orgs::id).load(conn)?)
}

/// Deletes the content of up to `slice` conversations of an organisation, then the conversations; returns how many it
/// took. Zero means that only [`delete`] is left to do.
///
/// # Errors
/// When the database fails.
pub fn purge_slice(conn: &mut DbConnection, id: OrgId, slice: i64) -> Result<usize, DbError> {
    let doomed: Vec<ThreadId> =
        threads::table.filter(threads::org_id.eq(id)).select(threads::id).limit(slice).load(conn)?;
    for thread in &doomed {
        diesel::delete(thread_messages::table.filter(thread_messages::thread_id.eq(thread))).execute(conn)?;
        diesel::delete(artifacts::table.filter(artifacts::thread_id.eq(thread))).execute(conn)?;
        diesel::delete(threads::table.find(thread)).execute(conn)?;
    }
    if !doomed.is_empty() {
        return Ok(doomed.len());
    }
    let doomed: Vec<ChannelId> =
        channels::table.filter(channels::org_id.eq(id)).select(channels::id).limit(slice).load(conn)?;
    for channel in &doomed {
        diesel::delete(channel_messages::table.filter(channel_messages::channel_id.eq(channel))).execute(conn)?;
        diesel::delete(channels::table.find(channel)).execute(conn)?;
    }
    Ok(doomed.len())
}

/// Deletes an organisation whose conversations are purged; bots, people, credentials, tickets, sessions and file rows go
/// with it. Its audit trail stays.
///
/// # Errors
/// When the database fails.
pub fn delete(conn: &mut DbConnection, id: OrgId) -> Result<(), DbError> {
    let members = bots::table.filter(bots::org_id.eq(id)).select(bots::id);
    diesel::delete(idempotency_keys::table.filter(idempotency_keys::bot_id.eq_any(members))).execute(conn)?;
    diesel::delete(catchup_events::table.filter(catchup_events::target_bot_id.eq_any(members))).execute(conn)?;
    super::webhooks::delete_of_org(conn, id)?;
    diesel::delete(orgs::table.find(id)).execute(conn)?;
    Ok(())
}

/// Asks the database for a sign of life.
///
/// # Errors
/// When the database fails.
pub fn ping(conn: &mut DbConnection) -> Result<(), DbError> {
    diesel::sql_query("SELECT 1").execute(conn)?;
    Ok(())
}
