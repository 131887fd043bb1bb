//! Requests and audit events as clients see them: the README's fields in its order, always all of them, then our own.

use serde::Serialize;
use utoipa::ToSchema;

use super::ids::RequestId;
use super::json::JsonText;
use super::request::{Request, ResponseSchema, RoutingHints, SlackDelivery, TimeoutPolicy, Vote};
use super::times::iso;
use super::words::{ActorKind, AuditKind, Intent, State, Urgency};
use hxa_domain::ids::ThreadId;
use hxa_domain::schema::Json;

/// A coordination request.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CoordinationRequest)]
pub struct RequestView<'a> {
    /// Its id, a ULID.
    pub request_id: RequestId,
    /// The agent's name.
    pub agent_id: &'a str,
    /// What it is for.
    pub intent: Intent,
    /// How urgent it is.
    pub urgency: Urgency,
    /// Where it stands.
    pub state: State,
    /// Summary, detail, metadata, attachments.
    #[schema(value_type = Json)]
    pub context_package: &'a JsonText,
    /// The form of the answer.
    #[schema(required)]
    pub response_schema: Option<&'a ResponseSchema>,
    /// How long to wait.
    pub timeout_policy: &'a TimeoutPolicy,
    /// Whom to ask, as the agent said.
    pub routing_hints: &'a RoutingHints,
    /// The agent's own name of what it does.
    #[schema(required)]
    pub trace_id: Option<&'a str>,
    /// Under which the agent may repeat the request.
    #[schema(required)]
    pub idempotency_key: Option<&'a str>,
    /// Who is asked now.
    pub responder_id: &'a str,
    /// The answer.
    #[schema(required, value_type = Json)]
    pub response_data: Option<&'a JsonText>,
    /// Who gave it.
    #[schema(required)]
    pub responded_by: Option<&'a str>,
    /// When.
    #[schema(required, format = "date-time")]
    pub responded_at: Option<String>,
    /// When the agent asked.
    #[schema(format = "date-time")]
    pub submitted_at: String,
    /// When it last changed.
    #[schema(format = "date-time")]
    pub updated_at: String,
    /// From when on no answer is taken.
    #[schema(format = "date-time")]
    pub timeout_at: String,
    /// When the agent read the answer.
    #[schema(required, format = "date-time")]
    pub delivered_at: Option<String>,
    /// Whether an approval may change the proposal: `edited` beside `decision: "approved"`.
    pub allow_edit: bool,
    /// The thread that waits for the answer.
    #[schema(required)]
    pub thread_id: Option<ThreadId>,
    /// Steps of escalation done.
    pub escalation_level: u16,
    /// Votes so far, where several decide together.
    pub votes: Vec<VoteView<'a>>,
    /// Who may answer as well.
    #[schema(required)]
    pub delegated_to: Option<&'a str>,
    /// Until when.
    #[schema(required, format = "date-time")]
    pub delegated_until: Option<String>,
    /// What became of the message to Slack.
    #[schema(required)]
    pub slack: Option<&'a SlackDelivery>,
}

/// A vote.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CoordinationVote)]
pub struct VoteView<'a> {
    /// Who voted.
    pub responder_id: &'a str,
    /// The answer.
    #[schema(value_type = Json)]
    pub response_data: &'a JsonText,
    /// When.
    #[schema(format = "date-time")]
    pub at: String,
}

impl<'a> VoteView<'a> {
    fn of(vote: &'a Vote) -> Self {
        Self { responder_id: &vote.responder_id, response_data: &vote.response_data, at: iso(vote.at) }
    }
}

impl<'a> RequestView<'a> {
    /// The view of a request.
    #[must_use]
    pub fn of(request: &'a Request) -> Self {
        Self {
            request_id: request.id,
            agent_id: &request.agent_id,
            intent: request.intent,
            urgency: request.urgency,
            state: request.state,
            context_package: &request.context,
            response_schema: request.response_schema.as_deref(),
            timeout_policy: &request.timeout,
            routing_hints: &request.routing,
            trace_id: request.trace_id.as_deref(),
            idempotency_key: request.idempotency_key.as_deref(),
            responder_id: &request.responder_id,
            response_data: request.response_data.as_ref(),
            responded_by: request.responded_by.as_deref(),
            responded_at: request.responded_at.map(iso),
            submitted_at: iso(request.submitted_at),
            updated_at: iso(request.updated_at),
            timeout_at: iso(request.timeout_at),
            delivered_at: request.delivered_at.map(iso),
            allow_edit: request.allow_edit,
            thread_id: request.thread,
            escalation_level: request.level,
            votes: request.votes.iter().map(VoteView::of).collect(),
            delegated_to: request.delegated_to.as_deref(),
            delegated_until: request.delegated_until.map(iso),
            slack: request.slack.as_deref(),
        }
    }

    /// The answer to the request's creation, which shows it as it was submitted.
    #[must_use]
    pub fn submitted(request: &'a Request) -> Self {
        Self { state: State::Submitted, ..Self::of(request) }
    }
}

/// An audit event.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CoordinationAuditEvent)]
pub struct AuditView<'a> {
    /// Its id, a ULID.
    pub event_id: &'a str,
    /// The request.
    pub request_id: &'a str,
    /// What happened.
    pub event_type: AuditKind,
    /// Who did it.
    pub actor: &'a str,
    /// What kind of actor that is.
    pub actor_type: ActorKind,
    /// The details.
    #[schema(value_type = Json)]
    pub payload: &'a JsonText,
    /// When.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// Its place in the organisation's chain.
    pub seq: i64,
    /// Its hash, which covers the hash before it.
    pub hash: &'a str,
}

#[cfg(test)]
mod tests;
