//! What a hub does that has nothing to do: its share of a core, and how often its threads wake up.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use crate::outcome::{Outcome, round};
use crate::process::{sleeps, usage};
use crate::stats::to_f64;

/// Of a hub that nobody asked anything for a while; None where /proc has nothing.
#[derive(Debug)]
pub struct Idle {
    seconds: f64,
    cpu_share: Option<f64>,
    wakeups_per_s: Option<f64>,
}

impl Idle {
    /// Watches a hub for so long.
    pub async fn watch(pid: Option<u32>, length: Duration) -> Self {
        let (began, before) = (Instant::now(), (pid.and_then(usage), pid.and_then(sleeps)));
        sleep(length).await;
        let seconds = began.elapsed().as_secs_f64();
        let (cpu, slept) = (pid.and_then(usage), pid.and_then(sleeps));
        let cpu = cpu.zip(before.0).map(|(after, before)| (after.cpu - before.cpu) / seconds);
        let slept = slept.zip(before.1).map(|(after, before)| to_f64(after.saturating_sub(before)) / seconds);
        Self { seconds, cpu_share: cpu, wakeups_per_s: slept }
    }

    /// Adds the figures; `when` says under which circumstances.
    pub fn fill(&self, outcome: &mut Outcome, when: &str) {
        let number = |value: Option<f64>, digits: f64| {
            value.map_or(Value::Null, |value| ((value * digits).round() / digits).into())
        };
        outcome.figure(&format!("idle_s_{when}"), round(self.seconds));
        outcome.figure(&format!("idle_cpu_share_{when}"), number(self.cpu_share, 10_000.0));
        outcome.figure(&format!("wakeups_per_s_{when}"), number(self.wakeups_per_s, 10.0));
    }
}
