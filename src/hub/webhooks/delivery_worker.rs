//! The webhook actor: one per bot with pending deliveries. It drains the bot's queue, several deliveries at a time, and
//! in order within a conversation.
//!
//! It relies on stored state only: every round of its loop reads which lanes have something to send and the receiver's
//! health, so it continues after a restart, and changes (the URL, the secret, the bot, the organisation) apply from the
//! next request on. A lane is a conversation, or a delivery that was sent without a response. The first delivery of a
//! lane leaves it only when it was accepted, permanently refused or became too old; until then the deliveries behind it
//! wait. Other lanes are not affected: a round serves those that are due, in turn.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;

use super::Webhooks;
use super::backlog::Backlog;
use super::flight::{Landed, Run};
use super::signals::{Signals, Wake};
use crate::core::org_state::OrgState;
use crate::core::registry::InUse;
use crate::core::shard;
use hxa_domain::error::ApiResult;
use hxa_domain::ids::BotId;
use hxa_store::webhooks;

/// Lanes read at once.
const LANES: i64 = 64;
/// Between two looks at the queue of a receiver that is busy.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Pause after the database failed.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);
/// How long a retired actor forwards what still arrives.
const LINGER: Duration = Duration::from_secs(5);
/// A loop with nothing to wait for looks again all the same.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The actor; see the module.
pub struct WebhookActor {
    webhooks: Arc<Webhooks>,
    org: Arc<OrgState>,
    bot: BotId,
    backlog: Arc<Backlog>,
    signals: Rc<Signals>,
    is_running: bool,
    last_used: Instant,
    /// Set once the actor has left the directory; what still arrives is sent on to its successor.
    retired: bool,
    _in_use: InUse,
}

impl WebhookActor {
    /// Starts the actor of a bot on one of the hub's arbiters.
    pub fn spawn(webhooks: &Arc<Webhooks>, org: &Arc<OrgState>, bot: BotId, backlog: &Arc<Backlog>) -> Addr<Self> {
        let (webhooks, org, backlog) = (webhooks.clone(), org.clone(), backlog.clone());
        let arbiter = webhooks.core.arbiters().of_key(shard(bot.uuid()));
        Self::start_in_arbiter(&arbiter, move |_| Self {
            _in_use: InUse::new(&webhooks.core, "webhook"),
            webhooks,
            org,
            bot,
            backlog,
            signals: Rc::default(),
            is_running: false,
            last_used: Instant::now(),
            retired: false,
        })
    }

    fn run(&mut self, context: &mut Context<Self>) {
        self.is_running = true;
        let (webhooks, org, signals) = (self.webhooks.clone(), self.org.clone(), self.signals.clone());
        let run = Rc::new(Run::new(webhooks, org, self.bot, self.backlog.clone(), signals));
        let running =
            async move { DeliveryWorker { run, after: String::new(), in_flight: HashSet::new() }.run().await };
        context.spawn(running.into_actor(self).map(|outcome, actor, context| {
            actor.is_running = false;
            actor.last_used = Instant::now();
            if actor.org.is_gone() {
                actor.webhooks.forget(actor.bot, actor.org.id);
                context.stop();
            } else if let Err(error) = outcome {
                log::warn!(bot:% = actor.bot, error:% = error; "cannot read or update a webhook's queue");
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
        let idle = Duration::from_secs(self.webhooks.core.config().actors.idle_seconds.max(1));
        context.run_later(idle, move |actor, context| {
            if actor.is_running || actor.last_used.elapsed() < idle {
                return actor.watch_idleness(context);
            }
            actor.retired = true;
            actor.webhooks.workers.retire(actor.bot, &context.address());
            context.run_later(LINGER, |_, context| context.stop());
        });
    }
}

impl Actor for WebhookActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.watch_idleness(context);
    }
}

impl Handler<Wake> for WebhookActor {
    type Result = ();

    fn handle(&mut self, wake: Wake, context: &mut Self::Context) {
        if self.retired {
            return self.webhooks.wake(&self.org, self.bot, wake);
        }
        self.last_used = Instant::now();
        if wake == Wake::Revived {
            self.signals.revived.set(true);
        }
        if self.is_running {
            self.signals.more.set(true);
            self.signals.wakeup.notify_one();
        } else {
            self.run(context);
        }
    }
}

/// One run through a bot's queue: it ends when nothing is left or the bot cannot be delivered to.
struct DeliveryWorker {
    run: Rc<Run>,
    /// The lane that was taken up last; the next are those after it.
    after: String,
    /// Lanes that something is on its way from.
    in_flight: HashSet<String>,
}

type Flights = FuturesUnordered<LocalBoxFuture<'static, Landed>>;

/// What a look at the queue found.
enum Left {
    /// Nothing waits that is not on its way.
    Nothing,
    /// More may be due as soon as something lands.
    More,
    /// Nothing is due before this much time.
    Later(Duration),
}

impl DeliveryWorker {
    async fn run(mut self) -> ApiResult<()> {
        let mut flights = Flights::new();
        while !self.run.org.is_gone() {
            self.run.signals.more.set(false);
            self.take_up_late(&mut flights);
            self.run.refresh().await?;
            let may_start = self.run.may_deliver().await?;
            if may_start {
                self.run.relieve().await?;
            }
            let left = if may_start { self.start_due(&mut flights).await? } else { Left::Nothing };
            if flights.is_empty() && matches!(left, Left::Nothing) {
                break;
            }
            self.wait(&mut flights, &left).await;
        }
        self.run.refresh().await
    }

    /// Deliveries whose lane went on without their answer are on their way from a lane of their own.
    fn take_up_late(&mut self, flights: &mut Flights) {
        for (lane, late) in self.run.late.take() {
            self.in_flight.insert(lane);
            flights.push(late);
        }
    }

    /// Starts what is due, as far as the receiver may be sent more.
    async fn start_due(&mut self, flights: &mut Flights) -> ApiResult<Left> {
        let now = self.run.webhooks.core.now();
        if let Some(hold) = self.run.hold(now) {
            return Ok(Left::Later(hold));
        }
        let room = self.run.slots().saturating_sub(flights.len());
        if room == 0 {
            return Ok(Left::More);
        }
        let (due, left) = self.look(room, now).await?;
        for lane in due {
            self.after.clone_from(&lane);
            self.in_flight.insert(lane.clone());
            let run = self.run.clone();
            run.in_flight.set(run.in_flight.get() + 1);
            flights.push(Box::pin(async move { run.deliver_lane(lane).await }));
        }
        Ok(left)
    }

    /// Goes once around the lanes; answers those that are due, at most `room`, and what else there is.
    async fn look(&self, room: usize, now: i64) -> ApiResult<(Vec<String>, Left)> {
        let (store, bot) = (self.run.webhooks.core.store(), self.run.bot);
        let (mut due, mut soonest): (Vec<String>, Option<u64>) = (Vec::new(), None);
        let (mut after, mut is_second_half) = (self.after.clone(), self.after.is_empty());
        loop {
            let from = after.clone();
            let lanes = store.read(move |conn| webhooks::list_lanes(conn, bot, &from, LANES)).await?;
            let is_last = lanes.len() < usize::try_from(LANES).unwrap_or(usize::MAX);
            let is_around = |lane: &str| is_second_half && !self.after.is_empty() && *lane > *self.after;
            for (lane, next_attempt_at) in lanes {
                if is_around(&lane) {
                    return Ok((due, soonest.map_or(Left::Nothing, |wait| Left::Later(Duration::from_millis(wait)))));
                }
                after.clone_from(&lane);
                if self.in_flight.contains(&lane) {
                    continue;
                }
                match self.run.schedule().wait_until(next_attempt_at, now) {
                    Some(wait) => soonest = Some(soonest.map_or(wait, |soonest| soonest.min(wait))),
                    None => due.push(lane),
                }
                if due.len() >= room {
                    return Ok((due, Left::More));
                }
            }
            if is_last && is_second_half {
                return Ok((due, soonest.map_or(Left::Nothing, |wait| Left::Later(Duration::from_millis(wait)))));
            }
            if is_last {
                (after, is_second_half) = (String::new(), true);
            }
        }
    }

    /// Waits until something landed, is due, is to be noted or has changed.
    async fn wait(&mut self, flights: &mut Flights, left: &Left) {
        let pause = match left {
            Left::Later(pause) => (*pause).min(LONGEST_SLEEP),
            Left::Nothing | Left::More => LONGEST_SLEEP,
        };
        let until = Instant::now() + pause;
        loop {
            let until = self.run.note_at().map_or(until, |at| at.min(until));
            tokio::select! {
                Some(landed) = flights.next(), if !flights.is_empty() => {
                    self.in_flight.remove(&landed.lane);
                    return;
                }
                () = tokio::time::sleep_until(until.into()) => return,
                () = self.run.signals.noted.notified() => {}
                () = self.run.signals.wakeup.notified() => {
                    // A burst of wakes is one look.
                    tokio::time::sleep(LOOK_AGAIN).await;
                    return;
                }
            }
        }
    }
}
