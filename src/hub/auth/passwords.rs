//! Hashing passwords: away from the threads that serve others, few at a time.
//!
//! A hash takes some twenty milliseconds of a core and 19 MiB, on purpose. So at most [`AT_ONCE`] are computed at a time, on
//! threads of their own, and a bounded number of attempts waits for its turn. These places are shared between
//! organisations and between callers, so that a flood of guesses at one organisation leaves room for the logins of others.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Auth;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::passwords;
use hxa_domain::shares::{Holder, Shares};

/// Hashes computed at a time: two take 38 MiB, and on a small machine the other cores stay for everybody else.
const AT_ONCE: usize = 2;
/// Attempts that wait or are computed; the last of them waits a second or two.
const PLACES: usize = 128;

/// A turn to hash.
pub(super) type Turn = OwnedSemaphorePermit;

/// The turns in which passwords are hashed.
pub struct Hashing {
    turns: Arc<Semaphore>,
    places: Arc<Shares<Holder>>,
}

impl Default for Hashing {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), places: Shares::new(PLACES) }
    }
}

impl Hashing {
    /// Runs `work` when its turn has come. `check` is asked once more then, because much may have been found out while this
    /// one waited. The turn lasts until it is dropped.
    async fn run<T: Send + 'static>(
        &self,
        (org, member): (Holder, Holder),
        check: impl FnOnce() -> ApiResult<()>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> ApiResult<(T, Turn)> {
        let busy = |_| ApiError::unavailable("Too many logins are being checked; try again");
        let _place = self.places.take(org, member, 1).map_err(busy)?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| ApiError::internal())?;
        check()?;
        // Kept by the thread: a caller that goes away does not make room for one hash more than there may be.
        let job = tokio::task::spawn_blocking(move || (work(), turn));
        job.await.map_err(|_| ApiError::internal())
    }
}

/// Whether a password is that of a hash; it takes as long where there is none. Nobody else has the turn until what is made
/// of the answer is counted: then the turn is dropped.
///
/// # Errors
/// What `check` refuses when the turn has come; 503 while too many wait.
pub(super) async fn is_password(
    auth: &Auth,
    holders: (Holder, Holder),
    check: impl FnOnce() -> ApiResult<()>,
    (password, hash): (String, Option<String>),
) -> ApiResult<(bool, Turn)> {
    auth.cache.hashing.run(holders, check, move || passwords::matches(&password, hash.as_deref())).await
}

/// The hash of a new password.
///
/// # Errors
/// 503 while too many wait.
pub async fn hash_password(auth: &Auth, holders: (Holder, Holder), password: String) -> ApiResult<String> {
    let (hashed, _) = auth.cache.hashing.run(holders, || Ok(()), move || passwords::hash(&password)).await?;
    hashed.ok_or_else(ApiError::internal)
}
