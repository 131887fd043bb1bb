//! What was asked of a few threads, what was answered, what observers heard, and what was there in the end.
//!
//! Times are nanoseconds of one monotonic clock, so that of two operations it can be said whether the first had been
//! answered before the second was asked.

use std::collections::BTreeMap;

/// Everything one run left behind.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub records: Vec<Record>,
    /// What each observer heard, in the order it was heard.
    pub observers: Vec<Vec<Seen>>,
    /// What the end of each thread looked like, read twice.
    pub ends: Vec<[End; 2]>,
    /// What a participant who never wrote is told by catching up, thread by thread.
    pub told: Vec<Told>,
}

/// One operation of one client.
#[derive(Debug, Clone)]
pub struct Record {
    pub client: usize,
    pub thread: usize,
    pub action: Action,
    pub invoked: u64,
    pub returned: u64,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A message; no two say the same.
    Say(String),
    /// A change of topic or status, perhaps based on a revision.
    Update {
        base: Option<i64>,
        status: Option<String>,
    },
    /// Another version of an artifact; no two have the same content.
    Version {
        key: String,
        content: String,
    },
    ReadMessages,
    ReadThread,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Ok(Given),
    /// The code of the refusal: it must have had no effect.
    Refused(String),
    /// No answer, or one that says that nobody knows.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    Message(String),
    Revision(i64),
    Version(i64),
    Messages(Vec<Message>),
    Thread { revision: i64, status: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: String,
    pub content: String,
    pub created_at: i64,
}

/// An event that an observer heard.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at: u64,
    /// The log that numbered it; a restarted hub begins another.
    pub epoch: String,
    pub seq: i64,
    pub thread: usize,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Message(Message),
    Thread { revision: i64, status: String },
    Version { key: String, version: i64, content: String },
}

/// A thread as it is read when nobody writes any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// In the order of the pages, oldest first.
    pub messages: Vec<Message>,
    pub revision: i64,
    pub status: String,
    /// Versions and contents by key.
    pub versions: BTreeMap<String, Vec<(i64, String)>>,
}

/// What catching up tells of a thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    pub messages: i64,
    /// The newest version of all artifacts.
    pub version: Option<(String, i64)>,
    /// Changes of status, oldest first.
    pub statuses: Vec<(String, String)>,
}

impl Record {
    /// The text of a message that was (perhaps) sent.
    pub fn said(&self) -> Option<&str> {
        match &self.action {
            Action::Say(content) => Some(content),
            _ => None,
        }
    }

    pub fn is_ok(&self) -> bool {
        matches!(self.outcome, Outcome::Ok(_))
    }

    /// The revision that an update made.
    pub fn revision(&self) -> Option<i64> {
        match (&self.action, &self.outcome) {
            (Action::Update { .. }, Outcome::Ok(Given::Revision(revision))) => Some(*revision),
            _ => None,
        }
    }

    /// Key, content and number of a version that was made.
    pub fn version(&self) -> Option<(&str, &str, i64)> {
        match (&self.action, &self.outcome) {
            (Action::Version { key, content }, Outcome::Ok(Given::Version(number))) => Some((key, content, *number)),
            _ => None,
        }
    }
}

impl History {
    pub fn of(&self, thread: usize) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.thread == thread)
    }

    /// What every observer heard of a thread, observer by observer.
    pub fn heard(&self, thread: usize) -> impl Iterator<Item = Vec<&Seen>> {
        self.observers.iter().map(move |seen| seen.iter().filter(|event| event.thread == thread).collect())
    }
}
