//! A real server on a free port, asked by plain sockets: what the two protocols demand, limits, and faults.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests state what must hold and stop where it does not"
)]

mod applications;
mod engine;
mod faults;
mod frames;
mod http;
mod limits;
mod origins;
mod packets;
mod shared_cases;
mod socket;
mod under_test;
mod websocket;
