//! One connection type over SQLite and PostgreSQL, and how connections of each are opened.
//!
//! SQLite runs in WAL mode with `synchronous=FULL` and foreign keys on: a commit is on disk before it is acknowledged.
//! PostgreSQL runs with `synchronous_commit` on, whatever its role says, and a statement timeout, so that a hanging
//! database causes an error instead of a hanging hub ([`super::pins`]). [`each_backend!`] is for the few statements
//! that MultiConnection cannot express.

use std::path::PathBuf;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::{DbError, pins, private};
pub use multi::{DbConnection, MultiBackend};

mod multi {
    use diesel::{PgConnection, SqliteConnection};

    /// A connection to whichever database the hub runs on.
    #[derive(diesel::MultiConnection)]
    pub enum DbConnection {
        /// PostgreSQL, for production.
        Postgres(PgConnection),
        /// SQLite, the embedded default.
        Sqlite(SqliteConnection),
    }
}

/// Runs the same body against the concrete connection of either backend, for batch inserts, upserts and RETURNING.
macro_rules! each_backend {
    ($conn:expr, |$c:ident| $body:expr) => {
        match $conn {
            $crate::connection::DbConnection::Postgres($c) => $body,
            $crate::connection::DbConnection::Sqlite($c) => $body,
        }
    };
}
pub(crate) use each_backend;

/// Which database, and where.
#[derive(Debug, Clone)]
pub enum Backend {
    /// A file; `:memory:` is not supported because readers need the same data.
    Sqlite(PathBuf),
    /// A `postgres://` URL; never logged.
    Postgres(PostgresTarget),
}

/// Address of a PostgreSQL database; its `Debug` hides the URL because it holds the password.
#[derive(Clone)]
pub struct PostgresTarget {
    /// libpq connection URL.
    pub url: String,
    /// Server-side limit of one statement in milliseconds.
    pub statement_timeout_ms: u64,
}

impl std::fmt::Debug for PostgresTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresTarget(***)")
    }
}

impl Backend {
    /// `sqlite` or `postgres`, for logs and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Backend::Sqlite(_) => "sqlite",
            Backend::Postgres(_) => "postgres",
        }
    }

    /// Opens one connection, ready for use.
    ///
    /// # Errors
    /// When the database is not reachable or refuses.
    pub fn connect(&self) -> ConnectionResult<DbConnection> {
        match self {
            Backend::Sqlite(path) => open_sqlite(path).map(DbConnection::Sqlite),
            Backend::Postgres(target) => open_postgres(target).map(DbConnection::Postgres),
        }
    }
}

/// Reads with several statements that all see the same state of the database.
///
/// # Errors
/// What the query refuses, and when the database fails.
pub fn read_consistently<T>(
    conn: &mut DbConnection,
    query: impl FnOnce(&mut DbConnection) -> Result<T, DbError>,
) -> Result<T, DbError> {
    conn.transaction(|conn| {
        // A transaction of SQLite does so by itself.
        if let DbConnection::Postgres(conn) = conn {
            conn.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        }
        query(conn)
    })
}

/// Whether a connection lives.
pub(super) fn ping(conn: &mut DbConnection) -> QueryResult<()> {
    diesel::sql_query("SELECT 1").execute(conn).map(|_| ())
}

/// How long a SQLite statement waits for another process that holds the file.
const SQLITE_BUSY: Duration = Duration::from_secs(5);

/// Pages of the write-ahead log that are copied into the database at once. Most are of the same few thousand places that are
/// written to again and again, and only the newest of each is copied: 64 MB of log cost a third of what 16 MB cost. But everybody
/// waits for the copying, so it is 48.
const WAL_PAGES: usize = 12_000;

fn open_sqlite(path: &std::path::Path) -> ConnectionResult<SqliteConnection> {
    // SQLite would make the file readable for all; those beside it get its mode. Whether it can be made is for SQLite to say.
    if let Err(error) = private::ensure(path) {
        log::debug!(error:% = error; "cannot create the database file");
    }
    let mut conn = SqliteConnection::establish(&sqlite_name(path)?)?;
    // mmap and cache sizes are per connection; 64 MiB of cache keeps the hot index pages of a busy hub in memory.
    let pragmas = format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = {};",
        SQLITE_BUSY.as_millis(),
        WAL_PAGES
    );
    conn.batch_execute(&pragmas).map_err(ConnectionError::CouldntSetupConfiguration)?;
    super::matching::register(&mut conn).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// The name of a file as SQLite takes it: text, and not one that reads as a URI.
fn sqlite_name(path: &std::path::Path) -> ConnectionResult<String> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let bad = || ConnectionError::BadConnection(format!("{} is not a path in UTF-8", path.display()));
    whole.to_str().map(str::to_owned).ok_or_else(bad)
}

fn open_postgres(target: &PostgresTarget) -> ConnectionResult<PgConnection> {
    let mut conn = super::tls::establish(&with_timeouts(&target.url))?;
    for setup in pins::statements(target.statement_timeout_ms) {
        conn.batch_execute(&setup).map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    Ok(conn)
}

/// Adds libpq's own limits for reaching the server and noticing that it is gone, unless the URL sets them.
fn with_timeouts(url: &str) -> String {
    let mut url = url.trim().to_owned();
    for (key, value) in [("connect_timeout", "3"), ("tcp_user_timeout", "8000"), ("keepalives_idle", "10")] {
        if !url.contains(&format!("{key}=")) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&format!("{key}={value}"));
        }
    }
    url
}
