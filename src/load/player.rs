//! A bot with its socket: one task that sends operations and checks everything that arrives.
//!
//! One turn handles all frames that are in the buffer, then sends what may be sent, then waits. So acks, events and
//! new operations are handled in batches when the hub is fast, and the generator stays cheap.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::book::{Event, Kind};
use crate::content::Content;
use crate::contest::{Paper, Race};
use crate::error::Result;
use crate::flaws::Flaw;
use crate::inbound::{Body, Inbound, Outcome};
use crate::run::{Job, Loop, Order, Run};
use crate::socket::{Frame, Wire};
use crate::stats::Timed;

/// A bot's socket task.
pub struct Player {
    wire: Wire,
    desk: Desk,
    orders: UnboundedReceiver<Order>,
}

/// Everything of a player but its socket.
struct Desk {
    run: Arc<Run>,
    bot: usize,
    /// What a closed loop cycles through.
    jobs: Vec<Job>,
    next: usize,
    pending: Pending,
    text: String,
    is_leaving: bool,
    is_gone: bool,
}

/// An operation that waits for its reply.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    job: Job,
    due: u64,
    /// Sequence number of a message, expected revision of a change.
    number: u32,
}

/// Operations by ref, which counts up; replies may come in any order.
#[derive(Default)]
struct Pending {
    queue: VecDeque<Option<Waiting>>,
    /// The ref of the queue's front.
    first: u32,
    open: usize,
}

impl Pending {
    fn push(&mut self, waiting: Waiting) -> u32 {
        let reference = self.first.wrapping_add(u32::try_from(self.queue.len()).unwrap_or(0));
        self.queue.push_back(Some(waiting));
        self.open += 1;
        reference
    }

    fn take(&mut self, reference: u32) -> Option<Waiting> {
        let at = usize::try_from(reference.wrapping_sub(self.first)).ok()?;
        let waiting = self.queue.get_mut(at)?.take()?;
        self.open -= 1;
        while let Some(None) = self.queue.front() {
            self.queue.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        Some(waiting)
    }
}

impl Player {
    /// A player that waits for orders.
    pub fn new(run: Arc<Run>, bot: usize, jobs: Vec<Job>, wire: Wire, orders: UnboundedReceiver<Order>) -> Self {
        let desk = Desk {
            run,
            bot,
            jobs,
            next: 0,
            pending: Pending { first: 1, ..Pending::default() },
            text: String::with_capacity(512),
            is_leaving: false,
            is_gone: false,
        };
        Self { wire, desk, orders }
    }

    /// Plays until told to leave or the socket ends; a broken socket is a finding.
    pub async fn play(mut self) {
        if let Err(why) = self.turns().await {
            self.desk.run.flaws.add(Flaw::Closed, || format!("bot {}: {why}", self.desk.bot));
        }
    }

    async fn turns(&mut self) -> Result<()> {
        loop {
            self.take_frames()?;
            while let Ok(order) = self.orders.try_recv() {
                self.desk.obey(order, &mut self.wire);
            }
            if self.desk.is_gone {
                self.wire.queue_close();
                return self.wire.flush().await;
            }
            self.desk.send_more(&mut self.wire);
            tokio::select! {
                biased;
                is_open = self.wire.fill() => if !is_open? {
                    return Err(crate::error::LoadError::protocol("connection closed without a close frame"));
                },
                Some(order) = self.orders.recv() => self.desk.obey(order, &mut self.wire),
            }
        }
    }

    fn take_frames(&mut self) -> Result<()> {
        let now = self.desk.run.now();
        while let Some(frame) = self.wire.frame()? {
            match frame {
                Frame::Text(bytes) => self.desk.take(bytes, now),
                Frame::Control => {}
                Frame::Close(code, reason) => {
                    let text = format!("close frame {code} {reason:?}");
                    return Err(crate::error::LoadError::Protocol(text));
                }
            }
        }
        Ok(())
    }
}

impl Desk {
    fn obey(&mut self, order: Order, wire: &mut Wire) {
        match order {
            Order::Wake => {}
            // The pacer has counted it as begun.
            Order::Do(job, due) => {
                if !self.start(job, due, wire) {
                    self.run.ended();
                }
            }
            Order::Leave => {
                self.is_leaving = true;
                wire.queue(r#"{"type":"ping"}"#);
            }
        }
    }

    /// Fills the window of a closed loop.
    fn send_more(&mut self, wire: &mut Wire) {
        let Loop::Closed(window) = self.run.pacing else { return };
        while self.pending.open < window && self.run.is_sending() && !self.is_leaving {
            if !self.run.spend() {
                return;
            }
            let now = self.run.now();
            if !(0..self.jobs.len()).any(|_| self.start_next(now, wire)) {
                self.run.unspend();
                return;
            }
        }
    }

    fn start_next(&mut self, now: u64, wire: &mut Wire) -> bool {
        let Some(job) = self.jobs.get(self.next).copied() else { return false };
        self.next = (self.next + 1) % self.jobs.len();
        let is_started = self.start(job, now, wire);
        if is_started {
            self.run.began();
        }
        is_started
    }

    /// Sends one operation; false if there is nothing to do for it now.
    fn start(&mut self, job: Job, due: u64, wire: &mut Wire) -> bool {
        let Some(number) = self.number_for(job) else { return false };
        let reference = self.pending.push(Waiting { job, due, number });
        self.text.clear();
        self.compose(job, due, number, reference);
        wire.queue(&self.text);
        true
    }

    fn number_for(&self, job: Job) -> Option<u32> {
        let book = &self.run.book;
        match job {
            Job::Say { conversation, slot } => Some(book.conversations.get(conversation)?.next_sequence(slot)),
            Job::Move { race, slot } if self.run.pacing == Loop::Open => Some(book.races.get(race)?.known(slot)),
            Job::Move { race, slot } => book.races.get(race)?.attempt(slot),
            Job::Revise { .. } => Some(0),
            // Reads and posts are the clerks' work.
            _ => None,
        }
    }

    fn compose(&mut self, job: Job, due: u64, number: u32, reference: u32) {
        let (book, text) = (&self.run.book, &mut self.text);
        // Writing to a String cannot fail.
        let _ = match job {
            Job::Say { conversation, slot } => {
                let Some(talk) = book.conversations.get(conversation) else { return };
                let peer = talk.peer(slot).and_then(|bot| self.run.bots.get(bot)).map_or("", |bot| &bot.id);
                let _ = match talk.kind {
                    Kind::Thread => {
                        let id = talk.id().unwrap_or_default();
                        write!(
                            text,
                            r#"{{"type":"send_thread_message","ref":"{reference}","thread_id":"{id}","content":""#
                        )
                    }
                    Kind::Direct => {
                        write!(text, r#"{{"type":"send_dm","ref":"{reference}","to":"{peer}","content":""#)
                    }
                };
                content(conversation, slot, number, due).write(text, self.run.size);
                text.write_str(r#""}"#)
            }
            Job::Move { race, .. } => {
                let id = book.races.get(race).map_or("", |race| &race.thread_id);
                let status = Race::status_after(number);
                write!(
                    text,
                    r#"{{"type":"thread_update","ref":"{reference}","thread_id":"{id}","status":"{status}","expected_revision":{number}}}"#
                )
            }
            Job::Revise { paper, .. } => {
                let Some(paper) = book.papers.get(paper) else { return };
                let (id, key) = (&paper.thread_id, &paper.key);
                write!(
                    text,
                    r#"{{"type":"artifact_update","ref":"{reference}","thread_id":"{id}","artifact_key":"{key}","content":"by {} at {due}"}}"#,
                    self.bot
                )
            }
            _ => Ok(()),
        };
    }

    /// Reads one frame.
    fn take(&mut self, bytes: &[u8], now: u64) {
        let inbound: Inbound<'_> = match serde_json::from_slice(bytes) {
            Ok(inbound) => inbound,
            Err(why) => {
                let text =
                    || format!("{why} in {}", String::from_utf8_lossy(bytes).chars().take(300).collect::<String>());
                return self.run.flaws.add(Flaw::Protocol, text);
            }
        };
        match inbound.kind {
            "thread_message" | "message" => self.take_message(&inbound, now),
            "ack" => self.take_ack(&inbound, now),
            "error" => self.take_error(&inbound, now),
            "thread_updated" => self.take_update(&inbound),
            "thread_artifact" => self.take_artifact(&inbound),
            "bot_online" => self.run.meet(),
            "pong" => self.is_gone = self.is_leaving,
            _ => {}
        }
    }

    fn take_message(&self, inbound: &Inbound<'_>, now: u64) {
        let flaws = &self.run.flaws;
        let Some(Body::Delivered(message)) = &inbound.message else {
            return flaws.add(Flaw::Protocol, || "an event without its message".into());
        };
        let Some(content) = Content::parse(&message.content) else {
            return flaws.add(Flaw::Misdelivered, || format!("not of this run: {:?}", message.content));
        };
        let at = usize::try_from(content.conversation).unwrap_or(usize::MAX);
        let talk = self.run.book.conversations.get(at);
        let Some((talk, slot)) = talk.and_then(|talk| Some((talk, talk.slot(self.bot)?))) else {
            return flaws.add(Flaw::Misdelivered, || format!("bot {} is not in {content:?}", self.bot));
        };
        let id = inbound.thread_id.or(inbound.channel_id).unwrap_or_default();
        talk.deliver(slot, &Event { id, content, created_at: message.created_at }, flaws);
        self.run.received();
        self.run.stats.record(Timed::Delivery, now.saturating_sub(content.due));
    }

    fn take_ack(&mut self, inbound: &Inbound<'_>, now: u64) {
        let Some(waiting) = self.answered(inbound) else { return };
        let run = &self.run;
        let elapsed = now.saturating_sub(waiting.due);
        let nothing = Outcome { message_id: None, revision: None, version: None };
        let outcome = inbound.result.as_ref().unwrap_or(&nothing);
        match waiting.job {
            Job::Say { conversation, slot } => {
                let Some(talk) = run.book.conversations.get(conversation) else { return };
                if outcome.message_id.is_none() {
                    run.flaws.add(Flaw::Protocol, || "an ack without message_id".into());
                }
                if talk.seen(slot, slot) < waiting.number {
                    run.flaws.add(Flaw::AckBeforeEvent, || format!("{:?}: message {}", talk.id(), waiting.number));
                }
                talk.ack(slot);
                run.owe(talk.members.len());
                let timed = if talk.kind == Kind::Thread { Timed::Thread } else { Timed::Direct };
                run.stats.record(timed, elapsed);
            }
            Job::Move { race, .. } => {
                let Some(race) = run.book.races.get(race) else { return };
                race.win(waiting.number, outcome.revision, &run.flaws);
                run.owe(race.members.len());
                run.stats.record(Timed::Transition, elapsed);
            }
            Job::Revise { paper, .. } => {
                let Some(paper) = run.book.papers.get(paper) else { return };
                paper.give(outcome.version.unwrap_or(0), &run.flaws);
                run.owe(paper.members.len());
                run.stats.record(Timed::Artifact, elapsed);
            }
            _ => {}
        }
    }

    /// A refusal is only fine for a status change that lost: the revision moved on, or (checked first by some hubs)
    /// the status that was asked for is already there.
    fn take_error(&mut self, inbound: &Inbound<'_>, now: u64) {
        let Some(waiting) = self.answered(inbound) else { return };
        let has_lost = matches!(inbound.code, None | Some("REVISION_CONFLICT" | "INVALID_TRANSITION"));
        if matches!(waiting.job, Job::Move { .. }) && has_lost {
            return self.run.stats.record(Timed::Conflict, now.saturating_sub(waiting.due));
        }
        let text = || format!("{:?}: {:?} {}", waiting.job, inbound.code, inbound.error_text());
        self.run.flaws.add(Flaw::Refused, text);
    }

    fn answered(&mut self, inbound: &Inbound<'_>) -> Option<Waiting> {
        let waiting = inbound.reference.and_then(|text| self.pending.take(text.parse().ok()?));
        match waiting {
            Some(_) => self.run.ended(),
            None => {
                let text =
                    || format!("{} {:?} answers nothing: {}", inbound.kind, inbound.reference, inbound.error_text());
                self.run.flaws.add(Flaw::Protocol, text);
            }
        }
        waiting
    }

    fn take_update(&self, inbound: &Inbound<'_>) {
        let Some(thread) = &inbound.thread else {
            return self.run.flaws.add(Flaw::Protocol, || "thread_updated without its thread".into());
        };
        let race = self.run.book.race(thread.id);
        let Some((race, slot)) = race.and_then(|race| Some((race, race.members.binary_search(&self.bot).ok()?))) else {
            return self.run.flaws.add(Flaw::Misdelivered, || format!("bot {} is not in {}", self.bot, thread.id));
        };
        race.see(slot, thread.revision, thread.status, &self.run.flaws);
        self.run.received();
        self.run.stats.delivered();
    }

    fn take_artifact(&self, inbound: &Inbound<'_>) {
        let Some(artifact) = &inbound.artifact else {
            return self.run.flaws.add(Flaw::Protocol, || "thread_artifact without its artifact".into());
        };
        let paper = Paper::index(artifact.artifact_key).and_then(|at| self.run.book.papers.get(at));
        let paper = paper.filter(|paper| inbound.thread_id == Some(&paper.thread_id));
        let Some((paper, slot)) = paper.and_then(|paper| Some((paper, paper.members.binary_search(&self.bot).ok()?)))
        else {
            return self.run.flaws.add(Flaw::Misdelivered, || format!("bot {}: {artifact:?}", self.bot));
        };
        paper.see(slot, artifact.version, &self.run.flaws);
        self.run.received();
        self.run.stats.delivered();
    }
}

/// The content of a message of this conversation.
pub fn content(conversation: usize, slot: usize, sequence: u32, due: u64) -> Content {
    let conversation = u32::try_from(conversation).unwrap_or(u32::MAX);
    Content { conversation, slot: u16::try_from(slot).unwrap_or(u16::MAX), sequence, due }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_in_any_order_answer_once() {
        let mut pending = Pending { first: 1, ..Pending::default() };
        let waiting = |due| Waiting { job: Job::Inbox { bot: 0 }, due, number: 0 };
        let refs: Vec<u32> = (0..3).map(|due| pending.push(waiting(due))).collect();
        assert_eq!(refs, [1, 2, 3]);
        assert_eq!(pending.take(2).map(|one| one.due), Some(1));
        assert!(pending.take(2).is_none());
        assert_eq!(pending.take(1).map(|one| one.due), Some(0));
        assert!(pending.take(1).is_none());
        assert_eq!(pending.push(waiting(9)), 4);
        assert_eq!((pending.take(3).is_some(), pending.take(4).is_some(), pending.open), (true, true, 0));
    }
}
