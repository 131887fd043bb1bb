//! One writer's connection and the transaction around a batch.
//!
//! [`Batcher::commit`] answers every commit of a batch exactly once: durable, refused, failed or unknown. A batch that
//! fails is rolled back and retried commit by commit, so a failing commit does not affect the others. A batch that
//! conflicted with another transaction is retried unchanged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, Connection, InstrumentationEvent, TransactionManager};
use diesel::prelude::*;

use super::super::connection::each_backend;
use super::super::connector::Connector;
use super::super::schema::writer_marks;
use super::super::statement::Statement;
use super::super::{Backend, DbConnection, DbError, Health};
use super::watch::Life;
use super::{Commit, apply};
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::secrets;

/// How long an interrupted COMMIT may stay unresolved before its callers are told that its outcome is unknown.
const RESOLVE_FOR: Duration = Duration::from_secs(10);
/// Pause between two attempts to reach a database that is away.
const RETRY_EVERY: Duration = Duration::from_millis(200);
/// Pauses before the attempts of a transaction that is in the way of another.
const CONFLICT_PAUSES: [Duration; 6] = [
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(400),
];

/// A writer's connection, reopened when it breaks.
pub struct Batcher {
    connector: Connector,
    health: Arc<Health>,
    conn: Option<DbConnection>,
    /// Name of this writer's row in `writer_marks`, random per process.
    writer: String,
    /// Number of the newest batch; starts at the clock so that old marks can be recognised by age.
    number: i64,
    watched: Watched,
}

/// What the watch of the writers and a writer tell each other.
pub struct Watched {
    /// Set when nobody waits any more; what is not yet being committed then must not be.
    pub given_up: Arc<AtomicBool>,
    /// Signed whenever the database answers.
    pub life: Arc<Life>,
}

/// Why a transaction did not commit.
enum Failure {
    /// The statement at hand is at fault; others may succeed.
    Statement(DbError),
    /// The database is away; nothing of the batch is stored.
    Away(DbError),
    /// The connection broke during COMMIT and could not be resolved.
    Unknown,
}

impl Failure {
    fn into_error(self) -> ApiError {
        match self {
            Failure::Statement(error) | Failure::Away(error) => error.into(),
            Failure::Unknown => ApiError::unavailable(
                "The database went away during the commit; whether the change is stored is unknown",
            ),
        }
    }
}

impl Batcher {
    pub fn new(connector: Connector, index: usize, health: Arc<Health>, watched: Watched) -> Self {
        let number = crate::clock::now_ms().saturating_mul(1000);
        let writer = format!("writer-{index}-{}", secrets::hex_token("", 16));
        Self { connector, health, conn: None, writer, number, watched }
    }

    /// Commits what can be committed; one outcome per commit, in order.
    pub fn commit(&mut self, commits: &[Commit]) -> Vec<ApiResult<()>> {
        let all: Vec<&Commit> = commits.iter().filter(|commit| !commit.is_fenced_off()).collect();
        if all.len() == commits.len() {
            match self.transaction(&all) {
                Ok(()) => return commits.iter().map(|_| Ok(())).collect(),
                Err(Failure::Statement(error)) if commits.len() == 1 => return vec![Err(error.into())],
                Err(Failure::Statement(_)) => {}
                Err(failure) => {
                    let error = failure.into_error();
                    return commits.iter().map(|_| Err(error.clone())).collect();
                }
            }
        }
        commits.iter().map(|commit| self.commit_alone(commit)).collect()
    }

    fn commit_alone(&mut self, commit: &Commit) -> ApiResult<()> {
        if commit.is_fenced_off() || self.watched.given_up.load(Ordering::Acquire) {
            return Err(ApiError::unavailable("An earlier change of the same thread failed; try again"));
        }
        let outcome = self.transaction(&[commit]).map_err(Failure::into_error);
        if outcome.is_err()
            && let Some(fence) = commit.borne()
        {
            // At once, not when the outcome is delivered: later commits of this batch stand behind the same fence.
            fence.poison();
        }
        outcome
    }

    /// One transaction; a connection that died while idle is replaced once, unseen.
    fn transaction(&mut self, commits: &[&Commit]) -> Result<(), Failure> {
        let had_connection = self.conn.is_some();
        let mut outcome = self.try_transaction(commits);
        if matches!(outcome, Err(Failure::Away(_))) && had_connection && !self.is_given_up() {
            outcome = self.try_transaction(commits);
        }
        for pause in CONFLICT_PAUSES {
            let is_conflict = matches!(&outcome, Err(Failure::Statement(error)) if error.is_conflict());
            if !is_conflict || self.is_given_up() {
                break;
            }
            // Whoever was in the way has gone on; so as not to meet again, the writers do not wait equally long.
            std::thread::sleep(pause + Duration::from_micros(u64::from(rand::random::<u16>()) / 8));
            outcome = self.try_transaction(commits);
        }
        self.health.set(!matches!(outcome, Err(Failure::Away(_) | Failure::Unknown)));
        outcome
    }

    fn is_given_up(&self) -> bool {
        self.watched.given_up.load(Ordering::Acquire)
    }

    fn try_transaction(&mut self, commits: &[&Commit]) -> Result<(), Failure> {
        self.number = self.number.saturating_add(1);
        let (number, writer) = (self.number, self.writer.clone());
        let conn = self.connection().map_err(Failure::Away)?;
        let guarded = std::panic::AssertUnwindSafe(|| -> Result<(), DbError> {
            begin(conn)?;
            apply::apply(conn, commits)?;
            mark(conn, &writer, number)
        });
        match std::panic::catch_unwind(guarded) {
            Ok(Ok(())) => self.commit_transaction(),
            Ok(Err(error)) => Err(self.give_up(error)),
            Err(_) => {
                log::error!("a database write panicked");
                self.conn = None;
                Err(Failure::Statement(DbError::Refused(ApiError::internal())))
            }
        }
    }

    /// Rolls back; a connection that cannot roll back is dropped.
    fn give_up(&mut self, error: DbError) -> Failure {
        let rolled_back = self.conn.as_mut().is_some_and(|conn| rollback(conn).is_ok());
        let is_away = error.is_away();
        // A SQLite file that could not be written when it was opened stays so for that connection.
        if !rolled_back || (is_away && matches!(self.connector.backend, Backend::Sqlite(_))) {
            self.conn = None;
        }
        // Whatever the error says, and in whichever language: a connection that cannot roll back is gone.
        let is_gone = !rolled_back && !matches!(error, DbError::Refused(_));
        if is_away || is_gone { Failure::Away(error) } else { Failure::Statement(error) }
    }

    fn commit_transaction(&mut self) -> Result<(), Failure> {
        if self.watched.given_up.load(Ordering::Acquire) {
            return Err(self.give_up(DbError::Refused(ApiError::unavailable("The database does not answer"))));
        }
        let Some(conn) = self.conn.as_mut() else {
            return Err(Failure::Unknown);
        };
        let Err(error) = commit(conn) else {
            return Ok(());
        };
        let error = DbError::from(error);
        let is_postgres = matches!(self.connector.backend, Backend::Postgres(_));
        if is_postgres && (error.is_away() || self.is_broken()) {
            self.resolve(error)
        } else {
            Err(self.give_up(error))
        }
    }

    fn is_broken(&mut self) -> bool {
        use diesel::r2d2::R2D2Connection;
        self.conn.as_mut().is_none_or(|conn| each_backend!(conn, |c| R2D2Connection::is_broken(c)))
    }

    /// The connection broke while COMMIT was under way: the batch mark tells whether it went through. The server may
    /// still be at it, so the mark is asked for in a way that waits for the transaction that holds it.
    fn resolve(&mut self, error: DbError) -> Result<(), Failure> {
        self.conn = None;
        let deadline = Instant::now() + RESOLVE_FOR;
        while Instant::now() < deadline && !self.watched.given_up.load(Ordering::Acquire) {
            let (writer, number) = (self.writer.clone(), self.number);
            let stored = self.connection().and_then(|conn| stored_mark(conn, &writer));
            match stored {
                Ok(stored) if stored == number => return Ok(()),
                Ok(_) => return Err(Failure::Away(error)),
                Err(_) => {
                    self.conn = None;
                    std::thread::sleep(RETRY_EVERY);
                }
            }
        }
        Err(Failure::Unknown)
    }

    fn connection(&mut self) -> Result<&mut DbConnection, DbError> {
        if self.connector.is_closed() {
            self.conn = None;
            return Err(DbError::Refused(ApiError::unavailable("Another hub has taken over the database")));
        }
        if self.conn.is_none() {
            let opened = self.connector.open().map_err(|error| {
                log::warn!(database = self.connector.backend.name(), error:% = error; "cannot connect for writing");
                DbError::Refused(ApiError::unavailable("The database is not available right now"))
            });
            match opened {
                Ok(mut conn) => {
                    let life = self.watched.life.clone();
                    conn.set_instrumentation(move |_: InstrumentationEvent<'_>| life.sign());
                    self.conn = Some(conn);
                }
                Err(error) => return Err(error),
            }
        }
        self.conn.as_mut().ok_or_else(|| DbError::Refused(ApiError::internal()))
    }
}

fn begin(conn: &mut DbConnection) -> Result<(), DbError> {
    match conn {
        // IMMEDIATE takes the write lock now, so a lock held by another process is waited for here and not in COMMIT.
        DbConnection::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")?,
        DbConnection::Postgres(c) => AnsiTransactionManager::begin_transaction(c)?,
    }
    Ok(())
}

fn commit(conn: &mut DbConnection) -> QueryResult<()> {
    each_backend!(conn, |c| AnsiTransactionManager::commit_transaction(c))
}

fn rollback(conn: &mut DbConnection) -> QueryResult<()> {
    each_backend!(conn, |c| AnsiTransactionManager::rollback_transaction(c))
}

/// PostgreSQL only: SQLite's COMMIT cannot be lost on the way.
fn mark(conn: &mut DbConnection, writer: &str, number: i64) -> Result<(), DbError> {
    if matches!(conn, DbConnection::Postgres(_)) {
        let upsert =
            "INSERT INTO writer_marks (writer, batch) VALUES ($1, $2) ON CONFLICT (writer) DO UPDATE SET batch = $2";
        Statement::new(upsert).text(writer).number(number).execute(conn)?;
    }
    Ok(())
}

/// The number of the writer's newest batch that is stored, 0 if there is none. An update and not a read: it waits until
/// a transaction that has written the mark, even for the first time, has ended.
fn stored_mark(conn: &mut DbConnection, writer: &str) -> Result<i64, DbError> {
    let DbConnection::Postgres(c) = conn else {
        return Ok(0);
    };
    let stored = diesel::insert_into(writer_marks::table)
        .values((writer_marks::writer.eq(writer), writer_marks::batch.eq(0)))
        .on_conflict(writer_marks::writer)
        .do_update()
        .set(writer_marks::writer.eq(writer))
        .returning(writer_marks::batch)
        .get_result(c)?;
    Ok(stored)
}

const _: fn() = || {
    fn is_connection<C: Connection>() {}
    is_connection::<DbConnection>();
};
