//! Operations that may be sent twice: those that create something take a `client_id`, and what was done under one is
//! acknowledged again instead of done again.
//!
//! The session takes no further frame until the key has been looked up, so operations still start in the order in which
//! they arrive. A frame without a key is not held up.

use actix::prelude::*;
use serde_json::Value;

use super::frame::{Answer, Frame};
use super::ops::run_as_bot;
use super::socket::{SocketContext, SocketSession};
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::idempotency;
use hxa_hub::caller::BotCaller;
use hxa_hub::idempotency::{Taken, claim};
use hxa_hub::outbox::wake_pending;

/// What the socket calls the key.
const CLIENT_ID: &str = "client_id";
/// The operations that take one.
const CREATING: [&str; 6] =
    ["send", "send_dm", "send_thread_message", "thread_create", "artifact_add", "artifact_update"];

/// Runs a bot's operation, unless it was done before under the same key.
pub fn run_once(
    session: &SocketSession,
    caller: BotCaller,
    mut frame: Frame,
    answer: Answer,
    context: &mut SocketContext,
) {
    let key = match take_key(&mut frame) {
        Ok(Some(key)) => key,
        Ok(None) => return run_as_bot(session, caller, frame, answer),
        Err(error) => return answer.refuse(&error),
    };
    let taking = claim(&session.hub, &caller, key, &frame.kind, &frame.fields);
    context.wait(taking.into_actor(session).map(move |taken, session, _| {
        match taken {
            Ok(Taken::New(claim)) => run_as_bot(session, caller, frame, answer.holding(claim)),
            Ok(Taken::Answered(result)) => answer.replay(&result),
            Err(error) => answer.refuse(&error),
        }
        wake_pending();
    }));
}

/// Takes the key out of a frame whose operation can have one.
fn take_key(frame: &mut Frame) -> ApiResult<Option<String>> {
    if !CREATING.contains(&frame.kind.as_str()) {
        return Ok(None);
    }
    match frame.fields.remove(CLIENT_ID) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(key)) => idempotency::key(CLIENT_ID, &key).map(Some),
        Some(_) => Err(ApiError::validation("client_id must be a string")),
    }
}
