//! Everything the hub remembers, through diesel, on SQLite or PostgreSQL.
//!
//! [`Store`] is the one door: `read` runs a query on the store's reader threads (never on an actor's or a worker's
//! thread), `submit` hands a [`Commit`] to the group-commit writer, `write` waits for one. Queries live in one file per
//! aggregate beside this one; callers see rows and typed ids, never diesel. Rows keep ids as text because that is how
//! both databases store them and how they leave on the wire.

pub mod accounts;
mod append;
pub mod artifacts;
pub mod audit;
pub mod blobs;
pub mod bots;
pub mod catchup;
mod changes;
pub mod channels;
pub(crate) mod connection;
pub mod copy;
pub mod files;
pub mod hold;
pub mod idempotency;
pub mod inbox;
pub mod lifecycle;
mod matching;
pub mod messages;
pub mod migrate;
pub mod orgs;
pub mod page;
mod reader;
mod recovery;
pub mod rows;
pub(crate) mod schema;
pub mod search;
pub mod sessions;
mod statement;
pub mod stats;
pub mod threads;
pub mod threads_list;
pub mod tickets;
pub mod timed_ids;
pub mod tls;
pub mod webhooks;
pub mod workspace;
pub mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::error::{ApiError, ApiResult};
use crate::metrics::Metrics;
pub use connection::{Backend, DbConnection, PostgresTarget};
pub use writer::{Commit, Fence, Load, Write, WriteError};

/// How the store is sized; times in milliseconds.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Which database, and where.
    pub backend: Backend,
    /// Reader threads, each with at most one connection at a time.
    pub readers: usize,
    /// Group-commit writers; SQLite always has one.
    pub writers: usize,
    /// Most rows a writer puts into one transaction.
    pub batch_rows: usize,
    /// Commits that may wait for one writer; see [`Store::is_congested`].
    pub queue: usize,
    /// How long a read waits for a connection before it is refused with 503.
    pub pool_timeout: Duration,
    /// Whether the database is used as one of several hubs would; not by a command that has it to itself.
    pub is_shared: bool,
    /// How long the database may say nothing before those who wait for it are told so.
    pub patience: Duration,
    /// Called on a writer's thread after it completed a batch: the moment to wake the sockets it wrote to.
    pub after_batch: fn(),
    /// A read that takes longer is logged.
    pub slow_query: Duration,
    /// A commit that takes longer is logged.
    pub slow_commit: Duration,
}

/// Handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    readers: reader::Readers,
    writers: writer::Writers,
    health: Arc<Health>,
    timelines: Arc<catchup::Timelines>,
    answers: Arc<catchup::Answers>,
    _hold: hold::Hold,
}

/// How busy the readers and their connections are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLoad {
    /// Reads waiting for a thread.
    pub queued: usize,
    /// Connections that serve a read.
    pub busy: u32,
    /// Connections that wait for one.
    pub idle: u32,
}

/// Whether a server behind the hub answered last time it was asked; changes are logged.
#[derive(Debug)]
pub struct Health {
    server: &'static str,
    meaning: &'static str,
    down: AtomicBool,
}

impl Health {
    /// Of this server, whose absence has this consequence.
    #[must_use]
    pub const fn of(server: &'static str, meaning: &'static str) -> Self {
        Self { server, meaning, down: AtomicBool::new(false) }
    }

    /// Records the outcome of talking to it.
    pub fn set(&self, up: bool) {
        if self.down.swap(!up, Ordering::Relaxed) == up {
            if up {
                log::info!("{} is back", self.server);
            } else {
                log::error!("{} is away; {}", self.server, self.meaning);
            }
        }
    }

    /// True while it is believed to answer.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.down.load(Ordering::Relaxed)
    }
}

impl Store {
    /// Migrates the database and starts the reader and writer threads.
    ///
    /// # Errors
    /// When the database cannot be reached or migrated; the text names the cause without credentials.
    pub fn open(config: &StoreConfig, metrics: &Arc<Metrics>) -> Result<Self, String> {
        migrate::prepare_place(&config.backend)?;
        Self::open_held(config, metrics, hold::Hold::shared(&config.backend)?)
    }

    /// As [`Self::open`], under a lock that is held already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_held(config: &StoreConfig, metrics: &Arc<Metrics>, hold: hold::Hold) -> Result<Self, String> {
        migrate::migrate(&config.backend)?;
        recovery::recover(&config.backend)?;
        let health = Arc::new(Health::of("database", "requests are refused with 503 until it returns"));
        let readers = reader::Readers::start(config, metrics, &health)?;
        let changes = Arc::<changes::Changes>::default();
        let writers = writer::Writers::start(config, metrics, &health, &changes)?;
        let (backend, timelines) = (config.backend.clone(), Arc::default());
        let answers = Arc::new(catchup::Answers::new(changes));
        Ok(Self { inner: Arc::new(Inner { backend, readers, writers, health, timelines, answers, _hold: hold }) })
    }

    /// Which database this is.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.inner.backend
    }

    /// What catchup keeps in memory for counting.
    #[must_use]
    pub fn timelines(&self) -> Arc<catchup::Timelines> {
        self.inner.timelines.clone()
    }

    /// The answers of catchup that may still be true.
    #[must_use]
    pub fn answers(&self) -> Arc<catchup::Answers> {
        self.inner.answers.clone()
    }

    /// The last known state of the database.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.inner.health
    }

    /// Runs a query on a reader thread.
    ///
    /// # Errors
    /// What `query` refuses; 503 `UNAVAILABLE` when the database is away or too many reads are queued.
    pub async fn read<T, F>(&self, query: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, DbError> + Send + 'static,
    {
        self.inner.readers.run(query).await
    }

    /// Hands a commit to the writer and returns at once; the commit's `done` is called after it is durable or failed.
    /// Commits with equal `key` keep their order.
    pub fn submit(&self, commit: Commit) {
        self.inner.writers.submit(commit);
    }

    /// True while the writer of `key` has more queued than it should take on, or the organisation with this load more
    /// than its share; callers refuse new work with 503.
    #[must_use]
    pub fn is_congested(&self, key: u64, load: &Load) -> bool {
        self.inner.writers.is_congested(key, load)
    }

    /// Runs one write in the group-commit writer and waits until it is durable.
    ///
    /// The closure may run more than once (a failed batch is retried commit by commit), so it must not have effects
    /// outside the database. A refusal ([`DbError::Refused`]) rolls back this write alone.
    ///
    /// # Errors
    /// What `change` refuses; 503 when the database is away.
    pub async fn write<T, F>(&self, key: u64, change: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, DbError> + Send + 'static,
    {
        let slot = Arc::new(parking_lot::Mutex::new(None));
        let result = slot.clone();
        let write = Write::Run(Box::new(move |conn| {
            let value = change(conn)?;
            *slot.lock() = Some(value);
            Ok(())
        }));
        let (send, receive) = tokio::sync::oneshot::channel();
        self.submit(Commit::new(key, vec![write], move |outcome| {
            // A caller that went away does not need the answer.
            let _ = send.send(outcome);
        }));
        receive.await.map_err(|_| ApiError::unavailable("The hub is stopping"))??;
        let value = result.lock().take();
        value.ok_or_else(ApiError::internal)
    }

    /// Commits and rows waiting in the writers' queues.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.inner.writers.queued()
    }

    /// How busy the readers are.
    #[must_use]
    pub fn read_load(&self) -> ReadLoad {
        self.inner.readers.load()
    }

    /// Stops taking commits, finishes the queued ones and joins the writer threads.
    pub fn close(&self) {
        self.inner.writers.close();
        self.inner.readers.close();
    }
}

/// Why a query gave no result.
#[derive(Debug)]
pub enum DbError {
    /// The query looked at the data and refuses: a domain answer, not a fault.
    Refused(ApiError),
    /// The database failed.
    Database(DieselError),
}

impl From<DieselError> for DbError {
    fn from(error: DieselError) -> Self {
        DbError::Database(error)
    }
}

impl From<ApiError> for DbError {
    fn from(error: ApiError) -> Self {
        DbError::Refused(error)
    }
}

impl DbError {
    /// True when the database is away rather than unhappy with the statement.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            DbError::Refused(_) => false,
            DbError::Database(error) => is_unavailable(error),
        }
    }
}

impl From<DbError> for ApiError {
    /// Turns a database failure into 503 or a generic 500; the cause goes to the log, once, here.
    fn from(error: DbError) -> Self {
        match error {
            DbError::Refused(refusal) => refusal,
            DbError::Database(error) if is_unavailable(&error) => {
                log::warn!(error:% = error; "database unavailable");
                ApiError::unavailable("The database is not available right now")
            }
            DbError::Database(error) => {
                log::error!(error:% = error; "database error");
                ApiError::internal()
            }
        }
    }
}

/// Recognises lost connections, shut-down servers, full disks and timeouts by what both databases say of them.
pub(crate) fn is_unavailable(error: &DieselError) -> bool {
    const SIGNS: [&str; 17] = [
        "terminating connection",
        "server closed the connection",
        "connection to server",
        "could not connect",
        "no connection to the server",
        "connection reset",
        "broken pipe",
        "the database system is",
        "statement timeout",
        "timed out",
        "could not receive data",
        "could not send data",
        "database is locked",
        "disk is full",
        "no space left",
        "disk i/o error",
        "too many clients",
    ];
    match error {
        DieselError::DatabaseError(
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ReadOnlyTransaction,
            _,
        )
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(_, information) => {
            let message = information.message().to_lowercase();
            SIGNS.iter().any(|sign| message.contains(sign))
        }
        _ => false,
    }
}
