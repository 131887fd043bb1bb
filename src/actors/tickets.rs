//! WebSocket tickets: a credential for one handshake, and how a socket is admitted with it.
//!
//! Tickets live in memory only, for half a minute, and are taken out by the first who shows them. They hold no secret
//! but the hash of the credential they stand for, which is looked up again at the handshake: what ended in between
//! stays out. Their times are those since the hub started, because a clock that jumps must neither end nor keep them.
//! Outstanding tickets are counted, per credential and in total.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::auth::{self, Authenticated, Principal, Role};
use super::caller::BotCaller;
use super::hub::Hub;
use super::org_state::{Bot, OrgState};
use super::outbox::{CloseNotice, Peer, SocketInfo, close};
use crate::domain::ids::OrgId;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::secrets;
use crate::error::{Allowance, ApiError, ApiResult};

/// Seconds a ticket is good for.
pub const LIFETIME_S: i64 = 30;
/// Outstanding tickets of one credential: a fleet that reconnects together needs many at once.
const MOST_PER_HOLDER: u32 = 1000;
/// Outstanding tickets in total: some 30 MB.
const MOST: usize = 100_000;

/// The credential a ticket stands for, by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A bot's token.
    Token(String),
    /// A person's session.
    Session(String),
}

/// Whom a ticket was issued to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TicketHolder {
    /// Its organisation when the ticket was issued.
    pub org: OrgId,
    /// How it had authenticated.
    pub credential: Credential,
}

#[derive(Default)]
struct Outstanding {
    by_ticket: HashMap<String, (TicketHolder, i64)>,
    /// Tickets in order of their end, those already used included.
    ends: VecDeque<(i64, String)>,
    counts: HashMap<TicketHolder, u32>,
}

/// The outstanding tickets.
#[derive(Default)]
pub struct Tickets {
    outstanding: Mutex<Outstanding>,
}

impl Tickets {
    /// A new ticket; `now` is the hub's uptime in ms.
    ///
    /// # Errors
    /// 429 when the holder has too many outstanding, 503 when everybody together has.
    pub fn issue(&self, holder: TicketHolder, now: i64) -> ApiResult<String> {
        let mut outstanding = self.outstanding.lock();
        outstanding.drop_ended(now);
        if outstanding.by_ticket.len() >= MOST {
            return Err(ApiError::unavailable("Too many tickets are outstanding; try again"));
        }
        let count = outstanding.counts.entry(holder.clone()).or_default();
        if *count >= MOST_PER_HOLDER {
            let allowance = Allowance {
                limit: MOST_PER_HOLDER,
                remaining: 0,
                reset_s: LIFETIME_S.unsigned_abs(),
                window_s: LIFETIME_S.unsigned_abs(),
            };
            return Err(ApiError::rate_limited(allowance.reset_s).under(allowance));
        }
        *count += 1;
        let (ticket, end) = (secrets::hex_token("", 48), now.saturating_add(LIFETIME_S * 1000));
        outstanding.ends.push_back((end, ticket.clone()));
        outstanding.by_ticket.insert(ticket.clone(), (holder, end));
        Ok(ticket)
    }

    /// Takes a ticket out; `None` when it is unknown, used or, at this uptime in ms, expired.
    #[must_use]
    pub fn redeem(&self, ticket: &str, now: i64) -> Option<TicketHolder> {
        let mut outstanding = self.outstanding.lock();
        let (holder, end) = outstanding.by_ticket.remove(ticket)?;
        outstanding.count_down(&holder);
        (end >= now).then_some(holder)
    }
}

impl Outstanding {
    fn drop_ended(&mut self, now: i64) {
        while self.ends.front().is_some_and(|(end, _)| *end < now) {
            let Some((_, ticket)) = self.ends.pop_front() else { return };
            if let Some((holder, _)) = self.by_ticket.remove(&ticket) {
                self.count_down(&holder);
            }
        }
    }

    fn count_down(&mut self, holder: &TicketHolder) {
        if let Some(count) = self.counts.get_mut(holder) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(holder);
            }
        }
    }
}

/// Issues a ticket to an authenticated caller.
///
/// # Errors
/// 403 for super admins, who belong to no organisation; 429 and 503 when too many are outstanding.
pub fn issue(hub: &Hub, caller: &Authenticated) -> ApiResult<String> {
    let org = match &caller.principal {
        Principal::Bot(bot) => bot.org.id,
        Principal::OrgAdmin { org, .. } => org.id,
        Principal::SuperAdmin { .. } => return Err(ApiError::forbidden("A super admin has no socket")),
    };
    let credential = match (&caller.session, &caller.token_hash) {
        (Some(session), _) => Credential::Session(session.row.id_hash.clone()),
        (None, Some(hash)) => Credential::Token(hash.clone()),
        (None, None) => return Err(ApiError::internal()),
    };
    hub.tickets().issue(TicketHolder { org, credential }, hub.uptime_ms())
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
    pub credential: Credential,
}

/// Admits a socket; the refusal says what is wrong with its ticket.
///
/// # Errors
/// The close code of the first check that fails.
pub async fn admit(hub: &Hub, ticket: &str) -> Result<Admitted, CloseNotice> {
    let holder = hub.tickets().redeem(ticket, hub.uptime_ms()).ok_or(close::UNAUTHENTICATED)?;
    settled(hub, admit_credential(hub, holder.org, &holder.credential).await)
}

/// Looks once more at the credential of a socket that is registered now; the notice says why it must go. What ends a
/// credential closes the sockets that are registered by then, so between the two looks nothing slips in.
pub async fn ended_meanwhile(hub: &Hub, org: OrgId, credential: &Credential) -> Option<CloseNotice> {
    admit_credential(hub, org, credential).await.err().map(notice_of)
}

async fn admit_credential(hub: &Hub, org: OrgId, credential: &Credential) -> Result<Admitted, Refusal> {
    match credential {
        Credential::Token(hash) => admit_token(hub, org, hash).await,
        Credential::Session(hash) => admit_session(hub, org, hash).await,
    }
}

/// Admits a socket by a bot's token itself, as clients did before there were tickets.
///
/// # Errors
/// As [`admit`].
pub async fn admit_by_token(hub: &Hub, token: &str) -> Result<Admitted, CloseNotice> {
    let hash = secrets::secret_hash(token);
    let admitted = match auth::holder(hub, &hash).await {
        Ok(Some((org, ..))) => admit_token(hub, org.id, &hash).await,
        Ok(None) => Err(close::UNAUTHENTICATED.into()),
        Err(error) => Err(error.into()),
    };
    settled(hub, admitted)
}

/// The last check, and the close code of whatever failed before.
fn settled(hub: &Hub, admitted: Result<Admitted, Refusal>) -> Result<Admitted, CloseNotice> {
    let admitted = admitted.map_err(notice_of)?;
    let limits = &hub.config().sockets;
    let too_many = |bot: &BotCaller| admitted.org.socket_count(bot.bot.id) >= limits.per_bot;
    if admitted.caller.as_ref().is_some_and(too_many) {
        return Err(CloseNotice { code: 1013, reason: "too many sockets of this bot" });
    }
    if admitted.org.socket_total() >= limits.per_org {
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
    let Some((org, bot, known)) = auth::holder(hub, hash).await? else {
        return Err(close::UNAUTHENTICATED.into());
    };
    if auth::has_ended(hub, hash, &known) {
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
        hears_events: hears_events(known.scopes),
        expires_at: known.expires_at,
        connected_at: hub.now(),
    };
    Ok(Admitted { org, info, caller: Some(caller), credential: Credential::Token(hash.to_owned()) })
}

async fn admit_session(hub: &Hub, issued_for: OrgId, hash: &str) -> Result<Admitted, Refusal> {
    let org = hub.org(issued_for).await?.ok_or(close::ORG_SUSPENDED)?;
    check_org(&org)?;
    let session = auth::session_of(hub, hash).await?.ok_or(close::SESSION_ENDED)?;
    let bot = match session.role {
        Role::BotOwner { bot, .. } => Some(org.bot(bot).ok_or(close::SESSION_ENDED)?),
        Role::OrgAdmin { .. } | Role::SuperAdmin => None,
    };
    if let Some(bot) = &bot {
        check_bot(bot)?;
    }
    let caller = bot.map(|bot| BotCaller { via_socket: true, ..auth::session_caller(org.clone(), bot, &session) });
    let info = SocketInfo {
        org: org.id,
        bot: caller.as_ref().map(|caller| caller.bot.id),
        peer: Peer::Human { session: hash.to_owned(), is_admin: caller.is_none() },
        hears_events: caller.as_ref().is_none_or(|caller| hears_events(caller.scopes)),
        expires_at: session.token_expires_at,
        connected_at: hub.now(),
    };
    Ok(Admitted { org, info, caller, credential: Credential::Session(hash.to_owned()) })
}

fn check_bot(bot: &Bot) -> Result<(), CloseNotice> {
    match bot.row.join_status.as_str() {
        "active" => Ok(()),
        "pending" => Err(close::BOT_PENDING),
        _ => Err(close::BOT_REJECTED),
    }
}

fn check_org(org: &OrgState) -> Result<(), CloseNotice> {
    if org.is_active() { Ok(()) } else { Err(close::ORG_SUSPENDED) }
}

/// Whoever may read, write messages or work in threads hears events; a token for the profile alone does not.
fn hears_events(scopes: ScopeSet) -> bool {
    [Scope::Read, Scope::Thread, Scope::Message].into_iter().any(|scope| scopes.allows(scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(name: &str) -> TicketHolder {
        TicketHolder { org: OrgId::from_uuid(uuid::Uuid::nil()), credential: Credential::Token(name.to_owned()) }
    }

    #[test]
    fn a_ticket_is_good_once_and_for_half_a_minute() {
        let tickets = Tickets::default();
        let one = tickets.issue(holder("a"), 0).unwrap();
        assert_eq!(one.len(), 48);
        assert_eq!(tickets.redeem(&one, 30_000), Some(holder("a")));
        assert_eq!(tickets.redeem(&one, 0), None);
        let late = tickets.issue(holder("a"), 0).unwrap();
        assert_eq!(tickets.redeem(&late, 30_001), None);
        assert_eq!(tickets.redeem("", 0), None);
    }

    #[test]
    fn outstanding_tickets_are_bounded_and_forgotten() {
        let tickets = Tickets::default();
        for _ in 0..MOST_PER_HOLDER {
            tickets.issue(holder("a"), 0).unwrap();
        }
        assert!(tickets.issue(holder("a"), 30_000).is_err());
        assert!(tickets.issue(holder("b"), 30_000).is_ok());
        assert!(tickets.issue(holder("a"), 30_001).is_ok());
        let outstanding = tickets.outstanding.lock();
        assert_eq!((outstanding.by_ticket.len(), outstanding.ends.len(), outstanding.counts.len()), (2, 2, 2));
    }

    #[test]
    fn only_profile_tokens_hear_nothing() {
        assert!(!hears_events(ScopeSet::EMPTY.with(Scope::Profile)));
        for scope in [Scope::Full, Scope::Read, Scope::Thread, Scope::Message] {
            assert!(hears_events(ScopeSet::EMPTY.with(scope)));
        }
    }
}
