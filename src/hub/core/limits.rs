//! Rate limits per bot, shared by REST and sockets.
//!
//! Windows are counted in memory; a restart forgets at most a minute of messages and an hour of new threads. The event
//! is charged when it is admitted, before the rest of the request is checked, as clients have always observed it.

use super::Core;
use crate::core::caller::BotCaller;
use hxa_domain::error::{Allowance, ApiError, ApiResult};
use hxa_domain::limits::{MESSAGE_WINDOW_MS, THREAD_WINDOW_MS};
use hxa_domain::ratelimit::SlidingWindow;

impl Core {
    /// Charges one message.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub fn charge_message(&self, caller: &BotCaller) -> ApiResult<Allowance> {
        let limit = caller.org.settings().messages_per_minute_per_bot;
        let mut windows = caller.org.budgets.member(caller.bot.id.uuid());
        let bucket = Bucket { name: "message", limit: u32::try_from(limit).unwrap_or(0), window_ms: MESSAGE_WINDOW_MS };
        self.admit(&bucket, &mut windows.messages)
    }

    /// Charges one new thread.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub fn charge_thread(&self, caller: &BotCaller) -> ApiResult<Allowance> {
        let limit = caller.org.settings().threads_per_hour_per_bot;
        let mut windows = caller.org.budgets.member(caller.bot.id.uuid());
        let bucket = Bucket { name: "thread", limit: u32::try_from(limit).unwrap_or(0), window_ms: THREAD_WINDOW_MS };
        self.admit(&bucket, &mut windows.threads)
    }

    fn admit(&self, bucket: &Bucket, window: &mut SlidingWindow) -> ApiResult<Allowance> {
        let now = self.now();
        let refused = window.admit(now, bucket.limit, bucket.window_ms);
        let left = Allowance {
            limit: bucket.limit,
            remaining: window.remaining(now, bucket.limit, bucket.window_ms),
            reset_s: window.resets_in(now, bucket.window_ms),
            window_s: u64::try_from(bucket.window_ms / 1000).unwrap_or(0),
        };
        match refused {
            Ok(()) => Ok(left),
            Err(retry_after) => {
                self.metrics().limited(bucket.name);
                Err(ApiError::rate_limited(retry_after).under(left))
            }
        }
    }
}

/// One kind of charged event.
struct Bucket {
    name: &'static str,
    limit: u32,
    window_ms: i64,
}
