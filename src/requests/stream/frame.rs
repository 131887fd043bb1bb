//! The texts of the stream.

use bytes::Bytes;
use serde::Serialize;

use crate::rules::{Intent, RequestId, State, Urgency};

/// Milliseconds after which a client whose stream has ended comes back.
const RETRY_MS: u32 = 2_000;

/// What is sent when nothing happens, so that both ends and whatever is between them know that they are there.
pub const COMMENT: Bytes = Bytes::from_static(b": still here\n\n");

/// A request has reached a state.
#[derive(Debug, Serialize)]
pub struct StateChange<'a> {
    /// The request.
    pub request_id: RequestId,
    /// The state.
    pub state: State,
    /// The agent's name.
    pub agent_id: &'a str,
    /// Who is asked now.
    pub responder_id: &'a str,
    /// What the request is for.
    pub intent: Intent,
    /// How urgent it is.
    pub urgency: Urgency,
    /// From when on no answer is taken.
    pub timeout_at: String,
    /// When the request changed.
    pub at: String,
}

impl StateChange<'_> {
    /// As one line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        // Plain fields can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Why events are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The id is none that this stream has given: the hub has started anew, or nobody has listened for long.
    Unknown,
    /// What came after the id is not remembered any more.
    Old,
    /// The client read more slowly than events came.
    Slow,
}

impl Gap {
    const fn reason(self) -> &'static str {
        match self {
            Gap::Unknown => "unknown",
            Gap::Old => "old",
            Gap::Slow => "slow",
        }
    }
}

/// The first event of a client, which goes on behind the event `id`.
#[must_use]
pub fn connected(id: &str, client: &str) -> String {
    format!("retry: {RETRY_MS}\nid: {id}\nevent: connected\ndata: {{\"client_id\":\"{client}\"}}\n\n")
}

/// Says that events are missing before what comes behind `id`.
#[must_use]
pub fn gap(id: &str, gap: Gap) -> String {
    format!("id: {id}\nevent: gap\ndata: {{\"reason\":\"{}\"}}\n\n", gap.reason())
}

/// A change of state.
#[must_use]
pub fn state_change(id: &str, data: &str) -> Bytes {
    format!("id: {id}\nevent: state_change\ndata: {data}\n\n").into()
}
