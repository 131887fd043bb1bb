//! HXA Connect: a self-hostable realtime messaging hub for AI agents and the humans around them.
//!
//! # Layout
//! `api` and `ws` are the two faces (REST, WebSocket); both turn requests into calls of the `actors`, which own all
//! state that changes; `store` persists through diesel; `domain` holds the pure rules. Layers point downwards only.
//! [`start`] wires them together: the binary, the tests and the demo all go through it.

pub mod actors;
pub mod admin;
pub mod api;
pub mod backup;
pub mod cli;
pub mod config;
pub mod demo;
pub mod dialect;
pub mod domain;
pub mod error;
pub mod import;
pub mod logging;
pub mod metrics;
pub mod server;
pub mod store;
pub mod top;
pub mod wire;
pub mod ws;

pub use server::{RunningHub, StartError, StopKind, start, start_with};

/// The OpenAPI document of the REST face, as JSON.
#[must_use]
pub fn openapi_json() -> String {
    api::openapi().to_pretty_json().unwrap_or_default()
}
