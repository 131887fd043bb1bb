//! The events that sockets emit, read from JSON into typed drafts. What is malformed gives a fault to answer with.

mod machine;
mod session;
#[cfg(test)]
mod tests;

use hxa_domain::wire_enum;
use serde_json::Value;

use super::faults::Fault;
use super::fields::Fields;
use super::limits;
use super::versioned::{UpdateDraft, VersionedKey};
use super::words::Scope;

pub use machine::{Health, MachineAlive};
pub use session::{Consumed, MessageDraft, SessionAlive, SessionEnd, origin_time};

wire_enum! {
    /// The events that the hub acts on.
    EventName {
        Message = "message",
        SessionAlive = "session-alive",
        SessionReady = "session-ready",
        SessionEnd = "session-end",
        MessagesConsumed = "messages-consumed",
        UpdateMetadata = "update-metadata",
        UpdateState = "update-state",
        MachineAlive = "machine-alive",
        MachineUpdateMetadata = "machine-update-metadata",
        MachineUpdateState = "machine-update-state",
        RpcRegister = "rpc-register",
        RpcUnregister = "rpc-unregister",
        Join = "join",
        Ping = "ping",
    }
}

impl EventName {
    /// The versioned value that the event changes. Such an event is always acknowledged, when it is malformed and when its
    /// sender is limited as well: clients wait for the ack under a lock and without a time-out.
    #[must_use]
    pub const fn versioned_key(self) -> Option<VersionedKey> {
        match self {
            Self::UpdateMetadata | Self::MachineUpdateMetadata => Some(VersionedKey::Metadata),
            Self::UpdateState => Some(VersionedKey::AgentState),
            Self::MachineUpdateState => Some(VersionedKey::RunnerState),
            _ => None,
        }
    }

    /// Whether a refusal is told by the `error` event; the others tell it in their ack.
    #[must_use]
    pub const fn tells_by_error(self) -> bool {
        self.versioned_key().is_none() && !matches!(self, Self::RpcRegister | Self::RpcUnregister | Self::Join)
    }
}

/// An event that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A message of the agent's.
    Message(MessageDraft),
    /// A heartbeat of a session.
    SessionAlive(Box<SessionAlive>),
    /// The agent is loaded.
    SessionReady {
        /// The session.
        sid: String,
    },
    /// The session ends.
    SessionEnd(SessionEnd),
    /// The agent took prompts from its queue.
    MessagesConsumed(Consumed),
    /// A versioned value changes.
    Update(VersionedKey, Scope, UpdateDraft),
    /// A heartbeat of a machine.
    MachineAlive(MachineAlive),
    /// The socket answers to a method.
    RpcRegister {
        /// Its name with the id before it.
        method: String,
    },
    /// The socket does not answer to a method any more.
    RpcUnregister {
        /// Its name with the id before it.
        method: String,
    },
    /// The socket wants to join one more room.
    Join(Scope, String),
    /// The client measures its latency.
    Ping,
}

impl Event {
    /// What the event is about; none for the pings and methods, whose names are checked by themselves.
    #[must_use]
    pub fn subject(&self) -> Option<(Scope, &str)> {
        match self {
            Self::Message(draft) => Some((Scope::Session, &draft.sid)),
            Self::SessionAlive(alive) => Some((Scope::Session, &alive.sid)),
            Self::SessionReady { sid } => Some((Scope::Session, sid)),
            Self::SessionEnd(end) => Some((Scope::Session, &end.sid)),
            Self::MessagesConsumed(consumed) => Some((Scope::Session, &consumed.sid)),
            Self::Update(_, scope, draft) => Some((*scope, &draft.id)),
            Self::MachineAlive(alive) => Some((Scope::Machine, &alive.machine_id)),
            Self::Join(scope, id) => Some((*scope, id)),
            Self::RpcRegister { .. } | Self::RpcUnregister { .. } | Self::Ping => None,
        }
    }

    /// Reads the payload of an event. A ping has none, and one that comes is ignored.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(name: EventName, payload: Option<Value>) -> Result<Self, Fault> {
        let payload = payload.unwrap_or_default();
        match name {
            EventName::UpdateMetadata => read_update(payload, VersionedKey::Metadata, Scope::Session),
            EventName::UpdateState => read_update(payload, VersionedKey::AgentState, Scope::Session),
            EventName::MachineUpdateMetadata => read_update(payload, VersionedKey::Metadata, Scope::Machine),
            EventName::MachineUpdateState => read_update(payload, VersionedKey::RunnerState, Scope::Machine),
            EventName::Message => MessageDraft::read(payload).map(Self::Message),
            EventName::SessionAlive => SessionAlive::read(payload).map(|alive| Self::SessionAlive(Box::new(alive))),
            EventName::SessionReady => read_ready(payload),
            EventName::SessionEnd => SessionEnd::read(payload).map(Self::SessionEnd),
            EventName::MessagesConsumed => Consumed::read(payload).map(Self::MessagesConsumed),
            EventName::MachineAlive => MachineAlive::read(payload).map(Self::MachineAlive),
            EventName::RpcRegister => read_method(payload).map(|method| Self::RpcRegister { method }),
            EventName::RpcUnregister => read_method(payload).map(|method| Self::RpcUnregister { method }),
            EventName::Join => read_join(payload),
            EventName::Ping => Ok(Self::Ping),
        }
    }
}

fn read_update(payload: Value, key: VersionedKey, scope: Scope) -> Result<Event, Fault> {
    let id_key = if scope == Scope::Session { "sid" } else { "machineId" };
    UpdateDraft::read(payload, id_key, key).map(|draft| Event::Update(key, scope, draft))
}

fn read_ready(payload: Value) -> Result<Event, Fault> {
    let mut fields = Fields::of(payload)?;
    let sid = fields.id("sid")?;
    fields.time("time")?;
    Ok(Event::SessionReady { sid })
}

fn read_method(payload: Value) -> Result<String, Fault> {
    Fields::of(payload)?.text("method", limits::METHOD_UNITS)
}

fn read_join(payload: Value) -> Result<Event, Fault> {
    let mut fields = Fields::of(payload)?;
    let session = fields.optional_text("sessionId", limits::ID_UNITS)?;
    let machine = fields.optional_text("machineId", limits::ID_UNITS)?;
    match (session, machine) {
        (Some(id), None) => Ok(Event::Join(Scope::Session, id)),
        (None, Some(id)) => Ok(Event::Join(Scope::Machine, id)),
        _ => Err(Fault::new("", "Expected either sessionId or machineId")),
    }
}

/// How the event of a name is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// It is read and acted on.
    Act(EventName),
    /// It is acknowledged with `{ok: false}`, if the client waits for that: a part of the protocol that this hub does not have.
    Decline,
    /// It is no event of the protocol.
    Unknown,
}

/// Looks up the handling of an event.
#[must_use]
pub fn handling_of(name: &str) -> Handling {
    if let Some(known) = EventName::parse(name) {
        return Handling::Act(known);
    }
    let is_of_terminal = name.starts_with("terminal:") || name.starts_with("agent-terminal:");
    let is_of_protocol = matches!(name, "messages-indeterminate" | "messages-steer-state" | "usage-report");
    if is_of_terminal || is_of_protocol { Handling::Decline } else { Handling::Unknown }
}
