//! The recorder of a scenario: what was acknowledged and what each member received, as counters.
//!
//! A conversation (thread or direct channel) keeps for each member the last sequence number seen of each sender, so
//! every delivery is checked against "exactly the next one" when it arrives, and a digest of the order in which the
//! member saw everything, so that at the end all members can be compared. Each cell has one writer (the member's
//! socket), so relaxed atomics do. Races (revisions) and contended artifacts (versions) are in `contention`.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::content::Content;
use crate::contention::{ContendedArtifact, Race};
use crate::counters::{read, zeros};
use crate::failures::{Failure, Failures};
use crate::told::Told;

/// Thread or direct channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A thread.
    Thread,
    /// A pair of bots.
    Direct,
}

/// A message that arrived at a member's socket.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Id of the thread or channel it came under.
    pub id: &'a str,
    /// What it says.
    pub content: Content,
    /// When the hub says it was made.
    pub created_at: i64,
}

/// One conversation and everything known about its messages.
#[derive(Debug)]
pub struct Conversation {
    /// Thread or direct channel.
    pub kind: Kind,
    /// Indexes of the member bots, ascending; the position is the member's slot.
    pub members: Vec<usize>,
    id: OnceLock<String>,
    sent: Vec<AtomicU32>,
    acked: Vec<AtomicU32>,
    /// Row per receiver, column per sender.
    seen: Vec<AtomicU32>,
    digest: Vec<AtomicU64>,
    latest: Vec<AtomicI64>,
}

impl Conversation {
    /// A conversation of these members (sorted here). The id of a direct channel is learned from its first event.
    pub fn new(kind: Kind, id: Option<String>, mut members: Vec<usize>) -> Self {
        members.sort_unstable();
        let count = members.len();
        let known = OnceLock::new();
        if let Some(id) = id {
            // A fresh cell takes its first value.
            let _ = known.set(id);
        }
        Self {
            kind,
            id: known,
            sent: zeros(count),
            acked: zeros(count),
            seen: zeros(count * count),
            digest: zeros(count),
            latest: zeros(count),
            members,
        }
    }

    /// Its id, once known.
    pub fn id(&self) -> Option<&str> {
        self.id.get().map(String::as_str)
    }

    /// Place of a bot among the members.
    pub fn slot(&self, bot: usize) -> Option<usize> {
        self.members.binary_search(&bot).ok()
    }

    /// The other one of a pair.
    pub fn peer(&self, slot: usize) -> Option<usize> {
        self.members.get(1_usize.saturating_sub(slot)).copied()
    }

    /// The number of the sender's next message.
    pub fn next_sequence(&self, slot: usize) -> u32 {
        self.sent.get(slot).map_or(0, |cell| cell.fetch_add(1, Relaxed) + 1)
    }

    /// Notes an ack of one of the sender's messages.
    pub fn ack(&self, slot: usize) {
        if let Some(cell) = self.acked.get(slot) {
            cell.fetch_add(1, Relaxed);
        }
    }

    /// Messages of this sender that were acknowledged.
    pub fn acked(&self, slot: usize) -> u32 {
        read(&self.acked, slot)
    }

    /// Messages of all senders that were acknowledged.
    pub fn acked_total(&self) -> u32 {
        self.acked.iter().map(|cell| cell.load(Relaxed)).sum()
    }

    /// The last number this receiver saw of this sender.
    pub fn seen(&self, receiver: usize, sender: usize) -> u32 {
        read(&self.seen, receiver * self.members.len() + sender)
    }

    /// Checks one delivery to `receiver`'s socket.
    pub fn deliver(&self, receiver: usize, event: &Event<'_>, failures: &Failures) {
        let Event { id, content, created_at } = *event;
        let sender = usize::from(content.slot);
        let known = self.id.get_or_init(|| id.to_owned());
        let row = receiver * self.members.len();
        let (Some(cell), true) = (self.seen.get(row + sender), sender < self.members.len() && known == id) else {
            return failures.add(Failure::Misdelivered, || format!("{content:?} under id {id}, expected {known}"));
        };
        let (number, before) = (content.sequence, cell.load(Relaxed));
        if number != before + 1 {
            let failure = if number <= before { Failure::Duplicate } else { Failure::Gap };
            failures
                .add(failure, || format!("{id}: receiver {receiver} got {number} of sender {sender} after {before}"));
        }
        cell.store(number.max(before), Relaxed);
        self.note_order(receiver, &content);
        self.note_time(receiver, id, created_at, failures);
    }

    fn note_order(&self, receiver: usize, content: &Content) {
        if let Some(cell) = self.digest.get(receiver) {
            let step = (u64::from(content.slot) << 32) | u64::from(content.sequence);
            let mixed = (cell.load(Relaxed) ^ step).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
            cell.store(mixed, Relaxed);
        }
    }

    fn note_time(&self, receiver: usize, id: &str, created_at: i64, failures: &Failures) {
        if let Some(cell) = self.latest.get(receiver) {
            let before = cell.load(Relaxed);
            if created_at < before {
                failures.add(Failure::Time, || format!("{id}: {created_at} after {before}"));
            }
            cell.store(created_at.max(before), Relaxed);
        }
    }

    /// Final check: every member saw exactly what was acknowledged, all in the same order.
    fn verify(&self, failures: &Failures) {
        let mut is_complete = true;
        for receiver in 0..self.members.len() {
            for sender in 0..self.members.len() {
                let (acked, seen) = (self.acked(sender), self.seen(receiver, sender));
                if acked != seen {
                    is_complete = false;
                    failures.add(Failure::Undelivered, || {
                        format!("{:?}: receiver {receiver} saw {seen} of sender {sender}, acked {acked}", self.id())
                    });
                }
            }
        }
        let mut digests = self.digest.iter().map(|cell| cell.load(Relaxed));
        let first = digests.next();
        // Where something is missing, the orders differ anyway.
        if is_complete && digests.any(|other| Some(other) != first) {
            failures.add(Failure::Order, || format!("{:?}", self.id()));
        }
    }
}

/// Everything a scenario works on.
#[derive(Debug, Default)]
pub struct Recorder {
    /// Conversations by index.
    pub conversations: Vec<Conversation>,
    /// Threads whose status is changed concurrently.
    pub races: Vec<Race>,
    /// Artifact keys that are written concurrently.
    pub artifacts: Vec<ContendedArtifact>,
    /// Changes of requests, and who heard of them.
    pub told: Told,
    race_by_thread: HashMap<String, usize>,
}

impl Recorder {
    /// A recorder of these, which finds a race by its thread id.
    pub fn new(conversations: Vec<Conversation>, races: Vec<Race>, artifacts: Vec<ContendedArtifact>) -> Self {
        let race_by_thread = races.iter().enumerate().map(|(at, race)| (race.thread_id.clone(), at)).collect();
        Self { conversations, races, artifacts, told: Told::default(), race_by_thread }
    }

    /// The race on this thread.
    pub fn race(&self, thread_id: &str) -> Option<&Race> {
        self.races.get(*self.race_by_thread.get(thread_id)?)
    }

    /// Final checks of everything.
    pub fn verify(&self, failures: &Failures) {
        self.conversations.iter().for_each(|conversation| conversation.verify(failures));
        self.races.iter().for_each(|race| race.verify(failures));
        self.artifacts.iter().for_each(|artifact| artifact.verify(failures));
        self.told.verify(failures);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> Conversation {
        Conversation::new(Kind::Thread, Some("t".into()), vec![9, 4])
    }

    fn event(id: &str, slot: u16, sequence: u32, created_at: i64) -> Event<'_> {
        Event { id, content: Content { conversation: 0, slot, sequence, due: 0 }, created_at }
    }

    #[test]
    fn clean_traffic_has_no_failures() {
        let (conversation, failures) = (pair(), Failures::default());
        for _ in 0..2 {
            let sequence = conversation.next_sequence(0);
            conversation.ack(0);
            (0..2).for_each(|receiver| conversation.deliver(receiver, &event("t", 0, sequence, 5), &failures));
        }
        conversation.verify(&failures);
        assert_eq!(failures.lines(), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_found() {
        let (conversation, failures) = (pair(), Failures::default());
        conversation.deliver(0, &event("t", 0, 1, 5), &failures);
        conversation.deliver(0, &event("t", 0, 1, 5), &failures);
        conversation.deliver(0, &event("t", 0, 3, 4), &failures);
        conversation.deliver(0, &event("other", 0, 4, 4), &failures);
        conversation.verify(&failures);
        let lines = failures.lines();
        assert_eq!(lines.len(), 5, "{lines:#?}");
    }

    #[test]
    fn different_orders_are_found() {
        let (conversation, failures) = (pair(), Failures::default());
        conversation.ack(0);
        conversation.ack(1);
        conversation.deliver(0, &event("t", 0, 1, 5), &failures);
        conversation.deliver(0, &event("t", 1, 1, 5), &failures);
        conversation.deliver(1, &event("t", 1, 1, 5), &failures);
        conversation.deliver(1, &event("t", 0, 1, 5), &failures);
        conversation.verify(&failures);
        assert_eq!(failures.lines().len(), 1);
        assert!(failures.lines()[0].starts_with("members saw different orders"));
    }
}
