//! Keys of agents: tokens with which their programs ask people, and do nothing else.
//!
//! Admins make them, with the bot of the agent if there is none yet. That bot is active at once, and nobody knows its
//! primary token, so all it can do is what its keys cover. A key ends with no other token, so whoever makes one must not
//! come with a scoped token, which the key would outlive.

use std::sync::Arc;

use serde_json::json;

use super::credentials::token_room;
use super::register::{check_room, plain_row, primary_token, registered};
use super::{actor_or_role, tell_session_store};
use crate::auth::check_active;
use crate::core::caller::{AdminCaller, Caller, refuse_scoped};
use crate::core::org_state::{Bot, OrgState};
use crate::hub::Hub;
use crate::org::OrgChange;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{BotId, TokenId, resembles_id};
use hxa_domain::keys::KeyRequest;
use hxa_domain::profile::name_key;
use hxa_domain::scope::{Scope, ScopeSet};
use hxa_domain::secrets;
use hxa_store::accounts::keys::KeyRow;
use hxa_store::accounts::{self, keys};
use hxa_store::rows::{AuditRow, BotRow, BotTokenRow};
use hxa_store::{audit, bots};

/// A key that was just made.
pub struct NewKey {
    /// As stored.
    pub row: KeyRow,
    /// The key; shown once.
    pub key: String,
}

/// Makes a key of an agent, and the agent's bot if there is none.
///
/// # Errors
/// 403 for an admin bot with a scoped token, which the key would outlive, and when the agent's bot is not active; 404
/// when the agent is named by the id of no bot; 409 when its name belonged to a deleted bot, and when there are enough
/// keys or bots.
pub async fn create_key(hub: &Hub, admin: &AdminCaller, request: KeyRequest) -> ApiResult<NewKey> {
    refuse_scoped(admin.token, "make keys")?;
    match try_create(hub, admin, &request).await {
        // Somebody else made the bot meanwhile.
        Err(refusal) if refusal.code() == ErrorCode::NameConflict => try_create(hub, admin, &request).await,
        outcome => outcome,
    }
}

async fn try_create(hub: &Hub, admin: &AdminCaller, request: &KeyRequest) -> ApiResult<NewKey> {
    let (org, now) = (&admin.org, hub.now());
    let found = find_agent(org, &request.agent)?;
    let bot = match &found {
        Some(bot) => {
            check_active(bot)?;
            bot.row.clone()
        }
        None => {
            check_room(hub, org)?;
            plain_row(org.id, request.agent.clone(), &primary_token(), now)
        }
    };
    let key = secrets::agent_key();
    let token = BotTokenRow {
        id: TokenId::at(now),
        bot_id: bot.id,
        token_hash: secrets::secret_hash(&key),
        scopes: request.scopes.to_stored(),
        label: request.label.clone(),
        expires_at: request.lifetime_ms.map(|ms| now.saturating_add(ms)),
        created_at: now,
        last_used_at: None,
        parent_id: None,
    };
    let row = KeyRow { token, agent: bot.name.clone(), org: org.id };
    let new_bot = found.is_none().then_some(bot);
    hub.orgs().ask(Caller::Admin(admin.clone()), creation(hub, admin, row.clone(), new_bot)).await?;
    Ok(NewKey { row, key })
}

/// The bot of an agent. Names that differ only in case are the same name.
fn find_agent(org: &OrgState, agent: &str) -> ApiResult<Option<Arc<Bot>>> {
    if resembles_id(agent) {
        let found = BotId::parse(agent).and_then(|id| org.bot(id));
        return found.map(Some).ok_or_else(|| ApiError::not_found("Bot"));
    }
    if let Some(bot) = org.bot_named(agent) {
        return Ok(Some(bot));
    }
    let key = name_key(agent);
    Ok(org.all_bots().into_iter().find(|bot| bot.name_lower == key))
}

/// The rows of a key, of its bot if that is new, and of their trail.
fn creation(hub: &Hub, admin: &AdminCaller, key: KeyRow, new_bot: Option<BotRow>) -> OrgChange<()> {
    let (id, by, now) = (admin.org.id, admin.actor(), key.token.created_at);
    let detail = json!({
        "agent_id": key.agent, "bot_id": key.token.bot_id, "label": key.token.label, "expires_at": key.token.expires_at,
        "allow_respond": allows_respond(&key.token), "created_by": actor_or_role(admin),
    });
    let mut trail = vec![AuditRow::new(id, now, by.clone(), "key.create", "token", key.token.id, Some(detail))];
    if let Some(bot) = &new_bot {
        let detail = json!({ "name": bot.name, "reregister": false, "via": "key", "auth_role": bot.auth_role });
        trail.push(AuditRow::new(id, now, Some(bot.id.to_string()), "bot.register", "bot", bot.id, Some(detail)));
    }
    let class = if new_bot.is_some() { WriteClass::Registration } else { WriteClass::Credential };
    let (room, made) = (token_room(hub, id), new_bot.clone());
    OrgChange::new(
        class,
        move |conn| {
            if let Some(bot) = &new_bot {
                bots::check_name(conn, id, &bot.name, None)?;
                bots::insert(conn, bot)?;
            }
            keys::insert(conn, &key.token, room)?;
            trail.iter().try_for_each(|row| audit::insert(conn, row))
        },
        move |org, ()| {
            let event = made.as_ref().map(registered);
            made.into_iter().for_each(|bot| org.put_bot(bot));
            event.into_iter().collect()
        },
    )
}

/// Whether a key may answer requests.
fn allows_respond(token: &BotTokenRow) -> bool {
    ScopeSet::from_stored(&token.scopes).holds(Scope::Respond)
}

/// Revokes a key: it ends at once.
///
/// # Errors
/// 404 when the organisation has no such key.
pub async fn revoke_key(hub: &Hub, admin: &AdminCaller, id: &str) -> ApiResult<()> {
    let unknown = || ApiError::not_found("Key");
    let id = TokenId::parse(id).ok_or_else(unknown)?;
    let (org, by, now) = (admin.org.id, admin.actor(), hub.now());
    let named = actor_or_role(admin);
    let owned = hub.clone();
    let change = OrgChange::new(
        WriteClass::Credential,
        move |conn| {
            let key = keys::find(conn, id)?.filter(|key| key.org == org).ok_or_else(unknown)?;
            let gone = accounts::delete_token(conn, key.token.bot_id, id)?;
            let detail = json!({ "agent_id": key.agent, "bot_id": key.token.bot_id, "label": key.token.label, "revoked_by": named });
            audit::insert(conn, &AuditRow::new(org, now, by.clone(), "key.revoke", "token", id, Some(detail)))?;
            Ok((key.token.bot_id, gone))
        },
        move |org, (bot, gone): &(BotId, Vec<BotTokenRow>)| {
            owned.auth().tokens_revoked(org, *bot, gone);
            Vec::new()
        },
    );
    hub.orgs().ask(Caller::Admin(admin.clone()), change).await?;
    tell_session_store(hub).await;
    Ok(())
}
