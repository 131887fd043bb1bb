//! The queues between the socket, the reader of the stream, and the callers that send operations.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::event::Event;
use super::resume::ResumePoint;
use super::socket::{Ack, Operation};
use crate::error::{ApiError, Error, Result};

/// Events that may wait for the reader before the socket is left unread.
const WAITING: usize = 1024;

/// An item for the reader, and the resume point after it.
#[derive(Debug)]
pub struct Item {
    /// The event, or why the stream ends.
    pub event: Result<Event>,
    /// The resume point after it, if it has one.
    pub point: Option<ResumePoint>,
}

/// An operation without an answer.
struct Pending {
    text: String,
    /// Whether it may be sent again: it has a key.
    repeats: bool,
    is_sent: bool,
    reply: oneshot::Sender<Result<Ack>>,
}

/// The queues.
pub struct Queues {
    items: mpsc::Sender<Item>,
    operations: mpsc::Receiver<Operation>,
    waiting: VecDeque<Item>,
    pending: BTreeMap<u64, Pending>,
}

/// What the queues need from the task that owns the socket.
pub enum Activity {
    /// The reader received an item; there is nothing to do.
    Delivered,
    /// An operation was accepted: this is its text, to be sent if there is a socket.
    Send(String),
    /// The reader was dropped.
    Gone,
}

impl Queues {
    pub fn new(items: mpsc::Sender<Item>, operations: mpsc::Receiver<Operation>) -> Self {
        Self { items, operations, waiting: VecDeque::new(), pending: BTreeMap::new() }
    }

    /// Queues an event for the reader.
    pub fn push(&mut self, event: Event, point: Option<ResumePoint>) {
        self.waiting.push_back(Item { event: Ok(event), point });
    }

    /// Whether more may be read from the socket. A pending answer is always read for, however many events precede it.
    pub fn has_room(&self, held: usize) -> bool {
        self.waiting.len().saturating_add(held) < WAITING || !self.pending.is_empty()
    }

    /// The next activity; `is_open` is whether there is a socket for operations. Cancel-safe.
    pub async fn next(&mut self, is_open: bool) -> Activity {
        let operation = tokio::select! {
            permit = self.items.reserve(), if !self.waiting.is_empty() => return match permit {
                Ok(permit) => {
                    if let Some(item) = self.waiting.pop_front() {
                        permit.send(item);
                    }
                    Activity::Delivered
                }
                Err(_) => Activity::Gone,
            },
            () = self.items.closed() => return Activity::Gone,
            Some(operation) = self.operations.recv() => operation,
        };
        Activity::Send(self.accept(operation, is_open))
    }

    /// Serves the reader while there is no socket; returns when the reader was dropped. Operations wait for the next socket.
    pub async fn serve_offline(&mut self) {
        while !matches!(self.next(false).await, Activity::Gone) {}
    }

    /// Delivers everything that is queued, and then an error.
    pub async fn finish(mut self, error: Error) {
        self.waiting.push_back(Item { event: Err(error), point: None });
        while let Some(item) = self.waiting.pop_front() {
            if self.items.send(item).await.is_err() {
                return;
            }
        }
    }

    fn accept(&mut self, operation: Operation, is_sent: bool) -> String {
        let Operation { reference, text, repeats, reply } = operation;
        self.pending.retain(|_, pending| !pending.reply.is_closed());
        self.pending.insert(reference, Pending { text: text.clone(), repeats, is_sent, reply });
        text
    }

    /// Fails the operations that were sent over the lost socket and cannot be sent again.
    pub fn lost(&mut self) {
        let (failed, kept) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(_, pending)| pending.is_sent && !pending.repeats);
        self.pending = kept;
        for pending in failed.into_values() {
            // The caller may have stopped waiting.
            drop(pending.reply.send(Err(Error::network("the socket was lost before the answer"))));
        }
    }

    /// The operations that a new socket has to send.
    pub fn unanswered(&mut self) -> Vec<String> {
        self.pending.retain(|_, pending| !pending.reply.is_closed());
        self.pending
            .values_mut()
            .map(|pending| {
                pending.is_sent = true;
                pending.text.clone()
            })
            .collect()
    }

    /// Passes an answer to the caller that waits for it; returns frames that are no answers.
    pub fn answer(&mut self, mut frame: Value) -> Option<Value> {
        let Some(reference) = frame.get("ref").and_then(Value::as_u64) else { return Some(frame) };
        let answer = match frame.get("type").and_then(Value::as_str) {
            Some("ack") => Ok(Ack {
                result: frame.get_mut("result").map(Value::take).unwrap_or_default(),
                replayed: frame.get("replayed").and_then(Value::as_bool).unwrap_or(false),
            }),
            Some("pong") => Ok(Ack { result: Value::Null, replayed: false }),
            Some("error") => Err(Error::Api(Box::new(ApiError::read(0, frame)))),
            _ => return Some(frame),
        };
        if let Some(pending) = self.pending.remove(&reference) {
            // The caller may have stopped waiting.
            drop(pending.reply.send(answer));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operation(reference: u64, repeats: bool) -> (Operation, oneshot::Receiver<Result<Ack>>) {
        let (reply, answer) = oneshot::channel();
        (Operation { reference, text: format!("op {reference}"), repeats, reply }, answer)
    }

    #[test]
    fn a_lost_socket_fails_what_may_not_be_sent_again() {
        let (items, _reader) = mpsc::channel(1);
        let (_sender, operations) = mpsc::channel(1);
        let mut queues = Queues::new(items, operations);
        let mut ask = |reference, repeats, is_sent| {
            let (operation, answer) = operation(reference, repeats);
            queues.accept(operation, is_sent);
            answer
        };
        let (mut once, mut again, mut early) = (ask(1, false, true), ask(2, true, true), ask(3, false, false));
        queues.lost();
        assert!(matches!(once.try_recv(), Ok(Err(Error::Network(_)))));
        assert!(again.try_recv().is_err() && early.try_recv().is_err());
        assert_eq!(queues.unanswered(), ["op 2", "op 3"]);
        assert_eq!(queues.answer(json!({"type": "ack", "ref": 2, "result": {"a": 1}, "replayed": true})), None);
        let ack = again.try_recv().unwrap().unwrap();
        assert_eq!((ack.result, ack.replayed), (json!({"a": 1}), true));
        assert_eq!(queues.answer(json!({"type": "error", "ref": 3, "code": "UNKNOWN_OP", "message": "?"})), None);
        assert!(early.try_recv().unwrap().unwrap_err().is_code("UNKNOWN_OP"));
        assert!(queues.answer(json!({"type": "message", "seq": 1})).is_some());
    }

    /// References are given out before the operations are queued, so a later one may arrive first.
    #[tokio::test]
    async fn without_a_socket_nothing_counts_as_sent() {
        let (items, _reader) = mpsc::channel(1);
        let (sender, operations) = mpsc::channel(2);
        let mut queues = Queues::new(items, operations);
        let ((late, mut to_late), (early, mut to_early)) = (operation(6, false), operation(5, false));
        sender.try_send(late).unwrap();
        sender.try_send(early).unwrap();
        tokio::select! {
            biased;
            () = queues.serve_offline() => panic!("the reader is there"),
            () = std::future::ready(()) => {}
        }
        queues.lost();
        assert!(to_late.try_recv().is_err() && to_early.try_recv().is_err(), "none fails with the socket");
        assert_eq!(queues.unanswered(), ["op 5", "op 6"]);
    }
}
