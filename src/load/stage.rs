//! Plays a scenario: opens the sockets, lets the load run, measures the window, waits until everything acknowledged
//! has arrived, then checks the book. All message scenarios differ only in their `Plan`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::clerk::Clerk;
use crate::context::Context;
use crate::error::Result;
use crate::flaws::Flaw;
use crate::http::Http;
use crate::monitor::Monitor;
use crate::outcome::{Outcome, Snapshot};
use crate::pacer::{self, Lane};
use crate::plan::Plan;
use crate::player::Player;
use crate::run::{Job, Loop, Order, Run};
use crate::socket::Wire;
use crate::{churn, verify};

/// Read buffer of a player's socket.
const READ_BUFFER: usize = 16 << 10;
/// A hub that has told nothing of presence for this long has nothing more to tell.
const QUIET: Duration = Duration::from_secs(3);
/// A drain without any progress for this long is over.
const STALL: Duration = Duration::from_secs(10);

/// The tasks of a running scenario.
struct Stage {
    run: Arc<Run>,
    players: Vec<(UnboundedSender<Order>, JoinHandle<()>)>,
    clerks: Vec<(UnboundedSender<Order>, JoinHandle<()>)>,
}

/// Plays a plan from start to end.
pub async fn perform(context: &Context, mut plan: Plan) -> Result<(Outcome, Arc<Run>)> {
    let before = Snapshot::take(context.options.pid, context.options.db_pid);
    let pacing = if plan.rate.is_some() { Loop::Open } else { Loop::Closed(context.options.inflight.max(1)) };
    let book = std::mem::take(&mut plan.book);
    let mut run = Run::new(book, context.fleet.bots.clone(), context.options.size, pacing, plan.budget);
    run.is_static = plan.is_static;
    run.data_since = plan.data_since.unwrap_or(run.data_since);
    let run = Arc::new(run);
    let stage = Stage::open(context, &plan, Arc::clone(&run)).await?;
    let acquainted = stage.acquaint().await;
    let churning = plan.has_churn.then(|| tokio::spawn(churn::churn(context.fleet.target.clone(), Arc::clone(&run))));
    run.set_sending(true);
    let pacer = plan.rate.map(|rate| pacer::start(Arc::clone(&run), rate, stage.lanes(&plan), context.options.seed));
    stage.tell(Order::Wake);
    if plan.budget.is_none() {
        sleep(context.options.warmup()).await;
    }
    let monitor = Monitor::new(context, &run, &plan);
    let (window, timeline) = monitor.watch(before).await;
    run.set_sending(false);
    if let Some(pacer) = pacer.map(std::thread::JoinHandle::join) {
        pacer.unwrap_or_else(|_| run.flaws.add(Flaw::Protocol, || "the pacer panicked".into()));
    }
    stage.settle().await;
    if let Some(churning) = churning {
        churning.await.unwrap_or_else(|_| run.flaws.add(Flaw::Protocol, || "the churn task panicked".into()));
    }
    stage.leave().await;
    run.book.verify(&run.flaws);
    if let Err(why) = verify::stored(&context.fleet, &run).await {
        run.flaws.add(Flaw::Stored, || format!("could not be read back: {why}"));
    }
    let mut outcome = Outcome::new(&plan.name, &window, run.stats.totals());
    outcome.setting = plan.setting;
    outcome.latency_us = run.stats.latencies();
    outcome.timeline = timeline;
    if !plan.players.is_empty() {
        outcome.figure("presence_settled_s", (acquainted.as_secs_f64() * 10.0).round() / 10.0);
    }
    outcome.failures = run.flaws.lines();
    outcome.ok = outcome.failures.is_empty();
    Ok((outcome, run))
}

impl Stage {
    async fn open(context: &Context, plan: &Plan, run: Arc<Run>) -> Result<Self> {
        let fleet = &context.fleet;
        // Each reads from its first moment on: presence comes to it while others open.
        let players = fleet
            .each(plan.players.len(), async |bot| {
                let ticket = fleet.client(bot)?.ws_ticket().await?.ticket;
                let wire = Wire::open(&fleet.target, &ticket, bot, READ_BUFFER).await?;
                let (sender, receiver) = unbounded_channel();
                let jobs = plan.players.get(bot).cloned().unwrap_or_default();
                let player = Player::new(Arc::clone(&run), bot, jobs, wire, receiver);
                Ok((sender, tokio::spawn(player.play())))
            })
            .await?;
        let mut clerks = Vec::new();
        for (nth, jobs) in plan.clerks.iter().enumerate() {
            let (sender, receiver) = unbounded_channel();
            let http = Http::new(Arc::clone(&fleet.target), nth);
            let seed = context.options.seed.wrapping_add(u64::try_from(nth).unwrap_or(0));
            let clerk = Clerk::new(Arc::clone(&run), http, jobs.clone(), receiver, seed);
            clerks.push((sender, tokio::spawn(clerk.work())));
        }
        Ok(Self { run, players, clerks })
    }

    /// Waits until the bots know of one another: of any two, the later one was told to the earlier. A hub may do that
    /// little by little when many come at once, and it is no part of the load that is measured. How long it took.
    async fn acquaint(&self) -> Duration {
        let bots = u64::try_from(self.players.len()).unwrap_or(0);
        let (wanted, began) = (bots * bots.saturating_sub(1) / 2, Instant::now());
        let (mut last, mut since) = (self.run.met(), began);
        while last < wanted && since.elapsed() < QUIET {
            sleep(Duration::from_millis(10)).await;
            let met = self.run.met();
            if met != last {
                (last, since) = (met, Instant::now());
            }
        }
        began.elapsed()
    }

    /// Where each job of an open loop goes.
    fn lanes(&self, plan: &Plan) -> Vec<Lane> {
        let socket_jobs = plan.players.iter().zip(&self.players);
        let rest_jobs = plan.clerks.iter().zip(&self.clerks);
        let all_jobs = socket_jobs.chain(rest_jobs);
        let mailboxes: HashMap<Job, &UnboundedSender<Order>> =
            all_jobs.flat_map(|(jobs, (mailbox, _))| jobs.iter().map(move |job| (*job, mailbox))).collect();
        let target = |job: &Job| mailboxes.get(job).map(|mailbox| ((*mailbox).clone(), *job));
        let lane = |weight: f64, jobs: &[Job]| Lane { weight, targets: jobs.iter().filter_map(target).collect() };
        if plan.shares.is_empty() {
            let all: Vec<Job> = plan.players.iter().chain(&plan.clerks).flatten().copied().collect();
            return vec![lane(1.0, &all)];
        }
        plan.shares.iter().map(|(weight, jobs)| lane(*weight, jobs)).collect()
    }

    fn tell(&self, order: Order) {
        for (mailbox, _) in self.players.iter().chain(&self.clerks) {
            // A task that ended on its own has reported why.
            let _ = mailbox.send(order);
        }
    }

    /// Waits until everything is answered and delivered, as long as there is progress.
    async fn settle(&self) {
        let (mut last, mut since) = (self.run.backlog(), Instant::now());
        loop {
            let backlog = self.run.backlog();
            if backlog.is_settled() {
                return;
            }
            if backlog != last {
                (last, since) = (backlog, Instant::now());
            } else if since.elapsed() > STALL {
                return self.run.flaws.add(Flaw::Timeout, || format!("{backlog:?} and nothing more arrives"));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Each socket first makes sure that nothing more is on its way to it (a second copy, say), then closes.
    async fn leave(self) {
        self.tell(Order::Leave);
        for (nth, (_, mut task)) in self.players.into_iter().chain(self.clerks).enumerate() {
            match timeout(STALL, &mut task).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => self.run.flaws.add(Flaw::Protocol, || format!("task {nth}: {why}")),
                Err(_) => {
                    task.abort();
                    self.run.flaws.add(Flaw::Timeout, || format!("task {nth} got no pong"));
                }
            }
        }
    }
}
