//! The locks of a database: shared by the connections of one hub, exclusive for commands that change rows.
//!
//! A hub caches what it has read, so nothing else may change its database while it runs: neither another hub, which waits for
//! the lease (`super::lease`), nor a command that changes rows, which locks the database exclusively. On
//! SQLite there is one lock, of the file beside the database; it ends with the process, however that ends, and the file names its
//! holder. On PostgreSQL there are two advisory locks: the lease, held by one connection of the hub, and the lock of
//! use, which every connection of a hub shares and which a command, or a starting hub, holds exclusively. So a hub starts only
//! after the last connection of the previous hub is gone. Read-only commands need no lock.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Bool, Nullable, Text};

use super::connection::{Backend, DbConnection, ping};
use super::private;

/// How long a command retries: a starting hub that is refused holds the locks for a moment.
const COMMAND_PATIENCE: Duration = Duration::from_millis(800);
/// Between two attempts.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Numbers of the two advisory locks; `hxa` and a one or a two.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lock {
    Use,
    Lease,
}

impl Lock {
    const fn number(self) -> i32 {
        match self {
            Lock::Use => 0x6878_6101,
            Lock::Lease => 0x6878_6102,
        }
    }
}

/// The second number of a lock: the schema that has the hub's tables or will have them, because a database may have several.
const PLACE: &str = "((coalesce((SELECT relnamespace FROM pg_catalog.pg_class \
                     WHERE oid = to_regclass('__diesel_schema_migrations')), \
                     to_regnamespace(quote_ident(current_schema())))::oid::bigint & 2147483647)::int)";

/// An exclusive lock of a database; released on drop.
#[must_use]
pub struct DatabaseLock {
    held: parking_lot::Mutex<Held>,
}

/// Why a command does not get the lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else is on the database.
    #[error("a hub runs on this database, or another command changes it; stop it first ({0})")]
    InUse(String),
    /// The lock cannot be asked for.
    #[error("{0}")]
    Failed(String),
}

impl From<LockError> for String {
    fn from(error: LockError) -> Self {
        error.to_string()
    }
}

/// What keeps a lock; dropping it releases the lock.
pub(super) enum Held {
    /// The lock of a file.
    File(LockFile),
    /// The advisory locks of a connection.
    Connection(Box<DbConnection>),
    /// The folder is read-only, so there is no lock and nobody can write.
    Nothing,
}

impl DatabaseLock {
    /// Locks the whole database, for a command that changes it.
    ///
    /// # Errors
    /// While a hub runs on it, or another command changes it.
    pub fn exclusive(backend: &Backend) -> Result<Self, LockError> {
        let since = Instant::now();
        loop {
            match try_exclusive(backend, "a command").map_err(LockError::Failed)? {
                Ok(held) => return Ok(Self { held: parking_lot::Mutex::new(held) }),
                Err(_) if since.elapsed() < COMMAND_PATIENCE => std::thread::sleep(RETRY_INTERVAL),
                Err(who) => return Err(LockError::InUse(who)),
            }
        }
    }

    /// Checks that the lock is still held; call it before committing changes.
    ///
    /// # Errors
    /// If the connection that holds it is gone.
    pub fn check(&self) -> Result<(), String> {
        match &mut *self.held.lock() {
            Held::Connection(conn) => ping(conn)
                .map_err(|error| format!("the lock of the database was lost meanwhile; nothing was changed: {error}")),
            Held::File(_) | Held::Nothing => Ok(()),
        }
    }
}

/// Tries once to acquire all locks of a database; otherwise returns who holds them.
pub(super) fn try_exclusive(backend: &Backend, as_what: &str) -> Result<Result<Held, String>, String> {
    match backend {
        Backend::Sqlite(path) => LockFile::take(&lock_path(path), as_what),
        Backend::Postgres(_) => {
            let mut conn = backend.connect().map_err(|error| format!("cannot open the database: {error}"))?;
            name(&mut conn, as_what)?;
            let taken = take_both(&mut conn).map_err(|error| format!("cannot lock the database: {error}"))?;
            Ok(if taken { Ok(Held::Connection(Box::new(conn))) } else { Err(holders(&mut conn)) })
        }
    }
}

/// The lease and the lock of use, or neither.
fn take_both(conn: &mut DbConnection) -> QueryResult<bool> {
    if !ask(conn, "pg_try_advisory_lock", Lock::Lease)? {
        return Ok(false);
    }
    if ask(conn, "pg_try_advisory_lock", Lock::Use)? {
        return Ok(true);
    }
    ask(conn, "pg_advisory_unlock", Lock::Lease).map(|_| false)
}

/// Takes the shared lock on a connection of a hub; false while the database is locked exclusively.
pub(super) fn share(conn: &mut DbConnection) -> QueryResult<bool> {
    ask(conn, "pg_try_advisory_lock_shared", Lock::Use)
}

/// Downgrades the exclusive lock of a hub, so that its other connections are admitted.
pub(super) fn admit_own(held: &mut Held) -> Result<(), String> {
    let Held::Connection(conn) = held else { return Ok(()) };
    // The shared lock first, so that there is no moment without a lock.
    let opened = share(conn).and_then(|_| ask(conn, "pg_advisory_unlock", Lock::Use));
    opened.map(|_| ()).map_err(|error| format!("cannot lock the database: {error}"))
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

/// Calls a lock function on a connection; on SQLite the file beside the database is locked instead.
pub(super) fn ask(conn: &mut DbConnection, how: &str, lock: Lock) -> QueryResult<bool> {
    let DbConnection::Postgres(conn) = conn else { return Ok(true) };
    let answer: Answer = sql_query(format!("SELECT {how}({}, {PLACE}) AS yes", lock.number())).get_result(conn)?;
    Ok(answer.yes)
}

/// Names a connection after its holder, process and machine, so that others can report whom they wait for.
pub(super) fn name(conn: &mut DbConnection, as_what: &str) -> Result<(), String> {
    let DbConnection::Postgres(conn) = conn else { return Ok(()) };
    let named = sql_query("SELECT set_config('application_name', $1, false)").bind::<Text, _>(own_name(as_what));
    named.execute(conn).map(|_| ()).map_err(|error| format!("cannot lock the database: {error}"))
}

#[derive(QueryableByName)]
struct Holder {
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
}

/// The holders of the locks, as far as this role may see them.
fn holders(conn: &mut DbConnection) -> String {
    let found: QueryResult<Vec<Holder>> = sql_query(format!(
        "SELECT DISTINCT concat_ws(', ', nullif(a.application_name, ''), 'server process ' || l.pid, \
         'from ' || host(a.client_addr)) AS name FROM pg_catalog.pg_locks l \
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.granted \
         AND l.classid IN ({}, {}) AND l.objid = {PLACE}::oid AND l.pid <> pg_backend_pid() LIMIT 3",
        Lock::Use.number(),
        Lock::Lease.number()
    ))
    .load(conn);
    let names: Vec<String> = found.unwrap_or_default().into_iter().filter_map(|holder| holder.name).collect();
    if names.is_empty() { "it is just ending".to_owned() } else { names.join("; ") }
}

/// A short description of this process.
fn own_name(as_what: &str) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("this machine").to_owned();
    // PostgreSQL keeps 63 bytes.
    let host: String = host.chars().take(24).collect();
    format!("hxa-connect, {as_what}, process {} on {host}", std::process::id())
}

/// The lock file is beside the real file, not beside a symbolic link to it, so that everybody uses the same lock.
fn lock_path(database: &Path) -> PathBuf {
    let real = database.canonicalize().or_else(|_| {
        let folder = database.parent().unwrap_or(Path::new(".")).canonicalize()?;
        Ok::<_, std::io::Error>(folder.join(database.file_name().unwrap_or_default()))
    });
    let mut name = real.unwrap_or_else(|_| database.to_owned()).into_os_string();
    name.push(".lock");
    PathBuf::from(name)
}

/// The locked file of a SQLite database.
pub(super) struct LockFile {
    path: PathBuf,
    file: File,
    as_what: String,
}

impl LockFile {
    fn take(path: &Path, as_what: &str) -> Result<Result<Held, String>, String> {
        let mut file = match private::append(path) {
            Ok(file) => file,
            // Without write access no hub can run there either, but the folder can still be read.
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => return Ok(Ok(Held::Nothing)),
            Err(error) => return Err(format!("cannot lock {}: {error}{}", path.display(), private::owner(path))),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Ok(Err(fs::read_to_string(path).unwrap_or_default().trim().to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(format!("cannot lock {}: {error}", path.display())),
        }
        // The holder's name is informational only, and a full disk does not affect the lock.
        let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", own_name(as_what)));
        if let Err(error) = noted {
            log::debug!(error:% = error; "cannot write the holder's name into the lock file");
        }
        Ok(Ok(Held::File(Self { path: path.to_owned(), file, as_what: as_what.to_owned() })))
    }

    /// Whether the lock file is still the one that others see; a removed file is created again.
    pub(super) fn renew(&mut self) -> Result<bool, String> {
        use std::os::unix::fs::MetadataExt;
        let of = |about: std::io::Result<fs::Metadata>| about.map(|about| (about.dev(), about.ino()));
        if of(fs::metadata(&self.path)).ok() == of(self.file.metadata()).ok() {
            return Ok(true);
        }
        match Self::take(&self.path, &self.as_what)? {
            Ok(Held::File(new)) => {
                *self = new;
                Ok(true)
            }
            Ok(_) => Ok(true),
            Err(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::Sqlite(folder.path().join("x.db"));
        let hub = try_exclusive(&backend, "a hub").unwrap().ok().unwrap();
        let refused = DatabaseLock::exclusive(&backend).err().unwrap().to_string();
        assert!(refused.contains("a hub runs") && refused.contains("hxa-connect, a hub, process "), "{refused}");
        drop(hub);
        let command = DatabaseLock::exclusive(&backend).unwrap();
        assert!(try_exclusive(&backend, "a hub").unwrap().is_err());
        drop(command);
        assert!(try_exclusive(&backend, "a hub").unwrap().is_ok());
    }

    #[test]
    fn a_link_to_the_database_leads_to_the_same_lock() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.db"), "").unwrap();
        std::os::unix::fs::symlink(folder.path().join("x.db"), folder.path().join("link.db")).unwrap();
        let _hub = try_exclusive(&Backend::Sqlite(folder.path().join("x.db")), "a hub").unwrap().ok().unwrap();
        assert!(try_exclusive(&Backend::Sqlite(folder.path().join("link.db")), "a hub").unwrap().is_err());
    }

    #[test]
    fn a_lock_that_was_removed_is_made_anew_or_lost() {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::Sqlite(folder.path().join("x.db"));
        let Ok(Held::File(mut lock)) = try_exclusive(&backend, "a hub").unwrap() else { panic!("a file") };
        fs::remove_file(folder.path().join("x.db.lock")).unwrap();
        assert!(lock.renew().unwrap());
        assert!(DatabaseLock::exclusive(&backend).is_err());
        fs::remove_file(folder.path().join("x.db.lock")).unwrap();
        let _other = try_exclusive(&backend, "a hub").unwrap().ok().unwrap();
        assert!(!lock.renew().unwrap());
    }
}
