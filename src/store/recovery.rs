//! Corrections at startup after the hub was killed.
//!
//! The latest activity of a conversation is written at most every few seconds while it is busy, so after a kill the
//! rows of conversations that were busy at that time lag behind their newest message. Only these can be wrong:
//! everything older was flushed. A clean shutdown leaves nothing to correct.

use diesel::dsl::max;
use diesel::prelude::*;

use super::schema::{artifacts, channel_messages, channels, thread_messages, threads};
use super::{Backend, DbConnection, DbError};
use hxa_domain::error::ApiError;

/// Conversations whose stored activity is this close to the newest one may have been busy when the hub ended.
const WINDOW_MS: i64 = 60_000;

/// Brings `last_activity_at` of recently busy conversations up to their newest row.
///
/// # Errors
/// When the database fails.
pub fn recover(backend: &Backend) -> Result<(), String> {
    let mut conn =
        backend.connect().map_err(|error| format!("cannot open the {} database: {error}", backend.name()))?;
    let recovered: Result<(), RecoveryError> = conn.transaction(|conn| {
        recover_threads(conn)?;
        recover_channels(conn)
    });
    match recovered {
        Ok(()) => Ok(()),
        // The hub is not ready then, and what lags matters less than that what is there can be read.
        Err(RecoveryError(error)) if error.is_unavailable() => {
            log::warn!("cannot correct activity times: the database is not writable");
            Ok(())
        }
        Err(RecoveryError(error)) => Err(format!("cannot correct activity times: {}", ApiError::from(error))),
    }
}

/// Lets diesel's transaction carry the store's own error.
struct RecoveryError(DbError);

impl From<diesel::result::Error> for RecoveryError {
    fn from(error: diesel::result::Error) -> Self {
        Self(error.into())
    }
}

fn recover_threads(conn: &mut DbConnection) -> Result<(), RecoveryError> {
    let newest: Option<i64> = threads::table.select(max(threads::last_activity_at)).first(conn)?;
    let since = newest.unwrap_or(0).saturating_sub(WINDOW_MS);
    let busy: Vec<(String, i64)> = threads::table
        .filter(threads::last_activity_at.ge(since))
        .select((threads::id, threads::last_activity_at))
        .load(conn)?;
    for (id, stored) in busy {
        let message: Option<i64> = thread_messages::table
            .filter(thread_messages::thread_id.eq(&id))
            .select(max(thread_messages::created_at))
            .first(conn)?;
        let artifact: Option<i64> =
            artifacts::table.filter(artifacts::thread_id.eq(&id)).select(max(artifacts::created_at)).first(conn)?;
        let newest = message.max(artifact).unwrap_or(0);
        if newest > stored {
            diesel::update(threads::table.find(&id)).set(threads::last_activity_at.eq(newest)).execute(conn)?;
        }
    }
    Ok(())
}

fn recover_channels(conn: &mut DbConnection) -> Result<(), RecoveryError> {
    let newest: Option<i64> = channels::table.select(max(channels::last_activity_at)).first(conn)?;
    let since = newest.unwrap_or(0).saturating_sub(WINDOW_MS);
    let busy: Vec<(String, i64)> = channels::table
        .filter(channels::last_activity_at.ge(since))
        .select((channels::id, channels::last_activity_at))
        .load(conn)?;
    for (id, stored) in busy {
        let newest: Option<i64> = channel_messages::table
            .filter(channel_messages::channel_id.eq(&id))
            .select(max(channel_messages::created_at))
            .first(conn)?;
        if newest.is_some_and(|newest| newest > stored) {
            diesel::update(channels::table.find(&id))
                .set(channels::last_activity_at.eq(newest.unwrap_or(stored)))
                .execute(conn)?;
        }
    }
    Ok(())
}
