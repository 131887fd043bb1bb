//! How much waits for webhooks, and what is done when that is too much.
//!
//! What waits is estimated in memory: what the database said last and all that came since. Only when the estimate is
//! over a bound is the database asked, so a queue that is emptied costs no counting, and an estimate is never far off for
//! long. The oldest goes, down to a twentieth below the bound, so that a full queue is not trimmed for each event.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::flight::Run;
use hxa_domain::error::ApiResult;
use hxa_store::webhooks::{self, Amount};

/// Deliveries finished before those that are kept are counted.
const FORGET_AFTER: i64 = 500;

/// What waits for a bot or in an organisation, as far as is known.
#[derive(Debug)]
pub struct Backlog {
    events: AtomicI64,
    bytes: AtomicI64,
    finished: AtomicI64,
    is_trimmed: AtomicBool,
}

impl Default for Backlog {
    /// Nothing is known yet: more than any bound may wait.
    fn default() -> Self {
        Self {
            events: AtomicI64::new(i64::MAX / 2),
            bytes: AtomicI64::new(i64::MAX / 2),
            finished: AtomicI64::new(FORGET_AFTER),
            is_trimmed: AtomicBool::new(false),
        }
    }
}

impl Backlog {
    /// So much came.
    pub fn add(&self, amount: Amount) {
        self.events.fetch_add(amount.events, Ordering::Relaxed);
        self.bytes.fetch_add(amount.bytes, Ordering::Relaxed);
    }

    /// So many deliveries are finished.
    pub fn finished(&self, count: usize) {
        self.finished.fetch_add(i64::try_from(count).unwrap_or(0), Ordering::Relaxed);
    }

    fn is_over(&self, most: Amount) -> bool {
        self.events.load(Ordering::Relaxed) > most.events || self.bytes.load(Ordering::Relaxed) > most.bytes
    }

    fn set(&self, amount: Amount) {
        self.events.store(amount.events, Ordering::Relaxed);
        self.bytes.store(amount.bytes, Ordering::Relaxed);
    }

    /// Lets one of those trim who find it over its bound at once.
    fn begin(&self) -> Option<Trimming<'_>> {
        (!self.is_trimmed.swap(true, Ordering::AcqRel)).then_some(Trimming(self))
    }
}

struct Trimming<'a>(&'a Backlog);

impl Drop for Trimming<'_> {
    fn drop(&mut self) {
        self.0.is_trimmed.store(false, Ordering::Release);
    }
}

fn is_within(amount: Amount, most: Amount) -> bool {
    amount.events <= most.events && amount.bytes <= most.bytes
}

/// A twentieth less.
fn below(most: Amount) -> Amount {
    Amount { events: most.events - most.events / 20, bytes: most.bytes - most.bytes / 20 }
}

impl Run {
    /// Gives up what is too much for the bot or its organisation, and forgets what was kept for long enough.
    pub async fn relieve(&self) -> ApiResult<()> {
        let bounds = &self.hub.webhooks().bounds;
        if self.backlog.is_over(bounds.bot) {
            self.trim_bot(bounds.bot).await?;
        }
        if self.backlog.finished.load(Ordering::Relaxed) >= FORGET_AFTER {
            self.backlog.finished.store(0, Ordering::Relaxed);
            let (bot, most) = (self.bot, bounds.bot.events);
            let full = usize::try_from(hxa_store::lifecycle::BATCH).unwrap_or(usize::MAX);
            let forget = move |conn: &mut _| webhooks::forget_finished(conn, bot, most);
            while self.hub.store().write(self.key(), forget).await? >= full {}
        }
        let org = self.hub.webhooks().backlog_of_org(self.org.id);
        if org.is_over(bounds.org)
            && let Some(_trimming) = org.begin()
        {
            self.trim_org(&org, bounds.org).await?;
        }
        Ok(())
    }

    async fn trim_bot(&self, most: Amount) -> ApiResult<()> {
        let (bot, now, store) = (self.bot, self.hub.now(), self.hub.store());
        let mut waiting = store.read(move |conn| webhooks::waiting(conn, bot)).await?;
        if !is_within(waiting, most) {
            let goal = below(most);
            let dropped = store.write(self.key(), move |conn| webhooks::trim(conn, bot, goal, now)).await?;
            self.tell_dropped(dropped, "a webhook's queue was full; its oldest events are given up");
            waiting = store.read(move |conn| webhooks::waiting(conn, bot)).await?;
        }
        self.backlog.set(waiting);
        Ok(())
    }

    async fn trim_org(&self, backlog: &Backlog, most: Amount) -> ApiResult<()> {
        let (org, now, store) = (self.org.id, self.hub.now(), self.hub.store());
        let (full, goal) = ("an organisation had too much for its webhooks; the oldest is given up", below(most));
        let mut stored = store.read(move |conn| webhooks::stored(conn, org)).await?;
        if stored.events > most.events {
            let trim = move |conn: &mut _| webhooks::trim_org(conn, org, goal.events, now);
            self.tell_dropped(store.write(self.key(), trim).await?, full);
        }
        if stored.bytes > most.bytes {
            let mut excess = stored.bytes.saturating_sub(goal.bytes);
            while excess > 0 {
                let shed = move |conn: &mut _| webhooks::shed(conn, org, excess, now);
                let (gone, dropped) = store.write(self.key(), shed).await?;
                self.tell_dropped(dropped, full);
                excess = if gone > 0 { excess.saturating_sub(gone) } else { 0 };
            }
        }
        if !is_within(stored, most) {
            stored = store.read(move |conn| webhooks::stored(conn, org)).await?;
        }
        backlog.set(stored);
        Ok(())
    }

    fn tell_dropped(&self, dropped: usize, what: &str) {
        if dropped > 0 {
            self.hub.metrics().webhooks_dropped(dropped);
            log::warn!(org:% = self.org.id, bot:% = self.bot, dropped; "{what}");
        }
    }
}
