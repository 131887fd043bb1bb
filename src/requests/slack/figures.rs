//! Metrics of Slack.

use prometheus::{IntCounterVec, IntGauge, Opts};

use hxa_store::metrics::Metrics;

/// The counters.
pub struct Figures {
    waiting: IntGauge,
    calls: IntCounterVec,
    clicks: IntCounterVec,
}

impl Figures {
    /// Registers them.
    ///
    /// # Errors
    /// When one of that name is there already.
    pub fn register(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let figures = Self {
            waiting: IntGauge::new("hub_slack_waiting", "Coordination requests with messages that wait for Slack.")?,
            calls: IntCounterVec::new(
                Opts::new("hub_slack_calls_total", "Messages and updates sent to Slack, by what came of it."),
                &["result"],
            )?,
            clicks: IntCounterVec::new(
                Opts::new("hub_slack_clicks_total", "Calls of /slack/interactions, by what came of it."),
                &["result"],
            )?,
        };
        // A rate needs the zero before the first of them.
        for result in ["sent", "retry", "limited", "gave_up"] {
            figures.calls.with_label_values(&[result]);
        }
        for result in ["taken", "over", "refused", "unsigned", "unreadable"] {
            figures.clicks.with_label_values(&[result]);
        }
        metrics.register(Box::new(figures.waiting.clone()))?;
        metrics.register(Box::new(figures.calls.clone()))?;
        metrics.register(Box::new(figures.clicks.clone()))?;
        Ok(figures)
    }

    /// How many requests wait.
    pub fn waiting(&self, count: usize) {
        self.waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A call of Slack came to this.
    pub fn called(&self, result: &str) {
        self.calls.with_label_values(&[result]).inc();
    }

    /// A call of Slack's came to this.
    pub fn clicked(&self, result: &str) {
        self.clicks.with_label_values(&[result]).inc();
    }
}
