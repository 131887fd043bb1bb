//! A Socket.IO server: its namespaces, and what an application asks of all of them.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::{HttpRequest, web};
use bytestring::ByteString;

use crate::client::{Clients, Namespace, Namespaces};
use crate::config::Config;
use crate::engine::{Cut, Engine, Hooks};
use crate::handler::Handler;
use crate::socket::{Broadcast, Space};
use crate::stats::{Counters, Stats};

/// A Socket.IO server. Clones are the same server.
#[derive(Clone)]
pub struct SocketIo {
    engine: Engine,
    namespaces: Arc<Namespaces>,
}

/// A [`SocketIo`] that is being put together.
#[must_use = "nothing is served before `build`"]
pub struct Builder {
    config: Config,
    hooks: Hooks,
    handlers: Vec<(String, Arc<dyn Handler>)>,
}

impl SocketIo {
    /// A server with these times and limits.
    pub fn builder(config: Config) -> Builder {
        Builder { config, hooks: Hooks::default(), handlers: Vec::new() }
    }

    /// Registers the routes of the server. Each worker needs them, of the same server.
    pub fn routes(&self, service: &mut web::ServiceConfig) {
        self.engine.routes(service);
    }

    /// All sockets of a namespace.
    pub fn of(&self, namespace: &str) -> Broadcast {
        Broadcast::new(self.namespaces.by_name.get(namespace).map(|found| found.space.clone()))
    }

    /// Closes all sessions, and refuses handshakes with status 503 from now on. Clients take it as a lost connection and
    /// reconnect, then perhaps to another process.
    pub fn close_all(&self) {
        self.engine.close_all();
    }

    /// What the server has and has done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }
}

impl Builder {
    /// Adds a namespace and its application. Its name begins with a slash; `/` is the one of clients that name none.
    pub fn namespace(mut self, name: &str, handler: impl Handler) -> Self {
        self.handlers.push((format!("/{}", name.trim_start_matches('/')), Arc::new(handler)));
        self
    }

    /// Who a client is, for the limits of each: by default its peer's address, which behind a proxy is the proxy's.
    pub fn client_key(mut self, key: impl Fn(&HttpRequest) -> String + Send + Sync + 'static) -> Self {
        self.hooks = self.hooks.client_key(key);
        self
    }

    /// Whether requests with this `Origin` header are allowed: by default those of the request's own host. Requests
    /// without that header always are.
    pub fn origin(mut self, is_allowed: impl Fn(&HttpRequest, &str) -> bool + Send + Sync + 'static) -> Self {
        self.hooks = self.hooks.origin(is_allowed);
        self
    }

    /// What cuts the connection of a client that neither reads nor closes; see [`Hooks::cutter`].
    pub fn cutter(mut self, cutter: impl Fn(&HttpRequest) -> Option<Cut> + Send + Sync + 'static) -> Self {
        self.hooks = self.hooks.cutter(cutter);
        self
    }

    /// The server.
    #[must_use]
    pub fn build(self) -> SocketIo {
        let counters = Arc::<Counters>::default();
        let by_name: HashMap<_, _> = self
            .handlers
            .into_iter()
            .map(|(name, handler)| {
                let name = ByteString::from(name);
                let space = Space::new(name.clone(), self.config.pending_acks, counters.clone());
                (name, Namespace { space: Arc::new(space), handler })
            })
            .collect();
        let namespaces = Arc::new(Namespaces { config: self.config.clone(), by_name });
        let clients = Arc::new(Clients(namespaces.clone()));
        SocketIo { engine: Engine::with_counters(self.config, self.hooks, clients, counters), namespaces }
    }
}
