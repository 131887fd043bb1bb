//! The actors and what they share.
//!
//! One actor per active organisation and thread owns and serializes its state; sessions (in `ws`) own their socket; the
//! janitor does the time-driven work. [`hub::Hub`] assembles them. Nothing here knows of HTTP or frames. Modules know
//! only those further down this list:
//!
//! * [`janitor`], [`identity`], [`admission`], [`presence`]: operations that span several services
//! * [`hub`]: the services of a running hub
//! * [`ws_tickets`], [`commits`], [`org`], [`thread`]: services
//! * [`feature`]: what crates above this one add
//! * [`outcome`]: what an operation led to, committed and published
//! * [`auth`], [`webhooks`]: services that others use
//! * [`core`]: what all share, and how actors are called
//! * [`fanout`]: the broker of events, and the sockets they reach
//! * [`config`], [`wire`]: settings, and the objects of the protocol

pub mod admission;
pub mod auth;
pub mod commits;
pub mod config;
pub mod core;
pub mod fanout;
pub mod feature;
pub mod hub;
pub mod identity;
pub mod janitor;
pub mod org;
pub mod outcome;
pub mod presence;
pub mod thread;
pub mod webhooks;
pub mod wire;
pub mod ws_tickets;
