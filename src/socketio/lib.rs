//! Engine.IO v4 and Socket.IO v5.

mod ack;
mod bucket;
mod client;
pub mod config;
pub mod engine;
mod handler;
mod id;
pub mod reason;
mod server;
mod socket;
pub mod stats;
pub mod wire;

pub use ack::{Ack, AckError};
pub use config::Config;
pub use handler::{Accept, Auth, ConnectError, Event, Handler, Reply};
pub use reason::CloseReason;
pub use server::{Builder, SocketIo};
pub use socket::{Broadcast, EmitError, Socket};
pub use stats::Stats;
pub use wire::{Args, ToArgs};
