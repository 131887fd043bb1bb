//! Resuming: a client that reconnects names the last event it has and receives the events it missed.
//!
//! The resume point is in the handshake's query (`epoch`, `since_seq`), so that the missed events are queued before
//! anything newer; or in a later `resume` frame, answered by an ack that carries the events themselves. `resumed:
//! false` means that the log does not reach back far enough, and the client must catch up over REST.

use serde_json::json;
use serde_json::value::RawValue;

use super::SocketSession;
use crate::ws::frame::{Frame, Responder};
use hxa_domain::operation::ResumeFrom;
use hxa_domain::query::Query;
use hxa_hub::core::operations::cost_of;
use hxa_hub::fanout::broker::{ResumePoint, Resumption};
use hxa_hub::fanout::outgoing::Outgoing;

/// What looking through the log costs, in operations; what is found there costs more.
pub const COST: u64 = 10;
/// Bytes of missed events that fit in one answer, which unlike the events themselves is made for one socket.
const MOST: usize = 512 * 1024;

/// The resume point of a handshake, if it carries a usable one.
#[must_use]
pub fn from_query(query: &Query) -> Option<ResumePoint> {
    let epoch = query.filled("epoch")?.to_owned();
    let since = query.filled("since_seq")?.parse().ok()?;
    Some(ResumePoint { epoch, since })
}

/// Answers a `resume` frame.
pub fn resume(session: &SocketSession, frame: &mut Frame, answer: Responder) {
    let ResumeFrom { epoch, since_seq } = match frame.read() {
        Ok(point) => point,
        Err(error) => return answer.refuse(&error),
    };
    if let Err(refused) = session.hub.charge_operations(&session.meter, &session.org, COST) {
        session.tap.pause(refused.pause);
        return answer.refuse(&refused.error);
    }
    let point = ResumePoint { epoch, since: since_seq };
    let Resumption { missed, epoch, head } = session.org.channel().resume(&session.send_queue, &point);
    let heard: Option<Vec<_>> = missed.map(|missed| missed.into_iter().map(|entry| entry.frame).collect());
    let bytes = heard.iter().flatten().map(Outgoing::len).sum::<usize>();
    session.owe(cost_of(bytes));
    let heard = heard.filter(|_| bytes < MOST);
    session.hub.metrics().resume(if heard.is_some() { "resumed" } else { "unknown" });
    match heard {
        Some(frames) => {
            let events = frames.iter().filter_map(|frame| serde_json::from_str(frame.text()).ok());
            let events: Vec<&RawValue> = events.collect();
            answer.ack(json!({
                "operation": "resume", "resumed": true, "epoch": epoch, "seq": head, "events": events,
            }));
        }
        None => answer.ack(json!({ "operation": "resume", "resumed": false, "epoch": epoch, "seq": head })),
    }
}
