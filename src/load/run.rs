//! What all tasks of a running scenario share: the book, the statistics, the findings and the state of the load.

use hxa_store::clock::now_ms;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::book::Book;
use crate::flaws::Flaws;
use crate::setup::Bot;
use crate::stats::Stats;

/// One thing to do. Slots are positions among the members, so the acting bot follows from the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Job {
    /// Send a message over the member's socket.
    Say {
        /// Conversation.
        conversation: usize,
        /// Sender.
        slot: usize,
    },
    /// Try to move a race on.
    Move {
        /// Race.
        race: usize,
        /// Who tries.
        slot: usize,
    },
    /// Write the next version of a paper.
    Revise {
        /// Paper.
        paper: usize,
        /// Who writes.
        slot: usize,
    },
    /// Send a message through REST.
    Post {
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
}

/// What a task is told.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// Look again whether there is something to send.
    Wake,
    /// Do this; it was meant to start at this time.
    Do(Job, u64),
    /// Make sure everything sent to you has arrived, then close.
    Leave,
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
    pub book: Book,
    /// Latencies and counts.
    pub stats: Stats,
    /// Findings.
    pub flaws: Flaws,
    /// The bots by index.
    pub bots: Vec<Bot>,
    /// Bytes per message.
    pub size: usize,
    /// Closed or open.
    pub pacing: Loop,
    /// Nothing is written while it runs, so reads can be compared with the book exactly.
    pub is_static: bool,
    /// When the data in the book began, in milliseconds since the epoch.
    pub data_since: i64,
    /// Operations that may still be started; negative counts are over.
    budget: Option<AtomicI64>,
    is_sending: AtomicBool,
    open: AtomicU64,
    expected: AtomicU64,
    received: AtomicU64,
    met: AtomicU64,
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
    pub fn new(book: Book, bots: Vec<Bot>, size: usize, pacing: Loop, budget: Option<u64>) -> Self {
        Self {
            clock: Instant::now(),
            book,
            stats: Stats::new(),
            flaws: Flaws::default(),
            bots,
            size,
            pacing,
            is_static: false,
            data_since: now_ms(),
            budget: budget.map(|count| AtomicI64::new(i64::try_from(count).unwrap_or(i64::MAX))),
            is_sending: AtomicBool::new(false),
            open: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            received: AtomicU64::new(0),
            met: AtomicU64::new(0),
        }
    }

    /// Microseconds since the run began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Opens or closes the tap.
    pub fn set_sending(&self, on: bool) {
        self.is_sending.store(on, Relaxed);
    }

    /// Whether new operations may start.
    pub fn is_sending(&self) -> bool {
        self.is_sending.load(Relaxed)
    }

    /// Takes one operation from the budget; false when it is used up.
    pub fn spend(&self) -> bool {
        self.budget.as_ref().is_none_or(|left| left.fetch_sub(1, Relaxed) > 0)
    }

    /// Gives back an operation that was not started after all.
    pub fn unspend(&self) {
        if let Some(left) = &self.budget {
            left.fetch_add(1, Relaxed);
        }
    }

    /// Operations left, None without a budget.
    pub fn left(&self) -> Option<u64> {
        self.budget.as_ref().map(|left| u64::try_from(left.load(Relaxed)).unwrap_or(0))
    }

    /// An operation was started.
    pub fn began(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    /// An operation got its reply.
    pub fn ended(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    /// An ack promises this many deliveries.
    pub fn owe(&self, deliveries: usize) {
        self.expected.fetch_add(u64::try_from(deliveries).unwrap_or(0), Relaxed);
    }

    /// A delivery arrived.
    pub fn received(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    /// A bot was told that another one is online.
    pub fn meet(&self) {
        self.met.fetch_add(1, Relaxed);
    }

    /// How often that was.
    pub fn met(&self) -> u64 {
        self.met.load(Relaxed)
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
    /// Everything was answered and delivered.
    pub fn is_settled(&self) -> bool {
        self.open == 0 && self.received >= self.expected
    }
}
