//! Idempotent requests: a key is claimed while its request is in progress, and its response is stored with the effect.
//!
//! [`claim`] claims the key and looks for a stored response; the result is a replay or a [`Claim`], which travels in
//! the call's [`crate::core::call::Reply`]. The owner of the state asks the claim for a write at its commit. A claim is
//! released when the call is answered or dropped, so a key is always claimed, stored or free. A request without a key
//! is not affected.

use std::sync::Arc;

use dashmap::DashSet;

use super::Core;
use crate::core::caller::BotCaller;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::idempotency::fingerprint;
use hxa_domain::ids::BotId;
use hxa_domain::text::Fields;
use hxa_store::Write;
use hxa_store::idempotency;
use hxa_store::rows::ReceiptRow;

/// The keys of requests under way.
pub type Held = Arc<DashSet<(BotId, String)>>;

/// A key that is held for one request.
pub struct Claim {
    held: Held,
    bot: BotId,
    key: String,
    fingerprint: String,
    at: i64,
}

impl Claim {
    /// The write that remembers `answer`.
    #[must_use]
    pub fn store(&self, answer: String) -> Write {
        Write::Receipt(Box::new(ReceiptRow {
            bot_id: self.bot,
            key: self.key.clone(),
            fingerprint: self.fingerprint.clone(),
            answer,
            created_at: self.at,
        }))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.held.remove(&(self.bot, std::mem::take(&mut self.key)));
    }
}

/// What is known of a key.
pub enum Taken {
    /// The request was answered before, with this JSON.
    Answered(String),
    /// It is new, and the key is held for it.
    New(Claim),
}

/// Takes `key` for a request of `caller` with these `fields`. The future owns what it needs, so it may outlive them.
///
/// # Errors
/// `IDEMPOTENCY_IN_PROGRESS` while another request holds the key, `IDEMPOTENCY_MISMATCH` when it answered another one.
pub fn claim(
    core: &Core,
    caller: &BotCaller,
    key: String,
    operation: &str,
    fields: &Fields,
) -> impl Future<Output = ApiResult<Taken>> + use<> {
    let (org, bot, at, store) = (caller.org.id, caller.bot.id, core.now(), core.store().clone());
    let held = core.held_keys().clone();
    let fingerprint = fingerprint(operation, caller.human.is_some(), fields);
    let claim = if held.insert((bot, key.clone())) {
        Ok(Claim { held, bot, key: key.clone(), fingerprint, at })
    } else {
        Err(idempotency::in_progress())
    };
    async move {
        let claim = claim?;
        match store.read_for(org, move |conn| idempotency::find(conn, bot, &key, at)).await? {
            None => Ok(Taken::New(claim)),
            Some(row) if row.fingerprint == claim.fingerprint => Ok(Taken::Answered(row.answer)),
            Some(_) => {
                let message = "The idempotency key was used before with another request";
                Err(ApiError::new(ErrorCode::IdempotencyMismatch, message))
            }
        }
    }
}

/// Forgets answers that are old enough.
///
/// # Errors
/// When the database is unavailable.
pub async fn purge(core: &Core) -> ApiResult<()> {
    let now = core.now();
    core.store().delete_in_batches(0, move |conn| idempotency::purge(conn, now)).await
}
