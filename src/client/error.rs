//! Errors of a call: the hub refused it, did not answer, or sent a response that does not conform to the protocol.

use std::error::Error as StdError;
use std::time::Duration;

use serde_json::{Map, Value};

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The hub refused the request.
    #[error("{0}")]
    Api(Box<ApiError>),
    /// The hub could not be reached, or the connection broke before the response was complete. A change may have taken
    /// effect.
    #[error("the hub cannot be reached: {0}")]
    Network(Box<dyn StdError + Send + Sync>),
    /// No response arrived within the client's timeout. A change may have taken effect.
    #[error("the hub did not answer in time")]
    Timeout,
    /// The response, or what was to be sent, does not conform to the protocol.
    #[error("{0}")]
    Protocol(String),
    /// The hub closed the socket with a code after which reconnecting is pointless. It is the last item of an event stream.
    #[error("the hub closed the socket: {reason} ({code})")]
    Closed {
        /// The close code: 4001 (the credential is no longer valid), 4002 (session ended or bot deleted), 4003 (wrong
        /// organisation), 4101 (organisation destroyed), 4403 (bot rejected).
        code: u16,
        /// The reason of the close frame.
        reason: String,
    },
}

/// A refusal of the hub.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ApiError {
    /// The HTTP status; 0 for the refusal of a socket operation.
    pub status: u16,
    /// The error code from the protocol, such as `THREAD_CLOSED`. Empty when the response is not the hub's own, such as that
    /// of a proxy.
    pub code: String,
    /// A message for people.
    pub message: String,
    /// How long to wait before retrying, if the hub says so.
    pub retry_after: Option<Duration>,
    /// The request's id in the log of the hub.
    pub request_id: Option<String>,
    /// The thread's current revision, with `REVISION_CONFLICT`.
    pub revision: Option<i64>,
    /// All fields of the response.
    pub details: Map<String, Value>,
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        if self.code.is_empty() { Ok(()) } else { write!(f, " ({})", self.code) }
    }
}

impl ApiError {
    /// Reads a refusal from the JSON of an answer or of an `error` frame.
    pub(crate) fn read(status: u16, body: Value) -> Self {
        let details = match body {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let text = |key: &str| details.get(key).and_then(Value::as_str).map(str::to_owned);
        let message = text("error").or_else(|| text("message")).unwrap_or_else(|| format!("the hub answered {status}"));
        Self {
            status,
            code: text("code").unwrap_or_default(),
            message,
            retry_after: details.get("retry_after").and_then(Value::as_u64).map(Duration::from_secs),
            request_id: text("request_id"),
            revision: details.get("revision").and_then(Value::as_i64),
            details,
        }
    }
}

impl Error {
    /// The hub's refusal, if this is one.
    #[must_use]
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the hub refused with this code.
    ///
    /// ```
    /// # fn judge(error: &hxa_client::Error) {
    /// if error.is_code("THREAD_CLOSED") {
    ///     // Reopen the thread, or give up.
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn is_code(&self, code: &str) -> bool {
        self.api().is_some_and(|refusal| refusal.code == code)
    }

    /// How long the hub asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.api().and_then(|refusal| refusal.retry_after)
    }

    /// Whether the credential is not, or no longer, accepted: a new token or login is needed.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        match self {
            Self::Api(refusal) => refusal.status == 401,
            Self::Closed { code, .. } => matches!(code, 4001 | 4002),
            _ => false,
        }
    }

    pub(crate) fn network(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Network(error.into())
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        // The URL may hold a password of a proxy in front of the hub.
        let error = error.without_url();
        if error.is_builder() {
            return Self::Protocol(innermost(&error));
        }
        Self::Network(innermost(&error).into())
    }
}

/// The innermost cause, which says most.
fn innermost(error: &dyn StdError) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refusals_are_read_whole() {
        let body = json!({"error": "Changed", "code": "REVISION_CONFLICT", "revision": 7, "retry_after": 3, "request_id": "r"});
        let refusal = ApiError::read(409, body);
        assert_eq!((refusal.revision, refusal.request_id.as_deref()), (Some(7), Some("r")));
        assert_eq!(refusal.to_string(), "Changed (REVISION_CONFLICT)");
        let error = Error::Api(Box::new(refusal));
        assert!(error.is_code("REVISION_CONFLICT") && !error.is_code("CONFLICT") && !error.is_unauthorized());
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn what_is_no_refusal_of_the_hub_is_told_by_its_status() {
        assert_eq!(ApiError::read(502, Value::Null).to_string(), "the hub answered 502");
    }
}
