//! What is known of one request. Everything but the state machine only reads it.
//!
//! A change makes a new value; texts are shared, so that this costs a few counters and no copies.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::RequestId;
use super::json::JsonText;
use super::words::{Channel, Fallback, Intent, SchemaKind, SlackStatus, State, Urgency};
use hxa_domain::fold::folded;
use hxa_domain::ids::{BotId, OrgId, ThreadId};
use hxa_domain::schema::Json;

/// One of the answers to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChoiceOption {
    /// What the answer names it by.
    pub key: String,
    /// What people read.
    pub label: String,
    /// More for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub description: Option<String>,
}

/// What form the answer takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResponseSchema {
    /// `choice`, `text` or `structured`.
    #[serde(rename = "type")]
    pub kind: SchemaKind,
    /// The answers to choose from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub options: Option<Vec<ChoiceOption>>,
    /// The JSON Schema of a structured answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Json>)]
    pub json_schema: Option<JsonText>,
    /// Whether several options may be chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub multiple: Option<bool>,
    /// Whether an approval may change the proposal; the same as the request's own `allow_edit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub allow_edit: Option<bool>,
}

impl ResponseSchema {
    /// Whether several options may be chosen.
    #[must_use]
    pub fn is_multiple(&self) -> bool {
        self.multiple == Some(true)
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &[ChoiceOption] {
        self.options.as_deref().unwrap_or_default()
    }
}

/// A step of an escalation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EscalationStep {
    /// Seconds after the request was made.
    pub after_seconds: i64,
    /// Who is asked then.
    pub responder_id: String,
}

/// How long to wait, and what happens then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimeoutPolicy {
    /// Seconds to wait for the answer.
    pub timeout_seconds: i64,
    /// What happens when nobody answers.
    pub fallback: Fallback,
    /// Who is asked next with ESCALATE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub escalation_responder_id: Option<String>,
    /// Who is asked one after the other before the fallback.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalation: Vec<EscalationStep>,
}

/// Several who decide together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quorum {
    /// Who may vote.
    pub of: Vec<String>,
    /// How many must agree.
    pub need: usize,
}

/// Whom to ask, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoutingHints {
    /// The responder.
    pub responder_id: String,
    /// How the responder hears of it.
    pub channel: Channel,
    /// The Slack channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub slack_channel_id: Option<String>,
    /// Those who decide together instead of the responder alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub quorum: Option<Quorum>,
}

/// What an answer amounts to, as far as votes are counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The proposal is accepted.
    Approved,
    /// The proposal is declined.
    Rejected,
    /// These options, sorted.
    Chosen(Vec<String>),
    /// An answer of any other form.
    Given,
}

/// The vote of one member of a quorum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The member.
    pub responder_id: String,
    /// What it amounts to.
    pub verdict: Verdict,
    /// The whole answer.
    pub response_data: JsonText,
    /// When, ms.
    pub at: i64,
}

/// What became of the message to Slack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SlackDelivery {
    /// How far it is.
    pub status: SlackStatus,
    /// The channel.
    pub channel_id: String,
    /// Slack's name of the message, once there is one.
    #[serde(default)]
    #[schema(required)]
    pub message_ts: Option<String>,
    /// Why it failed.
    #[serde(default)]
    #[schema(required)]
    pub error: Option<String>,
}

/// A coordination request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// The organisation of the agent.
    pub org: OrgId,
    /// The agent that asks.
    pub agent: BotId,
    /// The agent's name, as it was then.
    pub agent_id: Arc<str>,
    /// What it is for.
    pub intent: Intent,
    /// How urgent it is.
    pub urgency: Urgency,
    /// Where it stands.
    pub state: State,
    /// Summary, detail, metadata, attachments.
    pub context: JsonText,
    /// The form of the answer.
    pub response_schema: Option<Arc<ResponseSchema>>,
    /// Whether an approval may change the proposal.
    pub allow_edit: bool,
    /// How long to wait.
    pub timeout: Arc<TimeoutPolicy>,
    /// Whom to ask; never changes.
    pub routing: Arc<RoutingHints>,
    /// The agent's own name of what it does.
    pub trace_id: Option<Arc<str>>,
    /// Under which the agent may repeat the request.
    pub idempotency_key: Option<Arc<str>>,
    /// Of what the agent asked, to tell a repetition from another request.
    pub body_hash: Arc<str>,
    /// Who is asked now.
    pub responder_id: Arc<str>,
    /// The thread that waits for the answer.
    pub thread: Option<ThreadId>,
    /// Steps of escalation done.
    pub level: u16,
    /// Votes since the last step.
    pub votes: Arc<Vec<Vote>>,
    /// The answer.
    pub response_data: Option<JsonText>,
    /// Who gave it.
    pub responded_by: Option<Arc<str>>,
    /// When, ms.
    pub responded_at: Option<i64>,
    /// When the agent asked, ms.
    pub submitted_at: i64,
    /// When it last changed, ms.
    pub updated_at: i64,
    /// From when on no answer is taken, ms.
    pub timeout_at: i64,
    /// When the agent read the answer, ms.
    pub delivered_at: Option<i64>,
    /// Who may answer as well.
    pub delegated_to: Option<Arc<str>>,
    /// Until when, ms.
    pub delegated_until: Option<i64>,
    /// What became of the message to Slack.
    pub slack: Option<Arc<SlackDelivery>>,
}

impl Request {
    /// Those who decide together now; an escalation leaves the decision to the next responder alone.
    #[must_use]
    pub fn quorum(&self) -> Option<&Quorum> {
        self.routing.quorum.as_ref().filter(|_| self.level == 0)
    }

    /// Who may answer as well at this time.
    #[must_use]
    pub fn delegate(&self, now: i64) -> Option<&Arc<str>> {
        self.delegated_to.as_ref().filter(|_| self.delegated_until.is_some_and(|until| now < until))
    }

    /// Everybody who is asked at this time.
    pub fn asked(&self, now: i64) -> impl Iterator<Item = &str> {
        let (members, alone) = match self.quorum() {
            Some(quorum) => (quorum.of.as_slice(), None),
            None => (&[][..], Some(&*self.responder_id)),
        };
        members.iter().map(String::as_str).chain(alone).chain(self.delegate(now).map(|delegate| &**delegate))
    }

    /// Whether this one is asked at this time.
    #[must_use]
    pub fn asks(&self, handle: &str, now: i64) -> bool {
        self.asked(now).any(|asked| is_same(asked, handle))
    }

    /// The vote of a member.
    #[must_use]
    pub fn vote_of(&self, handle: &str) -> Option<&Vote> {
        self.votes.iter().find(|vote| is_same(&vote.responder_id, handle))
    }

    /// Whether its time has run out and nothing was done about it yet. Whoever serializes its changes takes the deadline
    /// before anything else then.
    #[must_use]
    pub fn is_overdue(&self, now: i64) -> bool {
        self.state == State::PendingResponse && now >= self.timeout_at
    }

    /// Whether a stop has left it on its way to the responder.
    #[must_use]
    pub const fn is_on_its_way(&self) -> bool {
        matches!(self.state, State::Submitted | State::Routing | State::Escalated)
    }

    /// Whether a message goes to Slack.
    #[must_use]
    pub fn slack_channel(&self) -> Option<&str> {
        match self.routing.channel {
            Channel::Slack => self.routing.slack_channel_id.as_deref(),
            Channel::Portal => None,
        }
    }
}

/// What stands for a handle where handles are compared: case does not matter.
#[must_use]
pub fn handle_key(handle: &str) -> String {
    folded(handle.to_owned())
}

/// Whether two handles name the same person.
#[must_use]
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || handle_key(one) == handle_key(other)
}
