//! The WebSocket transport of the hub: handshake, frames, and the session actor of each socket.
//!
//! A frame becomes the same actor call as the REST route of that name; only shape, scope and rate are decided here.
//! [`socket`] is the only file that uses the WebSocket crate.

pub mod connection;
pub mod decoder;
pub mod frame;
pub mod handshake;
mod inbound;
mod sending;
pub mod socket;

use utoipa::openapi::{RefOr, Schema};

/// The schemas of the frames that clients send, each under its name in the document.
#[must_use]
pub fn schemas() -> Vec<(String, RefOr<Schema>)> {
    hxa_domain::operation::schemas()
}
