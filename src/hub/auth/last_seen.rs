//! When bots were last seen and scoped tokens last used.
//!
//! Every request of a bot updates these times. They are kept in memory, where reads see them immediately, and written
//! together every few seconds, so that a request causes no write. A crash loses at most those seconds.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use dashmap::DashMap;

use super::Auth;
use crate::core::org_state::Bot;
use crate::core::shard;
use hxa_domain::error::ApiResult;
use hxa_domain::ids::{BotId, OrgId, TokenId};
use hxa_store::{accounts, bots};

/// Times written in one commit: few enough not to hold up messages.
const SLICE: usize = 256;
/// A bot seen again within this time counts as seen then: what clients read stays the same between two requests in a
/// row, so that they can cache it.
const GRAIN_MS: i64 = 1000;

/// Times that are not written yet.
#[derive(Default)]
pub struct LastSeen {
    bots: DashMap<BotId, (OrgId, i64)>,
    tokens: DashMap<TokenId, (OrgId, i64)>,
}

impl LastSeen {
    /// A bot was seen.
    pub fn bot(&self, bot: &Bot, org: OrgId, now: i64) {
        if now.saturating_sub(bot.last_seen.load(Ordering::Relaxed)) >= GRAIN_MS {
            bot.last_seen.store(now, Ordering::Relaxed);
            self.bots.insert(bot.id, (org, now));
        }
    }

    /// A scoped token was used.
    pub fn token(&self, token: TokenId, org: OrgId, now: i64) {
        self.tokens.insert(token, (org, now));
    }

    /// When a token was last used, if that is not written yet.
    pub fn last_used(&self, token: TokenId) -> Option<i64> {
        self.tokens.get(&token).map(|entry| entry.1)
    }
}

type Times<K> = Vec<(K, i64)>;

/// Takes everything out, grouped by organisation: its rows are written under its own key.
fn take<K: Copy + Eq + std::hash::Hash + Ord>(waiting: &DashMap<K, (OrgId, i64)>) -> HashMap<OrgId, Times<K>> {
    let mut taken: HashMap<OrgId, Times<K>> = HashMap::new();
    waiting.retain(|key, (org, at)| {
        taken.entry(*org).or_default().push((*key, *at));
        false
    });
    // One order for all, so that two transactions never wait for each other.
    taken.values_mut().for_each(|times| times.sort_unstable());
    taken
}

/// Writes the times that are only in memory. What cannot be written stays for the next time.
///
/// # Errors
/// 503 when the database is unavailable.
pub async fn flush_last_seen(auth: &Auth) -> ApiResult<()> {
    let waiting = &auth.cache.last_seen_times;
    let mut outcome = Ok(());
    for (org, times) in take(&waiting.bots) {
        for slice in times.chunks(SLICE) {
            let rows = slice.to_vec();
            let written = auth.core.store().write(shard(org.uuid()), move |conn| bots::touch(conn, &rows)).await;
            if written.is_err() {
                put_back(&waiting.bots, org, slice);
            }
            outcome = outcome.and(written);
        }
    }
    for (org, times) in take(&waiting.tokens) {
        for slice in times.chunks(SLICE) {
            let rows = slice.to_vec();
            let written =
                auth.core.store().write(shard(org.uuid()), move |conn| accounts::touch_tokens(conn, &rows)).await;
            if written.is_err() {
                put_back(&waiting.tokens, org, slice);
            }
            outcome = outcome.and(written);
        }
    }
    let told = super::sessions::end_owed_sessions(auth).await;
    outcome.and(told).and(super::sessions::flush_extensions(auth).await)
}

/// Keeps what was not written unless something newer has come meanwhile.
fn put_back<K: Copy + Eq + std::hash::Hash>(waiting: &DashMap<K, (OrgId, i64)>, org: OrgId, slice: &[(K, i64)]) {
    for (key, at) in slice {
        waiting.entry(*key).or_insert((org, *at));
    }
}
