//! The life cycle of an organisation: creating, renaming, suspending, reinstating, rotating its secret, changing its
//! settings, deleting. Also the invite codes with which strangers can create one.
//!
//! Actions of the platform's admins are recorded in the platform's audit trail, which outlives the organisation.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{actor_or_role, tell_session_store, to_the_end};
use crate::auth;
use crate::core::caller::{AdminCaller, Caller, refuse_scoped};
use crate::core::org_state::OrgState;
use crate::core::shard;
use crate::fanout::broker::Selection;
use crate::fanout::send_queue::close;
use crate::hub::Hub;
use crate::org::OrgChange;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::grants::{InviteRequest, expiry};
use hxa_domain::ids::{InviteId, OrgId};
use hxa_domain::orgs::OrgPatch;
use hxa_domain::secrets;
use hxa_domain::settings::{OrgSettings, SettingsPatch};
use hxa_domain::standing::OrgStatus;
use hxa_store::orgs::OrgChanges;
use hxa_store::rows::{AuditRow, InviteCodeRow, OrgRow};
use hxa_store::sessions::Gone;
use hxa_store::{accounts, audit, orgs, sessions, tickets};

/// Conversations purged per commit, so that other writers get their turn.
const PURGE_SLICE: i64 = 50;
/// Hex digits of an organisation's secret.
const SECRET_DIGITS: usize = 48;

/// What makes somebody found an organisation.
pub enum Founder<'a> {
    /// A platform admin's session, by its public reference; `None` on a hub without an admin secret.
    SuperAdmin(Option<&'a str>),
    /// An invite code.
    Invite(&'a str),
}

/// Makes an organisation; returns it and its secret, which is shown once.
///
/// # Errors
/// 401 `INVALID_INVITE_CODE`.
pub async fn create_org(
    hub: &Hub,
    founder: Founder<'_>,
    name: String,
    persist_messages: bool,
) -> ApiResult<(OrgRow, String)> {
    let (now, secret) = (hub.now(), secrets::hex_token("", SECRET_DIGITS));
    let id = OrgId::at(now);
    let row = OrgRow {
        id,
        name,
        secret_hash: secrets::secret_hash(&secret),
        persist_messages,
        status: OrgStatus::Active,
        join_approval_required: false,
        created_at: now,
    };
    let (invite, by) = match founder {
        Founder::SuperAdmin(reference) => (None, json!({ "session": reference })),
        Founder::Invite(code) => (Some(secrets::secret_hash(code)), json!({ "invite": true })),
    };
    let (stored, named) = (row.clone(), row.name.clone());
    let write = move |conn: &mut hxa_store::DbConnection| {
        let mut detail = json!({ "name": named, "by": by });
        if let Some(hash) = &invite {
            let code = accounts::use_invite(conn, hash, now)?.ok_or_else(|| {
                ApiError::new(ErrorCode::InvalidInviteCode, "The invite code is unknown, expired or used up")
            })?;
            detail = json!({ "name": named, "by": { "invite": code } });
        }
        orgs::insert(conn, &stored)?;
        let trail = AuditRow::new(None, now, None, "org.create", "org", stored.id, Some(detail));
        audit::insert(conn, &trail)
    };
    hub.store().write(shard(id.uuid()), write).await?;
    Ok((row, secret))
}

/// Renames, suspends or reinstates an organisation. Suspending deletes its usable tickets and closes its sockets, also
/// when it is suspended already.
///
/// # Errors
/// 409 `ORG_DESTROYED` while it is being deleted.
pub async fn update_org(hub: &Hub, org: &Arc<OrgState>, patch: OrgPatch, by: Option<&str>) -> ApiResult<Arc<OrgRow>> {
    refuse_destroyed(org)?;
    let (id, now, before) = (org.id, hub.now(), org.row());
    let mut trail = Vec::new();
    let mut note = |action: &str, detail: Value| {
        trail.push(AuditRow::new(None, now, None, action, "org", id, Some(detail)));
    };
    if let Some(name) = patch.name.as_ref().filter(|name| **name != before.name) {
        note("org.rename", json!({ "old_name": before.name, "new_name": name, "session": by }));
    }
    if let Some(status) = patch.status.filter(|status| *status != before.status) {
        let action = if status == OrgStatus::Suspended { "org.suspend" } else { "org.reinstate" };
        note(action, json!({ "session": by }));
    }
    let changes = OrgChanges { name: patch.name.clone(), status: patch.status, ..OrgChanges::default() };
    let is_suspended = patch.status == Some(OrgStatus::Suspended);
    let waker = hub.clone();
    let change = OrgChange::new(
        WriteClass::Admin,
        move |conn| {
            orgs::update(conn, id, &changes)?;
            if is_suspended {
                tickets::delete_unconsumed(conn, id)?;
            }
            trail.iter().try_for_each(|row| audit::insert(conn, row))
        },
        move |org, ()| {
            let mut row = OrgRow::clone(&org.row());
            row.name = patch.name.unwrap_or(row.name);
            row.status = patch.status.unwrap_or(row.status);
            org.set_row(row);
            if is_suspended {
                org.channel().close(&close::ORG_SUSPENDED, &Selection::All);
            }
            waker.webhooks().wake_all(org);
            Vec::new()
        },
    );
    hub.orgs().ask(Caller::Hub(org.clone()), change).await?;
    Ok(org.row())
}

fn refuse_destroyed(org: &OrgState) -> ApiResult<()> {
    if org.row().status == OrgStatus::Destroyed {
        return Err(ApiError::new(ErrorCode::OrgDestroyed, "The organisation is being deleted").with_status(409));
    }
    Ok(())
}

/// Gives an organisation a new secret: its usable tickets and its admins' sessions end. Returns the secret, which is
/// shown once.
///
/// # Errors
/// 403 for an admin bot with a scoped token, which the secret would outlive; 409 `ORG_DESTROYED` while it is being
/// deleted; 503 while the session store is unavailable.
pub async fn rotate_secret(
    hub: &Hub,
    org: &Arc<OrgState>,
    admin: Option<&AdminCaller>,
    session_ref: Option<&str>,
) -> ApiResult<String> {
    refuse_destroyed(org)?;
    refuse_scoped(admin.and_then(|admin| admin.token), "replace the organisation's secret")?;
    let (id, secret) = (org.id, secrets::hex_token("", SECRET_DIGITS));
    let hash = secrets::secret_hash(&secret);
    let by = admin.map_or_else(|| "super_admin".to_owned(), actor_or_role);
    let detail = json!({ "rotated_by": by, "session": session_ref });
    let bot = admin.and_then(AdminCaller::actor);
    let trail = AuditRow::new(id, hub.now(), bot, "org.rotate_secret", "org", id, Some(detail));
    let changes = OrgChanges { secret_hash: Some(hash.clone()), ..OrgChanges::default() };
    let owned = hub.clone();
    let change = OrgChange::new(
        WriteClass::Admin,
        move |conn| {
            orgs::update(conn, id, &changes)?;
            tickets::delete_unconsumed(conn, id)?;
            sessions::delete_of_admins(conn, id)?;
            audit::insert(conn, &trail)
        },
        move |org, ()| {
            let mut row = OrgRow::clone(&org.row());
            row.secret_hash = hash;
            org.set_row(row);
            owned.auth().secret_rotated(org.id);
            org.channel().close(&close::SESSION_ENDED, &Selection::Admins);
            Vec::new()
        },
    );
    if let Some(admin) = admin {
        hub.charge(&Caller::Admin(admin.clone()), WriteClass::Admin, || 0)?;
    }
    // Should the hub end right after the commit, no session of the old secret is left behind.
    auth::end_sessions_with(hub.auth(), Gone::OrgSecret(id)).await?;
    hub.orgs().ask(Caller::Hub(org.clone()), change).await?;
    tell_session_store(hub).await;
    Ok(secret)
}

/// Changes an organisation's settings; returns them as they are then.
///
/// # Errors
/// 503 when the database is unavailable.
pub async fn update_settings(hub: &Hub, admin: &AdminCaller, patch: SettingsPatch) -> ApiResult<Arc<OrgSettings>> {
    let (id, now) = (admin.org.id, hub.now());
    let trail = AuditRow::new(id, now, admin.actor(), "settings.update", "org_settings", id, Some(patch.given()));
    let written = patch.clone();
    let change = OrgChange::new(
        WriteClass::Admin,
        move |conn| {
            // Another change may stand before this one in the same batch, so the row is read here and not from memory.
            let mut settings = orgs::find_settings(conn, id)?.ok_or_else(|| ApiError::not_found("Organisation"))?;
            written.apply(&mut settings, now);
            if written.touches_settings_row() {
                orgs::put_settings(conn, id, &settings)?;
            }
            let flag = OrgChanges { join_approval_required: written.join_approval_required, ..OrgChanges::default() };
            orgs::update(conn, id, &flag)?;
            audit::insert(conn, &trail)
        },
        move |org, ()| {
            let mut settings = OrgSettings::clone(&org.settings());
            patch.apply(&mut settings, now);
            let mut row = OrgRow::clone(&org.row());
            row.join_approval_required = settings.join_approval_required;
            org.set_row(row);
            org.set_settings(settings);
            Vec::new()
        },
    );
    hub.orgs().ask(Caller::Admin(admin.clone()), change).await?;
    Ok(admin.org.settings())
}

/// Deletes an organisation with everything in it. It is marked first, so that nobody comes in any more and a hub that
/// stops in the middle can finish later.
///
/// # Errors
/// 404 while it is being deleted already.
pub async fn destroy(hub: &Hub, org: &Arc<OrgState>, by: Option<&str>) -> ApiResult<()> {
    if org.row().status == OrgStatus::Destroyed {
        return Err(ApiError::not_found("Organisation"));
    }
    let (id, now) = (org.id, hub.now());
    let detail = json!({ "name": org.row().name, "session": by });
    let trail = AuditRow::new(None, now, None, "org.destroy", "org", id, Some(detail));
    let changes = OrgChanges { status: Some(OrgStatus::Destroyed), ..OrgChanges::default() };
    let mark = OrgChange::new(
        WriteClass::Admin,
        move |conn| {
            orgs::update(conn, id, &changes)?;
            audit::insert(conn, &trail)
        },
        |org, ()| {
            let mut row = OrgRow::clone(&org.row());
            row.status = OrgStatus::Destroyed;
            org.set_row(row);
            org.channel().close(&close::ORG_DESTROYED, &Selection::All);
            Vec::new()
        },
    );
    let (hub, org) = (hub.clone(), org.clone());
    to_the_end(async move {
        hub.orgs().ask(Caller::Hub(org), mark).await?;
        purge(&hub, id).await
    })
    .await
}

/// Deletes the rows of an organisation that is marked as destroyed, in slices, then what features keep of it, then the organisation.
async fn purge(hub: &Hub, id: OrgId) -> ApiResult<()> {
    let key = shard(id.uuid());
    while hub.store().write(key, move |conn| orgs::purge_slice(conn, id, PURGE_SLICE)).await? > 0 {}
    let features = hub.features();
    // Before the row, so that a stop in between comes back here.
    for feature in features.iter() {
        feature.before_org_deleted(id).await?;
    }
    let rows_of = features.clone();
    let delete = move |conn: &mut hxa_store::DbConnection| {
        rows_of.iter().try_for_each(|feature| feature.on_org_deleted(conn, id))?;
        orgs::delete(conn, id)
    };
    hub.store().write(key, delete).await?;
    features.iter().for_each(|feature| feature.after_org_deleted(id));
    hub.forget_org(id);
    hub.auth().org_deleted(id);
    tell_session_store(hub).await;
    Ok(())
}

/// Finishes deletions that a stop interrupted.
///
/// # Errors
/// 503 when the database is unavailable.
pub async fn resume_destructions(hub: &Hub) -> ApiResult<()> {
    for id in hub.store().read(orgs::list_destroyed).await? {
        purge(hub, id).await?;
    }
    Ok(())
}

/// Makes a platform invite code; returns its row, which holds the code.
///
/// # Errors
/// 503 when the database is unavailable.
pub async fn create_invite(hub: &Hub, request: InviteRequest, by: Option<&str>) -> ApiResult<InviteCodeRow> {
    let (now, code) = (hub.now(), secrets::hex_token("hxa_", 16));
    let row = InviteCodeRow {
        id: InviteId::at(now),
        code_hash: secrets::secret_hash(&code),
        code: Some(code),
        label: request.label,
        max_uses: request.max_uses,
        use_count: 0,
        expires_at: expiry(now, request.lifetime_ms),
        created_at: now,
    };
    let detail = json!({ "max_uses": row.max_uses, "expires_at": row.expires_at, "session": by });
    let trail = AuditRow::new(None, now, None, "invite_code.create", "invite_code", row.id, Some(detail));
    let stored = row.clone();
    let write = move |conn: &mut hxa_store::DbConnection| {
        accounts::insert_invite(conn, &stored)?;
        audit::insert(conn, &trail)
    };
    hub.store().write(0, write).await?;
    Ok(row)
}

/// Revokes a platform invite code.
///
/// # Errors
/// 404 when there is none.
pub async fn delete_invite(hub: &Hub, id: &str, by: Option<&str>) -> ApiResult<()> {
    let id = InviteId::parse(id).ok_or_else(|| ApiError::not_found("Invite code"))?;
    let detail = json!({ "session": by });
    let trail = AuditRow::new(None, hub.now(), None, "invite_code.revoke", "invite_code", id, Some(detail));
    let write = move |conn: &mut hxa_store::DbConnection| {
        if !accounts::delete_invite(conn, id)? {
            return Err(ApiError::not_found("Invite code").into());
        }
        audit::insert(conn, &trail)
    };
    hub.store().write(0, write).await
}
