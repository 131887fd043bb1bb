//! Creating and ending credentials: scoped tokens, registration tickets, other people's sessions, blocked names.

use std::sync::Arc;

use serde_json::json;

use super::{actor_or_role, tell_session_store};
use crate::auth::{self, Role, Session};
use crate::core::caller::{AdminCaller, BotCaller, Caller};
use crate::core::org_state::OrgState;
use crate::hub::Hub;
use crate::org::OrgChange;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::grants::{TicketRequest, TokenRequest, expiry, until_at_most};
use hxa_domain::ids::{OrgId, TicketId, TokenId};
use hxa_domain::secrets;
use hxa_store::accounts::TokenRoom;
use hxa_store::rows::{AuditRow, BotTokenRow, TicketRow};
use hxa_store::{accounts, audit, bots, tickets};

/// A scoped token that was just made.
pub struct NewToken {
    /// As stored.
    pub row: BotTokenRow,
    /// The token; shown once.
    pub token: String,
}

/// How many scoped tokens there may be in an organisation.
pub(super) fn token_room(hub: &Hub, org: OrgId) -> TokenRoom {
    let limits = &hub.config().limits;
    TokenRoom { org, per_bot: limits.tokens_per_bot, per_org: limits.tokens_per_org }
}

/// Makes a scoped token. One made with a scoped token ends with that.
///
/// # Errors
/// 401 when the token that asks was revoked meanwhile; 409 `LIMIT_REACHED` when there are enough.
pub async fn create_token(hub: &Hub, caller: &BotCaller, request: TokenRequest) -> ApiResult<NewToken> {
    let (now, token) = (hub.now(), secrets::hex_token("scoped_", 48));
    let asked = request.lifetime_ms.map(|ms| now.saturating_add(ms));
    let row = BotTokenRow {
        id: TokenId::at(now),
        bot_id: caller.bot.id,
        token_hash: secrets::secret_hash(&token),
        scopes: request.scopes.to_stored(),
        label: request.label,
        expires_at: asked.into_iter().chain(caller.token_expires_at).min(),
        created_at: now,
        last_used_at: None,
        parent_id: caller.token,
    };
    let detail = json!({
        "scopes": request.scopes, "label": row.label, "expires_at": row.expires_at, "parent_id": row.parent_id,
    });
    let own = Some(row.bot_id.to_string());
    let trail = AuditRow::new(caller.org.id, now, own, "bot.token_create", "token", row.id, Some(detail));
    let (stored, room) = (row.clone(), token_room(hub, caller.org.id));
    let change = OrgChange::new(
        WriteClass::Credential,
        move |conn| {
            accounts::insert_token(conn, &stored, room)?;
            audit::insert(conn, &trail)
        },
        |_, ()| Vec::new(),
    );
    hub.orgs().ask(Caller::Bot(caller.clone()), change).await?;
    Ok(NewToken { row, token })
}

/// Revokes one of the caller's scoped tokens and all that it made; sessions and sockets opened with any of them end.
///
/// # Errors
/// 404 when the bot has no such token.
pub async fn revoke_token(hub: &Hub, caller: &BotCaller, id: &str) -> ApiResult<()> {
    let id = TokenId::parse(id).ok_or_else(|| ApiError::not_found("Token"))?;
    let (bot, own) = (caller.bot.id, Some(caller.bot.id.to_string()));
    let trail = AuditRow::new(caller.org.id, hub.now(), own, "bot.token_revoke", "token", id, None);
    let owned = hub.clone();
    let change = OrgChange::new(
        WriteClass::Credential,
        move |conn| {
            let gone = accounts::delete_token(conn, bot, id)?;
            if gone.is_empty() {
                return Err(ApiError::not_found("Token").into());
            }
            audit::insert(conn, &trail)?;
            Ok(gone)
        },
        move |org, gone: &Vec<BotTokenRow>| {
            owned.auth().tokens_revoked(org, bot, gone);
            Vec::new()
        },
    );
    hub.orgs().ask(Caller::Bot(caller.clone()), change).await?;
    tell_session_store(hub).await;
    Ok(())
}

/// Makes a registration ticket. One made with a scoped token ends with that.
///
/// # Errors
/// 401 when the token that asks was revoked meanwhile; 409 `LIMIT_REACHED` when there are enough.
pub async fn create_ticket(hub: &Hub, admin: &AdminCaller, request: TicketRequest) -> ApiResult<TicketRow> {
    let now = hub.now();
    let row = TicketRow {
        id: TicketId::at(now),
        org_id: admin.org.id,
        code: secrets::hex_token("tkt_", 32),
        reusable: request.reusable,
        skip_approval: request.skip_approval,
        expires_at: until_at_most(expiry(now, request.lifetime_ms), admin.token_expires_at),
        consumed: false,
        created_by: admin.actor(),
        created_at: now,
        token_id: admin.token,
    };
    let detail = json!({
        "reusable": row.reusable, "skip_approval": row.skip_approval, "expires_at": row.expires_at,
        "created_by": actor_or_role(admin),
    });
    let by = admin.actor();
    let trail = AuditRow::new(admin.org.id, now, by, "auth.ticket_created", "org_ticket", row.id, Some(detail));
    let (stored, most) = (row.clone(), hub.config().limits.tickets_per_org);
    let change = OrgChange::new(
        WriteClass::Credential,
        move |conn| {
            accounts::check_maker(conn, stored.token_id)?;
            tickets::insert(conn, &stored, most)?;
            audit::insert(conn, &trail)
        },
        |_, ()| Vec::new(),
    );
    hub.orgs().ask(Caller::Admin(admin.clone()), change).await?;
    Ok(row)
}

/// Deletes a registration ticket by code or id.
///
/// # Errors
/// 404 when the organisation has no such ticket.
pub async fn delete_ticket(hub: &Hub, admin: &AdminCaller, reference: String) -> ApiResult<()> {
    // A NUL character names nothing, and PostgreSQL fails when it is asked for one.
    if reference.contains('\0') {
        return Err(ApiError::not_found("Ticket"));
    }
    let org = admin.org.id;
    let detail = json!({ "revoked_by": actor_or_role(admin) });
    let by = admin.actor();
    let target = reference.clone();
    let trail = AuditRow::new(org, hub.now(), by, "auth.ticket_revoked", "org_ticket", target, Some(detail));
    let change = OrgChange::new(
        WriteClass::Credential,
        move |conn| {
            if !tickets::delete(conn, org, &reference)? {
                return Err(ApiError::not_found("Ticket").into());
            }
            audit::insert(conn, &trail)
        },
        |_, ()| Vec::new(),
    );
    hub.orgs().ask(Caller::Admin(admin.clone()), change).await
}

/// Ends a session of the organisation by its public reference.
///
/// # Errors
/// 400 for a malformed reference or the caller's own session, 404 when there is none.
pub async fn end_session(hub: &Hub, admin: &AdminCaller, reference: &str) -> ApiResult<()> {
    let (own, caller) = (admin.session_ref.as_deref(), Caller::Admin(admin.clone()));
    hub.charge(&caller, WriteClass::Credential, || 0)?;
    let role = end_other(hub, admin.org.id, reference, own, |_| true).await?;
    let trail = (admin.actor(), actor_or_role(admin));
    note_end(hub, &admin.org, reference, role, trail).await
}

/// Ends a session of the calling bot's owners by its public reference.
///
/// # Errors
/// 400 for a malformed reference or the caller's own session, 404 when the bot has none of that reference.
pub async fn end_own_session(hub: &Hub, caller: &BotCaller, reference: &str) -> ApiResult<()> {
    let (own, bot) = (caller.human.as_ref().map(|human| human.session_ref.as_str()), caller.bot.id);
    hub.charge(&Caller::Bot(caller.clone()), WriteClass::Credential, || 0)?;
    let role = end_other(hub, caller.org.id, reference, own, |role| role.bot() == Some(bot)).await?;
    let trail = (Some(bot.to_string()), bot.to_string());
    note_end(hub, &caller.org, reference, role, trail).await
}

async fn end_other(
    hub: &Hub,
    org: OrgId,
    reference: &str,
    own: Option<&str>,
    may_end: impl FnOnce(Role) -> bool,
) -> ApiResult<Role> {
    if !secrets::is_session_ref(reference) {
        return Err(ApiError::new(ErrorCode::InvalidRef, "A session reference is 16 lower-case hex digits"));
    }
    if own == Some(reference) {
        return Err(ApiError::new(ErrorCode::SelfLogout, "To end your own session, log out"));
    }
    let ended = auth::end_by_reference(hub.auth(), org, reference, may_end).await?;
    ended.ok_or_else(|| ApiError::not_found("Session"))
}

/// Puts into the trail who ended somebody's session; that was charged before it ended.
async fn note_end(
    hub: &Hub,
    org: &Arc<OrgState>,
    reference: &str,
    role: Role,
    (by, named): (Option<String>, String),
) -> ApiResult<()> {
    let detail = json!({ "target_role": role.name(), "target_bot_id": role.bot(), "revoked_by": named });
    let target = reference.to_owned();
    let trail = AuditRow::new(role.org(), hub.now(), by, "auth.session_force_logout", "session", target, Some(detail));
    let change = OrgChange::new(WriteClass::Credential, move |conn| audit::insert(conn, &trail), |_, ()| Vec::new());
    hub.orgs().ask(Caller::Hub(org.clone()), change).await
}

/// Releases the exact name of a deleted bot.
///
/// # Errors
/// 404 when it is not blocked.
pub async fn release_name(hub: &Hub, org: &Arc<OrgState>, name: String, session: &Session) -> ApiResult<()> {
    if name.contains('\0') {
        return Err(ApiError::not_found("Blocked name"));
    }
    let id = org.id;
    if session.role.org().is_some() {
        hub.charge_member(&org.budgets, id.uuid(), WriteClass::Credential, || 0)?;
    }
    let detail = json!({ "cleared_by_session": session.row.reference, "cleared_by_role": session.row.role });
    let trail = AuditRow::new(id, hub.now(), None, "bot.tombstone_cleared", "bot", name.clone(), Some(detail));
    let change = OrgChange::new(
        WriteClass::Credential,
        move |conn| {
            if !bots::delete_tombstone(conn, id, &name)? {
                return Err(ApiError::not_found("Blocked name").into());
            }
            audit::insert(conn, &trail)
        },
        |_, ()| Vec::new(),
    );
    hub.orgs().ask(Caller::Hub(org.clone()), change).await
}
