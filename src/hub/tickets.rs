//! WebSocket tickets: a credential for one handshake, and how a socket is admitted with it.
//!
//! Tickets live in memory only, for half a minute, and are taken out by the first who shows them. They hold no secret
//! but the hash of the credential they stand for, which is looked up again at the handshake: what ended in between
//! stays out. Their times are those since the hub started, because a clock that jumps must neither end nor keep them.
//! Outstanding tickets are counted per bot, whatever tokens it asks with, and shared out between organisations.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use super::auth::{self, Authenticated, Principal, Role};
use super::caller::BotCaller;
use super::hub::Hub;
use super::org_state::{Bot, OrgState};
use super::outbox::{CloseNotice, Peer, SocketInfo, close};
use hxa_domain::error::{Allowance, ApiError, ApiResult};
use hxa_domain::ids::OrgId;
use hxa_domain::scope::ScopeSet;
use hxa_domain::secrets;
use hxa_domain::shares::{Full, Share, Shares};

/// Seconds a ticket is good for.
pub const LIFETIME_S: i64 = 30;
/// Of a bot's sockets, one in so many is kept for its primary token.
const KEPT_FOR_PRIMARY: usize = 8;

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
    /// Its bot, or its organisation's admins.
    pub member: Uuid,
    /// How it had authenticated.
    pub credential: Credential,
}

#[derive(Default)]
struct Outstanding {
    by_ticket: HashMap<String, Ticket>,
    /// Tickets in order of their end, those already used included.
    ends: VecDeque<(i64, String)>,
    counts: HashMap<(OrgId, Uuid), usize>,
}

struct Ticket {
    holder: TicketHolder,
    end: i64,
    /// Given back with the ticket.
    _share: Share<Uuid>,
}

/// The outstanding tickets.
pub struct Tickets {
    most_per_member: usize,
    shares: Arc<Shares<Uuid>>,
    outstanding: Mutex<Outstanding>,
}

impl Tickets {
    /// No tickets yet; a member may hold so many, and all organisations together `most`.
    #[must_use]
    pub fn new(most_per_member: usize, most: usize) -> Self {
        Self { most_per_member, shares: Shares::new(most), outstanding: Mutex::default() }
    }

    /// A new ticket; `now` is the hub's uptime in ms.
    ///
    /// # Errors
    /// 429 when the bot or its organisation has too many outstanding, 503 when everybody together has.
    pub fn issue(&self, holder: TicketHolder, now: i64) -> ApiResult<String> {
        let mut outstanding = self.outstanding.lock();
        outstanding.drop_ended(now);
        let member = (holder.org, holder.member);
        let count = outstanding.counts.get(&member).copied().unwrap_or(0);
        if count >= self.most_per_member {
            return Err(too_many("bot", self.most_per_member));
        }
        let share = match self.shares.take(holder.org.uuid(), holder.member, 1) {
            Ok(share) => share,
            Err(Full::Member | Full::Org) => return Err(too_many("organisation", self.shares.total() / 2)),
            Err(Full::Whole) => return Err(ApiError::unavailable("Too many tickets are outstanding; try again")),
        };
        outstanding.counts.insert(member, count + 1);
        let (ticket, end) = (secrets::hex_token("", 48), now.saturating_add(LIFETIME_S * 1000));
        outstanding.ends.push_back((end, ticket.clone()));
        outstanding.by_ticket.insert(ticket.clone(), Ticket { holder, end, _share: share });
        Ok(ticket)
    }

    /// Takes a ticket out; `None` when it is unknown, used or, at this uptime in ms, expired.
    #[must_use]
    pub fn redeem(&self, ticket: &str, now: i64) -> Option<TicketHolder> {
        let mut outstanding = self.outstanding.lock();
        let Ticket { holder, end, .. } = outstanding.by_ticket.remove(ticket)?;
        outstanding.count_down(&holder);
        (end >= now).then_some(holder)
    }
}

/// Tickets end by themselves, so the wait is known; sooner when one of them is used.
fn too_many(whose: &str, most: usize) -> ApiError {
    let seconds = LIFETIME_S.unsigned_abs();
    let limit = u32::try_from(most).unwrap_or(u32::MAX);
    let message = format!("The {whose} holds as many unused tickets as it may; use them or try again in {seconds} s");
    let refusal = ApiError::rate_limited(seconds).saying(message).with("limit", "ws_ticket").with("scope", whose);
    refusal.under(Allowance { limit, remaining: 0, reset_s: seconds, window_s: seconds })
}

impl Outstanding {
    fn drop_ended(&mut self, now: i64) {
        while self.ends.front().is_some_and(|(end, _)| *end < now) {
            let Some((_, ticket)) = self.ends.pop_front() else { return };
            if let Some(ticket) = self.by_ticket.remove(&ticket) {
                self.count_down(&ticket.holder);
            }
        }
    }

    fn count_down(&mut self, holder: &TicketHolder) {
        let member = (holder.org, holder.member);
        if let Some(count) = self.counts.get_mut(&member) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&member);
            }
        }
    }
}

/// Issues a ticket to an authenticated caller.
///
/// # Errors
/// 403 for super admins, who belong to no organisation; 429 and 503 when too many are outstanding.
pub fn issue(hub: &Hub, caller: &Authenticated) -> ApiResult<String> {
    let (org, member) = match &caller.principal {
        Principal::Bot(bot) => (bot.org.id, bot.bot.id.uuid()),
        Principal::OrgAdmin { org, .. } => (org.id, org.id.uuid()),
        Principal::SuperAdmin { .. } => return Err(ApiError::forbidden("A super admin has no socket")),
    };
    let credential = match (&caller.session, &caller.token_hash) {
        (Some(session), _) => Credential::Session(session.row.id_hash.clone()),
        (None, Some(hash)) => Credential::Token(hash.clone()),
        (None, None) => return Err(ApiError::internal()),
    };
    let issued = hub.tickets().issue(TicketHolder { org, member, credential }, hub.uptime_ms());
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
    let too_many = |bot: &BotCaller| {
        // What scoped tokens open leaves some for the primary token, so that none of them shuts the owner out.
        let kept = if bot.token.is_some() { limits.per_bot / KEPT_FOR_PRIMARY } else { 0 };
        admitted.org.socket_count(bot.bot.id) >= limits.per_bot.saturating_sub(kept)
    };
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
        scopes: known.scopes,
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
        scopes: caller.as_ref().map_or(ScopeSet::FULL, |caller| caller.scopes),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// One of the tokens of one of the bots of one of the organisations.
    fn holder_of(org: u128, bot: u128, token: &str) -> TicketHolder {
        TicketHolder {
            org: OrgId::from_uuid(Uuid::from_u128(org)),
            member: Uuid::from_u128(bot),
            credential: Credential::Token(token.to_owned()),
        }
    }

    fn holder(name: &str) -> TicketHolder {
        holder_of(1, name.bytes().map(u128::from).sum(), name)
    }

    #[test]
    fn a_ticket_is_good_once_and_for_half_a_minute() {
        let tickets = Tickets::new(1000, 100_000);
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
        let tickets = Tickets::new(1000, 100_000);
        for _ in 0..1000 {
            tickets.issue(holder("a"), 0).unwrap();
        }
        assert!(tickets.issue(holder("a"), 30_000).is_err());
        assert!(tickets.issue(holder("b"), 30_000).is_ok());
        assert!(tickets.issue(holder("a"), 30_001).is_ok());
        let outstanding = tickets.outstanding.lock();
        assert_eq!((outstanding.by_ticket.len(), outstanding.ends.len(), outstanding.counts.len()), (2, 2, 2));
    }

    /// A hundred scoped tokens of one bot held all tickets there were, and nobody else got one for half a minute.
    #[test]
    fn no_bot_and_no_organisation_holds_what_others_need() {
        let tickets = Tickets::new(1000, 100_000);
        let issued = (0..100_000).filter(|n| tickets.issue(holder_of(1, 1, &format!("{}", n / 1000)), 0).is_ok());
        assert_eq!(issued.count(), 1000);
        let issued = (0..100_000_u128).filter(|n| tickets.issue(holder_of(1, 2 + n / 1000, "t"), 0).is_ok());
        assert!((45_000..50_000).contains(&issued.count()), "half of all");
        for org in 2..6 {
            for _ in 0..1000 {
                tickets.issue(holder_of(org, 1, "t"), 0).unwrap();
            }
        }
        assert_eq!(tickets.shares.held(), tickets.outstanding.lock().by_ticket.len());
        tickets.outstanding.lock().drop_ended(30_001);
        assert_eq!(tickets.shares.held(), 0);
    }
}
