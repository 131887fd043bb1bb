//! What waits for the client of a session: a bounded queue of frames, filled by any thread and emptied by the transport.
//!
//! The queue keeps the order of a session: frames leave in the order in which they were accepted, over whichever
//! transport the session has at the time. A WebSocket takes frames when its connection accepts bytes; a poll is answered
//! by the session, which is told that there is something. When more bytes wait than allowed, they are dropped, and the
//! session is closed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use actix::Recipient;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use parking_lot::Mutex;

use super::messages::Signal;
use super::websocket_frame::put_frame;
use crate::reason::CloseReason;
use crate::wire::Frame;

/// Bytes that a WebSocket takes at a time, unless one frame is larger.
const CHUNK: usize = 64 * 1024;

/// The sending side of a session. Clones are the same.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    sid: Arc<str>,
    client: Arc<str>,
    limit: usize,
    session: Recipient<Signal>,
    queue: Mutex<Queue>,
    /// Whether a POST request is being read.
    is_posting: AtomicBool,
}

struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    outlet: Outlet,
    state: State,
    /// Whether the session has been told that there is something for a poll.
    is_told: bool,
    /// The task of the WebSocket, if it waits.
    waker: Option<Waker>,
}

/// What is queued.
enum Item {
    Frame(Frame),
    /// A WebSocket waits a moment before it sends what follows.
    Pause,
}

/// Who takes frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outlet {
    Session,
    WebSocket(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing is accepted, because too much waited; the session is about to end it.
    Full,
    /// Nothing is accepted, but what waits still leaves, and then a close frame with this code.
    Ended(u16),
}

/// Why frames were not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The session has ended.
    #[error("the session is closed")]
    Closed,
    /// The client reads too slowly; the session is being closed.
    #[error("the outbound queue of the session is full")]
    Full,
}

/// A POST request of a session, until it is answered.
pub(super) struct Posting(Link);

impl Drop for Posting {
    fn drop(&mut self) {
        self.0.0.is_posting.store(false, Ordering::Release);
    }
}

/// What a WebSocket gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Encoded frames.
    Bytes(Bytes),
    /// What follows is to be sent a moment later.
    Pause,
    /// There will be no more; the code for the close frame.
    End(u16),
    /// The link belongs to another transport.
    Nothing,
}

impl Link {
    pub(super) fn new(sid: Arc<str>, client: Arc<str>, limit: usize, session: Recipient<Signal>) -> Self {
        let queue = Queue {
            items: VecDeque::new(),
            bytes: 0,
            outlet: Outlet::Session,
            state: State::Open,
            is_told: false,
            waker: None,
        };
        Self(Arc::new(Inner {
            sid,
            client,
            limit,
            session,
            queue: Mutex::new(queue),
            is_posting: AtomicBool::new(false),
        }))
    }

    /// The id of the session. It is a secret of its client.
    #[must_use]
    pub fn sid(&self) -> &Arc<str> {
        &self.0.sid
    }

    /// The key of the client, as the application gave it.
    #[must_use]
    pub fn client(&self) -> &Arc<str> {
        &self.0.client
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// If the session is closed, or is now because the client reads too slowly.
    pub fn send_text(&self, text: &str) -> Result<(), SendError> {
        self.send(&[Frame::Text(ByteString::from(["4", text].concat()))])
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// If the session is closed, or is now because the client reads too slowly.
    pub fn send_binary(&self, bytes: impl Into<Bytes>) -> Result<(), SendError> {
        self.send(&[Frame::Binary(bytes.into())])
    }

    /// Sends frames, with nothing in between.
    ///
    /// # Errors
    /// If the session is closed, or is now because the client reads too slowly.
    pub fn send(&self, frames: &[Frame]) -> Result<(), SendError> {
        self.push(frames, false)
    }

    /// Sends frames, after which a WebSocket waits a moment before it sends more. Some clients only begin to listen for a
    /// message when they have had the one before, and lose what arrives in the same segment.
    ///
    /// # Errors
    /// If the session is closed, or is now because the client reads too slowly.
    pub fn send_and_pause(&self, frames: &[Frame]) -> Result<(), SendError> {
        self.push(frames, true)
    }

    fn push(&self, frames: &[Frame], is_paused: bool) -> Result<(), SendError> {
        let cost = frames.iter().map(Frame::cost).sum::<usize>();
        let mut queue = self.0.queue.lock();
        if queue.state != State::Open {
            return Err(SendError::Closed);
        }
        if queue.bytes.saturating_add(cost) > self.0.limit {
            queue.clear();
            queue.state = State::Full;
            drop(queue);
            self.0.session.do_send(Signal::Close(CloseReason::QueueFull));
            return Err(SendError::Full);
        }
        queue.bytes += cost;
        queue.items.extend(frames.iter().cloned().map(Item::Frame));
        if is_paused {
            queue.items.push_back(Item::Pause);
        }
        let is_told = queue.is_told;
        match queue.outlet {
            Outlet::WebSocket(_) => {
                let waker = queue.waker.take();
                drop(queue);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Outlet::Session if !is_told => {
                queue.is_told = true;
                drop(queue);
                self.0.session.do_send(Signal::Flush);
            }
            Outlet::Session => {}
        }
        Ok(())
    }

    /// Closes the session; what was sent before still leaves where a transport is ready for it.
    pub fn close(&self, reason: CloseReason) {
        self.0.session.do_send(Signal::Close(reason));
    }

    /// Calls [`Connection::on_signal`](super::Connection::on_signal) in the session's order.
    pub fn signal(&self, token: u64) {
        self.0.session.do_send(Signal::Token(token));
    }

    /// What a poll is answered with: at least one frame if there is any, else at most `most` bytes.
    pub(super) fn take(&self, most: usize) -> Vec<Frame> {
        let mut queue = self.0.queue.lock();
        queue.is_told = false;
        let (mut taken, mut size) = (Vec::new(), 0_usize);
        while let Some(item) = queue.items.front() {
            size = size.saturating_add(item.cost());
            if size > most && !taken.is_empty() {
                break;
            }
            if let Some(Item::Frame(frame)) = queue.pop() {
                taken.push(frame);
            }
        }
        taken
    }

    /// Begins a POST request, unless another one is being read.
    pub(super) fn begin_post(&self) -> Option<Posting> {
        let is_free = !self.0.is_posting.swap(true, Ordering::AcqRel);
        is_free.then(|| Posting(self.clone()))
    }

    /// From now on this WebSocket takes the frames.
    pub(super) fn attach(&self, websocket: u64) {
        self.0.queue.lock().outlet = Outlet::WebSocket(websocket);
    }

    /// Ends the link, with this code on a WebSocket. What waits is dropped unless it may still leave.
    pub(super) fn end(&self, close_code: u16, may_leave: bool) {
        let mut queue = self.0.queue.lock();
        queue.state = State::Ended(close_code);
        if !may_leave {
            queue.clear();
        }
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What the WebSocket sends next.
    pub(super) fn poll_take(&self, websocket: u64, context: &Context<'_>) -> Poll<Taken> {
        let mut queue = self.0.queue.lock();
        if queue.outlet != Outlet::WebSocket(websocket) {
            return Poll::Ready(Taken::Nothing);
        }
        let mut chunk = BytesMut::new();
        while chunk.len() < CHUNK {
            match queue.pop() {
                Some(Item::Frame(frame)) => put_frame(&mut chunk, &frame),
                // At the end of a chunk it is found again, as the first of the next one.
                Some(Item::Pause) if chunk.is_empty() => return Poll::Ready(Taken::Pause),
                Some(Item::Pause) => {
                    queue.items.push_front(Item::Pause);
                    break;
                }
                None => break,
            }
        }
        if !chunk.is_empty() {
            return Poll::Ready(Taken::Bytes(chunk.freeze()));
        }
        if let State::Ended(code) = queue.state {
            return Poll::Ready(Taken::End(code));
        }
        queue.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Item {
    fn cost(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.cost(),
            Self::Pause => 0,
        }
    }
}

impl Queue {
    fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes = self.bytes.saturating_sub(item.cost());
        if self.items.is_empty() && self.items.capacity() > 64 {
            // A burst does not stay in memory.
            self.items = VecDeque::new();
        }
        Some(item)
    }

    fn clear(&mut self) {
        self.items = VecDeque::new();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests;
