//! Counters and HDR histograms of one scenario, and its timeline.
//!
//! Times are microseconds on the run's clock. Everything before `restart` (the warm-up) is thrown away; everything
//! after `freeze` (the drain) is not counted, so rates are over the measured window only.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies above two minutes read as two minutes.
const HIGHEST: u64 = 120_000_000;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timed {
    /// Direct message over a socket until its ack.
    Direct,
    /// Thread message over a socket until its ack.
    Thread,
    /// Status change until its ack.
    Transition,
    /// Status change until its refusal because another won.
    Conflict,
    /// Artifact version until its ack.
    Artifact,
    /// Message through REST until its answer.
    RestSend,
    /// Inbox read.
    Inbox,
    /// One catchup page.
    Catchup,
    /// Catchup count.
    CatchupCount,
    /// A page of a thread's messages.
    History,
    /// Ticket request.
    Ticket,
    /// Upgrade until the 101.
    Upgrade,
    /// App ping until its pong.
    Ping,
    /// Message from its (intended) start until it arrived at a member's socket; change of a request from its time until
    /// it arrived at a listener.
    Delivery,
    /// A request to a person, until the answer to its creation.
    RequestCreate,
    /// An answer to a request.
    RequestRespond,
    /// The agent's read of the answer.
    RequestRead,
    /// A request withdrawn.
    RequestCancel,
    /// A request from its creation until its answer is read.
    Coordination,
    /// A responder's list of open requests.
    Queue,
    /// A deadline until its fallback was applied, by the hub's clock.
    Deadline,
    /// Health while much is going on.
    Health,
}

impl Timed {
    const ALL: [Self; 22] = [
        Self::Direct,
        Self::Thread,
        Self::Transition,
        Self::Conflict,
        Self::Artifact,
        Self::RestSend,
        Self::Inbox,
        Self::Catchup,
        Self::CatchupCount,
        Self::History,
        Self::Ticket,
        Self::Upgrade,
        Self::Ping,
        Self::Delivery,
        Self::RequestCreate,
        Self::RequestRespond,
        Self::RequestRead,
        Self::RequestCancel,
        Self::Coordination,
        Self::Queue,
        Self::Deadline,
        Self::Health,
    ];

    /// Name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "dm",
            Self::Thread => "thread_message",
            Self::Transition => "transition",
            Self::Conflict => "conflict",
            Self::Artifact => "artifact",
            Self::RestSend => "rest_send",
            Self::Inbox => "inbox",
            Self::Catchup => "catchup",
            Self::CatchupCount => "catchup_count",
            Self::History => "history",
            Self::Ticket => "ticket",
            Self::Upgrade => "upgrade",
            Self::Ping => "ping",
            Self::Delivery => "delivery",
            Self::RequestCreate => "request_create",
            Self::RequestRespond => "request_respond",
            Self::RequestRead => "request_read",
            Self::RequestCancel => "request_cancel",
            Self::Coordination => "coordination",
            Self::Queue => "queue",
            Self::Deadline => "deadline",
            Self::Health => "health",
        }
    }

    /// Whether it counts as an acknowledged operation.
    fn is_operation(self) -> bool {
        let is_no_request = matches!(self, Self::Conflict | Self::Delivery | Self::Coordination | Self::Deadline);
        !is_no_request && !matches!(self, Self::Ticket | Self::Ping | Self::Health)
    }
}

/// Quantiles of one kind, in microseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    /// What was timed.
    pub of: &'static str,
    /// How many.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    #[serde(rename = "p99.9")]
    pub p999: u64,
    /// The slowest.
    pub max: u64,
}

/// What happened since the last call of `tick`.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Interval {
    /// Acknowledged operations.
    pub ops: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Median latency of operations.
    pub p50: u64,
    /// 99 % latency of operations.
    pub p99: u64,
    /// 99 % latency of deliveries.
    pub delivery_p99: u64,
}

/// Totals of the measured window.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Acknowledged operations.
    pub ops: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Status changes that lost.
    pub conflicts: u64,
}

struct Inner {
    all: Vec<(Timed, Option<Histogram<u64>>)>,
    ops: Histogram<u64>,
    deliveries: Histogram<u64>,
    /// Deliveries of the running interval, including those without a latency.
    delivered: u64,
    totals: Totals,
    is_frozen: bool,
}

/// The shared collector.
pub struct Stats {
    inner: Mutex<Inner>,
}

impl Stats {
    /// An empty collector.
    pub fn new() -> Self {
        let inner = Inner {
            all: Timed::ALL.iter().map(|timed| (*timed, None)).collect(),
            ops: histogram(2),
            deliveries: histogram(2),
            delivered: 0,
            totals: Totals::default(),
            is_frozen: false,
        };
        Self { inner: Mutex::new(inner) }
    }

    /// Counts one finished thing with its latency.
    pub fn record(&self, timed: Timed, micros: u64) {
        let mut inner = self.lock();
        if inner.is_frozen {
            return;
        }
        if let Some((_, slot)) = inner.all.iter_mut().find(|(known, _)| *known == timed) {
            slot.get_or_insert_with(|| histogram(3)).saturating_record(micros);
        }
        match timed {
            Timed::Delivery => {
                inner.deliveries.saturating_record(micros);
                inner.delivered += 1;
                inner.totals.deliveries += 1;
            }
            Timed::Conflict => inner.totals.conflicts += 1,
            other if other.is_operation() => {
                inner.ops.saturating_record(micros);
                inner.totals.ops += 1;
            }
            _ => {}
        }
    }

    /// Counts deliveries that carry no time.
    pub fn delivered(&self, count: u64) {
        let mut inner = self.lock();
        if !inner.is_frozen {
            inner.delivered += count;
            inner.totals.deliveries += count;
        }
    }

    /// Forgets everything so far: the measured window begins.
    pub fn restart(&self) {
        let mut inner = self.lock();
        inner.all.iter_mut().for_each(|(_, slot)| *slot = None);
        inner.ops.reset();
        inner.deliveries.reset();
        inner.delivered = 0;
        inner.totals = Totals::default();
    }

    /// Stops counting: the measured window ends.
    pub fn freeze(&self) {
        self.lock().is_frozen = true;
    }

    /// Totals so far.
    pub fn totals(&self) -> Totals {
        self.lock().totals
    }

    /// Closes the running interval.
    pub fn tick(&self) -> Interval {
        let mut inner = self.lock();
        let interval = Interval {
            ops: inner.ops.len(),
            deliveries: inner.delivered,
            p50: inner.ops.value_at_quantile(0.5),
            p99: inner.ops.value_at_quantile(0.99),
            delivery_p99: inner.deliveries.value_at_quantile(0.99),
        };
        inner.ops.reset();
        inner.deliveries.reset();
        inner.delivered = 0;
        interval
    }

    /// Quantiles of every kind that occurred.
    pub fn latencies(&self) -> Vec<Latency> {
        let inner = self.lock();
        inner.all.iter().filter_map(|(timed, slot)| slot.as_ref().map(|seen| latency(timed.name(), seen))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn latency(of: &'static str, seen: &Histogram<u64>) -> Latency {
    Latency {
        of,
        count: seen.len(),
        p50: seen.value_at_quantile(0.5),
        p90: seen.value_at_quantile(0.9),
        p99: seen.value_at_quantile(0.99),
        p999: seen.value_at_quantile(0.999),
        max: seen.max(),
    }
}

/// From 1 µs to two minutes with this many significant digits.
fn histogram(digits: u8) -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "constant bounds are valid for one to five digits")]
    Histogram::new_with_bounds(1, HIGHEST, digits).expect("constant bounds")
}

/// A count as a float, for rates and charts; exact below 2^53.
pub fn to_f64(count: u64) -> f64 {
    #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "rates and charts need no 53rd bit")]
    let value = count as f64;
    value
}

/// A non-negative float as a count, for what came from the command line or a chart.
pub fn to_u64(value: f64) -> u64 {
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates; that is what is wanted"
    )]
    let count = value as u64;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_only_the_window() {
        let stats = Stats::new();
        stats.record(Timed::Thread, 100);
        stats.restart();
        (0..10).for_each(|at| stats.record(Timed::Thread, at));
        stats.record(Timed::Conflict, 5);
        stats.record(Timed::Coordination, 7);
        stats.delivered(2);
        stats.freeze();
        stats.record(Timed::Thread, 100);
        let totals = stats.totals();
        assert_eq!((totals.ops, totals.deliveries, totals.conflicts), (10, 2, 1));
        assert_eq!(stats.tick().ops, 10);
        assert_eq!(stats.latencies().len(), 3);
    }
}
