//! `subscribe` and `unsubscribe`: admin sockets choose the channels and threads whose events they receive.

use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::SocketSession;
use crate::ws::frame::{Frame, Responder};
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::ChannelId;
use hxa_domain::operation::Topics;

/// Adds the topics of the frame.
pub fn subscribe(session: &mut SocketSession, frame: &mut Frame, answer: Responder) {
    let limit = session.hub.config().sockets.subscriptions;
    let outcome = topics_of(session, frame).and_then(|topics| {
        let new: Vec<_> = topics.iter().filter(|topic| !session.topics.contains(topic)).copied().collect();
        if session.topics.len() + new.len() > limit {
            return Err(ApiError::validation(format!("Subscription limit of {limit} reached")));
        }
        Ok(new)
    });
    match outcome {
        Err(error) => answer.refuse(&error),
        Ok(new) => {
            for topic in new {
                session.org.channel().subscribe(&session.send_queue, topic);
                session.topics.push(topic);
            }
            answer.ack(json!({ "operation": "subscribe", "subscriptions": session.topics.len() }));
        }
    }
}

/// Removes the topics of the frame.
pub fn unsubscribe(session: &mut SocketSession, frame: &mut Frame, answer: Responder) {
    match topics_of(session, frame) {
        Err(error) => answer.refuse(&error),
        Ok(topics) => {
            for topic in topics {
                session.org.channel().unsubscribe(&session.send_queue, topic);
                session.topics.retain(|other| *other != topic);
            }
            answer.ack(json!({ "operation": "unsubscribe", "subscriptions": session.topics.len() }));
        }
    }
}

/// The channel and thread named by the frame. Ids that name nothing are accepted and never match.
fn topics_of(session: &SocketSession, frame: &mut Frame) -> ApiResult<Vec<Uuid>> {
    if session.caller.is_some() {
        return Err(ApiError::forbidden("Only org admin sockets can subscribe"));
    }
    let Topics { channel_id, thread_id } = frame.read()?;
    Ok([channel_id, thread_id].iter().flatten().map(|id| topic(id)).collect())
}

/// What an id is matched by. One of another form names nothing here, yet it takes its place among the subscriptions
/// like any id that names nothing.
fn topic(id: &str) -> Uuid {
    ChannelId::parse(id).map_or_else(|| uuid::Builder::from_custom_bytes(digest(id)).into_uuid(), |id| id.uuid())
}

fn digest(id: &str) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::digest(id).into();
    let mut short = [0; 16];
    short.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    short
}
