//! A copy of the whole database, taken while the hub runs, and restoring one.
//!
//! The invariants: a copy contains everything committed before it began, and no partial transaction; a copy is verified
//! before it is reported as complete; a database that is in use or not empty is not overwritten unless the caller
//! insists. SQLite copies itself (`VACUUM INTO`); PostgreSQL is copied by its own `pg_dump` and `pg_restore`.

mod postgres;
mod script;
mod sqlite;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};

use super::stored_path::StoredPath;
use super::{Backend, Catalogue, DbConnection};

/// The kernel's tables, each behind those that its rows refer to.
const TABLES: [&str; 26] = [
    STEPS,
    "writer_marks",
    "orgs",
    "org_settings",
    "bots",
    "bot_tokens",
    "org_tickets",
    "invite_codes",
    "tombstones",
    "people",
    "person_links",
    "sessions",
    "channels",
    "channel_messages",
    "threads",
    "thread_participants",
    "thread_join_requests",
    "thread_messages",
    "artifacts",
    "files",
    "audit_log",
    "catchup_events",
    "webhook_deliveries",
    "webhook_health",
    "idempotency_keys",
    "webhook_payloads",
];

/// Where diesel notes the schema steps that are in.
const STEPS: &str = "__diesel_schema_migrations";

/// The tables of a program, each behind those that its rows refer to; a copy has these and no others.
fn all_tables(catalogue: &Catalogue) -> Vec<&'static str> {
    TABLES.into_iter().chain(catalogue.tables().map(|table| table.name)).collect()
}

/// What is known of a copy.
pub struct Saved {
    /// Its schema steps.
    pub schema: Vec<String>,
    /// Its rows by table.
    pub counts: BTreeMap<String, i64>,
    /// Paths of the uploads that it names.
    pub uploads: Vec<String>,
}

/// Name of the copy's file.
#[must_use]
pub fn file_name(backend: &Backend) -> &'static str {
    match backend {
        Backend::Sqlite(_) => "hxa-connect.db",
        Backend::Postgres(_) => "database.dump",
    }
}

/// Copies the database into a folder, and checks the copy.
///
/// # Errors
/// With the reason.
pub fn save(catalogue: &Catalogue, backend: &Backend, folder: &Path) -> Result<Saved, String> {
    let file = folder.join(file_name(backend));
    match backend {
        Backend::Sqlite(database) => sqlite::save(catalogue, database, &file),
        Backend::Postgres(target) => postgres::save(catalogue, target, &file),
    }
}

/// Refuses a database that has something in it, unless `force`.
///
/// # Errors
/// With the reason.
pub fn refuse_unless_empty(catalogue: &Catalogue, backend: &Backend, force: bool) -> Result<(), String> {
    match backend {
        Backend::Sqlite(database) => sqlite::refuse_unless_empty(database, force),
        Backend::Postgres(target) => postgres::refuse_unless_empty(catalogue, target, force),
    }
}

/// Looks into a copy, before anything is touched: it must hold what this hub's steps make, and nothing that acts by itself.
///
/// # Errors
/// With the reason.
pub fn verify(catalogue: &Catalogue, backend: &Backend, file: &Path, steps: &[String]) -> Result<(), String> {
    match backend {
        Backend::Sqlite(_) => sqlite::verify(catalogue, file, steps),
        Backend::Postgres(target) => postgres::verify(catalogue, target, file),
    }
}

/// Puts a copy that was verified in place of the database, and checks that it has as many rows as it should.
///
/// # Errors
/// With the reason.
pub fn load(
    catalogue: &Catalogue,
    backend: &Backend,
    file: &Path,
    steps: &[String],
    counts: &BTreeMap<String, i64>,
) -> Result<(), String> {
    match backend {
        Backend::Sqlite(database) => sqlite::load(database, file)?,
        Backend::Postgres(target) => postgres::load(catalogue, target, file, steps)?,
    }
    let mut conn = backend.connect().map_err(|error| format!("cannot open the restored database: {error}"))?;
    let found = look(catalogue, &mut conn)?;
    if found.schema.iter().any(|version| !steps.contains(version)) {
        return Err("the restored database has schema steps that its manifest does not list".to_owned());
    }
    match difference(counts, &found.counts) {
        Some(difference) => Err(format!("the restored database is not what was saved: {difference}")),
        None => Ok(()),
    }
}

/// Has a file or a folder on disk for good.
///
/// # Errors
/// With the reason.
pub fn sync(path: &Path) -> Result<(), String> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn difference(saved: &BTreeMap<String, i64>, found: &BTreeMap<String, i64>) -> Option<String> {
    let count = |of: &BTreeMap<String, i64>, table| of.get(table).map_or("none".to_owned(), ToString::to_string);
    let table = saved.keys().chain(found.keys()).find(|table| saved.get(*table) != found.get(*table))?;
    Some(format!("{table} has {} rows instead of {}", count(found, table), count(saved, table)))
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn unreadable(error: diesel::result::Error) -> String {
    format!("the database cannot be read: {error}")
}

fn names(conn: &mut DbConnection, sql: &str) -> Result<Vec<String>, String> {
    let rows: Vec<Name> = sql_query(sql).load(conn).map_err(unreadable)?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// Those of the program's tables that are there.
fn tables(catalogue: &Catalogue, conn: &mut DbConnection) -> Result<Vec<String>, String> {
    let sql = match conn {
        DbConnection::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table'",
        DbConnection::Postgres(_) => {
            "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = current_schema()"
        }
    };
    let mut found = names(conn, sql)?;
    let own = all_tables(catalogue);
    found.retain(|name| own.contains(&name.as_str()));
    found.sort();
    Ok(found)
}

fn count_rows(catalogue: &Catalogue, conn: &mut DbConnection) -> Result<BTreeMap<String, i64>, String> {
    let mut counts = BTreeMap::new();
    for table in tables(catalogue, conn)? {
        let row: Count =
            sql_query(format!("SELECT count(*) AS count FROM {table}")).get_result(conn).map_err(unreadable)?;
        counts.insert(table, row.count);
    }
    Ok(counts)
}

/// Refuses a path that no hub gives an upload.
fn check_path(path: &str, org: &str) -> Result<(), String> {
    if StoredPath::parse(path).is_some_and(|path| path.is_of(org)) {
        return Ok(());
    }
    Err(format!(
        "the backup names \"{}\" as an uploaded file, which is no path that a hub gives one",
        path.escape_debug()
    ))
}

/// Everything that is to be known of a copy, read out of it or of the same state of the database.
fn look(catalogue: &Catalogue, conn: &mut DbConnection) -> Result<Saved, String> {
    let counts = count_rows(catalogue, conn)?;
    if !counts.contains_key(STEPS) {
        return Err("the database is not a hub's: it has no schema steps".to_owned());
    }
    let schema = names(conn, &format!("SELECT version AS name FROM {STEPS} ORDER BY version"))?;
    let uploads = names(conn, "SELECT path AS name FROM files ORDER BY path")?;
    Ok(Saved { schema, counts, uploads })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_those_that_the_migrations_make() {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::Sqlite(folder.path().join("x.db"));
        super::super::migrate::migrate(&Catalogue::default(), &backend).unwrap();
        let mut conn = backend.connect().unwrap();
        let mut made = names(&mut conn, "SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
        made.sort();
        let mut listed: Vec<&str> = TABLES.to_vec();
        listed.sort_unstable();
        assert_eq!(made, listed);
    }

    #[test]
    fn a_difference_is_named() {
        let counts = |rows: &[(&str, i64)]| rows.iter().map(|(table, count)| ((*table).to_owned(), *count)).collect();
        let saved = counts(&[("bots", 2), ("orgs", 1)]);
        assert_eq!(difference(&saved, &saved), None);
        assert_eq!(difference(&saved, &counts(&[("bots", 2), ("orgs", 0)])).unwrap(), "orgs has 0 rows instead of 1");
        assert_eq!(difference(&saved, &counts(&[("orgs", 1)])).unwrap(), "bots has none rows instead of 2");
    }
}
