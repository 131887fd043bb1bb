//! Migrates the database to the schema this hub needs; the migrations are plain SQL, embedded in the binary.
//!
//! The same files can be run by hand (`psql`, `sqlite3`, the diesel CLI). A database with a migration that this hub
//! does not know was written by a newer hub and is refused rather than damaged.

use diesel::connection::{BoxableConnection, SimpleConnection};
use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sql_query;
use diesel_migrations::MigrationHarness;

use super::catalogue::{Catalogue, Steps};
use super::connection::{Backend, DbConnection};
use super::database_lock::DatabaseLock;
use super::private;

/// Applies what is pending; returns the names of the applied steps. Where nothing is, nothing is written.
///
/// # Errors
/// When the database is not reachable, a step fails, or the schema is newer than this hub.
pub fn migrate(catalogue: &Catalogue, backend: &Backend) -> Result<Vec<String>, String> {
    prepare_place(backend)?;
    if pending(catalogue, backend)?.is_empty() {
        return Ok(Vec::new());
    }
    let mut conn = connect(backend)?;
    match &mut conn {
        DbConnection::Sqlite(c) => run(c, catalogue.sqlite()),
        DbConnection::Postgres(c) => run(c, catalogue.postgres()),
    }
}

/// As [`migrate`], for a command: nobody else may be on the database meanwhile, unless nothing is pending.
///
/// # Errors
/// As [`migrate`], and while a hub runs on the database.
pub fn migrate_alone(catalogue: &Catalogue, backend: &Backend) -> Result<Vec<String>, String> {
    prepare_place(backend)?;
    if pending(catalogue, backend)?.is_empty() {
        return Ok(Vec::new());
    }
    let _alone = DatabaseLock::exclusive(backend)?;
    migrate(catalogue, backend)
}

/// Names the steps that [`migrate`] would apply, without touching the database.
///
/// # Errors
/// As [`migrate`].
pub fn pending(catalogue: &Catalogue, backend: &Backend) -> Result<Vec<String>, String> {
    let applied = match backend {
        Backend::Sqlite(path) if !path.exists() => Vec::new(),
        _ => applied(&mut connect(backend)?)?,
    };
    match backend {
        Backend::Sqlite(_) => pending_of::<diesel::sqlite::Sqlite>(&applied, &catalogue.sqlite()),
        Backend::Postgres(_) => pending_of::<diesel::pg::Pg>(&applied, &catalogue.postgres()),
    }
}

fn pending_of<DB: diesel::backend::Backend>(applied: &[String], steps: &Steps) -> Result<Vec<String>, String> {
    refuse_newer(applied, &versions::<DB>(steps)?)?;
    let steps = MigrationSource::<DB>::migrations(steps);
    let mut steps = steps.map_err(|error| format!("migrations are unreadable: {error}"))?;
    steps.retain(|step| !applied.contains(&step.name().version().to_string()));
    let mut names: Vec<String> = steps.iter().map(|step| step.name().to_string()).collect();
    names.sort();
    Ok(names)
}

/// Whether the table of applied steps exists; asking diesel for the steps would create it.
#[derive(QueryableByName)]
struct Known {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    yes: bool,
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

/// Versions of the steps that are in.
fn applied(conn: &mut DbConnection) -> Result<Vec<String>, String> {
    let unreadable = |error| format!("cannot read the schema version: {error}");
    let known = sql_query(match conn {
        DbConnection::Sqlite(_) => {
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '__diesel_schema_migrations') AS yes"
        }
        DbConnection::Postgres(_) => "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS yes",
    });
    let known: Known = known.get_result(conn).map_err(unreadable)?;
    if !known.yes {
        return Ok(Vec::new());
    }
    let rows = sql_query("SELECT version FROM __diesel_schema_migrations ORDER BY version").load(conn);
    let rows: Vec<Version> = rows.map_err(unreadable)?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

/// Versions of all steps that this hub knows.
///
/// # Errors
/// When the embedded steps are unreadable.
pub fn known(catalogue: &Catalogue, backend: &Backend) -> Result<Vec<String>, String> {
    match backend {
        Backend::Sqlite(_) => versions::<diesel::sqlite::Sqlite>(&catalogue.sqlite()),
        Backend::Postgres(_) => known_to_postgres(catalogue),
    }
}

/// Versions of all steps for PostgreSQL.
///
/// # Errors
/// When the embedded steps are unreadable.
pub fn known_to_postgres(catalogue: &Catalogue) -> Result<Vec<String>, String> {
    versions::<diesel::pg::Pg>(&catalogue.postgres())
}

fn versions<DB: diesel::backend::Backend>(steps: &Steps) -> Result<Vec<String>, String> {
    let steps = MigrationSource::<DB>::migrations(steps);
    let steps = steps.map_err(|error| format!("migrations are unreadable: {error}"))?;
    Ok(steps.iter().map(|step| step.name().version().to_string()).collect())
}

/// Makes the schema of these steps in an empty SQLite database.
///
/// # Errors
/// When a step fails.
pub fn apply_to_sqlite(catalogue: &Catalogue, conn: &mut SqliteConnection, versions: &[String]) -> Result<(), String> {
    let failed = |error| format!("migration failed: {error}");
    // Makes the table of steps.
    conn.applied_migrations().map_err(failed)?;
    for step in steps_of::<diesel::sqlite::Sqlite>(&catalogue.sqlite(), versions)? {
        conn.run_migration(&step).map_err(failed)?;
    }
    Ok(())
}

/// The SQL of these steps for PostgreSQL, in their order.
///
/// # Errors
/// When the embedded steps are unreadable.
pub fn postgres_script(catalogue: &Catalogue, versions: &[String]) -> Result<String, String> {
    let mut recorder = Recorder::default();
    for step in steps_of::<diesel::pg::Pg>(&catalogue.postgres(), versions)? {
        step.run(&mut recorder).map_err(|error| format!("migrations are unreadable: {error}"))?;
    }
    Ok(recorder.0.join(";\n"))
}

fn steps_of<DB: diesel::backend::Backend>(steps: &Steps, versions: &[String]) -> Result<Pending<DB>, String> {
    let steps = MigrationSource::<DB>::migrations(steps);
    let mut steps = steps.map_err(|error| format!("migrations are unreadable: {error}"))?;
    steps.retain(|step| versions.contains(&step.name().version().to_string()));
    steps.sort_by_key(|step| step.name().version().to_string());
    Ok(steps)
}

type Pending<DB> = Vec<Box<dyn diesel::migration::Migration<DB>>>;

/// Stands for a connection and keeps what it is told to do.
#[derive(Default)]
struct Recorder(Vec<String>);

impl SimpleConnection for Recorder {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.0.push(query.to_owned());
        Ok(())
    }
}

impl BoxableConnection<diesel::pg::Pg> for Recorder {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn std::any::Any {
        self
    }
}

/// Takes all steps back, newest first; for tests of the down scripts.
///
/// # Errors
/// When a down script fails.
pub fn revert_all(catalogue: &Catalogue, backend: &Backend) -> Result<(), String> {
    let mut conn = connect(backend)?;
    let reverted = match &mut conn {
        DbConnection::Sqlite(c) => c.revert_all_migrations(catalogue.sqlite()).map(|_| ()),
        DbConnection::Postgres(c) => c.revert_all_migrations(catalogue.postgres()).map(|_| ()),
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
        private::create_folders(folder)
            .map_err(|error| format!("cannot create the data directory {}: {error}", folder.display()))?;
    }
    Ok(())
}

fn connect(backend: &Backend) -> Result<DbConnection, String> {
    backend.connect().map_err(|error| format!("cannot open the {} database: {error}", backend.name()))
}

fn run<C, DB>(conn: &mut C, steps: Steps) -> Result<Vec<String>, String>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
{
    let failed = |error| format!("migration failed: {error}");
    let pending = conn.pending_migrations(steps).map_err(failed)?;
    conn.run_migrations(&pending).map_err(failed)?;
    Ok(pending.iter().map(|step| step.name().to_string()).collect())
}

fn refuse_newer(applied: &[String], known: &[String]) -> Result<(), String> {
    match applied.iter().find(|version| !known.contains(version)) {
        Some(version) => Err(format!(
            "the database has schema step {version}, which this hub does not know: it was used by a newer hub; \
             upgrade the hub or restore a backup"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_can_be_taken_back_and_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::Sqlite(folder.path().join("x.db"));
        let catalogue = Catalogue::default();
        let applied = migrate(&catalogue, &backend).unwrap();
        assert!(applied.len() >= 3, "{applied:?}");
        revert_all(&catalogue, &backend).unwrap();
        assert_eq!(pending(&catalogue, &backend).unwrap().len(), applied.len());
        assert_eq!(migrate(&catalogue, &backend).unwrap(), applied);
    }
}
