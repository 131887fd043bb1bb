//! Incoming frames and their responses.
//!
//! Every frame is one JSON object with a `type`. A truthy `ref` requests exactly one response that carries it: `ack` or
//! `error`. Without one there is no ack, but errors are still sent.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use hxa_domain::draft::Draft;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::frame::{Labelled, Reference, asks, read, weight};
use hxa_domain::text::Fields;
use hxa_hub::core::call::{Receipt, Reply};
use hxa_hub::core::idempotency::Claim;
use hxa_hub::fanout::send_queue::SendQueue;
use hxa_hub::hub::Hub;

/// A parsed frame.
#[derive(Debug)]
pub struct Frame {
    /// The operation's name.
    pub kind: String,
    /// What the answer must carry, when the client asked for one.
    pub reference: Option<Reference>,
    /// All other fields of the frame.
    pub fields: Fields,
    /// About what the frame takes in memory.
    pub weight: usize,
}

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for anything that is not a JSON object with a text `type`, with the `ref` to answer under
    /// where one was found.
    pub fn parse(text: &str) -> Result<Self, (ApiError, Option<Reference>)> {
        let asking = |reference: Option<Reference>| reference.filter(|reference| asks(reference));
        let Labelled { reference, mut fields } = read(text).map_err(|(error, reference)| (error, asking(reference)))?;
        let reference = asking(reference);
        match fields.swap_remove("type") {
            Some(Value::String(kind)) => Ok(Self { kind, reference, fields, weight: weight(text) }),
            _ => Err((ApiError::validation("A frame needs a text `type`"), reference)),
        }
    }

    /// Reads what the frame says of one matter.
    ///
    /// # Errors
    /// The refusal of its fields.
    pub fn read<T: Draft>(&mut self) -> ApiResult<T> {
        T::read_frame(&mut self.fields)
    }
}

/// Where the answer to one frame goes.
pub struct Responder {
    hub: Hub,
    send_queue: Arc<SendQueue>,
    reference: Option<Reference>,
    weight: usize,
    claim: Option<Claim>,
}

#[derive(Serialize)]
struct Ack<'a, R: Serialize> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "ref")]
    reference: &'a RawValue,
    result: R,
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
}

impl Responder {
    /// The answer to a frame with this `ref` on this socket.
    #[must_use]
    pub fn new(hub: &Hub, send_queue: &Arc<SendQueue>, reference: Option<Reference>) -> Self {
        Self { hub: hub.clone(), send_queue: send_queue.clone(), reference, weight: 0, claim: None }
    }

    /// The same, to a frame that takes about this much memory while it is under way.
    #[must_use]
    pub fn with_weight(mut self, weight: usize) -> Self {
        self.weight = weight;
        self
    }

    /// The same, for an operation whose answer is remembered under the key that is held for it.
    #[must_use]
    pub fn with_claim(mut self, claim: Claim) -> Self {
        self.claim = Some(claim);
        self
    }

    /// Answers a ping, with its `ref` if it has one. The caller wakes the socket.
    pub fn pong(self) {
        #[derive(Serialize)]
        struct Pong<'a> {
            #[serde(rename = "type")]
            kind: &'static str,
            #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
            reference: Option<&'a RawValue>,
        }
        self.hub.metrics().ack();
        self.push(&Pong { kind: "pong", reference: self.reference.as_deref() });
    }

    fn push<T: Serialize>(&self, frame: &T) {
        match serde_json::to_string(frame) {
            Ok(frame) => self.send_queue.push(frame),
            Err(error) => log::error!(error:% = error; "cannot serialize a response"),
        }
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
                log::error!(error:% = error; "a stored response is not JSON");
                self.refuse(&ApiError::internal());
            }
        }
    }

    fn send_ack<R: Serialize>(self, result: R, replayed: Option<bool>) {
        self.hub.metrics().ack();
        let Some(reference) = &self.reference else { return };
        self.push(&Ack { kind: "ack", reference, result, replayed });
    }

    /// Refuses. The caller wakes the socket.
    pub fn refuse(self, error: &ApiError) {
        self.hub.metrics().op_error(error.code().token());
        self.send_queue.push(error.frame(self.reference.as_deref()));
    }

    /// A reply for an actor call; `describe` turns its answer into the ack's `result`. Counts the operation as under
    /// way until it is answered.
    pub fn into_reply<A, R: Serialize>(mut self, describe: impl FnOnce(&A) -> R + Clone + Send + 'static) -> Reply<A> {
        let (send_queue, weight) = (self.send_queue.clone(), self.weight);
        send_queue.flight().begin(weight);
        let receipt = self.claim.take().map(|claim| {
            let describe = describe.clone();
            Receipt::new(claim, move |answer| serde_json::to_string(&describe(answer)))
        });
        let reply = Reply::new(move |outcome: ApiResult<A>| {
            match outcome {
                Ok(answer) => self.ack(describe(&answer)),
                Err(error) => self.refuse(&error),
            }
            send_queue.flight().end(weight);
        });
        reply.with_receipt(receipt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_frame_is_refused() {
        for text in ["", "null", "1", "[]", "{}", "{\"type\":1}", "\"x\"", "{\"type\":\"a\""] {
            assert!(Frame::parse(text).is_err(), "{text}");
        }
        let deep = "[".repeat(10_000);
        assert!(Frame::parse(&deep).is_err());
        let (_, reference) = Frame::parse("{\"ref\":7.0}").unwrap_err();
        assert_eq!(reference.unwrap().get(), "7.0");
        assert!(Frame::parse("{\"type\":\"ping\",\"ref\":0.0}").unwrap().reference.is_none());
    }
}
