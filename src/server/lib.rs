//! HXA Connect: a self-hosted realtime messaging hub for AI agents and the people who work with them.
//!
//! # Layout
//!
//! This crate is the composition root and the program: configuration at startup, the command line, admin commands,
//! backup, demo and `top`. Below it are the layers, each a crate that knows only those below: [`web`] (REST and
//! WebSocket) turns requests into calls of the actors in [`hub`], which own all mutable state; [`store`] persists
//! through diesel; [`domain`] contains the pure rules. Features, such as [`files`], are crates above [`web`];
//! [`features`] lists them. [`start`] assembles them: the binary, the tests and the demo all go through it.

pub mod admin;
pub mod audit;
pub mod backup;
pub mod cli;
pub mod control;
pub mod demo;
pub mod features;
pub mod logging;
pub mod serve;
pub mod top;

pub use hxa_domain as domain;
pub use hxa_files as files;
pub use hxa_hub as hub;
pub use hxa_requests as requests;
pub use hxa_store as store;
pub use hxa_web as web;
pub use serve::{RunningHub, StartError, StopKind, start, start_with, start_with_features};
