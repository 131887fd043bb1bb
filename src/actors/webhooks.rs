//! What is on its way to webhooks: the queue's positions, the actors that empty it, and the door to the outside.
//!
//! A delivery becomes a row in the same commit as what it tells of ([`Webhooks::queue`]); once that is durable the
//! bot's `WebhookActor` is woken and empties the bot's queue in order. Nothing is kept in memory that would be lost
//! with it: a look at the queue every half minute ([`sweep`]) wakes whoever was forgotten, after a restart or a panic.

mod courier;
mod outside;
mod resolver;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use actix::Addr;
use actix::prelude::SendError;
use dashmap::DashMap;
use uuid::Uuid;

use super::event::Event;
use super::hub::Hub;
use super::org_state::OrgState;
use crate::config::Config;
use crate::domain::ids::{BotId, EventId, OrgId};
use crate::domain::shares::{Share, Shares};
use crate::domain::webhook::{self, Schedule};
use crate::error::{ApiResult, ErrorCode};
use crate::store::rows::DeliveryRow;
use crate::store::{Write, webhooks};
use courier::{Wake, WebhookActor};
use outside::{Outside, too_many};
pub use resolver::{LookUp, system_look_up};

/// The actors of bots with something to deliver, and what they share.
pub struct Webhooks {
    couriers: DashMap<BotId, Addr<WebhookActor>>,
    /// The newest position handed out.
    position: AtomicI64,
    schedule: Schedule,
    outside: Outside,
    /// Changes of webhooks that are under way.
    changes: Arc<Shares<Uuid>>,
}

/// A change of a webhook that is under way, until it is dropped.
pub struct UnderWay(#[expect(dead_code, reason = "given back when dropped")] Share<Uuid>);

/// The bots to wake once a commit is durable.
#[must_use]
pub struct Queued(Vec<BotId>);

impl Queued {
    /// Wakes them.
    pub fn wake(self, hub: &Hub, org: &Arc<OrgState>) {
        for bot in self.0 {
            hub.webhooks().wake(hub, org, bot, Wake::More);
        }
    }
}

impl Webhooks {
    /// Nothing on its way yet; hosts are found by `look_up`.
    #[must_use]
    pub fn new(config: &Config, look_up: LookUp) -> Self {
        let own = &config.webhooks;
        Self {
            couriers: DashMap::new(),
            position: AtomicI64::new(0),
            schedule: Schedule {
                retries: own.retry_ms.clone(),
                pause: own.pause_ms,
                probe: own.probe_ms,
                degraded_after: i32::try_from(own.degraded_after).unwrap_or(i32::MAX),
            },
            outside: Outside::new(config, look_up),
            changes: Shares::new(own.changes),
        }
    }

    /// Continues after the newest stored position, so that the order survives a clock that was set back.
    pub fn continue_after(&self, position: i64) {
        self.position.fetch_max(position, Ordering::AcqRel);
    }

    /// Begins a change of a webhook, by a bot of an organisation or by whoever registers one: so many may be under way.
    ///
    /// # Errors
    /// 429 when too many are under way for the bot or the organisation.
    pub fn begin_change(&self, hub: &Hub, org: OrgId, bot: Option<BotId>) -> ApiResult<UnderWay> {
        let member = bot.map_or_else(Uuid::nil, |bot| bot.uuid());
        self.changes.take(org.uuid(), member, 1).map(UnderWay).map_err(|_| {
            hub.metrics().limited("webhook_changes");
            too_many("Too many changes of webhooks are under way")
        })
    }

    /// Checks a webhook's URL, and where its host leads.
    ///
    /// # Errors
    /// 400 for a URL that may not be used; 429 while too many hosts are being looked up for the organisation.
    pub async fn check(&self, hub: &Hub, org: OrgId, bot: Option<BotId>, url: &str) -> ApiResult<()> {
        let member = bot.map_or_else(Uuid::nil, |bot| bot.uuid());
        self.outside.check(org.uuid(), member, url).await.inspect_err(|error| {
            if error.code() == ErrorCode::RateLimited {
                hub.metrics().limited("look_ups");
            }
        })
    }

    /// Checks what can be said of a URL without asking anybody.
    ///
    /// # Errors
    /// 400 for one that may not be used.
    pub fn check_text(&self, url: &str) -> ApiResult<()> {
        self.outside.check_text(url)
    }

    /// Adds what the events owe to webhooks to the writes of their cause. Costs a look at a counter where no bot has
    /// a webhook.
    pub fn queue(&self, org: &OrgState, events: &[Event], now: i64, writes: &mut Vec<Write>) -> Queued {
        let targets = org.webhook_targets(events);
        let mut bots = Vec::with_capacity(targets.len());
        for (event, bot) in targets {
            writes.push(Write::Webhook(Box::new(self.row(org, event, bot, now))));
            if !bots.contains(&bot) {
                bots.push(bot);
            }
        }
        Queued(bots)
    }

    fn row(&self, org: &OrgState, event: &Event, bot: BotId, now: i64) -> DeliveryRow {
        DeliveryRow {
            bot_id: bot.to_string(),
            position: self.next_position(now),
            id: EventId::at(now).to_string(),
            org_id: org.id.to_string(),
            event: event.kind.to_owned(),
            payload: webhook::payload(&event.body),
            status: "pending".to_owned(),
            attempts: 0,
            next_attempt_at: 0,
            last_status: None,
            last_error: None,
            created_at: now,
            finished_at: None,
        }
    }

    /// A position after all others: microseconds since the epoch, or one more than the newest.
    fn next_position(&self, now: i64) -> i64 {
        let after = |newest: i64| newest.saturating_add(1).max(now.saturating_mul(1000));
        let newest = self.position.fetch_update(Ordering::AcqRel, Ordering::Acquire, |newest| Some(after(newest)));
        after(newest.unwrap_or_else(|newest| newest))
    }

    /// Tells a bot's actor that the receiver may be back or is another one: its failures are forgotten and what waits
    /// goes out at once.
    pub fn revive(&self, hub: &Hub, org: &Arc<OrgState>, bot: BotId) {
        self.wake(hub, org, bot, Wake::Revived);
    }

    /// Wakes the actors of all bots of an organisation that have a webhook: what held their queues may be over.
    pub fn wake_all(&self, hub: &Hub, org: &Arc<OrgState>) {
        for bot in org.all_bots().iter().filter(|bot| bot.row.webhook_url.is_some()) {
            self.wake(hub, org, bot.id, Wake::More);
        }
    }

    fn wake(&self, hub: &Hub, org: &Arc<OrgState>, bot: BotId, wake: Wake) {
        if hub.is_draining() {
            // What is queued stays queued; the next start goes on with it.
            return;
        }
        // A dead actor (a panic kills one for good) is replaced by whoever finds it dead.
        for _ in 0..3 {
            let address = self.couriers.entry(bot).or_insert_with(|| WebhookActor::spawn(hub, org, bot)).clone();
            match address.try_send(wake) {
                // A full mailbox holds enough wakes.
                Ok(()) | Err(SendError::Full(_)) => return,
                Err(SendError::Closed(_)) => {
                    self.couriers.remove_if(&bot, |_, other| *other == address);
                }
            }
        }
    }
}

/// Wakes the actors of all bots with pending deliveries.
///
/// # Errors
/// 503 when the database is away.
pub async fn sweep(hub: &Hub) -> ApiResult<()> {
    for (org, bot) in hub.store().read(webhooks::list_waiting_bots).await? {
        if let Some(org) = hub.org(org).await? {
            hub.webhooks().wake(hub, &org, bot, Wake::More);
        }
    }
    Ok(())
}

/// Deletes finished deliveries that were kept long enough.
///
/// # Errors
/// 503 when the database is away.
pub async fn purge(hub: &Hub) -> ApiResult<()> {
    let now = hub.now();
    let full = usize::try_from(crate::store::lifecycle::BATCH).unwrap_or(usize::MAX);
    while hub.store().write(0, move |conn| webhooks::purge(conn, now)).await? >= full {}
    Ok(())
}
