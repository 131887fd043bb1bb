//! Executes a scenario: opens the sockets, lets the load run, measures the window, waits until everything acknowledged
//! has arrived, then checks the recorder. All message scenarios differ only in their `Plan`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::context::Context;
use crate::error::Result;
use crate::failures::Failure;
use crate::http::Http;
use crate::listener::Listener;
use crate::monitor::Monitor;
use crate::outcome::{Outcome, Snapshot};
use crate::pacer::{self, WeightedJobs};
use crate::plan::Plan;
use crate::rest_worker::RestWorker;
use crate::run::{Command, Job, Loop, Run};
use crate::socket::Socket;
use crate::socket_worker::SocketWorker;
use crate::{churn, verify};

/// Read buffer of a bot's socket.
const READ_BUFFER: usize = 16 << 10;
/// Presence counts as settled when no event of it has arrived for this long.
const PRESENCE_TIMEOUT: Duration = Duration::from_secs(3);
/// A drain without any progress for this long is over.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The tasks of a running scenario.
struct Tasks {
    run: Arc<Run>,
    socket_workers: Vec<(UnboundedSender<Command>, JoinHandle<()>)>,
    rest_workers: Vec<(UnboundedSender<Command>, JoinHandle<()>)>,
    listeners: Vec<(UnboundedSender<Command>, JoinHandle<()>)>,
}

/// Executes a plan from start to end.
pub async fn execute(context: &Context, mut plan: Plan) -> Result<(Outcome, Arc<Run>)> {
    let before = Snapshot::take(context.options.pid, context.options.db_pid);
    let pacing = if plan.rate.is_some() { Loop::Open } else { Loop::Closed(context.options.inflight.max(1)) };
    let recorder = std::mem::take(&mut plan.recorder);
    let mut run = Run::new(recorder, context.fleet.bots.clone(), context.options.size, pacing, plan.budget);
    run.is_static = plan.is_static;
    run.data_since = plan.data_since.unwrap_or(run.data_since);
    run.responder = std::mem::take(&mut plan.responder);
    let run = Arc::new(run);
    let tasks = Tasks::open(context, &plan, Arc::clone(&run)).await?;
    let presence_settled = tasks.wait_for_presence().await;
    let churning = plan.has_churn.then(|| tokio::spawn(churn::churn(context.fleet.target.clone(), Arc::clone(&run))));
    run.set_sending(true);
    let pacer =
        plan.rate.map(|rate| pacer::start(Arc::clone(&run), rate, tasks.weighted_jobs(&plan), context.options.seed));
    tasks.send_to_all(Command::Wake);
    if plan.budget.is_none() {
        sleep(context.options.warmup()).await;
    }
    let monitor = Monitor::new(context, &run, &plan);
    let (window, timeline) = monitor.watch(before).await;
    run.set_sending(false);
    if let Some(pacer) = pacer.map(std::thread::JoinHandle::join) {
        pacer.unwrap_or_else(|_| run.failures.add(Failure::Protocol, || "the pacer panicked".into()));
    }
    tasks.wait_for_deliveries().await;
    if let Some(churning) = churning {
        churning.await.unwrap_or_else(|_| run.failures.add(Failure::Protocol, || "the churn task panicked".into()));
    }
    tasks.stop().await;
    run.recorder.verify(&run.failures);
    if let Err(why) = verify::stored(&context.fleet, &run).await {
        run.failures.add(Failure::Stored, || format!("could not be read back: {why}"));
    }
    let mut outcome = Outcome::new(&plan.name, &window, run.stats.totals());
    outcome.setting = plan.setting;
    outcome.latency_us = run.stats.latencies();
    outcome.timeline = timeline;
    if !plan.socket_jobs.is_empty() {
        outcome.figure("presence_settled_s", (presence_settled.as_secs_f64() * 10.0).round() / 10.0);
    }
    outcome.failures = run.failures.lines();
    outcome.ok = outcome.failures.is_empty();
    Ok((outcome, run))
}

impl Tasks {
    async fn open(context: &Context, plan: &Plan, run: Arc<Run>) -> Result<Self> {
        let fleet = &context.fleet;
        // Each reads from its first moment on: presence comes to it while others open.
        let socket_workers = fleet
            .each(plan.socket_jobs.len(), async |bot| {
                let ticket = fleet.client(bot)?.ws_ticket().await?.ticket;
                let socket = Socket::open(&fleet.target, &ticket, bot, READ_BUFFER).await?;
                let (sender, receiver) = unbounded_channel();
                let jobs = plan.socket_jobs.get(bot).cloned().unwrap_or_default();
                let worker = SocketWorker::new(Arc::clone(&run), bot, jobs, socket, receiver);
                Ok((sender, tokio::spawn(worker.run())))
            })
            .await?;
        let listeners = fleet
            .each(plan.listeners.len(), async |nth| {
                let (sender, receiver) = unbounded_channel();
                let bot = plan.listeners.get(nth).copied().unwrap_or(0);
                let listener =
                    Listener::open(Arc::clone(&run), Arc::clone(&fleet.target), (nth, bot), receiver).await?;
                Ok((sender, tokio::spawn(listener.run())))
            })
            .await?;
        let mut rest_workers = Vec::new();
        for (nth, jobs) in plan.rest_jobs.iter().enumerate() {
            let (sender, receiver) = unbounded_channel();
            let http = Http::new(Arc::clone(&fleet.target), nth);
            let seed = context.options.seed.wrapping_add(u64::try_from(nth).unwrap_or(0));
            let worker = RestWorker::new(Arc::clone(&run), http, jobs.clone(), receiver, seed);
            rest_workers.push((sender, tokio::spawn(worker.run())));
        }
        Ok(Self { run, socket_workers, rest_workers, listeners })
    }

    /// Waits until presence has settled: of any two bots, the earlier one has received that the later one is online. A
    /// hub may spread these events over time when many connect at once; they are not part of the measured load. Returns
    /// how long it took until the last of them.
    async fn wait_for_presence(&self) -> Duration {
        let bots = u64::try_from(self.socket_workers.len()).unwrap_or(0);
        let (wanted, began) = (bots * bots.saturating_sub(1) / 2, Instant::now());
        let (mut last, mut since) = (self.run.presence_seen(), began);
        while last < wanted && since.elapsed() < PRESENCE_TIMEOUT {
            sleep(Duration::from_millis(10)).await;
            let presence_seen = self.run.presence_seen();
            if presence_seen != last {
                (last, since) = (presence_seen, Instant::now());
            }
        }
        since.duration_since(began)
    }

    /// Where each job of an open loop goes.
    fn weighted_jobs(&self, plan: &Plan) -> Vec<WeightedJobs> {
        let socket_jobs = plan.socket_jobs.iter().zip(&self.socket_workers);
        let rest_jobs = plan.rest_jobs.iter().zip(&self.rest_workers);
        let all_jobs = socket_jobs.chain(rest_jobs);
        let mailboxes: HashMap<Job, &UnboundedSender<Command>> =
            all_jobs.flat_map(|(jobs, (mailbox, _))| jobs.iter().map(move |job| (*job, mailbox))).collect();
        let target = |job: &Job| mailboxes.get(job).map(|mailbox| ((*mailbox).clone(), *job));
        let weighted =
            |weight: f64, jobs: &[Job]| WeightedJobs { weight, targets: jobs.iter().filter_map(target).collect() };
        if plan.shares.is_empty() {
            let all: Vec<Job> = plan.socket_jobs.iter().chain(&plan.rest_jobs).flatten().copied().collect();
            return vec![weighted(1.0, &all)];
        }
        plan.shares.iter().map(|(weight, jobs)| weighted(*weight, jobs)).collect()
    }

    fn send_to_all(&self, command: Command) {
        for (mailbox, _) in self.socket_workers.iter().chain(&self.rest_workers).chain(&self.listeners) {
            // A task that ended on its own has reported why.
            let _ = mailbox.send(command);
        }
    }

    /// Waits until everything is answered and delivered, as long as there is progress.
    async fn wait_for_deliveries(&self) {
        let (mut last, mut since) = (self.run.backlog(), Instant::now());
        loop {
            let backlog = self.run.backlog();
            if backlog.is_drained() {
                return;
            }
            if backlog != last {
                (last, since) = (backlog, Instant::now());
            } else if since.elapsed() > STALL_TIMEOUT {
                return self.run.failures.add(Failure::Timeout, || format!("{backlog:?} and nothing more arrives"));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Each socket first makes sure that nothing more is on its way to it (a second copy, say), then closes.
    async fn stop(self) {
        self.send_to_all(Command::Stop);
        let tasks = self.socket_workers.into_iter().chain(self.rest_workers).chain(self.listeners);
        for (nth, (_, mut task)) in tasks.enumerate() {
            match timeout(STALL_TIMEOUT, &mut task).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => self.run.failures.add(Failure::Protocol, || format!("task {nth}: {why}")),
                Err(_) => {
                    task.abort();
                    self.run.failures.add(Failure::Timeout, || format!("task {nth} got no pong"));
                }
            }
        }
    }
}
