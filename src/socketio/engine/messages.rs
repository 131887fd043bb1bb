//! What a session is told by its transports and by those who send on it, and what it tells a WebSocket.

use std::sync::Weak;

use actix::{Message, Recipient};
use tokio::sync::oneshot;

use super::refusal::Refusal;
use crate::reason::CloseReason;
use crate::wire::{EnginePacket, Frame, Malformed};

/// From the sending side.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub enum Signal {
    /// There is something for a poll.
    Flush,
    /// The session ends.
    Close(CloseReason),
    /// For the connection above.
    Token(u64),
}

/// A poll, to be answered when there is something.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PollBegun {
    pub reply: oneshot::Sender<Result<Vec<Frame>, Refusal>>,
}

/// The client of a poll is gone, and with it what it was answered.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PollDropped;

/// The packets of a POST request.
#[derive(Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct Posted {
    pub packets: Result<Vec<EnginePacket>, Malformed>,
}

/// A WebSocket, as a session knows it.
#[derive(Clone)]
pub struct WebSocketRef {
    pub id: u64,
    pub hangup: Recipient<HangUp>,
    /// Cuts its connection; gone with the WebSocket, or never there.
    pub cut: Weak<Cut>,
}

/// Ends a connection whose client reads nothing more.
pub type Cut = Box<dyn Fn() + Send + Sync>;

/// A WebSocket carries the session from its beginning.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Attach(pub WebSocketRef);

/// A WebSocket was opened for a session that polls; whether it may stay.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Apply(pub WebSocketRef);

/// The WebSocket with this id wants to take over from polling; whether it may try.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Probe(pub u64);

/// The WebSocket with this id takes over; whether it may.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Upgrade(pub u64);

/// A packet of the WebSocket with this id.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Received {
    pub websocket: u64,
    pub packet: Result<EnginePacket, Malformed>,
}

/// Answered when everything before it has been handled.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Barrier;

/// The WebSocket with this id has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WebSocketGone {
    pub websocket: u64,
    pub reason: CloseReason,
}

/// The WebSocket ends, with this code.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct HangUp(pub u16);
