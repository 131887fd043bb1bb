//! A cache of tokens, by their hash.
//!
//! A token that was revoked while it was read is not cached ([`Memory`]), and an expired token stays expired if the clock
//! is set back.

use std::time::{Duration, Instant};

use super::Auth;
use super::memory::Memory;
use hxa_domain::error::ApiResult;
use hxa_domain::ids::BotId;
use hxa_store::accounts::{self, Credential};

/// Tokens remembered: some 40 MB.
const MOST: usize = 200_000;

/// A token that was live when it was read, or had no end.
#[derive(Debug, Clone, Copy)]
struct Known {
    credential: Credential,
    /// When its life is over by the time that has passed since, whatever the clock says then.
    over: Option<Instant>,
}

impl Known {
    fn new(credential: Credential, now: i64) -> Self {
        // One that had ended before may owe that to a clock that is wrong, and ends by the clock alone.
        let left = credential.expires_at.and_then(|end| u64::try_from(end.saturating_sub(now)).ok());
        let over = left.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
        Self { credential, over }
    }
}

/// The memory of tokens.
pub struct Credentials(Memory<Known>);

impl Default for Credentials {
    fn default() -> Self {
        Self(Memory::new(MOST))
    }
}

impl Credentials {
    /// What is remembered of a token.
    #[must_use]
    pub fn known(&self, hash: &str) -> Option<Credential> {
        self.0.get(hash).map(|known| known.credential)
    }

    /// Forgets a token.
    pub fn remove(&self, hash: &str) {
        self.0.remove(hash);
    }

    /// Forgets every token of a bot.
    pub fn remove_of_bot(&self, bot: BotId) {
        self.0.remove_where(|_, known| known.credential.bot == bot);
    }
}

/// What a token's hash stands for, from memory or else from the database.
pub async fn find(auth: &Auth, hash: &str) -> ApiResult<Option<Credential>> {
    let memory = &auth.cache.credentials;
    if let Some(known) = memory.known(hash) {
        return Ok(Some(known));
    }
    let generation = memory.0.generation();
    let wanted = hash.to_owned();
    let found = auth.core.store().read(move |conn| accounts::find_credential(conn, &wanted)).await?;
    if let Some(credential) = found {
        memory.0.remember(hash, Known::new(credential, auth.core.now()), generation);
    }
    Ok(found)
}

/// Whether a token that was just found has ended: by the clock, or by the time that has passed since it was first seen.
pub fn has_ended(auth: &Auth, hash: &str, credential: &Credential) -> bool {
    let is_over =
        || auth.cache.credentials.0.get(hash).and_then(|known| known.over).is_some_and(|at| at <= Instant::now());
    credential.expires_at.is_some_and(|at| at < auth.core.now() || is_over())
}
