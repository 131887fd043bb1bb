//! The actors and what they share.
//!
//! One actor per organisation and per thread in use owns and serializes its state; sessions (in `ws`) own their socket;
//! the janitor keeps time. [`hub::Hub`] puts them together. Nothing here knows of HTTP or frames. Modules know those
//! further down this list alone:
//!
//! * [`janitor`], [`identity`], [`admission`], [`presence`]: what spans several services
//! * [`hub`]: the services of a running hub
//! * [`ws_tickets`], [`commits`], [`org`], [`thread`]: services
//! * [`feature`]: what crates above this one add
//! * [`auth`], [`webhooks`]: services that others use
//! * [`core`]: what all share, and how actors are called
//! * [`fanout`]: what sockets are told
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
pub mod presence;
pub mod thread;
pub mod webhooks;
pub mod wire;
pub mod ws_tickets;
