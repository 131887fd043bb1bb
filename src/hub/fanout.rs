//! What sockets are told: events and their log, the queue of each socket, and who hears what.

pub mod directory;
pub mod event;
pub mod flight;
pub mod outgoing;
pub mod presence;
pub mod send_queue;
pub mod waiting;
