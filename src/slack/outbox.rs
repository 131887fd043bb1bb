//! The rules of sending messages that are kept in a database until Slack has them, without the database.
//!
//! What is to be sent about one subject is a short list of [`Entry`]s in the order in which they arose: posts, and
//! updates of these posts. [`plan`] says which of them is next, and which have become pointless; [`Policy::after`]
//! says what follows from an attempt. Whoever keeps the rows does what they say and stores the result, before the next
//! attempt: then a restart continues where it was.
//!
//! One entry of a list is sent at a time, so a post is before its updates, and updates are in order. Slack is told at
//! least once: an answer that was lost leads to a second attempt, which for a post is a second message.

use std::time::Duration;

use crate::api::{Outcome, Posted};

/// One message that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its number; later ones are greater.
    pub id: i64,
    /// What is done.
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// When it may be tried.
    pub due_at: i64,
    /// When it was put here.
    pub queued_at: i64,
    /// Attempts that failed.
    pub failures: u32,
}

/// What is done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Post,
    /// It takes the place of what another entry has posted.
    Update {
        /// The number of that entry.
        of: i64,
    },
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is to be sent.
    Waiting,
    /// Slack has it.
    Sent,
    /// It will never be sent.
    GivenUp,
}

/// What is to be done with the entries of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is sent.
    pub next: Next,
    /// Updates that nobody needs: a later one follows, or their post was given up. They can be deleted.
    pub pointless: Vec<i64>,
}

/// What is sent next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// This entry, now.
    Send(i64),
    /// Nothing before this time.
    WaitUntil(i64),
    /// Nothing any more.
    Nothing,
}

/// Says what is to be done with all the entries of one subject, in any order.
#[must_use]
pub fn plan(entries: &[Entry], now: i64) -> Plan {
    let is_waiting = |entry: &&Entry| entry.status == Status::Waiting;
    let (pointless, mut needed): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().filter(is_waiting).partition(|entry| is_pointless(entry, entries));
    needed.sort_unstable_by_key(|entry| entry.id);
    let next = match needed.first() {
        None => Next::Nothing,
        Some(first) if first.due_at > now => Next::WaitUntil(first.due_at),
        Some(first) => Next::Send(first.id),
    };
    Plan { next, pointless: pointless.into_iter().map(|entry| entry.id).collect() }
}

/// Whether nobody needs an update any more. Posts are always needed: they are what somebody is waiting for.
fn is_pointless(entry: &Entry, all: &[Entry]) -> bool {
    let Kind::Update { of } = entry.kind else { return false };
    let post = all.iter().find(|post| post.id == of && post.kind == Kind::Post && post.id < entry.id);
    let is_lost = post.is_none_or(|post| post.status == Status::GivenUp);
    is_lost || all.iter().any(|later| later.kind == entry.kind && later.id > entry.id)
}

/// How long and how often sending is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The wait after the first failure, ms; each further one is twice as long.
    pub first_ms: i64,
    /// The longest wait between attempts, ms.
    pub longest_ms: i64,
    /// Attempts that may fail; the last of them gives up.
    pub attempts: u32,
    /// Nothing is tried later than this after it was put into the outbox, ms, however often Slack asked for patience.
    pub lifetime_ms: i64,
}

impl Policy {
    /// Twelve attempts within about 18 minutes, so that a person hears of a fault of seconds within seconds; rate limits
    /// are waited for up to a day.
    pub const DEFAULT: Self =
        Self { first_ms: 1_000, longest_ms: 5 * 60 * 1_000, attempts: 12, lifetime_ms: 24 * 60 * 60 * 1_000 };

    /// The wait after so many failures, ms.
    #[must_use]
    pub fn backoff_ms(&self, failures: u32) -> i64 {
        let doubled = 2_i64.checked_pow(failures.saturating_sub(1));
        let wait = doubled.and_then(|factor| self.first_ms.checked_mul(factor)).unwrap_or(i64::MAX);
        wait.min(self.longest_ms).max(1)
    }

    /// What follows from an attempt to send an entry.
    #[must_use]
    pub fn after(&self, entry: &Entry, outcome: Outcome<Posted>, now: i64) -> After {
        match outcome {
            Outcome::Sent(posted) => After::Sent(posted),
            Outcome::Permanent { code } => After::GiveUp { code },
            Outcome::RateLimited { retry_after } => {
                let until = now.saturating_add(self.patience_ms(retry_after));
                if self.is_over(entry, until) {
                    return After::GiveUp { code: "ratelimited".to_owned() };
                }
                After::Hold { until }
            }
            Outcome::Temporary { why } => {
                let failures = entry.failures.saturating_add(1);
                let at = now.saturating_add(self.backoff_ms(failures));
                if failures >= self.attempts || self.is_over(entry, at) {
                    return After::GiveUp { code: why.code() };
                }
                After::Retry { at, failures }
            }
        }
    }

    /// What Slack asks for, and never nothing at all.
    fn patience_ms(&self, asked: Duration) -> i64 {
        i64::try_from(asked.as_millis()).unwrap_or(i64::MAX).max(self.first_ms).max(1)
    }

    const fn is_over(&self, entry: &Entry, at: i64) -> bool {
        at.saturating_sub(entry.queued_at) > self.lifetime_ms
    }
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// Slack has it, there. An update keeps the place of its post.
    Sent(Posted),
    /// It is tried again.
    Retry {
        /// When.
        at: i64,
        /// Attempts that have failed by now.
        failures: u32,
    },
    /// It is tried again at this time, and nothing else is sent with the same token before. Being asked for patience is no
    /// failure, and not counted.
    Hold {
        /// When.
        until: i64,
    },
    /// It is never tried again.
    GiveUp {
        /// Why, as a word for the audit: Slack's error code, or a [code of the last fault](crate::api::Trouble::code).
        code: String,
    },
}

#[cfg(test)]
mod tests;
