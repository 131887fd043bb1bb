//! Reader threads: where every query runs that does not write.
//!
//! A fixed number of threads take jobs from one bounded queue and borrow an r2d2 connection for each, so a burst of
//! reads queues here instead of piling up connections, and a queue that is full answers 503 at once. A job is a closure
//! that sends its own answer; the caller awaits it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::connection::{Backend, ConnectionManager};
use super::{DbConnection, DbError, Health, ReadLoad, StoreConfig};
use crate::error::{ApiError, ApiResult};
use crate::metrics::Metrics;

/// Reads that may wait for a thread; beyond this the hub is overloaded and says so.
const QUEUE: usize = 4096;

type Pool = diesel::r2d2::Pool<ConnectionManager>;
/// `None` tells the job that no connection could be had.
type Job = Box<dyn FnOnce(Option<&mut DbConnection>) + Send>;

/// The reader threads and their queue.
pub struct Readers {
    queue: Mutex<Option<Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    slow: Duration,
    pool: Pool,
}

impl Readers {
    /// Starts the threads; connections are opened when first needed, so that a database that is away for a moment
    /// does not stop the hub.
    pub fn start(config: &StoreConfig, metrics: &Arc<Metrics>, health: &Arc<Health>) -> Result<Self, String> {
        let size = config.readers.max(1);
        let pool = diesel::r2d2::Pool::builder()
            .max_size(u32::try_from(size).unwrap_or(u32::MAX))
            .min_idle(Some(1))
            // PostgreSQL connections can die unseen; a SQLite file cannot.
            .test_on_check_out(false)
            .connection_timeout(config.pool_timeout)
            .error_handler(Box::new(diesel::r2d2::NopErrorHandler))
            .build_unchecked(ConnectionManager { backend: config.backend.clone(), is_shared: config.is_shared });
        let (send, receive) = bounded::<Job>(QUEUE);
        let mut threads = Vec::with_capacity(size);
        for index in 0..size {
            let (pool, receive, backend) = (pool.clone(), receive.clone(), config.backend.clone());
            let spawned = std::thread::Builder::new()
                .name(format!("reader-{index}"))
                .spawn(move || serve(&pool, &receive, &backend));
            threads.push(spawned.map_err(|error| format!("cannot start a reader thread: {error}"))?);
        }
        Ok(Self {
            queue: Mutex::new(Some(send)),
            threads: Mutex::new(threads),
            health: health.clone(),
            metrics: metrics.clone(),
            slow: config.slow_query,
            pool,
        })
    }

    /// See [`super::Store::read_load`].
    pub fn load(&self) -> ReadLoad {
        let state = self.pool.state();
        let queued = self.queue.lock().as_ref().map_or(0, Sender::len);
        ReadLoad {
            queued,
            busy: state.connections.saturating_sub(state.idle_connections),
            idle: state.idle_connections,
        }
    }

    /// See [`super::Store::read`].
    pub async fn run<T, F>(&self, query: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, DbError> + Send + 'static,
    {
        let (send, receive) = oneshot::channel();
        let (health, metrics, slow) = (self.health.clone(), self.metrics.clone(), self.slow);
        let job: Job = Box::new(move |conn| {
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
                Err(DbError::Refused(refusal)) => refusal.code() == crate::error::ErrorCode::Unavailable,
                Err(error) => error.is_unavailable(),
                Ok(_) => false,
            };
            health.set(!away);
            // A caller that went away does not need the answer.
            let _ = send.send(outcome);
        });
        self.push(job)?;
        let outcome = receive.await.map_err(|_| ApiError::internal())?;
        outcome.map_err(ApiError::from)
    }

    fn push(&self, job: Job) -> ApiResult<()> {
        let queue = self.queue.lock();
        let Some(queue) = queue.as_ref() else {
            return Err(ApiError::unavailable("The hub is stopping"));
        };
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => ApiError::unavailable("Too many reads are waiting for the database"),
            TrySendError::Disconnected(_) => ApiError::unavailable("The hub is stopping"),
        })
    }

    /// Finishes the queued reads and joins the threads.
    pub fn close(&self) {
        self.queue.lock().take();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                log::error!("a reader thread had panicked");
            }
        }
    }
}

/// Counts a read, and logs a slow one by the name of its code, which no text from outside is part of.
fn note<F>(metrics: &Metrics, elapsed: Duration, slow: Duration) {
    metrics.read(elapsed);
    if elapsed > slow {
        let name = std::any::type_name::<F>().replace("hxa_connect::", "").replace("::{{closure}}", "");
        log::warn!(query:% = name, duration_ms:? = elapsed.as_millis(); "slow query");
    }
}

fn serve(pool: &Pool, jobs: &Receiver<Job>, backend: &Backend) {
    for job in jobs {
        // One immediate retry on PostgreSQL: the pool may hand out a connection that died while it lay idle.
        let mut conn = match pool.get() {
            Ok(conn) => Some(conn),
            Err(error) => {
                log::warn!(database = backend.name(), error:% = error; "no database connection");
                None
            }
        };
        let guarded = std::panic::AssertUnwindSafe(|| job(conn.as_deref_mut()));
        if std::panic::catch_unwind(guarded).is_err() {
            // The job's answer channel is dropped with it: its caller gets 500, the thread lives on.
            log::error!("a database read panicked");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
