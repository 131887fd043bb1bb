//! What the sockets of one namespace share.

use std::sync::Arc;

use bytestring::ByteString;
use parking_lot::RwLock;

use super::Socket;
use super::rooms::Rooms;
use crate::stats::Counters;

pub(crate) struct Space {
    pub name: ByteString,
    pub rooms: RwLock<Rooms<Socket>>,
    pub pending_acks: usize,
    pub counters: Arc<Counters>,
}

impl Space {
    pub fn new(name: ByteString, pending_acks: usize, counters: Arc<Counters>) -> Self {
        Self { name, rooms: RwLock::default(), pending_acks, counters }
    }

    /// Admits a socket, unless there are `most`.
    pub fn admit(&self, socket: &Socket, most: usize) -> bool {
        let mut rooms = self.rooms.write();
        if rooms.len() >= most {
            return false;
        }
        rooms.add(socket.id().clone(), socket.clone());
        true
    }
}
