//! State shared by a bot's deliveries while its queue is drained, and the steps of each delivery: read the payload,
//! take a share of the in-flight bytes, send the request, record the result.
//!
//! A request without a timely response continues beside its conversation until the response timeout, so a receiver that
//! is slow to respond blocks nothing and is asked once.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use uuid::Uuid;

use super::Webhooks;
use super::backlog::Backlog;
use super::outbound_client::{Posted, Request};
use super::signals::Signals;
use crate::core::org_state::{Bot, OrgState};
use crate::core::shard;
use hxa_domain::error::ApiResult;
use hxa_domain::ids::BotId;
use hxa_domain::shares::Share;
use hxa_domain::webhook::{DeliveryStatus, Schedule, Verdict, is_about_receiver, judge};
use hxa_store::rows::{DeliveryRow, WebhookHealthRow};
use hxa_store::webhooks::{self, Found, Outcome};

/// Deliveries of a lane read at once.
const BATCH: i64 = 32;
/// Outcomes may stay unnoted so long; a kill in between repeats deliveries.
const NOTE_AFTER: Duration = Duration::from_millis(100);
/// What a request takes beside its body: its connection's buffers.
const OVERHEAD: usize = 16 * 1024;
/// Milliseconds between two tries to get a share of what may be in flight.
const SHARE_AGAIN: std::ops::Range<u64> = 100..300;

/// Something that was on its way is no more.
pub struct Landed {
    /// From this lane.
    pub lane: String,
}

/// What is not yet noted, and how the receiver fares.
struct Notes {
    outcomes: Vec<Outcome>,
    since: Instant,
    health: WebhookHealthRow,
}

/// What the deliveries of a bot share during one run through its queue.
pub struct Run {
    /// What all webhooks share.
    pub webhooks: Arc<Webhooks>,
    /// The bot's organisation.
    pub org: Arc<OrgState>,
    /// The bot.
    pub bot: BotId,
    /// Signals of the actor.
    pub signals: Rc<Signals>,
    /// What waits for the bot.
    pub backlog: Arc<Backlog>,
    /// Requests whose conversation went on without their answer, by their lanes.
    pub late: RefCell<Vec<(String, LocalBoxFuture<'static, Landed>)>>,
    /// Requests and lanes under way.
    pub in_flight: Cell<usize>,
    notes: RefCell<Notes>,
    is_loaded: Cell<bool>,
    /// Failures since the receiver last said something final.
    streak: Cell<usize>,
    /// Nothing is sent before.
    gate: Cell<Option<Instant>>,
}

impl Run {
    /// A run that has not begun.
    pub fn new(
        webhooks: Arc<Webhooks>,
        org: Arc<OrgState>,
        bot: BotId,
        backlog: Arc<Backlog>,
        signals: Rc<Signals>,
    ) -> Self {
        let health = WebhookHealthRow::untried(bot);
        let notes = RefCell::new(Notes { outcomes: Vec::new(), since: Instant::now(), health });
        Self {
            webhooks,
            org,
            bot,
            signals,
            backlog,
            late: RefCell::default(),
            in_flight: Cell::new(0),
            notes,
            is_loaded: Cell::new(false),
            streak: Cell::new(0),
            gate: Cell::new(None),
        }
    }

    /// The key of the bot's writes.
    pub fn key(&self) -> u64 {
        shard(self.bot.uuid())
    }

    /// Times of attempts.
    pub fn schedule(&self) -> &Schedule {
        &self.webhooks.schedule
    }

    /// Brings database and memory together: what is not yet noted is, failures that are to be forgotten are.
    pub async fn refresh(&self) -> ApiResult<()> {
        self.note().await?;
        let bot = self.bot;
        if self.signals.revived.take() {
            self.webhooks.core.store().write(self.key(), move |conn| webhooks::revive(conn, bot)).await?;
            self.streak.set(0);
            self.gate.set(None);
            let health = &mut self.notes.borrow_mut().health;
            (health.consecutive_failures, health.degraded, health.hold_until) = (0, false, 0);
        }
        if !self.is_loaded.get() {
            let health = self.webhooks.core.store().read(move |conn| webhooks::find_health(conn, bot)).await?;
            self.is_loaded.set(true);
            if let Some(health) = health {
                self.notes.borrow_mut().health = health;
            }
        }
        Ok(())
    }

    /// When there is something to note at last.
    pub fn note_at(&self) -> Option<Instant> {
        let notes = self.notes.borrow();
        if notes.outcomes.is_empty() { None } else { Some(notes.since + NOTE_AFTER) }
    }

    async fn note(&self) -> ApiResult<()> {
        let (outcomes, health) = {
            let mut notes = self.notes.borrow_mut();
            (std::mem::take(&mut notes.outcomes), notes.health.clone())
        };
        if outcomes.is_empty() {
            return Ok(());
        }
        self.backlog.note_finished(outcomes.iter().filter(|outcome| outcome.finished_at.is_some()).count());
        let bot = self.bot;
        self.webhooks.core.store().write(self.key(), move |conn| webhooks::record(conn, bot, &outcomes, &health)).await
    }

    /// Whether the bot may be delivered to now. What was queued for a bot that is gone or has no webhook any more is
    /// cleared away; a suspended organisation's queue waits.
    pub async fn may_deliver(&self) -> ApiResult<bool> {
        if self.webhooks.core.is_draining() {
            return Ok(false);
        }
        let (id, now) = (self.bot, self.webhooks.core.now());
        match self.org.bot(id) {
            None => self.webhooks.core.store().write(self.key(), move |conn| webhooks::delete_of_bot(conn, id)).await?,
            Some(bot) if bot.row.webhook_url.is_none() => {
                self.webhooks.core.store().write(self.key(), move |conn| webhooks::give_up_all(conn, id, now)).await?;
            }
            Some(_) => return Ok(self.receiver().is_some()),
        }
        Ok(false)
    }

    /// The bot as it is now, if something may be sent to it.
    fn receiver(&self) -> Option<Arc<Bot>> {
        let is_open = self.org.is_active() && !self.webhooks.core.is_draining() && !self.signals.revived.get();
        self.org.bot(self.bot).filter(|bot| is_open && bot.is_active() && bot.row.webhook_url.is_some())
    }

    /// Requests that may be under way: one, while it is doubtful whether the receiver takes anything.
    pub fn slots(&self) -> usize {
        let most = self.webhooks.core.config().webhooks.in_flight_per_bot;
        let is_doubtful = self.notes.borrow().health.degraded || self.streak.get() >= most;
        if is_doubtful { 1 } else { most }
    }

    /// How long nothing is to be sent.
    pub fn hold(&self, now: i64) -> Option<Duration> {
        let held = self.schedule().wait_until(self.notes.borrow().health.hold_until, now).map(Duration::from_millis);
        let gated = self.gate.get().map(|gate| gate.saturating_duration_since(Instant::now()));
        held.max(gated.filter(|gated| !gated.is_zero()))
    }

    /// Sends what waits in a lane, one after the other, until one must wait.
    pub async fn deliver_lane(self: Rc<Self>, lane: String) -> Landed {
        let (bot, key) = (self.bot, lane.clone());
        // When this fails, the next look at the queue does too and says so.
        let rows = self.webhooks.core.store().read(move |conn| webhooks::list_lane(conn, bot, &key, BATCH)).await;
        for row in rows.unwrap_or_default() {
            let now = self.webhooks.core.now();
            let is_due = self.schedule().wait_until(row.next_attempt_at, now).is_none() && self.hold(now).is_none();
            if !is_due || self.in_flight.get() > self.slots() || !self.deliver(row).await {
                break;
            }
        }
        self.landed(lane)
    }

    fn landed(&self, lane: String) -> Landed {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        Landed { lane }
    }

    /// Sends one delivery; answers whether the next of its lane may follow at once.
    async fn deliver(self: &Rc<Self>, mut row: DeliveryRow) -> bool {
        let now = self.webhooks.core.now();
        if row.attempts > 0 && self.is_too_old(&row, now) {
            return self.give_up(&row, "given_up", row.last_error.clone());
        }
        let (bot, asked) = (self.bot, row.clone());
        let body = match self.webhooks.core.store().read(move |conn| webhooks::find_body(conn, bot, &asked)).await {
            Ok(Found::Body(body)) => body,
            // Its lane was read before.
            Ok(Found::Finished) => return true,
            Ok(Found::Gone) => {
                return self.give_up(&row, "dropped", Some("the payload is not kept any more".to_owned()));
            }
            Ok(Found::Unreadable) => {
                return self.give_up(&row, "dropped", Some("the bot has left the thread".to_owned()));
            }
            // As above.
            Err(_) => return false,
        };
        let Some(share) = self.share(body.len()).await else { return false };
        let Some(bot) = self.receiver() else { return false };
        row.attempts = row.attempts.saturating_add(1);
        let (webhooks, org) = (self.webhooks.clone(), self.org.id.uuid());
        let webhook = match webhooks.client.find(org, &bot).await {
            Ok(webhook) => webhook,
            Err(why) => return self.resolve(&row, &Posted::Failed(why)),
        };
        let request = Request { id: row.id, event: row.event.clone(), body };
        let mut post: LocalBoxFuture<'static, Posted> = Box::pin(async move {
            let posted = webhooks.client.post(webhook, &bot.row, request, webhooks.core.now()).await;
            drop(share);
            posted
        });
        let patience = Duration::from_millis(self.webhooks.core.config().webhooks.timeout_ms);
        match tokio::time::timeout(patience, &mut post).await {
            Ok(Posted::Unanswered) => {
                leave_conversation(&mut row);
                self.resolve(&row, &Posted::Unanswered)
            }
            Ok(posted) => self.resolve(&row, &posted),
            Err(_) => self.go_on_without(row, post),
        }
    }

    /// A share of what may be in flight, as soon as there is one; none when nothing may be sent any more.
    async fn share(&self, bytes: usize) -> Option<Share<Uuid>> {
        let in_flight = &self.webhooks.in_flight;
        // What is larger than a lone bot's share may be sent all the same.
        let amount = bytes.saturating_add(OVERHEAD).min(in_flight.total() / 8);
        loop {
            self.receiver()?;
            match in_flight.take(self.org.id.uuid(), self.bot.uuid(), amount) {
                Ok(share) => return Some(share),
                Err(_) => tokio::time::sleep(Duration::from_millis(rand::random_range(SHARE_AGAIN))).await,
            }
        }
    }

    /// Lets the conversation go on while the answer is still waited for, in a lane of its own.
    fn go_on_without(self: &Rc<Self>, mut row: DeliveryRow, post: LocalBoxFuture<'static, Posted>) -> bool {
        let own = &self.webhooks.core.config().webhooks;
        let more = own.answer_ms.saturating_sub(own.timeout_ms);
        leave_conversation(&mut row);
        if more == 0 {
            return self.resolve(&row, &Posted::Unanswered);
        }
        // After a kill it is sent again once the answer would not be waited for any more.
        let pause = self.schedule().repeat(row.unanswered).unwrap_or(0).saturating_add(more);
        row.next_attempt_at = self.webhooks.core.now().saturating_add(i64::try_from(pause).unwrap_or(0));
        row.last_error = Some("no answer yet".to_owned());
        self.add(Outcome {
            next_attempt_at: row.next_attempt_at,
            last_error: row.last_error.clone(),
            ..outcome_of(&row)
        });
        let (run, lane) = (self.clone(), row.lane.clone());
        let late = async move {
            let posted = tokio::time::timeout(Duration::from_millis(more), post).await;
            run.resolve(&row, &posted.unwrap_or(Posted::Unanswered));
            run.landed(row.lane)
        };
        self.in_flight.set(self.in_flight.get() + 1);
        self.late.borrow_mut().push((lane, Box::pin(late)));
        self.signals.wakeup.notify_one();
        true
    }

    /// Notes what came of an attempt, which `row` counts already; answers whether the next of its lane may follow.
    fn resolve(&self, row: &DeliveryRow, posted: &Posted) -> bool {
        let now = self.webhooks.core.now();
        let mut outcome = Outcome { last_status: None, last_error: None, ..outcome_of(row) };
        let verdict = match posted {
            Posted::Answered { status, .. } => {
                let verdict = judge(*status);
                outcome.last_status = Some(i32::from(*status));
                outcome.last_error = (verdict != Verdict::Delivered).then(|| format!("answered {status}"));
                Some(verdict)
            }
            Posted::Failed(why) => {
                outcome.last_error = Some((*why).to_owned());
                Some(Verdict::Failed)
            }
            Posted::Unanswered => None,
        };
        log::debug!(bot:% = self.bot, delivery:% = row.id, attempt = row.attempts, status:? = outcome.last_status, error:? = outcome.last_error; "webhook");
        match verdict {
            Some(Verdict::Delivered) => self.note_success(row, &mut outcome, now),
            Some(Verdict::Refused) => {
                self.webhooks.core.metrics().webhook("refused");
                self.streak.set(0);
                (outcome.status, outcome.finished_at) = (DeliveryStatus::Dead, Some(now));
            }
            Some(Verdict::Failed) => {
                self.webhooks.core.metrics().webhook("failed");
                outcome.next_attempt_at = self.setback(row.attempts, posted, now);
            }
            None => self.note_silence(row, &mut outcome, now),
        }
        self.add(outcome);
        verdict != Some(Verdict::Failed)
    }

    fn note_success(&self, row: &DeliveryRow, outcome: &mut Outcome, now: i64) {
        let metrics = self.webhooks.core.metrics();
        metrics.webhook("delivered");
        let lag = now.saturating_sub(row.created_at);
        metrics.webhook_delivered(Duration::from_millis(u64::try_from(lag).unwrap_or(0)));
        (outcome.status, outcome.finished_at) = (DeliveryStatus::Delivered, Some(now));
        self.streak.set(0);
        let health = &mut self.notes.borrow_mut().health;
        (health.last_success, health.consecutive_failures, health.degraded) = (Some(now), 0, false);
        health.hold_until = 0;
    }

    /// What was sent may have been taken: it is repeated a few times, and then left at that.
    fn note_silence(&self, row: &DeliveryRow, outcome: &mut Outcome, now: i64) {
        self.webhooks.core.metrics().webhook("unanswered");
        outcome.last_error = Some("no answer in time".to_owned());
        match self.schedule().repeat(row.unanswered) {
            Some(pause) => outcome.next_attempt_at = after(now, pause),
            None => (outcome.status, outcome.finished_at) = (DeliveryStatus::Unknown, Some(now)),
        }
        self.count_failure(now);
    }

    /// Counts a failed attempt; answers when the next is due.
    fn setback(&self, attempts: i32, posted: &Posted, now: i64) -> i64 {
        let schedule = self.schedule();
        let setback = schedule.setback(attempts, self.notes.borrow().health.degraded);
        let mut pause = setback.pause;
        if setback.counts && self.count_failure(now) {
            pause = schedule.probe;
        }
        self.streak.set(self.streak.get().saturating_add(1));
        if self.streak.get() >= self.webhooks.core.config().webhooks.in_flight_per_bot {
            let rest = schedule.retries.first().copied().unwrap_or(schedule.pause);
            self.gate.set(Some(Instant::now() + Duration::from_millis(rest)));
        }
        if let Posted::Answered { status, retry_after: Some(wait) } = posted {
            pause = pause.max(*wait);
            if is_about_receiver(*status) {
                let until = now.saturating_add(i64::try_from(*wait).unwrap_or(0));
                let health = &mut self.notes.borrow_mut().health;
                health.hold_until = health.hold_until.max(until);
            }
        }
        after(now, pause)
    }

    /// Counts a failed round, but for those that fail beside one that was counted; answers whether the receiver is
    /// degraded.
    fn count_failure(&self, now: i64) -> bool {
        let schedule = self.schedule();
        let health = &mut self.notes.borrow_mut().health;
        let is_counted = health.consecutive_failures > 0
            && health.last_failure.is_some_and(|last| now.abs_diff(last) < schedule.round());
        if !is_counted {
            health.consecutive_failures = health.consecutive_failures.saturating_add(1);
            health.last_failure = Some(now);
            if !health.degraded && health.consecutive_failures >= schedule.degraded_after {
                health.degraded = true;
                log::warn!(bot:% = self.bot, failures = health.consecutive_failures; "a webhook's receiver is degraded; it is only probed until it responds");
            }
        }
        if health.degraded {
            health.hold_until = after(now, schedule.probe);
        }
        health.degraded
    }

    fn is_too_old(&self, row: &DeliveryRow, now: i64) -> bool {
        let most =
            i64::try_from(self.webhooks.core.config().webhooks.give_up_hours).unwrap_or(72).saturating_mul(3_600_000);
        now.saturating_sub(row.created_at) > most
    }

    fn give_up(&self, row: &DeliveryRow, result: &str, why: Option<String>) -> bool {
        self.webhooks.core.metrics().webhook(result);
        let finished_at = Some(self.webhooks.core.now());
        self.add(Outcome { status: DeliveryStatus::Dead, finished_at, last_error: why, ..outcome_of(row) });
        true
    }

    fn add(&self, outcome: Outcome) {
        let mut notes = self.notes.borrow_mut();
        if notes.outcomes.is_empty() {
            notes.since = Instant::now();
            self.signals.noted.notify_one();
        }
        notes.outcomes.push(outcome);
    }
}

/// What was sent without an answer holds up nothing any more: it is a lane of its own.
fn leave_conversation(row: &mut DeliveryRow) {
    row.unanswered = row.unanswered.saturating_add(1);
    row.lane = row.id.to_string();
}

fn outcome_of(row: &DeliveryRow) -> Outcome {
    Outcome {
        position: row.position,
        id: row.id,
        lane: row.lane.clone(),
        status: DeliveryStatus::Pending,
        attempts: row.attempts,
        unanswered: row.unanswered,
        next_attempt_at: row.next_attempt_at,
        last_status: row.last_status,
        last_error: row.last_error.clone(),
        finished_at: None,
    }
}

/// The time so much later, and up to a tenth more, so that receivers that failed together are not tried together.
fn after(now: i64, pause: u64) -> i64 {
    let pause = pause.saturating_add(rand::random_range(0..=pause / 10));
    now.saturating_add(i64::try_from(pause).unwrap_or(i64::MAX))
}
