//! Copies of a SQLite database.
//!
//! `VACUUM INTO` reads one state of the database, like any reader in WAL mode: writers go on meanwhile. What was
//! committed before it began is in that state.

use std::fs;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::{Backend, DbConnection, Saved, look, names, sync};

pub fn save(database: &Path, file: &Path) -> Result<Saved, String> {
    if !database.exists() {
        return Err(format!("there is no database at {}", database.display()));
    }
    let mut conn = open(database)?;
    let DbConnection::Sqlite(sqlite) = &mut conn else { return Err("not a SQLite database".to_owned()) };
    let copied = sql_query("VACUUM INTO $1").bind::<diesel::sql_types::Text, _>(file.to_string_lossy()).execute(sqlite);
    copied.map_err(|error| format!("the database cannot be copied to {}: {error}", file.display()))?;
    let saved = check(file)?;
    sync(file)?;
    Ok(saved)
}

fn open(database: &Path) -> Result<DbConnection, String> {
    let opened = Backend::Sqlite(database.to_owned()).connect();
    opened.map_err(|error| format!("cannot open {}: {error}", database.display()))
}

/// Looks at every page and every reference of a copy. The connection is an ordinary one, so that nothing is left beside
/// the file.
fn check(file: &Path) -> Result<Saved, String> {
    let opened = SqliteConnection::establish(&file.to_string_lossy());
    let mut conn = DbConnection::Sqlite(opened.map_err(|error| format!("cannot open {}: {error}", file.display()))?);
    let found = names(&mut conn, "SELECT integrity_check AS name FROM pragma_integrity_check")?;
    if found != ["ok"] {
        return Err(format!("{} is damaged: {}", file.display(), found.join("; ")));
    }
    let dangling = names(&mut conn, "SELECT \"table\" AS name FROM pragma_foreign_key_check")?;
    if let Some(table) = dangling.first() {
        return Err(format!("{} is damaged: rows of {table} refer to rows that are not there", file.display()));
    }
    look(&mut conn)
}

pub fn refuse_unless_empty(database: &Path, force: bool) -> Result<(), String> {
    if !database.exists() {
        return Ok(());
    }
    if !force {
        return Err(format!("{} exists already; --force puts it aside", database.display()));
    }
    settle(database)
}

/// Brings everything into the one file. SQLite does that only for the last one who has the file open.
fn settle(database: &Path) -> Result<(), String> {
    let in_use = || format!("{} is in use: stop the hub first", database.display());
    let mut conn = SqliteConnection::establish(&database.to_string_lossy())
        .map_err(|error| format!("cannot open {}: {error}", database.display()))?;
    conn.batch_execute("PRAGMA busy_timeout = 500").map_err(|_| in_use())?;
    let mode: Mode = sql_query("PRAGMA journal_mode = DELETE").get_result(&mut conn).map_err(|_| in_use())?;
    if mode.journal_mode == "delete" { Ok(()) } else { Err(in_use()) }
}

#[derive(QueryableByName)]
struct Mode {
    #[diesel(sql_type = diesel::sql_types::Text)]
    journal_mode: String,
}

pub fn load(database: &Path, file: &Path) -> Result<(), String> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("cannot write {path}: {error}")
    };
    if let Some(folder) = database.parent() {
        fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    let staged = beside(database, "restoring");
    fs::copy(file, &staged).map_err(failed(&staged))?;
    check(&staged)?;
    sync(&staged)?;
    if database.exists() {
        settle(database)?;
        let aside = beside(database, &format!("before-restore-{}", chrono::Utc::now().timestamp_millis()));
        fs::rename(database, &aside).map_err(failed(&aside))?;
    }
    fs::rename(&staged, database).map_err(failed(database))
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    let name = database.file_name().unwrap_or_default().to_string_lossy();
    database.with_file_name(format!("{name}.{ending}"))
}
