//! What came of a call, and which of Slack's error codes mean that it may be tried again.

use std::fmt;
use std::time::Duration;

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T = Posted> {
    /// Slack has it.
    Sent(T),
    /// Slack wants to be left alone for a while.
    RateLimited {
        /// For how long, at most an hour.
        retry_after: Duration,
    },
    /// It may work another time.
    Temporary {
        /// What went wrong.
        why: Trouble,
    },
    /// It will not work another time.
    Permanent {
        /// Slack's error code, such as `channel_not_found`, or `http_` and a status.
        code: String,
    },
}

/// Where a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The conversation: for a message to a user not what it was addressed to.
    pub channel: String,
    /// The message in it.
    pub ts: String,
}

/// Why a call did not work this time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// There was no connection: Slack does not have the message.
    Unreachable,
    /// There was no answer, or not the whole of it, in time: Slack may have the message.
    Unanswered,
    /// The answer was no answer of Slack.
    Unreadable,
    /// The answer was too large.
    TooLarge,
    /// A status that means "later".
    Status(u16),
    /// An error code that means "later".
    Code(String),
}

/// Error codes of `ok: false` that speak of the moment and not of the message. Slack does not list all of its codes; an
/// unknown one is final, because repeating what is refused helps nobody.
const LATER: [&str; 12] = [
    "accesslimited",
    "external_channel_migrating",
    "fatal_error",
    "internal_error",
    "message_limit_exceeded",
    "org_login_required",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
    "temporarily_unavailable",
    "timeout",
    "update_failed",
];
/// The wait after a rate limit that names none.
const USUAL_WAIT: Duration = Duration::from_secs(30);
/// The longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);
/// Longest error code.
const CODE: usize = 64;

impl<T> Outcome<T> {
    pub(super) fn permanent(code: &str) -> Self {
        Self::Permanent { code: code.to_owned() }
    }

    /// What an error code means.
    pub(super) fn of_code(code: &str) -> Self {
        let code = if is_code(code) { code } else { "unknown_error" };
        match code {
            "ratelimited" | "rate_limited" => Self::rate_limited(None),
            _ if LATER.contains(&code) => Self::Temporary { why: Trouble::Code(code.to_owned()) },
            _ => Self::permanent(code),
        }
    }

    /// A rate limit with the value of `Retry-After`: seconds.
    pub(super) fn rate_limited(header: Option<&str>) -> Self {
        let digits = header.map(str::trim).filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
        let asked = digits.map(|digits| Duration::from_secs(digits.parse().unwrap_or(u64::MAX)));
        Self::RateLimited { retry_after: asked.unwrap_or(USUAL_WAIT).min(LONGEST_WAIT) }
    }
}

/// Whether a text looks like an error code, so that nothing else gets into logs and the audit.
pub(super) fn is_code(text: &str) -> bool {
    (1..=CODE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

impl Trouble {
    /// A word for it: Slack's error code if there is one.
    #[must_use]
    pub fn code(&self) -> String {
        match self {
            Self::Unreachable => "unreachable".to_owned(),
            Self::Unanswered => "no_answer".to_owned(),
            Self::Unreadable => "unreadable_answer".to_owned(),
            Self::TooLarge => "answer_too_large".to_owned(),
            Self::Status(status) => format!("http_{status}"),
            Self::Code(code) => code.clone(),
        }
    }

    /// Whether Slack may have the message all the same.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        !matches!(self, Self::Unreachable | Self::Code(_))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("Slack cannot be reached"),
            Self::Unanswered => f.write_str("Slack did not answer in time"),
            Self::Unreadable => f.write_str("the answer is not one of Slack"),
            Self::TooLarge => f.write_str("the answer is too large"),
            Self::Status(status) => write!(f, "Slack answered with status {status}"),
            Self::Code(code) => write!(f, "Slack answered with the error {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_final_unless_they_speak_of_the_moment() {
        for code in ["channel_not_found", "invalid_auth", "not_in_channel", "invalid_blocks", "never_heard_of"] {
            assert_eq!(Outcome::<()>::of_code(code), Outcome::permanent(code));
        }
        for code in ["internal_error", "service_unavailable", "fatal_error"] {
            let why = Trouble::Code(code.to_owned());
            assert_eq!(Outcome::<()>::of_code(code), Outcome::Temporary { why });
        }
        for code in ["ratelimited", "rate_limited"] {
            assert_eq!(Outcome::<()>::of_code(code), Outcome::RateLimited { retry_after: USUAL_WAIT });
        }
        let long = "x".repeat(65);
        for code in ["", "two words", "<b>", "a\nb", "é", &long] {
            assert_eq!(Outcome::<()>::of_code(code), Outcome::permanent("unknown_error"), "{code}");
        }
    }

    #[test]
    fn waits_are_seconds_within_an_hour() {
        let wait = |header| match Outcome::<()>::rate_limited(header) {
            Outcome::RateLimited { retry_after } => retry_after.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(Some("7")), 7);
        assert_eq!(wait(Some(" 0 ")), 0);
        assert_eq!(wait(Some("3601")), 3600);
        assert_eq!(wait(Some("99999999999999999999999")), 3600);
        for odd in [None, Some(""), Some("-1"), Some("1.5"), Some("+1"), Some("Wed, 21 Oct 2026 07:28:00 GMT")] {
            assert_eq!(wait(odd), 30, "{odd:?}");
        }
    }
}
