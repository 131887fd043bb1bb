//! Commands on the configured database.
//!
//! Looking needs a connection; changing needs the database alone, and then a hub without faces, so that the changes are
//! those of a hub, with their audit entries.

use serde_json::{Value, json};

use super::{AdminError, done, invite_body, only_reads, org_id, token_body};
use crate::actors::caller::BotCaller;
use crate::actors::hub::Hub;
use crate::actors::identity::{self, Founder, OrgPatch};
use crate::api::{invite_view, listed_invite_view, org_view};
use crate::cli::{AdminCommand, BotCommand, InviteCommand, OrgCommand, Owner, TokenCommand};
use crate::config::{Config, Flags};
use crate::domain::grants::{InviteRequest, TokenRequest, org_name};
use crate::domain::ids::{BotId, OrgId};
use crate::domain::scope::ScopeSet;
use crate::error::ApiError;
use crate::server::{self, QuietHub};
use crate::store::rows::{AuditRow, BotRow, BotTokenRow};
use crate::store::{DbConnection, accounts, audit, migrate, orgs, stats};

/// Carries out a command.
pub async fn carry_out(flags: &Flags, command: &AdminCommand) -> Result<Value, AdminError> {
    let config = Config::load(flags).map_err(|error| AdminError(error.to_string()))?.config;
    if only_reads(command) {
        return look(&config, command);
    }
    let quiet = QuietHub::open(config).await?;
    let outcome = change(quiet.hub(), command).await;
    quiet.close().await;
    outcome
}

fn look(config: &Config, command: &AdminCommand) -> Result<Value, AdminError> {
    let conn = &mut connect(config)?;
    let now = chrono::Utc::now().timestamp_millis();
    match command {
        AdminCommand::Org(_) => {
            let rows = orgs::list(conn)?;
            Ok(rows.iter().map(|(row, bots)| org_view(row, *bots)).collect())
        }
        AdminCommand::Bot(BotCommand::List { org }) => {
            let mut bots = bots_of(conn, org)?;
            bots.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(bots.iter().map(bot_view).collect())
        }
        AdminCommand::Token(TokenCommand::List { owner } | TokenCommand::Revoke { owner, .. })
        | AdminCommand::Token(TokenCommand::Issue { owner, .. }) => {
            let (org, bot) = owner_of(owner)?;
            let bots = bots_of(conn, org)?;
            let bot = bots.iter().find(|row| row.id == bot).or_else(|| bots.iter().find(|row| row.name == bot));
            let id = bot.and_then(|row| BotId::parse(&row.id)).ok_or_else(|| ApiError::not_found("Bot"))?;
            Ok(accounts::list_tokens(conn, id)?.iter().map(token_view).collect())
        }
        AdminCommand::Invite(_) => {
            Ok(accounts::list_invites(conn)?.iter().map(|row| listed_invite_view(row, now)).collect())
        }
        AdminCommand::Stats => {
            let figures = stats::load(conn, now)?;
            Ok(json!({
                "org_count": figures.orgs, "bot_count": figures.bots, "thread_count": figures.threads,
                "message_count": figures.messages, "active_thread_count": figures.active_threads,
            }))
        }
    }
}

/// A connection for looking. The tables must be as this program knows them, and looking changes none.
fn connect(config: &Config) -> Result<DbConnection, AdminError> {
    let backend = server::store_config(config).backend;
    if !migrate::pending(&backend)?.is_empty() {
        return Err(AdminError(
            "the database is not up to date; start the hub or run `hxa-connect migrate` first".to_owned(),
        ));
    }
    backend.connect().map_err(|error| AdminError(format!("cannot open the database: {error}")))
}

fn bots_of(conn: &mut DbConnection, org: &str) -> Result<Vec<BotRow>, AdminError> {
    let known: Vec<(String, String)> = orgs::list(conn)?.into_iter().map(|(row, _)| (row.id, row.name)).collect();
    let id = OrgId::parse(&org_id(&known, org)?).ok_or_else(|| ApiError::not_found("Organisation"))?;
    Ok(orgs::load(conn, id)?.map(|(_, _, bots)| bots).unwrap_or_default())
}

async fn change(hub: &Hub, command: &AdminCommand) -> Result<Value, AdminError> {
    match command {
        AdminCommand::Org(command) => change_org(hub, command).await,
        AdminCommand::Token(command) => change_token(hub, command).await,
        AdminCommand::Invite(InviteCommand::Create { max_uses, expires_in, label }) => {
            let request = InviteRequest::read(&invite_body(*max_uses, label.as_ref(), *expires_in))?;
            Ok(invite_view(&identity::create_invite(hub, request, None).await?))
        }
        AdminCommand::Invite(InviteCommand::Revoke { id }) => {
            identity::delete_invite(hub, id, None).await?;
            Ok(done())
        }
        AdminCommand::Invite(InviteCommand::List) | AdminCommand::Bot(_) | AdminCommand::Stats => Ok(done()),
    }
}

async fn change_org(hub: &Hub, command: &OrgCommand) -> Result<Value, AdminError> {
    let (given, status) = match command {
        OrgCommand::Create { name } => {
            let name = org_name(Some(&json!(name)))?;
            let persist = hub.config().messages.persist;
            let (row, secret) = identity::create_org(hub, Founder::SuperAdmin(None), name, persist).await?;
            return Ok(json!({
                "id": row.id, "name": row.name, "org_secret": secret, "persist_messages": row.persist_messages,
                "status": row.status, "created_at": row.created_at,
            }));
        }
        OrgCommand::List => return Ok(done()),
        OrgCommand::Suspend { org } => (org, "suspended"),
        OrgCommand::Reinstate { org } => (org, "active"),
    };
    let org = find_org(hub, given).await?;
    let patch = OrgPatch { name: None, status: Some(status) };
    let row = identity::update_org(hub, &org, patch, None).await?;
    Ok(json!({ "id": row.id, "name": row.name, "status": row.status }))
}

async fn change_token(hub: &Hub, command: &TokenCommand) -> Result<Value, AdminError> {
    match command {
        TokenCommand::Issue { owner, scopes, label, expires_in } => {
            let request = TokenRequest::read(&token_body(scopes, label.as_ref(), *expires_in))?;
            let caller = find_bot(hub, owner).await?;
            let new = identity::create_token(hub, &caller, request).await?;
            note(hub, &caller, "bot.token_create", &new.row.id).await?;
            let mut view = token_view(&new.row);
            if let Some(fields) = view.as_object_mut() {
                fields.shift_insert(1, "token".to_owned(), new.token.into());
            }
            Ok(view)
        }
        TokenCommand::Revoke { owner, id } => {
            let caller = find_bot(hub, owner).await?;
            identity::revoke_token(hub, &caller, id).await?;
            note(hub, &caller, "bot.token_revoke", id).await?;
            Ok(done())
        }
        TokenCommand::List { .. } => Ok(done()),
    }
}

/// The bot's own trail says that it did this; the platform's says who it was.
async fn note(hub: &Hub, caller: &BotCaller, action: &'static str, token: &str) -> Result<(), AdminError> {
    let detail = json!({ "bot": caller.bot.id, "org": caller.org.id, "by": "command line" });
    let row = AuditRow::platform(hub.now(), action, "token", token, detail);
    hub.store().write(0, move |conn| audit::insert(conn, &row)).await?;
    Ok(())
}

async fn find_org(hub: &Hub, given: &str) -> Result<std::sync::Arc<crate::actors::org_state::OrgState>, AdminError> {
    let known = hub.store().read(orgs::list).await?;
    let known: Vec<(String, String)> = known.into_iter().map(|(row, _)| (row.id, row.name)).collect();
    let id = OrgId::parse(&org_id(&known, given)?).ok_or_else(|| ApiError::not_found("Organisation"))?;
    Ok(hub.org(id).await?.ok_or_else(|| ApiError::not_found("Organisation"))?)
}

/// The bot, as if it came with its primary token.
async fn find_bot(hub: &Hub, owner: &Owner) -> Result<BotCaller, AdminError> {
    let (org, given) = owner_of(owner)?;
    let org = find_org(hub, org).await?;
    let bot = BotId::parse(given).and_then(|id| org.bot(id)).or_else(|| org.bot_named(given));
    let bot = bot.ok_or_else(|| ApiError::not_found("Bot"))?;
    Ok(BotCaller {
        org,
        bot,
        scopes: ScopeSet::FULL,
        token: None,
        token_expires_at: None,
        human: None,
        via_socket: false,
    })
}

fn owner_of(owner: &Owner) -> Result<(&str, &str), AdminError> {
    match (&owner.org, &owner.bot) {
        (Some(org), Some(bot)) => Ok((org, bot)),
        _ => Err(AdminError("--org and --bot say whose token it is".to_owned())),
    }
}

fn bot_view(row: &BotRow) -> Value {
    json!({
        "id": row.id, "name": row.name, "auth_role": row.auth_role, "join_status": row.join_status,
        "last_seen_at": row.last_seen_at, "created_at": row.created_at,
    })
}

fn token_view(row: &BotTokenRow) -> Value {
    let scopes: Value = serde_json::from_str(&row.scopes).unwrap_or_else(|_| json!([]));
    json!({
        "id": row.id, "scopes": scopes, "label": row.label, "expires_at": row.expires_at,
        "created_at": row.created_at, "last_used_at": row.last_used_at,
    })
}
