//! The WebSocket transport of the hub: handshake, frames, and the session actor behind each socket.
//!
//! A frame becomes the same actor call as the REST route of that name; nothing is decided here but shape, scope and
//! rate. [`socket`] is the only file that touches the WebSocket crate.

pub mod connection;
pub mod decoder;
pub mod frame;
pub mod handshake;
mod inbound;
mod sending;
pub mod socket;
