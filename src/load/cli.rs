//! The command line: which scenarios, against which hub, how hard and for how long.
//!
//! Every size has a default per scenario (see `scenarios`), so a bare `hxa-load many-threads --admin-secret …` is a
//! meaningful run. Secrets may come from the environment and are never printed.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum, value_parser};

/// Load tester of HXA Connect: measures a hub through its public protocol and checks everything it measures.
#[derive(Parser, Debug, Clone)]
#[command(name = "hxa-load", version, about)]
pub struct Options {
    /// Scenarios to run, in this order.
    #[arg(required = true, value_enum)]
    pub scenarios: Vec<Scenario>,
    /// Address of the hub (http only).
    #[arg(long, env = "HXA_LOAD_URL", default_value = "http://127.0.0.1:4800")]
    pub url: String,
    /// Admin secret of the hub: a new organisation is made by super-admin login.
    #[arg(long, env = "HXA_CONNECT_ADMIN_SECRET", hide_env_values = true)]
    pub admin_secret: Option<String>,
    /// Platform invite code: a new organisation is made with it.
    #[arg(long, env = "HXA_LOAD_INVITE_CODE", hide_env_values = true)]
    pub invite_code: Option<String>,
    /// An existing organisation to load (needs --org-secret).
    #[arg(long, requires = "org_secret")]
    pub org_id: Option<String>,
    /// Secret of that organisation.
    #[arg(long, env = "HXA_LOAD_ORG_SECRET", hide_env_values = true, requires = "org_id")]
    pub org_secret: Option<String>,
    /// Delete the organisation at the end (only with --admin-secret).
    #[arg(long, requires = "admin_secret")]
    pub delete_org: bool,
    /// Bots that take part.
    #[arg(long)]
    pub bots: Option<usize>,
    /// Threads that take part (for `dm`: channels).
    #[arg(long)]
    pub threads: Option<usize>,
    /// Participants of each thread.
    #[arg(long)]
    pub participants: Option<usize>,
    /// Bots that send in each thread; all participants receive.
    #[arg(long)]
    pub senders: Option<usize>,
    /// Artifact keys per thread.
    #[arg(long, default_value_t = 4)]
    pub keys: usize,
    /// Unacknowledged operations per bot in a closed loop.
    #[arg(long, default_value_t = 8)]
    pub inflight: usize,
    /// Operations per second as a Poisson stream (open loop); latency then counts from the intended start.
    #[arg(long, value_parser = within(POSITIVE))]
    pub rate: Option<f64>,
    /// Measured seconds (default 10; `soak`: 600).
    #[arg(long, value_parser = within(POSITIVE))]
    pub duration: Option<f64>,
    /// Seconds of load before the measurement starts.
    #[arg(long, default_value_t = 1.0, value_parser = within(SECONDS))]
    pub warmup: f64,
    /// Sockets that `connect` opens.
    #[arg(long, default_value_t = 1000)]
    pub sockets: usize,
    /// Event streams of `coordinate-sse`.
    #[arg(long, default_value_t = 200)]
    pub clients: usize,
    /// Open requests: that expire together in `deadlines` (default 10000), in the queue of `request-list` (default 100).
    #[arg(long)]
    pub requests: Option<usize>,
    /// Seconds from the first request of `deadlines` until the last one expires; all are made, and the hub is watched
    /// while it has nothing to do, before.
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u64).range(4..=86_400))]
    pub due_in: u64,
    /// Requests that have ended before the queue of `request-list` is listed again.
    #[arg(long, default_value_t = 100_000)]
    pub history: usize,
    /// Stop after this many operations instead of a time; for `rest-poll` and `rest-history`: messages to store first.
    #[arg(long)]
    pub messages: Option<u64>,
    /// Bytes of each message's content (at least what the checks need, about 40), and of each request's detail.
    #[arg(long, default_value_t = 100)]
    pub size: usize,
    /// HTTP connections of the REST scenarios, each with one request in flight, and of the set-up.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// Process id of the hub, for its CPU and memory (same machine only).
    #[arg(long)]
    pub pid: Option<u32>,
    /// Process id of the database server; its children are counted too.
    #[arg(long)]
    pub db_pid: Option<u32>,
    /// Write one self-contained HTML page with plots.
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// First measure what this machine can do at best: a bare socket echo and, with --scratch, bare inserts.
    #[arg(long)]
    pub yardsticks: bool,
    /// Where bare inserts are measured: a folder (SQLite) or a postgres:// URL; what is made there is removed again.
    #[arg(long, env = "HXA_LOAD_SCRATCH", hide_env_values = true, requires = "yardsticks")]
    pub scratch: Option<String>,
    /// Threads of the generator itself; one is cheapest per operation.
    #[arg(long, default_value_t = 1)]
    pub threads_gen: usize,
    /// Seed of everything random, to repeat a run.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// What can be run.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Direct messages between many pairs of bots.
    Dm,
    /// Few threads with many participants.
    ThreadFanout,
    /// Many threads with two or three participants: the headline.
    ManyThreads,
    /// Concurrent status changes with expected revisions: one winner each.
    Transitions,
    /// Concurrent versions of the same artifact keys.
    Artifacts,
    /// Messages through REST, delivered to live sockets.
    RestSend,
    /// Inbox, catchup and its counts over a populated database.
    RestPoll,
    /// The newest messages of threads of a populated database.
    RestHistory,
    /// Opens many sockets and holds them.
    Connect,
    /// Requests to people over REST: asked, answered, read.
    Coordinate,
    /// Requests that are asked and withdrawn, told to many event streams.
    CoordinateSse,
    /// Many open requests that expire within one second.
    Deadlines,
    /// A responder's queue, without and with many requests that have ended.
    RequestList,
    /// Everything together as a Poisson stream.
    Mixed,
    /// `mixed` for a long time, with sockets coming and going.
    Soak,
    /// All of the above except `soak`.
    All,
}

impl Scenario {
    /// The name as typed on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// `all` spelled out.
    pub fn expand(chosen: &[Self]) -> Vec<Self> {
        let every = || Self::value_variants().iter().copied().filter(|one| !matches!(one, Self::All | Self::Soak));
        chosen.iter().flat_map(|one| if *one == Self::All { every().collect() } else { vec![*one] }).collect()
    }
}

/// Seconds that a duration can hold; a day is more than any run takes.
const SECONDS: RangeInclusive<f64> = 0.0..=86_400.0;
/// A rate or a time that is not zero.
const POSITIVE: RangeInclusive<f64> = 0.001..=10_000_000.0;

/// Parses a number of this range.
fn within(range: RangeInclusive<f64>) -> impl Fn(&str) -> Result<f64, String> + Clone {
    move |text| {
        let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
        let (least, most) = (range.start(), range.end());
        if range.contains(&number) { Ok(number) } else { Err(format!("accepted are {least} to {most}")) }
    }
}

impl Options {
    /// The measured time of a scenario with this default.
    pub fn measured(&self, default_seconds: f64) -> Duration {
        Duration::from_secs_f64(self.duration.unwrap_or(default_seconds).max(0.1))
    }

    /// Load before the measurement.
    pub fn warmup(&self) -> Duration {
        Duration::from_secs_f64(self.warmup)
    }
}
