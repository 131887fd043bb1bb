//! The core: what every actor, route and socket of one running hub shares.
//!
//! [`Core`] is a cheap handle on data: configuration, database, clock, metrics, the active organisations and the shares
//! they use. It knows no service and no actor; those know it, and [`crate::hub::Hub`] assembles them.

pub mod activity;
pub mod actors;
pub mod arbiters;
pub mod budgets;
pub mod call;
pub mod caller;
pub mod charges;
pub mod idempotency;
pub mod limits;
pub mod operations;
pub mod org_state;
pub mod registry;

use std::sync::Arc;

use dashmap::DashMap;
use uuid::Uuid;

use crate::config::Config;
use crate::fanout::broker::Broker;
use crate::fanout::outgoing::Room;
use crate::fanout::send_queue::SendQueueLimits;
use arbiters::Arbiters;
use budgets::Budgets;
use call::{Receipt, Reply};
use caller::BotCaller;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::file_links::{AbsoluteLinks, Life};
use hxa_domain::ids::OrgId;
use hxa_domain::shares::{Holder, Shares};
use hxa_store::Store;
use hxa_store::metrics::Metrics;
use idempotency::Held;
use operations::Operations;
use org_state::OrgState;

/// Milliseconds since the epoch; replaced in tests of clock jumps.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Handle to what is shared; see the module.
#[derive(Clone)]
pub struct Core {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    store: Store,
    metrics: Arc<Metrics>,
    clock: Clock,
    arbiters: Arbiters,
    orgs: DashMap<OrgId, Arc<OrgState>>,
    /// Held while an organisation is read, so that it is loaded once.
    loading: tokio::sync::Mutex<()>,
    strangers: Budgets,
    held_keys: Held,
    bodies: Arc<Shares<Holder>>,
    operations: Operations,
    room: Room,
    started: std::time::Instant,
    /// Set once the port is known, if the operator wants such links.
    links: std::sync::OnceLock<AbsoluteLinks>,
    draining: std::sync::atomic::AtomicBool,
    broker: Arc<dyn Broker>,
}

/// The system clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(hxa_store::clock::now_ms)
}

/// Spreads ids over arbiters and writers: their low bits are random.
#[must_use]
pub fn shard(id: Uuid) -> u64 {
    id.as_u64_pair().1
}

impl Core {
    /// The core of a hub over an open store; `arbiters` run its actors.
    #[must_use]
    pub fn new(
        config: Config,
        store: Store,
        metrics: Arc<Metrics>,
        broker: Arc<dyn Broker>,
        arbiters: Arbiters,
        clock: Clock,
    ) -> Self {
        let bodies = Shares::new(config.server.bodies_bytes);
        let room = Shares::new(config.sockets.waiting_bytes);
        Self {
            inner: Arc::new(Inner {
                config,
                store,
                metrics,
                clock,
                arbiters,
                orgs: DashMap::new(),
                loading: tokio::sync::Mutex::new(()),
                strangers: Budgets::default(),
                held_keys: Held::default(),
                bodies,
                operations: Operations::default(),
                room,
                started: std::time::Instant::now(),
                links: std::sync::OnceLock::new(),
                draining: std::sync::atomic::AtomicBool::new(false),
                broker,
            }),
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// What is charged to nobody in particular: refused logins that name no organisation, and founders.
    #[must_use]
    pub fn strangers(&self) -> &Budgets {
        &self.inner.strangers
    }

    /// Idempotency keys of requests under way.
    #[must_use]
    pub fn held_keys(&self) -> &Held {
        &self.inner.held_keys
    }

    /// Memory of requests' bodies, from when they are read until their request is answered.
    #[must_use]
    pub fn bodies(&self) -> &Arc<Shares<Holder>> {
        &self.inner.bodies
    }

    /// What sockets may send.
    #[must_use]
    pub fn operations(&self) -> &Operations {
        &self.inner.operations
    }

    /// Now, in ms since the epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        (self.inner.clock)()
    }

    /// How long this hub has been running, in ms, whatever the clock does; for what lives as long as the hub at most.
    #[must_use]
    pub fn uptime_ms(&self) -> i64 {
        i64::try_from(self.inner.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// When this hub started, in ms since the epoch by the clock as it is now.
    #[must_use]
    pub fn started_at(&self) -> i64 {
        self.now().saturating_sub(self.uptime_ms())
    }

    /// Makes paths in events absolute from now on, under this URL.
    pub fn link_under(&self, base: String) {
        if let Some(key) = self.inner.config.link_key() {
            self.inner.links.get_or_init(|| AbsoluteLinks { base, key });
        }
    }

    /// A message's parts as an event shows them, where that is not as they are stored.
    #[must_use]
    pub fn linked_parts(&self, sender: &BotCaller, stored: Option<&str>) -> Option<String> {
        let links = self.inner.links.get()?;
        let life = Life { from_s: self.now().div_euclid(1000), maker_ends_at: sender.token_expires_at };
        links.rewrite(sender.org.id, stored?, life)
    }

    /// True once the hub takes no new work.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.inner.draining.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Makes `/readyz` false and refuses new sockets.
    pub fn start_draining(&self) {
        self.inner.draining.store(true, std::sync::atomic::Ordering::Release);
    }

    /// Bounds of every socket's send queue.
    #[must_use]
    pub fn send_queue_limits(&self) -> SendQueueLimits {
        let sockets = &self.inner.config.sockets;
        SendQueueLimits { bytes: sockets.outbox_bytes, age_ms: sockets.outbox_age_ms, room: self.inner.room.clone() }
    }

    /// The room for what waits for all sockets.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.inner.room
    }

    /// Where events are numbered and kept, and from where they reach sockets.
    #[must_use]
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.inner.broker
    }

    /// The threads that run actors.
    #[must_use]
    pub fn arbiters(&self) -> &Arbiters {
        &self.inner.arbiters
    }

    // --- organisations ---

    /// Organisations in use.
    #[must_use]
    pub fn orgs_in_use(&self) -> Vec<Arc<OrgState>> {
        self.inner.orgs.iter().map(|entry| entry.value().clone()).collect()
    }

    /// An organisation that is already in memory.
    #[must_use]
    pub fn org_in_use(&self, id: OrgId) -> Option<Arc<OrgState>> {
        self.inner.orgs.get(&id).map(|entry| entry.value().clone())
    }

    /// An organisation, read from the store on first use; `None` when there is no such organisation.
    ///
    /// # Errors
    /// 503 when the database is unavailable.
    pub async fn org(&self, id: OrgId) -> ApiResult<Option<Arc<OrgState>>> {
        if let Some(org) = self.org_in_use(id) {
            return Ok(Some(org));
        }
        let _guard = self.inner.loading.lock().await;
        if let Some(org) = self.org_in_use(id) {
            return Ok(Some(org));
        }
        let loaded = self.inner.store.read(move |conn| hxa_store::orgs::load(conn, id)).await?;
        let Some(stored) = loaded else {
            return Ok(None);
        };
        let org = Arc::new(OrgState::new(id, stored, &*self.inner.broker));
        self.inner.orgs.insert(id, org.clone());
        Ok(Some(org))
    }

    /// Drops a destroyed organisation from memory; its actor is for the hub to let go of.
    pub(crate) fn forget_org(&self, id: OrgId) {
        if let Some((_, org)) = self.inner.orgs.remove(&id) {
            org.set_gone();
        }
    }

    /// Makes a call and waits for its answer, remembering it if there is a receipt.
    ///
    /// # Errors
    /// What the call refuses.
    pub async fn ask<A: Send + 'static>(
        &self,
        receipt: Option<Receipt<A>>,
        call: impl FnOnce(Reply<A>),
    ) -> ApiResult<A> {
        let _asking = self.inner.arbiters.asking();
        let (reply, answer) = Reply::channel();
        call(reply.with_receipt(receipt));
        answer.await
    }

    /// Refuses a call while its writer has too much queued, or its organisation more than its share.
    ///
    /// # Errors
    /// 503 `UNAVAILABLE`.
    pub(crate) fn check_queue(&self, key: u64, org: &OrgState) -> ApiResult<()> {
        if self.inner.store.is_congested(key, &org.load) {
            self.inner.metrics.limited("commits");
            return Err(ApiError::unavailable("The hub is busy; try again"));
        }
        Ok(())
    }
}
