//! Brings the database to the schema this hub needs; the steps are plain SQL, embedded in the binary.
//!
//! The same files run by hand (`psql`, `sqlite3`, the diesel CLI). A database that knows a step this hub does not know
//! was written by a newer hub and is refused rather than damaged.

use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sql_query;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::{Backend, DbConnection};

/// Steps for SQLite.
pub const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
/// Steps for PostgreSQL.
pub const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Applies what is pending; returns the names of the applied steps.
///
/// # Errors
/// When the database is not reachable, a step fails, or the schema is newer than this hub.
pub fn migrate(backend: &Backend) -> Result<Vec<String>, String> {
    prepare_place(backend)?;
    let mut conn = connect(backend)?;
    match &mut conn {
        DbConnection::Sqlite(c) => run(c, SQLITE),
        DbConnection::Postgres(c) => run(c, POSTGRES),
    }
}

/// Names the steps that [`migrate`] would apply, without touching the database.
///
/// # Errors
/// As [`migrate`].
pub fn pending(backend: &Backend) -> Result<Vec<String>, String> {
    if matches!(backend, Backend::Sqlite(path) if !path.exists()) {
        return list(MigrationSource::<diesel::sqlite::Sqlite>::migrations(&SQLITE));
    }
    let mut conn = connect(backend)?;
    match &mut conn {
        DbConnection::Sqlite(c) => {
            let known = sql_query(
                "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '__diesel_schema_migrations') AS yes",
            );
            pending_on(has_steps(known.get_result(c))?, c, SQLITE)
        }
        DbConnection::Postgres(c) => {
            let known = sql_query("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS yes");
            pending_on(has_steps(known.get_result(c))?, c, POSTGRES)
        }
    }
}

/// Whether the table of applied steps exists; asking diesel for the steps would create it.
#[derive(QueryableByName)]
struct Known {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    yes: bool,
}

fn has_steps(known: QueryResult<Known>) -> Result<bool, String> {
    known.map(|known| known.yes).map_err(|error| format!("cannot read the schema version: {error}"))
}

fn pending_on<C, DB>(has_steps: bool, conn: &mut C, steps: EmbeddedMigrations) -> Result<Vec<String>, String>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
{
    if !has_steps {
        return list(MigrationSource::<DB>::migrations(&steps));
    }
    refuse_newer(conn, &steps)?;
    list(conn.pending_migrations(steps))
}

/// Versions of all steps that this hub knows.
///
/// # Errors
/// When the embedded steps are unreadable.
pub fn known(backend: &Backend) -> Result<Vec<String>, String> {
    match backend {
        Backend::Sqlite(_) => versions::<diesel::sqlite::Sqlite>(&SQLITE),
        Backend::Postgres(_) => versions::<diesel::pg::Pg>(&POSTGRES),
    }
}

fn versions<DB: diesel::backend::Backend>(steps: &EmbeddedMigrations) -> Result<Vec<String>, String> {
    let steps = MigrationSource::<DB>::migrations(steps);
    let steps = steps.map_err(|error| format!("migrations are unreadable: {error}"))?;
    Ok(steps.iter().map(|step| step.name().version().to_string()).collect())
}

/// Takes all steps back, newest first; for tests of the down scripts.
///
/// # Errors
/// When a down script fails.
pub fn revert_all(backend: &Backend) -> Result<(), String> {
    let mut conn = connect(backend)?;
    let reverted = match &mut conn {
        DbConnection::Sqlite(c) => c.revert_all_migrations(SQLITE).map(|_| ()),
        DbConnection::Postgres(c) => c.revert_all_migrations(POSTGRES).map(|_| ()),
    };
    reverted.map_err(|error| format!("migration cannot be reverted: {error}"))
}

/// Makes the folder of a SQLite database.
///
/// # Errors
/// When it cannot be made.
pub fn prepare_place(backend: &Backend) -> Result<(), String> {
    if let Backend::Sqlite(path) = backend
        && let Some(folder) = path.parent()
    {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("cannot create the data directory {}: {error}", folder.display()))?;
    }
    Ok(())
}

fn connect(backend: &Backend) -> Result<DbConnection, String> {
    backend.connect().map_err(|error| format!("cannot open the {} database: {error}", backend.name()))
}

fn run<C, DB>(conn: &mut C, steps: EmbeddedMigrations) -> Result<Vec<String>, String>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
{
    refuse_newer(conn, &steps)?;
    let failed = |error| format!("migration failed: {error}");
    let pending = conn.pending_migrations(steps).map_err(failed)?;
    conn.run_migrations(&pending).map_err(failed)?;
    Ok(pending.iter().map(|step| step.name().to_string()).collect())
}

fn refuse_newer<C, DB>(conn: &mut C, steps: &EmbeddedMigrations) -> Result<(), String>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
{
    let known = versions::<DB>(steps)?;
    let applied = conn.applied_migrations().map_err(|error| format!("cannot read the schema version: {error}"))?;
    match applied.iter().map(ToString::to_string).find(|version| !known.contains(version)) {
        Some(version) => Err(format!(
            "the database has schema step {version}, which this hub does not know: it was used by a newer hub; \
             upgrade the hub or restore a backup"
        )),
        None => Ok(()),
    }
}

type Pending<DB> = Vec<Box<dyn diesel::migration::Migration<DB>>>;

fn list<DB: diesel::backend::Backend>(
    pending: Result<Pending<DB>, Box<dyn std::error::Error + Send + Sync>>,
) -> Result<Vec<String>, String> {
    let pending = pending.map_err(|error| format!("cannot read the schema version: {error}"))?;
    Ok(pending.iter().map(|step| step.name().to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_can_be_taken_back_and_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::Sqlite(folder.path().join("x.db"));
        let applied = migrate(&backend).unwrap();
        assert!(applied.len() >= 3, "{applied:?}");
        revert_all(&backend).unwrap();
        assert_eq!(pending(&backend).unwrap().len(), applied.len());
        assert_eq!(migrate(&backend).unwrap(), applied);
    }
}
