//! Reader threads: they run every read query.
//!
//! A fixed number of threads take jobs from bounded queues, one per organisation ([`queue`]), and borrow an r2d2
//! connection for each, so a burst of reads queues here instead of piling up connections, and a full queue returns 503
//! immediately. A job is a closure that sends its own result; the caller awaits it. Work without a database that is too
//! much for a thread that serves, such as serializing a large response, runs here too.

mod queue;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::queue::{Queue, Refused};
pub use self::queue::{Tenant, Weight};
use super::connection::Backend;
use super::connector::{ConnectionManager, Connector};
use super::{DbConnection, DbError, Health, ReadLoad, StoreConfig};
use crate::metrics::Metrics;
use hxa_domain::error::{ApiError, ApiResult};

/// How long a read may wait for a thread: those who ask wait no longer either.
const WAITS: Duration = Duration::from_secs(25);
/// The `Retry-After` for a client whose organisation has too many reads queued.
const RETRY_AFTER_S: u64 = 1;

/// How long after its last use a PostgreSQL connection is taken to live without a look at it.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

type Pool = diesel::r2d2::Pool<ConnectionManager>;
type Pooled = diesel::r2d2::PooledConnection<ConnectionManager>;
/// A read; `None` tells it that no connection could be had.
type Task = Box<dyn FnOnce(Option<&mut DbConnection>) + Send>;

/// Something for a reader to do.
enum Job {
    /// A read.
    Read(Task),
    /// Work without the database.
    Work(Box<dyn FnOnce() + Send>),
}

/// The reader threads and their queue.
pub struct Readers {
    queue: Arc<Queue<Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    slow: Duration,
    pool: Mutex<Option<Pool>>,
    pulse: Arc<Pulse>,
    patience: Duration,
}

impl Readers {
    /// Starts the threads; connections are opened when first needed, so that a database that is away for a moment
    /// does not stop the hub.
    pub fn start(
        config: &StoreConfig,
        connector: &Connector,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) -> Result<Self, String> {
        let size = config.readers.max(1);
        let pool = diesel::r2d2::Pool::builder()
            .max_size(u32::try_from(size).unwrap_or(u32::MAX))
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(config.pool_timeout)
            .error_handler(Box::new(diesel::r2d2::NopErrorHandler))
            .build_unchecked(ConnectionManager(connector.clone()));
        let queue = Arc::new(Queue::new(size));
        let (mut threads, pulse) = (Vec::with_capacity(size), Arc::<Pulse>::default());
        for index in 0..size {
            let thread = ReaderThread { pool: pool.clone(), backend: config.backend.clone(), pulse: pulse.clone() };
            let jobs = queue.clone();
            let spawned =
                std::thread::Builder::new().name(format!("reader-{index}")).spawn(move || thread.serve(&jobs));
            threads.push(spawned.map_err(|error| format!("cannot start a reader thread: {error}"))?);
        }
        Ok(Self {
            queue,
            threads: Mutex::new(threads),
            health: health.clone(),
            metrics: metrics.clone(),
            slow: config.slow_query,
            pool: Mutex::new(Some(pool)),
            pulse,
            patience: config.patience,
        })
    }

    /// See [`super::Store::read_load`].
    pub fn load(&self) -> ReadLoad {
        let Some(state) = self.pool.lock().as_ref().map(Pool::state) else {
            return ReadLoad { queued: 0, busy: 0, idle: 0 };
        };
        ReadLoad {
            queued: self.queue.waiting(),
            busy: state.connections.saturating_sub(state.idle_connections),
            idle: state.idle_connections,
        }
    }

    /// See [`super::Store::read_for`].
    pub async fn run<T, F>(&self, tenant: Tenant, weight: Weight, query: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, DbError> + Send + 'static,
    {
        if self.pulse.is_silent() {
            return Err(silent());
        }
        let (send, receive) = oneshot::channel();
        let (health, metrics, slow) = (self.health.clone(), self.metrics.clone(), self.slow);
        let beat = Beat { pulse: self.pulse.clone(), stage: Arc::default() };
        let (stage, ended) = (beat.stage.clone(), self.pulse.ended());
        let job = Job::Read(Box::new(move |conn| {
            beat.stage.begun.store(true, Ordering::SeqCst);
            let outcome = match conn {
                Some(conn) => {
                    let started = Instant::now();
                    let outcome = query(conn);
                    note::<F>(&metrics, started.elapsed(), slow);
                    outcome
                }
                None => Err(DbError::Refused(ApiError::unavailable("The database is not available right now"))),
            };
            let away = match &outcome {
                Err(DbError::Refused(refusal)) => refusal.code() == hxa_domain::error::ErrorCode::Unavailable,
                Err(error) => error.is_unavailable(),
                Ok(_) => false,
            };
            health.set(!away);
            beat.pulse.note(away);
            drop(beat);
            // A caller that went away does not need the answer.
            let _ = send.send(outcome);
        }));
        self.push(tenant, weight, job)?;
        let mut receive = receive;
        if let Ok(answer) = tokio::time::timeout(self.patience.min(WAITS), &mut receive).await {
            return answer.map_err(|_| ApiError::internal())?.map_err(ApiError::from);
        }
        // It has not begun because others are before it, and those come to an end: a long line, not a silent database.
        if !stage.begun.load(Ordering::SeqCst) && self.pulse.ended() != ended {
            return Err(self.busy());
        }
        let rest = self.patience.saturating_sub(WAITS);
        let Ok(answer) = tokio::time::timeout(rest, receive).await else {
            self.pulse.missed(&stage);
            self.health.set(false);
            return Err(silent());
        };
        answer.map_err(|_| ApiError::internal())?.map_err(ApiError::from)
    }

    /// See [`super::Store::work_for`].
    pub async fn work<T, F>(&self, tenant: Tenant, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (send, receive) = oneshot::channel();
        let job = move || {
            // A caller that went away does not need the result.
            let _ = send.send(work());
        };
        self.push(tenant, Weight::Light, Job::Work(Box::new(job)))?;
        receive.await.map_err(|_| ApiError::internal())
    }

    fn push(&self, tenant: Tenant, weight: Weight, job: Job) -> ApiResult<()> {
        self.queue.push(tenant, weight, job).map_err(|refused| match refused {
            Refused::Line => self.busy(),
            Refused::Closed => ApiError::unavailable("The hub is stopping"),
        })
    }

    /// The refusal of a read whose organisation has too many waiting.
    fn busy(&self) -> ApiError {
        self.metrics.limited("reads");
        ApiError::unavailable("Too many reads of this organisation are waiting for the database")
            .with("retry_after", RETRY_AFTER_S)
    }

    /// Finishes the queued reads and joins the threads.
    pub fn close(&self) {
        self.queue.close();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                log::error!("a reader thread panicked");
            }
        }
        // With it the last connections end.
        self.pool.lock().take();
    }
}

/// Counts a read, and logs a slow one by the name of its code, which no text from outside is part of.
fn note<F>(metrics: &Metrics, elapsed: Duration, slow: Duration) {
    metrics.read(elapsed);
    if elapsed > slow {
        let name = std::any::type_name::<F>().replace("hxa_", "").replace("::{{closure}}", "");
        log::warn!(query:% = name, duration_ms:? = elapsed.as_millis(); "slow query");
    }
}

/// Whether reads still end. After one has taken longer than the store's patience, and until the next one ends, further
/// ones are refused at once: otherwise everybody would wait that long behind everybody else.
#[derive(Default)]
struct Pulse {
    ended: AtomicU64,
    /// The value of `ended` when a read was abandoned, plus one.
    missed_at: AtomicU64,
    /// When a read last found the database away.
    away_at: Mutex<Option<Instant>>,
}

impl Pulse {
    fn note(&self, away: bool) {
        if away {
            *self.away_at.lock() = Some(Instant::now());
        }
    }

    /// Whether a connection that was last used then needs no look before it is used again.
    fn trusts(&self, used_at: Instant) -> bool {
        used_at.elapsed() < TRUSTED_FOR && self.away_at.lock().is_none_or(|away| used_at > away)
    }

    /// How many reads have ended.
    fn ended(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }

    fn is_silent(&self) -> bool {
        self.missed_at.load(Ordering::SeqCst) == self.ended.load(Ordering::SeqCst) + 1
    }

    /// A read is given up. If it is not over yet it will end later, and with that the silence.
    fn missed(&self, stage: &Stage) {
        let ended = self.ended();
        if !stage.is_over.swap(true, Ordering::SeqCst) {
            self.missed_at.store(ended + 1, Ordering::SeqCst);
        }
    }
}

/// How far a read has come.
#[derive(Default)]
struct Stage {
    begun: AtomicBool,
    is_over: AtomicBool,
}

/// Counts a read as ended when it is dropped, however it ended.
struct Beat {
    pulse: Arc<Pulse>,
    stage: Arc<Stage>,
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.stage.is_over.store(true, Ordering::SeqCst);
        self.pulse.ended.fetch_add(1, Ordering::SeqCst);
    }
}

fn silent() -> ApiError {
    ApiError::unavailable("The database does not answer")
}

/// When a pooled connection was last used.
struct UsedAt(Instant);

struct ReaderThread {
    pool: Pool,
    backend: Backend,
    pulse: Arc<Pulse>,
}

impl ReaderThread {
    fn serve(&self, jobs: &Queue<Job>) {
        while let Some(mut taken) = jobs.next() {
            let guarded = match taken.job() {
                Some(Job::Read(read)) => catch_unwind(AssertUnwindSafe(|| self.read(read))),
                Some(Job::Work(work)) => catch_unwind(AssertUnwindSafe(work)),
                None => Ok(()),
            };
            if guarded.is_err() {
                // The job's answer channel is dropped with it: its caller gets 500, the thread lives on.
                log::error!("a read panicked");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn read(&self, read: Task) {
        let mut conn = match self.connection() {
            Ok(conn) => Some(conn),
            Err(error) => {
                log::warn!(database = self.backend.name(), error:% = error; "no database connection");
                None
            }
        };
        // Of before the job: one that found the database away is to have the connection looked at.
        let began = Instant::now();
        read(conn.as_deref_mut());
        if let Some(conn) = &mut conn {
            Pooled::extensions_mut(conn).insert(UsedAt(began));
        }
    }

    /// A connection that lives. PostgreSQL's die unseen while they lie idle in the pool, each to be found by a read that
    /// it would fail; so those that are not known to have lived a moment ago are looked at first. A SQLite file cannot die.
    fn connection(&self) -> Result<Pooled, diesel::r2d2::PoolError> {
        loop {
            let mut conn = self.pool.get()?;
            let is_trusted = Pooled::extensions(&conn).get::<UsedAt>().is_some_and(|used| self.pulse.trusts(used.0));
            if is_trusted || matches!(self.backend, Backend::Sqlite(_)) || conn.batch_execute("SELECT 1").is_ok() {
                return Ok(conn);
            }
            // Dropped here, and not kept by the pool: it is broken, and the next one may be new.
        }
    }
}
