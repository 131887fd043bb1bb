//! The requests to people that scenarios make, and the answers to them.

use std::fmt::Write;

use serde::Deserialize;

use crate::error::{LoadError, Result};
use crate::http::Reply;

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The handle of whom it asks.
    pub responder: &'a str,
    /// Seconds until its deadline.
    pub seconds: u64,
    /// What happens then.
    pub fallback: &'a str,
    /// Bytes of what the person reads.
    pub size: usize,
}

/// Seconds after which a request expires that is meant to end before.
pub const LONG: u64 = 86_400;

impl<'a> Question<'a> {
    /// A request that does not expire while a scenario runs.
    pub fn long(responder: &'a str, size: usize) -> Self {
        Self { responder, seconds: LONG, fallback: "BLOCK", size }
    }

    /// The body of `POST /v1/requests`. Handles of the load tester need no escapes.
    pub fn body(&self) -> String {
        let Self { responder, seconds, fallback, size } = self;
        let mut body = String::with_capacity(size + 300);
        body.push_str(r#"{"intent":"APPROVAL","urgency":"HIGH","context_package":{"summary":"Load","detail":""#);
        body.extend(std::iter::repeat_n('x', *size));
        // Writing to a String cannot fail.
        let _ = write!(
            body,
            r#""}},"timeout_policy":{{"timeout_seconds":{seconds},"fallback":"{fallback}"}},"routing_hints":{{"responder_id":"{responder}"}}}}"#
        );
        body
    }
}

/// The body of an answer in the name of a person.
pub fn approval(responder: &str) -> String {
    format!(r#"{{"response_data":{{"decision":"approved"}},"responded_by":"{responder}"}}"#)
}

#[derive(Deserialize)]
struct Made {
    request_id: String,
    state: String,
}

/// The id of a request, from the response to its creation.
pub fn made_id(reply: &Reply) -> Result<String> {
    let Made { request_id, state } = reply.json()?;
    if state == "SUBMITTED" {
        Ok(request_id)
    } else {
        Err(LoadError::protocol(format!("{request_id} begins as {state}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn bodies_are_json_with_what_was_asked() {
        let question = Question { responder: "dora", seconds: 7, fallback: "AUTO_REJECT", size: 3 };
        let body: Value = serde_json::from_str(&question.body()).unwrap();
        assert_eq!(body["context_package"], json!({"summary": "Load", "detail": "xxx"}));
        assert_eq!(body["timeout_policy"], json!({"timeout_seconds": 7, "fallback": "AUTO_REJECT"}));
        assert_eq!(body["routing_hints"], json!({"responder_id": "dora"}));
        let reply = |body: &str| Reply { status: 201, body: body.into(), cookie: None };
        assert_eq!(made_id(&reply(r#"{"request_id":"r","state":"SUBMITTED","x":1}"#)).unwrap(), "r");
        assert!(made_id(&reply(r#"{"request_id":"r","state":"RESPONDED"}"#)).is_err());
        let answer: Value = serde_json::from_str(&approval("dora")).unwrap();
        assert_eq!(answer, json!({"response_data": {"decision": "approved"}, "responded_by": "dora"}));
    }
}
