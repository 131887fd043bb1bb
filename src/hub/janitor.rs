//! The janitor: one actor for all time-driven work.
//!
//! It closes sockets that have stalled or are silent (a session cannot do this itself: while its peer does not read, it
//! is not polled), closes those whose credential has ended, flushes activity and last-seen times, runs the retention
//! rules, and then the duties of features. Each duty is a plain function over the hub, so that tests can call it
//! without waiting. Duties that delete data distrust a clock that has just jumped ahead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::LocalBoxFuture;

use crate::core::actors::Actors;
use crate::core::caller::Caller;
use crate::core::idempotency;
use crate::core::org_state::OrgState;
use crate::core::registry::InUse;
use crate::fanout::send_queue;
use crate::fanout::send_queue::{SendQueue, WakeBatch, close};
use crate::feature::{Duty, When};
use crate::hub::Hub;
use crate::thread::AutoClose;
use crate::{auth, webhooks};
use hxa_domain::error::ApiResult;
use hxa_store::lifecycle;

/// Between two looks at the sockets.
const SWEEP: Duration = Duration::from_secs(1);
/// Between two writes of activity and last-seen times.
const FLUSH: Duration = Duration::from_secs(5);
/// Between two looks at sessions behind sockets, and at what members have used of their budgets.
const SESSIONS: Duration = Duration::from_secs(15);
/// Between two cleanings of sessions that have ended.
const SESSIONS_KEPT: Duration = Duration::from_secs(900);
/// Between two looks for webhooks whose actor was lost, and between two cleanings of their queues.
const WEBHOOKS: Duration = Duration::from_secs(30);
const WEBHOOKS_KEPT: Duration = Duration::from_secs(3600);
/// Between two cleanings of idempotency keys.
const KEYS: Duration = Duration::from_secs(1800);
/// Between two runs of the retention rules, and before the first.
const RETENTION: Duration = Duration::from_secs(6 * 3600);
const FIRST_RETENTION: Duration = Duration::from_secs(30);
/// How long a socket that was told to close may linger before it is cut.
const LINGER_MS: u128 = 5_000;
/// How long a peer may take nothing while much waits for others.
const CROWDED_MS: u64 = 2_000;
/// A clock may be put right by so much, and a machine sleep for so long, without anything being put off.
const CORRECTION_MS: i64 = 10 * 60_000;
/// One day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// The actor; see the module.
pub struct Janitor {
    hub: Hub,
    _in_use: InUse,
}

impl Janitor {
    /// Starts the janitor on one of the hub's arbiters.
    pub fn spawn(hub: &Hub) -> Addr<Self> {
        let owned = hub.clone();
        Self::start_in_arbiter(&hub.arbiters().of_key(0), move |_| Self {
            _in_use: InUse::new(&owned, "janitor"),
            hub: owned,
        })
    }

    fn every(
        context: &mut actix::Context<Self>,
        period: Duration,
        duty: impl Fn(Hub) -> LocalBoxFuture<'static, ()> + 'static,
    ) {
        context.run_interval(period, move |janitor, context| {
            context.spawn(duty(janitor.hub.clone()).into_actor(janitor));
        });
    }

    /// As [`Self::every`], for what deletes; passed over once after the clock has jumped ahead.
    fn every_steady(
        &self,
        context: &mut actix::Context<Self>,
        period: Duration,
        duty: impl Fn(Hub) -> LocalBoxFuture<'static, ()> + 'static,
    ) {
        let clock = Steady::new(&self.hub);
        Self::every(
            context,
            period,
            move |hub| {
                if clock.is_kept(&hub) { duty(hub) } else { Box::pin(std::future::ready(())) }
            },
        );
    }
}

impl Janitor {
    /// Does a feature's duty from now on.
    fn take_on(&self, context: &mut actix::Context<Self>, duty: Duty) {
        let when = duty.when;
        let run = move |_| -> LocalBoxFuture<'static, ()> {
            let (name, running) = (duty.name, duty.run());
            Box::pin(async move { report(running.await, name) })
        };
        match when {
            When::AtStart => drop(context.spawn(run(self.hub.clone()).into_actor(self))),
            When::Every(period) => Self::every(context, period, run),
            When::EverySteady(period) => self.every_steady(context, period, run),
        }
    }
}

/// Forgets members of organisations, and strangers, who have used nothing that still counts.
pub fn sweep_budgets(hub: &Hub) {
    hub.orgs_in_use().iter().for_each(|org| org.budgets.sweep(hub));
    hub.strangers().sweep(hub);
}

/// Whether the clock has gone with the time that passed. A clock that is far ahead by mistake would have everything
/// deleted that ends some day; so a jump counts only once it has lasted from one look to the next.
struct Steady {
    ahead_ms: AtomicI64,
}

impl Steady {
    fn new(hub: &Hub) -> Self {
        Self { ahead_ms: AtomicI64::new(ahead_ms(hub)) }
    }

    /// Looks at the clock, and takes it as it is for the next look.
    fn is_kept(&self, hub: &Hub) -> bool {
        let ahead = ahead_ms(hub);
        let jump = ahead.saturating_sub(self.ahead_ms.swap(ahead, Ordering::Relaxed));
        if jump > CORRECTION_MS {
            log::warn!(jump_ms = jump; "the clock has jumped ahead; deletions are postponed to the next cleanup");
        }
        jump <= CORRECTION_MS
    }
}

/// How far the clock is ahead of the time since the start.
fn ahead_ms(hub: &Hub) -> i64 {
    hub.now().saturating_sub(hub.uptime_ms())
}

impl Actor for Janitor {
    type Context = actix::Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(SWEEP, |janitor, _| sweep_sockets(&janitor.hub));
        context.spawn(self.hub.broker().clone().run().into_actor(self));
        Self::every(context, FLUSH, |hub| Box::pin(async move { flush(&hub).await }));
        Self::every(context, SESSIONS, |hub| Box::pin(async move { auth::sweep_sessions(hub.auth()).await }));
        context.run_interval(SESSIONS, |janitor, _| sweep_budgets(&janitor.hub));
        Self::every(context, WEBHOOKS, |hub| {
            Box::pin(async move { report(webhooks::sweep(hub.webhooks()).await, "waking webhooks") })
        });
        self.every_steady(context, SESSIONS_KEPT, |hub| {
            Box::pin(async move { report(auth::purge_sessions(hub.auth()).await, "cleaning ended sessions") })
        });
        self.every_steady(context, WEBHOOKS_KEPT, |hub| {
            Box::pin(async move { report(webhooks::purge(&hub).await, "cleaning the queues of webhooks") })
        });
        self.every_steady(context, KEYS, |hub| {
            Box::pin(async move { report(idempotency::purge(&hub).await, "forgetting idempotency keys") })
        });
        self.every_steady(context, RETENTION, |hub| Box::pin(async move { retain(&hub).await }));
        let clock = Steady::new(&self.hub);
        context.run_later(FIRST_RETENTION, move |janitor, context| {
            let hub = janitor.hub.clone();
            if clock.is_kept(&hub) {
                context.spawn(async move { retain(&hub).await }.into_actor(janitor));
            }
        });
        for duty in self.hub.features().iter().flat_map(|feature| feature.clone().duties()) {
            self.take_on(context, duty);
        }
    }
}

/// Closes and cuts sockets that must not stay.
pub fn sweep_sockets(hub: &Hub) {
    let _batch = WakeBatch::begin();
    let sight = Sight {
        now: hub.now(),
        heartbeat_ms: hub.config().sockets.heartbeat_seconds.saturating_mul(1000),
        patience_ms: if hub.room().held() > hub.room().total() / 2 { CROWDED_MS } else { u64::MAX },
    };
    for org in hub.orgs_in_use() {
        let slow = org.channel().local_sockets().iter().filter(|socket| sight.judge(socket)).count();
        hub.metrics().slow_sockets(u64::try_from(slow).unwrap_or(u64::MAX));
    }
}

/// What sockets are judged by.
struct Sight {
    now: i64,
    heartbeat_ms: u64,
    patience_ms: u64,
}

impl Sight {
    /// Closes or cuts a socket that must not stay; true when it was too slow.
    fn judge(&self, socket: &Arc<SendQueue>) -> bool {
        if socket.closing_for_ms().is_some_and(|ms| ms > LINGER_MS) {
            socket.cut();
        } else if socket.info.expires_at.is_some_and(|at| at <= self.now) {
            socket.close(close::TOKEN_ENDED);
        } else if socket.is_stalled(self.patience_ms) {
            return socket.give_up();
        } else if socket.silent_ms() > self.heartbeat_ms.saturating_mul(5) / 2 {
            // The session pings and stops by itself while it is polled; this is for the ones that are not.
            socket.cut();
        }
        false
    }
}

/// Writes activity and last-seen times that are only in memory.
pub async fn flush(hub: &Hub) {
    for org in hub.orgs_in_use() {
        report(hub.flush_activity(&org).await, "flushing activity");
    }
    report(auth::flush_last_seen(hub.auth()).await, "flushing last-seen times");
}

fn report(outcome: ApiResult<()>, duty: &str) {
    if let Err(error) = outcome {
        log::warn!(duty, error:% = error; "a periodic task failed; it runs again at its next interval");
    }
}

/// Runs the retention rules of every organisation and the hub's own.
pub async fn retain(hub: &Hub) {
    let now = hub.now();
    report(purge_expired(hub, now).await, "purging expired rows");
    let orgs = match hub.store().read(lifecycle::orgs_with_retention).await {
        Ok(orgs) => orgs,
        Err(error) => return log::warn!(error:% = error; "cannot read the retention rules"),
    };
    for id in orgs {
        let outcome = match hub.org(id).await {
            Ok(Some(org)) => retain_org(hub, &org, now).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        report(outcome, "retention of an organisation");
    }
}

/// Deletes what has expired, batch by batch, until nothing is left.
async fn purge_expired(hub: &Hub, now: i64) -> ApiResult<()> {
    hub.store().delete_in_batches(0, move |conn| lifecycle::purge_expired(conn, now)).await
}

/// Applies one organisation's rules until nothing is left that they let go; in batches, between which others write.
async fn retain_org(hub: &Hub, org: &Arc<OrgState>, now: i64) -> ApiResult<()> {
    hub.flush_activity(org).await?;
    let settings = org.settings();
    let days = |days: Option<i32>| days.map(|days| now.saturating_sub(i64::from(days).saturating_mul(DAY_MS)));
    let mut run = lifecycle::Purged { has_more: true, ..lifecycle::Purged::default() };
    if let Some(before) = days(settings.thread_auto_close_days) {
        run.closed = auto_close(hub, org, before).await?;
    }
    let rules = lifecycle::Rules {
        org: org.id,
        messages_before: days(settings.message_ttl_days),
        artifacts_before: days(settings.artifact_retention_days),
        now,
    };
    let shard = crate::core::shard(org.id.uuid());
    while run.has_more {
        let messages_before = run.messages;
        run = hub.store().write(shard, move |conn| lifecycle::purge_org(conn, rules, &run)).await?;
        if run.messages > messages_before {
            hub.store().timelines().clear();
        }
        for thread in &run.threads {
            hub.threads().forget_state(org, *thread);
        }
    }
    Ok(())
}

/// Closes idle threads through their actors, so that members are notified; returns how many.
async fn auto_close(hub: &Hub, org: &Arc<OrgState>, before: i64) -> ApiResult<i64> {
    let (id, mut closed) = (org.id, 0);
    let full = usize::try_from(lifecycle::IDLE_BATCH).unwrap_or(usize::MAX);
    loop {
        let idle = hub.store().read(move |conn| lifecycle::idle_threads(conn, id, before)).await?;
        let (found, closed_before) = (idle.len(), closed);
        for thread in idle {
            closed += i64::from(hub.threads().ask(thread, Caller::Hub(org.clone()), AutoClose { before }).await?);
        }
        // A look of which nothing could be closed would find the same threads again.
        if found < full || closed == closed_before {
            return Ok(closed);
        }
    }
}

/// Closes every socket, waits until they are gone (at most `patience`), and cuts those that are not.
pub async fn close_all(hub: &Hub, notice: send_queue::CloseNotice, patience: Duration) {
    let batch = WakeBatch::begin();
    for org in hub.orgs_in_use() {
        org.channel().local_sockets().iter().for_each(|socket| socket.close(notice.clone()));
    }
    drop(batch);
    let deadline = tokio::time::Instant::now() + patience;
    let live = |hub: &Hub| hub.orgs_in_use().iter().map(|org| org.channel().local_sockets().len()).sum::<usize>();
    while live(hub) > 0 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for org in hub.orgs_in_use() {
        org.channel().local_sockets().iter().for_each(|socket| socket.cut());
    }
}
