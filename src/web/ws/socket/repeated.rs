//! Idempotent operations: those that create something take a `client_id`, and a repeated one gets its stored
//! acknowledgement instead of being executed again.
//!
//! The session takes no further frame until the key has been looked up, so operations still start in the order in which
//! they arrive. A frame without a key is not delayed.

use actix::prelude::*;
use serde_json::Value;

use super::SocketContext;
use super::operations::Turn;
use crate::ws::frame::Frame;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::idempotency;
use hxa_domain::operation::{CLIENT_ID, SocketOperation};
use hxa_hub::core::idempotency::{Taken, claim};
use hxa_hub::fanout::send_queue::WakeBatch;

/// What carries an operation out.
pub type Run = fn(Turn<'_>);

/// Runs a bot's operation, unless it was done before under the same key.
pub fn run_once(mut turn: Turn<'_>, operation: SocketOperation, run: Run, context: &mut SocketContext) {
    let key = match take_key(operation, &mut turn.frame) {
        Ok(Some(key)) => key,
        Ok(None) => return run(turn),
        Err(error) => return turn.answer.refuse(&error),
    };
    let Turn { session, caller, frame, answer } = turn;
    let taking = claim(&session.hub, &caller, key, operation.as_str(), &frame.fields);
    context.wait(taking.into_actor(session).map(move |taken, session, _| {
        let _batch = WakeBatch::begin();
        match taken {
            Ok(Taken::New(claim)) => run(Turn { session, caller, frame, answer: answer.with_claim(claim) }),
            Ok(Taken::Answered(result)) => answer.replay(&result),
            Err(error) => answer.refuse(&error),
        }
    }));
}

/// Takes the key out of a frame whose operation can have one.
fn take_key(operation: SocketOperation, frame: &mut Frame) -> ApiResult<Option<String>> {
    if !operation.takes_key() {
        return Ok(None);
    }
    match frame.fields.remove(CLIENT_ID) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(key)) => idempotency::key(CLIENT_ID, &key).map(Some),
        Some(_) => Err(ApiError::validation("client_id must be a string")),
    }
}
