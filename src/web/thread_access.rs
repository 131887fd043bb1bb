//! Read access to threads, and the errors for callers without it.
//!
//! A bot reads the threads it participates in. A thread that it may not see looks absent; for a public one the error
//! says how to join. Admins read every thread of their organisation.

use std::sync::Arc;

use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::ThreadId;
use hxa_hub::core::caller::BotCaller;
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;
use hxa_store::rows::{ParticipantRow, ThreadRow};
use hxa_store::{DbConnection, DbError, threads, threads_list};

use super::views;

/// The id in a path; what is no id names no thread.
///
/// # Errors
/// 404 for a text that is no id.
pub fn thread_id(text: &str) -> ApiResult<ThreadId> {
    ThreadId::parse(text).ok_or_else(|| ApiError::not_found("Thread"))
}

/// Reads something of a thread the bot takes part in, in one go with the check. `more` gets the thread's row and the
/// bot's own place in it.
///
/// # Errors
/// 404 when there is no such thread for the bot, 403 `JOIN_REQUIRED` when it has to join first.
pub async fn read<T, F>(hub: &Hub, caller: &BotCaller, thread: &str, more: F) -> ApiResult<(ThreadRow, T)>
where
    T: Send + 'static,
    F: FnOnce(&mut DbConnection, ThreadId, &ThreadRow, &ParticipantRow) -> Result<T, DbError> + Send + 'static,
{
    let (id, org, bot) = (thread_id(thread)?, caller.org.id, caller.bot.id);
    let read = move |conn: &mut DbConnection| {
        let found = threads_list::find_for(conn, org, id, bot)?;
        let (row, place) = found.ok_or_else(|| ApiError::not_found("Thread"))?;
        let Some(place) = place else {
            return Err(outsider(&row).into());
        };
        let more = more(conn, id, &row, &place)?;
        Ok((row, more))
    };
    let (mut row, more) = hub.store().read_for(org, read).await?;
    views::show_newest_activity(&caller.org, &mut row);
    Ok((row, more))
}

/// What a bot hears of a thread it is not in.
fn outsider(row: &ThreadRow) -> ApiError {
    row.visibility.refuse_outsider(row.id)
}

/// Reads something of any thread of the organisation.
///
/// # Errors
/// 404 when the organisation has no such thread.
pub async fn read_as_admin<T, F>(hub: &Hub, org: &Arc<OrgState>, thread: &str, more: F) -> ApiResult<(ThreadRow, T)>
where
    T: Send + 'static,
    F: FnOnce(&mut DbConnection, ThreadId) -> Result<T, DbError> + Send + 'static,
{
    let (id, of) = (thread_id(thread)?, org.id);
    let read = move |conn: &mut DbConnection| {
        let row = threads::find(conn, of, id)?.ok_or_else(|| ApiError::not_found("Thread"))?;
        let more = more(conn, id)?;
        Ok((row, more))
    };
    let (mut row, more) = hub.store().read_for(of, read).await?;
    views::show_newest_activity(org, &mut row);
    Ok((row, more))
}
