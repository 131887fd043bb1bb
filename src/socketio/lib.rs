//! An Engine.IO v4 and Socket.IO v5 server for [actix-web](actix_web) 4, which clients of the npm package
//! `socket.io-client` 4 and others of that protocol connect to: by HTTP polling, by WebSocket, and from one to the other.
//!
//! ```no_run
//! use actix_web::{App, HttpServer};
//! use hxa_socketio::{Accept, Auth, CloseReason, Config, ConnectError, Event, Handler, Socket, SocketIo};
//!
//! struct Chat;
//!
//! impl Handler for Chat {
//!     fn connect(&self, socket: &Socket, auth: &Auth) -> Result<Accept, ConnectError> {
//!         match auth.value()["name"].as_str() {
//!             Some(name) => socket.set_state(name.to_owned()),
//!             None => return Err(ConnectError::new("A name is missing")),
//!         }
//!         socket.join("lobby");
//!         Ok(Accept::new())
//!     }
//!
//!     fn event(&self, socket: &Socket, event: Event) {
//!         let name = socket.state::<String>();
//!         if event.name == "say" {
//!             // Clients that are gone, or too slow, are closed; nobody else is affected.
//!             let _ = socket.to("lobby").emit("said", &(name, event.args.value(0)));
//!         }
//!         if let Some(ack) = event.ack {
//!             let _ = ack.send(&"ok");
//!         }
//!     }
//!
//!     fn disconnect(&self, socket: &Socket, reason: CloseReason) {
//!         println!("{:?} has left: {reason}", socket.state::<String>());
//!     }
//! }
//!
//! #[actix_web::main]
//! async fn main() -> std::io::Result<()> {
//!     let io = SocketIo::builder(Config::default()).namespace("/chat", Chat).build();
//!     let served = io.clone();
//!     let server = HttpServer::new(move || {
//!         let io = served.clone();
//!         App::new().configure(move |service| io.routes(service))
//!     });
//!     // Without this, a poll whose client is gone is not noticed before the next heartbeat.
//!     let server = server.h1_allow_half_closed(false).bind(("localhost", 3000))?.run();
//!     // Any thread may send.
//!     std::thread::spawn(move || io.of("/chat").to("lobby").emit("said", &("server", "good morning")));
//!     server.await
//! }
//! ```
//!
//! # Order
//!
//! A session is one actor: its packets are handled one after the other, and a [`Handler`] is called in that order. What
//! is sent to a session arrives in the order in which it was sent, over whichever transport the session has at the time;
//! what one thread sends to several sessions arrives at each of them in that order. A handler that needs time hands its
//! work to an actor or a task, from which [`Reply`] and [`Socket`] can be used.
//!
//! # Limits
//!
//! Every size and rate that a client chooses is bounded by [`Config`]. A client that breaks a rule of the protocol, or
//! exceeds a size, loses its session and nothing else happens. One that does not read has its session closed when
//! [`Config::queued_bytes`] wait for it. Events beyond the rate are answered by [`Handler::limited`] instead of being
//! processed, because clients do not reconnect by themselves when they are refused, and some wait for an
//! acknowledgement for ever. For the same reason overload and shutdown never refuse a namespace: they close the
//! connection or answer an HTTP status, after which clients try again.
//!
//! # Faults
//!
//! A panic of a handler ends the session in which it happened. [`Stats`] tells how many sessions, sockets and
//! connections there are and why sessions have ended.
//!
//! # Connections
//!
//! Three things are the HTTP server's to decide. `h1_allow_half_closed(false)` lets it notice that the client of a poll is
//! gone. `tcp_nodelay(true)` sends small events at once. And a connection whose client neither reads nor closes it can only
//! be ended by cutting it: see [`Builder::cutter`].
//!
//! # What is not there
//!
//! Engine.IO 3 and older, WebTransport, compression, and the recovery of a lost session's state. One process knows only
//! its own sockets; polling behind a load balancer needs sticky sessions.
//!
//! # Layers
//!
//! * [`wire`]: both protocols as bytes, without input and output
//! * [`engine`]: sessions and transports, for applications that want bare Engine.IO as well
//! * the rest: namespaces, rooms, events and acknowledgements

#![deny(missing_docs)]

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
