//! Fan-out: the broker of events, their log, the queue of each socket, and who hears what.

pub mod broker;
pub mod directory;
pub mod event;
pub mod flight;
pub mod outgoing;
pub mod presence;
pub mod send_queue;
pub mod waiting;
