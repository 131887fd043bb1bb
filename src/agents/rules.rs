//! The rules of agent sessions, free of any I/O; times are arguments in milliseconds.
//!
//! From the bottom up:
//!
//! * [`limits`], [`words`], [`faults`]; [`fields`] reads JSON
//! * [`names`] of namespaces, [`access_token`], [`handshake`]: who a socket belongs to; [`errors`]: what it is told;
//!   [`rooms`]
//! * [`versioned`] values, [`metadata`], [`flavors`] and [`config`]: what sessions and machines say, and how it changes
//! * [`events`] of sockets as typed drafts, [`acks`]
//! * [`liveness`]: what is active, and which agent thinks
//! * [`messages`]: their order, pages and queue; [`permissions`]; [`rpc`]: calls of agents' methods
//! * [`records`], [`create`]: sessions and machines; [`views`], [`updates`], [`stream`]: what is shown and told;
//!   [`refusals`] of the routes

pub mod access_token;
pub mod acks;
pub mod config;
pub mod create;
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
pub mod refusals;
pub mod rooms;
pub mod rpc;
pub mod stream;
pub mod updates;
pub mod versioned;
pub mod views;
pub mod words;
