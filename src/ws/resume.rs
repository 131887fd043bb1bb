//! Resuming: a client that reconnects names the last event it has and gets what it missed.
//!
//! The point travels in the handshake's query (`epoch`, `since_seq`), so that the missed events are queued before
//! anything newer; or in a `resume` frame at any later moment, answered by an ack that carries the events themselves.
//! `resumed: false` means that the log cannot tell, and the client must catch up over REST.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::frame::{Answer, Frame};
use super::socket::SocketSession;
use crate::actors::event::Missed;
use crate::actors::presence::ResumePoint;
use crate::domain::query::Query;
use crate::error::ApiError;

/// The resume point of a handshake, if it carries a usable one.
#[must_use]
pub fn from_query(query: &Query) -> Option<ResumePoint> {
    let epoch = query.filled("epoch")?.to_owned();
    let since = query.filled("since_seq")?.parse().ok()?;
    Some(ResumePoint { epoch, since })
}

/// Answers a `resume` frame.
pub fn resume(session: &SocketSession, frame: &Frame, answer: Answer) {
    let epoch = frame.fields.get("epoch").and_then(Value::as_str);
    let since = frame.fields.get("since_seq").and_then(Value::as_u64);
    let (Some(epoch), Some(since)) = (epoch, since) else {
        return answer.refuse(&ApiError::validation("resume needs `epoch` (text) and `since_seq` (a number)"));
    };
    let (missed, epoch, head) = session.org.missed(epoch, since, |missed, log| {
        session.outbox.set_resumed();
        (missed, log.epoch().to_owned(), log.head())
    });
    let events = match missed {
        Missed::Entries(entries) => {
            let heard = entries.iter().filter(|entry| session.org.may_hear(&session.outbox, entry));
            Some(heard.filter_map(|entry| RawValue::from_string(entry.frame.to_string()).ok()).collect::<Vec<_>>())
        }
        Missed::Unknown => None,
    };
    session.hub.metrics().resume(if events.is_some() { "resumed" } else { "unknown" });
    let too_large = session.hub.config().sockets.outbox_bytes / 2;
    match events {
        Some(events) if events.iter().map(|event| event.get().len()).sum::<usize>() < too_large => {
            answer.ack(json!({
                "operation": "resume", "resumed": true, "epoch": epoch, "seq": head, "events": events,
            }));
        }
        _ => answer.ack(json!({ "operation": "resume", "resumed": false, "epoch": epoch, "seq": head })),
    }
}
