//! The actors and what they share.
//!
//! One actor per organisation and per thread in use owns and serializes its state; sessions (in `ws`) own their socket;
//! the janitor keeps time. [`hub::Hub`] finds them. Nothing here knows of HTTP or frames.

pub mod activity;
pub mod arbiters;
pub mod auth;
pub mod budgets;
pub mod call;
pub mod caller;
pub mod config;
pub mod directory;
pub mod event;
pub mod flight;
pub mod hub;
pub mod idempotency;
pub mod identity;
pub mod janitor;
pub mod limits;
pub mod operations;
pub mod org;
pub mod org_state;
pub mod outbox;
pub mod outgoing;
pub mod presence;
pub mod thread;
pub mod tickets;
pub mod uploads;
pub mod webhooks;
pub mod wire;
