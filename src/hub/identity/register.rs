//! Registering a bot, with the organisation's secret or with a ticket.
//!
//! The credential is checked before anything else that is expensive or reveals information: webhook, tombstone,
//! duplicate. A ticket is checked twice, before and inside the transaction, because it may be used up in between; a
//! name conflict leaves it unused.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::{Client, Guess, check_org};
use crate::core::caller::Caller;
use crate::core::org_state::{Bot, OrgState};
use crate::fanout::event::{Audience, Event};
use crate::hub::Hub;
use crate::org::OrgChange;
use crate::wire::events;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{BotId, OrgId, TicketId};
use hxa_domain::profile::{RegisterRequest, RegistrationCredential};
use hxa_domain::secrets;
use hxa_domain::standing::{AuthRole, JoinStatus};
use hxa_store::bots::BotChanges;
use hxa_store::rows::{AuditRow, BotRow, TicketRow};
use hxa_store::{audit, bots, tickets};

/// A bot that was just registered.
pub struct Registered {
    /// Its organisation.
    pub org: Arc<OrgState>,
    /// The bot.
    pub bot: Arc<Bot>,
    /// Its primary token; shown once.
    pub token: String,
}

/// How the door was opened.
enum Entry {
    Secret,
    Ticket { id: TicketId, skip_approval: bool },
}

impl Entry {
    /// Whose budget the registration is charged to: the ticket's, or that of the organisation's admins.
    fn payer(&self, org: &OrgState) -> Uuid {
        match self {
            Entry::Secret => org.id.uuid(),
            Entry::Ticket { id, .. } => id.uuid(),
        }
    }
}

/// Registers a bot. Its fields are judged before its credential, but only who may come in makes the hub look up a host.
///
/// # Errors
/// 401 for a wrong credential, 403 when the organisation is not active, 400 for an unusable webhook, 409 when the name
/// is blocked or taken, 429 after too many wrong credentials or while too many webhooks are being checked.
pub async fn register(hub: &Hub, request: RegisterRequest, client: &Client) -> ApiResult<Registered> {
    if let Some(url) = &request.webhook_url {
        hub.webhooks().check_text(url)?;
    }
    let (org, entry) = open_door(hub, &request, client).await?;
    check_org(&org)?;
    check_room(hub, &org)?;
    let member = entry.payer(&org);
    hub.charge_member(&org.budgets, member, WriteClass::Registration, || {
        request.metadata.as_ref().map_or(0, String::len)
    })?;
    let _under_way = match &request.webhook_url {
        Some(url) => {
            let under_way = hub.webhooks().begin_change(org.id, None)?;
            hub.webhooks().check(org.id, None, url).await?;
            Some(under_way)
        }
        None => None,
    };
    let (token, now) = (primary_token(), hub.now());
    let row = bot_row(&org, &entry, request, &token, now);
    let id = row.id;
    hub.orgs().ask(Caller::Hub(org.clone()), registration(&org, entry, row, now)).await?;
    let bot = org.bot(id).ok_or_else(ApiError::internal)?;
    Ok(Registered { org, bot, token })
}

/// Refuses one more bot where there are enough.
pub(super) fn check_room(hub: &Hub, org: &OrgState) -> ApiResult<()> {
    let most = hub.config().limits.bots_per_org;
    if org.bot_count() < most { Ok(()) } else { Err(ApiError::limit_reached("organisation", "bots", most)) }
}

/// A new primary token.
#[must_use]
pub fn primary_token() -> String {
    secrets::hex_token("bot_", 48)
}

/// Checks the credential; wrong ones are counted.
async fn open_door(hub: &Hub, request: &RegisterRequest, client: &Client) -> ApiResult<(Arc<OrgState>, Entry)> {
    let (limiter, now) = (hub.auth().limiter(), hub.now());
    limiter.check(Guess::Registration, client.address, &request.org_id, now)?;
    let org = match OrgId::parse(&request.org_id) {
        Some(id) => hub.org(id).await?,
        None => None,
    };
    let opened = match &request.credential {
        RegistrationCredential::OrgSecret(secret) => by_secret(org, secret),
        RegistrationCredential::Ticket(reference) => by_ticket(hub, org, reference, now).await,
    };
    if let Err(refusal) = &opened
        && matches!(refusal.code(), ErrorCode::InvalidCredentials | ErrorCode::InvalidTicket)
    {
        limiter.failed(Guess::Registration, client.address, &request.org_id, now);
        hub.metrics().limited("registration_failed");
    }
    opened
}

fn by_secret(org: Option<Arc<OrgState>>, secret: &str) -> ApiResult<(Arc<OrgState>, Entry)> {
    let hash = secrets::secret_hash(secret);
    match org {
        Some(org) if secrets::constant_time_eq(&org.row().secret_hash, &hash) => Ok((org, Entry::Secret)),
        _ => Err(ApiError::new(ErrorCode::InvalidCredentials, "The organisation or its secret is wrong")),
    }
}

async fn by_ticket(
    hub: &Hub,
    org: Option<Arc<OrgState>>,
    reference: &str,
    now: i64,
) -> ApiResult<(Arc<OrgState>, Entry)> {
    let Some(org) = org else {
        return Err(ApiError::new(ErrorCode::InvalidTicket, "The ticket is not valid for this organisation"));
    };
    let (id, wanted) = (org.id, reference.to_owned());
    let found = hub.store().read(move |conn| tickets::find_usable(conn, id, &wanted, now)).await;
    let ticket: TicketRow = found?;
    Ok((org, Entry::Ticket { id: ticket.id, skip_approval: ticket.skip_approval }))
}

fn bot_row(org: &OrgState, entry: &Entry, request: RegisterRequest, token: &str, now: i64) -> BotRow {
    let waits = match entry {
        Entry::Secret => false,
        Entry::Ticket { skip_approval, .. } => org.settings().join_approval_required && !skip_approval,
    };
    let mut row = BotRow {
        auth_role: if matches!(entry, Entry::Secret) { AuthRole::Admin } else { AuthRole::Member },
        join_status: if waits { JoinStatus::Pending } else { JoinStatus::Active },
        metadata: request.metadata,
        webhook_url: request.webhook_url,
        webhook_secret: request.webhook_secret,
        last_seen_at: Some(now),
        webhook_events: request.webhook_events.map(|events| Value::from(events).to_string()),
        ..plain_row(org.id, request.name, token, now)
    };
    BotChanges::of_profile(&request.profile).apply(&mut row);
    row
}

/// An active member without a profile.
#[must_use]
pub fn plain_row(org: OrgId, name: String, token: &str, now: i64) -> BotRow {
    BotRow {
        id: BotId::at(now),
        org_id: org,
        name,
        token_hash: secrets::secret_hash(token),
        auth_role: AuthRole::Member,
        join_status: JoinStatus::Active,
        join_status_changed_by: None,
        join_status_changed_at: None,
        join_status_reason: None,
        metadata: None,
        webhook_url: None,
        webhook_secret: None,
        bio: None,
        role: None,
        function: None,
        team: None,
        tags: None,
        languages: None,
        protocols: None,
        status_text: None,
        timezone: None,
        active_hours: None,
        version: None,
        runtime: None,
        last_seen_at: None,
        created_at: now,
        webhook_events: None,
        webhook_old_secret: None,
        webhook_old_secret_until: None,
    }
}

fn registration(org: &OrgState, entry: Entry, row: BotRow, now: i64) -> OrgChange<()> {
    let via = if matches!(entry, Entry::Secret) { "org_secret" } else { "ticket" };
    let detail = json!({ "name": row.name, "reregister": false, "via": via, "auth_role": row.auth_role });
    let trail = AuditRow::new(org.id, now, Some(row.id.to_string()), "bot.register", "bot", row.id, Some(detail));
    let (id, new, told) = (org.id, row.clone(), join_request(org, &row));
    let change = OrgChange::new(
        WriteClass::Registration,
        move |conn| {
            let ticket = match &entry {
                Entry::Secret => None,
                Entry::Ticket { id: ticket, .. } => Some(tickets::recheck(conn, id, *ticket, now)?),
            };
            bots::check_name(conn, id, &row.name, None)?;
            bots::insert(conn, &row)?;
            if let Some(ticket) = &ticket {
                tickets::consume(conn, ticket)?;
            }
            audit::insert(conn, &trail)
        },
        move |org, ()| {
            let event = registered(&new);
            org.put_bot(new);
            vec![event]
        },
    );
    change.telling(told.into_iter().collect())
}

/// Tells everybody of a new bot.
pub(super) fn registered(row: &BotRow) -> Event {
    let bot = events::AdmittedBot { id: row.id, name: &row.name, join_status: row.join_status };
    Event::new("bot_registered", &events::BotRegistered { bot }, Audience::Org { except: None }).telling_of(row.id)
}

/// Tells the admins of a bot that waits for them.
fn join_request(org: &OrgState, row: &BotRow) -> Option<Event> {
    if row.join_status != JoinStatus::Pending {
        return None;
    }
    let bot = events::NamedBot { id: row.id, name: &row.name };
    let fields = events::BotJoinRequested { bot, org_id: row.org_id };
    Some(Event::new("bot_join_request", &fields, Audience::Admins(org.admin_bots())).telling_of(row.id))
}
