//! The `update` event, by which sockets of a room hear of changes.
//!
//! Each room counts its updates: `seq` is an order across all kinds, and a client that misses a number has missed an update.

use serde::Serialize;
use serde_json::Value;

use super::messages::Message;
use super::versioned::Versioned;

/// The envelope.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Update<'a> {
    /// Its id: a message's own where a person caused it, else a fresh UUID of the caller's.
    pub id: &'a str,
    /// Its number within the room, ascending.
    pub seq: i64,
    /// When it was made.
    pub created_at: i64,
    /// What changed.
    pub body: UpdateBody<'a>,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "t", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum UpdateBody<'a> {
    /// A message.
    NewMessage {
        /// The session.
        sid: &'a str,
        /// The message.
        message: UpdateMessage<'a>,
    },
    /// Versioned values of a session.
    UpdateSession {
        /// The session.
        sid: &'a str,
        /// Its metadata as it is stored, if it changed.
        metadata: Option<&'a Versioned>,
        /// Its state, if it changed.
        agent_state: Option<&'a Versioned>,
    },
    /// Versioned values of a machine.
    UpdateMachine {
        /// The machine.
        machine_id: &'a str,
        /// Its metadata, if it changed.
        metadata: Option<&'a Versioned>,
        /// The state of its runner, if it changed.
        runner_state: Option<&'a Versioned>,
    },
    /// A person wants a prompt back; the agent answers by ack.
    CancelQueuedMessage {
        /// The session.
        sid: &'a str,
        /// The message.
        message_id: &'a str,
        /// The client's own id of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        local_id: Option<&'a str>,
    },
}

/// A message as agents get it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateMessage<'a> {
    /// Its id, by which agents know a repetition.
    pub id: &'a str,
    /// Its number within the session.
    pub seq: i64,
    /// When it was made.
    pub created_at: i64,
    /// The client's own id.
    pub local_id: Option<&'a str>,
    /// The content.
    pub content: &'a Value,
}

impl<'a> UpdateMessage<'a> {
    /// The message as agents get it.
    #[must_use]
    pub fn of(message: &'a Message) -> Self {
        Self {
            id: &message.id,
            seq: message.seq,
            created_at: message.created_at,
            local_id: message.local_id.as_deref(),
            content: &message.content,
        }
    }
}

/// The numbers of a room's updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateSeq(i64);

impl UpdateSeq {
    /// Begins above every number that an earlier process can have given: with the clock, of which a room uses less than one
    /// number a millisecond.
    #[must_use]
    pub const fn begin(now: i64) -> Self {
        Self(now)
    }

    /// Takes the next number.
    pub fn advance(&mut self) -> i64 {
        self.0 = self.0.saturating_add(1);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    fn body(body: UpdateBody<'_>) -> Value {
        to_value(Update { id: "u", seq: 7, created_at: 5, body }).unwrap()["body"].take()
    }

    #[test]
    fn bodies_have_the_protocols_shape() {
        let metadata = Versioned { version: 3, value: json!({"path": "/p"}).into() };
        let told = UpdateBody::UpdateSession { sid: "s", metadata: Some(&metadata), agent_state: None };
        let wanted = json!({
            "t": "update-session", "sid": "s",
            "metadata": {"version": 3, "value": {"path": "/p"}}, "agentState": null,
        });
        assert_eq!(body(told), wanted);
        let told = UpdateBody::UpdateMachine { machine_id: "m", metadata: None, runner_state: None };
        let wanted = json!({"t": "update-machine", "machineId": "m", "metadata": null, "runnerState": null});
        assert_eq!(body(told), wanted);
        let told = UpdateBody::CancelQueuedMessage { sid: "s", message_id: "x", local_id: None };
        assert_eq!(body(told), json!({"t": "cancel-queued-message", "sid": "s", "messageId": "x"}));
        let content = json!({"role": "user"});
        let message = UpdateMessage { id: "x", seq: 2, created_at: 4, local_id: None, content: &content };
        let whole =
            to_value(Update { id: "x", seq: 8, created_at: 5, body: UpdateBody::NewMessage { sid: "s", message } });
        let wanted = json!({"id": "x", "seq": 2, "createdAt": 4, "localId": null, "content": {"role": "user"}});
        let wanted = json!({"t": "new-message", "sid": "s", "message": wanted});
        assert_eq!(whole.unwrap(), json!({"id": "x", "seq": 8, "createdAt": 5, "body": wanted}));
    }

    #[test]
    fn numbers_ascend() {
        let mut seq = UpdateSeq::begin(100);
        assert_eq!((seq.advance(), seq.advance()), (101, 102));
    }
}
