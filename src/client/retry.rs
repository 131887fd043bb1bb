//! When a call is retried, and after which pause. Pure: randomness is an argument.

use std::time::Duration;

use crate::error::Error;

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(8);
/// A longer `Retry-After` is an error instead of a pause.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a retry may succeed. Retrying is safe only for reads and for requests with an idempotency key.
pub fn is_transient(error: &Error) -> bool {
    match error {
        Error::Network(_) | Error::Timeout => true,
        Error::Api(refusal) => {
            matches!(refusal.status, 502..=504)
                || matches!(refusal.code.as_str(), "UNAVAILABLE" | "IDEMPOTENCY_IN_PROGRESS" | "REQUEST_TIMEOUT")
        }
        Error::Protocol(_) | Error::Closed { .. } => false,
    }
}

/// The pause before the next of at most `tries` tries, after `failed` of them; `None` when another is pointless, or the hub
/// asks for too long a pause. `chance` is between 0 and 1.
pub fn before_next(error: &Error, failed: u32, tries: u32, chance: f64) -> Option<Duration> {
    if failed >= tries || !is_transient(error) {
        return None;
    }
    pause(failed, error.retry_after(), chance)
}

/// The pause before try `failed + 1`, or `None` when the hub asks for too long a pause.
fn pause(failed: u32, retry_after: Option<Duration>, chance: f64) -> Option<Duration> {
    let own = jittered(doubled(FIRST, failed.saturating_sub(1), LONGEST), chance);
    match retry_after {
        Some(asked) if asked > PATIENCE => None,
        Some(asked) => Some(own.max(asked)),
        None => Some(own),
    }
}

/// `first`, doubled `times` times, at most `longest`.
pub fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(longest)
}

/// Up to a fifth shorter or longer, so that clients that failed together do not return together.
pub fn jittered(pause: Duration, chance: f64) -> Duration {
    pause.mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::ApiError;

    fn refused(status: u16, code: &str) -> Error {
        Error::Api(Box::new(ApiError::read(status, json!({"error": "no", "code": code}))))
    }

    #[test]
    fn pauses_double_up_to_eight_seconds() {
        let pauses: Vec<u128> = (1..8).filter_map(|failed| pause(failed, None, 0.5)).map(|p| p.as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(pause(1, None, 0.0), Some(Duration::from_millis(400)));
        assert_eq!(pause(1, None, 1.0), Some(Duration::from_millis(600)));
    }

    #[test]
    fn the_hubs_wish_counts_if_it_is_longer() {
        let asked = |seconds| pause(1, Some(Duration::from_secs(seconds)), 0.5);
        assert_eq!(asked(0), Some(Duration::from_millis(500)));
        assert_eq!(asked(3), Some(Duration::from_secs(3)));
        assert_eq!(asked(61), None);
    }

    #[test]
    fn only_what_may_pass_is_repeated() {
        for (error, expected) in [
            (Error::network("reset"), true),
            (Error::Timeout, true),
            (refused(502, ""), true),
            (refused(503, "UNAVAILABLE"), true),
            (refused(409, "IDEMPOTENCY_IN_PROGRESS"), true),
            (refused(408, "REQUEST_TIMEOUT"), true),
            (refused(409, "IDEMPOTENCY_MISMATCH"), false),
            (refused(429, "RATE_LIMITED"), false),
            (refused(500, "INTERNAL_ERROR"), false),
            (Error::Protocol("odd".to_owned()), false),
        ] {
            assert_eq!(is_transient(&error), expected, "{error}");
        }
    }
}
