//! Metrics of requests.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts};

use crate::rules::{Request, State};
use hxa_store::metrics::Metrics;

/// Seconds until an answer: from a person who sits there to one who is away for a week.
const SECONDS: [f64; 9] = [1.0, 5.0, 30.0, 120.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0];

/// The counters.
pub struct Figures {
    open: IntGauge,
    states: IntCounterVec,
    answers: IntCounterVec,
    waited: Histogram,
    late: Histogram,
}

impl Figures {
    /// Registers them.
    ///
    /// # Errors
    /// When one of that name is there already.
    pub fn register(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let figures = Self {
            open: IntGauge::new("hub_requests_open", "Coordination requests that wait for an answer.")?,
            states: IntCounterVec::new(
                Opts::new("hub_request_states_total", "Changes of coordination requests, by the state they led to."),
                &["state"],
            )?,
            answers: IntCounterVec::new(
                Opts::new("hub_request_answers_total", "Coordination requests that ended, by who ended them."),
                &["by"],
            )?,
            waited: Histogram::with_opts(
                HistogramOpts::new("hub_request_answer_seconds", "Seconds from a coordination request to its answer.")
                    .buckets(SECONDS.to_vec()),
            )?,
            late: Histogram::with_opts(
                HistogramOpts::new(
                    "hub_request_deadline_delay_seconds",
                    "Seconds from a deadline to its durable result.",
                )
                .buckets(vec![0.01, 0.05, 0.25, 1.0, 5.0, 60.0]),
            )?,
        };
        metrics.register(Box::new(figures.open.clone()))?;
        metrics.register(Box::new(figures.states.clone()))?;
        metrics.register(Box::new(figures.answers.clone()))?;
        metrics.register(Box::new(figures.waited.clone()))?;
        metrics.register(Box::new(figures.late.clone()))?;
        Ok(figures)
    }

    /// Counts a change; `open` requests wait now.
    pub fn count(&self, before: Option<State>, request: &Request, open: usize) {
        self.open.set(i64::try_from(open).unwrap_or(i64::MAX));
        self.states.with_label_values(&[request.state.as_str()]).inc();
        let has_ended = before.is_some_and(State::is_open) && !request.state.is_open();
        if !has_ended {
            return;
        }
        let is_own = request.responded_by.as_deref().is_some_and(|by| by.starts_with("system:"));
        let by = match request.state {
            State::Responded if !is_own => "person",
            State::Cancelled => "cancel",
            _ => "fallback",
        };
        self.answers.with_label_values(&[by]).inc();
        if by == "person" {
            self.waited.observe(seconds(request.updated_at.saturating_sub(request.submitted_at)));
        }
    }

    /// How many requests are open.
    pub fn open(&self, open: usize) {
        self.open.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// A deadline was dealt with so long after it had come, ms.
    pub fn late(&self, ms: i64) {
        self.late.observe(seconds(ms));
    }
}

fn seconds(ms: i64) -> f64 {
    f64::from(u32::try_from(ms.max(0) / 1000).unwrap_or(u32::MAX))
        + f64::from(u16::try_from(ms.max(0) % 1000).unwrap_or(0)) / 1000.0
}
