//! How a store comes to its connections: opened, locked for use, and pooled.

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::connection::{Backend, DbConnection, each_backend};
use super::hold;
use super::seat::Seat;

/// The way a store comes to its connections.
#[derive(Clone)]
pub struct Connector {
    /// Which database.
    pub backend: Backend,
    /// The hub's seat; a command that has the database alone has none.
    pub seat: Option<Arc<Seat>>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.backend.fmt(f)
    }
}

impl Connector {
    /// Opens a connection; a hub's shares the lock of use, and only then is the seat looked for: whoever takes that
    /// from now on waits for this connection to end.
    ///
    /// # Errors
    /// As [`Backend::connect`], and when the hub is not known to have its seat.
    pub fn open(&self) -> ConnectionResult<DbConnection> {
        let mut conn = self.backend.connect()?;
        if let Some(seat) = &self.seat {
            if !hold::share(&mut conn).map_err(ConnectionError::CouldntSetupConfiguration)? {
                return Err(ConnectionError::BadConnection("somebody else has the database to itself".to_owned()));
            }
            seat.confirm().map_err(ConnectionError::BadConnection)?;
        }
        Ok(conn)
    }

    /// True once another hub has been on the database.
    pub fn is_closed(&self) -> bool {
        self.seat.as_ref().is_some_and(|seat| seat.is_lost())
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
