//! Counters and gauges of a server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::reason::CloseReason;

/// What a server has and has done, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sessions that are open.
    pub sessions: u64,
    /// Sockets: connections of sessions to namespaces.
    pub sockets: u64,
    /// WebSocket connections, also those that are only probed.
    pub websockets: u64,
    /// Requests that are being answered; most of them are polls that wait.
    pub requests: u64,
    /// Server acknowledgements that are waited for.
    pub pending_acks: u64,
    /// Sessions that were opened.
    pub opened: u64,
    /// Handshakes that were refused.
    pub refused: u64,
    /// Events that were received.
    pub events_in: u64,
    /// Events that were sent, counted once for each receiver.
    pub events_out: u64,
    /// Events that were not processed, because there were too many.
    pub limited: u64,
    /// Sessions that have ended, by reason.
    pub closes: BTreeMap<CloseReason, u64>,
}

/// The live numbers behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub sessions: AtomicU64,
    pub sockets: AtomicU64,
    pub websockets: AtomicU64,
    pub requests: AtomicU64,
    pub pending_acks: AtomicU64,
    pub opened: AtomicU64,
    pub refused: AtomicU64,
    pub events_in: AtomicU64,
    pub events_out: AtomicU64,
    pub limited: AtomicU64,
    closes: Mutex<BTreeMap<CloseReason, u64>>,
}

/// A gauge of [`Counters`].
type Field = fn(&Counters) -> &AtomicU64;

impl Counters {
    pub fn closed(&self, reason: CloseReason) {
        *self.closes.lock().entry(reason).or_default() += 1;
    }

    pub fn snapshot(&self) -> Stats {
        Stats {
            sessions: read(&self.sessions),
            sockets: read(&self.sockets),
            websockets: read(&self.websockets),
            requests: read(&self.requests),
            pending_acks: read(&self.pending_acks),
            opened: read(&self.opened),
            refused: read(&self.refused),
            events_in: read(&self.events_in),
            events_out: read(&self.events_out),
            limited: read(&self.limited),
            closes: self.closes.lock().clone(),
        }
    }
}

fn read(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

/// Adds one.
pub(crate) fn count(number: &AtomicU64) {
    number.fetch_add(1, Ordering::Relaxed);
}

/// One of what a gauge counts, for as long as it lives; however that ends.
pub(crate) struct Counted {
    counters: Arc<Counters>,
    field: Field,
}

impl Counted {
    pub fn new(counters: &Arc<Counters>, field: Field) -> Self {
        count(field(counters));
        Self { counters: counters.clone(), field }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.field)(&self.counters).fetch_sub(1, Ordering::Relaxed);
    }
}
