//! A whole session. What the hub does not have is there with its empty value, as clients check the shape.

use serde::Serialize;
use serde_json::Value;

use crate::rules::config::RuntimeConfig;
use crate::rules::metadata::served_of_session;
use crate::rules::names::Namespace;
use crate::rules::permissions::served_of_agent;
use crate::rules::records::Session;

/// A session.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView<'a> {
    /// Its id.
    pub id: &'a str,
    /// Where it belongs.
    pub namespace: &'a Namespace,
    /// Counts its changes.
    pub seq: i64,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// Sessions are not pinned here.
    pub pinned: bool,
    /// The same.
    pub global_pinned: bool,
    /// Whether it is active.
    pub active: bool,
    /// When its last heartbeat came.
    pub active_at: i64,
    /// What it says of itself; null unless it says path and host.
    pub metadata: &'a Value,
    /// Its version.
    pub metadata_version: i64,
    /// What the agent says of its work; null unless it has the shape that clients check.
    pub agent_state: &'a Value,
    /// Its version.
    pub agent_state_version: i64,
    /// Whether the agent thinks.
    pub thinking: bool,
    /// When that last changed.
    pub thinking_at: i64,
    /// Since when the agent thinks.
    pub active_turn_started_at: Option<i64>,
    /// Background tasks are not counted here.
    pub background_task_count: u32,
    /// Lists of things to do are not kept here.
    pub todos_updated_at: Option<i64>,
    /// Teams are not kept here.
    pub team_state_updated_at: Option<i64>,
    /// How it is set.
    #[serde(flatten)]
    pub config: &'a RuntimeConfig,
}

impl<'a> SessionView<'a> {
    /// The view of a session.
    #[must_use]
    pub fn of(session: &'a Session) -> Self {
        let liveness = &session.liveness;
        Self {
            id: &session.id,
            namespace: &session.namespace,
            seq: session.seq,
            created_at: session.created_at,
            updated_at: session.updated_at,
            pinned: false,
            global_pinned: false,
            active: liveness.is_active(),
            active_at: liveness.active_at(),
            metadata: served_of_session(&session.metadata.value),
            metadata_version: session.metadata.version,
            agent_state: served_of_agent(&session.agent_state.value),
            agent_state_version: session.agent_state.version,
            thinking: liveness.is_thinking(),
            thinking_at: liveness.thinking_at(),
            active_turn_started_at: liveness.turn_started_at(),
            background_task_count: 0,
            todos_updated_at: None,
            team_state_updated_at: None,
            config: &session.config,
        }
    }
}
