//! A bot with its socket: one task that sends operations and checks everything that arrives.
//!
//! One iteration handles all frames that are in the buffer, then sends what may be sent, then waits. So acks, events and
//! new operations are handled in batches when the hub is fast, and the generator stays cheap.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::content::Content;
use crate::contention::{ContendedArtifact, Race};
use crate::error::Result;
use crate::failures::Failure;
use crate::inbound::{AckResult, Body, Inbound};
use crate::recorder::{Event, Kind};
use crate::run::{Command, Job, Loop, Run};
use crate::socket::{Frame, Socket};
use crate::stats::Timed;

/// A bot's socket task.
pub struct SocketWorker {
    socket: Socket,
    state: State,
    commands: UnboundedReceiver<Command>,
}

/// Everything of a worker but its socket.
struct State {
    run: Arc<Run>,
    bot: usize,
    /// What a closed loop cycles through.
    jobs: Vec<Job>,
    next: usize,
    pending: Pending,
    text: String,
    is_stopping: bool,
    is_drained: bool,
}

/// An operation that waits for its reply.
#[derive(Debug, Clone, Copy)]
struct PendingOperation {
    job: Job,
    due: u64,
    /// Sequence number of a message, expected revision of a change.
    number: u32,
}

/// Operations by ref, which counts up; replies may come in any order.
#[derive(Default)]
struct Pending {
    queue: VecDeque<Option<PendingOperation>>,
    /// The ref of the queue's front.
    first: u32,
    open: usize,
}

impl Pending {
    fn push(&mut self, operation: PendingOperation) -> u32 {
        let reference = self.first.wrapping_add(u32::try_from(self.queue.len()).unwrap_or(0));
        self.queue.push_back(Some(operation));
        self.open += 1;
        reference
    }

    fn take(&mut self, reference: u32) -> Option<PendingOperation> {
        let at = usize::try_from(reference.wrapping_sub(self.first)).ok()?;
        let operation = self.queue.get_mut(at)?.take()?;
        self.open -= 1;
        while let Some(None) = self.queue.front() {
            self.queue.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        Some(operation)
    }
}

impl SocketWorker {
    /// A worker that waits for commands.
    pub fn new(
        run: Arc<Run>,
        bot: usize,
        jobs: Vec<Job>,
        socket: Socket,
        commands: UnboundedReceiver<Command>,
    ) -> Self {
        let state = State {
            run,
            bot,
            jobs,
            next: 0,
            pending: Pending { first: 1, ..Pending::default() },
            text: String::with_capacity(512),
            is_stopping: false,
            is_drained: false,
        };
        Self { socket, state, commands }
    }

    /// Runs until it is told to stop or the socket ends; a broken socket is a failure.
    pub async fn run(mut self) {
        if let Err(why) = self.run_loop().await {
            self.state.run.failures.add(Failure::Closed, || format!("bot {}: {why}", self.state.bot));
        }
    }

    async fn run_loop(&mut self) -> Result<()> {
        loop {
            self.read_frames()?;
            while let Ok(command) = self.commands.try_recv() {
                self.state.handle_command(command, &mut self.socket);
            }
            if self.state.is_drained {
                self.socket.queue_close();
                return self.socket.flush().await;
            }
            self.state.send_more(&mut self.socket);
            tokio::select! {
                biased;
                is_open = self.socket.fill() => if !is_open? {
                    return Err(crate::error::LoadError::protocol("connection closed without a close frame"));
                },
                Some(command) = self.commands.recv() => self.state.handle_command(command, &mut self.socket),
            }
        }
    }

    fn read_frames(&mut self) -> Result<()> {
        let now = self.state.run.now();
        while let Some(frame) = self.socket.frame()? {
            match frame {
                Frame::Text(bytes) => self.state.handle_frame(bytes, now),
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

impl State {
    fn handle_command(&mut self, command: Command, socket: &mut Socket) {
        match command {
            Command::Wake => {}
            // The pacer has counted it as begun.
            Command::Execute(job, due) => {
                if !self.start(job, due, socket) {
                    self.run.operation_finished();
                }
            }
            Command::Stop => {
                self.is_stopping = true;
                socket.queue(r#"{"type":"ping"}"#);
            }
        }
    }

    /// Fills the window of a closed loop.
    fn send_more(&mut self, socket: &mut Socket) {
        let Loop::Closed(window) = self.run.pacing else { return };
        while self.pending.open < window && self.run.is_sending() && !self.is_stopping {
            if !self.run.take_from_budget() {
                return;
            }
            let now = self.run.now();
            if !(0..self.jobs.len()).any(|_| self.start_next(now, socket)) {
                self.run.return_to_budget();
                return;
            }
        }
    }

    fn start_next(&mut self, now: u64, socket: &mut Socket) -> bool {
        let Some(job) = self.jobs.get(self.next).copied() else { return false };
        self.next = (self.next + 1) % self.jobs.len();
        let is_started = self.start(job, now, socket);
        if is_started {
            self.run.operation_started();
        }
        is_started
    }

    /// Sends one operation; false if there is nothing to do for it now.
    fn start(&mut self, job: Job, due: u64, socket: &mut Socket) -> bool {
        let Some(number) = self.number_for(job) else { return false };
        let reference = self.pending.push(PendingOperation { job, due, number });
        self.text.clear();
        self.compose(job, due, number, reference);
        socket.queue(&self.text);
        true
    }

    fn number_for(&self, job: Job) -> Option<u32> {
        let recorder = &self.run.recorder;
        match job {
            Job::SendMessage { conversation, slot } => {
                Some(recorder.conversations.get(conversation)?.next_sequence(slot))
            }
            Job::UpdateStatus { race, slot } if self.run.pacing == Loop::Open => {
                Some(recorder.races.get(race)?.known(slot))
            }
            Job::UpdateStatus { race, slot } => recorder.races.get(race)?.attempt(slot),
            Job::UpdateArtifact { .. } => Some(0),
            // Reads and posts are the work of the REST workers.
            _ => None,
        }
    }

    fn compose(&mut self, job: Job, due: u64, number: u32, reference: u32) {
        let (recorder, text) = (&self.run.recorder, &mut self.text);
        // Writing to a String cannot fail.
        let _ = match job {
            Job::SendMessage { conversation: index, slot } => {
                let Some(conversation) = recorder.conversations.get(index) else { return };
                let peer = conversation.peer(slot).and_then(|bot| self.run.bots.get(bot)).map_or("", |bot| &bot.id);
                let _ = match conversation.kind {
                    Kind::Thread => {
                        let id = conversation.id().unwrap_or_default();
                        write!(
                            text,
                            r#"{{"type":"send_thread_message","ref":"{reference}","thread_id":"{id}","content":""#
                        )
                    }
                    Kind::Direct => {
                        write!(text, r#"{{"type":"send_dm","ref":"{reference}","to":"{peer}","content":""#)
                    }
                };
                Content::new(index, slot, number, due).write(text, self.run.size);
                text.write_str(r#""}"#)
            }
            Job::UpdateStatus { race, .. } => {
                let id = recorder.races.get(race).map_or("", |race| &race.thread_id);
                let status = Race::status_after(number);
                write!(
                    text,
                    r#"{{"type":"thread_update","ref":"{reference}","thread_id":"{id}","status":"{status}","expected_revision":{number}}}"#
                )
            }
            Job::UpdateArtifact { artifact, .. } => {
                let Some(artifact) = recorder.artifacts.get(artifact) else { return };
                let (id, key) = (&artifact.thread_id, &artifact.key);
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
    fn handle_frame(&mut self, bytes: &[u8], now: u64) {
        let inbound: Inbound<'_> = match serde_json::from_slice(bytes) {
            Ok(inbound) => inbound,
            Err(why) => {
                let text =
                    || format!("{why} in {}", String::from_utf8_lossy(bytes).chars().take(300).collect::<String>());
                return self.run.failures.add(Failure::Protocol, text);
            }
        };
        match inbound.kind {
            "thread_message" | "message" => self.handle_message(&inbound, now),
            "ack" => self.handle_ack(&inbound, now),
            "error" => self.handle_error(&inbound, now),
            "thread_updated" => self.handle_update(&inbound),
            "thread_artifact" => self.handle_artifact(&inbound),
            "bot_online" => self.run.record_presence(),
            "pong" => self.is_drained = self.is_stopping,
            _ => {}
        }
    }

    fn handle_message(&self, inbound: &Inbound<'_>, now: u64) {
        let failures = &self.run.failures;
        let Some(Body::Delivered(message)) = &inbound.message else {
            return failures.add(Failure::Protocol, || "an event without its message".into());
        };
        let Some(content) = Content::parse(&message.content) else {
            return failures.add(Failure::Misdelivered, || format!("not of this run: {:?}", message.content));
        };
        let at = usize::try_from(content.conversation).unwrap_or(usize::MAX);
        let conversation = self.run.recorder.conversations.get(at);
        let Some((conversation, slot)) =
            conversation.and_then(|conversation| Some((conversation, conversation.slot(self.bot)?)))
        else {
            return failures.add(Failure::Misdelivered, || format!("bot {} is not in {content:?}", self.bot));
        };
        let id = inbound.thread_id.or(inbound.channel_id).unwrap_or_default();
        conversation.deliver(slot, &Event { id, content, created_at: message.created_at }, failures);
        self.run.received();
        self.run.stats.record(Timed::Delivery, now.saturating_sub(content.due));
    }

    fn handle_ack(&mut self, inbound: &Inbound<'_>, now: u64) {
        let Some(operation) = self.take_pending(inbound) else { return };
        let run = &self.run;
        let elapsed = now.saturating_sub(operation.due);
        let empty = AckResult { message_id: None, revision: None, version: None };
        let result = inbound.result.as_ref().unwrap_or(&empty);
        match operation.job {
            Job::SendMessage { conversation: index, slot } => {
                let Some(conversation) = run.recorder.conversations.get(index) else { return };
                if result.message_id.is_none() {
                    run.failures.add(Failure::Protocol, || "an ack without message_id".into());
                }
                if conversation.seen(slot, slot) < operation.number {
                    run.failures.add(Failure::AckBeforeEvent, || {
                        format!("{:?}: message {}", conversation.id(), operation.number)
                    });
                }
                conversation.ack(slot);
                run.expect_deliveries(conversation.members.len());
                let timed = if conversation.kind == Kind::Thread { Timed::Thread } else { Timed::Direct };
                run.stats.record(timed, elapsed);
            }
            Job::UpdateStatus { race, .. } => {
                let Some(race) = run.recorder.races.get(race) else { return };
                race.record_ack(operation.number, result.revision, &run.failures);
                run.expect_deliveries(race.members.len());
                run.stats.record(Timed::Transition, elapsed);
            }
            Job::UpdateArtifact { artifact, .. } => {
                let Some(artifact) = run.recorder.artifacts.get(artifact) else { return };
                artifact.record_ack(result.version.unwrap_or(0), &run.failures);
                run.expect_deliveries(artifact.members.len());
                run.stats.record(Timed::Artifact, elapsed);
            }
            _ => {}
        }
    }

    /// A refusal is only fine for a status change that lost: the revision moved on, or (checked first by some hubs)
    /// the status that was asked for is already there.
    fn handle_error(&mut self, inbound: &Inbound<'_>, now: u64) {
        let Some(operation) = self.take_pending(inbound) else { return };
        let has_lost = matches!(inbound.code, None | Some("REVISION_CONFLICT" | "INVALID_TRANSITION"));
        if matches!(operation.job, Job::UpdateStatus { .. }) && has_lost {
            return self.run.stats.record(Timed::Conflict, now.saturating_sub(operation.due));
        }
        let text = || format!("{:?}: {:?} {}", operation.job, inbound.code, inbound.error_text());
        self.run.failures.add(Failure::Refused, text);
    }

    fn take_pending(&mut self, inbound: &Inbound<'_>) -> Option<PendingOperation> {
        let operation = inbound.reference.and_then(|text| self.pending.take(text.parse().ok()?));
        match operation {
            Some(_) => self.run.operation_finished(),
            None => {
                let text =
                    || format!("{} {:?} answers nothing: {}", inbound.kind, inbound.reference, inbound.error_text());
                self.run.failures.add(Failure::Protocol, text);
            }
        }
        operation
    }

    fn handle_update(&self, inbound: &Inbound<'_>) {
        let Some(thread) = &inbound.thread else {
            return self.run.failures.add(Failure::Protocol, || "thread_updated without its thread".into());
        };
        let race = self.run.recorder.race(thread.id);
        let Some((race, slot)) = race.and_then(|race| Some((race, race.members.binary_search(&self.bot).ok()?))) else {
            return self
                .run
                .failures
                .add(Failure::Misdelivered, || format!("bot {} is not in {}", self.bot, thread.id));
        };
        race.record_event(slot, thread.revision, thread.status, &self.run.failures);
        self.run.received();
        self.run.stats.delivered(1);
    }

    fn handle_artifact(&self, inbound: &Inbound<'_>) {
        let Some(artifact) = &inbound.artifact else {
            return self.run.failures.add(Failure::Protocol, || "thread_artifact without its artifact".into());
        };
        let contended =
            ContendedArtifact::index(artifact.artifact_key).and_then(|at| self.run.recorder.artifacts.get(at));
        let contended = contended.filter(|contended| inbound.thread_id == Some(&contended.thread_id));
        let Some((contended, slot)) =
            contended.and_then(|contended| Some((contended, contended.members.binary_search(&self.bot).ok()?)))
        else {
            return self.run.failures.add(Failure::Misdelivered, || format!("bot {}: {artifact:?}", self.bot));
        };
        contended.record_event(slot, artifact.version, &self.run.failures);
        self.run.received();
        self.run.stats.delivered(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_in_any_order_answer_once() {
        let mut pending = Pending { first: 1, ..Pending::default() };
        let operation = |due| PendingOperation { job: Job::Inbox { bot: 0 }, due, number: 0 };
        let refs: Vec<u32> = (0..3).map(|due| pending.push(operation(due))).collect();
        assert_eq!(refs, [1, 2, 3]);
        assert_eq!(pending.take(2).map(|one| one.due), Some(1));
        assert!(pending.take(2).is_none());
        assert_eq!(pending.take(1).map(|one| one.due), Some(0));
        assert!(pending.take(1).is_none());
        assert_eq!(pending.push(operation(9)), 4);
        assert_eq!((pending.take(3).is_some(), pending.take(4).is_some(), pending.open), (true, true, 0));
    }
}
