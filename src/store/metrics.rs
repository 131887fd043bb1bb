//! The hub's metrics, as Prometheus reads them at `/metrics`.
//!
//! Instance metrics are updated where things happen; service metrics (sessions, queue lengths, pool) are gathered at
//! scrape by the route. Names and help texts are an interface: dashboards and alerts are built on them. No label ever
//! contains an id or a text from outside.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// Seconds, from a quarter of a millisecond to five seconds.
const SECONDS: [f64; 12] = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Rows of a batch, in powers of two up to the usual largest batch.
const ROWS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Who knows how many log lines the process has dropped since its start.
static LOG_DROPPED: OnceLock<fn() -> u64> = OnceLock::new();

/// Names the function that knows how many log lines the process has dropped since its start. The log is the process's and
/// is set up above this layer; the first one named stays.
pub fn count_dropped_log_lines(dropped: fn() -> u64) {
    LOG_DROPPED.get_or_init(|| dropped);
}

/// Declares the metrics once: field, kind, name, help, labels.
macro_rules! metrics {
    ($($field:ident: $kind:ident = $name:literal, $help:literal $(, [$($label:literal),+])? $(, buckets $buckets:expr)?;)+) => {
        /// All metrics of one hub.
        pub struct Metrics {
            registry: Registry,
            $(#[doc = $help] $field: $kind,)+
        }

        impl Metrics {
            /// Names of all metrics, for documentation and tests.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];

            fn build() -> Result<Self, prometheus::Error> {
                let registry = Registry::new();
                $(
                    let $field = metrics!(@make $kind, $name, $help $(, [$($label),+])? $(, buckets $buckets)?)?;
                    registry.register(Box::new($field.clone()))?;
                )+
                Ok(Self { registry, $($field,)+ })
            }
        }
    };
    (@make IntCounter, $name:literal, $help:literal) => { IntCounter::new($name, $help) };
    (@make IntGauge, $name:literal, $help:literal) => { IntGauge::new($name, $help) };
    (@make Histogram, $name:literal, $help:literal) => {
        Histogram::with_opts(HistogramOpts::new($name, $help).buckets(SECONDS.to_vec()))
    };
    (@make Histogram, $name:literal, $help:literal, buckets $buckets:expr) => {
        Histogram::with_opts(HistogramOpts::new($name, $help).buckets($buckets.to_vec()))
    };
    (@make IntCounterVec, $name:literal, $help:literal, [$($label:literal),+]) => {
        IntCounterVec::new(Opts::new($name, $help), &[$($label),+])
    };
    (@make IntGaugeVec, $name:literal, $help:literal, [$($label:literal),+]) => {
        IntGaugeVec::new(Opts::new($name, $help), &[$($label),+])
    };
    (@make HistogramVec, $name:literal, $help:literal, [$($label:literal),+]) => {
        HistogramVec::new(HistogramOpts::new($name, $help).buckets(SECONDS.to_vec()), &[$($label),+])
    };
}

metrics! {
    ws_sessions: IntGaugeVec = "hub_ws_sessions", "Live sockets by kind (bot_token, session).", ["kind"];
    ws_connects: IntCounter = "hub_ws_connects_total", "Sockets opened.";
    ws_closes: IntCounterVec = "hub_ws_closes_total", "Sockets closed by the hub, by close code.", ["code"];
    ws_slow: IntCounter = "hub_ws_slow_total", "Sockets closed because the client reads too slowly; their backlog was dropped.";
    ws_crowded: IntCounter = "hub_ws_crowded_total", "Sockets closed because their organisation's share of queued bytes was used up.";
    ws_waiting_bytes: IntGauge = "hub_ws_waiting_bytes", "Bytes queued for sockets beyond each socket's own allowance; shared bytes count once.";
    ws_ops: IntCounter = "hub_ws_ops_total", "Operations received on sockets.";
    ws_acks: IntCounter = "hub_ws_acks_total", "Operations acknowledged on sockets.";
    ws_errors: IntCounterVec = "hub_ws_errors_total", "Operations refused on sockets, by error code.", ["code"];
    events: IntCounterVec = "hub_events_total", "Events published, by type.", ["type"];
    fanout_seconds: Histogram = "hub_fanout_seconds", "Time to queue one batch of events for all its recipients.";
    commit_seconds: Histogram = "hub_commit_seconds", "Duration of one database transaction of the writers.";
    commit_batch_rows: Histogram = "hub_commit_batch_rows", "Rows per transaction of the writers.", buckets ROWS;
    commit_queue: IntGauge = "hub_commit_queue", "Commits waiting for a writer.";
    read_seconds: Histogram = "hub_read_seconds", "Duration of one read of the database.";
    read_queue: IntGauge = "hub_read_queue", "Reads waiting for a reader thread.";
    db_connections: IntGaugeVec = "hub_db_connections", "Connections for reading, by state (busy, idle).", ["state"];
    db_up: IntGauge = "hub_db_up", "1 while the database answers.";
    http_requests: IntCounterVec = "hub_http_requests_total", "Requests answered, by route and status.", ["route", "status"];
    http_seconds: HistogramVec = "hub_http_seconds", "Time to respond to a request, by route.", ["route"];
    rate_limited: IntCounterVec = "hub_rate_limited_total", "Requests refused by a limit, by limit.", ["limit"];
    presence_waiting: IntGauge = "hub_presence_waiting", "Changes of bots (presence, registration, name, status) whose events are delayed because there are many at once.";
    resumes: IntCounterVec = "hub_resume_total", "Resume requests by result.", ["result"];
    webhook_deliveries: IntCounterVec = "hub_webhook_deliveries_total", "Webhook attempts by result.", ["result"];
    webhook_lag: Histogram = "hub_webhook_lag_seconds", "Time from an event to its successful delivery by webhook.";
    actor_panics: IntCounterVec = "hub_actor_panics_total", "Panics the hub recovered from: of actors, by kind, and of requests (`handler`).", ["actor"];
    actors: IntGaugeVec = "hub_actors", "Actors alive, by kind.", ["kind"];
    log_dropped: IntCounter = "hub_log_lines_dropped_total", "Log lines dropped because the log was not read fast enough.";
    build_info: IntGaugeVec = "hub_build_info", "Always 1; the version is in the label.", ["version"];
}

impl Metrics {
    /// A fresh set, registered; several hubs may live in one process.
    #[must_use]
    pub fn new() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "names are constants checked by a test; the hub cannot start without them"
        )]
        let metrics = Self::build().expect("metric names are valid and unique");
        metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        metrics
    }

    /// Adds the metrics of a feature; they are rendered with the others.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(&self, collector: Box<dyn prometheus::core::Collector>) -> Result<(), prometheus::Error> {
        self.registry.register(collector)
    }

    /// The text exposition format.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let dropped = LOG_DROPPED.get().map_or(0, |dropped| dropped());
        self.log_dropped.inc_by(dropped.saturating_sub(self.log_dropped.get()));
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// An event was published.
    pub fn event(&self, kind: &str) {
        self.events.with_label_values(&[kind]).inc();
    }

    /// `count` sockets were just evicted as too slow.
    pub fn slow_sockets(&self, count: u64) {
        self.ws_slow.inc_by(count);
    }

    /// `count` sockets were just evicted to make room.
    pub fn crowded_sockets(&self, count: u64) {
        self.ws_slow.inc_by(count);
        self.ws_crowded.inc_by(count);
    }

    /// Sets the bytes that wait for sockets; known at scrape.
    pub fn set_waiting_bytes(&self, bytes: usize) {
        self.ws_waiting_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// One batch of events was queued for its recipients.
    pub fn fanned_out(&self, elapsed: Duration) {
        self.fanout_seconds.observe(elapsed.as_secs_f64());
    }

    /// A socket opened.
    pub fn socket_opened(&self, kind: &str) {
        self.ws_connects.inc();
        self.ws_sessions.with_label_values(&[kind]).inc();
    }

    /// A socket is gone.
    pub fn socket_closed(&self, kind: &str) {
        self.ws_sessions.with_label_values(&[kind]).dec();
    }

    /// The hub closed a socket with this code.
    pub fn closed_with(&self, code: u16) {
        self.ws_closes.with_label_values(&[&code.to_string()]).inc();
    }

    /// An operation arrived on a socket.
    pub fn op(&self) {
        self.ws_ops.inc();
    }

    /// An operation was acknowledged.
    pub fn ack(&self) {
        self.ws_acks.inc();
    }

    /// An operation was refused on a socket.
    pub fn op_error(&self, code: &str) {
        self.ws_errors.with_label_values(&[code]).inc();
    }

    /// A request was answered.
    pub fn request(&self, route: &str, status: u16, elapsed: Duration) {
        self.http_requests.with_label_values(&[route, &status.to_string()]).inc();
        self.http_seconds.with_label_values(&[route]).observe(elapsed.as_secs_f64());
    }

    /// A limit refused something.
    pub fn limited(&self, limit: &str) {
        self.rate_limited.with_label_values(&[limit]).inc();
    }

    /// A resume was answered with `result` (`resumed`, `unknown`).
    pub fn resume(&self, result: &str) {
        self.resumes.with_label_values(&[result]).inc();
    }

    /// A webhook attempt ended with `result`.
    pub fn webhook(&self, result: &str) {
        self.webhook_deliveries.with_label_values(&[result]).inc();
    }

    /// This many webhook events were dropped because the backlog was too large.
    pub fn webhooks_dropped(&self, count: usize) {
        self.webhook_deliveries.with_label_values(&["dropped"]).inc_by(u64::try_from(count).unwrap_or(0));
    }

    /// A webhook was delivered this long after its event.
    pub fn webhook_delivered(&self, lag: Duration) {
        self.webhook_lag.observe(lag.as_secs_f64());
    }

    /// An actor started.
    pub fn actor_started(&self, kind: &str) {
        self.actors.with_label_values(&[kind]).inc();
    }

    /// An actor ended.
    pub fn actor_stopped(&self, kind: &str) {
        self.actors.with_label_values(&[kind]).dec();
    }

    /// An actor of this kind died of a panic, or a request's `handler` did.
    pub fn actor_panicked(&self, kind: &str) {
        self.actor_panics.with_label_values(&[kind]).inc();
    }

    /// One transaction of a writer.
    pub fn commit(&self, rows: usize, elapsed: Duration) {
        self.commit_seconds.observe(elapsed.as_secs_f64());
        self.commit_batch_rows.observe(f64::from(u32::try_from(rows).unwrap_or(u32::MAX)));
    }

    /// One read of a reader thread.
    pub fn read(&self, elapsed: Duration) {
        self.read_seconds.observe(elapsed.as_secs_f64());
    }

    /// Sets how many changes of presence wait; known at scrape.
    pub fn set_presence_waiting(&self, changes: usize) {
        self.presence_waiting.set(i64::try_from(changes).unwrap_or(i64::MAX));
    }

    /// Sets what is only known at scrape: the queues' lengths, the readers' connections, whether the database answers.
    pub fn set_service(&self, commit_queue: usize, read_queue: usize, [busy, idle]: [u32; 2], db_up: bool) {
        self.commit_queue.set(i64::try_from(commit_queue).unwrap_or(i64::MAX));
        self.read_queue.set(i64::try_from(read_queue).unwrap_or(i64::MAX));
        self.db_connections.with_label_values(&["busy"]).set(i64::from(busy));
        self.db_connections.with_label_values(&["idle"]).set(i64::from(idle));
        self.db_up.set(i64::from(db_up));
    }

    /// Totals of the socket operations: received, acknowledged, refused, conflicts, limited.
    #[must_use]
    pub fn socket_totals(&self) -> [u64; 5] {
        let errors = |code: &str| self.ws_errors.with_label_values(&[code]).get();
        let refused = hxa_domain::error::ErrorCode::ALL.iter().map(|code| errors(code.token())).sum();
        [self.ws_ops.get(), self.ws_acks.get(), refused, errors("REVISION_CONFLICT"), errors("RATE_LIMITED")]
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_registers_once_and_renders() {
        let metrics = Metrics::new();
        metrics.event("message");
        metrics.request("/api/me", 200, Duration::from_millis(1));
        let text = metrics.render().unwrap();
        assert!(text.contains("hub_events_total{type=\"message\"} 1"), "{text}");
        assert!(text.contains("hub_build_info"));
    }
}
