//! An estimate of the webhook backlog.
//!
//! The backlog is estimated in memory: the last count of the database plus everything queued since. The database is
//! asked only if the estimate exceeds a bound, so a queue that is being drained needs no counting, and an estimate is
//! never wrong for long.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use hxa_store::webhooks::Amount;

/// Deliveries finished before those that are kept are counted.
const FORGET_AFTER: i64 = 500;

/// What waits for a bot or in an organisation, as far as is known.
#[derive(Debug)]
pub struct Backlog {
    events: AtomicI64,
    bytes: AtomicI64,
    finished: AtomicI64,
    is_trimmed: AtomicBool,
}

impl Default for Backlog {
    /// Nothing is known yet: more than any bound may wait.
    fn default() -> Self {
        Self {
            events: AtomicI64::new(i64::MAX / 2),
            bytes: AtomicI64::new(i64::MAX / 2),
            finished: AtomicI64::new(FORGET_AFTER),
            is_trimmed: AtomicBool::new(false),
        }
    }
}

impl Backlog {
    /// So much came.
    pub fn add(&self, amount: Amount) {
        self.events.fetch_add(amount.events, Ordering::Relaxed);
        self.bytes.fetch_add(amount.bytes, Ordering::Relaxed);
    }

    /// So many deliveries are finished.
    pub fn note_finished(&self, count: usize) {
        self.finished.fetch_add(i64::try_from(count).unwrap_or(0), Ordering::Relaxed);
    }

    /// True when more waits than may.
    pub fn is_over(&self, most: Amount) -> bool {
        self.events.load(Ordering::Relaxed) > most.events || self.bytes.load(Ordering::Relaxed) > most.bytes
    }

    /// The estimate, for [`Self::correct`].
    pub fn estimate(&self) -> Amount {
        Amount { events: self.events.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// The database counts so much, asked when the estimate was this. What came meanwhile stays added: should it have been
    /// counted as well, the estimate is too large, and the next one who looks counts again.
    pub fn correct(&self, asked_at: Amount, counted: Amount) {
        self.events.fetch_add(counted.events.saturating_sub(asked_at.events), Ordering::Relaxed);
        self.bytes.fetch_add(counted.bytes.saturating_sub(asked_at.bytes), Ordering::Relaxed);
    }

    /// True once enough deliveries are finished for those that are kept to be counted; they are counted from here anew.
    pub fn is_to_forget(&self) -> bool {
        let is_due = self.finished.load(Ordering::Relaxed) >= FORGET_AFTER;
        if is_due {
            self.finished.store(0, Ordering::Relaxed);
        }
        is_due
    }

    /// Lets one of those trim who find it over its bound at once.
    pub fn begin(&self) -> Option<Trimming<'_>> {
        // Lazily: a guard that is made and dropped would unlock for whoever holds it.
        (!self.is_trimmed.swap(true, Ordering::AcqRel)).then(|| Trimming(self))
    }
}

/// Locked while the backlog is trimmed.
pub struct Trimming<'a>(&'a Backlog);

impl Drop for Trimming<'_> {
    fn drop(&mut self) {
        self.0.is_trimmed.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_while_the_database_counts_is_not_forgotten() {
        let (backlog, most) = (Backlog::default(), Amount { events: 2, bytes: 100 });
        assert!(backlog.is_over(most), "nothing is known yet");
        let asked_at = backlog.estimate();
        backlog.add(Amount { events: 1, bytes: 60 });
        backlog.correct(asked_at, Amount { events: 1, bytes: 60 });
        assert!(backlog.is_over(most));
        let asked_at = backlog.estimate();
        backlog.correct(asked_at, Amount { events: 2, bytes: 100 });
        assert!(!backlog.is_over(most));
    }

    #[test]
    fn one_trims_at_a_time() {
        let backlog = Backlog::default();
        let first = backlog.begin();
        assert!(first.is_some() && backlog.begin().is_none() && backlog.begin().is_none());
        drop(first);
        assert!(backlog.begin().is_some());
    }
}
