//! The hub: everything that is shared by all actors, routes and sockets of one running server.
//!
//! [`Hub`] is a cheap handle. It finds organisations (loading them on first use), finds or starts the actor that owns
//! a piece of state, and hands calls to it. It holds no rule of its own.

use std::sync::Arc;

use actix::prelude::*;
use dashmap::{DashMap, Entry};
use uuid::Uuid;

use super::arbiters::Arbiters;
use super::auth::AuthCache;
use super::budgets::Budgets;
use super::call::{Call, Operation, Receipt, Reply};
use super::caller::{BotCaller, Caller};
use super::event::LogLimits;
use super::idempotency::Held;
use super::operations::Operations;
use super::org::{OrgActor, OrgOperation};
use super::org_state::{FeedLimits, OrgState};
use super::outbox::OutboxLimits;
use super::outgoing::Room;
use super::thread::{ThreadActor, ThreadOperation};
use super::tickets::Tickets;
use super::uploads::Uploads;
use super::webhooks::{LookUp, Webhooks, system_look_up};
use crate::config::Config;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::file_links::{AbsoluteLinks, Life};
use hxa_domain::ids::{OrgId, ThreadId};
use hxa_domain::shares::{Holder, Shares};
use hxa_store::Store;
use hxa_store::metrics::Metrics;
use hxa_store::sessions::Sessions;

/// Milliseconds since the epoch; replaced in tests of clock jumps.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What the hub asks of the machine it runs on; replaced in tests.
#[derive(Clone)]
pub struct Effects {
    /// What time it is.
    pub clock: Clock,
    /// Where a host is.
    pub look_up: LookUp,
}

impl Effects {
    /// Those of the system.
    #[must_use]
    pub fn of_system() -> Self {
        Self { clock: system_clock(), look_up: system_look_up }
    }
}

/// Handle to the running hub.
#[derive(Clone)]
pub struct Hub {
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
    sessions: Sessions,
    tickets: Tickets,
    strangers: Budgets,
    auth: AuthCache,
    webhooks: Webhooks,
    held_keys: Held,
    bodies: Arc<Shares<Holder>>,
    uploads: Uploads,
    operations: Operations,
    room: Room,
    started: std::time::Instant,
    /// Set once the port is known, if the operator wants such links.
    links: std::sync::OnceLock<AbsoluteLinks>,
    draining: std::sync::atomic::AtomicBool,
    /// Woken when a change of a bot waits to be told.
    changes_wait: Arc<tokio::sync::Notify>,
}

/// The system clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| chrono::Utc::now().timestamp_millis())
}

/// Spreads ids over arbiters and writers: their low bits are random.
#[must_use]
pub fn shard(id: Uuid) -> u64 {
    id.as_u64_pair().1
}

impl Hub {
    /// A hub over an open store; `arbiters` run its actors.
    #[must_use]
    pub fn new(
        config: Config,
        store: Store,
        sessions: Sessions,
        metrics: Arc<Metrics>,
        arbiters: Arbiters,
        effects: Effects,
    ) -> Self {
        let webhooks = Webhooks::new(&config, effects.look_up);
        let bodies = Shares::new(config.server.bodies_bytes);
        let uploads = Uploads::new(config.files.uploads_at_once);
        let tickets = Tickets::new(config.limits.ws_tickets_per_bot, config.limits.ws_tickets);
        let room = Shares::new(config.sockets.waiting_bytes);
        Self {
            inner: Arc::new(Inner {
                config,
                store,
                metrics,
                clock: effects.clock,
                arbiters,
                orgs: DashMap::new(),
                loading: tokio::sync::Mutex::new(()),
                sessions,
                tickets,
                strangers: Budgets::default(),
                auth: AuthCache::default(),
                webhooks,
                held_keys: Held::default(),
                bodies,
                uploads,
                operations: Operations::default(),
                room,
                started: std::time::Instant::now(),
                links: std::sync::OnceLock::new(),
                draining: std::sync::atomic::AtomicBool::new(false),
                changes_wait: Arc::default(),
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

    /// Where people's sessions are kept.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// The counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Outstanding WebSocket tickets.
    #[must_use]
    pub fn tickets(&self) -> &Tickets {
        &self.inner.tickets
    }

    /// What is charged to nobody in particular: refused logins that name no organisation, and founders.
    #[must_use]
    pub fn strangers(&self) -> &Budgets {
        &self.inner.strangers
    }

    /// Known credentials.
    #[must_use]
    pub fn auth(&self) -> &AuthCache {
        &self.inner.auth
    }

    /// What is on its way to webhooks.
    #[must_use]
    pub fn webhooks(&self) -> &Webhooks {
        &self.inner.webhooks
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

    /// What is and was uploaded.
    #[must_use]
    pub fn uploads(&self) -> &Uploads {
        &self.inner.uploads
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

    /// Bounds of every socket's outbox.
    #[must_use]
    pub fn outbox_limits(&self) -> OutboxLimits {
        let sockets = &self.inner.config.sockets;
        OutboxLimits { bytes: sockets.outbox_bytes, age_ms: sockets.outbox_age_ms, room: self.inner.room.clone() }
    }

    /// The room for what waits for all sockets.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.inner.room
    }

    /// Woken when a change of a bot waits to be told.
    #[must_use]
    pub fn changes_wait(&self) -> &tokio::sync::Notify {
        &self.inner.changes_wait
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
    /// 503 when the database is away.
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
        let Config { resume, sockets, .. } = &self.inner.config;
        let log = LogLimits { events: resume.log_events, bytes: resume.log_bytes };
        let limits = FeedLimits {
            log,
            presence_per_second: sockets.presence_per_second,
            changes_at_once: sockets.changes_at_once,
        };
        let (metrics, waits) = (self.inner.metrics.clone(), self.inner.changes_wait.clone());
        let org = Arc::new(OrgState::new(id, stored, limits, metrics, waits));
        self.inner.orgs.insert(id, org.clone());
        Ok(Some(org))
    }

    /// Drops a destroyed organisation from memory.
    pub fn forget_org(&self, id: OrgId) {
        if let Some((_, org)) = self.inner.orgs.remove(&id) {
            org.set_gone();
        }
    }

    // --- calls ---

    /// Refuses a call while its writer has too much queued, or its organisation more than its share.
    pub(super) fn check_queue(&self, key: u64, org: &OrgState) -> ApiResult<()> {
        if self.inner.store.is_congested(key, &org.load) {
            self.inner.metrics.limited("commits");
            return Err(ApiError::unavailable("The hub is busy; try again"));
        }
        Ok(())
    }

    /// Charges a call and hands it to the thread's actor, starting it when needed.
    pub fn call_thread<O: ThreadOperation>(&self, id: ThreadId, call: Call<O>) {
        match self.charge_call(&call) {
            Ok(()) => self.pass_to_thread(id, call),
            Err(refusal) => call.reply.send(Err(refusal)),
        }
    }

    /// Hands a call that is charged to the thread's actor.
    pub fn pass_to_thread<O: ThreadOperation>(&self, id: ThreadId, call: Call<O>) {
        let org = call.caller.org().clone();
        let mut call = call;
        // A dead actor (a panic kills one for good) is replaced by whoever finds it dead.
        for _ in 0..3 {
            let address = org.threads.entry(id).or_insert_with(|| ThreadActor::spawn(self, &org, id)).clone();
            match address.try_send(call) {
                Ok(()) => return,
                Err(SendError::Full(back)) => {
                    return back.reply.send(Err(ApiError::unavailable("The thread is busy; try again")));
                }
                Err(SendError::Closed(back)) => {
                    if let Entry::Occupied(mut dead) = org.threads.entry(id)
                        && *dead.get() == address
                    {
                        dead.insert(ThreadActor::succeed(self, &org, id));
                    }
                    call = back;
                }
            }
        }
        call.reply.send(Err(ApiError::internal()));
    }

    /// Runs an operation on a thread and waits for its answer.
    ///
    /// # Errors
    /// What the operation refuses.
    pub async fn ask_thread<O: ThreadOperation>(
        &self,
        id: ThreadId,
        caller: Caller,
        operation: O,
    ) -> ApiResult<O::Answer> {
        self.ask_thread_once(id, caller, operation, None).await
    }

    /// The same, remembering the answer if there is a receipt.
    ///
    /// # Errors
    /// What the operation refuses.
    pub async fn ask_thread_once<O: ThreadOperation>(
        &self,
        id: ThreadId,
        caller: Caller,
        operation: O,
        receipt: Option<Receipt<O::Answer>>,
    ) -> ApiResult<O::Answer> {
        let _asking = self.inner.arbiters.asking();
        let (reply, answer) = Reply::channel();
        self.call_thread(id, Call { caller, operation, reply: reply.with_receipt(receipt) });
        answer.await
    }

    /// Charges a call and hands it to the organisation's actor, starting it when needed.
    pub fn call_org<O: OrgOperation>(&self, call: Call<O>) {
        if let Err(refusal) = self.charge_call(&call) {
            return call.reply.send(Err(refusal));
        }
        let org = call.caller.org().clone();
        let mut call = call;
        for _ in 0..3 {
            let address = self.org_actor(&org);
            match address.try_send(call) {
                Ok(()) => return,
                Err(SendError::Full(back)) => {
                    return back.reply.send(Err(ApiError::unavailable("The organisation is busy; try again")));
                }
                Err(SendError::Closed(back)) => {
                    org.actor.write().take_if(|other| *other == address);
                    call = back;
                }
            }
        }
        call.reply.send(Err(ApiError::internal()));
    }

    /// Runs an operation on an organisation and waits for its answer.
    ///
    /// # Errors
    /// What the operation refuses.
    pub async fn ask_org<O: OrgOperation>(&self, caller: Caller, operation: O) -> ApiResult<O::Answer> {
        self.ask_org_once(caller, operation, None).await
    }

    /// The same, remembering the answer if there is a receipt; for operations that commit one answer.
    ///
    /// # Errors
    /// What the operation refuses.
    pub async fn ask_org_once<O: OrgOperation>(
        &self,
        caller: Caller,
        operation: O,
        receipt: Option<Receipt<O::Answer>>,
    ) -> ApiResult<O::Answer> {
        let _asking = self.inner.arbiters.asking();
        let (reply, answer) = Reply::<<O as Operation>::Answer>::channel();
        self.call_org(Call { caller, operation, reply: reply.with_receipt(receipt) });
        answer.await
    }

    fn org_actor(&self, org: &Arc<OrgState>) -> Addr<OrgActor> {
        if let Some(address) = org.actor.read().as_ref() {
            return address.clone();
        }
        org.actor.write().get_or_insert_with(|| OrgActor::spawn(self, org)).clone()
    }
}
