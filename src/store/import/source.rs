//! The source database: its counts, and its rows page by page, in one snapshot.
//!
//! The tables of older servers changed over time and their drivers accepted values of any type, so their rows are read
//! as JSON objects made by the database itself. A file is opened read-only.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Bool, Text};
use serde_json::{Map, Value};

use super::ImportError;
use crate::database_lock::DatabaseLock;
use crate::{Backend, Catalogue, DbConnection, migrate};

/// Rows of a page.
pub const PAGE: i64 = 500;

/// A table whose rows are read as JSON, and how it is walked: an older server's, a feature's, or another program's.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its key; all text.
    pub key: &'static [&'static str],
    /// More columns, made by these expressions over the row `t`.
    pub extra: &'static [(&'static str, &'static str)],
}

/// The source.
pub struct Source {
    conn: DbConnection,
    _lock: Option<DatabaseLock>,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct Exists {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Bytes {
    #[diesel(sql_type = Binary)]
    row: Vec<u8>,
}

#[derive(QueryableByName)]
struct Json {
    #[diesel(sql_type = Text)]
    row: String,
}

impl Source {
    /// Opens a database.
    pub fn open(backend: &Backend) -> Result<Self, ImportError> {
        Ok(Self { conn: open(backend)?, _lock: None })
    }

    /// From here on sees the database as it is now, a hub's own with its lock.
    pub fn begin(&mut self, lock: Option<DatabaseLock>) -> Result<(), ImportError> {
        self._lock = lock;
        Ok(self.conn.batch_execute(match &self.conn {
            DbConnection::Sqlite(_) => "BEGIN",
            DbConnection::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        })?)
    }

    /// The connection, for rows of this hub's own.
    pub fn conn(&mut self) -> &mut DbConnection {
        &mut self.conn
    }

    /// All rows of these tables.
    pub fn sum(&mut self, tables: &[&str]) -> Result<i64, ImportError> {
        tables.iter().try_fold(0, |sum: i64, name| Ok(sum.saturating_add(self.count(name)?.unwrap_or(0))))
    }

    /// Rows of a table; `None` when the source is too old to have it.
    pub fn count(&mut self, table: &str) -> Result<Option<i64>, ImportError> {
        if !has_table(&mut self.conn, table)? {
            return Ok(None);
        }
        count(&mut self.conn, table).map(Some)
    }

    /// The next rows of an older server's table after a key.
    pub fn page(&mut self, table: &Table, after: Option<&[String]>) -> Result<Vec<Map<String, Value>>, ImportError> {
        let columns: Vec<String> = table.key.iter().map(|column| format!("t.\"{column}\"")).collect();
        let columns = columns.join(", ");
        let seek = match after {
            Some(key) => {
                let places: Vec<String> = (1..=key.len()).map(|place| format!("${place}")).collect();
                format!("WHERE ({columns}) > ({})", places.join(", "))
            }
            None => String::new(),
        };
        let rest = format!("FROM \"{}\" t {seek} ORDER BY {columns} LIMIT {PAGE}", table.name);
        let rows = match &mut self.conn {
            DbConnection::Sqlite(conn) => sqlite_rows(conn, table, &rest, after)?,
            DbConnection::Postgres(conn) => postgres_rows(conn, table, &rest, after)?,
        };
        rows.into_iter().map(|row| object(table.name, &row)).collect()
    }
}

fn object(table: &str, row: &str) -> Result<Map<String, Value>, ImportError> {
    serde_json::from_str(row).map_err(|error| ImportError(format!("{table}: a row cannot be read: {error}")))
}

/// Every column as the number or text it is; bytes as text, so that JSON can hold them.
fn sqlite_rows(
    conn: &mut SqliteConnection,
    table: &Table,
    rest: &str,
    after: Option<&[String]>,
) -> Result<Vec<String>, ImportError> {
    let named: Vec<Name> =
        sql_query("SELECT name FROM pragma_table_info($1)").bind::<Text, _>(table.name).load(conn)?;
    let column = |Name { name }: Name| {
        let (key, column) = (name.replace('\'', "''"), name.replace('"', "\"\""));
        format!(
            "'{key}', CASE typeof(t.\"{column}\") WHEN 'blob' THEN CAST(t.\"{column}\" AS TEXT) ELSE t.\"{column}\" END"
        )
    };
    let extra = table.extra.iter().map(|(name, sql)| format!("'{name}', ({sql})"));
    let fields: Vec<String> = named.into_iter().map(column).chain(extra).collect();
    let sql = format!("SELECT CAST(json_object({}) AS BLOB) AS row {rest}", fields.join(", "));
    let mut query = sql_query(sql).into_boxed::<diesel::sqlite::Sqlite>();
    for value in after.unwrap_or_default() {
        query = query.bind::<Text, _>(value.clone());
    }
    let rows: Vec<Bytes> = query.load(conn)?;
    Ok(rows.into_iter().map(|bytes| String::from_utf8_lossy(&bytes.row).into_owned()).collect())
}

fn postgres_rows(
    conn: &mut PgConnection,
    table: &Table,
    rest: &str,
    after: Option<&[String]>,
) -> Result<Vec<String>, ImportError> {
    let extra: String = table.extra.iter().map(|(name, sql)| format!(", ({sql}) AS \"{name}\"")).collect();
    let sql = format!("SELECT row_to_json(r)::text AS row FROM (SELECT t.*{extra} {rest}) r");
    let mut query = sql_query(sql).into_boxed::<diesel::pg::Pg>();
    for value in after.unwrap_or_default() {
        query = query.bind::<Text, _>(value.clone());
    }
    let rows: Vec<Json> = query.load(conn)?;
    Ok(rows.into_iter().map(|json| json.row).collect())
}

/// Opens a database without writing to it.
pub fn open(backend: &Backend) -> Result<DbConnection, ImportError> {
    let failed = |error: diesel::ConnectionError| ImportError(format!("cannot open the source database: {error}"));
    match backend {
        Backend::Sqlite(path) => {
            let place = path.canonicalize().map_err(|error| ImportError(format!("{}: {error}", path.display())))?;
            let url = url::Url::from_file_path(&place)
                .map_err(|()| ImportError(format!("{} cannot be opened", place.display())))?;
            let mut conn = SqliteConnection::establish(&format!("{url}?mode=ro")).map_err(failed)?;
            conn.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA cache_size = -65536")?;
            Ok(DbConnection::Sqlite(conn))
        }
        Backend::Postgres(_) => backend.connect().map_err(failed),
    }
}

/// A hub's own database is only read while no hub holds newer things in memory.
pub fn held(catalogue: &Catalogue, backend: &Backend) -> Result<DatabaseLock, ImportError> {
    let pending = migrate::pending(catalogue, backend)?;
    if !pending.is_empty() {
        return Err(ImportError("the source is of an older hub; run `hxa-connect migrate` on it first".to_owned()));
    }
    DatabaseLock::exclusive(backend).map_err(|error| ImportError(format!("source: {error}")))
}

/// Rows of a table that exists.
pub fn count(conn: &mut DbConnection, table: &str) -> Result<i64, ImportError> {
    let count: Count = sql_query(format!("SELECT count(*) AS n FROM \"{table}\"")).get_result(conn)?;
    Ok(count.n)
}

/// Whether a table exists.
pub fn has_table(conn: &mut DbConnection, table: &str) -> Result<bool, ImportError> {
    let answer: Exists = match conn {
        DbConnection::Sqlite(c) => {
            sql_query("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1) AS yes")
                .bind::<Text, _>(table)
                .get_result(c)?
        }
        DbConnection::Postgres(c) => {
            sql_query("SELECT to_regclass($1) IS NOT NULL AS yes").bind::<Text, _>(table).get_result(c)?
        }
    };
    Ok(answer.yes)
}
