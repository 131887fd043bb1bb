//! The lease of a database: it allows one hub at a time.
//!
//! A hub acquires the lease before it migrates and keeps it until it has closed its last connection. The invariant: two hubs never
//! answer requests at the same time. The lease cannot be acquired while a connection of the previous hub is open
//! ([`super::database_lock`]), so all writes of that hub come first; and a hub opens no new connection before it has confirmed its own
//! lease. Acquiring the lease stores a random number in the database. A hub that lost the lease for a while, because the server was
//! restarted or its network was cut, reacquires it if the number is still its own. Another number means that another hub or command has
//! changed the database and that the caches are stale: then the lease is lost for good and the hub must exit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::connection::{Backend, DbConnection};
use super::database_lock::{self, Held, Lock, RETRY_INTERVAL};
use super::statement::Statement;

/// Between two checks of the lease.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// A hub that has not confirmed its lease for this long refuses requests. The server takes longer to release the locks of a hub
/// that does not respond (`tcp_keepalives` in [`super::pins`]).
const SURE_MS: u64 = 5000;
/// The key of the lease's number in `writer_marks`; part of the stored format.
const MARK: &str = "seat";
/// How a hub names itself to others that wait for the lock.
const A_HUB: &str = "a hub";

/// A hub's exclusive lease of its database.
pub struct Lease {
    backend: Backend,
    held: Mutex<Option<Held>>,
    /// The server process that holds the lease; ended when its connection is gone on this side only.
    process: Mutex<Option<i32>>,
    number: i64,
    is_claimed: AtomicBool,
    is_standby: AtomicBool,
    since: Instant,
    confirmed_ms: AtomicU64,
    lost: watch::Sender<bool>,
    checking: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

impl Lease {
    /// Acquires the lease; waits up to `patience` for another hub to stop.
    ///
    /// # Errors
    /// While another hub holds it, or a command holds the database exclusively.
    pub fn acquire(backend: &Backend, patience: Duration) -> Result<Arc<Self>, String> {
        let (since, mut warned) = (Instant::now(), false);
        let held = loop {
            match database_lock::try_exclusive(backend, A_HUB)? {
                Ok(held) => break held,
                Err(who) if since.elapsed() >= patience => {
                    return Err(format!(
                        "another hub runs on this database, or a command changes it: {who}. One database serves one hub at a \
                         time; stop that one first (waited {} seconds for it)",
                        patience.as_secs()
                    ));
                }
                Err(who) => {
                    if !std::mem::replace(&mut warned, true) {
                        log::warn!(holder = who, seconds = patience.as_secs(); "the database is in use; waiting for the other hub to stop");
                    }
                    std::thread::sleep(RETRY_INTERVAL);
                }
            }
        };
        let lease = Self {
            backend: backend.clone(),
            held: Mutex::new(Some(held)),
            process: Mutex::default(),
            number: i64::from(rand::random::<u32>()).saturating_add(1),
            is_claimed: AtomicBool::new(false),
            is_standby: AtomicBool::new(false),
            since: Instant::now(),
            confirmed_ms: AtomicU64::new(0),
            lost: watch::channel(false).0,
            checking: Mutex::default(),
        };
        Ok(Arc::new(lease))
    }

    /// Stores the lease's number, once the tables exist, and admits the hub's own connections.
    ///
    /// # Errors
    /// If the database fails for another reason than being read-only.
    pub fn keep(self: &Arc<Self>) -> Result<(), String> {
        let mut held = self.held.lock();
        if let Some(Held::Connection(conn)) = held.as_mut() {
            let found = self.claim(conn).and_then(|()| read(conn));
            match found {
                Ok(found) => self.note(&found),
                // The hub serves reads, is not ready, and tries again.
                Err(error) if super::is_unavailable(&error) => {
                    log::error!(error:% = error; "the database is not writable; the hub is not ready until it is");
                    self.note(&read(conn).map_err(|error| format!("cannot read the lease of the database: {error}"))?);
                }
                Err(error) => return Err(format!("cannot mark the database as in use: {error}")),
            }
        }
        if let Some(held) = held.as_mut() {
            database_lock::admit_own(held)?;
        }
        drop(held);
        self.watch()
    }

    fn claim(&self, conn: &mut DbConnection) -> QueryResult<()> {
        mark(conn, self.number)?;
        self.is_claimed.store(true, Ordering::Release);
        Ok(())
    }

    /// Checks the lease every second, on a dedicated thread.
    fn watch(self: &Arc<Self>) -> Result<(), String> {
        let (stop, stopped) = bounded::<()>(0);
        let lease = Arc::downgrade(self);
        let check = move || {
            while stopped.recv_timeout(CHECK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let Some(lease) = lease.upgrade() else { return };
                if let Err(error) = lease.confirm() {
                    log::debug!(error; "cannot confirm the lease of the database; trying again");
                }
            }
        };
        let thread = std::thread::Builder::new().name("lease".to_owned()).spawn(check);
        let thread = thread.map_err(|error| format!("cannot start the thread that checks the lease: {error}"))?;
        *self.checking.lock() = Some((stop, thread));
        Ok(())
    }

    /// Confirms the lease at the database, or reacquires it.
    ///
    /// # Errors
    /// If the database is unavailable, or another process holds the lease.
    pub fn confirm(&self) -> Result<(), String> {
        if self.is_lost() {
            return Err("another hub has taken over this database".to_owned());
        }
        let mut held = self.held.lock();
        match held.as_mut() {
            None => Ok(()),
            Some(Held::Nothing) => {
                self.confirmed();
                Ok(())
            }
            Some(Held::File(file)) => {
                if file.renew()? {
                    self.confirmed();
                    Ok(())
                } else {
                    Err(self.lose())
                }
            }
            Some(Held::Connection(conn)) => {
                let found = match read(conn) {
                    Ok(found) => found,
                    Err(_) => {
                        **conn = self.reacquire()?;
                        read(conn).map_err(|error| error.to_string())?
                    }
                };
                self.judge(conn, &found)
            }
        }
    }

    /// Checks that the lease found in the database is still this hub's.
    fn judge(&self, conn: &mut DbConnection, found: &Found) -> Result<(), String> {
        if !self.is_claimed.load(Ordering::Acquire) {
            self.note(found);
            // Most likely still read-only: reads work, and the writers refuse the rest.
            if let Err(error) = self.claim(conn) {
                log::debug!(error:% = error; "the database is not writable yet");
            }
            return Ok(());
        }
        if found.number != Some(self.number) {
            return Err(self.lose());
        }
        self.note(found);
        Ok(())
    }

    /// Acquires the lease on a new connection, after the old one broke.
    fn reacquire(&self) -> Result<DbConnection, String> {
        let mut conn = self.backend.connect().map_err(|error| error.to_string())?;
        database_lock::name(&mut conn, A_HUB)?;
        let shared = database_lock::share(&mut conn).map_err(|error| error.to_string())?;
        let leased =
            database_lock::ask(&mut conn, "pg_try_advisory_lock", Lock::Lease).map_err(|error| error.to_string())?;
        if shared && leased {
            log::info!("the hub has reacquired the lease of its database");
            return Ok(conn);
        }
        let found = read(&mut conn).map_err(|error| error.to_string())?;
        if self.is_claimed.load(Ordering::Acquire) && found.number != Some(self.number) {
            return Err(self.lose());
        }
        // The server may not have noticed yet that the old connection is gone.
        if let Some(process) = *self.process.lock() {
            end_own(&mut conn, process);
        }
        Err("another session holds the lease of the database".to_owned())
    }

    fn note(&self, found: &Found) {
        *self.process.lock() = found.process;
        self.is_standby.store(found.in_recovery, Ordering::Release);
        self.confirmed();
    }

    fn confirmed(&self) {
        self.confirmed_ms.store(self.now_ms(), Ordering::Release);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lose(&self) -> String {
        if !self.lost.send_replace(true) {
            log::error!("another hub has taken over this database; this one must exit");
        }
        "another hub has taken over this database".to_owned()
    }

    /// True once another process has changed the database: the hub's caches are stale.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Whether this hub certainly holds the lease: it has confirmed it recently.
    #[must_use]
    pub fn is_sure(&self) -> bool {
        let is_fresh = || self.now_ms().saturating_sub(self.confirmed_ms.load(Ordering::Acquire)) < SURE_MS;
        !self.is_lost() && (matches!(self.backend, Backend::Sqlite(_)) || is_fresh())
    }

    /// Whether the server is a standby, which takes no writes.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.is_standby.load(Ordering::Acquire)
    }

    /// Resolves when the lease is lost.
    pub async fn lost(&self) {
        let mut lost = self.lost.subscribe();
        if lost.wait_for(|lost| *lost).await.is_err() {
            // The sender lives as long as this value.
            std::future::pending::<()>().await;
        }
    }

    /// Releases the lease, after the last connection of the hub is closed.
    pub fn release(&self) {
        self.held.lock().take();
        if let Some((stop, thread)) = self.checking.lock().take() {
            drop(stop);
            if thread.join().is_err() {
                log::error!("the thread that checks the lease panicked");
            }
        }
    }
}

impl super::Store {
    /// The number of this hub's lease, which the database has as well; `None` on SQLite, and for a command.
    #[must_use]
    pub fn lease_number(&self) -> Option<i64> {
        let lease = self.inner.access.lease()?;
        matches!(lease.backend, Backend::Postgres(_)).then_some(lease.number)
    }
}

/// The number of the newest lease of a database, by which a hub on it is recognized; `None` on SQLite, where the data folder
/// tells, and while no hub has ever been there.
///
/// # Errors
/// If the database cannot be reached or has no tables yet.
pub fn newest_number(backend: &Backend) -> Result<Option<i64>, String> {
    let Backend::Postgres(_) = backend else { return Ok(None) };
    let mut conn = backend.connect().map_err(|error| format!("cannot open the database: {error}"))?;
    read(&mut conn).map(|found| found.number).map_err(|error| format!("cannot read the lease of the database: {error}"))
}

/// Invalidates the caches of a hub that is disconnected at the moment; for a command that changes rows, on its connection.
pub(super) fn invalidate(conn: &mut DbConnection) -> QueryResult<()> {
    mark(conn, i64::from(rand::random::<u32>()).saturating_add(1))
}

fn mark(conn: &mut DbConnection, number: i64) -> QueryResult<()> {
    let upsert = "INSERT INTO writer_marks (writer, batch) VALUES ($1, $2) \
                  ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch";
    Statement::new(upsert).text(MARK).number(number).execute(conn).map(|_| ()).map_err(plain)
}

/// The lease as the database has it.
#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Nullable<BigInt>)]
    number: Option<i64>,
    #[diesel(sql_type = Nullable<Integer>)]
    process: Option<i32>,
    #[diesel(sql_type = Bool)]
    in_recovery: bool,
}

fn read(conn: &mut DbConnection) -> QueryResult<Found> {
    sql_query(
        "SELECT (SELECT batch FROM writer_marks WHERE writer = 'seat') AS number, pg_backend_pid() AS process, \
         pg_is_in_recovery() AS in_recovery",
    )
    .get_result(conn)
}

fn plain(error: super::DbError) -> diesel::result::Error {
    match error {
        super::DbError::Database(error) => error,
        super::DbError::Refused(_) => diesel::result::Error::RollbackTransaction,
    }
}

/// Ends an old session of this hub, if its process id does not belong to another session by now.
fn end_own(conn: &mut DbConnection, process: i32) {
    let DbConnection::Postgres(conn) = conn else { return };
    let ended = sql_query(
        "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE pid = $1 AND usename = current_user \
         AND application_name = current_setting('application_name')",
    );
    if let Err(error) = ended.bind::<Integer, _>(process).execute(conn) {
        log::debug!(error:% = error; "cannot end the old session of the hub");
    }
}
