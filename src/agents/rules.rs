//! The rules of agent sessions, free of any I/O; times are arguments in milliseconds.
//!
//! From the bottom up: [`limits`] and [`words`]; [`faults`] and [`fields`], which read JSON; [`names`] of namespaces,
//! [`access_token`] and [`handshake`], which decide who a socket belongs to; [`errors`], what a socket is told.

pub mod access_token;
pub mod config;
pub mod errors;
pub mod events;
pub mod faults;
pub mod fields;
pub mod flavors;
pub mod handshake;
pub mod limits;
pub mod liveness;
pub mod messages;
pub mod metadata;
pub mod names;
pub mod permissions;
pub mod records;
pub mod rpc;
pub mod stream;
pub mod updates;
pub mod versioned;
pub mod views;
pub mod words;
