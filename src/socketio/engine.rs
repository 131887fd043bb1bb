//! An Engine.IO v4 server: sessions over HTTP polling and WebSocket, without a meaning of their messages.
//!
//! [`Acceptor`] makes a [`Connection`] for each session; [`crate::SocketIo`] is one, and an application that wants bare
//! sessions implements both itself.
//!
//! Each session is an actor on the thread of its handshake. A WebSocket is another actor, perhaps on another thread; polls
//! and POST requests are handlers that talk to the session. What is sent waits in a [`Link`].

mod admission;
mod link;
mod messages;
mod refusal;
mod routes;
mod session;
mod websocket;
mod websocket_frame;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use actix::Addr;
use actix_web::{HttpRequest, web};
use bytes::Bytes;
use bytestring::ByteString;
use parking_lot::RwLock;

use crate::config::Config;
use crate::reason::CloseReason;
use crate::stats::{Counters, Stats};
use admission::Admission;
pub use link::{Link, SendError};
pub use messages::Cut;
use messages::Signal;
use session::Session;

/// A message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(ByteString),
    /// Bytes.
    Binary(Bytes),
}

/// Makes a [`Connection`] for each session.
pub trait Acceptor: Send + Sync + 'static {
    /// A session has been opened; `link` sends to its client.
    fn accept(&self, link: Link) -> Box<dyn Connection>;
}

/// What a session's messages mean. It lives on the session's thread; its methods are called one after the other.
///
/// If a method panics, the session is closed and nothing else happens.
pub trait Connection: 'static {
    /// The session has begun.
    fn on_open(&mut self) {}

    /// A message has come.
    ///
    /// # Errors
    /// If the session must be closed.
    fn on_message(&mut self, message: Message) -> Result<(), CloseReason>;

    /// [`Link::signal`] was called.
    ///
    /// # Errors
    /// If the session must be closed.
    fn on_signal(&mut self, _token: u64) -> Result<(), CloseReason> {
        Ok(())
    }

    /// Whether the session may stay after [`Config::connect_timeout`].
    fn is_ready(&self) -> bool {
        true
    }

    /// The session has ended.
    fn on_close(&mut self, _reason: CloseReason) {}
}

type ClientKey = Box<dyn Fn(&HttpRequest) -> String + Send + Sync>;
type Origin = Box<dyn Fn(&HttpRequest, &str) -> bool + Send + Sync>;
type Cutter = Box<dyn Fn(&HttpRequest) -> Option<Cut> + Send + Sync>;

/// What an application decides about requests.
pub struct Hooks {
    client_key: ClientKey,
    origin: Origin,
    cutter: Cutter,
}

impl Default for Hooks {
    /// Clients are their peer's address, origins must be that of the request, and connections are not cut.
    fn default() -> Self {
        Self { client_key: Box::new(peer_address), origin: Box::new(is_same_origin), cutter: Box::new(|_| None) }
    }
}

impl Hooks {
    /// Who a client is, for the limits of each.
    #[must_use]
    pub fn client_key(mut self, key: impl Fn(&HttpRequest) -> String + Send + Sync + 'static) -> Self {
        self.client_key = Box::new(key);
        self
    }

    /// Whether a request with this `Origin` header is allowed. Requests without one always are.
    #[must_use]
    pub fn origin(mut self, is_allowed: impl Fn(&HttpRequest, &str) -> bool + Send + Sync + 'static) -> Self {
        self.origin = Box::new(is_allowed);
        self
    }

    /// What cuts the connection of a WebSocket. It is called some seconds after the session was closed if the connection
    /// is still there, because its client neither reads nor closes it. Without it such a connection stays until the
    /// client's system gives it up.
    #[must_use]
    pub fn cutter(mut self, cutter: impl Fn(&HttpRequest) -> Option<Cut> + Send + Sync + 'static) -> Self {
        self.cutter = Box::new(cutter);
        self
    }
}

fn peer_address(request: &HttpRequest) -> String {
    request.peer_addr().map(|address| address.ip().to_string()).unwrap_or_default()
}

/// Whether the origin has the request's own host; the scheme is not compared, because a proxy may have changed it.
fn is_same_origin(request: &HttpRequest, origin: &str) -> bool {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    request.connection_info().host().eq_ignore_ascii_case(host)
}

/// An Engine.IO server. Clones are the same.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

/// Sessions by id.
type Sessions = HashMap<Arc<str>, (Addr<Session>, Link)>;

/// What the sessions of one server share.
struct Shared {
    config: Config,
    hooks: Hooks,
    acceptor: Arc<dyn Acceptor>,
    sessions: RwLock<Sessions>,
    admission: Arc<Admission>,
    counters: Arc<Counters>,
    is_closed: AtomicBool,
    websockets: AtomicU64,
}

impl Engine {
    /// A server with this configuration.
    pub fn new(config: Config, hooks: Hooks, acceptor: impl Acceptor) -> Self {
        Self::with_counters(config, hooks, Arc::new(acceptor), Arc::default())
    }

    pub(crate) fn with_counters(
        config: Config,
        hooks: Hooks,
        acceptor: Arc<dyn Acceptor>,
        counters: Arc<Counters>,
    ) -> Self {
        Self(Arc::new(Shared {
            config,
            hooks,
            acceptor,
            sessions: RwLock::default(),
            admission: Arc::default(),
            counters,
            is_closed: AtomicBool::new(false),
            websockets: AtomicU64::new(0),
        }))
    }

    /// Registers the server's routes. To be called for each worker, on the same server.
    pub fn routes(&self, service: &mut web::ServiceConfig) {
        routes::register(&self.0, service);
    }

    /// Closes all transports and refuses handshakes from now on. Clients take it as a lost connection and reconnect.
    pub fn close_all(&self) {
        self.0.is_closed.store(true, Ordering::Release);
        // Sessions remove themselves, which takes the lock.
        let sessions: Vec<_> = self.0.sessions.read().values().cloned().collect();
        for (session, _) in sessions {
            session.do_send(Signal::Close(CloseReason::ServerShutdown));
        }
    }

    /// What the server has and has done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.counters.snapshot()
    }
}

impl Shared {
    fn find(&self, sid: &str) -> Option<(Addr<Session>, Link)> {
        self.sessions.read().get(sid).cloned()
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    fn next_websocket(&self) -> u64 {
        self.websockets.fetch_add(1, Ordering::Relaxed)
    }
}
