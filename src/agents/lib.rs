//! Agent sessions: coding agents connect by Socket.IO, report what they do and ask for permission; people steer them from
//! a web client by REST and Server-Sent Events.
//!
//! So far the crate has the rules alone, [`rules`]: pure functions and state machines without I/O, clock or tasks. Times are
//! arguments, in milliseconds since 1970 unless a name says otherwise.

pub mod rules;
