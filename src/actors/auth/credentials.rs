//! Tokens the hub has seen, by their hash.
//!
//! Reading a token and remembering it is not one step: a token may be revoked in between. Every removal moves the
//! generation on, and what was read under an older generation is used once but not remembered.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use crate::actors::hub::Hub;
use crate::domain::ids::BotId;
use crate::error::ApiResult;
use crate::store::accounts::{self, Credential};

/// Tokens remembered before the memory starts over: some 40 MB.
const MOST: usize = 200_000;

/// The memory of tokens.
#[derive(Default)]
pub struct Credentials {
    known: DashMap<String, Credential>,
    generation: AtomicU64,
}

impl Credentials {
    fn remember(&self, hash: &str, credential: Credential, generation: u64) {
        if self.known.len() >= MOST {
            self.known.clear();
        }
        // The shard stays locked from the check to the insertion, so that a removal comes before or after both.
        let entry = self.known.entry(hash.to_owned());
        if self.generation.load(Ordering::Acquire) == generation {
            entry.insert(credential);
        }
    }

    /// Forgets a token.
    pub fn remove(&self, hash: &str) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.known.remove(hash);
    }

    /// Forgets every token of a bot.
    pub fn remove_of_bot(&self, bot: BotId) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.known.retain(|_, credential| credential.bot != bot);
    }
}

/// What a token's hash stands for, from memory or else from the database.
pub async fn find(hub: &Hub, hash: &str) -> ApiResult<Option<Credential>> {
    let memory = &hub.auth().credentials;
    if let Some(known) = memory.known.get(hash) {
        return Ok(Some(*known));
    }
    let generation = memory.generation.load(Ordering::Acquire);
    let wanted = hash.to_owned();
    let found = hub.store().read(move |conn| accounts::find_credential(conn, &wanted)).await?;
    if let Some(credential) = found {
        memory.remember(hash, credential, generation);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::OrgId;
    use crate::domain::scope::ScopeSet;

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
        let before = memory.generation.load(Ordering::Acquire);
        memory.remove("hash");
        memory.remember("hash", credential, before);
        assert!(memory.known.get("hash").is_none());
        memory.remember("hash", credential, memory.generation.load(Ordering::Acquire));
        assert!(memory.known.get("hash").is_some());
        memory.remove_of_bot(credential.bot);
        assert!(memory.known.is_empty());
    }
}
