//! Requests of agents that wait for a person, and what the person decides.
//!
//! The requests are part of the agent's state, which the agent alone changes. A decision is an RPC to the agent. Two people can
//! decide at once; the first claims the request, and the second is told that it is decided.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::faults::Fault;
use super::fields::{Fields, wrong_type};
use super::flavors::{Kind, PermissionMode};
use super::limits;
use super::words::{PermissionDecision, PermissionStatus, RefusalCode, RequestKind};

/// Tools that ask for an answer rather than for a permission.
const INPUT_TOOLS: [&str; 5] =
    ["AskUserQuestion", "ask_user_question", "ExitPlanMode", "exit_plan_mode", "request_user_input"];

/// A request that waits, as lists of sessions show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// Its id.
    pub id: String,
    /// What it wants.
    pub kind: RequestKind,
    /// The tool that the agent wants to use.
    pub tool: String,
    /// Since when it waits.
    pub since: i64,
}

/// What a request of a tool wants.
#[must_use]
pub fn kind_of_tool(tool: &str) -> RequestKind {
    if INPUT_TOOLS.contains(&tool) { RequestKind::Input } else { RequestKind::Permission }
}

fn requests_of(agent_state: &Value) -> Option<&Map<String, Value>> {
    agent_state.get("requests").and_then(Value::as_object)
}

/// The requests that wait, oldest first. One that does not say since when waits since the session last changed; what names no
/// tool is no request.
#[must_use]
pub fn pending(agent_state: &Value, session_updated_at: i64) -> Vec<Pending> {
    let read = |(id, request): (&String, &Value)| {
        let tool = request.get("tool")?.as_str()?.to_owned();
        let since = request.get("createdAt").and_then(super::fields::whole).unwrap_or(session_updated_at);
        Some(Pending { id: id.clone(), kind: kind_of_tool(&tool), tool, since })
    };
    let mut all: Vec<Pending> = requests_of(agent_state).into_iter().flatten().filter_map(read).collect();
    all.sort_by(|one, other| (one.since, &one.id).cmp(&(other.since, &other.id)));
    all
}

/// The kinds among requests, each once.
#[must_use]
pub fn kinds(pending: &[Pending]) -> Vec<RequestKind> {
    RequestKind::ALL.iter().copied().filter(|kind| pending.iter().any(|one| one.kind == *kind)).collect()
}

/// The agent's state as web clients see it: null where it has not the shape that they check, since they would fetch a session
/// with it for ever.
#[must_use]
pub fn served_of_agent(state: &Value) -> &Value {
    static NULL: Value = Value::Null;
    let is_flag = |key: &str| state.get(key).is_none_or(|flag| flag.is_boolean() || flag.is_null());
    let is_request = |request: &Value| {
        let is_time = |key: &str| request.get(key).is_none_or(|time| time.is_number() || time.is_null());
        request.get("tool").is_some_and(Value::is_string) && is_time("createdAt") && is_time("completedAt")
    };
    let is_completed = |request: &Value| {
        let status = request.get("status").and_then(Value::as_str);
        is_request(request) && status.is_some_and(|status| PermissionStatus::parse(status).is_some())
    };
    let holds = |key: &str, check: &dyn Fn(&Value) -> bool| match state.get(key) {
        None | Some(Value::Null) => true,
        Some(all) => all.as_object().is_some_and(|all| all.values().all(check)),
    };
    let is_well_formed = state.is_object()
        && is_flag("controlledByUser")
        && is_flag("steeringActive")
        && holds("requests", &is_request)
        && holds("completedRequests", &is_completed);
    if is_well_formed { state } else { &NULL }
}

/// How a claim of a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The caller decides, and releases or settles the claim afterwards.
    Granted,
    /// There is no such request, or it was decided before: 404 `Request not found`.
    NotFound,
    /// Somebody else decides it, or has and the agent has not said so yet.
    Refused(RefusalCode),
}

/// The requests of one session that are being decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims(HashMap<String, Stage>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The agent has been asked.
    Deciding,
    /// The agent has accepted the decision and not yet removed the request from its state.
    Decided,
}

impl Claims {
    /// Claims a request for a decision.
    pub fn claim(&mut self, agent_state: &Value, is_active: bool, request_id: &str) -> Claim {
        if !requests_of(agent_state).is_some_and(|requests| requests.contains_key(request_id)) {
            return Claim::NotFound;
        }
        if self.0.contains_key(request_id) {
            return Claim::Refused(RefusalCode::AlreadyDecided);
        }
        if !is_active {
            return Claim::Refused(RefusalCode::SessionInactive);
        }
        self.0.insert(request_id.to_owned(), Stage::Deciding);
        Claim::Granted
    }

    /// The agent accepted the decision. The claim stays until the request leaves the agent's state.
    pub fn settle(&mut self, agent_state: &Value, request_id: &str) {
        if let Some(stage) = self.0.get_mut(request_id) {
            *stage = Stage::Decided;
        }
        self.follow(agent_state);
    }

    /// The agent did not get the decision: the request can be decided once more.
    pub fn release(&mut self, request_id: &str) {
        self.0.remove(request_id);
    }

    /// The agent's state changed: decided requests that left it are forgotten. What is being decided stays, until its
    /// outcome is known.
    pub fn follow(&mut self, agent_state: &Value) {
        let requests = requests_of(agent_state);
        self.0.retain(|id, stage| *stage == Stage::Deciding || requests.is_some_and(|all| all.contains_key(id)));
    }

    /// The agent is gone. One that comes back with the same requests has not heard of the decisions.
    pub fn agent_left(&mut self) {
        self.0.retain(|_, stage| *stage == Stage::Deciding);
    }
}

/// What a person decides.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionDraft {
    /// Whether the agent may go on.
    pub approved: bool,
    /// The mode from now on.
    pub mode: Option<PermissionMode>,
    /// Tools that need no permission from now on.
    pub allow_tools: Option<Vec<String>>,
    /// The decision in more words.
    pub decision: Option<PermissionDecision>,
    /// Answers to the agent's questions: `{k: [text]}` or `{k: {answers: [text]}}`.
    pub answers: Option<Value>,
}

impl DecisionDraft {
    /// Reads the body of an approval: `{mode?, allowTools?, decision?, answers?}`.
    ///
    /// # Errors
    /// A field is wrong, or the mode is not one of the flavor's.
    pub fn read_approval(body: Value, kind: Kind) -> Result<Self, Fault> {
        let mut fields = body_or_none(body)?;
        let mode = fields.word("mode", PermissionMode::parse, &PermissionMode::accepted())?;
        if let Some(mode) = mode.filter(|mode| !kind.has_mode(*mode)) {
            return Err(Fault::new("mode", format!("{mode} is no permission mode of this session's flavor")));
        }
        let allow_tools =
            if fields.has("allowTools") { Some(fields.ids("allowTools", limits::LOCAL_IDS)?) } else { None };
        let decision = fields.word("decision", PermissionDecision::parse, &PermissionDecision::accepted())?;
        let answers = fields.given("answers").value();
        if let Some(answers) = &answers {
            check_answers(answers)?;
        }
        Ok(Self { approved: true, mode, allow_tools, decision, answers })
    }

    /// Reads the body of a denial: `{decision?}`.
    ///
    /// # Errors
    /// The decision is none.
    pub fn read_denial(body: Value) -> Result<Self, Fault> {
        let mut fields = body_or_none(body)?;
        let decision = fields.word("decision", PermissionDecision::parse, &PermissionDecision::accepted())?;
        Ok(Self { approved: false, mode: None, allow_tools: None, decision, answers: None })
    }

    /// The params of the agent's method `permission`; what is absent is left out.
    #[must_use]
    pub fn params(&self, request_id: &str) -> Value {
        let mut params = Map::new();
        params.insert("id".to_owned(), Value::from(request_id));
        params.insert("approved".to_owned(), Value::from(self.approved));
        let rest = [
            ("mode", self.mode.map(|mode| json!(mode))),
            ("allowTools", self.allow_tools.as_ref().map(|tools| json!(tools))),
            ("decision", self.decision.map(|decision| json!(decision))),
            ("answers", self.answers.clone()),
        ];
        params.extend(rest.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        Value::Object(params)
    }
}

/// A call without a body decides plainly.
fn body_or_none(body: Value) -> Result<Fields, Fault> {
    Fields::of(if body.is_null() { json!({}) } else { body })
}

fn check_answers(answers: &Value) -> Result<(), Fault> {
    let map = answers.as_object().ok_or_else(|| wrong_type("answers", "object", answers))?;
    let is_texts = |value: &Value| value.as_array().is_some_and(|all| all.iter().all(Value::is_string));
    let bad = map.iter().find(|(_, value)| !is_texts(value) && !value.get("answers").is_some_and(is_texts));
    match bad {
        None => Ok(()),
        Some((key, _)) => {
            Err(Fault::new(format!("answers.{key}"), "Expected array of strings, or {answers: array of strings}"))
        }
    }
}

#[cfg(test)]
mod tests;
