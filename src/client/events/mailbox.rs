//! What waits between the socket, the stream's reader and those who send operations.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::event::Event;
use super::resume::ResumePoint;
use super::socket::{Ack, Operation};
use crate::error::{ApiError, Error, Result};

/// Events that may wait for the reader before the socket is left unread.
const WAITING: usize = 1024;

/// Something for the reader, and the place behind it.
#[derive(Debug)]
pub struct Item {
    /// What it is.
    pub event: Result<Event>,
    /// The place behind it, if it has one.
    pub point: Option<ResumePoint>,
}

/// An operation that was not answered yet.
struct Pending {
    text: String,
    /// Whether it may be sent again: it has a key.
    repeats: bool,
    is_sent: bool,
    reply: oneshot::Sender<Result<Ack>>,
}

/// The queues.
pub struct Mailbox {
    items: mpsc::Sender<Item>,
    operations: mpsc::Receiver<Operation>,
    waiting: VecDeque<Item>,
    pending: BTreeMap<u64, Pending>,
}

/// What there is to do for the socket.
pub enum Stir {
    /// The reader took something.
    Delivered,
    /// An operation is to be sent.
    Send(String),
    /// The reader is gone.
    Gone,
}

impl Mailbox {
    pub fn new(items: mpsc::Sender<Item>, operations: mpsc::Receiver<Operation>) -> Self {
        Self { items, operations, waiting: VecDeque::new(), pending: BTreeMap::new() }
    }

    /// Queues something for the reader.
    pub fn push(&mut self, event: Event, point: Option<ResumePoint>) {
        self.waiting.push_back(Item { event: Ok(event), point });
    }

    /// Whether more may be read from the socket. Whoever waits for an answer must get it, however much comes before it.
    pub fn has_room(&self, held: usize) -> bool {
        self.waiting.len().saturating_add(held) < WAITING || !self.pending.is_empty()
    }

    /// The next thing that stirs. Nothing is lost when the future is dropped.
    pub async fn stir(&mut self) -> Stir {
        let operation = tokio::select! {
            permit = self.items.reserve(), if !self.waiting.is_empty() => return match permit {
                Ok(permit) => {
                    if let Some(item) = self.waiting.pop_front() {
                        permit.send(item);
                    }
                    Stir::Delivered
                }
                Err(_) => Stir::Gone,
            },
            () = self.items.closed() => return Stir::Gone,
            Some(operation) = self.operations.recv() => operation,
        };
        Stir::Send(self.accept(operation))
    }

    /// Serves the reader while there is no socket; returns when the reader is gone. Operations wait for the next socket.
    pub async fn attend(&mut self) {
        loop {
            match self.stir().await {
                Stir::Gone => return,
                // It stands among those that are pending.
                Stir::Send(_) => self.unsend_last(),
                Stir::Delivered => {}
            }
        }
    }

    /// Hands everything that waits, and then an error, to the reader.
    pub async fn finish(mut self, error: Error) {
        self.waiting.push_back(Item { event: Err(error), point: None });
        while let Some(item) = self.waiting.pop_front() {
            if self.items.send(item).await.is_err() {
                return;
            }
        }
    }

    fn accept(&mut self, operation: Operation) -> String {
        let Operation { reference, text, repeats, reply } = operation;
        self.pending.retain(|_, pending| !pending.reply.is_closed());
        self.pending.insert(reference, Pending { text: text.clone(), repeats, is_sent: true, reply });
        text
    }

    fn unsend_last(&mut self) {
        if let Some(mut last) = self.pending.last_entry() {
            last.get_mut().is_sent = false;
        }
    }

    /// The socket is lost: what it was sent and cannot be sent again fails.
    pub fn lost(&mut self) {
        let (failed, kept) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(_, pending)| pending.is_sent && !pending.repeats);
        self.pending = kept;
        for pending in failed.into_values() {
            // Who has stopped waiting does not mind.
            drop(pending.reply.send(Err(Error::network("the socket was lost before the answer"))));
        }
    }

    /// Everything that a new socket has to send.
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

    /// Hands an answer to who waits for it; frames that are none come back.
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
            // Who has stopped waiting does not mind.
            drop(pending.reply.send(answer));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lost_socket_fails_what_may_not_be_sent_again() {
        let (items, _reader) = mpsc::channel(1);
        let (_sender, operations) = mpsc::channel(1);
        let mut mailbox = Mailbox::new(items, operations);
        let mut ask = |reference, repeats| {
            let (reply, answer) = oneshot::channel();
            let text = format!("op {reference}");
            (mailbox.accept(Operation { reference, text, repeats, reply }), answer)
        };
        let ((_, mut once), (_, mut again), (_, mut early)) = (ask(1, false), ask(2, true), ask(3, false));
        mailbox.unsend_last();
        mailbox.lost();
        assert!(matches!(once.try_recv(), Ok(Err(Error::Network(_)))));
        assert!(again.try_recv().is_err() && early.try_recv().is_err());
        assert_eq!(mailbox.unanswered(), ["op 2", "op 3"]);
        assert_eq!(mailbox.answer(json!({"type": "ack", "ref": 2, "result": {"a": 1}, "replayed": true})), None);
        let ack = again.try_recv().unwrap().unwrap();
        assert_eq!((ack.result, ack.replayed), (json!({"a": 1}), true));
        assert_eq!(mailbox.answer(json!({"type": "error", "ref": 3, "code": "UNKNOWN_OP", "message": "?"})), None);
        assert!(early.try_recv().unwrap().unwrap_err().is_code("UNKNOWN_OP"));
        assert!(mailbox.answer(json!({"type": "message", "seq": 1})).is_some());
    }
}
