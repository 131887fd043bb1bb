//! What a run found wrong, by kind: how often and the first example. Any failure makes the exit code 1.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Kinds of failures; the text is what the reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// A message arrived a second time, or after a later one of the same sender.
    Duplicate,
    /// A message of a sender was skipped.
    Gap,
    /// Acknowledged, but not everyone online got it.
    Undelivered,
    /// Somebody got an event of a conversation they are not in, or with the wrong id.
    Misdelivered,
    /// Members of one conversation saw different orders.
    Order,
    /// `created_at` went backwards inside a conversation.
    Time,
    /// The acting socket got its ack before its own event.
    AckBeforeEvent,
    /// A revision or version with no winner or several, or a jump.
    Succession,
    /// An operation was refused that had to succeed.
    Refused,
    /// A reply that answers nothing, a frame that is not understood.
    Protocol,
    /// A socket was closed by the hub.
    Closed,
    /// No answer in time.
    Timeout,
    /// What is stored differs from what was acknowledged.
    Stored,
    /// A page, count or list that contradicts the rules.
    Read,
}

impl Failure {
    fn text(self) -> &'static str {
        match self {
            Self::Duplicate => "delivered twice or late",
            Self::Gap => "gap in delivery",
            Self::Undelivered => "acked but not delivered to everyone online",
            Self::Misdelivered => "delivered to the wrong place",
            Self::Order => "members saw different orders",
            Self::Time => "created_at went backwards",
            Self::AckBeforeEvent => "ack before its own event",
            Self::Succession => "revision or version without exactly one winner",
            Self::Refused => "operation refused",
            Self::Protocol => "protocol broken",
            Self::Closed => "socket closed by the hub",
            Self::Timeout => "no answer in time",
            Self::Stored => "stored data differs from acks",
            Self::Read => "wrong answer to a read",
        }
    }
}

/// Failures of one scenario.
#[derive(Debug, Default)]
pub struct Failures {
    found: Mutex<BTreeMap<Failure, (u64, String)>>,
}

impl Failures {
    /// Records a failure; the example is only built for the first of its kind.
    pub fn add(&self, failure: Failure, example: impl FnOnce() -> String) {
        let mut found = self.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        found.entry(failure).or_insert_with(|| (0, example())).0 += 1;
    }

    /// One line per kind.
    pub fn lines(&self) -> Vec<String> {
        let found = self.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        found
            .iter()
            .map(|(failure, (count, example))| format!("{}: {count} (first: {example})", failure.text()))
            .collect()
    }
}
