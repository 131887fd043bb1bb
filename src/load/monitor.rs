//! Watches the measured window: progress bar, timeline, CPU and memory, and when the window ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::sleep;

use crate::context::Context;
use crate::failures::Failure;
use crate::outcome::{Point, Snapshot, Window, per};
use crate::plan::Plan;
use crate::run::Run;
use crate::stats::{to_f64, to_u64};

/// How often the bar moves and the end is looked for.
const STEP: Duration = Duration::from_millis(100);
/// The same where a number of operations ends the window: how late that is noticed counts as time of the window.
const BUDGET_STEP: Duration = Duration::from_millis(5);
/// Points of a timeline.
const POINTS: f64 = 120.0;
/// A window in which nothing is answered for this long is over.
const STALL_TIMEOUT: Duration = Duration::from_secs(15);

/// The watcher of one window.
pub struct Monitor {
    run: Arc<Run>,
    pid: Option<u32>,
    db_pid: Option<u32>,
    duration: Duration,
    budget: Option<u64>,
    interval: f64,
    bar: ProgressBar,
}

impl Monitor {
    /// A watcher for this plan.
    pub fn new(context: &Context, run: &Arc<Run>, plan: &Plan) -> Self {
        let length = plan.budget.unwrap_or_else(|| u64::try_from(plan.duration.as_millis()).unwrap_or(u64::MAX));
        let interval = if plan.budget.is_some() { 0.25 } else { (plan.duration.as_secs_f64() / POINTS).max(0.2) };
        Self {
            run: Arc::clone(run),
            pid: context.options.pid,
            db_pid: context.options.db_pid,
            duration: plan.duration,
            budget: plan.budget,
            interval,
            bar: bar(&plan.name, length),
        }
    }

    /// Measures until time or budget are used up.
    pub async fn watch(self, before: Snapshot) -> (Window, Vec<Point>) {
        self.run.stats.restart();
        let (began, start) = (Instant::now(), Snapshot::take(self.pid, self.db_pid));
        let (mut last, mut last_at, mut points) = (start, 0.0, Vec::new());
        let (mut seen, mut progress) = (self.run.backlog(), Instant::now());
        let step = if self.budget.is_some() { BUDGET_STEP } else { STEP };
        while !self.is_over(began) {
            sleep(step).await;
            let at = began.elapsed().as_secs_f64();
            if self.run.backlog() != seen {
                (seen, progress) = (self.run.backlog(), Instant::now());
            } else if progress.elapsed() > STALL_TIMEOUT && self.budget.is_some() {
                self.run.failures.add(Failure::Timeout, || format!("{seen:?} and nothing more happens"));
                break;
            }
            if at - last_at >= self.interval {
                let now = Snapshot::take(self.pid, self.db_pid);
                points.push(self.point(at, at - last_at, &last, &now));
                (last, last_at) = (now, at);
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        // Before the snapshot, which takes a while with many processes of a database.
        self.run.stats.freeze();
        let end = Snapshot::take(self.pid, self.db_pid);
        self.bar.finish_and_clear();
        (Window { before, start, end, seconds }, points)
    }

    fn is_over(&self, began: Instant) -> bool {
        match self.run.remaining() {
            Some(left) => left == 0 && self.run.backlog().is_drained(),
            None => began.elapsed() >= self.duration,
        }
    }

    fn point(&self, at: f64, length: f64, last: &Snapshot, now: &Snapshot) -> Point {
        let done = self.run.stats.tick();
        let position = match (self.budget, self.run.remaining()) {
            (Some(budget), Some(left)) => budget.saturating_sub(left),
            _ => to_u64(at * 1000.0),
        };
        self.bar.set_position(position);
        let (ops, deliveries) = (per(done.ops, length), per(done.deliveries, length));
        let p99 = to_f64(done.p99) / 1000.0;
        self.bar.set_message(format!("{ops:.0} ops/s  {deliveries:.0} deliveries/s  p99 {p99:.1} ms"));
        Point {
            at,
            length,
            done,
            server_cpu: now.server.zip(last.server).map(|(now, last)| (now.cpu - last.cpu) / length),
            server_rss: now.server.map(|server| server.resident),
            own_cpu: (now.own.cpu - last.own.cpu) / length,
        }
    }
}

/// A bar on the terminal; nothing when there is none.
pub fn bar(name: &str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{prefix:>14} {wide_bar} {percent:>3}% {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    bar
}
