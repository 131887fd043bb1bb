//! The queue of prompts: what agents take, and what people cancel.

use serde::Serialize;
use serde_json::Value;

use super::{Log, Message};
use crate::rules::faults::Fault;
use crate::rules::fields::Fields;
use crate::rules::limits;
use crate::rules::words::DeliveryState;

/// Messages that took effect together.
#[derive(Debug, Clone, PartialEq)]
pub struct Stamped {
    /// The messages as they are now, in the order in which they were queued.
    pub messages: Vec<Message>,
    /// When they took effect.
    pub invoked_at: i64,
    /// The log as it is now.
    pub log: Log,
}

impl Log {
    /// The agent took messages, or will not take them any more: those still queued take effect now. `None` where none is.
    #[must_use]
    pub fn stamp(self, queued: Vec<Message>, now: i64) -> Option<Stamped> {
        let mut messages: Vec<Message> = queued.into_iter().filter(Message::is_queued).collect();
        messages.sort_unstable_by_key(|message| message.seq);
        // Nothing takes effect before it was made, whatever the clock did since.
        let invoked_at = messages.iter().map(|message| message.created_at).fold(now, i64::max);
        let mut log = self;
        for message in &mut messages {
            let was_head = self.head == Some(message.position());
            message.invoked_at = Some(invoked_at);
            message.state = DeliveryState::Invoked;
            // A head that moves on leaves nothing behind it.
            if was_head && log.head == self.head {
                log.head = None;
            }
            log = log.landed(message.position());
        }
        (!messages.is_empty()).then_some(Stamped { messages, invoked_at, log })
    }
}

/// What begins when a person cancels a prompt.
#[derive(Debug, Clone, PartialEq)]
pub enum CancelStart {
    /// It is not known, or was cancelled before: nothing is to be done.
    Unknown,
    /// The agent has it already.
    Invoked(Message),
    /// No agent could have it: it is deleted at once.
    Delete(Message),
    /// The agents in the room are asked, for [`limits::CANCEL_TIMEOUT_MS`].
    Ask(Message),
}

impl CancelStart {
    /// Decides with what is known of the prompt and the number of sockets in the session's room.
    #[must_use]
    pub fn decide(message: Option<Message>, sockets: usize) -> Self {
        match message {
            None => Self::Unknown,
            Some(message) if !message.is_queued() => Self::Invoked(message),
            Some(message) if sockets == 0 => Self::Delete(message),
            Some(message) => Self::Ask(message),
        }
    }
}

/// What an agent answers to a cancel; the last of them wins where several answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CancelAnswer {
    /// It had no such prompt, or answered nothing that is known.
    NotRemoved,
    /// It is out of its queue.
    Removed,
    /// It is just being given to the model.
    InFlight,
    /// Whether the model has it is not known.
    Indeterminate,
    /// The model has it.
    Consumed,
}

impl CancelAnswer {
    /// Reads `{removed, inFlight?, indeterminate?, consumed?}`.
    #[must_use]
    pub fn read(ack: &Value) -> Self {
        let is = |key: &str| ack.get(key).and_then(Value::as_bool).unwrap_or(false);
        if is("consumed") {
            Self::Consumed
        } else if is("indeterminate") {
            Self::Indeterminate
        } else if is("inFlight") {
            Self::InFlight
        } else if is("removed") {
            Self::Removed
        } else {
            Self::NotRemoved
        }
    }
}

/// How a cancel ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelEnd {
    /// The prompt is deleted: one removal suffices.
    Delete,
    /// It stays, and the person is told to try again.
    Busy,
    /// It takes effect now, as the agent probably has it. A prompt that no agent removes or reports would otherwise wait for
    /// ever.
    Stamp,
}

impl CancelEnd {
    /// Decides with the answers that came in time.
    #[must_use]
    pub fn decide(answers: &[CancelAnswer]) -> Self {
        match answers.iter().max() {
            Some(CancelAnswer::Removed) => Self::Delete,
            Some(CancelAnswer::InFlight | CancelAnswer::Indeterminate) => Self::Busy,
            Some(CancelAnswer::Consumed | CancelAnswer::NotRemoved) | None => Self::Stamp,
        }
    }
}

/// The answer to the person.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum CancelView<'a> {
    /// It is gone, or never was.
    Cancelled {
        /// The client's own id; null for a prompt that is not known.
        #[serde(rename = "localId")]
        local_id: Option<&'a str>,
    },
    /// The agent has it.
    Invoked {
        /// The message.
        message: super::MessageView<'a>,
    },
    /// It is just being given to the agent.
    Busy {
        /// The client's own id.
        #[serde(rename = "localId")]
        local_id: Option<&'a str>,
    },
}

/// Reads the body of a query for the states of prompts: `{localIds}`.
///
/// # Errors
/// It is no list of at most a thousand ids.
pub fn read_local_ids(body: Value) -> Result<Vec<String>, Fault> {
    Fields::of(body)?.ids("localIds", limits::LOCAL_IDS)
}

/// A prompt that took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InvokedView {
    /// The client's own id.
    pub local_id: String,
    /// When.
    pub invoked_at: i64,
}

/// The states of prompts. Unknown prompts are in none of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct QueuedState {
    /// Those that wait.
    pub queued_local_ids: Vec<String>,
    /// Those that the agent may have or not.
    pub indeterminate_local_ids: Vec<String>,
    /// Those that took effect.
    pub invoked_local_messages: Vec<InvokedView>,
}

impl QueuedState {
    /// Sorts the messages that were found.
    #[must_use]
    pub fn of(messages: &[Message]) -> Self {
        let mut state = Self::default();
        for message in messages {
            let Some(local_id) = message.local_id.clone() else { continue };
            match (message.invoked_at, message.state) {
                (Some(invoked_at), _) => state.invoked_local_messages.push(InvokedView { local_id, invoked_at }),
                (None, DeliveryState::Indeterminate) => state.indeterminate_local_ids.push(local_id),
                (None, _) => state.queued_local_ids.push(local_id),
            }
        }
        state
    }
}
