//! Copies of a SQLite database.
//!
//! `VACUUM INTO` reads one state of the database, like any reader in WAL mode; writers continue meanwhile. That state
//! contains everything committed before it began.

use std::fs;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;

use super::{Backend, Catalogue, DbConnection, Saved, look, names, sync};
use crate::{migrate, private};

pub fn save(catalogue: &Catalogue, database: &Path, file: &Path) -> Result<Saved, String> {
    if !database.exists() {
        return Err(format!("there is no database at {}", database.display()));
    }
    let name = file.to_str().ok_or_else(|| format!("{} is not a path in UTF-8", file.display()))?;
    let mut conn = open(database)?;
    let DbConnection::Sqlite(sqlite) = &mut conn else { return Err("not a SQLite database".to_owned()) };
    // SQLite fills an empty file, and would make one that everybody can read.
    private::ensure(file).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    let copied = sql_query("VACUUM INTO $1").bind::<Text, _>(name).execute(sqlite);
    copied.map_err(|error| format!("the database cannot be copied to {}: {error}", file.display()))?;
    let saved = check(catalogue, file)?;
    sync(file)?;
    Ok(saved)
}

fn open(database: &Path) -> Result<DbConnection, String> {
    let opened = Backend::Sqlite(database.to_owned()).connect();
    opened.map_err(|error| format!("cannot open {}: {error}", database.display()))
}

/// Looks at every page and every reference of a copy. The connection is an ordinary one, so that nothing is left beside
/// the file.
fn check(catalogue: &Catalogue, file: &Path) -> Result<Saved, String> {
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
    look(catalogue, &mut conn)
}

pub fn refuse_unless_empty(database: &Path, force: bool) -> Result<(), String> {
    if !database.exists() {
        return Ok(());
    }
    if !force {
        return Err(format!("{} exists already; --force puts it aside", database.display()));
    }
    checkpoint(database)
}

/// Brings everything into the one file. SQLite does that only for the last one who has the file open.
fn checkpoint(database: &Path) -> Result<(), String> {
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

/// Compares the whole schema with what the same steps make, and looks at the paths of uploads, before anything else is read.
pub fn verify(catalogue: &Catalogue, file: &Path, steps: &[String]) -> Result<(), String> {
    let open = |name: &str| {
        let mut conn =
            SqliteConnection::establish(name).map_err(|error| format!("cannot open {}: {error}", file.display()))?;
        conn.batch_execute("PRAGMA trusted_schema = OFF").map_err(super::unreadable)?;
        Ok::<_, String>(conn)
    };
    let name = file.to_str().ok_or_else(|| format!("{} is not a path in UTF-8", file.display()))?;
    let (mut found, mut made) = (open(name)?, open(":memory:")?);
    migrate::apply_to_sqlite(catalogue, &mut made, steps)?;
    let (found_items, made_items) = (items(&mut found)?, items(&mut made)?);
    if let Some(foreign) = found_items.iter().find(|item| !made_items.contains(item)) {
        return Err(format!(
            "the backup's database has the {} \"{}\", which no hub makes like this",
            foreign.kind, foreign.name
        ));
    }
    if let Some(missing) = made_items.iter().find(|item| !found_items.contains(item)) {
        return Err(format!("the backup's database lacks the {} \"{}\"", missing.kind, missing.name));
    }
    let mut conn = DbConnection::Sqlite(found);
    let applied = names(&mut conn, "SELECT version AS name FROM __diesel_schema_migrations ORDER BY version")?;
    let mut steps = steps.to_vec();
    steps.sort();
    if applied != steps {
        return Err("the backup's database has other schema steps than its manifest says".to_owned());
    }
    let uploads: Vec<Upload> =
        sql_query("SELECT path, org_id FROM files").load(&mut conn).map_err(super::unreadable)?;
    uploads.iter().try_for_each(|upload| super::check_path(&upload.path, &upload.org_id))?;
    drop(conn);
    check(catalogue, file).map(|_| ())
}

#[derive(QueryableByName)]
struct Upload {
    #[diesel(sql_type = Text)]
    path: String,
    #[diesel(sql_type = Text)]
    org_id: String,
}

/// Something of a schema.
#[derive(QueryableByName, PartialEq, Eq)]
struct Item {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    text: String,
}

/// All of a schema but what SQLite keeps for itself. How the table of steps was made differs with who made it.
fn items(conn: &mut SqliteConnection) -> Result<Vec<Item>, String> {
    let all = "SELECT type AS kind, name, CASE name WHEN '__diesel_schema_migrations' THEN '' ELSE coalesce(sql, '') END AS text \
               FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    sql_query(all).load(conn).map_err(super::unreadable)
}

/// Moves a verified copy to the database's place; it comes to the same disk first.
pub fn load(database: &Path, file: &Path) -> Result<(), String> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("cannot write {path}: {error}")
    };
    // A link to the database stays one.
    let database = &database.canonicalize().unwrap_or_else(|_| database.to_owned());
    if let Some(folder) = database.parent() {
        private::create_folders(folder).map_err(failed(folder))?;
    }
    let staged = beside(database, "restored");
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&staged)(error)),
        _ => {}
    }
    private::copy_new(file, &staged).map_err(failed(&staged))?;
    sync(&staged)?;
    if database.exists() {
        checkpoint(database)?;
        let aside = beside(database, &format!("before-restore-{}", crate::clock::now_ms()));
        fs::rename(database, &aside).map_err(failed(&aside))?;
    }
    fs::rename(&staged, database).map_err(failed(database))
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    let name = database.file_name().unwrap_or_default().to_string_lossy();
    database.with_file_name(format!("{name}.{ending}"))
}
