//! What the writers have done since the start, read by the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the commit-time histogram in microseconds.
pub const BUCKETS: [u64; 12] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];
/// Upper bounds of the batch-size histogram in rows.
pub const ROW_BUCKETS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// Counters that only grow.
#[derive(Debug, Default)]
pub struct Figures {
    /// Batches committed or tried.
    pub batches: AtomicU64,
    /// Commits completed.
    pub commits: AtomicU64,
    /// Rows and statements written.
    pub rows: AtomicU64,
    /// Microseconds spent in transactions.
    pub micros: AtomicU64,
    /// Batches per bucket of [`BUCKETS`]; the last slot is beyond all.
    pub time_buckets: [AtomicU64; BUCKETS.len() + 1],
    /// Batches per bucket of [`ROW_BUCKETS`].
    pub row_buckets: [AtomicU64; ROW_BUCKETS.len() + 1],
}

/// A batch slower than this is worth a line in the log.
const SLOW: Duration = Duration::from_millis(500);

impl Figures {
    /// Counts one batch.
    pub fn record(&self, commits: usize, rows: usize, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.commits.fetch_add(u64::try_from(commits).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        count(&self.time_buckets, &BUCKETS, micros);
        count(&self.row_buckets, &ROW_BUCKETS, rows);
        if elapsed > SLOW {
            log::warn!(duration_ms = micros / 1000, commits, rows; "slow commit");
        }
    }
}

fn count(slots: &[AtomicU64], bounds: &[u64], value: u64) {
    let slot = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
    if let Some(slot) = slots.get(slot) {
        slot.fetch_add(1, Ordering::Relaxed);
    }
}
