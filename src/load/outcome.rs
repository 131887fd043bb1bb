//! What a scenario measured: the JSON line of a run, and the source of the table and the HTML page.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::process::{self, Usage};
use crate::stats::{Interval, Latency, Totals, to_f64};

/// Result of one scenario.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Name of the scenario.
    pub scenario: String,
    /// Whether every check held.
    pub ok: bool,
    /// What did not hold.
    pub failures: Vec<String>,
    /// Sizes of this run.
    pub setting: Map<String, Value>,
    /// Length of the measured window.
    pub seconds: f64,
    /// Acknowledged operations in the window.
    pub ops: u64,
    /// Per second.
    pub ops_per_s: f64,
    /// Deliveries in the window, the sender's own copy included.
    pub deliveries: u64,
    /// Per second.
    pub deliveries_per_s: f64,
    /// Status changes that lost.
    pub conflicts: u64,
    /// Microseconds.
    pub latency_us: Vec<Latency>,
    /// The hub's process, if it is known.
    pub server: Option<Server>,
    /// The database's processes, if they are known.
    pub database: Option<Server>,
    /// This process.
    pub generator: Generator,
    /// What was done as a part of what this machine can do at best, if that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratios: Option<Ratios>,
    /// Figures of this scenario alone.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub figures: Map<String, Value>,
    /// The timeline, for the charts only.
    #[serde(skip)]
    pub timeline: Vec<Point>,
}

/// CPU and memory of the other side.
#[derive(Debug, Serialize)]
pub struct Server {
    /// CPU seconds in the window.
    pub cpu_s: f64,
    /// Share of one core.
    pub cpu_share: f64,
    /// Acknowledged operations per CPU second.
    pub ops_per_cpu_s: f64,
    /// Deliveries per CPU second.
    pub deliveries_per_cpu_s: f64,
    /// Resident bytes before the scenario opened its sockets.
    pub rss_before: u64,
    /// Resident bytes at the end of the window.
    pub rss_after: u64,
}

/// What the generator itself used: near 1.0 of its threads, it was the limit.
#[derive(Debug, Serialize)]
pub struct Generator {
    /// CPU seconds in the window.
    pub cpu_s: f64,
    /// Share of one core.
    pub cpu_share: f64,
    /// Resident bytes at the end.
    pub rss: u64,
}

/// One interval of the timeline.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Its end, in seconds since the window began.
    pub at: f64,
    /// Its length in seconds.
    pub length: f64,
    /// What was done in it.
    pub done: Interval,
    /// The hub's share of a core.
    pub server_cpu: Option<f64>,
    /// The hub's resident bytes.
    pub server_rss: Option<u64>,
    /// The generator's share of a core.
    pub own_cpu: f64,
}

/// CPU and memory of everybody at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot {
    /// The hub.
    pub server: Option<Usage>,
    /// The database.
    pub database: Option<Usage>,
    /// This process.
    pub own: Usage,
}

impl Snapshot {
    /// Reads /proc now.
    pub fn take(pid: Option<u32>, db_pid: Option<u32>) -> Self {
        Self {
            server: pid.and_then(process::usage),
            database: db_pid.and_then(process::usage_with_children),
            own: process::own(),
        }
    }
}

/// The window's length and the snapshots around it.
pub struct Window {
    /// Before the scenario opened anything.
    pub before: Snapshot,
    /// When the window began.
    pub start: Snapshot,
    /// When it ended.
    pub end: Snapshot,
    /// Seconds between the last two.
    pub seconds: f64,
}

impl Window {
    /// The CPU and memory of one side; None where /proc had nothing.
    fn server(&self, of: impl Fn(&Snapshot) -> Option<Usage>, totals: Totals) -> Option<Server> {
        let (before, start, end) = (of(&self.before)?, of(&self.start)?, of(&self.end)?);
        let cpu_s = end.cpu - start.cpu;
        Some(Server {
            cpu_s: round(cpu_s),
            cpu_share: round(cpu_s / self.seconds),
            ops_per_cpu_s: per(totals.ops, cpu_s),
            deliveries_per_cpu_s: per(totals.deliveries, cpu_s),
            rss_before: before.resident,
            rss_after: end.resident,
        })
    }
}

impl Outcome {
    /// Puts the figures together.
    pub fn new(scenario: &str, window: &Window, totals: Totals) -> Self {
        let own_cpu = window.end.own.cpu - window.start.own.cpu;
        Self {
            scenario: scenario.to_owned(),
            ok: true,
            failures: Vec::new(),
            setting: Map::new(),
            seconds: round(window.seconds),
            ops: totals.ops,
            ops_per_s: per(totals.ops, window.seconds),
            deliveries: totals.deliveries,
            deliveries_per_s: per(totals.deliveries, window.seconds),
            conflicts: totals.conflicts,
            latency_us: Vec::new(),
            server: window.server(|moment| moment.server, totals),
            database: window.server(|moment| moment.database, totals),
            generator: Generator {
                cpu_s: round(own_cpu),
                cpu_share: round(own_cpu / window.seconds),
                rss: window.end.own.resident,
            },
            ratios: None,
            figures: Map::new(),
            timeline: Vec::new(),
        }
    }

    /// Adds a figure of this scenario.
    pub fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }
}

/// A rate with one decimal; 0 when there was no time.
pub fn per(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { (to_f64(count) / seconds * 10.0).round() / 10.0 } else { 0.0 }
}

/// Two decimals.
pub fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// A scenario beside the yardsticks; each is a quotient of the scenario's figure and the yardstick's.
#[derive(Debug, Serialize)]
pub struct Ratios {
    /// Echoes per second.
    pub echoes_per_s: f64,
    /// Frames in and out of the hub (two per operation, one per delivery) per CPU second, over those of the echo.
    pub frames_to_echo: Option<f64>,
    /// Bare inserts of message rows per second.
    pub inserts_per_s: Option<f64>,
    /// Operations per second over bare inserts per second.
    pub ops_to_inserts: Option<f64>,
}

impl fmt::Display for Ratios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("of the yardsticks:")?;
        self.frames_to_echo.iter().try_for_each(|ratio| write!(f, " {ratio} of the echo's frames per CPU s"))?;
        self.ops_to_inserts.iter().try_for_each(|ratio| write!(f, " · {ratio} of the bare inserts per s"))
    }
}
