//! Messages of a session: their order, how they are appended, and the queue of prompts.
//!
//! A message has a number within its session. Where it stands depends on when it took effect as well: a prompt that waits in the
//! queue moves to the end once the agent takes it. Everything that could make a client's cursor wrong counts up the
//! session's epoch, and a cursor of an old epoch is answered with the newest page.

pub mod cut;
pub mod pages;
pub mod prompt;
pub mod queue;
pub mod redelivery;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::words::{DeliveryState, Role};

/// Where a message stands: first by time, then by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// When it took effect: when the agent took it, else when it was made. Milliseconds.
    pub at: i64,
    /// Its number within the session, from 1.
    pub seq: i64,
}

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its id, a UUID.
    pub id: String,
    /// Its number within the session, from 1.
    pub seq: i64,
    /// The client's own id.
    pub local_id: Option<String>,
    /// The content.
    pub content: Arc<Value>,
    /// When it was made.
    pub created_at: i64,
    /// When it took effect; none while it is queued.
    pub invoked_at: Option<i64>,
    /// When it is to be sent; none for at once.
    pub scheduled_at: Option<i64>,
    /// How far it has come.
    pub state: DeliveryState,
}

impl Message {
    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { at: self.invoked_at.unwrap_or(self.created_at), seq: self.seq }
    }

    /// Whether it waits for the agent.
    #[must_use]
    pub const fn is_queued(&self) -> bool {
        self.invoked_at.is_none()
    }

    /// Whether it may be given to an agent.
    #[must_use]
    pub fn is_deliverable(&self, now: i64) -> bool {
        self.scheduled_at.is_none_or(|at| at <= now)
    }

    /// The row as web clients get it.
    #[must_use]
    pub fn view(&self) -> MessageView<'_> {
        MessageView {
            id: &self.id,
            seq: self.seq,
            local_id: self.local_id.as_deref(),
            content: &self.content,
            created_at: self.created_at,
            invoked_at: self.invoked_at,
            scheduled_at: self.scheduled_at,
        }
    }
}

/// A message as web clients get it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its number within the session.
    pub seq: i64,
    /// The client's own id.
    pub local_id: Option<&'a str>,
    /// The content.
    pub content: &'a Value,
    /// When it was made.
    pub created_at: i64,
    /// When it took effect.
    pub invoked_at: Option<i64>,
    /// When it is to be sent.
    pub scheduled_at: Option<i64>,
}

/// Who wrote a content, as far as it says.
#[must_use]
pub fn role_of(content: &Value) -> Option<Role> {
    content.get("role").and_then(Value::as_str).and_then(Role::parse)
}

/// Bytes inside a message as others get them in JSON: `{type: "Buffer", data: [0–255]}`.
#[must_use]
pub fn buffer_json(bytes: &[u8]) -> Value {
    json!({ "type": "Buffer", "data": bytes })
}

/// What is known of a session's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Log {
    /// The number of the newest message; 0 while there is none.
    pub last_seq: i64,
    /// Counts how often cursors became wrong.
    pub epoch: i64,
    /// The last position of all.
    pub head: Option<Position>,
}

/// A message that is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Its id.
    pub id: String,
    /// The client's own id.
    pub local_id: Option<String>,
    /// The content.
    pub content: Value,
    /// When it was made.
    pub created_at: i64,
    /// When it is to be sent.
    pub scheduled_at: Option<i64>,
}

/// The result of appending a draft.
#[derive(Debug, Clone, PartialEq)]
pub enum Append {
    /// It is stored; the log goes on with this.
    Stored(Message, Log),
    /// Its local id was used before: that message is the answer, and nothing is stored or told.
    Repeated(Message),
}

impl Log {
    /// Appends a draft. `same_local_id` is the message of the session that has the draft's local id. What has a local id and
    /// is not the agent's own waits in the queue; everything else took effect when it was made.
    #[must_use]
    pub fn append(self, draft: Draft, same_local_id: Option<Message>) -> Append {
        if let Some(message) = same_local_id {
            return Append::Repeated(message);
        }
        let is_queued = draft.local_id.is_some() && role_of(&draft.content) != Some(Role::Agent);
        let message = Message {
            id: draft.id,
            seq: self.last_seq.saturating_add(1),
            local_id: draft.local_id,
            content: Arc::new(draft.content),
            created_at: draft.created_at,
            invoked_at: (!is_queued).then_some(draft.created_at),
            scheduled_at: draft.scheduled_at,
            state: if is_queued { DeliveryState::Queued } else { DeliveryState::Invoked },
        };
        let log = Self { last_seq: message.seq, ..self.landed(message.position()) };
        Append::Stored(message, log)
    }

    /// A message has come to a position: before the head, clients with a cursor there would never see it.
    #[must_use]
    fn landed(self, position: Position) -> Self {
        match self.head {
            Some(head) if position < head => self.rewritten(self.head),
            _ => Self { head: Some(position), ..self },
        }
    }

    /// Messages were deleted, or the history was rewritten; this is the last position now. Numbers are not used again.
    #[must_use]
    pub fn rewritten(self, head: Option<Position>) -> Self {
        Self { epoch: self.epoch.saturating_add(1), head, ..self }
    }
}
