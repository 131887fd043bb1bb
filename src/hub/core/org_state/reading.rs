//! The events that a resuming socket has missed and may still read.

use super::OrgState;
use crate::fanout::event::{Audience, EventLog, LogEntry, Missed, departures};
use crate::fanout::send_queue::SendQueue;

impl OrgState {
    /// Reads what a socket that is registered already has missed, under the log's lock.
    pub fn missed<T>(&self, epoch: &str, since: u64, read: impl FnOnce(Missed, &EventLog) -> T) -> T {
        let feed = self.feed.lock();
        read(feed.log.missed(epoch, since, feed.log.head()), &feed.log)
    }

    /// What a socket may be told of what it missed: what it would have heard then and might read now. A bot that has left
    /// a thread since, or is no admin any more, is told no more than over REST.
    #[must_use]
    pub fn readable(&self, send_queue: &SendQueue, mut missed: Vec<LogEntry>) -> Vec<LogEntry> {
        let bot = send_queue.info.bot;
        let left = bot.map(|bot| (bot, departures(&missed, bot))).filter(|(_, left)| !left.is_empty());
        let is_admin = bot.is_none_or(|bot| self.bot(bot).is_some_and(|bot| bot.is_admin()));
        let directory = self.directory.read();
        missed.retain(|entry| {
            directory.is_heard_by(&entry.audience, entry.need, send_queue)
                && (is_admin || !matches!(entry.audience, Audience::Admins(_)))
                && !left.as_ref().is_some_and(|(bot, left)| entry.is_lost(left, *bot))
        });
        missed
    }
}
