//! Sliding windows for rate limits.
//!
//! A window holds the time of every admitted event that may still count. An event exactly one window old no longer
//! counts, so that a caller that waits the reported number of seconds is admitted, unless the limit has been lowered
//! since. Only admitted events are recorded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

/// The times of recent events, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlidingWindow {
    stamps: VecDeque<i64>,
}

impl SlidingWindow {
    /// A window that remembers events from before a restart, in any order.
    #[must_use]
    pub fn restored(stamps: impl IntoIterator<Item = i64>) -> Self {
        let mut stamps: Vec<i64> = stamps.into_iter().collect();
        stamps.sort_unstable();
        Self { stamps: stamps.into() }
    }

    /// Records an event at `now` unless `limit` of them lie within the window; else answers the seconds to wait.
    pub fn admit(&mut self, now: i64, limit: u32, window_ms: i64) -> Result<(), u64> {
        self.forget(now, window_ms);
        if self.stamps.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
            // A clock set back must not disorder the queue.
            let stamp = self.stamps.back().map_or(now, |last| now.max(*last));
            self.stamps.push_back(stamp);
            return Ok(());
        }
        let oldest = self.stamps.front().copied().unwrap_or(now);
        let wait_ms = oldest.saturating_add(window_ms).saturating_sub(now);
        Err(u64::try_from(wait_ms).unwrap_or(0).div_ceil(1000).max(1))
    }

    /// How many events would still be admitted at `now`.
    #[must_use]
    pub fn remaining(&self, now: i64, limit: u32, window_ms: i64) -> u32 {
        // In order, so those that count are a range; mostly all of them, which a search of a long row would not know.
        let all_count =
            [self.stamps.front(), self.stamps.back()].iter().flatten().all(|stamp| counts(**stamp, now, window_ms));
        let counted = if all_count {
            self.stamps.len()
        } else {
            let gone = self.stamps.partition_point(|stamp| is_gone(*stamp, now, window_ms));
            let plausible = self.stamps.partition_point(|stamp| is_plausible(*stamp, now, window_ms));
            plausible.saturating_sub(gone)
        };
        limit.saturating_sub(u32::try_from(counted).unwrap_or(u32::MAX))
    }

    /// Seconds until the oldest event counts no more; 0 when none does.
    #[must_use]
    pub fn resets_in(&self, now: i64, window_ms: i64) -> u64 {
        let oldest = self.stamps.iter().find(|stamp| counts(**stamp, now, window_ms));
        let left_ms = oldest.map_or(0, |oldest| oldest.saturating_add(window_ms).saturating_sub(now));
        u64::try_from(left_ms).unwrap_or(0).div_ceil(1000)
    }

    /// Whether nothing in it counts any more, so that it can be dropped.
    #[must_use]
    pub fn is_idle(&self, now: i64, window_ms: i64) -> bool {
        self.stamps.back().is_none_or(|last| !counts(*last, now, window_ms))
    }

    /// Drops what no longer counts.
    fn forget(&mut self, now: i64, window_ms: i64) {
        while self.stamps.front().is_some_and(|oldest| !counts(*oldest, now, window_ms)) {
            self.stamps.pop_front();
        }
    }
}

/// Whether an event still counts at `now`.
fn counts(stamp: i64, now: i64, window_ms: i64) -> bool {
    !is_gone(stamp, now, window_ms) && is_plausible(stamp, now, window_ms)
}

/// Whether an event is a window old.
fn is_gone(stamp: i64, now: i64, window_ms: i64) -> bool {
    stamp.saturating_add(window_ms) <= now
}

/// What lies further ahead than a window was stamped by a clock that was wrong, and would count until it is right.
fn is_plausible(stamp: i64, now: i64, window_ms: i64) -> bool {
    stamp <= now.saturating_add(window_ms)
}

/// What may be used at once after a while of nothing, as a time at the steady rate.
const BURST: u64 = 10_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// A rate that is refilled all the time, for what comes far too often to remember each: operations, control frames.
///
/// Ten seconds' worth may come at once. It holds one number, the moment at which it will be full again, so that many
/// threads can use it without a lock (the generic cell rate algorithm).
#[derive(Debug, Default)]
pub struct TokenBucket {
    full_at: AtomicU64,
}

impl TokenBucket {
    /// Takes `cost` at `now` (in ns on any clock that only grows) of a rate `per_second`; else answers how long to wait, in
    /// ns. What costs more than may come at once is given when the bucket is full.
    ///
    /// # Errors
    /// When less is left; nothing is taken then.
    pub fn take(&self, now: u64, cost: u64, per_second: u64) -> Result<(), u64> {
        let price = price(cost, per_second);
        let latest = now.saturating_add(BURST.saturating_sub(price.min(BURST)));
        let take = |full_at: u64| (full_at <= latest).then(|| full_at.max(now).saturating_add(price));
        match self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(()),
            Err(full_at) => Err(full_at - latest),
        }
    }

    /// Takes `cost` whether it is there or not; what is missing is waited for by whoever takes next.
    pub fn owe(&self, now: u64, cost: u64, per_second: u64) {
        let price = price(cost, per_second);
        let owe = |full_at: u64| Some(full_at.max(now).saturating_add(price));
        // It never answers with nothing.
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, owe);
    }

    /// Whether all of it is there.
    #[must_use]
    pub fn is_full(&self, now: u64) -> bool {
        self.full_at.load(Ordering::Relaxed) <= now
    }
}

/// How long it takes at the steady rate to get this much.
fn price(cost: u64, per_second: u64) -> u64 {
    let price = u128::from(cost) * u128::from(SECOND) / u128::from(per_second.max(1));
    u64::try_from(price).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn the_wait_is_until_the_oldest_leaves() {
        let mut window = SlidingWindow::default();
        assert_eq!(window.admit(1_000, 2, MINUTE), Ok(()));
        assert_eq!(window.admit(2_000, 2, MINUTE), Ok(()));
        assert_eq!(window.admit(2_500, 2, MINUTE), Err(59));
        assert_eq!(window.admit(60_999, 2, MINUTE), Err(1));
        assert_eq!(window.remaining(60_999, 2, MINUTE), 0);
        assert_eq!((window.resets_in(60_999, MINUTE), window.resets_in(61_500, MINUTE)), (1, 1));
        assert_eq!(window.resets_in(62_000, MINUTE), 0);
        assert_eq!(window.admit(61_000, 2, MINUTE), Ok(()));
    }

    #[test]
    fn refusals_are_not_recorded() {
        let mut window = SlidingWindow::default();
        assert_eq!(window.admit(0, 1, MINUTE), Ok(()));
        for now in 1..100 {
            assert!(window.admit(now, 1, MINUTE).is_err());
        }
        assert_eq!(window.admit(MINUTE, 1, MINUTE), Ok(()));
    }

    #[test]
    fn a_lowered_limit_and_a_clock_set_back_are_survived() {
        let mut window = SlidingWindow::restored([30, 10, 20]);
        assert_eq!(window.admit(40, 1, MINUTE), Err(60));
        assert_eq!(window.remaining(40, 1, MINUTE), 0);
        assert_eq!(window.admit(5, 9, MINUTE), Ok(()));
        assert_eq!(window.remaining(40, 9, MINUTE), 5);
        assert!(window.is_idle(30 + MINUTE, MINUTE));
        assert!(!window.is_idle(29 + MINUTE, MINUTE));
        assert_eq!(SlidingWindow::default().admit(0, 0, MINUTE), Err(60));
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_the_limit(
            steps in proptest::collection::vec(0i64..30_000, 1..80), limit in 1u32..6,
        ) {
            let (mut window, mut now, mut admitted) = (SlidingWindow::default(), 0, Vec::new());
            for step in steps {
                now += step;
                let left = window.remaining(now, limit, MINUTE);
                let answer = window.admit(now, limit, MINUTE);
                prop_assert_eq!(left > 0, answer.is_ok());
                match answer {
                    Ok(()) => admitted.push(now),
                    Err(wait) => {
                        let later = now + i64::try_from(wait).unwrap() * 1000;
                        prop_assert!(window.remaining(later, limit, MINUTE) > 0);
                    }
                }
                let within = admitted.iter().filter(|stamp| **stamp > now - MINUTE).count();
                prop_assert!(within <= usize::try_from(limit).unwrap());
            }
        }
    }

    #[test]
    fn a_bucket_holds_ten_seconds_and_fills_up_again() {
        let bucket = TokenBucket::default();
        let admitted = (0..2000).filter(|_| bucket.take(5 * SECOND, 1, 100).is_ok()).count();
        assert_eq!(admitted, 1000);
        let wait = bucket.take(5 * SECOND, 50, 100).unwrap_err();
        assert!((wait / 1_000_000).abs_diff(500) <= 10, "{wait}");
        assert_eq!(bucket.take(5 * SECOND + wait, 50, 100), Ok(()));
        assert!(bucket.take(5 * SECOND + wait, 1, 100).is_err());
        assert_eq!((0..2000).filter(|_| bucket.take(60 * SECOND, 1, 100).is_ok()).count(), 1000);
    }

    #[test]
    fn what_costs_more_than_fits_is_given_to_a_full_bucket() {
        let bucket = TokenBucket::default();
        assert_eq!(bucket.take(SECOND, 5000, 100), Ok(()));
        let wait = bucket.take(SECOND, 1, 100).unwrap_err();
        assert!(wait > 39 * SECOND, "{wait}");
        assert_eq!(bucket.take(SECOND, 0, 0), Err(40 * SECOND));
        let bucket = TokenBucket::default();
        assert!(bucket.is_full(0));
        bucket.owe(0, 200, 10);
        assert!(!bucket.is_full(0) && bucket.is_full(20 * SECOND));
        assert_eq!(bucket.take(0, 10, 10), Err(11 * SECOND));
        assert_eq!(TokenBucket::default().take(u64::MAX, u64::MAX, 0), Ok(()));
        assert_eq!(TokenBucket::default().take(0, 1, u64::MAX), Ok(()));
    }

    proptest! {
        #[test]
        fn a_bucket_never_gives_more_than_its_rate(
            steps in proptest::collection::vec((0u64..3_000, 1u64..40), 1..200),
            per_second in 1u64..100,
        ) {
            let (bucket, mut now, mut given, mut waits) = (TokenBucket::default(), 0, 0, Vec::new());
            for (pause_ms, cost) in steps {
                now += pause_ms * 1_000_000;
                match bucket.take(now, cost, per_second) {
                    Ok(()) => given += cost,
                    Err(wait) => waits.push((now, cost, wait)),
                }
                // What costs more than fits is given to a full bucket.
                prop_assert!(given <= (per_second * (now / 1_000_000 + 10_000)) / 1000 + 40);
            }
            if let Some((at, cost, wait)) = waits.last().copied() && at == now {
                prop_assert_eq!(bucket.take(now + wait, cost, per_second), Ok(()));
            }
        }
    }
}
