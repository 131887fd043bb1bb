//! Slack, as far as the hub speaks with it: what features that post there need, and nothing of what they say.
//!
//! No feature by itself: it has no routes, no tables and no clock. From the bottom up:
//!
//! * [`text`]: escaping and cutting text to Slack's limits
//! * [`blocks`]: messages and their blocks, which always fit
//! * [`signature`]: whether a request is Slack's, and not one that was seen before
//! * [`interaction`]: what somebody clicked, read from the body of a request
//! * [`api`]: the client of the Web API and of response URLs
//! * [`outbox`]: which message is sent next, and what follows from an outcome
//!
//! Everything but [`api`] is pure; times are arguments, in milliseconds since 1970 unless a name says otherwise.

pub mod api;
pub mod blocks;
pub mod interaction;
pub mod outbox;
pub mod signature;
pub mod text;

pub use api::{Api, Outcome, Posted, Trouble};
pub use blocks::{Block, Button, Element, Message, Style, Text};
pub use interaction::{Interaction, Unreadable};
pub use signature::{Refused, Verifier};
