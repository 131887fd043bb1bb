//! The store's interface for reads: the hub's own, those of organisations, and work that is too much for a thread that
//! serves.

use super::reader::{Tenant, Weight};
use super::{DbConnection, DbError, Store, search, stats};
use hxa_domain::error::ApiResult;
use hxa_domain::ids::OrgId;

impl Store {
    /// The searches under way.
    #[must_use]
    pub fn searches(&self) -> &search::Searches {
        &self.inner.searches
    }

    /// Statistics of the whole hub, counted at most once a minute.
    ///
    /// # Errors
    /// 503 when the database is unavailable.
    pub async fn stats(&self, now: i64) -> ApiResult<stats::Stats> {
        self.inner.stats.at(now, self.read_slowly(None, move |conn| stats::load(conn, now))).await
    }

    /// Runs a query of the hub's own on a reader thread.
    ///
    /// # Errors
    /// What `query` refuses; 503 `UNAVAILABLE` when the database is unavailable or too many reads are queued.
    pub async fn read<T, F>(&self, query: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, DbError> + Send + 'static,
    {
        self.inner.readers.run(None, Weight::Light, query).await
    }

    /// Runs an organisation's query on a reader thread, which it shares fairly with the other organisations'.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_for<T, F>(&self, org: OrgId, query: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, DbError> + Send + 'static,
    {
        self.inner.readers.run(Some(org), Weight::Light, query).await
    }

    /// The same of a query that may have to look at a great deal; few of them run at a time.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_slowly<T, F>(&self, tenant: Tenant, query: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, DbError> + Send + 'static,
    {
        self.inner.readers.run(tenant, Weight::Heavy, query).await
    }

    /// Does on a reader thread what is too much for one that serves and needs no database.
    ///
    /// # Errors
    /// 503 `UNAVAILABLE` when too much is queued.
    pub async fn work_for<T, F>(&self, tenant: Tenant, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        self.inner.readers.work(tenant, work).await
    }
}
