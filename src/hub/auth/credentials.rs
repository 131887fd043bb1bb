//! A cache of tokens, by their hash.
//!
//! Reading a token and caching it is not atomic: the token may be revoked in between. Every removal increments the
//! generation, and a token read under an older generation is used once but not cached. An expired token stays expired
//! if the clock is set back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;

use super::Auth;
use hxa_domain::error::ApiResult;
use hxa_domain::ids::BotId;
use hxa_store::accounts::{self, Credential};

/// Tokens remembered before the memory starts over: some 40 MB.
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
#[derive(Default)]
pub struct Credentials {
    known: DashMap<String, Known>,
    generation: AtomicU64,
}

impl Credentials {
    fn remember(&self, hash: &str, known: Known, generation: u64) {
        if self.known.len() >= MOST {
            self.known.clear();
        }
        // The shard stays locked from the check to the insertion, so that a removal comes before or after both.
        let entry = self.known.entry(hash.to_owned());
        if self.generation.load(Ordering::Acquire) == generation {
            entry.insert(known);
        }
    }

    /// What is remembered of a token.
    #[must_use]
    pub fn known(&self, hash: &str) -> Option<Credential> {
        self.known.get(hash).map(|known| known.credential)
    }

    /// Forgets a token.
    pub fn remove(&self, hash: &str) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.known.remove(hash);
    }

    /// Forgets every token of a bot.
    pub fn remove_of_bot(&self, bot: BotId) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.known.retain(|_, known| known.credential.bot != bot);
    }
}

/// What a token's hash stands for, from memory or else from the database.
pub async fn find(auth: &Auth, hash: &str) -> ApiResult<Option<Credential>> {
    let memory = &auth.cache.credentials;
    if let Some(known) = memory.known(hash) {
        return Ok(Some(known));
    }
    let generation = memory.generation.load(Ordering::Acquire);
    let wanted = hash.to_owned();
    let found = auth.core.store().read(move |conn| accounts::find_credential(conn, &wanted)).await?;
    if let Some(credential) = found {
        memory.remember(hash, Known::new(credential, auth.core.now()), generation);
    }
    Ok(found)
}

/// Whether a token that was just found has ended: by the clock, or by the time that has passed since it was first seen.
pub fn has_ended(auth: &Auth, hash: &str, credential: &Credential) -> bool {
    let is_over =
        || auth.cache.credentials.known.get(hash).and_then(|known| known.over).is_some_and(|at| at <= Instant::now());
    credential.expires_at.is_some_and(|at| at < auth.core.now() || is_over())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hxa_domain::ids::OrgId;
    use hxa_domain::scope::ScopeSet;

    #[test]
    fn what_was_read_before_a_removal_is_not_remembered() {
        let memory = Credentials::default();
        let credential = Credential {
            org: OrgId::random(),
            bot: BotId::random(),
            token: None,
            scopes: ScopeSet::FULL,
            expires_at: None,
        };
        let (before, known) = (memory.generation.load(Ordering::Acquire), Known::new(credential, 0));
        memory.remove("hash");
        memory.remember("hash", known, before);
        assert!(memory.known.get("hash").is_none());
        memory.remember("hash", known, memory.generation.load(Ordering::Acquire));
        assert!(memory.known.get("hash").is_some());
        memory.remove_of_bot(credential.bot);
        assert!(memory.known.is_empty());
    }
}
