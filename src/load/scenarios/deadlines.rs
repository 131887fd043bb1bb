//! Many open requests that expire within one second: what they cost while they wait, and how soon all are dealt with.
//!
//! Timeouts are whole seconds, so each request gets as many as fit until the last deadline: then all deadlines are in the
//! second before it, however long it takes to make them.

mod answers;
mod idle;

use std::cell::Cell;
use std::time::{Duration, Instant};

use hxa_store::clock::now_ms;
use tokio::time::sleep;

use crate::context::Context;
use crate::error::{LoadError, Result};
use crate::failures::Failure;
use crate::http::{Credential, Http};
use crate::monitor::bar;
use crate::outcome::{Outcome, Snapshot, Window, per, round};
use crate::question::{LONG, Question, made_id};
use crate::recorder::Recorder;
use crate::run::{Loop, Run};
use crate::setup::Fleet;
use crate::stats::{Timed, Totals, to_f64, to_u64};
use idle::Idle;

/// Requests that expire if nothing else is said.
const REQUESTS: usize = 10_000;
/// Requests of one agent: totals of lists are exact up to here.
const PER_AGENT: usize = 10_000;
/// Requests that are made and withdrawn before anything is measured, so that the hub has used what it uses once.
const FIRST: usize = 500;
/// What the last change left to do is done after this long.
const SETTLE: Duration = Duration::from_secs(1);
/// For how long an idle hub is watched before there are requests.
const IDLE_BEFORE: Duration = Duration::from_secs(2);
/// The least time for which an idle hub is watched.
const LEAST_IDLE: Duration = Duration::from_millis(500);
/// All deadlines are in a time of this length, ms.
const SPREAD_MS: i64 = 1000;
/// Between two looks at the health, and at what is left.
const HEALTH_STEP: Duration = Duration::from_millis(5);
const LOOK_STEP: Duration = Duration::from_millis(100);
/// A hub that has not dealt with everything after this long never will.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What is measured, and of how many requests.
struct Stage<'a> {
    context: &'a Context,
    run: Run,
    handle: String,
    count: usize,
    /// The last deadline, ms.
    last: i64,
}

/// Makes the requests, watches the hub while they wait, and then until all are dealt with.
pub async fn deadlines(context: &mut Context, name: &str) -> Result<Outcome> {
    let count = context.options.requests.unwrap_or(REQUESTS).max(1);
    context.fleet.ensure_bots(count.div_ceil(PER_AGENT)).await?;
    let context = &*context;
    let (options, bots) = (&context.options, context.fleet.bots.clone());
    let run = Run::new(Recorder::default(), bots, options.size, Loop::Closed(1), None);
    let handle = context.fleet.responder().await?.handle;
    let mut stage = Stage { context, run, handle, count, last: 0 };
    stage.begin().await?;
    let idle_before = Idle::watch(options.pid, IDLE_BEFORE).await;
    let before = stage.snapshot();
    let creating = Instant::now();
    stage.ask_all(name).await?;
    let created_s = creating.elapsed().as_secs_f64();
    sleep(SETTLE).await;
    let waiting = stage.snapshot();
    let idle = Idle::watch(options.pid, stage.time_to_idle()?).await;
    let (start, began) = (stage.snapshot(), Instant::now());
    let handled = stage.wait_until_handled().await?;
    let (end, seconds) = (stage.snapshot(), began.elapsed().as_secs_f64());
    stage.check_answers().await?;
    let totals = Totals { ops: u64::try_from(count).unwrap_or(0), ..Totals::default() };
    let mut outcome = Outcome::new(name, &Window { before, start, end, seconds }, totals);
    stage.fill(&mut outcome);
    outcome.figure("created_per_s", per(totals.ops, created_s));
    outcome.figure("server_bytes_per_open_request", bytes_each(&before, &waiting, totals.ops));
    idle_before.fill(&mut outcome, "before");
    idle.fill(&mut outcome, "with_open_requests");
    outcome.figure("all_handled_s", round(handled.as_secs_f64()));
    Ok(outcome)
}

fn bytes_each(before: &Snapshot, after: &Snapshot, count: u64) -> Option<u64> {
    let resident = |moment: &Snapshot| moment.server.map(|usage| to_f64(usage.resident));
    Some(to_u64((resident(after)? - resident(before)?).max(0.0) / to_f64(count.max(1))))
}

/// Whole seconds from now until the last deadline; none if it is too late for one.
fn seconds_until(last: i64, now: i64) -> Option<u64> {
    u64::try_from(last.saturating_sub(now).div_euclid(1000)).ok().filter(|seconds| *seconds > 0)
}

impl Stage<'_> {
    fn fleet(&self) -> &Fleet {
        &self.context.fleet
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::take(self.context.options.pid, self.context.options.db_pid)
    }

    fn agents(&self) -> usize {
        self.count.div_ceil(PER_AGENT)
    }

    async fn ask(&self, http: &mut Http, at: usize, seconds: u64, fallback: &str) -> Result<String> {
        let token = Credential::Token(&self.fleet().bot(at / PER_AGENT)?.token);
        let question = Question { responder: &self.handle, seconds, fallback, size: self.run.size };
        made_id(&http.call("POST", "/v1/requests", token, Some(&question.body())).await?)
    }

    /// Uses everything once.
    async fn begin(&self) -> Result<()> {
        let first = async |http: &mut Http, _| {
            let id = self.ask(http, 0, LONG, "BLOCK").await?;
            let token = Credential::Token(&self.fleet().bot(0)?.token);
            http.call("DELETE", &format!("/v1/requests/{id}"), token, None).await.map(drop)
        };
        self.fleet().each_measured(FIRST.min(self.count), first).await?;
        sleep(SETTLE).await;
        Ok(())
    }

    async fn ask_all(&mut self, name: &str) -> Result<()> {
        let wait = i64::try_from(self.context.options.due_in).unwrap_or(0).saturating_mul(1000);
        self.last = now_ms().saturating_add(wait);
        let bar = bar(name, u64::try_from(self.count).unwrap_or(0));
        let asked = self
            .fleet()
            .each_measured(self.count, async |http, at| {
                let seconds = seconds_until(self.last, now_ms()).ok_or_else(too_late)?;
                let start = self.run.now();
                self.ask(http, at, seconds, "AUTO_REJECT").await?;
                self.run.stats.record(Timed::RequestCreate, self.run.now() - start);
                bar.inc(1);
                Ok(())
            })
            .await;
        bar.finish_and_clear();
        asked.map(drop)
    }

    /// How long nothing is due.
    fn time_to_idle(&self) -> Result<Duration> {
        let left = self.last.saturating_sub(now_ms()).saturating_sub(SPREAD_MS);
        let left =
            u64::try_from(left).ok().map(Duration::from_millis).and_then(|left| left.checked_sub(LEAST_IDLE / 5));
        left.filter(|left| *left >= LEAST_IDLE).ok_or_else(too_late)
    }

    /// Watches the health until nothing is open; how long that took from the last deadline on.
    async fn wait_until_handled(&self) -> Result<Duration> {
        let is_over = Cell::new(false);
        let wait = async {
            let handled = self.until_handled().await;
            is_over.set(true);
            handled
        };
        let (handled, health) = tokio::join!(wait, self.watch_health(&is_over));
        health?;
        handled
    }

    async fn until_handled(&self) -> Result<Duration> {
        let left = u64::try_from(self.last.saturating_sub(now_ms())).unwrap_or(0);
        sleep(Duration::from_millis(left)).await;
        let (mut http, due) = (Http::new(self.fleet().target.clone(), 0), Instant::now());
        loop {
            let open = self.count_open(&mut http).await?;
            if open == 0 {
                return Ok(due.elapsed());
            }
            if due.elapsed() > TIMEOUT {
                self.run.failures.add(Failure::Timeout, || format!("{open} requests are still open"));
                return Ok(due.elapsed());
            }
            sleep(LOOK_STEP).await;
        }
    }

    async fn watch_health(&self, is_over: &Cell<bool>) -> Result<()> {
        let mut http = Http::new(self.fleet().target.clone(), 0);
        while !is_over.get() {
            let start = self.run.now();
            http.call("GET", "/health", Credential::Nobody, None).await?;
            self.run.stats.record(Timed::Health, self.run.now() - start);
            sleep(HEALTH_STEP).await;
        }
        Ok(())
    }

    fn fill(&self, outcome: &mut Outcome) {
        outcome.setting.insert("requests".into(), self.count.into());
        outcome.setting.insert("due_in_s".into(), self.context.options.due_in.into());
        outcome.setting.insert("connections".into(), self.context.options.connections.into());
        outcome.latency_us = self.run.stats.latencies();
        outcome.failures = self.run.failures.lines();
        outcome.ok = outcome.failures.is_empty();
    }
}

fn too_late() -> LoadError {
    LoadError::Options(
        "making the requests takes longer than --due-in leaves; give more seconds or fewer --requests".into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_deadlines_are_in_the_second_before_the_last() {
        let last = 30_000;
        for now in [0, 1, 999, 1000, 1001, 28_999, 29_000] {
            let deadline = now + i64::try_from(seconds_until(last, now).unwrap()).unwrap() * 1000;
            assert!(deadline <= last && deadline > last - SPREAD_MS, "{now}: {deadline}");
        }
        assert_eq!((seconds_until(last, 29_001), seconds_until(last, 31_000)), (None, None));
    }
}
