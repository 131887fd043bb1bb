//! The result of a call: the agent's answer, or a failure with its HTTP status.

use hxa_domain::limits::utf16_len;
use serde::Serialize;
use serde_json::Value;

use crate::rules::limits;
use crate::rules::words::{MissingTarget, RpcCode};

/// A call that failed: 503 `rpc_target_missing`, 504 `rpc_timeout`, or 502 `rpc_error` with the agent's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RpcFailure {
    /// For people.
    pub error: String,
    /// For programs.
    pub code: RpcCode,
    /// Why there is no target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<MissingTarget>,
}

impl RpcFailure {
    /// No socket has registered the method.
    #[must_use]
    pub fn missing(method: &str, reason: MissingTarget) -> Self {
        let error = match reason {
            MissingTarget::NotRegistered => format!("No agent answers to {method}"),
            MissingTarget::Disconnected => format!("The agent disconnected before it answered {method}"),
        };
        Self { error, code: RpcCode::TargetMissing, reason: Some(reason) }
    }

    /// The agent did not answer in time.
    #[must_use]
    pub fn timeout(method: &str, timeout_ms: i64) -> Self {
        Self {
            error: format!("The agent did not answer {method} within {timeout_ms} ms"),
            code: RpcCode::Timeout,
            reason: None,
        }
    }

    /// The agent answered with an error.
    #[must_use]
    pub fn of_agent(error: &str) -> Self {
        let mut error = error.to_owned();
        while utf16_len(&error) > limits::RPC_ERROR_UNITS {
            // A unit has at most three bytes, so this ends after few turns.
            error.truncate(error.floor_char_boundary(limits::RPC_ERROR_UNITS.min(error.len().saturating_sub(1))));
        }
        Self { error, code: RpcCode::Error, reason: None }
    }

    /// Its HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.code.status()
    }
}

/// What agents answer for a method that they do not have.
const METHOD_NOT_FOUND: &str = "Method not found";

/// Reads the acknowledgement of a call: JSON as a text where possible, else the value itself. An object with a text `error` alone
/// is a failure.
///
/// # Errors
/// The failure.
pub fn read_answer(method: &str, ack: Option<Value>) -> Result<Value, RpcFailure> {
    let answer = match ack.unwrap_or_default() {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    };
    let error =
        answer.as_object().filter(|map| map.len() == 1).and_then(|map| map.get("error")).and_then(Value::as_str);
    match error {
        Some(METHOD_NOT_FOUND) => Err(RpcFailure::missing(method, MissingTarget::NotRegistered)),
        Some(error) => Err(RpcFailure::of_agent(error)),
        None => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    #[test]
    fn answers_are_parsed_if_possible() {
        let read = |ack| read_answer("s:m", Some(ack));
        assert_eq!(read(json!("{\"ok\":true}")), Ok(json!({"ok": true})));
        assert_eq!(read(json!("plain")), Ok(json!("plain")));
        assert_eq!(read(json!({"ok": true})), Ok(json!({"ok": true})));
        assert_eq!(read_answer("s:m", None), Ok(Value::Null));
        // The agent's own answer, not a failure of the call.
        let own = json!({"success": false, "error": "no such file"});
        assert_eq!(read(json!(own.to_string())), Ok(own));
    }

    #[test]
    fn failures_have_status_code_and_words() {
        let failure = read_answer("s:m", Some(json!("{\"error\":\"boom\"}"))).unwrap_err();
        assert_eq!(to_value(&failure).unwrap(), json!({"error": "boom", "code": "rpc_error"}));
        assert_eq!(failure.status(), 502);
        let failure = read_answer("s:m", Some(json!("{\"error\":\"Method not found\"}"))).unwrap_err();
        assert_eq!((failure.status(), failure.reason), (503, Some(MissingTarget::NotRegistered)));
        assert_eq!(RpcFailure::timeout("s:m", 5).status(), 504);
        assert_eq!(RpcFailure::missing("s:m", MissingTarget::Disconnected).status(), 503);
        assert_eq!(utf16_len(&RpcFailure::of_agent(&"x".repeat(9_000)).error), limits::RPC_ERROR_UNITS);
        assert!(utf16_len(&RpcFailure::of_agent(&"😀".repeat(9_000)).error) <= limits::RPC_ERROR_UNITS);
    }
}
