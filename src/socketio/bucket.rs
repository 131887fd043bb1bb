//! A token bucket: a rate with a burst.

use std::time::{Duration, Instant};

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Time in which one token is earned.
    interval: Duration,
    /// Time in which an empty bucket fills up.
    burst: Duration,
}

impl Rate {
    /// A rate per second; `None`, which is no limit, for zero.
    pub fn per_second(rate: u32, burst: u32) -> Option<Self> {
        let interval = Duration::from_secs(1).checked_div(rate)?;
        Some(Self { interval, burst: interval.saturating_mul(burst.max(1)) })
    }
}

/// The tokens of one client, kept as the time when they will all be there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// A full one.
    pub fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, rate: Option<Rate>, now: Instant) -> bool {
        let Some(rate) = rate else { return true };
        let full_at = self.full_at.max(now) + rate.interval;
        let is_allowed = full_at.duration_since(now) <= rate.burst;
        if is_allowed {
            self.full_at = full_at;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_the_rate() {
        let (rate, start) = (Rate::per_second(10, 5), Instant::now());
        let mut bucket = Bucket::full(start);
        let mut taken = |ms| (0..100).filter(|_| bucket.take(rate, start + Duration::from_millis(ms))).count();
        assert_eq!((taken(0), taken(99), taken(100), taken(350), taken(10_000)), (5, 0, 1, 2, 5));
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let mut bucket = Bucket::full(Instant::now());
        assert!((0..10_000).all(|_| bucket.take(Rate::per_second(0, 5), Instant::now())));
    }
}
