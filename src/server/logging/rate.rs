//! The rate limit of log lines per place in the code: strangers must not be able to fill a disk with the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{Level, Log, Metadata, Record};
use parking_lot::Mutex;

/// Lines that one place in the code may write within [`WINDOW`]: a person can still read them.
const BURST: u32 = 50;
const WINDOW: Duration = Duration::from_secs(10);

/// A logger in front of another: it leaves out what one place in the code writes too often, and lowers what
/// dependencies say about their peers. Debug lines are not rated; who asks for them wants all of them.
pub(super) struct Rated<L> {
    inner: L,
    places: Mutex<HashMap<Place, Count>>,
}

/// A place in the code. There are as many as the program has lines, so the table is bounded.
type Place = (Arc<str>, u32);

struct Count {
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl<L: Log> Rated<L> {
    pub(super) fn new(inner: L) -> Self {
        Self { inner, places: Mutex::default() }
    }

    /// Whether a place may write at this moment, and how many of its lines were left out before.
    fn admit(&self, record: &Record<'_>, now: Instant) -> Option<u64> {
        let place = (Arc::from(record.target()), record.line().unwrap_or(0));
        let mut places = self.places.lock();
        let count = places.entry(place).or_insert(Count { since: now, lines: 0, left_out: 0 });
        let left_out = if now.duration_since(count.since) < WINDOW {
            0
        } else {
            (count.since, count.lines) = (now, 0);
            std::mem::take(&mut count.left_out)
        };
        if count.lines >= BURST {
            count.left_out += 1;
            return None;
        }
        count.lines += 1;
        Some(left_out)
    }
}

/// The level of a line: what the HTTP library finds wrong with what a peer sent is no failure of the hub.
fn level_of(record: &Record<'_>) -> Level {
    let is_about_peers = record.target().starts_with("actix_http") || record.target().starts_with("actix_web_actors");
    if is_about_peers { record.level().max(Level::Debug) } else { record.level() }
}

impl<L: Log> Log for Rated<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let record = record.to_builder().level(level_of(record)).build();
        if !self.inner.enabled(record.metadata()) {
            return;
        }
        if record.level() >= Level::Debug {
            return self.inner.log(&record);
        }
        let Some(left_out) = self.admit(&record, Instant::now()) else { return };
        if left_out > 0 {
            let pairs = [("lines", log::kv::Value::from(left_out))];
            let told =
                record.to_builder().args(format_args!("lines like the next were left out")).key_values(&pairs).build();
            self.inner.log(&told);
        }
        self.inner.log(&record);
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl Log for Nowhere {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn log(&self, _: &Record<'_>) {}
        fn flush(&self) {}
    }

    fn line(target: &'static str, number: u32) -> Record<'static> {
        Record::builder().target(target).line(Some(number)).level(Level::Error).build()
    }

    #[test]
    fn each_place_has_a_rate_of_its_own() {
        let (rated, now) = (Rated::new(Nowhere), Instant::now());
        for _ in 0..BURST {
            assert_eq!(rated.admit(&line("a", 1), now), Some(0));
        }
        assert_eq!(rated.admit(&line("a", 1), now), None);
        assert_eq!(rated.admit(&line("a", 1), now + WINDOW / 2), None);
        assert_eq!(rated.admit(&line("a", 2), now), Some(0));
        assert_eq!(rated.admit(&line("b", 1), now), Some(0));
        assert_eq!(rated.admit(&line("a", 1), now + WINDOW), Some(2));
        assert_eq!(rated.admit(&line("a", 1), now + WINDOW), Some(0));
    }

    #[test]
    fn what_peers_send_is_no_error_of_the_hub() {
        assert_eq!(level_of(&line("actix_http::h1::dispatcher", 1)), Level::Debug);
        assert_eq!(level_of(&line("hxa_store", 1)), Level::Error);
    }
}
