//! Patches of a session. Clients throw a patch with an unknown key away and fetch everything; so each key has its method here,
//! and there is no other way to make one.

use serde_json::{Map, Value, json};

use crate::rules::config::RuntimeConfig;
use crate::rules::liveness::Liveness;
use crate::rules::metadata::served_of_session;
use crate::rules::permissions::served_of_agent;
use crate::rules::versioned::Versioned;

/// The keys that a patch may have.
pub const KEYS: [&str; 18] = [
    "active",
    "thinking",
    "activeTurnStartedAt",
    "activeAt",
    "updatedAt",
    "metadata",
    "agentState",
    "todos",
    "teamState",
    "model",
    "modelReasoningEffort",
    "effort",
    "serviceTier",
    "permissionMode",
    "collaborationMode",
    "copilotAgentMode",
    "backgroundTaskCount",
    "scratchlistUpdatedAt",
];

/// A patch of a session.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SessionPatch(Map<String, Value>);

impl SessionPatch {
    /// An empty patch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.0.insert(key.to_owned(), value);
        self
    }

    /// The session changed at this time.
    #[must_use]
    pub fn updated_at(self, at: i64) -> Self {
        self.with("updatedAt", json!(at))
    }

    /// What heartbeats say, all of it.
    #[must_use]
    pub fn alive(self, liveness: &Liveness, config: &RuntimeConfig) -> Self {
        self.with("active", json!(liveness.is_active()))
            .with("activeAt", json!(liveness.active_at()))
            .thinking(liveness)
            .settings(
                serde_json::to_value(config).ok().and_then(|config| config.as_object().cloned()).unwrap_or_default(),
            )
    }

    /// Whether the agent thinks, and since when.
    #[must_use]
    pub fn thinking(self, liveness: &Liveness) -> Self {
        self.with("thinking", json!(liveness.is_thinking()))
            .with("activeTurnStartedAt", json!(liveness.turn_started_at()))
    }

    /// The session is inactive, and so its agent does not think.
    #[must_use]
    pub fn inactive(self) -> Self {
        self.with("active", json!(false)).with("thinking", json!(false)).with("activeTurnStartedAt", Value::Null)
    }

    /// The settings that [`RuntimeConfig::apply`] found changed.
    #[must_use]
    pub fn settings(mut self, changed: Map<String, Value>) -> Self {
        self.0.extend(changed.into_iter().filter(|(key, _)| KEYS.contains(&key.as_str())));
        self
    }

    /// The metadata, which counts if its version is newer.
    #[must_use]
    pub fn metadata(self, metadata: &Versioned) -> Self {
        let value = served_of_session(&metadata.value);
        self.with("metadata", json!({ "version": metadata.version, "value": value }))
    }

    /// The agent's state, which counts if its version is newer.
    #[must_use]
    pub fn agent_state(self, agent_state: &Versioned) -> Self {
        let value = served_of_agent(&agent_state.value);
        self.with("agentState", json!({ "version": agent_state.version, "value": value }))
    }

    /// The patch as JSON.
    #[must_use]
    pub fn json(self) -> Value {
        Value::Object(self.0)
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
