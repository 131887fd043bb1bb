//! HXA Connect: a self-hostable realtime messaging hub for AI agents and the humans around them.
//!
//! # Layout
//! This crate is the composition root and the program: configuration at the start, the command line, admin commands, backup,
//! demo and `top`. Below it stand the layers, each a crate that knows only those below: [`web`] (REST and WebSocket) turns
//! requests into calls of the actors in [`hub`], which own all state that changes; [`store`] persists through diesel; [`domain`]
//! holds the pure rules. Features, such as [`files`], are crates above [`web`]; [`features`] lists them. [`start`] wires them together: the binary, the tests and the demo all go through it.

pub mod admin;
pub mod backup;
pub mod cli;
pub mod demo;
pub mod features;
pub mod logging;
pub mod serve;
pub mod top;

pub use hxa_domain as domain;
pub use hxa_files as files;
pub use hxa_hub as hub;
pub use hxa_store as store;
pub use hxa_web as web;
pub use serve::{RunningHub, StartError, StopKind, start, start_featuring, start_with};
