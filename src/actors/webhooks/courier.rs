//! The webhook actor: one per bot with something to deliver. It empties the bot's queue in order, one request at a
//! time, and notes what came of it.
//!
//! It decides by what is stored: every round of its loop reads the head of the queue and the receiver's health anew, so
//! a restart goes on where the hub stood, and what changes underneath (the URL, the secret, the bot, the organisation)
//! counts from the next request on. A delivery leaves the queue only when it was taken, was refused for good or became
//! too old; until then those behind it wait.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::Notify;

use super::outside::Posted;
use crate::actors::hub::{Hub, shard};
use crate::actors::org_state::{Bot, OrgState};
use crate::domain::ids::BotId;
use crate::domain::webhook::{Verdict, judge};
use crate::error::ApiResult;
use crate::store::rows::{DeliveryRow, WebhookHealthRow};
use crate::store::webhooks::{self, Outcome};

/// Deliveries read at once.
const BATCH: i64 = 32;
/// Successes may stay unnoted so long; a kill in between repeats them.
const NOTE_AFTER: Duration = Duration::from_millis(100);
/// Pause after the database failed.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);
/// How long a retired actor forwards what still arrives.
const LINGER: Duration = Duration::from_secs(5);

/// Why an actor is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// There may be more to deliver.
    More,
    /// The receiver may be back, or is another one.
    Revived,
}

impl Message for Wake {
    type Result = ();
}

/// What the actor and its running delivery share.
#[derive(Default)]
struct Signals {
    more: Cell<bool>,
    revived: Cell<bool>,
    nudge: Notify,
}

/// The actor; see the module.
pub struct WebhookActor {
    hub: Hub,
    org: Arc<OrgState>,
    bot: BotId,
    signals: Rc<Signals>,
    is_running: bool,
    last_used: Instant,
    /// Set once the actor has left the directory; what still arrives is sent on to its successor.
    retired: bool,
}

impl WebhookActor {
    /// Starts the actor of a bot on one of the hub's arbiters.
    pub fn spawn(hub: &Hub, org: &Arc<OrgState>, bot: BotId) -> Addr<Self> {
        let (hub, org) = (hub.clone(), org.clone());
        Self::start_in_arbiter(&hub.arbiters().of_key(shard(bot.uuid())), move |_| Self {
            hub,
            org,
            bot,
            signals: Rc::default(),
            is_running: false,
            last_used: Instant::now(),
            retired: false,
        })
    }

    fn run(&mut self, context: &mut Context<Self>) {
        self.is_running = true;
        let courier =
            Courier { hub: self.hub.clone(), org: self.org.clone(), bot: self.bot, signals: self.signals.clone() };
        let running = async move { courier.run().await };
        context.spawn(running.into_actor(self).map(|outcome, actor, context| {
            actor.is_running = false;
            actor.last_used = Instant::now();
            if actor.org.is_gone() {
                actor.hub.webhooks().couriers.remove(&actor.bot);
                context.stop();
            } else if let Err(error) = outcome {
                log::warn!(bot:% = actor.bot, error:% = error; "a webhook's queue cannot be read or noted");
                actor.run_later(context);
            } else if actor.signals.more.take() || actor.signals.revived.get() {
                actor.run(context);
            }
        }));
    }

    fn run_later(&mut self, context: &mut Context<Self>) {
        self.is_running = true;
        context.run_later(DATABASE_PAUSE, |actor, context| actor.run(context));
    }

    fn watch_idleness(&mut self, context: &mut Context<Self>) {
        let idle = Duration::from_secs(self.hub.config().actors.idle_seconds.max(1));
        context.run_later(idle, move |actor, context| {
            if actor.is_running || actor.last_used.elapsed() < idle {
                return actor.watch_idleness(context);
            }
            actor.retired = true;
            let own = context.address();
            actor.hub.webhooks().couriers.remove_if(&actor.bot, |_, other| *other == own);
            context.run_later(LINGER, |_, context| context.stop());
        });
    }
}

impl Actor for WebhookActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.hub.metrics().actor_started("webhook");
        self.watch_idleness(context);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.hub.metrics().actor_stopped("webhook");
    }
}

impl Drop for WebhookActor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.hub.metrics().actor_panicked("webhook");
            self.hub.metrics().actor_stopped("webhook");
        }
    }
}

impl Handler<Wake> for WebhookActor {
    type Result = ();

    fn handle(&mut self, wake: Wake, context: &mut Self::Context) {
        if self.retired {
            return self.hub.webhooks().wake(&self.hub, &self.org, self.bot, wake);
        }
        self.last_used = Instant::now();
        if wake == Wake::Revived {
            self.signals.revived.set(true);
            self.signals.nudge.notify_one();
        }
        if self.is_running {
            self.signals.more.set(true);
        } else {
            self.run(context);
        }
    }
}

/// One run through a bot's queue.
struct Courier {
    hub: Hub,
    org: Arc<OrgState>,
    bot: BotId,
    signals: Rc<Signals>,
}

/// What is not yet noted.
struct Notes {
    outcomes: Vec<Outcome>,
    health: WebhookHealthRow,
    since: Instant,
}

impl Courier {
    /// Delivers until nothing is left or the bot cannot be delivered to.
    async fn run(&self) -> ApiResult<()> {
        while !self.org.is_gone() {
            self.signals.more.set(false);
            if self.signals.revived.take() {
                let bot = self.bot;
                self.hub.store().write(self.key(), move |conn| webhooks::revive(conn, bot)).await?;
            }
            let Some(bot) = self.receiver().await? else { return Ok(()) };
            let (id, store) = (self.bot, self.hub.store());
            let read = store
                .read(move |conn| Ok((webhooks::list_pending(conn, id, BATCH)?, webhooks::find_health(conn, id)?)));
            let (batch, health) = read.await?;
            let Some(first) = batch.first() else { return Ok(()) };
            match self.pause_before(first) {
                Some(pause) => self.pause(pause).await,
                None => self.deliver(&bot, batch, health).await?,
            }
        }
        Ok(())
    }

    fn key(&self) -> u64 {
        shard(self.bot.uuid())
    }

    /// The bot, if it may be delivered to now. What was queued for a bot that is gone or has no webhook any more is
    /// cleared away; a suspended organisation's queue waits.
    async fn receiver(&self) -> ApiResult<Option<Arc<Bot>>> {
        let (id, now) = (self.bot, self.hub.now());
        match self.org.bot(id) {
            None => self.hub.store().write(self.key(), move |conn| webhooks::delete_of_bot(conn, id)).await?,
            Some(bot) if bot.row.webhook_url.is_none() => {
                self.hub.store().write(self.key(), move |conn| webhooks::give_up_all(conn, id, now)).await?;
            }
            Some(bot) if bot.is_active() && self.org.is_active() => return Ok(Some(bot)),
            Some(_) => {}
        }
        Ok(None)
    }

    /// How long the head of the queue must wait. A time further off than any pause is of a clock that was set back.
    fn pause_before(&self, first: &DeliveryRow) -> Option<Duration> {
        let schedule = &self.hub.webhooks().schedule;
        let longest = schedule.retries.iter().copied().chain([schedule.pause, schedule.probe]).max().unwrap_or(0);
        let pause = u64::try_from(first.next_attempt_at.saturating_sub(self.hub.now())).unwrap_or(0);
        Some(Duration::from_millis(pause)).filter(|_| pause > 0 && pause <= longest.saturating_add(longest / 10))
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.signals.nudge.notified() => {}
        }
    }

    /// Sends a batch until one must wait.
    async fn deliver(
        &self,
        bot: &Arc<Bot>,
        batch: Vec<DeliveryRow>,
        health: Option<WebhookHealthRow>,
    ) -> ApiResult<()> {
        let health = health.unwrap_or_else(|| WebhookHealthRow {
            bot_id: self.bot.to_string(),
            last_success: None,
            last_failure: None,
            consecutive_failures: 0,
            degraded: false,
        });
        let mut notes = Notes { outcomes: Vec::new(), health, since: Instant::now() };
        for (index, row) in batch.iter().enumerate() {
            // A changed bot or organisation is looked at again before the next request.
            let is_current = self.org.is_active() && self.org.bot(self.bot).is_some_and(|now| Arc::ptr_eq(&now, bot));
            let must_wait = index > 0 && row.next_attempt_at > self.hub.now();
            if !is_current || must_wait || self.signals.revived.get() || !self.attempt(bot, row, &mut notes).await {
                break;
            }
            if notes.since.elapsed() > NOTE_AFTER {
                self.note(&mut notes).await?;
            }
        }
        let failures = notes.health.consecutive_failures;
        self.note(&mut notes).await?;
        if failures > 0 { self.trim().await } else { Ok(()) }
    }

    /// Sends one delivery; answers whether the next may follow at once.
    async fn attempt(&self, bot: &Bot, row: &DeliveryRow, notes: &mut Notes) -> bool {
        let (metrics, started) = (self.hub.metrics(), self.hub.now());
        if row.attempts > 0 && self.is_too_old(row, started) {
            metrics.webhook("given_up");
            let given_up = Outcome { status: "dead", finished_at: Some(started), ..outcome_of(row) };
            notes.outcomes.push(given_up);
            return true;
        }
        let posted = self.hub.webhooks().outside.post(self.org.id.uuid(), bot, row, started).await;
        let (now, attempts) = (self.hub.now(), row.attempts.saturating_add(1));
        let (verdict, last_status, last_error) = match posted {
            Posted::Answered(status) => {
                let verdict = judge(status);
                let error = (verdict != Verdict::Delivered).then(|| format!("answered {status}"));
                (verdict, Some(i32::from(status)), error)
            }
            Posted::Failed(why) => (Verdict::Failed, None, Some(why.to_owned())),
        };
        log::debug!(bot:% = self.bot, delivery = row.id, attempt = attempts, status:? = last_status, error:? = last_error; "webhook");
        let mut outcome = Outcome { attempts, last_status, last_error, ..outcome_of(row) };
        match verdict {
            Verdict::Delivered => {
                metrics.webhook("delivered");
                let lag = now.saturating_sub(row.created_at);
                metrics.webhook_delivered(Duration::from_millis(u64::try_from(lag).unwrap_or(0)));
                (outcome.status, outcome.finished_at) = ("delivered", Some(now));
                let health = &mut notes.health;
                (health.last_success, health.consecutive_failures, health.degraded) = (Some(now), 0, false);
            }
            Verdict::Refused => {
                metrics.webhook("refused");
                (outcome.status, outcome.finished_at) = ("dead", Some(now));
            }
            Verdict::Failed => {
                metrics.webhook("failed");
                outcome.next_attempt_at = self.setback(attempts, now, &mut notes.health);
            }
        }
        notes.outcomes.push(outcome);
        verdict != Verdict::Failed
    }

    fn is_too_old(&self, row: &DeliveryRow, now: i64) -> bool {
        let most = i64::try_from(self.hub.config().webhooks.give_up_hours).unwrap_or(72).saturating_mul(3_600_000);
        now.saturating_sub(row.created_at) > most
    }

    /// Counts a failed attempt; answers when the next is due.
    fn setback(&self, attempts: i32, now: i64, health: &mut WebhookHealthRow) -> i64 {
        let schedule = &self.hub.webhooks().schedule;
        let mut setback = schedule.setback(attempts, health.degraded);
        if setback.counts {
            health.consecutive_failures = health.consecutive_failures.saturating_add(1);
            health.last_failure = Some(now);
            if !health.degraded && health.consecutive_failures >= schedule.degraded_after {
                health.degraded = true;
                setback.pause = schedule.probe;
                log::warn!(bot:% = self.bot, failures = health.consecutive_failures; "a webhook's receiver is degraded");
            }
        }
        let pause = with_jitter(setback.pause);
        now.saturating_add(i64::try_from(pause).unwrap_or(i64::MAX))
    }

    async fn note(&self, notes: &mut Notes) -> ApiResult<()> {
        notes.since = Instant::now();
        if notes.outcomes.is_empty() {
            return Ok(());
        }
        let (bot, outcomes, health) = (self.bot, std::mem::take(&mut notes.outcomes), notes.health.clone());
        self.hub.store().write(self.key(), move |conn| webhooks::record(conn, bot, &outcomes, &health)).await
    }

    /// Gives up the oldest deliveries of a queue that has grown too long.
    async fn trim(&self) -> ApiResult<()> {
        let (bot, now) = (self.bot, self.hub.now());
        let most = i64::try_from(self.hub.config().webhooks.max_pending).unwrap_or(i64::MAX);
        let trimmed = self.hub.store().write(self.key(), move |conn| webhooks::trim(conn, bot, most, now)).await?;
        if trimmed > 0 {
            log::warn!(bot:% = bot, trimmed; "a webhook's queue was full; its oldest events are given up");
        }
        Ok(())
    }
}

fn outcome_of(row: &DeliveryRow) -> Outcome {
    Outcome {
        position: row.position,
        id: row.id.clone(),
        status: "pending",
        attempts: row.attempts,
        next_attempt_at: row.next_attempt_at,
        last_status: row.last_status,
        last_error: row.last_error.clone(),
        finished_at: None,
    }
}

/// Up to a tenth more, so that receivers that failed together are not tried together.
fn with_jitter(pause: u64) -> u64 {
    pause.saturating_add(rand::random_range(0..=pause / 10))
}
