//! What all tasks of a running scenario share: the recorder, the statistics, the failures and the state of the load.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::failures::Failures;
use crate::recorder::Recorder;
use crate::setup::{Bot, Responder};
use crate::stats::Stats;
use hxa_store::clock::now_ms;

/// One thing to do. Slots are positions among the members, so the acting bot follows from the recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Job {
    /// Send a message over the member's socket.
    SendMessage {
        /// Conversation.
        conversation: usize,
        /// Sender.
        slot: usize,
    },
    /// Try to change the status of a thread.
    UpdateStatus {
        /// Race.
        race: usize,
        /// Who tries.
        slot: usize,
    },
    /// Write the next version of a contended artifact.
    UpdateArtifact {
        /// Contended artifact.
        artifact: usize,
        /// Who writes.
        slot: usize,
    },
    /// Send a message through REST.
    PostMessage {
        /// Conversation.
        conversation: usize,
        /// Sender.
        slot: usize,
    },
    /// Read a bot's inbox.
    Inbox {
        /// Whose.
        bot: usize,
    },
    /// Walk a bot's catchup events.
    Catchup {
        /// Whose.
        bot: usize,
    },
    /// Read a bot's catchup counts.
    CatchupCount {
        /// Whose.
        bot: usize,
    },
    /// Read the newest messages of a thread.
    History {
        /// Conversation.
        conversation: usize,
        /// Who reads.
        slot: usize,
    },
    /// Ask a person, have it answered, read the answer.
    Coordinate {
        /// Whose request it is.
        bot: usize,
        /// The connection.
        lane: usize,
    },
    /// Ask a person and withdraw it, while others listen.
    Ask {
        /// Whose request it is.
        bot: usize,
        /// The connection.
        lane: usize,
    },
    /// List the open requests of the run's responder.
    Queue {
        /// The connection.
        lane: usize,
    },
}

/// A command to a worker.
#[derive(Debug, Clone, Copy)]
pub enum Command {
    /// Look again whether there is something to send.
    Wake,
    /// Start this job; it was due at this time.
    Execute(Job, u64),
    /// Make sure that everything sent to this worker has arrived, then close.
    Stop,
}

/// How operations come about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loop {
    /// Each bot keeps this many unanswered operations.
    Closed(usize),
    /// They arrive from outside.
    Open,
}

/// The shared state of one scenario.
pub struct Run {
    /// Zero of all times in this run.
    pub clock: Instant,
    /// What is acknowledged and delivered.
    pub recorder: Recorder,
    /// Latencies and counts.
    pub stats: Stats,
    /// Failures.
    pub failures: Failures,
    /// The bots by index.
    pub bots: Vec<Bot>,
    /// Bytes per message.
    pub size: usize,
    /// Closed or open.
    pub pacing: Loop,
    /// Nothing is written while it runs, so reads can be compared with the recorder exactly.
    pub is_static: bool,
    /// When the data in the recorder began, in milliseconds since the epoch.
    pub data_since: i64,
    /// Whom requests ask.
    pub responder: Responder,
    /// Operations that may still be started; negative counts are over.
    budget: Option<AtomicI64>,
    is_sending: AtomicBool,
    open: AtomicU64,
    expected: AtomicU64,
    received: AtomicU64,
    presence_seen: AtomicU64,
}

/// How far the answers and deliveries are behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Operations without a reply.
    pub open: u64,
    /// Deliveries owed for what was acknowledged.
    pub expected: u64,
    /// Deliveries so far.
    pub received: u64,
}

impl Run {
    /// A run that has not started to send.
    pub fn new(recorder: Recorder, bots: Vec<Bot>, size: usize, pacing: Loop, budget: Option<u64>) -> Self {
        Self {
            clock: Instant::now(),
            recorder,
            stats: Stats::new(),
            failures: Failures::default(),
            bots,
            size,
            pacing,
            is_static: false,
            data_since: now_ms(),
            responder: Responder::default(),
            budget: budget.map(|count| AtomicI64::new(i64::try_from(count).unwrap_or(i64::MAX))),
            is_sending: AtomicBool::new(false),
            open: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            received: AtomicU64::new(0),
            presence_seen: AtomicU64::new(0),
        }
    }

    /// Microseconds since the run began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Allows or forbids new operations.
    pub fn set_sending(&self, on: bool) {
        self.is_sending.store(on, Relaxed);
    }

    /// Whether new operations may start.
    pub fn is_sending(&self) -> bool {
        self.is_sending.load(Relaxed)
    }

    /// Takes one operation from the budget; false when it is used up.
    pub fn take_from_budget(&self) -> bool {
        self.budget.as_ref().is_none_or(|left| left.fetch_sub(1, Relaxed) > 0)
    }

    /// Gives back an operation that was not started after all.
    pub fn return_to_budget(&self) {
        if let Some(left) = &self.budget {
            left.fetch_add(1, Relaxed);
        }
    }

    /// Operations left, None without a budget.
    pub fn remaining(&self) -> Option<u64> {
        self.budget.as_ref().map(|left| u64::try_from(left.load(Relaxed)).unwrap_or(0))
    }

    /// An operation was started.
    pub fn operation_started(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    /// An operation got its reply.
    pub fn operation_finished(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    /// An ack promises this many deliveries.
    pub fn expect_deliveries(&self, deliveries: usize) {
        self.expected.fetch_add(u64::try_from(deliveries).unwrap_or(0), Relaxed);
    }

    /// A delivery arrived.
    pub fn received(&self) {
        self.received_many(1);
    }

    /// So many deliveries arrived, or were told to be lost.
    pub fn received_many(&self, count: u64) {
        self.received.fetch_add(count, Relaxed);
    }

    /// A bot received that another one is online.
    pub fn record_presence(&self) {
        self.presence_seen.fetch_add(1, Relaxed);
    }

    /// How many such events arrived.
    pub fn presence_seen(&self) -> u64 {
        self.presence_seen.load(Relaxed)
    }

    /// What is outstanding.
    pub fn backlog(&self) -> Backlog {
        Backlog {
            open: self.open.load(Relaxed),
            expected: self.expected.load(Relaxed),
            received: self.received.load(Relaxed),
        }
    }
}

impl Backlog {
    /// Deliveries that are still owed.
    pub fn undelivered(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    /// Everything was answered and delivered.
    pub fn is_drained(&self) -> bool {
        self.open == 0 && self.received >= self.expected
    }
}
