//! The open loop: a Poisson stream of operations at a given rate, whatever the hub does.
//!
//! It runs on its own thread, because a runtime's timers are too coarse (1 ms) for latencies that start at the
//! intended moment. When it falls behind it sends at once and the intended times stay in the past, so lateness of the
//! generator shows up as latency and never as a lower load.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::mpsc::UnboundedSender;

use crate::run::{Command, Job, Run};

/// Longest sleep, so that the end of the run is noticed.
const MAX_SLEEP: Duration = Duration::from_millis(50);

/// Jobs of one kind with their share of the stream.
pub struct WeightedJobs {
    /// Share, relative to the other kinds.
    pub weight: f64,
    /// One of these is picked each time.
    pub targets: Vec<(UnboundedSender<Command>, Job)>,
}

/// Starts the stream; it ends when the run stops sending or its budget is used up.
pub fn start(run: Arc<Run>, rate: f64, weighted_jobs: Vec<WeightedJobs>, seed: u64) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut random = StdRng::seed_from_u64(seed);
        let mut due = Instant::now();
        while run.is_sending() {
            // 1 - u is in (0, 1], so the logarithm is finite.
            let gap = -(1.0 - random.random::<f64>()).ln() / rate;
            due += Duration::from_secs_f64(gap);
            if !sleep_until(due, &run) {
                return;
            }
            // Open before it leaves the budget: a run without either is over, and the last operation would be lost.
            run.operation_started();
            if !run.take_from_budget() {
                return run.operation_finished();
            }
            let start = u64::try_from(due.duration_since(run.clock).as_micros()).unwrap_or(0);
            let picked = pick(&weighted_jobs, &mut random);
            let is_sent = picked.is_some_and(|(mailbox, job)| mailbox.send(Command::Execute(*job, start)).is_ok());
            // A worker that has ended reported the failure itself.
            if !is_sent {
                run.operation_finished();
            }
        }
    })
}

/// False when the run ended meanwhile.
fn sleep_until(due: Instant, run: &Run) -> bool {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return run.is_sending();
        }
        thread::sleep(left.min(MAX_SLEEP));
        if !run.is_sending() {
            return false;
        }
    }
}

fn pick<'a>(weighted_jobs: &'a [WeightedJobs], random: &mut StdRng) -> Option<&'a (UnboundedSender<Command>, Job)> {
    let total: f64 = weighted_jobs.iter().map(|weighted| weighted.weight).sum();
    let mut at = random.random::<f64>() * total;
    let weighted = weighted_jobs.iter().find(|weighted| {
        at -= weighted.weight;
        at < 0.0
    });
    let targets = &weighted.or_else(|| weighted_jobs.last())?.targets;
    if targets.is_empty() { None } else { targets.get(random.random_range(0..targets.len())) }
}
