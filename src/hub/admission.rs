//! Admission of a socket: by a ticket, or by a token.
//!
//! A ticket contains no secret, only the hash of its credential, which is looked up again at the handshake: a
//! credential that has ended in between is refused.

use std::sync::Arc;

use crate::auth::{self, Authenticated, Principal, Role, Session};
use crate::core::caller::BotCaller;
use crate::core::org_state::{Bot, OrgState};
use crate::fanout::send_queue::{CloseNotice, Peer, SocketInfo, close};
use crate::hub::Hub;
use crate::ws_tickets::{TicketCredential, TicketHolder};
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::OrgId;
use hxa_domain::scope::{Need, ScopeSet};
use hxa_domain::secrets;
use hxa_domain::standing::JoinStatus;

/// Of a bot's sockets, one in so many is kept for its primary token.
const KEPT_FOR_PRIMARY: usize = 8;

/// Issues a ticket to an authenticated caller.
///
/// # Errors
/// 403 for super admins, who belong to no organisation, and for people who are no admins; 429 and 503 when too many are outstanding.
pub fn issue(hub: &Hub, caller: &Authenticated) -> ApiResult<String> {
    let (org, member) = match &caller.principal {
        Principal::Bot(bot) => (bot.org.id, bot.bot.id.uuid()),
        Principal::OrgAdmin { org, .. } => (org.id, org.id.uuid()),
        Principal::Person(caller) if caller.person.is_admin() => (caller.org.id, caller.person.id.uuid()),
        Principal::Person(_) => {
            return Err(ApiError::forbidden("Of an organisation's people only admins have a socket"));
        }
        Principal::SuperAdmin { .. } => return Err(ApiError::forbidden("A super admin has no socket")),
    };
    let credential = match (&caller.session, &caller.token_hash) {
        (Some(session), _) => TicketCredential::Session(session.row.id_hash.clone()),
        (None, Some(hash)) => TicketCredential::Token(hash.clone()),
        (None, None) => return Err(ApiError::internal()),
    };
    let issued = hub.ws_tickets().issue(TicketHolder { org, member, credential }, hub.uptime_ms());
    issued.inspect_err(|_| hub.metrics().limited("ws_ticket"))
}

/// What a ticket lets in.
pub struct Admitted {
    /// The organisation.
    pub org: Arc<OrgState>,
    /// What the socket is.
    pub info: SocketInfo,
    /// The bot that speaks through it.
    pub caller: Option<BotCaller>,
    /// What it was let in by.
    pub credential: TicketCredential,
}

/// Admits a socket; the refusal says what is wrong with its ticket.
///
/// # Errors
/// The close code of the first check that fails.
pub async fn admit(hub: &Hub, ticket: &str) -> Result<Admitted, CloseNotice> {
    let holder = hub.ws_tickets().redeem(ticket, hub.uptime_ms()).ok_or(close::UNAUTHENTICATED)?;
    checked(hub, admit_credential(hub, holder.org, &holder.credential).await)
}

/// Looks once more at the credential of a socket that is registered now; the notice says why it must go. What ends a
/// credential closes the sockets that are registered by then, so between the two looks nothing slips in.
pub async fn ended_meanwhile(hub: &Hub, org: OrgId, credential: &TicketCredential) -> Option<CloseNotice> {
    admit_credential(hub, org, credential).await.err().map(notice_of)
}

async fn admit_credential(hub: &Hub, org: OrgId, credential: &TicketCredential) -> Result<Admitted, Refusal> {
    match credential {
        TicketCredential::Token(hash) => admit_token(hub, org, hash).await,
        TicketCredential::Session(hash) => admit_session(hub, org, hash).await,
    }
}

/// Admits a socket by a bot's token itself, as clients did before there were tickets.
///
/// # Errors
/// As [`admit`].
pub async fn admit_by_token(hub: &Hub, token: &str) -> Result<Admitted, CloseNotice> {
    let hash = secrets::secret_hash(token);
    let admitted = match auth::holder(hub.auth(), &hash).await {
        Ok(Some((org, ..))) => admit_token(hub, org.id, &hash).await,
        Ok(None) => Err(close::UNAUTHENTICATED.into()),
        Err(error) => Err(error.into()),
    };
    checked(hub, admitted)
}

/// The last check, and the close code of whatever failed before.
fn checked(hub: &Hub, admitted: Result<Admitted, Refusal>) -> Result<Admitted, CloseNotice> {
    let admitted = admitted.map_err(notice_of)?;
    let limits = &hub.config().sockets;
    let too_many = |bot: &BotCaller| {
        // What scoped tokens open leaves some for the primary token, so that none of them shuts the owner out.
        let kept = if bot.token.is_some() { limits.per_bot / KEPT_FOR_PRIMARY } else { 0 };
        admitted.org.channel().socket_count(bot.bot.id) >= limits.per_bot.saturating_sub(kept)
    };
    if admitted.caller.as_ref().is_some_and(too_many) {
        return Err(CloseNotice { code: 1013, reason: "too many sockets of this bot" });
    }
    if admitted.org.channel().socket_total() >= limits.per_org {
        return Err(CloseNotice { code: 1013, reason: "too many sockets of this organisation" });
    }
    Ok(admitted)
}

enum Refusal {
    Close(CloseNotice),
    Failed,
}

fn notice_of(refusal: Refusal) -> CloseNotice {
    match refusal {
        Refusal::Close(notice) => notice,
        // The database is away: the client should come back, with a new ticket.
        Refusal::Failed => CloseNotice { code: 1013, reason: "try again later" },
    }
}

impl From<CloseNotice> for Refusal {
    fn from(notice: CloseNotice) -> Self {
        Refusal::Close(notice)
    }
}

impl From<ApiError> for Refusal {
    fn from(_: ApiError) -> Self {
        Refusal::Failed
    }
}

async fn admit_token(hub: &Hub, issued_for: OrgId, hash: &str) -> Result<Admitted, Refusal> {
    let Some((org, bot, known)) = auth::holder(hub.auth(), hash).await? else {
        return Err(close::UNAUTHENTICATED.into());
    };
    if auth::has_ended(hub.auth(), hash, &known) {
        return Err(close::UNAUTHENTICATED.into());
    }
    if !Need::Membership.is_covered(known.scopes) {
        return Err(close::UNAUTHENTICATED.into());
    }
    check_bot(&bot)?;
    if org.id != issued_for {
        return Err(close::ORG_MISMATCH.into());
    }
    check_org(&org)?;
    let caller = BotCaller { via_socket: true, ..auth::bot_caller(org.clone(), bot, &known) };
    let info = SocketInfo {
        org: org.id,
        bot: Some(caller.bot.id),
        peer: Peer::Token(known.token),
        scopes: known.scopes,
        expires_at: known.expires_at,
        connected_at: hub.now(),
    };
    Ok(Admitted { org, info, caller: Some(caller), credential: TicketCredential::Token(hash.to_owned()) })
}

async fn admit_session(hub: &Hub, issued_for: OrgId, hash: &str) -> Result<Admitted, Refusal> {
    let org = hub.org(issued_for).await?.ok_or(close::ORG_SUSPENDED)?;
    check_org(&org)?;
    let session = auth::session_of(hub.auth(), hash).await?.ok_or(close::SESSION_ENDED)?;
    let bot = match session.role {
        Role::BotOwner { bot, .. } => Some(org.bot(bot).ok_or(close::SESSION_ENDED)?),
        Role::OrgAdmin { .. } | Role::SuperAdmin | Role::Person { .. } => None,
    };
    if let Some(bot) = &bot {
        check_bot(bot)?;
    }
    let peer = peer_of(&org, &session, hash)?;
    let caller = bot.map(|bot| BotCaller { via_socket: true, ..auth::session_caller(org.clone(), bot, &session) });
    let info = SocketInfo {
        org: org.id,
        bot: caller.as_ref().map(|caller| caller.bot.id),
        peer,
        scopes: caller.as_ref().map_or(ScopeSet::FULL, |caller| caller.scopes),
        expires_at: session.token_expires_at,
        connected_at: hub.now(),
    };
    Ok(Admitted { org, info, caller, credential: TicketCredential::Session(hash.to_owned()) })
}

/// Who sits behind a socket that was opened with a session: a person only as long as it is an admin.
fn peer_of(org: &OrgState, session: &Session, hash: &str) -> Result<Peer, CloseNotice> {
    let hash = hash.to_owned();
    match session.role {
        Role::BotOwner { .. } => Ok(Peer::Human { session: hash, is_admin: false }),
        Role::OrgAdmin { .. } | Role::SuperAdmin => Ok(Peer::Human { session: hash, is_admin: true }),
        Role::Person { person, .. } if org.person(person).is_some_and(|person| person.is_admin()) => {
            Ok(Peer::Person { session: hash, person })
        }
        Role::Person { .. } => Err(close::SESSION_ENDED),
    }
}

fn check_bot(bot: &Bot) -> Result<(), CloseNotice> {
    match bot.row.join_status {
        JoinStatus::Active => Ok(()),
        JoinStatus::Pending => Err(close::BOT_PENDING),
        JoinStatus::Rejected => Err(close::BOT_REJECTED),
    }
}

fn check_org(org: &OrgState) -> Result<(), CloseNotice> {
    if org.is_active() { Ok(()) } else { Err(close::ORG_SUSPENDED) }
}
