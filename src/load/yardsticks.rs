//! What this machine can do at best, measured in the same run: an echo over bare sockets, and inserts of message rows
//! without anything around them. Figures of a hub say more as parts of these than alone.

mod echo;
mod inserts;

use std::fmt;

use crate::cli::Options;
use crate::error::{LoadError, Result};
use crate::outcome::{Outcome, Ratios};

/// The two measurements.
#[derive(Debug)]
pub struct Yardsticks {
    echo: Rate,
    /// Only with a place for a scratch database.
    inserts: Option<Rate>,
}

/// How often something was done.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// By the clock.
    per_s: f64,
    /// By the processor time of the side that corresponds to the hub; None without /proc.
    per_cpu_s: Option<f64>,
}

impl Yardsticks {
    /// Takes a few seconds; nothing else should run meanwhile.
    pub async fn measure(options: &Options) -> Result<Self> {
        let (size, connections) = (options.size, options.bots.unwrap_or(50));
        let echo = echo::measure(connections, options.inflight.max(1), size).await?;
        let Some(place) = options.scratch.clone() else { return Ok(Self { echo, inserts: None }) };
        let threads = options.threads.unwrap_or(1000).max(1);
        let inserts = tokio::task::spawn_blocking(move || inserts::measure(&place, threads, size)).await;
        let inserts = inserts.map_err(|why| LoadError::Database(why.to_string()))??;
        Ok(Self { echo, inserts: Some(inserts) })
    }

    /// What a scenario reached of them.
    pub fn ratios(&self, outcome: &Outcome) -> Ratios {
        let frames = |ops: f64, deliveries: f64| 2.0 * ops + deliveries;
        let hub = outcome.server.as_ref().map(|hub| frames(hub.ops_per_cpu_s, hub.deliveries_per_cpu_s));
        // An echo is two frames.
        let echo = self.echo.per_cpu_s.map(|rate| 2.0 * rate);
        let inserts = self.inserts.map(|rate| rate.per_s);
        Ratios {
            echoes_per_s: self.echo.per_s.round(),
            frames_to_echo: hub.zip(echo).map(|(hub, echo)| thousandths(hub / echo)),
            inserts_per_s: inserts.map(f64::round),
            ops_to_inserts: inserts.map(|rate| thousandths(outcome.ops_per_s / rate)),
        }
    }
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

impl fmt::Display for Yardsticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "yardsticks: {} socket echoes", self.echo)?;
        self.inserts.iter().try_for_each(|inserts| write!(f, "; {inserts} bare inserts of message rows"))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}/s", self.per_s)?;
        self.per_cpu_s.iter().try_for_each(|rate| write!(f, " ({rate:.0} per CPU s)"))
    }
}
