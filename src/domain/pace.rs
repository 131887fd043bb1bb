//! How long a peer may take to send or receive bytes: as long as it makes progress.
//!
//! A peer has an allowance of waiting time. Time that it keeps the hub waiting uses the allowance up; each transferred
//! byte refills it by the time that the slowest acceptable connection needs for a byte, up to the full allowance. A
//! slow but steady peer therefore never exhausts it, whatever the amount of data; a stalled peer is disconnected after
//! the full allowance at most, and so is one that sends a byte now and then.

use std::time::{Duration, Instant};

/// What is asked of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// The full reserve.
    pub patience: Duration,
    /// The slowest acceptable line.
    pub bytes_per_second: u64,
}

/// The patience left with one peer.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pacing: Pacing,
    left: Duration,
    since: Instant,
}

impl Pace {
    /// A full reserve.
    #[must_use]
    pub fn new(pacing: Pacing, now: Instant) -> Self {
        Self { pacing, left: pacing.patience, since: now }
    }

    /// The hub waits for the peer from `now` on; what was before was its own doing.
    pub fn wait(&mut self, now: Instant) {
        self.since = now;
    }

    /// The peer got `bytes` through while it was waited for.
    pub fn progress(&mut self, bytes: usize, now: Instant) {
        let waited = now.saturating_duration_since(self.since);
        let rate = self.pacing.bytes_per_second.max(1);
        let nanos = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(1_000_000_000 / rate);
        let left = self.left.saturating_sub(waited).saturating_add(Duration::from_nanos(nanos));
        self.left = left.min(self.pacing.patience);
        self.since = now;
    }

    /// When patience runs out if nothing more gets through.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.since.checked_add(self.left).unwrap_or(self.since)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PACING: Pacing = Pacing { patience: Duration::from_secs(20), bytes_per_second: 500 };

    /// When a peer that sends `bytes` every `every` is disconnected, within an hour.
    fn given_up_after(bytes: usize, every: Duration) -> Option<Duration> {
        let start = Instant::now();
        let (mut pace, mut now) = (Pace::new(PACING, start), start);
        while now - start < Duration::from_secs(3600) {
            now += every;
            if pace.deadline() < now {
                return Some(pace.deadline() - start);
            }
            pace.progress(bytes, now);
        }
        None
    }

    #[test]
    fn whoever_gets_on_is_waited_for() {
        let seconds = Duration::from_secs;
        for (bytes, every) in
            [(40_000, seconds(1)), (600, seconds(1)), (10_000, seconds(15)), (1, Duration::from_micros(500))]
        {
            assert_eq!(given_up_after(bytes, every), None, "{bytes} bytes every {every:?}");
        }
        for (bytes, every) in
            [(1, seconds(1)), (1, seconds(19)), (0, seconds(1)), (300, seconds(1)), (1_000_000, seconds(21))]
        {
            let end = given_up_after(bytes, every).unwrap();
            assert!(end <= seconds(60), "{bytes} bytes every {every:?}: {end:?}");
        }
    }

    #[test]
    fn what_was_sent_in_a_rush_buys_no_longer_silence() {
        let start = Instant::now();
        let mut pace = Pace::new(PACING, start);
        pace.progress(usize::MAX, start);
        assert_eq!(pace.deadline(), start + PACING.patience);
        pace.wait(start + Duration::from_secs(3600));
        assert_eq!(pace.deadline(), start + Duration::from_secs(3620), "the hub's own time does not count");
    }

    proptest! {
        #[test]
        fn never_more_than_the_reserve(steps in proptest::collection::vec((0usize..100_000, 0u64..30_000), 0..50)) {
            let mut now = Instant::now();
            let mut pace = Pace::new(PACING, now);
            for (bytes, ms) in steps {
                now += Duration::from_millis(ms);
                pace.progress(bytes, now);
                prop_assert!(pace.deadline() <= now + PACING.patience);
            }
        }
    }
}
