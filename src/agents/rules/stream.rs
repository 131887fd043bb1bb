//! The event stream of web clients: its events, who gets which, and what a stream that comes back has missed.

pub mod event;
pub mod filter;
pub mod ring;
pub mod tickets;

pub use event::{Body, Cancelled, frame, json_of};
pub use filter::{Filter, StreamQuery, Topic};
pub use ring::{EventId, Resumed, Ring, RingEvent};
pub use tickets::Tickets;
