//! A session in a list.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::rules::config::Model;
use crate::rules::limits;
use crate::rules::metadata::served_of_session;
use crate::rules::permissions::{Pending, kinds, pending};
use crate::rules::records::Session;
use crate::rules::words::RequestKind;

/// What a list shows of the metadata, as it is there.
const SHOWN: [&str; 7] = ["name", "path", "machineId", "summary", "flavor", "worktree", "lifecycleState"];

/// A session in a list.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SummaryView<'a> {
    /// Its id.
    pub id: &'a str,
    /// Whether it is active.
    pub active: bool,
    /// Whether the agent thinks.
    pub thinking: bool,
    /// When its last heartbeat came.
    pub active_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// Sessions are not pinned here.
    pub pinned: bool,
    /// The same.
    pub global_pinned: bool,
    /// Some of its metadata; null unless it says path and host.
    pub metadata: Option<Map<String, Value>>,
    /// The version of the metadata.
    pub metadata_version: i64,
    /// The version of the agent's state.
    pub agent_state_version: i64,
    /// Lists of things to do are not kept here.
    pub todos_updated_at: Option<i64>,
    /// The same: null is none.
    pub todo_progress: Option<Value>,
    /// Requests that wait.
    pub pending_requests_count: usize,
    /// Their kinds.
    pub pending_request_kinds: Vec<RequestKind>,
    /// The oldest of them.
    pub pending_requests: Vec<Pending>,
    /// Background tasks are not counted here.
    pub background_task_count: u32,
    /// There are no scheduled prompts here.
    pub future_scheduled_message_count: u32,
    /// The same.
    pub next_scheduled_at: Option<i64>,
    /// The model.
    pub model: Option<&'a Model>,
    /// How much it reasons.
    pub model_reasoning_effort: Option<&'a str>,
    /// How much the agent works.
    pub effort: Option<&'a str>,
}

impl<'a> SummaryView<'a> {
    /// The summary of a session.
    #[must_use]
    pub fn of(session: &'a Session) -> Self {
        let mut requests = pending(&session.agent_state.value, session.updated_at);
        let (count, kinds) = (requests.len(), kinds(&requests));
        requests.truncate(limits::SUMMARY_REQUESTS);
        Self {
            id: &session.id,
            active: session.liveness.is_active(),
            thinking: session.liveness.is_thinking(),
            active_at: session.liveness.active_at(),
            updated_at: session.updated_at,
            pinned: false,
            global_pinned: false,
            metadata: shown(served_of_session(&session.metadata.value)),
            metadata_version: session.metadata.version,
            agent_state_version: session.agent_state.version,
            todos_updated_at: None,
            todo_progress: None,
            pending_requests_count: count,
            pending_request_kinds: kinds,
            pending_requests: requests,
            background_task_count: 0,
            future_scheduled_message_count: 0,
            next_scheduled_at: None,
            model: session.config.model.as_ref(),
            model_reasoning_effort: session.config.model_reasoning_effort.as_deref(),
            effort: session.config.effort.as_deref(),
        }
    }
}

fn shown(metadata: &Value) -> Option<Map<String, Value>> {
    let metadata = metadata.as_object()?;
    let mut shown = Map::new();
    for key in SHOWN {
        if let Some(value) = metadata.get(key) {
            shown.insert(key.to_owned(), value.clone());
        }
    }
    // The conversation of the session's own flavor.
    let flavor = metadata.get("flavor").and_then(Value::as_str).unwrap_or("claude");
    if let Some(id) = metadata.get(&format!("{flavor}SessionId")) {
        shown.insert("agentSessionId".to_owned(), id.clone());
    }
    Some(shown)
}
