//! What the thread of a request hears of it.
//!
//! While a request waits its thread is `blocked`; with the answer, the cancellation or the end of its time the thread is
//! `active` again, and a message says so.

use serde_json::{Map, Value, json};

use super::machine::Step;
use super::request::Request;
use super::words::State;

/// What happens to the thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThreadNews {
    /// It waits.
    Blocked,
    /// It goes on.
    Goes {
        /// The message's content.
        content: String,
        /// The message's metadata, which names the request.
        metadata: Map<String, Value>,
    },
}

/// What a step means to the thread; nothing while the request goes on waiting.
#[must_use]
pub fn news(before: Option<&Request>, step: &Step) -> Option<ThreadNews> {
    let now = &step.request;
    now.thread?;
    let waited = before.is_some_and(|before| before.state.is_open());
    match (waited, now.state) {
        (false, state) if state.is_open() => Some(ThreadNews::Blocked),
        (true, State::Responded | State::Cancelled | State::TimedOut) => {
            Some(ThreadNews::Goes { content: content(now), metadata: metadata(now) })
        }
        _ => None,
    }
}

/// What a thread that was told nothing yet must be told of a request.
#[must_use]
pub fn standing(request: &Request) -> ThreadNews {
    if request.state.is_open() {
        return ThreadNews::Blocked;
    }
    ThreadNews::Goes { content: content(request), metadata: metadata(request) }
}

/// The sentence that the thread reads.
fn content(request: &Request) -> String {
    let id = request.id;
    match request.state {
        State::Responded => {
            let by = request.responded_by.as_deref().unwrap_or("system");
            let data = request.response_data.as_ref().map_or("{}", |data| data.as_str());
            format!("Request {id} was answered by {by}: {data}")
        }
        State::Cancelled => format!("Request {id} was cancelled."),
        _ => format!("Request {id} timed out: nobody answered in time (fallback {}).", request.timeout.fallback),
    }
}

fn metadata(request: &Request) -> Map<String, Value> {
    let data = json!({
        "coordination_request": {
            "request_id": request.id,
            "intent": request.intent,
            "state": request.state,
            "responded_by": request.responded_by,
        }
    });
    data.as_object().cloned().unwrap_or_default()
}
