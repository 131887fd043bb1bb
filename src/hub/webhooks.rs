//! Webhook deliveries: the queue's positions, the actors that drain it, and the client that sends.
//!
//! A delivery becomes a row in the same commit as the change it reports ([`Webhooks::queue`]); once that is durable the
//! bot's `WebhookActor` is woken and drains the bot's queue, in order within a conversation. No state is kept only in
//! memory: a scan of the queue every half minute ([`sweep`]) wakes actors whose wakeup was lost, after a restart or a
//! panic.

mod backlog;
mod delivery_worker;
mod flight;
mod outbound_client;
mod resolver;
mod signals;
mod trim;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dashmap::DashMap;
use uuid::Uuid;

use crate::config::WebhooksConfig;
use crate::core::Core;
use crate::core::org_state::OrgState;
use crate::core::registry::{Registry, Unsent};
use crate::fanout::event::Event;
use backlog::Backlog;
use delivery_worker::WebhookActor;
use hxa_domain::error::{ApiResult, ErrorCode};
use hxa_domain::ids::{BotId, EventId, OrgId};
use hxa_domain::shares::{Share, Shares};
use hxa_domain::webhook::DeliveryStatus;
use hxa_domain::webhook::{self, Schedule};
use hxa_store::rows::{DeliveryRow, PayloadRow};
use hxa_store::webhooks::Amount;
use hxa_store::{Write, webhooks};
use outbound_client::{OutboundClient, too_many};
pub use resolver::{LookUp, system_look_up};
use signals::Wake;

/// The actors of bots with something to deliver, and what they share.
pub struct Webhooks {
    core: Core,
    workers: Registry<BotId, WebhookActor>,
    /// What waits for each bot that was told of something since the start.
    backlogs: DashMap<BotId, Arc<Backlog>>,
    backlogs_of_orgs: DashMap<OrgId, Arc<Backlog>>,
    bounds: Bounds,
    /// The newest position handed out.
    position: AtomicI64,
    schedule: Schedule,
    client: OutboundClient,
    /// Bytes of requests that are under way.
    in_flight: Arc<Shares<Uuid>>,
    /// Changes of webhooks that are under way.
    changes: Arc<Shares<Uuid>>,
}

/// What may wait.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    bot: Amount,
    /// For an organisation: events that wait, and bytes of payloads stored.
    org: Amount,
}

impl Bounds {
    fn new(own: &WebhooksConfig) -> Self {
        let amount = |events: u64, bytes: usize| Amount {
            events: i64::try_from(events).unwrap_or(i64::MAX),
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        };
        Self {
            bot: amount(own.max_pending, own.max_pending_bytes),
            org: amount(own.org_max_pending, own.org_max_bytes),
        }
    }
}

/// A change of a webhook that is under way, until it is dropped.
pub struct UnderWay(#[expect(dead_code, reason = "given back when dropped")] Share<Uuid>);

/// The bots to wake once a commit is durable, and what waits for them more.
#[must_use]
#[derive(Default)]
pub struct Queued {
    bots: Vec<(BotId, Amount)>,
    /// Deliveries, and bytes of different payloads.
    all: Amount,
}

impl Queued {
    fn add(&mut self, bot: BotId, bytes: i64) {
        self.all.events += 1;
        match self.bots.iter_mut().find(|(known, _)| *known == bot) {
            Some((_, amount)) => *amount = Amount { events: amount.events + 1, bytes: amount.bytes + bytes },
            None => self.bots.push((bot, Amount { events: 1, bytes })),
        }
    }

    /// Wakes them.
    pub fn wake(self, webhooks: &Arc<Webhooks>, org: &Arc<OrgState>) {
        if self.bots.is_empty() {
            return;
        }
        webhooks.backlog_of_org(org.id).add(self.all);
        for (bot, amount) in self.bots {
            webhooks.backlog(bot).add(amount);
            webhooks.wake(org, bot, Wake::More);
        }
    }
}

/// An event to deliver, with its payload.
struct Told<'e> {
    event: &'e Event,
    payload_id: EventId,
    bytes: i64,
    lane: String,
}

impl<'e> Told<'e> {
    fn new(org: &OrgState, event: &'e Event, now: i64) -> (Self, PayloadRow) {
        let body = webhook::payload(&event.body);
        let (id, bytes) = (EventId::at(now), i64::try_from(body.len()).unwrap_or(i64::MAX));
        // What is about no conversation is in order among its kind.
        let lane = event.conversation().map_or_else(|| "org".to_owned(), |topic| topic.to_string());
        let payload = PayloadRow { id, org_id: org.id, bytes, body };
        (Self { event, payload_id: id, bytes, lane }, payload)
    }

    fn delivery(&self, org: &OrgState, bot: BotId, position: i64, now: i64) -> DeliveryRow {
        DeliveryRow {
            bot_id: bot,
            position,
            id: EventId::at(now),
            org_id: org.id,
            event: self.event.kind.to_owned(),
            lane: self.lane.clone(),
            payload_id: self.payload_id,
            bytes: self.bytes,
            status: DeliveryStatus::Pending,
            attempts: 0,
            unanswered: 0,
            next_attempt_at: 0,
            last_status: None,
            last_error: None,
            created_at: now,
            finished_at: None,
        }
    }
}

impl Webhooks {
    /// Nothing on its way yet; hosts are found by `look_up`.
    #[must_use]
    pub fn new(core: Core, look_up: LookUp) -> Arc<Self> {
        let own = &core.config().webhooks;
        Arc::new(Self {
            workers: Registry::default(),
            backlogs: DashMap::new(),
            backlogs_of_orgs: DashMap::new(),
            bounds: Bounds::new(own),
            position: AtomicI64::new(0),
            schedule: Schedule {
                retries: own.retry_ms.clone(),
                pause: own.pause_ms,
                probe: own.probe_ms,
                degraded_after: i32::try_from(own.degraded_after).unwrap_or(i32::MAX),
                repeats: own.repeat_ms.clone(),
                retry_after: own.retry_after_seconds.saturating_mul(1000),
            },
            client: OutboundClient::new(core.config(), look_up),
            in_flight: Shares::new(own.in_flight_bytes),
            changes: Shares::new(own.changes),
            core,
        })
    }

    /// Continues after the newest stored position, so that the order survives a clock that was set back.
    pub fn continue_after(&self, position: i64) {
        self.position.fetch_max(position, Ordering::AcqRel);
    }

    /// Begins a change of a webhook, by a bot of an organisation or during a registration; their concurrency is bounded.
    ///
    /// # Errors
    /// 429 when too many are under way for the bot or the organisation.
    pub fn begin_change(&self, org: OrgId, bot: Option<BotId>) -> ApiResult<UnderWay> {
        let member = bot.map_or_else(Uuid::nil, |bot| bot.uuid());
        self.changes.take(org.uuid(), member, 1).map(UnderWay).map_err(|_| {
            self.core.metrics().limited("webhook_changes");
            too_many("Too many changes of webhooks are under way")
        })
    }

    /// Checks a webhook's URL, and where its host leads.
    ///
    /// # Errors
    /// 400 for a URL that may not be used; 429 while too many hosts are being looked up for the organisation.
    pub async fn check(&self, org: OrgId, bot: Option<BotId>, url: &str) -> ApiResult<()> {
        let member = bot.map_or_else(Uuid::nil, |bot| bot.uuid());
        self.client.check(org.uuid(), member, url).await.inspect_err(|error| {
            if error.code() == ErrorCode::RateLimited {
                self.core.metrics().limited("look_ups");
            }
        })
    }

    /// Checks what can be said of a URL without asking anybody.
    ///
    /// # Errors
    /// 400 for one that may not be used.
    pub fn check_text(&self, url: &str) -> ApiResult<()> {
        self.client.check_text(url)
    }

    /// Adds what the events owe to webhooks to the writes of their cause: each payload once, and a delivery for every
    /// bot. Costs a look at a counter where no bot has a webhook.
    pub fn queue(&self, org: &OrgState, events: &[Event], now: i64, writes: &mut Vec<Write>) -> Queued {
        let targets = org.webhook_targets(events);
        let mut queued = Queued::default();
        // The targets of an event follow each other.
        let mut told: Option<Told<'_>> = None;
        for (event, bot) in targets {
            let told = match told.take() {
                Some(same) if std::ptr::eq(same.event, event) => told.insert(same),
                _ => {
                    let (other, payload) = Told::new(org, event, now);
                    queued.all.bytes += other.bytes;
                    writes.push(Write::Payload(Box::new(payload)));
                    told.insert(other)
                }
            };
            writes.push(Write::Webhook(Box::new(told.delivery(org, bot, self.next_position(now), now))));
            queued.add(bot, told.bytes);
        }
        queued
    }

    /// A position after all others: microseconds since the epoch, or one more than the newest.
    fn next_position(&self, now: i64) -> i64 {
        let after = |newest: i64| newest.saturating_add(1).max(now.saturating_mul(1000));
        let newest = self.position.fetch_update(Ordering::AcqRel, Ordering::Acquire, |newest| Some(after(newest)));
        after(newest.unwrap_or_else(|newest| newest))
    }

    /// Tells a bot's actor that the receiver may be back or is another one: its failures are forgotten and what waits
    /// goes out at once.
    pub fn revive(self: &Arc<Self>, org: &Arc<OrgState>, bot: BotId) {
        self.wake(org, bot, Wake::Revived);
    }

    /// Wakes the actors of all bots of an organisation that have a webhook: what held their queues may be over.
    pub fn wake_all(self: &Arc<Self>, org: &Arc<OrgState>) {
        for bot in org.all_bots().iter().filter(|bot| bot.row.webhook_url.is_some()) {
            self.wake(org, bot.id, Wake::More);
        }
    }

    fn backlog(&self, bot: BotId) -> Arc<Backlog> {
        self.backlogs.entry(bot).or_default().clone()
    }

    fn backlog_of_org(&self, org: OrgId) -> Arc<Backlog> {
        self.backlogs_of_orgs.entry(org).or_default().clone()
    }

    /// Forgets a bot whose organisation is gone.
    fn forget(&self, bot: BotId, org: OrgId) {
        self.workers.forget(bot);
        self.backlogs.remove(&bot);
        self.backlogs_of_orgs.remove(&org);
    }

    fn wake(self: &Arc<Self>, org: &Arc<OrgState>, bot: BotId, wake: Wake) {
        if self.core.is_draining() {
            // What is queued stays queued; the next start goes on with it.
            return;
        }
        let backlog = self.backlog(bot);
        match self.workers.send(bot, wake, |_| WebhookActor::spawn(self, org, bot, &backlog)) {
            // A full mailbox holds enough wakes, and the next sweep finds who was not woken.
            Ok(()) | Err(Unsent::Full(_) | Unsent::Dead(_)) => {}
        }
    }
}

/// Wakes the actors of all bots with pending deliveries.
///
/// # Errors
/// 503 when the database is unavailable.
pub async fn sweep(on: &Arc<Webhooks>) -> ApiResult<()> {
    for (org, bot) in on.core.store().read(webhooks::list_waiting_bots).await? {
        if let Some(org) = on.core.org(org).await? {
            on.wake(&org, bot, Wake::More);
        }
    }
    Ok(())
}

/// Deletes finished deliveries that were kept long enough.
///
/// # Errors
/// 503 when the database is unavailable.
pub async fn purge(core: &Core) -> ApiResult<()> {
    let now = core.now();
    core.store().delete_in_batches(0, move |conn| webhooks::purge(conn, now)).await
}
