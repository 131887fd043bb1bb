//! Startup and shutdown of the hub: the one place where its parts are assembled.
//!
//! Startup: database and migrations, actors' arbiters, janitor, HTTP workers. Shutdown: readiness turns false, every
//! socket is closed with a code that tells its client whether to reconnect immediately, state that is only in memory is
//! flushed, then the workers stop. Neither loses anything acknowledged.

mod connections;

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, ServerHandle};
use actix_web::rt::net::TcpStream;
use actix_web::{App, Error, web};

use self::connections::ConnectionShares;
use crate::features::{self, FEATURES};
use hxa_hub::config::{Config, SessionStore};
use hxa_hub::core::arbiters::Arbiters;
use hxa_hub::fanout::send_queue::{WakeBatch, close};
use hxa_hub::hub::{Effects, Hub};
use hxa_hub::janitor::{self, Janitor};
use hxa_hub::webhooks;
use hxa_store::database_lock::{DatabaseLock, LockError};
use hxa_store::metrics::Metrics;
use hxa_store::sessions::{RedisSessions, Sessions};
use hxa_store::{Backend, PostgresTarget, Store, StoreConfig, migrate};
use hxa_web::Features;
use hxa_web::client::Listening;
use hxa_web::stream::Guarded;

/// Why the hub cannot start; the text is for the operator and holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error("database: {0}")]
    Database(String),
    /// Somebody else is on the database.
    #[error("database: {0}")]
    InUse(String),
    /// Redis was to keep the sessions and cannot be used.
    #[error("session store: Redis: {0}")]
    SessionStore(String),
    /// A feature cannot start.
    #[error("feature {0}")]
    Feature(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(String, std::io::Error),
}

impl From<LockError> for StartError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::InUse(_) => Self::InUse(error.to_string()),
            LockError::Failed(cause) => Self::Database(cause),
        }
    }
}

/// How the hub ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopKind {
    /// For good: sockets close with 1001.
    Shutdown,
    /// To come back: sockets close with 1012.
    Restart,
}

/// A hub that serves.
pub struct RunningHub {
    hub: Hub,
    address: SocketAddr,
    server: ServerHandle,
    finished: tokio::sync::watch::Receiver<bool>,
    arbiters: Vec<Arbiter>,
}

/// What a slow database may take beyond its limits before it counts as silent.
const SLACK: Duration = Duration::from_millis(500);

/// A statement on a SQLite file of many gigabytes may take long; a disk that hangs is noticed in the end.
const SQLITE_PATIENCE: Duration = Duration::from_secs(600);

/// How long a connection without requests stays open. Longer than what clients and proxies keep theirs, so that it is
/// they who close: a request that meets the hub's close on its way is lost.
const KEEP_ALIVE: Duration = Duration::from_secs(95);

/// How long a connection stays open behind its last answer for its peer to close it, which WebSocket clients leave to the
/// hub. Those of clients that are still sending are read over for longer: see [`Guarded`].
const LINGER: Duration = Duration::from_secs(1);

/// How long in-flight requests may take once the sockets are closed.
const REQUEST_GRACE_S: u64 = 2;

/// How long calls of actors may take that are under way when the hub stops.
const ANSWER_GRACE: Duration = Duration::from_secs(1);

/// Starts a hub. Must be called inside an actix system.
///
/// # Errors
/// When the database or the session store cannot be used or the address not be listened on.
pub async fn start(config: Config) -> Result<RunningHub, StartError> {
    start_with(config, Effects::of_system()).await
}

/// Starts a hub with another clock or look-up of hosts, for tests.
///
/// # Errors
/// As [`start`].
pub async fn start_with(config: Config, effects: Effects) -> Result<RunningHub, StartError> {
    start_with_features(&FEATURES, config, effects).await
}

/// Starts a hub with other features, for tests.
///
/// # Errors
/// As [`start`].
pub async fn start_with_features(
    features: &'static Features,
    config: Config,
    effects: Effects,
) -> Result<RunningHub, StartError> {
    let store_config = StoreConfig { catalogue: features.catalogue(), ..store_config(&config) };
    hxa_store::metrics::count_dropped_log_lines(crate::logging::dropped);
    let metrics = Arc::new(Metrics::new());
    let counted = metrics.clone();
    let store = web::block(move || Store::open(&store_config, &counted))
        .await
        .map_err(|error| StartError::Database(error.to_string()))?
        .map_err(StartError::Database)?;
    let sessions = open_sessions(&config, &store).await?;
    let arbiters: Vec<Arbiter> = (0..config.actors.arbiters).map(|_| Arbiter::new()).collect();
    let own = Arbiters::of(arbiters.iter().map(Arbiter::handle).collect());
    let hub = Hub::new(config, store, sessions, metrics, own, effects);
    resume_webhooks(&hub).await?;
    let data = features::start(features, &hub).map_err(StartError::Feature)?;
    Janitor::spawn(&hub);
    let (server, address) = serve(&hub, features, data)?;
    if hub.config().files.absolute_links {
        hub.link_under(hub.config().base_url(address.port()));
    }
    let handle = server.handle();
    let (send, finished) = tokio::sync::watch::channel(false);
    actix_web::rt::spawn(async move {
        if let Err(error) = server.await {
            log::error!(error:% = error; "the HTTP server failed");
        }
        // Nobody may be waiting any more.
        let _ = send.send(true);
    });
    Ok(RunningHub { hub, address, server: handle, finished, arbiters })
}

/// A headless hub, for a command with an exclusive lock: it serves no requests and runs no time-driven work.
pub struct HeadlessHub {
    hub: Hub,
    arbiter: Arbiter,
}

impl HeadlessHub {
    /// Takes the configured database alone. Must be called inside an actix system.
    ///
    /// # Errors
    /// While a hub runs on the database, or when it or the session store cannot be used.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let store_config = store_config(&config);
        let metrics = Arc::new(Metrics::new());
        let counted = metrics.clone();
        let opened = web::block(move || {
            migrate::prepare_place(&store_config.backend).map_err(StartError::Database)?;
            let lock = DatabaseLock::exclusive(&store_config.backend)?;
            Store::open_held(&store_config, &counted, lock).map_err(StartError::Database)
        });
        let store = opened.await.map_err(|error| StartError::Database(error.to_string()))??;
        let sessions = open_sessions(&config, &store).await?;
        let arbiter = Arbiter::new();
        let own = Arbiters::of(vec![arbiter.handle()]);
        let hub = Hub::new(config, store, sessions, metrics, own, Effects::of_system());
        features::start(&FEATURES, &hub).map_err(StartError::Feature)?;
        // It takes nobody in, and sends nothing out.
        hub.start_draining();
        Ok(Self { hub, arbiter })
    }

    /// The hub.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Drains the write queue and closes the database.
    pub async fn close(self) {
        let store = self.hub.store().clone();
        if web::block(move || store.close()).await.is_err() {
            log::error!("cannot close the database");
        }
        self.arbiter.stop();
    }
}

async fn open_sessions(config: &Config, store: &Store) -> Result<Sessions, StartError> {
    match (config.auth.session_store, &config.auth.redis_url) {
        (SessionStore::Sql, _) => Ok(Sessions::Sql(store.clone())),
        (SessionStore::Redis, Some(url)) => {
            let opened = RedisSessions::open(url.expose(), &config.auth.redis_prefix).await;
            opened.map(Sessions::Redis).map_err(StartError::SessionStore)
        }
        (SessionStore::Redis, None) => Err(StartError::SessionStore("no URL of a Redis server is set".to_owned())),
    }
}

/// Goes on with what was on its way to webhooks when the hub ended.
async fn resume_webhooks(hub: &Hub) -> Result<(), StartError> {
    let newest = hub.store().read(hxa_store::webhooks::newest_position).await;
    let newest = newest.map_err(|error| StartError::Database(error.to_string()))?;
    hub.webhooks().continue_after(newest);
    webhooks::sweep(hub.webhooks()).await.map_err(|error| StartError::Database(error.to_string()))
}

/// The store's part of the configuration.
#[must_use]
pub fn store_config(config: &Config) -> StoreConfig {
    let database = &config.database;
    let (backend, readers) = match &database.url {
        Some(url) => {
            let target =
                PostgresTarget { url: url.expose().to_owned(), statement_timeout_ms: database.statement_timeout_ms };
            (Backend::Postgres(target), database.pool)
        }
        None => (Backend::Sqlite(config.sqlite_path()), database.readers),
    };
    let patience = match backend {
        // Whatever is slow ends by these two; only a server that hangs, or its network, says nothing for longer.
        Backend::Postgres(_) => {
            Duration::from_millis(database.pool_timeout_ms.saturating_add(database.statement_timeout_ms)) + SLACK
        }
        // Nothing limits a statement, and a file does not hang.
        Backend::Sqlite(_) => SQLITE_PATIENCE,
    };
    StoreConfig {
        backend,
        catalogue: FEATURES.catalogue(),
        readers,
        writers: database.writers,
        batch_rows: database.batch_rows,
        queue: database.queue,
        pool_timeout: Duration::from_millis(database.pool_timeout_ms),
        takeover: Duration::from_secs(database.takeover_seconds),
        patience,
        around_batch: WakeBatch::run,
        slow_query: threshold(config.log.slow_query_ms),
        slow_commit: threshold(config.log.slow_commit_ms),
    }
}

/// Zero means never.
fn threshold(ms: u64) -> Duration {
    if ms == 0 { Duration::MAX } else { Duration::from_millis(ms) }
}

fn threads(configured: usize) -> usize {
    if configured > 0 { configured } else { std::thread::available_parallelism().map_or(1, usize::from) }
}

fn serve(
    hub: &Hub,
    features: &'static Features,
    feature_data: features::Data,
) -> Result<(Server, SocketAddr), StartError> {
    let server = &hub.config().server;
    // The colons of a bare IPv6 address are no port.
    let host = if server.host.contains(':') && !server.host.starts_with('[') {
        format!("[{}]", server.host)
    } else {
        server.host.clone()
    };
    let place = format!("{host}:{}", server.port);
    let listener =
        connections::listen(&place, server.backlog).map_err(|error| StartError::Listen(place.clone(), error))?;
    let address = listener.local_addr().map_err(|error| StartError::Listen(place.clone(), error))?;
    let (workers, shares) = (threads(server.workers), ConnectionShares::new(hub));
    let builder = Server::build().workers(workers).disable_signals().shutdown_timeout(REQUEST_GRACE_S);
    let builder = builder.max_concurrent_connections(server.max_connections.div_ceil(workers));
    let (data, draining) = (web::Data::new(hub.clone()), builder.graceful_shutdown_signal());
    let outgoing = hxa_web::Outgoing::new(server.answers_in_flight_bytes);
    // Called once on each thread that serves.
    let http = builder.listen("http", listener, move || {
        if data.config().actors.arbiters == 0 {
            data.arbiters().add(Arbiter::current());
        }
        let (app_data, signal, shares) = (data.clone(), draining.clone(), shares.clone());
        let app = App::new().app_data(app_data.clone()).app_data(Listening(address));
        let app = app.configure(|config| feature_data.iter().for_each(|register| register(config)));
        let app = app.configure(|config| hxa_web::configure(config, features));
        let app = app.wrap(hxa_web::middleware(&data, &outgoing, features));
        let app =
            map_config(app.into_factory().map_err(|error: Error| error.error_response()), |()| AppConfig::default());
        let parser = HttpService::build()
            .graceful_shutdown_signal(move || {
                let signal = signal.clone();
                async move { signal.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            // Heads are timed by the guard in front of the parser.
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(LINGER)
            .on_connect_ext(move |io: &Guarded, extensions| {
                shares.admit(io.io(), extensions);
                extensions.insert(io.gate().clone());
            })
            .h1(app);
        fn_service(move |io: TcpStream| {
            let peer = io.peer_addr().ok();
            ready(Ok::<_, DispatchError>((Guarded::new(io, &app_data), peer)))
        })
        .and_then(parser)
    });
    let http = http.map_err(|error| StartError::Listen(place, error))?;
    Ok((http.run(), address))
}

impl RunningHub {
    /// Where the hub listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The base URL a client on this machine uses.
    #[must_use]
    pub fn url(&self) -> String {
        let host =
            if self.address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { self.address.ip().to_string() };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        format!("http://{host}:{}", self.address.port())
    }

    /// The hub itself, for the janitor's duties in tests.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Resolves when the server has ended.
    pub async fn finished(&self) {
        let mut finished = self.finished.clone();
        // An error means that the sender is gone, and with it the server.
        let _ = finished.wait_for(|ended| *ended).await;
    }

    /// Resolves when another hub has taken over the database: nothing that this one remembers counts any more.
    pub async fn lease_lost(&self) {
        self.hub.store().lease_lost().await;
    }

    /// Stops gracefully within the configured drain time.
    pub async fn stop(self, kind: StopKind) {
        let notice = match kind {
            StopKind::Shutdown => close::SHUTDOWN,
            StopKind::Restart => close::RESTART,
        };
        self.hub.start_draining();
        self.hub.features().iter().for_each(|feature| feature.stopping());
        let patience = Duration::from_secs(self.hub.config().server.drain_seconds.clamp(1, 5));
        janitor::close_all(&self.hub, notice, patience).await;
        // The threads that serve end one by one, and the actors on them.
        self.hub.arbiters().forget();
        self.hub.arbiters().answered(ANSWER_GRACE).await;
        self.server.stop(true).await;
        janitor::flush(&self.hub).await;
        let store = self.hub.store().clone();
        if web::block(move || store.close()).await.is_err() {
            log::error!("cannot close the database");
        }
        for arbiter in self.arbiters {
            arbiter.stop();
        }
        log::info!("stopped");
    }
}
