//! Commands on a hub itself or on the configured database, whichever [`Place`] there is.

mod people;

use serde_json::{Value, json};

use super::orgs::{self as found_orgs, ALL};
use super::place::Place;
use super::{AdminError, done, invite_body, keys, token_body};
use crate::cli::{AdminCommand, BotCommand, InviteCommand, OrgCommand, Owner, TokenCommand};
use hxa_domain::draft::Draft;
use hxa_domain::error::ApiError;
use hxa_domain::grants::{InviteRequest, TokenRequest};
use hxa_domain::ids::{BotId, resembles_id};
use hxa_domain::orgs::{OrgDraft, OrgPatch};
use hxa_domain::scope::ScopeSet;
use hxa_domain::standing::OrgStatus;
use hxa_domain::text::Fields;
use hxa_hub::core::caller::BotCaller;
use hxa_hub::hub::Hub;
use hxa_hub::identity::{self, Founder};
use hxa_store::rows::{AuditRow, BotRow};
use hxa_store::{accounts, audit, orgs, stats};
use hxa_web::{StatsView, TokenView, invite_view, listed_invite_view, new_org_view, org_view};

/// Executes a command.
pub async fn execute(place: &Place<'_>, command: &AdminCommand) -> Result<Value, AdminError> {
    match command {
        AdminCommand::Org(command) => org(place, command).await,
        AdminCommand::Bot(BotCommand::List { org }) => {
            let mut bots = bots_of(place, org).await?;
            bots.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(bots.iter().map(bot_view).collect())
        }
        AdminCommand::Token(command) => token(place, command).await,
        AdminCommand::Person(command) => people::execute(place, command).await,
        AdminCommand::Key(command) => keys::execute(place, command).await,
        AdminCommand::Invite(command) => invite(place, command).await,
        AdminCommand::Stats => {
            let now = now();
            let figures = place.read(move |conn| stats::load(conn, now)).await?;
            Ok(json!(StatsView::new(figures, None)))
        }
    }
}

fn now() -> i64 {
    hxa_store::clock::now_ms()
}

async fn org(place: &Place<'_>, command: &OrgCommand) -> Result<Value, AdminError> {
    match command {
        OrgCommand::Create { name } => place.change(async |hub| create_org(hub, name).await).await,
        OrgCommand::List => {
            let rows = place.read(|conn| orgs::list(conn, None, ALL)).await?.rows;
            Ok(rows.iter().map(|(row, bots)| json!(org_view(row, *bots))).collect())
        }
        OrgCommand::Suspend { org } => place.change(async |hub| set_status(hub, org, OrgStatus::Suspended).await).await,
        OrgCommand::Reinstate { org } => place.change(async |hub| set_status(hub, org, OrgStatus::Active).await).await,
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
    let org = found_orgs::find(hub, Some(given)).await?;
    let patch = OrgPatch { name: None, status: Some(status) };
    let row = identity::update_org(hub, &org, patch, None).await?;
    Ok(json!({ "id": row.id, "name": row.name, "status": row.status }))
}

async fn token(place: &Place<'_>, command: &TokenCommand) -> Result<Value, AdminError> {
    match command {
        TokenCommand::Issue { owner, scopes, label, expires_in } => {
            let body = token_body(scopes, label.as_ref(), *expires_in);
            place.change(async |hub| issue_token(hub, owner, body).await).await
        }
        TokenCommand::List { owner } => list_tokens(place, owner).await,
        TokenCommand::Revoke { owner, id } => place.change(async |hub| revoke_token(hub, owner, id).await).await,
    }
}

async fn issue_token(hub: &Hub, owner: &Owner, mut body: Fields) -> Result<Value, AdminError> {
    let request = TokenRequest::read(&mut body)?;
    let caller = find_bot(hub, owner).await?;
    let new = identity::create_token(hub, &caller, request).await?;
    note(hub, &caller, "bot.token_create", &new.row.id.to_string()).await?;
    Ok(json!(TokenView::new(&new.row, Some(&new.token), None)))
}

async fn list_tokens(place: &Place<'_>, owner: &Owner) -> Result<Value, AdminError> {
    let (org, bot) = owner_of(owner)?;
    let bots = bots_of(place, org).await?;
    let is_meant = |row: &&BotRow| if resembles_id(bot) { BotId::parse(bot) == Some(row.id) } else { row.name == bot };
    let id = bots.iter().find(is_meant).ok_or_else(|| ApiError::not_found("Bot"))?.id;
    let rows = place.read(move |conn| accounts::list_tokens(conn, id, None, ALL)).await?.rows;
    Ok(rows.iter().map(|row| json!(TokenView::new(row, None, row.last_used_at))).collect())
}

async fn revoke_token(hub: &Hub, owner: &Owner, id: &str) -> Result<Value, AdminError> {
    let caller = find_bot(hub, owner).await?;
    identity::revoke_token(hub, &caller, id).await?;
    note(hub, &caller, "bot.token_revoke", id).await?;
    Ok(done())
}

async fn invite(place: &Place<'_>, command: &InviteCommand) -> Result<Value, AdminError> {
    match command {
        InviteCommand::Create { max_uses, expires_in, label } => {
            let mut body = invite_body(*max_uses, label.as_ref(), *expires_in);
            place
                .change(async |hub| {
                    let request = InviteRequest::read(&mut body)?;
                    Ok(json!(invite_view(&identity::create_invite(hub, request, None).await?)))
                })
                .await
        }
        InviteCommand::List => {
            let rows = place.read(|conn| accounts::list_invites(conn, None, ALL)).await?.rows;
            let now = now();
            Ok(rows.iter().map(|row| json!(listed_invite_view(row, now))).collect())
        }
        InviteCommand::Revoke { id } => {
            place
                .change(async |hub| {
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

async fn bots_of(place: &Place<'_>, org: &str) -> Result<Vec<BotRow>, AdminError> {
    let id = found_orgs::resolve(&place.read(found_orgs::rows).await?, Some(org))?;
    let stored = place.read(move |conn| orgs::load(conn, id)).await?;
    Ok(stored.map(|stored| stored.bots).unwrap_or_default())
}

/// The bot, as if it came with its primary token.
async fn find_bot(hub: &Hub, owner: &Owner) -> Result<BotCaller, AdminError> {
    let (org, given) = owner_of(owner)?;
    let org = found_orgs::find(hub, Some(org)).await?;
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
