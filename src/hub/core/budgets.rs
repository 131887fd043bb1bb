//! Used rates and budgets of the members of an organisation and of the organisation itself.
//!
//! A write is charged to the member that makes it and then to its organisation; if either refuses, nothing is charged.
//! Every write of an actor is charged where the call is handed over ([`crate::core::actors::Actors::call`]),
//! so REST and sockets are charged alike. Time is the hub's uptime, so that a clock jump neither fills nor empties a bucket.
//! Members with full budgets are removed from the table.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use dashmap::mapref::one::RefMut;
use parking_lot::Mutex;
use uuid::Uuid;

use super::Core;
use crate::config::Config;
use hxa_domain::budget::{Bucket, Budget, CLASSES, Empty, Scale, WriteClass};
use hxa_domain::limits::{DEFAULT_MESSAGES_PER_MINUTE, DEFAULT_THREADS_PER_HOUR, MESSAGE_WINDOW_MS, THREAD_WINDOW_MS};
use hxa_domain::ratelimit::SlidingWindow;
use hxa_domain::settings::OrgSettings;

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
pub(super) struct Rates<'a>(pub(super) &'a Config);

impl Rates<'_> {
    pub(super) fn of(&self, class: WriteClass) -> Budget {
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
            WriteClass::Request => budgets.requests,
            WriteClass::Call => budgets.calls,
        }
    }
}

/// Who cannot pay.
pub(super) enum Poor {
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
    pub(super) fn rates(&self, budget: Budget) -> Option<[Option<u64>; 2]> {
        let scale = self.scale();
        let rates = [budget.member, budget.org].map(|rate| scale.raise(rate));
        rates.iter().any(Option::is_some).then_some(rates)
    }

    pub(super) fn take(
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
    pub fn sweep(&self, core: &Core) {
        let (rates, now, uptime) = (Rates(core.config()), core.now(), core.uptime());
        self.members.retain(|_, used| !used.is_idle(&rates, now, uptime));
    }

    /// How many members something is remembered of.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members.len()
    }
}
