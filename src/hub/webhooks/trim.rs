//! Trimming a webhook backlog that is too large: the oldest events are dropped, down to a twentieth below the bound, so
//! that a full queue is not trimmed for each event.

use super::backlog::Backlog;
use super::flight::Run;
use hxa_domain::error::ApiResult;
use hxa_store::webhooks::{self, Amount};

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
        let bounds = &self.webhooks.bounds;
        if self.backlog.is_over(bounds.bot) {
            self.trim_bot(bounds.bot).await?;
        }
        if self.backlog.is_to_forget() {
            let (bot, most) = (self.bot, bounds.bot.events);
            let forget = move |conn: &mut _| webhooks::forget_finished(conn, bot, most);
            self.webhooks.core.store().delete_in_batches(self.key(), forget).await?;
        }
        let org = self.webhooks.backlog_of_org(self.org.id);
        // Again for those who found it over its bound meanwhile, and left it to this one.
        while org.is_over(bounds.org)
            && let Some(_trimming) = org.begin()
            && self.trim_org(&org, bounds.org).await?
        {}
        Ok(())
    }

    async fn trim_bot(&self, most: Amount) -> ApiResult<()> {
        let (bot, now, store) = (self.bot, self.webhooks.core.now(), self.webhooks.core.store());
        let mut asked_at = self.backlog.estimate();
        let mut waiting = store.read(move |conn| webhooks::waiting(conn, bot)).await?;
        if !is_within(waiting, most) {
            let goal = below(most);
            let dropped = store.write(self.key(), move |conn| webhooks::trim(conn, bot, goal, now)).await?;
            self.tell_dropped(dropped, "a webhook's queue is full; its oldest events are dropped");
            asked_at = self.backlog.estimate();
            waiting = store.read(move |conn| webhooks::waiting(conn, bot)).await?;
        }
        self.backlog.correct(asked_at, waiting);
        Ok(())
    }

    /// Whether what is left is within the bound.
    async fn trim_org(&self, backlog: &Backlog, most: Amount) -> ApiResult<bool> {
        let (org, now, store) = (self.org.id, self.webhooks.core.now(), self.webhooks.core.store());
        let (full, goal) = ("an organisation's webhook queues are full; their oldest events are dropped", below(most));
        let mut asked_at = backlog.estimate();
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
            asked_at = backlog.estimate();
            stored = store.read(move |conn| webhooks::stored(conn, org)).await?;
        }
        backlog.correct(asked_at, stored);
        Ok(is_within(stored, most))
    }

    fn tell_dropped(&self, dropped: usize, what: &str) {
        if dropped > 0 {
            self.webhooks.core.metrics().webhooks_dropped(dropped);
            log::warn!(org:% = self.org.id, bot:% = self.bot, dropped; "{what}");
        }
    }
}
