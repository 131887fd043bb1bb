//! Changes of threads by the hub itself: closing idle ones, and removing state that a deletion made stale.

use super::state::ThreadState;
use super::update;
use super::{Applied, Context, ThreadOperation};
use crate::core::call::Operation;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::ApiResult;
use hxa_domain::thread::CloseReason;

/// Closes the thread with reason `timeout` if nothing happened in it since `before` (ms).
pub struct AutoClose {
    /// Threads whose newest activity is older than this are closed.
    pub before: i64,
}

impl Operation for AutoClose {
    /// Whether the thread was closed.
    type Answer = bool;

    fn class(&self) -> Option<WriteClass> {
        None
    }
}

impl ThreadOperation for AutoClose {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<bool>> {
        if thread.row.status.is_terminal() || thread.row.last_activity_at >= self.before {
            return Ok(Applied::unchanged(false));
        }
        let applied = update::close_for_hub(thread, context, CloseReason::Timeout);
        Ok(Applied { writes: applied.writes, events: applied.events, answer: true })
    }
}

/// Drops the state in memory; the next call reads the thread anew. Used after the database changed underneath,
/// when a bot was deleted or old messages were purged.
pub struct Forget;

impl Operation for Forget {
    type Answer = ();

    fn class(&self) -> Option<WriteClass> {
        None
    }
}

impl ThreadOperation for Forget {
    fn apply(self, _: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<()>> {
        context.forget = true;
        Ok(Applied::unchanged(()))
    }
}
