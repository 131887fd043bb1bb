//! Where a command is carried out: on a running hub, or on a database that no hub uses.
//!
//! A command reads and changes through [`Place`] and is the same in both. On a database, reading needs a connection;
//! changing needs an exclusive lock and then a headless hub, so that the changes are those of a hub, with their audit
//! entries.

use std::cell::Cell;

use serde_json::Value;

use super::AdminError;
use crate::serve::{self, HeadlessHub, StartError};
use hxa_hub::config::Config;
use hxa_hub::hub::Hub;
use hxa_store::{DbConnection, DbError, StoreConfig, migrate};

/// Where a command is carried out.
pub enum Place<'a> {
    /// A hub that runs.
    Hub(&'a Hub),
    /// The configured database.
    Database(Direct<'a>),
}

/// A database that is used without a hub, and whether somebody else was found to be on it.
pub struct Direct<'a> {
    config: &'a Config,
    in_use: Cell<bool>,
}

impl<'a> Place<'a> {
    /// The configured database.
    #[must_use]
    pub const fn database(config: &'a Config) -> Self {
        Self::Database(Direct { config, in_use: Cell::new(false) })
    }

    /// Whether a change was refused because somebody else is on the database.
    #[must_use]
    pub fn was_in_use(&self) -> bool {
        matches!(self, Self::Database(direct) if direct.in_use.get())
    }

    /// Reads.
    ///
    /// # Errors
    /// What the query refuses, and when the database cannot be used.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut DbConnection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, AdminError> {
        match self {
            Place::Hub(hub) => Ok(hub.store().read(query).await?),
            Place::Database(direct) => Ok(query(&mut open_database(direct.config)?)?),
        }
    }

    /// Has a hub make a change: the running one, or one that has the database alone.
    ///
    /// # Errors
    /// What the change refuses, and while the database is in use.
    pub async fn change(&self, what: impl AsyncFnOnce(&Hub) -> Result<Value, AdminError>) -> Result<Value, AdminError> {
        let direct = match self {
            Place::Hub(hub) => return what(hub).await,
            Place::Database(direct) => direct,
        };
        let opened = HeadlessHub::open(direct.config.clone()).await;
        direct.in_use.set(matches!(opened, Err(StartError::InUse(_))));
        let headless = opened?;
        let outcome = what(headless.hub()).await;
        headless.close().await;
        outcome
    }
}

/// Opens the database for reads. Its schema must be current, because a read does not migrate it.
fn open_database(config: &Config) -> Result<DbConnection, AdminError> {
    let StoreConfig { backend, catalogue, .. } = serve::store_config(config);
    if !migrate::pending(&catalogue, &backend)?.is_empty() {
        return Err(AdminError(
            "the database is not up to date; start the hub or run `hxa-connect migrate` first".to_owned(),
        ));
    }
    backend.connect().map_err(|error| AdminError(format!("cannot open the database: {error}")))
}
