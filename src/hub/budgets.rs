//! What members of an organisation have used of their rates and budgets, and its organisation of its own.
//!
//! A write is charged to the member that makes it and then to its organisation; whoever is refused by either has spent
//! nothing. Every write of an actor is charged where the call is handed over ([`Hub::call_thread`], [`Hub::call_org`]),
//! so REST and sockets are charged alike. Time is the hub's uptime, because a clock that jumps must neither fill nor
//! empty a bucket. Members of whom nothing counts any more leave the table.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use dashmap::mapref::one::RefMut;
use parking_lot::Mutex;
use uuid::Uuid;

use super::call::{Call, Operation};
use super::caller::Caller;
use super::hub::Hub;
use crate::config::Config;
use hxa_domain::budget::{self, Bucket, Budget, CLASSES, Empty, Scale, WriteClass};
use hxa_domain::error::{Allowance, ApiError, ApiResult};
use hxa_domain::limits::{DEFAULT_MESSAGES_PER_MINUTE, DEFAULT_THREADS_PER_HOUR, MESSAGE_WINDOW_MS, THREAD_WINDOW_MS};
use hxa_domain::ratelimit::SlidingWindow;
use hxa_domain::settings::OrgSettings;
use hxa_store::Write;

/// What one member has used: a bot, a registration ticket, or an organisation's admins, who are one.
#[derive(Default)]
pub struct Used {
    /// Messages of the last minute.
    pub messages: SlidingWindow,
    /// Threads created in the last hour.
    pub threads: SlidingWindow,
    buckets: [Bucket; CLASSES],
}

impl Used {
    fn is_idle(&self, budgets: &Rates<'_>, now: i64, uptime: u64) -> bool {
        let is_full = |class: &WriteClass| {
            let bucket = self.buckets.get(class.index());
            bucket.is_none_or(|bucket| bucket.is_full(u64::from(budgets.of(*class).member), uptime))
        };
        self.messages.is_idle(now, MESSAGE_WINDOW_MS)
            && self.threads.is_idle(now, THREAD_WINDOW_MS)
            && WriteClass::ALL.iter().all(is_full)
    }
}

/// What an organisation and its members have used.
#[derive(Default)]
pub struct Budgets {
    members: DashMap<Uuid, Used>,
    org: [Mutex<Bucket>; CLASSES],
    /// Of the organisation's settings, in thousandths.
    scale: AtomicU64,
}

/// The configured budgets.
struct Rates<'a>(&'a Config);

impl Rates<'_> {
    fn of(&self, class: WriteClass) -> Budget {
        let budgets = &self.0.budgets;
        match class {
            WriteClass::Message => budgets.messages,
            WriteClass::Thread => budgets.threads,
            WriteClass::Membership => budgets.memberships,
            WriteClass::Artifact => budgets.artifacts,
            WriteClass::File => budgets.files,
            WriteClass::Profile => budgets.profiles,
            WriteClass::Credential => budgets.credentials,
            WriteClass::Login => budgets.logins,
            WriteClass::Registration => budgets.registrations,
            WriteClass::Admin => budgets.admin,
            WriteClass::Refusal => budgets.refusals,
        }
    }
}

/// Who cannot pay.
enum Poor {
    Member(Empty),
    Org(Empty),
}

impl Budgets {
    /// What a member has used, for the limits that are settings of its organisation.
    pub fn member(&self, member: Uuid) -> RefMut<'_, Uuid, Used> {
        self.members.entry(member).or_default()
    }

    /// Forgets a member that is gone.
    pub fn forget(&self, member: Uuid) {
        self.members.remove(&member);
    }

    /// Raises the budgets as far as these settings raise the rates they hold.
    pub fn follow(&self, settings: &OrgSettings) {
        let scale = Scale::of_rates(&[
            (settings.messages_per_minute_per_bot, DEFAULT_MESSAGES_PER_MINUTE),
            (settings.threads_per_hour_per_bot, DEFAULT_THREADS_PER_HOUR),
        ]);
        self.scale.store(scale.thousandths(), Ordering::Relaxed);
    }

    fn scale(&self) -> Scale {
        Scale::from_thousandths(self.scale.load(Ordering::Relaxed))
    }

    /// The rates in force; `None` when nothing is limited, which is the case under load tests.
    fn rates(&self, budget: Budget) -> Option<[Option<u64>; 2]> {
        let scale = self.scale();
        let rates = [budget.member, budget.org].map(|rate| scale.raise(rate));
        rates.iter().any(Option::is_some).then_some(rates)
    }

    fn take(
        &self,
        member: Uuid,
        class: WriteClass,
        [own, org]: [Option<u64>; 2],
        cost: u64,
        now: u64,
    ) -> Result<(), Poor> {
        let index = class.index();
        if let Some(rate) = own
            && let Some(bucket) = self.member(member).buckets.get_mut(index)
        {
            bucket.take(cost, rate, now).map_err(Poor::Member)?;
        }
        let taken = match (org, self.org.get(index)) {
            (Some(rate), Some(bucket)) => bucket.lock().take(cost, rate, now).map_err(Poor::Org),
            _ => Ok(()),
        };
        if taken.is_err()
            && own.is_some()
            && let Some(bucket) = self.member(member).buckets.get_mut(index)
        {
            bucket.give_back(cost);
        }
        taken
    }

    /// Forgets members of whom nothing counts any more.
    pub fn sweep(&self, hub: &Hub) {
        let (rates, now, uptime) = (Rates(hub.config()), hub.now(), hub.uptime());
        self.members.retain(|_, used| !used.is_idle(&rates, now, uptime));
    }

    /// How many members something is remembered of.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members.len()
    }
}

impl Hub {
    fn uptime(&self) -> u64 {
        u64::try_from(self.uptime_ms()).unwrap_or(0)
    }

    /// Charges a call of an actor.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub(super) fn charge_call<O: Operation>(&self, call: &Call<O>) -> ApiResult<()> {
        match call.operation.class() {
            Some(class) => self.charge(&call.caller, class, || call.operation.bytes()),
            None => Ok(()),
        }
    }

    /// Charges the founding of an organisation, or the attempt, to the address it comes from.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub fn charge_founder(&self, address: IpAddr) -> ApiResult<()> {
        let member = match address.to_canonical() {
            IpAddr::V4(address) => Uuid::from_u128(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => Uuid::from_u128(address.to_bits() >> 64 << 64),
        };
        self.charge_member(self.strangers(), member, WriteClass::Registration, || 0)
    }

    /// Charges what a refusal writes to the audit trail.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub(super) fn charge_denials(&self, caller: &Caller, denials: &[Write]) -> ApiResult<()> {
        if denials.is_empty() { Ok(()) } else { self.charge(caller, WriteClass::Refusal, || 0) }
    }

    /// Charges a write; what it carries is only counted where that matters. The hub itself and the platform's admins, who
    /// act in its name, are not charged.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub fn charge(&self, caller: &Caller, class: WriteClass, bytes: impl FnOnce() -> usize) -> ApiResult<()> {
        let member = match caller {
            Caller::Bot(caller) => caller.bot.id.uuid(),
            // People who administer an organisation share what one bot has, and so does a bot that does it.
            Caller::Admin(caller) => caller.bot.as_ref().map_or_else(|| caller.org.id.uuid(), |bot| bot.id.uuid()),
            Caller::Hub(_) => return Ok(()),
        };
        self.charge_member(&caller.org().budgets, member, class, bytes)
    }

    /// Charges a write to a member of whoever has these budgets.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub fn charge_member(
        &self,
        budgets: &Budgets,
        member: Uuid,
        class: WriteClass,
        bytes: impl FnOnce() -> usize,
    ) -> ApiResult<()> {
        let Some(rates) = budgets.rates(Rates(self.config()).of(class)) else {
            return Ok(());
        };
        let cost = budget::cost(bytes());
        budgets.take(member, class, rates, cost, self.uptime()).map_err(|poor| {
            let (whose, empty) = match poor {
                Poor::Member(empty) => ("bot", empty),
                Poor::Org(empty) => ("organisation", empty),
            };
            self.metrics().limited(&format!("{class}_{whose}"));
            refusal(class, whose, cost, &empty)
        })
    }
}

fn refusal(class: WriteClass, whose: &str, cost: u64, empty: &Empty) -> ApiError {
    let (what, most, wait) = (class.what(), empty.per_minute, empty.wait_s.max(1));
    let message = format!(
        "Too many {what} by this {whose}: this one costs {cost} of {most} units a minute (one, and one more for each 16 KiB) \
         and {} are left; try again in {wait} s",
        empty.left
    );
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let allowance = Allowance { limit: number(most), remaining: number(empty.left), reset_s: wait, window_s: 60 };
    ApiError::rate_limited(wait).saying(message).with("limit", class.as_str()).with("scope", whose).under(allowance)
}
