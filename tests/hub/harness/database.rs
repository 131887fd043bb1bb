//! One fresh database per test: a SQLite file in a temporary folder, or a PostgreSQL database of its own.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, RunQueryDsl, SqliteConnection, sql_query};
use tempfile::TempDir;

use super::Proxy;

/// The two stores that every test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Db {
    Sqlite,
    Postgres,
}

impl std::fmt::Display for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// A database and data folder that live as long as this value.
pub struct Database {
    dir: TempDir,
    postgres: Option<String>,
    is_own: bool,
}

/// Where the PostgreSQL server for tests is; names a database that exists (it is only used to create others).
const SERVER: &str = "HXA_TEST_POSTGRES_URL";

/// Which of the two it is, for messages.
impl std::fmt::Display for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.postgres.is_some() { Db::Postgres } else { Db::Sqlite };
        kind.fmt(f)
    }
}

impl Database {
    /// A fresh one, or `None` when there is no PostgreSQL server to test on (never in CI).
    pub fn fresh(kind: Db) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("hxa-test-").tempdir().unwrap();
        match kind {
            Db::Sqlite => Some(Self { dir, postgres: None, is_own: true }),
            Db::Postgres => {
                let server = server_url()?;
                let name = format!("hxa_t_{}", uuid::Uuid::new_v4().simple());
                admin(&server, &format!("CREATE DATABASE {name}"));
                let mut url = url::Url::parse(&server).unwrap();
                url.set_path(&name);
                Some(Self { dir, postgres: Some(url.into()), is_own: true })
            }
        }
    }

    /// A data folder on a given PostgreSQL database that somebody else owns.
    pub fn on_postgres(url: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("hxa-test-").tempdir().unwrap();
        Self { dir, postgres: Some(url.to_owned()), is_own: false }
    }

    /// SQLite in a folder inside this one.
    pub fn in_folder(parent: &std::path::Path) -> Self {
        Self {
            dir: tempfile::Builder::new().prefix("hxa-test-").tempdir_in(parent).unwrap(),
            postgres: None,
            is_own: true,
        }
    }

    /// The same PostgreSQL database through a proxy.
    pub fn behind_proxy(&self) -> (Proxy, Self) {
        let direct = url::Url::parse(self.postgres.as_deref().expect("a PostgreSQL database")).unwrap();
        let address = format!("{}:{}", direct.host_str().unwrap(), direct.port().unwrap_or(5432));
        let proxy = Proxy::before(&address);
        let via = Self::on_postgres(&proxy.url(direct.as_str()));
        (proxy, via)
    }

    pub fn data_dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The file of a database on SQLite.
    pub fn sqlite_path(&self) -> PathBuf {
        self.dir.path().join("hxa-connect.db")
    }

    /// Runs one statement of SQL, beside the hub if one is there; how many rows it changed.
    #[track_caller]
    pub fn execute(&self, sql: &str) -> usize {
        match &self.postgres {
            Some(url) => sql_query(sql).execute(&mut PgConnection::establish(url).unwrap()).unwrap(),
            None => {
                let mut conn = SqliteConnection::establish(&self.sqlite_path().to_string_lossy()).unwrap();
                conn.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
                sql_query(sql).execute(&mut conn).unwrap()
            }
        }
    }

    pub fn postgres_url(&self) -> Option<&str> {
        self.postgres.as_deref()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(url) = self.postgres.as_ref().filter(|_| self.is_own) else { return };
        let name = url.rsplit('/').next().unwrap();
        if let (true, Some(server)) = (name.starts_with("hxa_t_"), server_url()) {
            admin(&server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

fn server_url() -> Option<String> {
    let url = std::env::var(SERVER).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{SERVER} must name a PostgreSQL server in CI");
        println!("note: {SERVER} is not set; the PostgreSQL half of this test did not run");
    }
    url
}

fn admin(server: &str, sql: &str) {
    static CONNECTION: OnceLock<Mutex<PgConnection>> = OnceLock::new();
    let connection = CONNECTION.get_or_init(|| Mutex::new(PgConnection::establish(server).unwrap()));
    let mut connection: MutexGuard<'_, PgConnection> = connection.lock().unwrap_or_else(|e| e.into_inner());
    sql_query(sql).execute(&mut *connection).unwrap();
}
