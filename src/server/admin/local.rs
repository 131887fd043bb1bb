//! Commands on the configured database.
//!
//! Reading needs a connection; changing needs an exclusive lock of the database and then a headless hub, so that the
//! changes are those of a hub, with their audit entries.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{AdminError, done, invite_body, org_id, token_body};
use crate::cli::{AdminCommand, BotCommand, InviteCommand, OrgCommand, Owner, TokenCommand};
use crate::serve::{self, HeadlessHub};
use hxa_domain::draft::Draft;
use hxa_domain::error::ApiError;
use hxa_domain::grants::{InviteRequest, TokenRequest};
use hxa_domain::ids::{BotId, OrgId, resembles_id};
use hxa_domain::orgs::{OrgDraft, OrgPatch};
use hxa_domain::scope::ScopeSet;
use hxa_domain::standing::OrgStatus;
use hxa_domain::text::Fields;
use hxa_hub::config::{Config, Flags};
use hxa_hub::core::caller::BotCaller;
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;
use hxa_hub::identity::{self, Founder};
use hxa_store::rows::{AuditRow, BotRow, OrgRow};
use hxa_store::{DbConnection, StoreConfig, accounts, audit, migrate, orgs, stats};
use hxa_web::{StatsView, TokenView, invite_view, listed_invite_view, new_org_view, org_view};

/// Executes a command.
pub async fn execute(flags: &Flags, command: &AdminCommand) -> Result<Value, AdminError> {
    let config = Config::load(flags).map_err(|error| AdminError(error.to_string()))?.config;
    match command {
        AdminCommand::Org(command) => org(config, command).await,
        AdminCommand::Bot(BotCommand::List { org }) => {
            let mut bots = bots_of(&mut open_database(&config)?, org)?;
            bots.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(bots.iter().map(bot_view).collect())
        }
        AdminCommand::Token(command) => token(config, command).await,
        AdminCommand::Invite(command) => invite(config, command).await,
        AdminCommand::Stats => {
            let figures = stats::load(&mut open_database(&config)?, now())?;
            Ok(json!(StatsView::new(figures, None)))
        }
    }
}

/// Opens the database for reads. Its schema must be current, because a read does not migrate it.
fn open_database(config: &Config) -> Result<DbConnection, AdminError> {
    let StoreConfig { backend, catalogue, .. } = serve::store_config(config);
    if !migrate::pending(&catalogue, &backend)?.is_empty() {
        return Err(AdminError(
            "the database is not up to date; start the hub or run `hxa-connect migrate` first".to_owned(),
        ));
    }
    backend.connect().map_err(|error| AdminError(format!("cannot open the database: {error}")))
}

/// Has a change made by a hub that has the database alone.
async fn change(
    config: Config,
    what: impl AsyncFnOnce(&Hub) -> Result<Value, AdminError>,
) -> Result<Value, AdminError> {
    let headless = HeadlessHub::open(config).await?;
    let outcome = what(headless.hub()).await;
    headless.close().await;
    outcome
}

/// The operator's own terminal takes lists of any length.
const ALL: i64 = i64::MAX;

fn now() -> i64 {
    hxa_store::clock::now_ms()
}

async fn org(config: Config, command: &OrgCommand) -> Result<Value, AdminError> {
    match command {
        OrgCommand::Create { name } => change(config, async |hub| create_org(hub, name).await).await,
        OrgCommand::List => {
            let rows = orgs::list(&mut open_database(&config)?, None, ALL)?.rows;
            Ok(rows.iter().map(|(row, bots)| json!(org_view(row, *bots))).collect())
        }
        OrgCommand::Suspend { org } => {
            change(config, async |hub| set_status(hub, org, OrgStatus::Suspended).await).await
        }
        OrgCommand::Reinstate { org } => {
            change(config, async |hub| set_status(hub, org, OrgStatus::Active).await).await
        }
    }
}

async fn create_org(hub: &Hub, name: &str) -> Result<Value, AdminError> {
    let mut body = Fields::from_iter([("name".to_owned(), json!(name))]);
    let OrgDraft { name, .. } = OrgDraft::read(&mut body)?;
    let persist = hub.config().messages.persist;
    let (row, secret) = identity::create_org(hub, Founder::SuperAdmin(None), name, persist).await?;
    Ok(json!(new_org_view(&row, &secret)))
}

async fn set_status(hub: &Hub, given: &str, status: OrgStatus) -> Result<Value, AdminError> {
    let org = find_org(hub, given).await?;
    let patch = OrgPatch { name: None, status: Some(status) };
    let row = identity::update_org(hub, &org, patch, None).await?;
    Ok(json!({ "id": row.id, "name": row.name, "status": row.status }))
}

async fn token(config: Config, command: &TokenCommand) -> Result<Value, AdminError> {
    match command {
        TokenCommand::Issue { owner, scopes, label, expires_in } => {
            let body = token_body(scopes, label.as_ref(), *expires_in);
            change(config, async |hub| issue_token(hub, owner, body).await).await
        }
        TokenCommand::List { owner } => list_tokens(&mut open_database(&config)?, owner),
        TokenCommand::Revoke { owner, id } => change(config, async |hub| revoke_token(hub, owner, id).await).await,
    }
}

async fn issue_token(hub: &Hub, owner: &Owner, mut body: Fields) -> Result<Value, AdminError> {
    let request = TokenRequest::read(&mut body)?;
    let caller = find_bot(hub, owner).await?;
    let new = identity::create_token(hub, &caller, request).await?;
    note(hub, &caller, "bot.token_create", &new.row.id.to_string()).await?;
    Ok(json!(TokenView::new(&new.row, Some(&new.token), None)))
}

fn list_tokens(conn: &mut DbConnection, owner: &Owner) -> Result<Value, AdminError> {
    let (org, bot) = owner_of(owner)?;
    let bots = bots_of(conn, org)?;
    let is_meant = |row: &&BotRow| if resembles_id(bot) { BotId::parse(bot) == Some(row.id) } else { row.name == bot };
    let id = bots.iter().find(is_meant).ok_or_else(|| ApiError::not_found("Bot"))?.id;
    let rows = accounts::list_tokens(conn, id, None, ALL)?.rows;
    Ok(rows.iter().map(|row| json!(TokenView::new(row, None, row.last_used_at))).collect())
}

async fn revoke_token(hub: &Hub, owner: &Owner, id: &str) -> Result<Value, AdminError> {
    let caller = find_bot(hub, owner).await?;
    identity::revoke_token(hub, &caller, id).await?;
    note(hub, &caller, "bot.token_revoke", id).await?;
    Ok(done())
}

async fn invite(config: Config, command: &InviteCommand) -> Result<Value, AdminError> {
    match command {
        InviteCommand::Create { max_uses, expires_in, label } => {
            let mut body = invite_body(*max_uses, label.as_ref(), *expires_in);
            change(config, async |hub| {
                let request = InviteRequest::read(&mut body)?;
                Ok(json!(invite_view(&identity::create_invite(hub, request, None).await?)))
            })
            .await
        }
        InviteCommand::List => {
            let rows = accounts::list_invites(&mut open_database(&config)?, None, ALL)?.rows;
            let now = now();
            Ok(rows.iter().map(|row| json!(listed_invite_view(row, now))).collect())
        }
        InviteCommand::Revoke { id } => {
            change(config, async |hub| {
                identity::delete_invite(hub, id, None).await?;
                Ok(done())
            })
            .await
        }
    }
}

/// The bot's own trail says that it did this; the platform's says who it was.
async fn note(hub: &Hub, caller: &BotCaller, action: &'static str, token: &str) -> Result<(), AdminError> {
    let detail = json!({ "bot": caller.bot.id, "org": caller.org.id, "by": "command line" });
    let row = AuditRow::new(None, hub.now(), None, action, "token", token, Some(detail));
    hub.store().write(0, move |conn| audit::insert(conn, &row)).await?;
    Ok(())
}

/// The organisation of these with this id or name.
fn resolve_org(orgs: Vec<(OrgRow, i64)>, given: &str) -> Result<OrgId, AdminError> {
    let known: Vec<(String, String)> = orgs.into_iter().map(|(row, _)| (row.id.to_string(), row.name)).collect();
    Ok(OrgId::parse(&org_id(&known, given)?).ok_or_else(|| ApiError::not_found("Organisation"))?)
}

fn bots_of(conn: &mut DbConnection, org: &str) -> Result<Vec<BotRow>, AdminError> {
    let id = resolve_org(orgs::list(conn, None, ALL)?.rows, org)?;
    Ok(orgs::load(conn, id)?.map(|(_, _, bots)| bots).unwrap_or_default())
}

async fn find_org(hub: &Hub, given: &str) -> Result<Arc<OrgState>, AdminError> {
    let id = resolve_org(hub.store().read(|conn| orgs::list(conn, None, ALL)).await?.rows, given)?;
    Ok(hub.org(id).await?.ok_or_else(|| ApiError::not_found("Organisation"))?)
}

/// The bot, as if it came with its primary token.
async fn find_bot(hub: &Hub, owner: &Owner) -> Result<BotCaller, AdminError> {
    let (org, given) = owner_of(owner)?;
    let org = find_org(hub, org).await?;
    let bot = org.find_bot(given).ok_or_else(|| ApiError::not_found("Bot"))?;
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
