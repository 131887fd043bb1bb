//! Coordination requests: asking a person, answering, and the stream of changes.

mod stream;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::client::{Client, Created};
use crate::error::Result;
use crate::page::Page;
pub use stream::{CoordinationEvent, CoordinationEvents};

/// Longest time that the hub lets one read wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A question to a person. Its parts are JSON objects as the protocol describes them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NewRequest {
    /// What it is for, such as `APPROVAL`.
    pub intent: String,
    /// How urgent it is, such as `HIGH`.
    pub urgency: String,
    /// What the person reads: `summary`, `detail`, `metadata`, `attachments`.
    pub context_package: Value,
    /// The form of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_schema: Option<Value>,
    /// Whether an approval may change the proposal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_edit: Option<bool>,
    /// How long to wait and what happens then: `timeout_seconds`, `fallback`.
    pub timeout_policy: Value,
    /// Whom to ask: `responder_id`, `channel`.
    pub routing_hints: Value,
    /// The agent's own name of what it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Under which the request may be repeated; a new one if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// A thread of the agent's that waits for the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
}

/// A request to a person.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct CoordinationRequest {
    /// Its id.
    pub request_id: String,
    /// The agent's name.
    pub agent_id: String,
    /// What it is for.
    pub intent: String,
    /// How urgent it is.
    pub urgency: String,
    /// Where it stands.
    pub state: String,
    /// What the person reads.
    pub context_package: Value,
    /// The form of the answer.
    pub response_schema: Option<Value>,
    /// How long to wait, and what happens then.
    pub timeout_policy: Value,
    /// Whom to ask, as the agent said.
    pub routing_hints: Value,
    /// The agent's own name of what it does.
    pub trace_id: Option<String>,
    /// Under which it may be repeated.
    pub idempotency_key: Option<String>,
    /// Who is asked now.
    pub responder_id: String,
    /// The answer.
    pub response_data: Option<Map<String, Value>>,
    /// Who gave it.
    pub responded_by: Option<String>,
    /// When, in ISO 8601.
    pub responded_at: Option<String>,
    /// When the agent asked, in ISO 8601.
    pub submitted_at: String,
    /// When it last changed, in ISO 8601.
    pub updated_at: String,
    /// From when on no answer is taken, in ISO 8601.
    pub timeout_at: String,
    /// When the agent read the answer, in ISO 8601.
    pub delivered_at: Option<String>,
}

impl CoordinationRequest {
    /// Whether it still waits for an answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state.as_str(), "SUBMITTED" | "ROUTING" | "PENDING_RESPONSE" | "ESCALATED")
    }
}

/// A filter of requests; all fields match exactly.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RequestQuery {
    /// The name of the agent.
    pub agent_id: Option<String>,
    /// The state, or several with commas between.
    pub state: Option<String>,
    /// What they are for.
    pub intent: Option<String>,
    /// How urgent they are.
    pub urgency: Option<String>,
    /// Whom they ask.
    pub responder_id: Option<String>,
    /// The agent's own name of what it does.
    pub trace_id: Option<String>,
    /// Submitted at or after this time, in ISO 8601 or ms.
    pub since: Option<String>,
    /// Submitted before this time.
    pub until: Option<String>,
    /// The cursor of the page.
    pub cursor: Option<String>,
    /// Requests, up to 1,000; 50 if not given.
    pub limit: Option<u32>,
}

/// An audit event of a request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct CoordinationAuditEvent {
    /// Its id.
    pub event_id: String,
    /// The request.
    pub request_id: String,
    /// What happened.
    pub event_type: String,
    /// Who did it.
    pub actor: String,
    /// `AGENT`, `HUMAN` or `SYSTEM`.
    pub actor_type: String,
    /// The details.
    pub payload: Value,
    /// When, in ISO 8601.
    pub created_at: String,
    /// Its place in the organisation's chain.
    pub seq: i64,
    /// Its hash, which covers the hash before it.
    pub hash: String,
}

/// A filter of audit events of requests; all fields match exactly.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RequestAuditQuery {
    /// The request.
    pub request_id: Option<String>,
    /// What happened.
    pub event_type: Option<String>,
    /// Who did it.
    pub actor: Option<String>,
    /// The cursor of the page.
    pub cursor: Option<String>,
    /// Events, up to 1,000; 100 if not given.
    pub limit: Option<u32>,
}

/// What requests may do by themselves in an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinationPolicy {
    /// Which may have the fallback `AUTO_APPROVE`.
    pub auto_approve: AutoApprove,
    /// Whether Slack users who are no people of the organisation answer, as `slack:<name>`.
    #[serde(default)]
    pub slack_names: bool,
}

/// Which requests may have the fallback `AUTO_APPROVE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoApprove {
    /// Only these intents.
    pub intents: Vec<String>,
    /// Only these urgencies.
    pub urgencies: Vec<String>,
}

/// A ticket that opens one event stream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct StreamTicket {
    /// The ticket.
    pub ticket: String,
    /// For how many seconds it is valid.
    pub expires_in: u64,
}

const REQUESTS: [&str; 2] = ["v1", "requests"];

impl Client {
    /// Asks a person. It is sent again after a network error, always under the same idempotency key.
    ///
    /// ```no_run
    /// # async fn example(client: &hxa_client::Client) -> hxa_client::Result<()> {
    /// use hxa_client::NewRequest;
    /// use serde_json::json;
    ///
    /// let asked = client
    ///     .ask(&NewRequest {
    ///         intent: "APPROVAL".into(),
    ///         urgency: "HIGH".into(),
    ///         context_package: json!({"summary": "Deploy v2.1.0 to production"}),
    ///         timeout_policy: json!({"timeout_seconds": 600, "fallback": "AUTO_REJECT"}),
    ///         routing_hints: json!({"responder_id": "ops-lead"}),
    ///         ..NewRequest::default()
    ///     })
    ///     .await?;
    /// let decided = client.decision(&asked.request_id).await?;
    /// println!("{}: {:?}", decided.state, decided.response_data);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `FORBIDDEN`, `IDEMPOTENCY_MISMATCH`, `LIMIT_REACHED`, and as every call.
    pub async fn ask(&self, request: &NewRequest) -> Result<Created<CoordinationRequest>> {
        let key = request.idempotency_key.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
        let request = NewRequest { idempotency_key: Some(key.clone()), ..request.clone() };
        self.create(reqwest::Method::POST, &REQUESTS, (&request, Some(&key))).await
    }

    /// A request; for the agent that asked this takes the answer.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn coordination_request(&self, id: &str) -> Result<CoordinationRequest> {
        self.get(&["v1", "requests", id], &()).await
    }

    /// A request once it is decided, or after `wait` (at most a minute) as it is then.
    ///
    /// # Errors
    /// As [`Client::coordination_request`].
    pub async fn wait_for_decision(&self, id: &str, wait: Duration) -> Result<CoordinationRequest> {
        // The answer must come before this client gives up.
        let longest = LONGEST_WAIT.min(self.timeout().mul_f32(0.5));
        self.get(&["v1", "requests", id], &json!({ "wait": wait.min(longest).as_secs() })).await
    }

    /// A request once it is decided, however long that takes: its deadline decides it in the end.
    ///
    /// # Errors
    /// As [`Client::coordination_request`].
    pub async fn decision(&self, id: &str) -> Result<CoordinationRequest> {
        loop {
            let request = self.wait_for_decision(id, LONGEST_WAIT).await?;
            if !request.is_open() {
                return Ok(request);
            }
        }
    }

    /// A page of requests, newest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn coordination_requests(&self, query: &RequestQuery) -> Result<Page<CoordinationRequest>> {
        self.get(&REQUESTS, query).await
    }

    /// Cancels a request.
    ///
    /// # Errors
    /// `NOT_FOUND`, `INVALID_TRANSITION` when it is not open, and as every call.
    pub async fn cancel_request(&self, id: &str) -> Result<()> {
        self.delete(&["v1", "requests", id]).await
    }

    /// Answers a request. `responded_by` is for keys that answer in the name of people.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for an answer that was not asked for, `FORBIDDEN`, `NOT_FOUND`, `INVALID_TRANSITION`, and as every
    /// call.
    pub async fn respond(&self, id: &str, response_data: &Value, responded_by: Option<&str>) -> Result<()> {
        let mut body = json!({ "response_data": response_data });
        if let (Some(name), Some(fields)) = (responded_by, body.as_object_mut()) {
            fields.insert("responded_by".to_owned(), name.into());
        }
        self.post::<Value>(&["v1", "requests", id, "respond"], &body).await.map(drop)
    }

    /// Says that an answer has arrived by another way than [`Client::coordination_request`].
    ///
    /// # Errors
    /// `NOT_FOUND`, `INVALID_TRANSITION` when there is no answer, and as every call.
    pub async fn acknowledge_answer(&self, id: &str) -> Result<()> {
        self.post::<Value>(&["v1", "requests", id, "ack"], &json!({})).await.map(drop)
    }

    /// Has somebody else asked instead.
    ///
    /// # Errors
    /// `FORBIDDEN`, `NOT_FOUND`, `INVALID_TRANSITION`, and as every call.
    pub async fn reassign_request(&self, id: &str, responder_id: &str) -> Result<CoordinationRequest> {
        self.post(&["v1", "requests", id, "reassign"], &json!({ "responder_id": responder_id })).await
    }

    /// Lets somebody else answer as well, until a time in ISO 8601.
    ///
    /// # Errors
    /// As [`Client::reassign_request`].
    pub async fn delegate_request(&self, id: &str, responder_id: &str, until: &str) -> Result<CoordinationRequest> {
        let body = json!({ "responder_id": responder_id, "until": until });
        self.post(&["v1", "requests", id, "delegate"], &body).await
    }

    /// A page of audit events of requests, oldest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn request_audit(&self, query: &RequestAuditQuery) -> Result<Page<CoordinationAuditEvent>> {
        self.get(&["v1", "audit"], query).await
    }

    /// What requests may do by themselves in the organisation.
    ///
    /// # Errors
    /// As every call.
    pub async fn coordination_policy(&self) -> Result<CoordinationPolicy> {
        self.get(&["v1", "policy"], &()).await
    }

    /// Replaces what requests may do by themselves; for admins.
    ///
    /// # Errors
    /// `FORBIDDEN`, and as every call.
    pub async fn set_coordination_policy(&self, policy: &CoordinationPolicy) -> Result<CoordinationPolicy> {
        self.put(&["v1", "policy"], policy).await
    }

    /// A ticket that opens one event stream, for clients that cannot send a credential along.
    ///
    /// # Errors
    /// `RATE_LIMITED`, and as every call.
    pub async fn stream_ticket(&self) -> Result<StreamTicket> {
        self.post(&["v1", "events", "ticket"], &json!({})).await
    }
}
