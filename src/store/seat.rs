//! The seat of a hub: the one place on a database.
//!
//! A hub takes the seat before it migrates and keeps it until it has closed its last connection. What must hold: two hubs never
//! answer at the same time. Nobody takes the seat while a connection of the hub before lives ([`super::hold`]), so what
//! that one writes is written before; and a hub makes no new connection before it has found its own seat at the
//! database. Who takes a seat leaves a random number in the database. A hub whose seat was gone for a while, because the server was
//! restarted or its network was cut, takes it again when the number is still its own; another number means that
//! somebody was there meanwhile and that its memory is stale: then it has lost the seat for good and must end.

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
use super::hold::{self, AGAIN, Kept, Lock};
use super::statement::Statement;

/// Between two looks at the seat.
const LOOK: Duration = Duration::from_secs(1);
/// A hub that has not seen its seat for this long answers nobody. The server needs longer to let go of the locks of a hub that
/// it does not hear from (`tcp_keepalives` in [`super::pins`]).
const SURE_MS: u64 = 5000;
/// The name under which the number of the seat lies among the marks.
const MARK: &str = "seat";
/// What a hub calls itself where it waits or is waited for.
const A_HUB: &str = "a hub";

/// A hub's place on its database.
pub struct Seat {
    backend: Backend,
    kept: Mutex<Option<Kept>>,
    /// The process of the server that has the seat, to be ended when its connection is gone for this side only.
    process: Mutex<Option<i32>>,
    number: i64,
    is_claimed: AtomicBool,
    is_standby: AtomicBool,
    since: Instant,
    confirmed_ms: AtomicU64,
    lost: watch::Sender<bool>,
    looking: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

impl Seat {
    /// Takes the seat, waiting that long for a hub that ends.
    ///
    /// # Errors
    /// While another hub has it, or a command has the database alone.
    pub fn take(backend: &Backend, patience: Duration) -> Result<Arc<Self>, String> {
        let (since, mut told) = (Instant::now(), false);
        let kept = loop {
            match hold::take_alone(backend, A_HUB)? {
                Ok(kept) => break kept,
                Err(who) if since.elapsed() >= patience => {
                    return Err(format!(
                        "another hub runs on this database, or a command changes it: {who}. One database serves one hub at a \
                         time; stop that one first (waited {} seconds for it)",
                        patience.as_secs()
                    ));
                }
                Err(who) => {
                    if !std::mem::replace(&mut told, true) {
                        log::warn!(holder = who, seconds = patience.as_secs(); "the database is in use; waiting for its hub to end");
                    }
                    std::thread::sleep(AGAIN);
                }
            }
        };
        let seat = Self {
            backend: backend.clone(),
            kept: Mutex::new(Some(kept)),
            process: Mutex::default(),
            number: i64::from(rand::random::<u32>()).saturating_add(1),
            is_claimed: AtomicBool::new(false),
            is_standby: AtomicBool::new(false),
            since: Instant::now(),
            confirmed_ms: AtomicU64::new(0),
            lost: watch::channel(false).0,
            looking: Mutex::default(),
        };
        Ok(Arc::new(seat))
    }

    /// Marks the seat as this hub's, once the tables are there, and lets the hub's own connections in.
    ///
    /// # Errors
    /// When the database fails otherwise than by being read only.
    pub fn keep(self: &Arc<Self>) -> Result<(), String> {
        let mut kept = self.kept.lock();
        if let Some(Kept::Connection(conn)) = kept.as_mut() {
            let found = self.claim(conn).and_then(|()| look(conn));
            match found {
                Ok(found) => self.note(&found),
                // It serves what can be read, is not ready, and tries again.
                Err(error) if super::is_unavailable(&error) => {
                    log::error!(error:% = error; "the database cannot be written to; the hub is not ready until it can");
                    self.note(&look(conn).map_err(|error| format!("cannot look at the database: {error}"))?);
                }
                Err(error) => return Err(format!("cannot mark the database as in use: {error}")),
            }
        }
        if let Some(kept) = kept.as_mut() {
            hold::open_to_own(kept)?;
        }
        drop(kept);
        self.watch()
    }

    fn claim(&self, conn: &mut DbConnection) -> QueryResult<()> {
        mark(conn, self.number)?;
        self.is_claimed.store(true, Ordering::Release);
        Ok(())
    }

    /// Looks at the seat every second, on a thread of its own.
    fn watch(self: &Arc<Self>) -> Result<(), String> {
        let (stop, stopped) = bounded::<()>(0);
        let seat = Arc::downgrade(self);
        let look = move || {
            while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                let Some(seat) = seat.upgrade() else { return };
                if let Err(error) = seat.confirm() {
                    log::debug!(error; "the seat could not be looked at");
                }
            }
        };
        let thread = std::thread::Builder::new().name("seat".to_owned()).spawn(look);
        let thread = thread.map_err(|error| format!("cannot start the watch of the seat: {error}"))?;
        *self.looking.lock() = Some((stop, thread));
        Ok(())
    }

    /// Finds the seat at the database, or takes it again.
    ///
    /// # Errors
    /// When the database is away, or somebody else has the seat.
    pub fn confirm(&self) -> Result<(), String> {
        if self.is_lost() {
            return Err("another hub has taken over this database".to_owned());
        }
        let mut kept = self.kept.lock();
        match kept.as_mut() {
            None => Ok(()),
            Some(Kept::Nothing) => {
                self.confirmed();
                Ok(())
            }
            Some(Kept::File(file)) => {
                if file.renew()? {
                    self.confirmed();
                    Ok(())
                } else {
                    Err(self.lose())
                }
            }
            Some(Kept::Connection(conn)) => {
                let found = match look(conn) {
                    Ok(found) => found,
                    Err(_) => {
                        **conn = self.take_again()?;
                        look(conn).map_err(|error| error.to_string())?
                    }
                };
                self.judge(conn, &found)
            }
        }
    }

    /// Whether what was found at the seat is still this hub's.
    fn judge(&self, conn: &mut DbConnection, found: &Found) -> Result<(), String> {
        if !self.is_claimed.load(Ordering::Acquire) {
            self.note(found);
            // Still read only, most likely: then reads are good, and the writers tell callers of the rest.
            if let Err(error) = self.claim(conn) {
                log::debug!(error:% = error; "the database cannot be written to yet");
            }
            return Ok(());
        }
        if found.number != Some(self.number) {
            return Err(self.lose());
        }
        self.note(found);
        Ok(())
    }

    /// The seat on a new connection, after the old one broke.
    fn take_again(&self) -> Result<DbConnection, String> {
        let mut conn = self.backend.connect().map_err(|error| error.to_string())?;
        hold::name(&mut conn, A_HUB)?;
        let shared = hold::share(&mut conn).map_err(|error| error.to_string())?;
        let seated = hold::ask(&mut conn, "pg_try_advisory_lock", Lock::Seat).map_err(|error| error.to_string())?;
        if shared && seated {
            log::info!("the hub has its place on the database again");
            return Ok(conn);
        }
        let found = look(&mut conn).map_err(|error| error.to_string())?;
        if self.is_claimed.load(Ordering::Acquire) && found.number != Some(self.number) {
            return Err(self.lose());
        }
        // The server may not have noticed yet that the old connection is gone.
        if let Some(process) = *self.process.lock() {
            end_own(&mut conn, process);
        }
        Err("the hub's place on the database is taken".to_owned())
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
            log::error!("another hub has taken over this database; this one must end");
        }
        "another hub has taken over this database".to_owned()
    }

    /// True once somebody else has been on the database: nothing that this hub remembers counts any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Whether this hub is known to be the one: it has seen its seat a moment ago.
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

    /// Resolves when the seat is lost.
    pub async fn lost(&self) {
        let mut lost = self.lost.subscribe();
        if lost.wait_for(|lost| *lost).await.is_err() {
            // The sender lives as long as this value.
            std::future::pending::<()>().await;
        }
    }

    /// Gives the seat up, after the last connection of the hub is closed.
    pub fn leave(&self) {
        self.kept.lock().take();
        if let Some((stop, thread)) = self.looking.lock().take() {
            drop(stop);
            if thread.join().is_err() {
                log::error!("the watch of the seat had panicked");
            }
        }
    }
}

/// Tells a hub that is away for a moment that its memory is out of date, on the connection of a command that changes rows.
pub fn disturb(conn: &mut DbConnection) -> QueryResult<()> {
    mark(conn, i64::from(rand::random::<u32>()).saturating_add(1))
}

fn mark(conn: &mut DbConnection, number: i64) -> QueryResult<()> {
    let upsert = "INSERT INTO writer_marks (writer, batch) VALUES ($1, $2) \
                  ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch";
    Statement::new(upsert).text(MARK).number(number).execute(conn).map(|_| ()).map_err(plain)
}

/// What lies at the seat.
#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Nullable<BigInt>)]
    number: Option<i64>,
    #[diesel(sql_type = Nullable<Integer>)]
    process: Option<i32>,
    #[diesel(sql_type = Bool)]
    in_recovery: bool,
}

fn look(conn: &mut DbConnection) -> QueryResult<Found> {
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

/// Ends a session that was this hub's own, if the number is not somebody else's by now.
fn end_own(conn: &mut DbConnection, process: i32) {
    let DbConnection::Postgres(conn) = conn else { return };
    let ended = sql_query(
        "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE pid = $1 AND usename = current_user \
         AND application_name = current_setting('application_name')",
    );
    if let Err(error) = ended.bind::<Integer, _>(process).execute(conn) {
        log::debug!(error:% = error; "the old session of the hub could not be ended");
    }
}
