//! WebSocket tickets: a credential for one handshake.
//!
//! Tickets are kept in memory only, for half a minute, and are removed when they are redeemed. They contain no secret,
//! only the hash of their credential, which is looked up again at the handshake: a credential that has ended in between
//! is refused. Their times are relative to the hub's start, so that a clock jump neither expires nor extends them.
//! Outstanding tickets are counted per bot, over all its tokens, and shared between organisations.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use hxa_domain::error::{Allowance, ApiError, ApiResult};
use hxa_domain::ids::OrgId;
use hxa_domain::secrets;
use hxa_domain::shares::{Full, Share, Shares};

/// Seconds a ticket is good for.
pub const LIFETIME_S: i64 = 30;

/// The credential a ticket stands for, by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TicketCredential {
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
    pub credential: TicketCredential,
}

#[derive(Default)]
struct Outstanding {
    by_ticket: HashMap<String, Ticket>,
    /// WsTickets in order of their end, those already used included.
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
pub struct WsTickets {
    most_per_member: usize,
    shares: Arc<Shares<Uuid>>,
    outstanding: Mutex<Outstanding>,
}

impl WsTickets {
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

/// WsTickets end by themselves, so the wait is known; sooner when one of them is used.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// One of the tokens of one of the bots of one of the organisations.
    fn holder_of(org: u128, bot: u128, token: &str) -> TicketHolder {
        TicketHolder {
            org: OrgId::from_uuid(Uuid::from_u128(org)),
            member: Uuid::from_u128(bot),
            credential: TicketCredential::Token(token.to_owned()),
        }
    }

    fn holder(name: &str) -> TicketHolder {
        holder_of(1, name.bytes().map(u128::from).sum(), name)
    }

    #[test]
    fn a_ticket_is_good_once_and_for_half_a_minute() {
        let tickets = WsTickets::new(1000, 100_000);
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
        let tickets = WsTickets::new(1000, 100_000);
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
        let tickets = WsTickets::new(1000, 100_000);
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
