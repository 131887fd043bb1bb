//! The operations of one socket that are in flight: their number and their approximate memory.
//!
//! The hub stops reading from a socket while it has too many, so that a client which sends faster than its operations
//! complete is throttled by its connection instead of being buffered in memory.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// One operation; the weight of all is below it.
const ONE: u64 = 1 << 44;

/// Operations under way, counted in one number.
#[derive(Debug, Default)]
pub struct Flight {
    state: AtomicU64,
    landed: Notify,
}

/// How much may be under way.
#[derive(Debug, Clone, Copy)]
pub struct FlightLimits {
    /// Operations.
    pub operations: usize,
    /// Bytes of memory, about.
    pub bytes: usize,
}

impl Flight {
    /// Counts an operation in.
    pub fn begin(&self, weight: usize) {
        self.state.fetch_add(ONE | capped(weight), Ordering::AcqRel);
    }

    /// Counts an operation of this weight out.
    pub fn end(&self, weight: usize) {
        self.state.fetch_sub(ONE | capped(weight), Ordering::AcqRel);
        self.landed.notify_one();
    }

    /// Whether nothing more should be begun.
    #[must_use]
    pub fn is_full(&self, limits: FlightLimits) -> bool {
        let state = self.state.load(Ordering::Acquire);
        let (operations, bytes) = (state / ONE, state % ONE);
        at_least(operations, limits.operations) || (operations > 0 && at_least(bytes, limits.bytes))
    }

    /// Waits until there is room.
    pub async fn room(&self, limits: FlightLimits) {
        while self.is_full(limits) {
            self.landed.notified().await;
        }
    }
}

fn at_least(number: u64, limit: usize) -> bool {
    u64::try_from(limit).is_ok_and(|limit| number >= limit)
}

/// As many of the largest weight as there can be operations do not reach into their count.
fn capped(weight: usize) -> u64 {
    u64::try_from(weight).unwrap_or(u64::MAX).min(u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_weighs() {
        let (flight, limits) = (Flight::default(), FlightLimits { operations: 3, bytes: 100 });
        assert!(!flight.is_full(limits));
        flight.begin(40);
        flight.begin(0);
        assert!(!flight.is_full(limits));
        flight.begin(0);
        assert!(flight.is_full(limits), "three");
        flight.end(0);
        flight.end(0);
        flight.begin(60);
        assert!(flight.is_full(limits), "a hundred");
        flight.end(40);
        assert!(!flight.is_full(limits));
        flight.begin(usize::MAX);
        flight.end(usize::MAX);
        flight.end(60);
        assert!(!flight.is_full(FlightLimits { operations: 1, bytes: 0 }));
    }
}
