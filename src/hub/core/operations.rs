//! Rate of socket operations: per bot and per organisation, for any operation and any result.
//!
//! Messages and threads have rates of their own, which clients know; this one covers everything else (pings, resuming,
//! subscriptions, changes, frames that are refused or cannot be parsed), so that nobody can keep the hub busy with it.
//! Expensive operations are charged more. An organisation that allows its bots more messages allows them more of
//! everything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;

use super::Core;
use crate::core::org_state::OrgState;
use hxa_domain::error::{Allowance, ApiError};
use hxa_domain::ids::{BotId, OrgId};
use hxa_domain::ratelimit::TokenBucket;

/// Bytes of a frame or an answer that cost as much as an operation: about the time it takes to read them as JSON.
const BYTES_PER_OPERATION: usize = 8 * 1024;
/// Operations that a bot may send for each message that it may.
const PER_MESSAGE: u64 = 4;
/// Buckets that are kept before those that are full again are looked for.
const KEPT: usize = 10_000;
/// Nobody waits longer than this before it is read again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whose operations are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Payer {
    Bot(BotId),
    Admins(OrgId),
    Org(OrgId),
}

/// The rates of all that have sockets.
#[derive(Debug)]
pub struct Operations {
    started: Instant,
    buckets: DashMap<Payer, Arc<TokenBucket>>,
}

impl Default for Operations {
    fn default() -> Self {
        Self { started: Instant::now(), buckets: DashMap::new() }
    }
}

/// What one socket's operations are charged to.
#[derive(Debug, Clone)]
pub struct Meter {
    own: Arc<TokenBucket>,
    org: Arc<TokenBucket>,
}

/// A refusal, and how long not to read from the socket that it goes to.
#[derive(Debug)]
pub struct Refused {
    /// 429 `RATE_LIMITED`.
    pub error: ApiError,
    /// Until as much as was asked for is there.
    pub pause: Duration,
}

impl Operations {
    /// The meter of a bot's socket, or of an organisation admin's.
    #[must_use]
    pub fn meter(&self, org: OrgId, bot: Option<BotId>) -> Meter {
        let own = bot.map_or(Payer::Admins(org), Payer::Bot);
        Meter { own: self.bucket(own), org: self.bucket(Payer::Org(org)) }
    }

    fn bucket(&self, payer: Payer) -> Arc<TokenBucket> {
        if self.buckets.len() >= KEPT && !self.buckets.contains_key(&payer) {
            let now = self.now();
            // One that is full says nothing; a socket that uses it keeps it apart until it is asked for anew.
            self.buckets.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_full(now));
        }
        self.buckets.entry(payer).or_default().clone()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What handling this many bytes costs, beside the operation itself.
#[must_use]
pub fn cost_of(bytes: usize) -> u64 {
    u64::try_from(bytes / BYTES_PER_OPERATION).unwrap_or(u64::MAX)
}

impl Core {
    /// Charges operations to a socket.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`, with the time to wait.
    pub fn charge_operations(&self, meter: &Meter, org: &OrgState, cost: u64) -> Result<(), Refused> {
        let (per_bot, per_org) = self.operation_rates(org);
        let now = self.operations().now();
        let taken = meter.own.take(now, cost, per_bot).map_err(|wait| (wait, per_bot));
        taken.and_then(|()| meter.org.take(now, cost, per_org).map_err(|wait| (wait, per_org))).map_err(
            |(wait, rate)| {
                self.metrics().limited("operations");
                refusal(Duration::from_nanos(wait), rate)
            },
        )
    }

    /// Charges what is only known once it is done; who owes waits longer for the next.
    pub fn owe_operations(&self, meter: &Meter, org: &OrgState, cost: u64) {
        let (per_bot, per_org) = self.operation_rates(org);
        let now = self.operations().now();
        meter.own.owe(now, cost, per_bot);
        meter.org.owe(now, cost, per_org);
    }

    /// Operations per second of a bot and of its whole organisation.
    fn operation_rates(&self, org: &OrgState) -> (u64, u64) {
        let sockets = &self.config().sockets;
        let messages = u64::try_from(org.settings().messages_per_minute_per_bot).unwrap_or(0);
        let (bot, all) = (sockets.operations_per_second_per_bot, sockets.operations_per_second_per_org);
        let raised = messages.saturating_mul(PER_MESSAGE) / 60;
        if raised <= bot { (bot, all) } else { (raised, all.saturating_mul(raised / bot.max(1)).max(raised)) }
    }
}

fn refusal(wait: Duration, per_second: u64) -> Refused {
    let retry_after = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    let limit = u32::try_from(per_second.saturating_mul(10)).unwrap_or(u32::MAX);
    let left = Allowance { limit, remaining: 0, reset_s: retry_after, window_s: 10 };
    Refused { error: ApiError::rate_limited(retry_after).under(left), pause: wait.min(LONGEST_PAUSE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_one_bot_share_what_they_may() {
        let (operations, org, bot) = (Operations::default(), OrgId::random(), BotId::at(0));
        let (one, two) = (operations.meter(org, Some(bot)), operations.meter(org, Some(bot)));
        let other = operations.meter(org, Some(BotId::at(1)));
        let (first, second) = (operations.meter(org, None), operations.meter(org, None));
        assert!(Arc::ptr_eq(&one.own, &two.own) && Arc::ptr_eq(&first.own, &second.own));
        assert!(!Arc::ptr_eq(&one.own, &other.own) && !Arc::ptr_eq(&one.own, &first.own));
        assert!([&two, &other, &first].iter().all(|meter| Arc::ptr_eq(&one.org, &meter.org)));
        assert!(!Arc::ptr_eq(&one.org, &operations.meter(OrgId::random(), None).org));
    }

    #[test]
    fn buckets_that_are_full_are_forgotten_and_others_kept() {
        let operations = Operations::default();
        let (org, used) = (OrgId::random(), operations.meter(OrgId::random(), Some(BotId::at(0))));
        let tired = operations.meter(org, Some(BotId::at(1)));
        tired.own.owe(operations.now(), 1000, 1);
        drop(tired);
        for n in 0..KEPT + 10 {
            drop(operations.meter(org, Some(BotId::at(i64::try_from(n).unwrap()))));
        }
        assert!(operations.buckets.len() < KEPT);
        assert!(operations.buckets.iter().any(|entry| Arc::ptr_eq(entry.value(), &used.own)));
        assert!(operations.buckets.iter().any(|entry| !entry.value().is_full(operations.now())));
    }

    #[test]
    fn bytes_are_paid_for() {
        assert_eq!((cost_of(100), cost_of(1_200_000)), (0, 146));
        let refused = refusal(Duration::from_millis(1500), 200);
        assert_eq!((refused.error.retry_after(), refused.pause), (Some(2), LONGEST_PAUSE));
    }
}
