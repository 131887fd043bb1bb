//! Events to several sockets: encoded once, and shared by all who receive them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{EmitError, Socket, Space};
use crate::wire::ToArgs;
use crate::wire::packet::encode_event;

/// Some sockets of a namespace: all, those in rooms, without those that are excluded.
#[derive(Clone)]
#[must_use = "nothing is sent before `emit`"]
pub struct Broadcast {
    space: Option<Arc<Space>>,
    rooms: Vec<String>,
    except: Vec<String>,
}

impl Broadcast {
    pub(crate) fn new(space: Option<Arc<Space>>) -> Self {
        Self { space, rooms: Vec::new(), except: Vec::new() }
    }

    /// Only the sockets in this room, or in another one that is named. The id of a socket is a room of its own.
    pub fn to(mut self, room: &str) -> Self {
        self.rooms.push(room.to_owned());
        self
    }

    /// Without the sockets in this room, or the one with this id.
    pub fn except(mut self, room: &str) -> Self {
        self.except.push(room.to_owned());
        self
    }

    /// Sends an event, and says how many sockets it was sent to. A socket that reads too slowly is closed and does not
    /// count; the others are not affected.
    ///
    /// # Errors
    /// If the arguments do not serialize, or there is no such namespace.
    pub fn emit(&self, event: &str, args: &(impl ToArgs + ?Sized)) -> Result<usize, EmitError> {
        let space = self.space.as_ref().ok_or(EmitError::UnknownNamespace)?;
        let frames = encode_event(&space.name, None, event, &args.to_args()?);
        let mut reached = 0_usize;
        space.rooms.read().for_each(&self.rooms, &self.except, |socket| {
            reached += usize::from(socket.send(&frames).is_ok());
        });
        space.counters.events_out.fetch_add(u64::try_from(reached).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(reached)
    }

    /// The sockets that an event would be sent to.
    #[must_use]
    pub fn sockets(&self) -> Vec<Socket> {
        let mut sockets = Vec::new();
        if let Some(space) = &self.space {
            space.rooms.read().for_each(&self.rooms, &self.except, |socket| sockets.push(socket.clone()));
        }
        sockets
    }

    /// The socket with this id.
    #[must_use]
    pub fn socket(&self, id: &str) -> Option<Socket> {
        self.space.as_ref()?.rooms.read().get(id).cloned()
    }
}
