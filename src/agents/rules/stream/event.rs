//! Events of the stream. Each is one JSON object with `type`; all but `connection-changed` and `toast` name the namespace.

use serde::Serialize;
use serde_json::Value;

use super::filter::Topic;
use crate::rules::messages::MessageView;
use crate::rules::names::Namespace;
use crate::rules::words::{EndReason, Resume};

/// What an event says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Body<'a> {
    /// A session is new: the whole of it, since clients fetch their list again for what they do not know.
    SessionAdded {
        /// The session.
        session_id: &'a str,
        /// Its view.
        data: &'a Value,
    },
    /// A session changed.
    SessionUpdated {
        /// The session.
        session_id: &'a str,
        /// Its view, or a patch.
        data: &'a Value,
    },
    /// A session was deleted.
    SessionRemoved {
        /// The session.
        session_id: &'a str,
    },
    /// The agent ended the session.
    SessionEnded {
        /// The session.
        session_id: &'a str,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<EndReason>,
    },
    /// There is a message.
    MessageReceived {
        /// The session.
        session_id: &'a str,
        /// The message.
        message: MessageView<'a>,
    },
    /// The history was rewritten.
    MessagesInvalidated {
        /// The session.
        session_id: &'a str,
    },
    /// Prompts took effect.
    MessagesConsumed {
        /// The session.
        session_id: &'a str,
        /// The prompts.
        local_ids: &'a [String],
        /// When.
        invoked_at: i64,
        /// Whether they went into a running turn.
        #[serde(skip_serializing_if = "Option::is_none")]
        steered: Option<bool>,
    },
    /// A prompt was cancelled.
    MessageCancelled(Cancelled<'a>),
    /// A machine changed.
    MachineUpdated {
        /// The machine.
        machine_id: &'a str,
        /// Its view, or `{active: false}`, or null: the last two take it off the list.
        data: &'a Value,
    },
    /// A short notice on visible pages.
    Toast {
        /// What it says.
        data: ToastData<'a>,
    },
    /// The stream is alive.
    Heartbeat {
        /// When.
        data: HeartbeatData,
    },
    /// The stream is open.
    ConnectionChanged {
        /// Under which name, and whether it missed anything.
        data: ConnectionData<'a>,
    },
}

/// A prompt that was cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancelled<'a> {
    /// The session.
    pub session_id: &'a str,
    /// The id that the caller used, which may be the client's own.
    pub message_id: &'a str,
    /// The client's own id; only where no agent was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_id: Option<&'a str>,
}

/// What a notice says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToastData<'a> {
    /// Its title.
    pub title: &'a str,
    /// Its text.
    pub body: &'a str,
    /// The session.
    pub session_id: &'a str,
    /// Where it leads.
    pub url: &'a str,
}

/// When a heartbeat was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeartbeatData {
    /// The hub's time, ms.
    pub timestamp: i64,
}

/// What the first event of a stream says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionData<'a> {
    /// Always `connected`.
    pub status: &'a str,
    /// The name of the stream, by which its visibility changes.
    pub subscription_id: &'a str,
    /// Whether it missed nothing.
    pub resume: Resume,
}

impl<'a> ConnectionData<'a> {
    /// The stream is open.
    #[must_use]
    pub const fn connected(subscription_id: &'a str, resume: Resume) -> Self {
        Self { status: "connected", subscription_id, resume }
    }
}

impl Body<'_> {
    /// What the event is about.
    #[must_use]
    pub fn topic(&self) -> Topic {
        match self {
            Self::SessionAdded { session_id, .. }
            | Self::SessionUpdated { session_id, .. }
            | Self::SessionRemoved { session_id }
            | Self::SessionEnded { session_id, .. }
            | Self::MessageReceived { session_id, .. }
            | Self::MessagesInvalidated { session_id }
            | Self::MessagesConsumed { session_id, .. }
            | Self::MessageCancelled(Cancelled { session_id, .. }) => Topic::Session((*session_id).into()),
            Self::MachineUpdated { machine_id, .. } => Topic::Machine((*machine_id).into()),
            Self::Toast { .. } => Topic::Visible,
            Self::Heartbeat { .. } | Self::ConnectionChanged { .. } => Topic::Everyone,
        }
    }

    /// Whether the event has an id and is kept for streams that come back.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        !matches!(self, Self::Toast { .. } | Self::Heartbeat { .. } | Self::ConnectionChanged { .. })
    }

    const fn names_namespace(&self) -> bool {
        !matches!(self, Self::Toast { .. } | Self::ConnectionChanged { .. })
    }
}

/// The event as JSON.
#[must_use]
pub fn json_of(body: &Body<'_>, namespace: &Namespace) -> String {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        body: &'a Body<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a Namespace>,
    }
    let whole = Whole { body, namespace: body.names_namespace().then_some(namespace) };
    // Texts and numbers under text keys can always be written.
    serde_json::to_string(&whole).unwrap_or_default()
}

/// The frame of an event: `data:` with its JSON, which has no line breaks, and then `id:` if it has one.
#[must_use]
pub fn frame(json: &str, id: Option<&str>) -> String {
    match id {
        Some(id) => format!("data: {json}\nid: {id}\n\n"),
        None => format!("data: {json}\n\n"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(body: &Body<'_>) -> Value {
        serde_json::from_str(&json_of(body, &Namespace::default_name())).unwrap()
    }

    #[test]
    fn events_have_the_protocols_shape() {
        let patch = json!({"active": false});
        let body = Body::SessionUpdated { session_id: "s", data: &patch };
        let wanted = json!({"type": "session-updated", "sessionId": "s", "data": patch, "namespace": "default"});
        assert_eq!(value(&body), wanted);
        let ids = ["l".to_owned()];
        let body = Body::MessagesConsumed { session_id: "s", local_ids: &ids, invoked_at: 5, steered: None };
        let wanted = json!({"type": "messages-consumed", "sessionId": "s", "localIds": ["l"], "invokedAt": 5, "namespace": "default"});
        assert_eq!(value(&body), wanted);
        let body = Body::MessageCancelled(Cancelled { session_id: "s", message_id: "m", local_id: None });
        let wanted = json!({"type": "message-cancelled", "sessionId": "s", "messageId": "m", "namespace": "default"});
        assert_eq!(value(&body), wanted);
        let body = Body::SessionEnded { session_id: "s", reason: Some(EndReason::Error) };
        assert_eq!(value(&body)["reason"], "error");
        let body = Body::MachineUpdated { machine_id: "m", data: &Value::Null };
        let wanted = json!({"type": "machine-updated", "machineId": "m", "data": null, "namespace": "default"});
        assert_eq!(value(&body), wanted);
        let body = Body::Heartbeat { data: HeartbeatData { timestamp: 9 } };
        assert_eq!(value(&body), json!({"type": "heartbeat", "data": {"timestamp": 9}, "namespace": "default"}));
        assert!(!body.is_kept() && body.topic() == Topic::Everyone);
    }

    #[test]
    fn the_first_event_and_notices_name_no_namespace() {
        let body = Body::ConnectionChanged { data: ConnectionData::connected("u", Resume::Gap) };
        let data = json!({"status": "connected", "subscriptionId": "u", "resume": "gap"});
        assert_eq!(value(&body), json!({"type": "connection-changed", "data": data}));
        let body = Body::Toast { data: ToastData { title: "t", body: "b", session_id: "s", url: "/" } };
        let data = json!({"title": "t", "body": "b", "sessionId": "s", "url": "/"});
        assert_eq!(value(&body), json!({"type": "toast", "data": data}));
        assert_eq!(body.topic(), Topic::Visible);
    }

    #[test]
    fn a_frame_is_one_event() {
        let patch = json!({"name": "a\nid: forged\r\n\ndata: {}"});
        let json = json_of(&Body::SessionAdded { session_id: "s", data: &patch }, &Namespace::default_name());
        let text = frame(&json, Some("e:1:t"));
        assert_eq!(text.matches('\n').count(), 3);
        assert!(text.starts_with("data: {\"type\":\"session-added\"") && text.ends_with("\nid: e:1:t\n\n"));
        assert_eq!(frame("{}", None), "data: {}\n\n");
    }
}
