//! Connections of a store: opened, locked for use, and pooled.

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::connection::{Backend, DbConnection, each_backend};
use super::database_lock;
use super::lease::Lease;

/// Opens the connections of a store.
#[derive(Clone)]
pub struct Connector {
    /// Which database.
    pub backend: Backend,
    /// The hub's lease; none for a command with an exclusive lock.
    pub lease: Option<Arc<Lease>>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.backend.fmt(f)
    }
}

impl Connector {
    /// Opens a connection. For a hub it first takes the shared lock and then confirms the lease: from then on a
    /// process that wants the lease waits for this connection to close.
    ///
    /// # Errors
    /// As [`Backend::connect`], and if the hub cannot confirm its lease.
    pub fn open(&self) -> ConnectionResult<DbConnection> {
        let mut conn = self.backend.connect()?;
        if let Some(lease) = &self.lease {
            if !database_lock::share(&mut conn).map_err(ConnectionError::CouldntSetupConfiguration)? {
                return Err(ConnectionError::BadConnection(
                    "another process has locked the database exclusively".to_owned(),
                ));
            }
            lease.confirm().map_err(ConnectionError::BadConnection)?;
        }
        Ok(conn)
    }

    /// True once another hub has used the database.
    pub fn is_closed(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.is_lost())
    }
}

/// r2d2's view of a [`Connector`].
#[derive(Debug, Clone)]
pub struct ConnectionManager(pub Connector);

impl diesel::r2d2::ManageConnection for ConnectionManager {
    type Connection = DbConnection;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<DbConnection, Self::Error> {
        self.0.open().map_err(diesel::r2d2::Error::ConnectionError)
    }

    fn is_valid(&self, conn: &mut DbConnection) -> Result<(), Self::Error> {
        conn.batch_execute("SELECT 1").map_err(diesel::r2d2::Error::QueryError)
    }

    fn has_broken(&self, conn: &mut DbConnection) -> bool {
        use diesel::r2d2::R2D2Connection;
        std::thread::panicking() || each_backend!(conn, |c| R2D2Connection::is_broken(c))
    }
}
