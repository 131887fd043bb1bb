//! Event delivery to sockets: events and their log, the send queue of each socket, and the recipients of each event.

pub mod directory;
pub mod event;
pub mod flight;
pub mod outgoing;
pub mod presence;
pub mod send_queue;
pub mod waiting;
