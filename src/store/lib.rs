//! All persistent data of the hub, through diesel, on SQLite or PostgreSQL.
//!
//! [`Store`] is the only entry point: `read` runs a query on the store's reader threads (never on an actor's or a worker's
//! thread), `submit` hands a [`Commit`] to the group-commit writer, `write` waits for one. Queries are in one file per
//! aggregate beside this one; callers see rows and typed ids, never diesel. Both databases store ids as text.

pub mod accounts;
mod append;
pub mod artifacts;
pub mod audit;
pub mod bots;
pub mod catalogue;
pub mod catchup;
pub mod channels;
pub mod clock;
pub(crate) mod connection;
mod connector;
pub mod copy;
pub mod database_lock;
mod flights;
mod health;
pub mod idempotency;
pub mod import;
pub mod inbox;
pub mod lease;
pub mod lifecycle;
mod matching;
pub mod messages;
pub mod metrics;
pub mod migrate;
pub mod orgs;
pub mod page;
pub mod people;
mod pins;
mod preflight;
pub mod private;
mod reader;
mod reading;
mod recovery;
pub mod rows;
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub mod schema;
pub mod search;
pub mod sessions;
pub mod statement;
pub mod stats;
mod stored_ids;
pub mod stored_path;
pub mod threads;
pub mod threads_list;
pub mod tickets;
pub mod timed_ids;
pub mod tls;
pub mod webhooks;
pub mod workspace;
pub mod writer;

use std::sync::Arc;
use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::metrics::Metrics;
pub use catalogue::Catalogue;
pub use connection::{Backend, DbConnection, PostgresTarget, read_consistently};
pub use flights::Flights;
pub use health::Health;
use hxa_domain::error::{ApiError, ApiResult};
pub use reader::Tenant;
pub use writer::{Commit, FeatureWrite, Fence, Load, Write, WriteError};

/// How the store is sized; times in milliseconds.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Which database, and where.
    pub backend: Backend,
    /// The schema steps that it needs.
    pub catalogue: Catalogue,
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
    /// How long a hub that starts waits for another one on the same database to end.
    pub takeover: Duration,
    /// How long the database may be unresponsive before its callers get an error.
    pub patience: Duration,
    /// Called around the completions of a batch, on a writer's thread: what they wake may be woken once at its end.
    pub around_batch: fn(&mut dyn FnMut()),
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
    searches: search::Searches,
    stats: stats::Counted,
    proof: Arc<writer::proof::Proof>,
    access: Access,
    warnings: Vec<String>,
}

/// The lock under which the store uses the database.
enum Access {
    /// Of a hub.
    Lease(Arc<lease::Lease>),
    /// Of a command.
    Exclusive { _lock: database_lock::DatabaseLock },
}

impl Access {
    fn lease(&self) -> Option<&Arc<lease::Lease>> {
        match self {
            Access::Lease(lease) => Some(lease),
            Access::Exclusive { .. } => None,
        }
    }
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

impl Store {
    /// Acquires the lease of the database for a hub, migrates it and starts the reader and writer threads.
    ///
    /// # Errors
    /// While another hub holds the lease, or if the database cannot be reached, used or migrated; the text names the cause
    /// without credentials.
    pub fn open(config: &StoreConfig, metrics: &Arc<Metrics>) -> Result<Self, String> {
        migrate::prepare_place(&config.backend)?;
        let warnings = preflight::check(&config.backend, config.readers.saturating_add(config.writers))?;
        let lease = lease::Lease::acquire(&config.backend, config.takeover)?;
        migrate::migrate(&config.catalogue, &config.backend)?;
        lease.keep()?;
        recovery::recover(&config.backend)?;
        Self::start(config, metrics, Access::Lease(lease), warnings)
    }

    /// As [`Self::open`] for a command that has the database alone already.
    ///
    /// # Errors
    /// When the database cannot be reached, used or migrated.
    pub fn open_held(
        config: &StoreConfig,
        metrics: &Arc<Metrics>,
        lock: database_lock::DatabaseLock,
    ) -> Result<Self, String> {
        let warnings = preflight::check(&config.backend, config.readers.saturating_add(config.writers))?;
        migrate::migrate(&config.catalogue, &config.backend)?;
        recovery::recover(&config.backend)?;
        disturb(&config.backend)?;
        Self::start(config, metrics, Access::Exclusive { _lock: lock }, warnings)
    }

    fn start(
        config: &StoreConfig,
        metrics: &Arc<Metrics>,
        access: Access,
        warnings: Vec<String>,
    ) -> Result<Self, String> {
        warnings.iter().for_each(|warning| log::warn!("{warning}"));
        let health = Arc::new(Health::of("database", "requests are refused with 503 until it returns"));
        let connector = connector::Connector { backend: config.backend.clone(), lease: access.lease().cloned() };
        let readers = reader::Readers::start(config, &connector, metrics, &health)?;
        let (changes, proof) = (Arc::<writer::Changes>::default(), Arc::<writer::proof::Proof>::default());
        let told = writer::Told { metrics: metrics.clone(), health: health.clone(), changes, proof: proof.clone() };
        let writers = writer::Writers::start(config, &connector, &told)?;
        let (backend, timelines) = (config.backend.clone(), Arc::default());
        let answers = Arc::new(catchup::Answers::new(told.changes));
        let (searches, stats) = Default::default();
        let inner =
            Inner { backend, readers, writers, health, timelines, answers, searches, stats, proof, access, warnings };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What an operator should know about the database.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }

    /// Whether this hub certainly holds the lease of its database; see `lease`.
    #[must_use]
    pub fn holds_lease(&self) -> bool {
        self.inner.access.lease().is_none_or(|lease| lease.is_sure())
    }

    /// Resolves when another hub has taken this one's access on the database, so that this one must end.
    pub async fn lease_lost(&self) {
        match self.inner.access.lease() {
            Some(lease) => lease.lost().await,
            None => std::future::pending().await,
        }
    }

    /// Whether writes work now, found out by one that is as durable as any, unless one has just worked; `within` that time.
    pub async fn can_write(&self, within: Duration) -> bool {
        if self.inner.access.lease().is_some_and(|lease| lease.is_standby()) {
            return false;
        }
        self.inner.proof.ask(within, |done| self.submit(Commit::new(0, vec![writer::proof::write()], done))).await
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

    /// Runs a deletion of at most [`lifecycle::BATCH`] rows until nothing is left of what it deletes; others write in between.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn delete_in_batches<F>(&self, key: u64, delete: F) -> ApiResult<()>
    where
        F: Fn(&mut DbConnection) -> Result<usize, DbError> + Copy + Send + 'static,
    {
        let full = usize::try_from(lifecycle::BATCH).unwrap_or(usize::MAX);
        while self.write(key, delete).await? >= full {}
        Ok(())
    }

    /// Runs one write in the group-commit writer and waits until it is durable.
    ///
    /// The closure may run more than once (a failed batch is retried commit by commit), so it must not have effects
    /// outside the database. A refusal ([`DbError::Refused`]) rolls back this write alone.
    ///
    /// # Errors
    /// What `change` refuses; 503 when the database is unavailable.
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
        if let Some(lease) = self.inner.access.lease() {
            lease.release();
        }
    }
}

/// Records in the database that a command has changed it; see `lease`.
///
/// # Errors
/// When the database fails.
pub fn disturb(backend: &Backend) -> Result<(), String> {
    let mut conn = backend.connect().map_err(|error| format!("cannot open the database: {error}"))?;
    lease::invalidate(&mut conn).map_err(|error| format!("the database cannot be written to: {error}"))
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
    /// True when the database is unavailable rather than unhappy with the statement.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            DbError::Refused(_) => false,
            DbError::Database(error) => is_unavailable(error),
        }
    }

    /// True when nothing works, whatever is asked.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, DbError::Database(error) if is_away(error))
    }

    /// True when the transaction was in the way of another one.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, DbError::Database(error) if is_conflict(error))
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

/// Recognises lost connections, shut-down servers, full disks and timeouts by what both databases say of them: nothing works.
pub(crate) fn is_away(error: &DieselError) -> bool {
    const SIGNS: [&str; 29] = [
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
        "too many connections for",
        "remaining connection slots",
        "readonly database",
        "read-only transaction",
        "unable to open database file",
        "read-only file system",
        "could not extend file",
        "could not write",
        "out of memory",
        "out of shared memory",
        "conflict with recovery",
        "during recovery",
    ];
    match error {
        DieselError::DatabaseError(
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ReadOnlyTransaction,
            _,
        )
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(_, information) => says(information.as_ref(), &SIGNS),
        _ => false,
    }
}

/// As [`is_away`], or what is asked for is not possible now and may be later, without being wrong: a role that may not write,
/// or a transaction that was in the way of others.
pub(crate) fn is_unavailable(error: &DieselError) -> bool {
    const SIGNS: [&str; 3] = ["permission denied", "must be owner of", "lock timeout"];
    let is_refused = matches!(error, DieselError::DatabaseError(_, information) if says(information.as_ref(), &SIGNS));
    is_refused || is_conflict(error) || is_away(error)
}

/// A transaction that lost against another one and may succeed when it is tried again.
pub(crate) fn is_conflict(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        DieselError::DatabaseError(_, information) => {
            says(information.as_ref(), &["deadlock detected", "could not serialize access", "could not obtain lock"])
        }
        _ => false,
    }
}

fn says(information: &dyn diesel::result::DatabaseErrorInformation, signs: &[&str]) -> bool {
    let message = information.message().to_lowercase();
    signs.iter().any(|sign| message.contains(sign))
}
