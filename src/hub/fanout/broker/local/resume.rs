//! What a socket that resumes has missed, and may still read of it.

use std::sync::Arc;

use serde_json::json;

use super::channel::LocalChannel;
use crate::fanout::broker::ResumePoint;
use crate::fanout::event::{Audience, EventLog, LogEntry, Missed, departures};
use crate::fanout::outgoing::Outgoing;
use crate::fanout::send_queue::SendQueue;

impl LocalChannel {
    /// Queues the answer to a resume point and what the socket missed; the caller holds the log's lock.
    pub(super) fn queue_missed(&self, log: &EventLog, socket: &Arc<SendQueue>, point: &ResumePoint) {
        let heard = self.readable(socket, log.missed(&point.epoch, point.since, log.head()));
        let answer = |resumed: bool, count: usize| {
            let (epoch, seq) = (log.epoch(), log.head());
            let answer = json!({ "type": "resumed", "resumed": resumed, "epoch": epoch, "seq": seq, "count": count });
            Outgoing::new(answer.to_string())
        };
        // The answer goes first. What finds no room beside what waits for others is not claimed to be known.
        let known = heard.as_ref().map(|heard| answer(true, heard.len()));
        let frames = known.iter().chain(heard.iter().flatten().map(|entry| &entry.frame));
        let resumed = known.is_some() && socket.offer_all(frames);
        if resumed {
            socket.set_resumed();
        } else {
            socket.push(answer(false, 0));
        }
        self.metrics.resume(if resumed { "resumed" } else { "unknown" });
    }

    /// What a socket may read of what it missed: what it would have heard then and might read now. A bot that has left a
    /// thread since, or is no admin any more, gets no more than over REST. `None` when the log cannot tell.
    pub(super) fn readable(&self, socket: &SendQueue, missed: Missed) -> Option<Vec<LogEntry>> {
        let Missed::Entries(mut missed) = missed else { return None };
        let bot = socket.info.bot;
        let left = bot.map(|bot| (bot, departures(&missed, bot))).filter(|(_, left)| !left.is_empty());
        let is_admin = bot.is_none_or(|bot| self.roster.is_admin(bot));
        let directory = self.directory.read();
        missed.retain(|entry| {
            directory.is_heard_by(&entry.audience, entry.need, socket)
                && (is_admin || !matches!(entry.audience, Audience::Admins(_)))
                && !left.as_ref().is_some_and(|(bot, left)| entry.is_lost(left, *bot))
        });
        Some(missed)
    }
}
