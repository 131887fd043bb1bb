//! Frames as they come in and as they are answered.
//!
//! Every frame is one JSON object with a `type`. A truthy `ref` asks for exactly one answer that carries it back: `ack`
//! or `error`. Without one there is no ack, but errors are still told.

use std::sync::Arc;

use bytestring::ByteString;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::actors::call::{Receipt, Reply};
use crate::actors::hub::Hub;
use crate::actors::idempotency::Claim;
use crate::actors::outbox::Outbox;
use crate::error::{ApiError, ApiResult};

/// A parsed frame.
#[derive(Debug)]
pub struct Frame {
    /// The operation's name.
    pub kind: String,
    /// What the answer must carry, when the client asked for one.
    pub reference: Option<Value>,
    /// All fields of the frame.
    pub fields: Map<String, Value>,
}

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for anything that is not a JSON object with a text `type`, with the `ref` to answer under
    /// where one could be read.
    pub fn parse(text: &str) -> Result<Self, (ApiError, Option<Value>)> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| (ApiError::validation(format!("The frame is not valid JSON: {error}")), None))?;
        let Value::Object(mut fields) = value else {
            return Err((ApiError::validation("A frame is a JSON object with a `type`"), None));
        };
        let reference = fields.remove("ref").filter(is_truthy);
        match fields.remove("type") {
            Some(Value::String(kind)) => Ok(Self { kind, reference, fields }),
            _ => Err((ApiError::validation("A frame needs a text `type`"), reference)),
        }
    }
}

/// JavaScript's notion, because that is what clients were written against.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// Where the answer to one frame goes.
pub struct Answer {
    hub: Hub,
    outbox: Arc<Outbox>,
    reference: Option<Value>,
    claim: Option<Claim>,
}

#[derive(Serialize)]
struct Ack<'a, R: Serialize> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "ref")]
    reference: &'a Value,
    result: R,
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
}

impl Answer {
    /// The answer to a frame with this `ref` on this socket.
    #[must_use]
    pub fn new(hub: &Hub, outbox: &Arc<Outbox>, reference: Option<Value>) -> Self {
        Self { hub: hub.clone(), outbox: outbox.clone(), reference, claim: None }
    }

    /// The same, for an operation whose answer is remembered under the key that is held for it.
    #[must_use]
    pub fn holding(mut self, claim: Claim) -> Self {
        self.claim = Some(claim);
        self
    }

    /// Acknowledges, if the client asked for it. The caller wakes the socket.
    pub fn ack<R: Serialize>(self, result: R) {
        self.send_ack(result, None);
    }

    /// Acknowledges once more with the `result` that was remembered.
    pub fn replay(self, result: &str) {
        match serde_json::from_str::<Value>(result) {
            Ok(result) => self.send_ack(result, Some(true)),
            Err(error) => {
                log::error!(error:% = error; "a remembered answer is no JSON");
                self.refuse(&ApiError::internal());
            }
        }
    }

    fn send_ack<R: Serialize>(self, result: R, replayed: Option<bool>) {
        self.hub.metrics().ack();
        let Some(reference) = &self.reference else { return };
        match serde_json::to_string(&Ack { kind: "ack", reference, result, replayed }) {
            Ok(frame) => drop(self.outbox.push(ByteString::from(frame))),
            Err(error) => log::error!(error:% = error; "an ack cannot be serialized"),
        }
    }

    /// Refuses. The caller wakes the socket.
    pub fn refuse(self, error: &ApiError) {
        self.hub.metrics().op_error(error.code().token());
        self.outbox.push(ByteString::from(error.frame(self.reference.as_ref()).to_string()));
    }

    /// A reply for an actor call; `describe` turns its answer into the ack's `result`. Counts the operation as under
    /// way until it is answered.
    pub fn into_reply<A, R: Serialize>(mut self, describe: impl FnOnce(&A) -> R + Clone + Send + 'static) -> Reply<A> {
        self.outbox.begin_op();
        let receipt = self.claim.take().map(|claim| {
            let describe = describe.clone();
            Receipt::new(claim, move |answer| serde_json::to_string(&describe(answer)))
        });
        let reply = Reply::new(move |outcome: ApiResult<A>| {
            let outbox = self.outbox.clone();
            match outcome {
                Ok(answer) => self.ack(describe(&answer)),
                Err(error) => self.refuse(&error),
            }
            outbox.end_op();
        });
        reply.with_receipt(receipt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_truthy_refs_ask_for_an_answer() {
        for (reference, kept) in
            [("1", true), ("\"a\"", true), ("{}", true), ("0", false), ("\"\"", false), ("null", false)]
        {
            let frame = Frame::parse(&format!("{{\"type\":\"ping\",\"ref\":{reference}}}")).unwrap();
            assert_eq!(frame.reference.is_some(), kept, "{reference}");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for text in ["", "null", "1", "[]", "{}", "{\"type\":1}", "\"x\"", "{\"type\":\"a\""] {
            assert!(Frame::parse(text).is_err(), "{text}");
        }
        let deep = "[".repeat(10_000);
        assert!(Frame::parse(&deep).is_err());
        let (_, reference) = Frame::parse("{\"ref\":7}").unwrap_err();
        assert_eq!(reference, Some(Value::from(7)));
    }
}
