//! Sockets: the connections of sessions to namespaces, as applications see them.

mod broadcast;
mod rooms;
mod space;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use crate::ack::{Ack, AckError, AckTable};
use crate::engine::{Link, SendError};
use crate::id::fresh_id;
use crate::reason::CloseReason;
use crate::stats::count;
use crate::wire::packet::{encode_ack, encode_event};
use crate::wire::{Args, Frame, Packet, ToArgs};
pub use broadcast::Broadcast;
pub(crate) use space::Space;

/// Why an event was not sent.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// The socket is disconnected.
    #[error("the socket is disconnected")]
    Disconnected,
    /// The client reads too slowly; its session is being closed.
    #[error("the outbound queue of the session is full")]
    Full,
    /// The arguments have no JSON form.
    #[error("the arguments cannot be serialized: {0}")]
    Json(#[from] serde_json::Error),
    /// There is no namespace of that name.
    #[error("there is no such namespace")]
    UnknownNamespace,
}

impl From<SendError> for EmitError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed => Self::Disconnected,
            SendError::Full => Self::Full,
        }
    }
}

/// The connection of a session to a namespace. Clones are the same socket; it may be used by any thread.
///
/// What is sent in [`Handler::connect`](crate::Handler::connect) reaches the client after the answer to its connection.
#[derive(Clone)]
pub struct Socket(Arc<Inner>);

struct Inner {
    id: Arc<str>,
    /// Tells the sockets of one session from each other.
    number: u64,
    link: Link,
    space: Arc<Space>,
    phase: Mutex<Phase>,
    acks: Arc<AckTable>,
    state: OnceLock<Box<dyn Any + Send + Sync>>,
}

enum Phase {
    /// The application has not decided; what it sends waits.
    Connecting {
        waiting: Vec<Frame>,
        is_disconnected: bool,
    },
    Open,
    Closed,
}

impl Socket {
    pub(crate) fn new(number: u64, link: Link, space: Arc<Space>) -> Self {
        Self(Arc::new(Inner {
            id: fresh_id().into(),
            number,
            link,
            space,
            phase: Mutex::new(Phase::Connecting { waiting: Vec::new(), is_disconnected: false }),
            acks: Arc::default(),
            state: OnceLock::new(),
        }))
    }

    /// The id of the socket, which its client knows as well.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.0.id
    }

    /// The name of the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.0.space.name
    }

    /// The key of the client, as [`Builder::client_key`](crate::Builder::client_key) gave it.
    #[must_use]
    pub fn client(&self) -> &Arc<str> {
        self.0.link.client()
    }

    /// Whether the application has accepted the socket, and it has not ended.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(*self.0.phase.lock(), Phase::Open)
    }

    /// Keeps what the application knows of this socket; only the first call does.
    pub fn set_state<T: Any + Send + Sync>(&self, state: T) {
        let _ = self.0.state.set(Box::new(state));
    }

    /// What [`set_state`](Self::set_state) has kept, if it is of that type.
    #[must_use]
    pub fn state<T: Any>(&self) -> Option<&T> {
        self.0.state.get()?.downcast_ref()
    }

    /// Sends an event.
    ///
    /// # Errors
    /// If the arguments do not serialize, or the socket is disconnected, or is now because its client reads too slowly.
    pub fn emit(&self, event: &str, args: &(impl ToArgs + ?Sized)) -> Result<(), EmitError> {
        self.send(&encode_event(self.namespace(), None, event, &args.to_args()?))?;
        count(&self.0.space.counters.events_out);
        Ok(())
    }

    /// Sends an event and waits for the client's acknowledgement; at most for this time, and no longer than the socket
    /// is connected.
    pub fn emit_with_ack(&self, event: &str, args: &(impl ToArgs + ?Sized), timeout: Duration) -> Ack {
        let args = match args.to_args() {
            Ok(args) => args,
            Err(error) => return Ack::failed(error.into()),
        };
        let space = &self.0.space;
        let ack = self.0.acks.expect(space.pending_acks, timeout, &space.counters);
        let Some(id) = ack.id() else { return ack };
        match self.send(&encode_event(self.namespace(), Some(id), event, &args)) {
            Ok(()) => {
                count(&space.counters.events_out);
                ack
            }
            Err(SendError::Full) => Ack::failed(AckError::Full),
            Err(SendError::Closed) => Ack::failed(AckError::Disconnected),
        }
    }

    /// Enters a room. A socket that has ended enters none.
    pub fn join(&self, room: &str) {
        self.0.space.rooms.write().join(&self.0.id, room);
    }

    /// Leaves a room.
    pub fn leave(&self, room: &str) {
        self.0.space.rooms.write().leave(&self.0.id, room);
    }

    /// The rooms that it is in.
    #[must_use]
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.0.space.rooms.read().of(&self.0.id)
    }

    /// Whether it is in a room.
    #[must_use]
    pub fn is_in(&self, room: &str) -> bool {
        self.0.space.rooms.read().is_in(&self.0.id, room)
    }

    /// The others in a room.
    pub fn to(&self, room: &str) -> Broadcast {
        self.broadcast().to(room)
    }

    /// The others in the namespace.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(Some(self.0.space.clone())).except(&self.0.id)
    }

    /// Disconnects the socket. The client is told and does not reconnect by itself; its session goes on.
    pub fn disconnect(&self) {
        let mut phase = self.0.phase.lock();
        match &mut *phase {
            Phase::Connecting { is_disconnected, .. } => *is_disconnected = true,
            Phase::Open => {
                *phase = Phase::Closed;
                // If it does not reach the client, the session is being closed.
                let _ = self.0.link.send(&self.farewell());
                drop(phase);
                self.0.link.signal(self.0.number);
            }
            Phase::Closed => {}
        }
    }

    /// Closes the whole session, with all its sockets. The client takes it as a lost connection and reconnects.
    pub fn close(&self) {
        self.0.link.close(CloseReason::ServerClose);
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    pub(crate) fn acks(&self) -> &AckTable {
        &self.0.acks
    }

    pub(crate) fn space(&self) -> &Space {
        &self.0.space
    }

    pub(crate) fn send_ack(&self, id: u64, args: &Args) -> Result<(), SendError> {
        self.send(&encode_ack(self.namespace(), id, args))
    }

    /// Sends frames of this socket, or keeps them until it is open.
    pub(crate) fn send(&self, frames: &[Frame]) -> Result<(), SendError> {
        match &mut *self.0.phase.lock() {
            Phase::Connecting { waiting, .. } => {
                waiting.extend(frames.iter().cloned());
                Ok(())
            }
            Phase::Open => self.0.link.send(frames),
            Phase::Closed => Err(SendError::Closed),
        }
    }

    /// Answers the connection with this JSON object, and sends what has waited.
    pub(crate) fn open(&self, answer: String) {
        let mut phase = self.0.phase.lock();
        let Phase::Connecting { waiting, is_disconnected } = &mut *phase else { return };
        let connected = Packet::Connect(self.namespace().into(), Some(answer.into())).encode();
        let (mut frames, is_disconnected) = (std::mem::take(waiting), *is_disconnected);
        if is_disconnected {
            frames.extend(self.farewell());
        }
        *phase = if is_disconnected { Phase::Closed } else { Phase::Open };
        // If it does not reach the client, the session is being closed.
        let _ = self.0.link.send_and_pause(&connected);
        if !frames.is_empty() {
            let _ = self.0.link.send(&frames);
        }
        drop(phase);
        if is_disconnected {
            self.0.link.signal(self.0.number);
        }
    }

    /// Ends the socket: it leaves its rooms and sends nothing more. Whether the application had accepted it.
    pub(crate) fn end(&self) -> bool {
        let phase = std::mem::replace(&mut *self.0.phase.lock(), Phase::Closed);
        self.0.space.rooms.write().remove(&self.0.id);
        self.0.acks.close();
        !matches!(phase, Phase::Connecting { .. })
    }

    fn farewell(&self) -> Vec<Frame> {
        Packet::Disconnect(self.namespace().into()).encode()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Socket").field("id", &self.0.id).field("namespace", &self.namespace()).finish()
    }
}
