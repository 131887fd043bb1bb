//! Contention: many bots want the next revision of a thread or the next version of an artifact.
//!
//! Of all who want to move a thread on from one revision, exactly one may win; versions of a key are 1, 2, 3 … each
//! given once. Members must see every step once and in order. A race flips the status between active (odd revision)
//! and reviewing (even), so the status of every event can be checked too.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::counters::{read, zeros};
use crate::failures::{Failure, Failures};

/// A thread whose status is changed concurrently.
#[derive(Debug)]
pub struct Race {
    /// Its id.
    pub thread_id: String,
    /// Member bots, ascending.
    pub members: Vec<usize>,
    /// Last revision each member saw.
    known: Vec<AtomicU32>,
    /// Last revision each member tried to move on from.
    tried: Vec<AtomicU32>,
    wins: NumberCounts,
}

/// An artifact key that is written concurrently.
#[derive(Debug)]
pub struct ContendedArtifact {
    /// Thread it is in.
    pub thread_id: String,
    /// Its key: `load-<index>`.
    pub key: String,
    /// Member bots, ascending.
    pub members: Vec<usize>,
    known: Vec<AtomicU32>,
    assigned: NumberCounts,
}

/// How often each number from 2 on was given.
#[derive(Debug, Default)]
struct NumberCounts {
    counts: Mutex<Vec<u8>>,
}

impl NumberCounts {
    /// Counts `number`; false if it was given before.
    fn add(&self, number: u32) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let at = usize::try_from(number).unwrap_or(usize::MAX).min(100_000_000);
        if counts.len() <= at {
            counts.resize(at + 1, 0);
        }
        let Some(count) = counts.get_mut(at) else { return false };
        *count = count.saturating_add(1);
        *count == 1
    }

    /// The highest number given (1 if none), and the numbers from 2 on that nobody got.
    fn last_and_missing(&self) -> (u32, usize) {
        let counts = self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let missing = counts.iter().skip(2).filter(|count| **count == 0).count();
        (u32::try_from(counts.len().saturating_sub(1)).unwrap_or(u32::MAX).max(1), missing)
    }
}

/// Moves a member's last seen number to `number`, which must be the next one.
fn advance(known: &[AtomicU32], slot: usize, number: u32, what: &str, failures: &Failures) {
    let Some(cell) = known.get(slot) else { return };
    let before = cell.load(Relaxed);
    if number != before + 1 {
        let failure = if number <= before { Failure::Duplicate } else { Failure::Gap };
        failures.add(failure, || format!("{what}: member {slot} saw {number} after {before}"));
    }
    cell.store(number.max(before), Relaxed);
}

fn verify_members(known: &[AtomicU32], last: u32, missing: usize, what: &str, failures: &Failures) {
    if missing > 0 {
        failures.add(Failure::Succession, || format!("{what}: {missing} numbers below {last} were given to nobody"));
    }
    for (slot, cell) in known.iter().enumerate() {
        let seen = cell.load(Relaxed);
        if seen != last {
            failures
                .add(Failure::Undelivered, || format!("{what}: member {slot} saw up to {seen}, acked up to {last}"));
        }
    }
}

fn ones(count: usize) -> Vec<AtomicU32> {
    std::iter::repeat_with(|| AtomicU32::new(1)).take(count).collect()
}

impl Race {
    /// A fresh thread: revision 1, status active.
    pub fn new(thread_id: String, mut members: Vec<usize>) -> Self {
        members.sort_unstable();
        let count = members.len();
        Self { thread_id, members, known: ones(count), tried: zeros(count), wins: NumberCounts::default() }
    }

    /// The revision this member knows, if it has not tried on it yet; it counts as tried from now on.
    pub fn attempt(&self, slot: usize) -> Option<u32> {
        let known = read(&self.known, slot);
        let tried = self.tried.get(slot)?;
        (tried.swap(known, Relaxed) != known).then_some(known)
    }

    /// The revision this member knows.
    pub fn known(&self, slot: usize) -> u32 {
        read(&self.known, slot)
    }

    /// The status that follows this revision.
    pub fn status_after(revision: u32) -> &'static str {
        Self::status_at(revision + 1)
    }

    fn status_at(revision: u32) -> &'static str {
        if revision % 2 == 1 { "active" } else { "reviewing" }
    }

    /// A change from `expected` was acknowledged as `revision`.
    pub fn record_ack(&self, expected: u32, revision: Option<u32>, failures: &Failures) {
        let number = expected + 1;
        if revision != Some(number) {
            failures
                .add(Failure::Succession, || format!("{}: expected {expected}, acked as {revision:?}", self.thread_id));
        }
        if !self.wins.add(number) {
            failures.add(Failure::Succession, || format!("{}: revision {number} was won twice", self.thread_id));
        }
    }

    /// A member saw this revision with this status.
    pub fn record_event(&self, slot: usize, revision: u32, status: &str, failures: &Failures) {
        advance(&self.known, slot, revision, &self.thread_id, failures);
        if status != Self::status_at(revision) {
            failures.add(Failure::Succession, || format!("{}: revision {revision} is {status}", self.thread_id));
        }
    }

    /// The last revision that somebody won.
    pub fn last(&self) -> u32 {
        self.wins.last_and_missing().0
    }

    /// Final check.
    pub fn verify(&self, failures: &Failures) {
        let (last, missing) = self.wins.last_and_missing();
        verify_members(&self.known, last, missing, &self.thread_id, failures);
    }
}

impl ContendedArtifact {
    /// A key at version 1.
    pub fn new(thread_id: String, key: String, mut members: Vec<usize>) -> Self {
        members.sort_unstable();
        let known = ones(members.len());
        Self { thread_id, key, members, known, assigned: NumberCounts::default() }
    }

    /// The index in the recorder that a key names.
    pub fn index(key: &str) -> Option<usize> {
        key.strip_prefix("load-")?.parse().ok()
    }

    /// An update was acknowledged with this version.
    pub fn record_ack(&self, version: u32, failures: &Failures) {
        if !self.assigned.add(version) {
            failures.add(Failure::Succession, || format!("{}: version {version} was given twice", self.key));
        }
    }

    /// A member saw this version.
    pub fn record_event(&self, slot: usize, version: u32, failures: &Failures) {
        advance(&self.known, slot, version, &self.key, failures);
    }

    /// The last version that was given.
    pub fn last(&self) -> u32 {
        self.assigned.last_and_missing().0
    }

    /// Final check.
    pub fn verify(&self, failures: &Failures) {
        let (last, missing) = self.assigned.last_and_missing();
        verify_members(&self.known, last, missing, &self.key, failures);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_race() {
        let (race, failures) = (Race::new("t".into(), vec![1, 2]), Failures::default());
        assert_eq!((race.attempt(0), race.attempt(0)), (Some(1), None));
        race.record_ack(1, Some(2), &failures);
        (0..2).for_each(|slot| race.record_event(slot, 2, "reviewing", &failures));
        assert_eq!(race.attempt(0), Some(2));
        race.verify(&failures);
        assert_eq!(failures.lines(), Vec::<String>::new());
    }

    #[test]
    fn two_winners_and_holes_are_found() {
        let (race, failures) = (Race::new("t".into(), vec![1]), Failures::default());
        race.record_ack(1, Some(2), &failures);
        race.record_ack(1, Some(2), &failures);
        assert!(failures.lines()[0].contains("won twice"));
        let (artifact, failures) = (ContendedArtifact::new("t".into(), "load-0".into(), vec![1]), Failures::default());
        artifact.record_ack(3, &failures);
        artifact.record_event(0, 2, &failures);
        artifact.record_event(0, 3, &failures);
        artifact.verify(&failures);
        assert!(failures.lines()[0].contains("given to nobody"));
    }
}
