//! The locks of a database: who may use it, and who may not meanwhile.
//!
//! A hub remembers what it read, so nothing else may change its database while it runs: neither another hub, which takes
//! its place only after it (`super::seat`), nor a command that changes rows, which takes the database alone. On
//! SQLite there is one lock, of the file beside the database; it ends with the process however that ends, and says in
//! words who has it. On PostgreSQL there are two advisory locks: the seat, of one connection of the hub, and the lock of
//! use, which every connection of a hub shares and which a command, or a hub that begins, takes alone. So nobody begins
//! before the last connection of the hub before is gone. Who only looks needs no lock.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Bool, Nullable, Text};

use super::connection::{Backend, DbConnection, ping};
use super::private;

/// How long a command tries: a hub that tries to begin takes the locks for a moment.
const COMMAND_PATIENCE: Duration = Duration::from_millis(800);
/// Between two tries.
pub(super) const AGAIN: Duration = Duration::from_millis(200);

/// Numbers of the two advisory locks; `hxa` and a one or a two.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lock {
    Use,
    Seat,
}

impl Lock {
    const fn number(self) -> i32 {
        match self {
            Lock::Use => 0x6878_6101,
            Lock::Seat => 0x6878_6102,
        }
    }
}

/// The second number of a lock: the schema that has the hub's tables or will have them, because a database may have several.
const PLACE: &str = "((coalesce((SELECT relnamespace FROM pg_catalog.pg_class \
                     WHERE oid = to_regclass('__diesel_schema_migrations')), \
                     to_regnamespace(quote_ident(current_schema())))::oid::bigint & 2147483647)::int)";

/// A database taken alone for as long as this value lasts.
#[must_use]
pub struct Hold {
    kept: parking_lot::Mutex<Kept>,
}

/// What a lock lasts as long as.
pub(super) enum Kept {
    /// The lock of a file.
    File(LockFile),
    /// The advisory locks of a connection.
    Connection(Box<DbConnection>),
    /// There is no place for a lock, and nobody can write there.
    Nothing,
}

impl Hold {
    /// The whole database, for a command that changes it.
    ///
    /// # Errors
    /// While a hub runs on it, or another command changes it.
    pub fn alone(backend: &Backend) -> Result<Self, String> {
        let since = Instant::now();
        loop {
            match take_alone(backend, "a command")? {
                Ok(kept) => return Ok(Self { kept: parking_lot::Mutex::new(kept) }),
                Err(_) if since.elapsed() < COMMAND_PATIENCE => std::thread::sleep(AGAIN),
                Err(who) => {
                    return Err(format!(
                        "a hub runs on this database, or another command changes it; stop it first ({who})"
                    ));
                }
            }
        }
    }

    /// Whether the lock is still there, to be asked before what was changed becomes durable.
    ///
    /// # Errors
    /// When the connection that has it is gone.
    pub fn check(&self) -> Result<(), String> {
        match &mut *self.kept.lock() {
            Kept::Connection(conn) => ping(conn)
                .map_err(|error| format!("the lock of the database was lost meanwhile; nothing was changed: {error}")),
            Kept::File(_) | Kept::Nothing => Ok(()),
        }
    }
}

/// Tries for all locks of a database once; otherwise who has them.
pub(super) fn take_alone(backend: &Backend, as_what: &str) -> Result<Result<Kept, String>, String> {
    match backend {
        Backend::Sqlite(path) => LockFile::take(&lock_path(path), as_what),
        Backend::Postgres(_) => {
            let mut conn = backend.connect().map_err(|error| format!("cannot open the database: {error}"))?;
            name(&mut conn, as_what)?;
            let taken = take_both(&mut conn).map_err(|error| format!("cannot lock the database: {error}"))?;
            Ok(if taken { Ok(Kept::Connection(Box::new(conn))) } else { Err(holders(&mut conn)) })
        }
    }
}

/// The seat and the lock of use, or neither.
fn take_both(conn: &mut DbConnection) -> QueryResult<bool> {
    if !ask(conn, "pg_try_advisory_lock", Lock::Seat)? {
        return Ok(false);
    }
    if ask(conn, "pg_try_advisory_lock", Lock::Use)? {
        return Ok(true);
    }
    ask(conn, "pg_advisory_unlock", Lock::Seat).map(|_| false)
}

/// Makes a connection one of a hub; false while somebody has the database alone.
pub(super) fn share(conn: &mut DbConnection) -> QueryResult<bool> {
    ask(conn, "pg_try_advisory_lock_shared", Lock::Use)
}

/// Lets the other connections of a hub in that has taken the database alone.
pub(super) fn open_to_own(kept: &mut Kept) -> Result<(), String> {
    let Kept::Connection(conn) = kept else { return Ok(()) };
    // Shared first, so that there is no moment without.
    let opened = share(conn).and_then(|_| ask(conn, "pg_advisory_unlock", Lock::Use));
    opened.map(|_| ()).map_err(|error| format!("cannot lock the database: {error}"))
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

/// Asks for a lock on a connection; on SQLite the file beside the database is locked instead.
pub(super) fn ask(conn: &mut DbConnection, how: &str, lock: Lock) -> QueryResult<bool> {
    let DbConnection::Postgres(conn) = conn else { return Ok(true) };
    let answer: Answer = sql_query(format!("SELECT {how}({}, {PLACE}) AS yes", lock.number())).get_result(conn)?;
    Ok(answer.yes)
}

/// Names a connection after who has it, process and machine, so that others can tell whom they wait for.
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

/// Who has the locks, as far as this role may see.
fn holders(conn: &mut DbConnection) -> String {
    let found: QueryResult<Vec<Holder>> = sql_query(format!(
        "SELECT DISTINCT concat_ws(', ', nullif(a.application_name, ''), 'server process ' || l.pid, \
         'from ' || host(a.client_addr)) AS name FROM pg_catalog.pg_locks l \
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.granted \
         AND l.classid IN ({}, {}) AND l.objid = {PLACE}::oid AND l.pid <> pg_backend_pid() LIMIT 3",
        Lock::Use.number(),
        Lock::Seat.number()
    ))
    .load(conn);
    let names: Vec<String> = found.unwrap_or_default().into_iter().filter_map(|holder| holder.name).collect();
    if names.is_empty() { "it is just ending".to_owned() } else { names.join("; ") }
}

/// This process in a few words.
fn own_name(as_what: &str) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("this machine").to_owned();
    // PostgreSQL keeps 63 bytes.
    let host: String = host.chars().take(24).collect();
    format!("hxa-connect, {as_what}, process {} on {host}", std::process::id())
}

/// Beside the file itself, not beside a link to it: everybody must come to the same lock.
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
    fn take(path: &Path, as_what: &str) -> Result<Result<Kept, String>, String> {
        let mut file = match private::append(path) {
            Ok(file) => file,
            // Who cannot make the lock cannot run a hub there either; such a folder can still be read from.
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => return Ok(Ok(Kept::Nothing)),
            Err(error) => return Err(format!("cannot lock {}: {error}{}", path.display(), private::owner(path))),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Ok(Err(fs::read_to_string(path).unwrap_or_default().trim().to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(format!("cannot lock {}: {error}", path.display())),
        }
        // Who has it is only for people to read, and a full disk does not take the lock away.
        let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", own_name(as_what)));
        if let Err(error) = noted {
            log::debug!(error:% = error; "the lock could not be signed");
        }
        Ok(Ok(Kept::File(Self { path: path.to_owned(), file, as_what: as_what.to_owned() })))
    }

    /// Whether the lock is still the one that others come to; a file that somebody removed is made anew.
    pub(super) fn renew(&mut self) -> Result<bool, String> {
        use std::os::unix::fs::MetadataExt;
        let of = |about: std::io::Result<fs::Metadata>| about.map(|about| (about.dev(), about.ino()));
        if of(fs::metadata(&self.path)).ok() == of(self.file.metadata()).ok() {
            return Ok(true);
        }
        match Self::take(&self.path, &self.as_what)? {
            Ok(Kept::File(new)) => {
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
        let hub = take_alone(&backend, "a hub").unwrap().ok().unwrap();
        let refused = Hold::alone(&backend).err().unwrap();
        assert!(refused.contains("a hub runs") && refused.contains("hxa-connect, a hub, process "), "{refused}");
        drop(hub);
        let command = Hold::alone(&backend).unwrap();
        assert!(take_alone(&backend, "a hub").unwrap().is_err());
        drop(command);
        assert!(take_alone(&backend, "a hub").unwrap().is_ok());
    }

    #[test]
    fn a_link_to_the_database_leads_to_the_same_lock() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.db"), "").unwrap();
        std::os::unix::fs::symlink(folder.path().join("x.db"), folder.path().join("link.db")).unwrap();
        let _hub = take_alone(&Backend::Sqlite(folder.path().join("x.db")), "a hub").unwrap().ok().unwrap();
        assert!(take_alone(&Backend::Sqlite(folder.path().join("link.db")), "a hub").unwrap().is_err());
    }

    #[test]
    fn a_lock_that_was_removed_is_made_anew_or_lost() {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::Sqlite(folder.path().join("x.db"));
        let Ok(Kept::File(mut lock)) = take_alone(&backend, "a hub").unwrap() else { panic!("a file") };
        fs::remove_file(folder.path().join("x.db.lock")).unwrap();
        assert!(lock.renew().unwrap());
        assert!(Hold::alone(&backend).is_err());
        fs::remove_file(folder.path().join("x.db.lock")).unwrap();
        let _other = take_alone(&backend, "a hub").unwrap().ok().unwrap();
        assert!(!lock.renew().unwrap());
    }
}
