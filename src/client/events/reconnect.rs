//! What to do after a socket has ended: the protocol's rules for close codes. Pure: randomness is an argument.

use std::time::Duration;

use crate::error::{ApiError, Error};
use crate::retry::{doubled, is_transient, jittered};

/// The first pause after a loss; each further one in a row is twice as long.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause after a loss.
const LONGEST: Duration = Duration::from_secs(30);
/// The pause while the bot waits for approval.
const PENDING: Duration = Duration::from_secs(60);
/// The pause while the organisation is suspended.
const SUSPENDED: Duration = Duration::from_secs(300);
/// Reconnects in a row without a pause, to a hub that is restarting.
const AT_ONCE: u32 = 3;

/// Why a socket ended or was not opened, as a sentence for people.
pub fn reason_of(end: &Error) -> String {
    match end {
        Error::Closed { code, reason } => format!("{reason} ({code})"),
        lost => lost.to_string(),
    }
}

/// What to do.
#[derive(Debug)]
pub enum Next {
    /// Open another socket after this pause.
    Wait(Duration),
    /// End the stream with this error.
    Stop(Error),
}

/// The failures since the last working socket.
#[derive(Debug, Default)]
pub struct Reconnect {
    failures: u32,
    restarts: u32,
    unauthorized: bool,
}

impl Reconnect {
    /// A socket was opened and accepted.
    pub fn opened(&mut self) {
        self.failures = 0;
        self.unauthorized = false;
    }

    /// Events arrived: a restart is over.
    pub fn settled(&mut self) {
        self.restarts = 0;
    }

    /// What to do after a socket has ended: closed by the hub with any code, lost, or not opened.
    pub fn after(&mut self, end: Error, chance: f64) -> Next {
        let wait = |pause| Next::Wait(jittered(pause, chance));
        match end {
            Error::Closed { code: 1012, .. } if self.restarts < AT_ONCE => {
                self.restarts += 1;
                Next::Wait(Duration::ZERO)
            }
            // A ticket may have expired on its way; if a second one is refused too, the credential is invalid.
            Error::Closed { code: 4001, .. } if !self.unauthorized => {
                self.unauthorized = true;
                Next::Wait(Duration::ZERO)
            }
            Error::Closed { code: 4100, .. } => wait(SUSPENDED),
            Error::Closed { code: 4403, reason } if reason.contains("pending") => wait(PENDING),
            Error::Closed { code: 4001 | 4002 | 4003 | 4101 | 4403, .. } => Next::Stop(end),
            Error::Api(refusal) => self.refused(refusal, chance),
            Error::Closed { .. } | Error::Network(_) | Error::Timeout | Error::Protocol(_) => self.fail(None, chance),
        }
    }

    /// The hub gave no ticket.
    fn refused(&mut self, refusal: Box<ApiError>, chance: f64) -> Next {
        let wait = |pause| Next::Wait(jittered(pause, chance));
        let retry_after = refusal.retry_after;
        match (refusal.status, refusal.code.as_str()) {
            (_, "ORG_SUSPENDED") => wait(SUSPENDED),
            (_, "BOT_NOT_ACTIVE") if refusal.details.get("join_status").is_some_and(|status| status == "pending") => {
                wait(PENDING)
            }
            (429 | 500, _) => self.fail(retry_after, chance),
            _ => {
                let error = Error::Api(refusal);
                if is_transient(&error) { self.fail(retry_after, chance) } else { Next::Stop(error) }
            }
        }
    }

    fn fail(&mut self, retry_after: Option<Duration>, chance: f64) -> Next {
        let own = doubled(FIRST, self.failures, LONGEST);
        self.failures = self.failures.saturating_add(1);
        Next::Wait(jittered(own.max(retry_after.unwrap_or_default()), chance))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn closed(code: u16, reason: &str) -> Error {
        Error::Closed { code, reason: reason.to_owned() }
    }

    fn refused(status: u16, code: &str, join_status: &str) -> Error {
        let body = json!({"error": "no", "code": code, "join_status": join_status});
        Error::Api(Box::new(ApiError::read(status, body)))
    }

    /// The pause in ms, or `None` for giving up.
    fn after(state: &mut Reconnect, end: Error) -> Option<u128> {
        match state.after(end, 0.5) {
            Next::Wait(pause) => Some(pause.as_millis()),
            Next::Stop(_) => None,
        }
    }

    #[test]
    fn the_first_end_is_answered_by_its_code() {
        for (end, expected) in [
            (closed(1000, ""), Some(500)),
            (closed(1001, "server shutting down"), Some(500)),
            (closed(1009, "too large"), Some(500)),
            (closed(1012, "server restarting"), Some(0)),
            (closed(1013, "too slow, reconnect and catch up"), Some(500)),
            (closed(4001, "authentication failed"), Some(0)),
            (closed(4002, "session invalidated"), None),
            (closed(4003, "organisation mismatch"), None),
            (closed(4100, "organisation suspended"), Some(300_000)),
            (closed(4101, "organisation destroyed"), None),
            (closed(4403, "bot_pending_approval"), Some(60_000)),
            (closed(4403, "bot_rejected"), None),
            (Error::network("reset"), Some(500)),
            (Error::Timeout, Some(500)),
            (refused(401, "INVALID_TOKEN", ""), None),
            (refused(403, "ORG_SUSPENDED", ""), Some(300_000)),
            (refused(403, "BOT_NOT_ACTIVE", "pending"), Some(60_000)),
            (refused(403, "BOT_NOT_ACTIVE", "rejected"), None),
            (refused(503, "UNAVAILABLE", ""), Some(500)),
            (refused(429, "RATE_LIMITED", ""), Some(500)),
        ] {
            let name = reason_of(&end);
            assert_eq!(after(&mut Reconnect::default(), end), expected, "{name}");
        }
    }

    #[test]
    fn a_restart_is_met_at_once_three_times() {
        let mut state = Reconnect::default();
        let pauses: Vec<_> = (0..5).filter_map(|_| after(&mut state, closed(1012, ""))).collect();
        assert_eq!(pauses, [0, 0, 0, 500, 1000]);
        state.opened();
        assert_eq!(after(&mut state, closed(1012, "")), Some(500), "opening alone is no end of restarts");
        state.settled();
        assert_eq!(after(&mut state, closed(1012, "")), Some(0));
    }

    #[test]
    fn losses_in_a_row_are_answered_ever_later() {
        let mut state = Reconnect::default();
        let mut lose = || after(&mut state, Error::Timeout);
        let pauses: Vec<_> = (0..8).filter_map(|_| lose()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        state.opened();
        assert_eq!(after(&mut state, Error::Timeout), Some(500));
    }

    #[test]
    fn a_second_ticket_that_is_refused_ends_it() {
        let mut state = Reconnect::default();
        assert_eq!(after(&mut state, closed(4001, "")), Some(0));
        assert!(after(&mut state, closed(4001, "")).is_none());
        state.opened();
        assert_eq!(after(&mut state, closed(4001, "")), Some(0));
    }
}
