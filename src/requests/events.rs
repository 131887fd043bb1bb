//! What the agent's bot hears of its requests: events on its sockets, and requests to its webhook.

use hxa_domain::ids::BotId;
use hxa_domain::schema::Json;
use hxa_hub::core::org_state::OrgState;
use hxa_hub::fanout::event::{Audience, Event};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::principal::NEED;
use crate::rules::times::iso;
use crate::rules::{Intent, JsonText, Request, RequestId, State, Told, Urgency};
use hxa_domain::ids::ThreadId;

/// The event on sockets.
pub const KIND: &str = "coordination_request";

/// The events that go to webhooks.
pub const WEBHOOK_KINDS: [&str; 6] = [
    "request.submitted",
    "request.escalated",
    "request.responded",
    "request.delivered",
    "request.timed_out",
    "request.cancelled",
];

/// A request of the bot has reached a state. The context is left out; it is the bot's own.
#[derive(Serialize, ToSchema)]
#[schema(as = CoordinationRequestEvent)]
pub struct CoordinationRequest<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    /// The request.
    request_id: RequestId,
    /// The state.
    state: State,
    /// The agent's name.
    agent_id: &'a str,
    /// What the request is for.
    intent: Intent,
    /// How urgent it is.
    urgency: Urgency,
    /// Who is asked now.
    responder_id: &'a str,
    /// The agent's own name of what it does.
    #[schema(required)]
    trace_id: Option<&'a str>,
    /// The thread that waits for the answer.
    #[schema(required)]
    thread_id: Option<ThreadId>,
    /// The answer, once there is one.
    #[schema(required, value_type = Json)]
    response_data: Option<&'a JsonText>,
    /// Who gave it.
    #[schema(required)]
    responded_by: Option<&'a str>,
    /// From when on no answer is taken.
    #[schema(format = "date-time")]
    timeout_at: String,
    /// When the request changed.
    #[schema(format = "date-time")]
    updated_at: String,
}

impl<'a> CoordinationRequest<'a> {
    fn new(kind: &'a str, request: &'a Request, state: State) -> Self {
        Self {
            kind,
            request_id: request.id,
            state,
            agent_id: &request.agent_id,
            intent: request.intent,
            urgency: request.urgency,
            responder_id: &request.responder_id,
            trace_id: request.trace_id.as_deref(),
            thread_id: request.thread,
            response_data: request.response_data.as_ref(),
            responded_by: request.responded_by.as_deref(),
            timeout_at: iso(request.timeout_at),
            updated_at: iso(request.updated_at),
        }
    }
}

/// The event of a state that goes to webhooks. On the way to its responder a request is in states that mean nothing to the
/// agent.
const fn webhook_kind(state: State) -> Option<&'static str> {
    Some(match state {
        State::Submitted => "request.submitted",
        State::Escalated => "request.escalated",
        State::Responded => "request.responded",
        State::Delivered => "request.delivered",
        State::TimedOut => "request.timed_out",
        State::Cancelled => "request.cancelled",
        State::Routing | State::PendingResponse => return None,
    })
}

/// Whether sockets hear of a state.
const fn is_on_sockets(state: State) -> bool {
    !matches!(state, State::Submitted | State::Routing)
}

/// What is published once a change is durable.
#[must_use]
pub fn of_step(org: &OrgState, request: &Request, told: &[Told]) -> Vec<Event> {
    // A bot that is gone hears nothing.
    let Some(bot) = org.bot(request.agent) else { return Vec::new() };
    let mut events = Vec::with_capacity(told.len());
    for Told { state, is_new, .. } in told {
        let state = *state;
        if is_on_sockets(state) {
            events.push(event(KIND, request, state));
        }
        if let Some(kind) = webhook_kind(state).filter(|kind| *is_new && bot.has_webhook_for(kind)) {
            events.push(event(kind, request, state).only_for_webhooks());
        }
    }
    events
}

fn event(kind: &'static str, request: &Request, state: State) -> Event {
    let bots: std::sync::Arc<[BotId]> = std::sync::Arc::from([request.agent]);
    // Events of one request are in order.
    let audience = Audience::Members { bots, topic: Uuid::from_u128(request.id.number()) };
    Event::tagged(kind, &CoordinationRequest::new(kind, request, state), audience).needing(NEED)
}
