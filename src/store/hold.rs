//! Who may use a database: many hubs side by side, or one command that changes it behind their backs.
//!
//! A hub remembers what it read, so nothing else may change its database while it runs. Hubs share a lock; commands that
//! change the database take it alone and are refused while a hub runs, as a hub is refused while they do. On SQLite it
//! is a lock of the file beside the database, which ends with the process however that ends; on PostgreSQL an advisory
//! lock of every connection a hub opens, so that it returns with the connections after the server was away.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Bool;

use super::connection::{Backend, DbConnection};

/// Number of the advisory lock; `hxa` and a one.
const LOCK: i64 = 0x6878_6101;

/// A lock on a database that lasts as long as this value.
#[must_use]
pub struct Hold {
    _kept: Kept,
}

enum Kept {
    File {
        _file: File,
    },
    Connection {
        _conn: parking_lot::Mutex<Box<DbConnection>>,
    },
    /// The lock is that of the connections a hub opens, or there is no place for a lock.
    Nothing,
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

impl Hold {
    /// A hub's share of the database.
    ///
    /// # Errors
    /// While a command has the database to itself.
    pub fn shared(backend: &Backend) -> Result<Self, String> {
        const TAKEN: &str = "an import or an admin command is changing this database; try again when it is done";
        let kept = match backend {
            Backend::Sqlite(path) => locked(path, File::try_lock_shared, TAKEN)?,
            Backend::Postgres(_) => {
                let mut conn = backend.connect().map_err(|error| format!("cannot open the database: {error}"))?;
                let is_free = share(&mut conn).map_err(|error| format!("cannot lock the database: {error}"))?;
                if !is_free {
                    return Err(TAKEN.to_owned());
                }
                Kept::Nothing
            }
        };
        Ok(Self { _kept: kept })
    }

    /// The whole database, for a command that changes it.
    ///
    /// # Errors
    /// While a hub runs on it, or another command changes it.
    pub fn alone(backend: &Backend) -> Result<Self, String> {
        const TAKEN: &str = "a hub runs on this database, or another command changes it; stop it first";
        let kept = match backend {
            Backend::Sqlite(path) => locked(path, File::try_lock, TAKEN)?,
            Backend::Postgres(_) => {
                let mut conn = backend.connect().map_err(|error| format!("cannot open the database: {error}"))?;
                let taken = lock(&mut conn, "pg_try_advisory_lock");
                if !taken.map_err(|error| format!("cannot lock the database: {error}"))? {
                    return Err(TAKEN.to_owned());
                }
                Kept::Connection { _conn: parking_lot::Mutex::new(Box::new(conn)) }
            }
        };
        Ok(Self { _kept: kept })
    }
}

/// Makes a connection one of a hub; false while a command has the database to itself.
///
/// # Errors
/// When the database fails.
pub(super) fn share(conn: &mut DbConnection) -> QueryResult<bool> {
    lock(conn, "pg_try_advisory_lock_shared")
}

fn lock(conn: &mut DbConnection, how: &str) -> QueryResult<bool> {
    match conn {
        // The file beside the database is locked instead.
        DbConnection::Sqlite(_) => Ok(true),
        DbConnection::Postgres(c) => {
            let answer: Answer = sql_query(format!("SELECT {how}({LOCK}) AS yes")).get_result(c)?;
            Ok(answer.yes)
        }
    }
}

fn lock_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn locked(database: &Path, lock: impl Fn(&File) -> Result<(), TryLockError>, taken: &str) -> Result<Kept, String> {
    let path = lock_file(database);
    let failed = |error: std::io::Error| format!("cannot lock {}: {error}", path.display());
    let file = match File::options().create(true).append(true).open(&path) {
        Ok(file) => file,
        // Who cannot make the lock cannot run a hub there either; such a folder can still be read from.
        Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => return Ok(Kept::Nothing),
        Err(error) => return Err(failed(error)),
    };
    match lock(&file) {
        Ok(()) => Ok(Kept::File { _file: file }),
        Err(TryLockError::WouldBlock) => Err(taken.to_owned()),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hubs_share_and_commands_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::Sqlite(folder.path().join("x.db"));
        let hubs = [Hold::shared(&backend).unwrap(), Hold::shared(&backend).unwrap()];
        assert!(Hold::alone(&backend).err().unwrap().contains("a hub runs"));
        drop(hubs);
        let command = Hold::alone(&backend).unwrap();
        assert!(Hold::alone(&backend).is_err());
        assert!(Hold::shared(&backend).err().unwrap().contains("import or an admin command"));
        drop(command);
        assert!(Hold::shared(&backend).is_ok());
    }
}
