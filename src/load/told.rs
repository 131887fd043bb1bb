//! Changes of requests, and who heard of them: every listener hears every event in its order or is told of a gap, and one
//! of them, the witness, hears of every acknowledged change exactly once.
//!
//! Events are numbered per organisation, and in these scenarios all are of one agent whose listeners see all of them: so
//! a listener that misses one sees it in the numbers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::counters::zeros;
use crate::failures::{Failure, Failures};

/// Listeners and what they heard.
#[derive(Debug, Default)]
pub struct Told {
    /// The number of the newest event of each listener.
    places: Vec<AtomicU64>,
    /// Events that listeners were told to have missed.
    missed: AtomicU64,
    /// How often that was told.
    gaps: AtomicU64,
    /// Streams that ended and were opened again.
    reopened: AtomicU64,
    /// Acknowledged changes of each request, less those that the witness heard of.
    owed: Mutex<HashMap<String, i64>>,
}

impl Told {
    /// So many listeners.
    pub fn new(listeners: usize) -> Self {
        Self { places: zeros(listeners), ..Self::default() }
    }

    /// Listeners.
    pub fn listeners(&self) -> usize {
        self.places.len()
    }

    /// Events missed, how often that was told, and streams that were opened again.
    pub fn losses(&self) -> [u64; 3] {
        [&self.missed, &self.gaps, &self.reopened].map(|counter| counter.load(Relaxed))
    }

    /// The request went through so many states, as acknowledged.
    pub fn acknowledged(&self, request: &str, states: i64) {
        self.count(request, states);
    }

    /// The witness heard of a state of this request.
    pub fn witnessed(&self, request: &str) {
        self.count(request, -1);
    }

    fn count(&self, request: &str, change: i64) {
        let mut owed = self.owed();
        let left = owed.entry(request.to_owned()).or_default();
        *left += change;
        if *left == 0 {
            owed.remove(request);
        }
    }

    /// A listener begins behind this event.
    pub fn begin(&self, listener: usize, number: u64) {
        if let Some(place) = self.places.get(listener) {
            place.store(number, Relaxed);
        }
    }

    /// A listener hears an event.
    pub fn hear(&self, listener: usize, number: u64, failures: &Failures) {
        let Some(place) = self.places.get(listener) else { return };
        let before = place.load(Relaxed);
        if number != before + 1 {
            let failure = if number <= before { Failure::Duplicate } else { Failure::Gap };
            failures.add(failure, || format!("listener {listener} got event {number} after {before}"));
        }
        place.store(number.max(before), Relaxed);
    }

    /// A listener is told that it missed what came up to this event; how many these are.
    pub fn miss(&self, listener: usize, number: u64) -> u64 {
        let before = self.places.get(listener).map_or(number, |place| place.swap(number, Relaxed));
        let missed = number.saturating_sub(before);
        self.missed.fetch_add(missed, Relaxed);
        self.gaps.fetch_add(1, Relaxed);
        missed
    }

    /// A stream ended and was opened again.
    pub fn reopen(&self) {
        self.reopened.fetch_add(1, Relaxed);
    }

    /// Final check: all listeners are at the same event, and the witness heard of everything.
    pub fn verify(&self, failures: &Failures) {
        let places: Vec<u64> = self.places.iter().map(|place| place.load(Relaxed)).collect();
        let Some(last) = places.iter().max() else { return };
        for (listener, place) in places.iter().enumerate().filter(|(_, place)| *place != last) {
            failures.add(Failure::Undelivered, || format!("listener {listener} is at event {place} of {last}"));
        }
        // What the witness was told to have missed cannot be counted.
        if self.missed.load(Relaxed) > 0 {
            return;
        }
        for (request, left) in self.owed().iter() {
            let failure = if *left > 0 { Failure::Undelivered } else { Failure::Duplicate };
            failures.add(failure, || format!("request {request}: {left} states too few"));
        }
    }

    fn owed(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(play: impl FnOnce(&Told, &Failures)) -> Vec<String> {
        let (told, failures) = (Told::new(2), Failures::default());
        (0..2).for_each(|listener| told.begin(listener, 7));
        play(&told, &failures);
        told.verify(&failures);
        failures.lines()
    }

    #[test]
    fn everything_heard_in_order_is_fine() {
        let found = lines(|told, failures| {
            told.witnessed("a");
            told.acknowledged("a", 2);
            told.witnessed("a");
            for number in [8, 9] {
                (0..2).for_each(|listener| told.hear(listener, number, failures));
            }
        });
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_found() {
        let skipped = lines(|told, failures| (0..2).for_each(|listener| told.hear(listener, 9, failures)));
        assert!(skipped[0].starts_with("gap in delivery: 2"), "{skipped:?}");
        let again = lines(|told, failures| {
            (0..2).for_each(|listener| told.hear(listener, 8, failures));
            told.hear(1, 8, failures);
        });
        assert!(again[0].contains("event 8 after 8"), "{again:?}");
        let behind = lines(|told, failures| told.hear(0, 8, failures));
        assert!(behind[0].contains("listener 1 is at event 7 of 8"), "{behind:?}");
        let unheard = lines(|told, _| told.acknowledged("a", 3));
        assert!(unheard[0].contains("request a: 3 states too few"), "{unheard:?}");
        let twice = lines(|told, _| told.witnessed("a"));
        assert!(twice[0].contains("request a: -1 states"), "{twice:?}");
    }

    #[test]
    fn a_gap_that_is_told_is_counted() {
        let found = lines(|told, failures| {
            told.acknowledged("a", 3);
            assert_eq!(told.miss(0, 10), 3);
            (8..=10).for_each(|number| told.hear(1, number, failures));
            told.reopen();
            assert_eq!(told.losses(), [3, 1, 1]);
        });
        assert_eq!(found, Vec::<String>::new());
    }
}
