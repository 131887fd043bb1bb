//! The state machine: the only place that changes a request.
//!
//! [`submit`] and [`step`] take what is and give what shall be, together with the audit events, whom the streams tell, and
//! whether somebody is to be notified: all of it is one commit of the caller's. They do not ask for rights. One rule for
//! late answers: from `timeout_at` on none is taken.

mod deadline;
mod handover;
mod reply;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::audit::AuditDraft;
use super::create::Create;
use super::faults::Faults;
use super::ids::RequestId;
use super::request::{Request, RoutingHints, SlackDelivery, Verdict};
use super::who::Who;
use super::words::{AuditKind, Channel, SlackStatus, State};
use hxa_domain::error::{ApiError, ErrorCode};
use hxa_domain::ids::{BotId, OrgId};

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A request that a stop left on its way goes on to its responder: from SUBMITTED, ROUTING and ESCALATED.
    Route,
    /// An answer, checked by [`super::answer::check_answer`].
    Answer(Answer),
    /// The agent has read the answer.
    Deliver,
    /// The request is withdrawn.
    Cancel,
    /// `timeout_at` has come.
    Deadline,
    /// Somebody else is asked instead.
    Reassign {
        /// Who.
        to: String,
    },
    /// Somebody else may answer as well for a time.
    Delegate {
        /// Who.
        to: String,
        /// Until when, ms.
        until: i64,
    },
    /// Slack has the message.
    SlackSent {
        /// Slack's name of the message.
        message_ts: String,
    },
    /// Slack will not have the message.
    SlackFailed {
        /// Why.
        error: String,
    },
}

/// An answer that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The answer.
    pub data: Map<String, Value>,
    /// Who gives it.
    pub by: String,
    /// What it amounts to.
    pub verdict: Verdict,
    /// Through what it came.
    pub via: Via,
}

/// Through what an answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// The hub's own routes.
    Api,
    /// A button in Slack.
    Slack {
        /// Slack's id of the user.
        user_id: String,
        /// Slack's name of the user.
        user_name: String,
        /// The button.
        action_id: String,
    },
}

/// What a change leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The request as it is now.
    pub request: Request,
    /// What is written of it, in order.
    pub audit: Vec<AuditDraft>,
    /// What streams and webhooks tell, in order.
    pub told: Vec<Told>,
    /// Who is to be notified.
    pub notify: Option<Notify>,
}

/// A state that a request was in, for those who may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The state.
    pub state: State,
    /// The responders concerned, besides the agent and those who see everything: a request that changes hands is told to
    /// the one who loses it as well as to the one who gets it.
    pub responders: Vec<Arc<str>>,
    /// Whether the state is new; else something else has changed: a vote, who is asked.
    pub is_new: bool,
}

/// A message to a channel outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// The responder is asked.
    Ask,
    /// The message that asked shows how it ended.
    Close,
}

/// Why a change is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The state does not allow it.
    State(State),
    /// The time for an answer is over, and the fallback has not happened yet.
    Late(State),
    /// `timeout_at` has not come.
    Early,
    /// The member of the quorum has voted.
    Voted,
    /// The answer of somebody who is not a member of the quorum.
    NoMember,
    /// What is asked for makes no sense.
    Faults(Faults),
}

impl Refusal {
    /// The refusal of `doing` ("respond to", "cancel") as clients get it; a 409 names the state, and who has answered.
    #[must_use]
    pub fn into_error(self, doing: &str, request: &Request) -> ApiError {
        let conflict = |state: State, why: &str| {
            let message = format!("Cannot {doing} CR in state {state}{why}");
            let error = ApiError::new(ErrorCode::InvalidTransition, message).with("state", state.as_str());
            match &request.responded_by {
                Some(by) => error.with("responded_by", &**by),
                None => error,
            }
        };
        match self {
            Self::State(state) => conflict(state, ""),
            Self::Late(state) => conflict(state, ": its deadline has passed"),
            Self::Early => conflict(request.state, ": its deadline has not passed"),
            Self::Voted => conflict(request.state, ": you have voted"),
            Self::NoMember => ApiError::forbidden("Only members of the request's quorum answer it"),
            Self::Faults(faults) => faults.into_error(),
        }
    }
}

/// What a new request is made of.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Its id.
    pub id: RequestId,
    /// The organisation.
    pub org: OrgId,
    /// The agent.
    pub agent: BotId,
    /// The agent's name.
    pub agent_id: Arc<str>,
}

/// A new request, on its way to the responder at once: SUBMITTED, ROUTING and PENDING_RESPONSE are one step.
#[must_use]
pub fn submit(opening: Opening, create: Create, now: i64) -> Step {
    let submitted = opened(opening, create, now);
    let actor = Who::Agent { id: submitted.agent, name: submitted.agent_id.clone(), may_respond: false };
    let payload = json!({ "intent": submitted.intent, "urgency": submitted.urgency });
    let mut change = Change::of(&submitted, now);
    change.audit.push(AuditDraft::new(AuditKind::Submitted, &actor, &payload, now));
    change.tell(true);
    change.route();
    change.made(Some(Notify::Ask))
}

fn opened(opening: Opening, create: Create, now: i64) -> Request {
    let responder_id = Arc::from(create.routing.responder_id.as_str());
    let wait = deadline::wait_ms(&create.timeout, 0);
    Request {
        id: opening.id,
        org: opening.org,
        agent: opening.agent,
        agent_id: opening.agent_id,
        intent: create.intent,
        urgency: create.urgency,
        state: State::Submitted,
        context: create.context,
        response_schema: create.response_schema,
        allow_edit: create.allow_edit,
        timeout: create.timeout,
        slack: slack_of(&create.routing),
        routing: create.routing,
        trace_id: create.trace_id,
        idempotency_key: create.idempotency_key,
        body_hash: create.body_hash,
        responder_id,
        thread: create.thread,
        level: 0,
        votes: Arc::default(),
        response_data: None,
        responded_by: None,
        responded_at: None,
        submitted_at: now,
        updated_at: now,
        timeout_at: now.saturating_add(wait),
        delivered_at: None,
        delegated_to: None,
        delegated_until: None,
    }
}

/// A message to Slack that is on its way.
fn slack_of(routing: &RoutingHints) -> Option<Arc<SlackDelivery>> {
    let channel_id = routing.slack_channel_id.clone().filter(|_| routing.channel == Channel::Slack)?;
    Some(Arc::new(SlackDelivery { status: SlackStatus::Pending, channel_id, message_ts: None, error: None }))
}

/// A step without the channel outside, which takes no message now: the portal remains, and the audit says why.
#[must_use]
pub fn without_channel(mut step: Step, why: &str, now: i64) -> Step {
    let Some(delivery) = step.request.slack.clone() else { return step };
    let failed = SlackDelivery {
        status: SlackStatus::Failed,
        channel_id: delivery.channel_id.clone(),
        message_ts: delivery.message_ts.clone(),
        error: Some(why.to_owned()),
    };
    let payload = json!({ "channel_id": delivery.channel_id, "error": why });
    step.audit.push(AuditDraft::system(AuditKind::SlackFailed, &payload, now));
    step.request.slack = Some(Arc::new(failed));
    step.notify = None;
    step
}

/// What becomes of a request; `who` is named in the audit.
///
/// # Errors
/// The refusal; nothing has changed.
pub fn step(request: &Request, input: Input, who: &Who, now: i64) -> Result<Step, Refusal> {
    match input {
        Input::Route => route(request, now),
        Input::Answer(answer) => reply::answer(request, answer, now),
        Input::Deliver => deliver(request, who, now),
        Input::Cancel => cancel(request, who, now),
        Input::Deadline => deadline::deadline(request, now),
        Input::Reassign { to } => handover::reassign(request, &to, who, now),
        Input::Delegate { to, until } => handover::delegate(request, (&to, until), who, now),
        Input::SlackSent { message_ts } => slack(request, Ok(message_ts), now),
        Input::SlackFailed { error } => slack(request, Err(error), now),
    }
}

/// Whether somebody may still act on a request that waits for its answer.
fn must_wait(request: &Request, now: i64) -> Result<(), Refusal> {
    match request.state {
        State::PendingResponse if now < request.timeout_at => Ok(()),
        State::PendingResponse => Err(Refusal::Late(request.state)),
        state => Err(Refusal::State(state)),
    }
}

fn route(request: &Request, now: i64) -> Result<Step, Refusal> {
    if !matches!(request.state, State::Submitted | State::Routing | State::Escalated) {
        return Err(Refusal::State(request.state));
    }
    let mut change = Change::of(request, now);
    change.route();
    Ok(change.made(Some(Notify::Ask)))
}

fn deliver(request: &Request, who: &Who, now: i64) -> Result<Step, Refusal> {
    if request.state != State::Responded {
        return Err(Refusal::State(request.state));
    }
    let mut change = Change::of(request, now);
    change.request.delivered_at = Some(now);
    change.enter(State::Delivered, AuditDraft::new(AuditKind::Delivered, who, &json!({}), now));
    Ok(change.made(None))
}

fn cancel(request: &Request, who: &Who, now: i64) -> Result<Step, Refusal> {
    if !request.state.is_open() {
        return Err(Refusal::State(request.state));
    }
    let mut change = Change::of(request, now);
    change.enter(State::Cancelled, AuditDraft::new(AuditKind::Cancelled, who, &json!({}), now));
    Ok(change.made(Some(Notify::Close)))
}

/// What became of the message to Slack; the state stays.
fn slack(request: &Request, outcome: Result<String, String>, now: i64) -> Result<Step, Refusal> {
    let Some(delivery) = &request.slack else { return Err(Refusal::State(request.state)) };
    let channel_id = &delivery.channel_id;
    let (kind, payload) = match &outcome {
        Ok(_) => (AuditKind::SlackNotified, json!({ "channel_id": channel_id })),
        Err(error) => (AuditKind::SlackFailed, json!({ "channel_id": channel_id, "error": error })),
    };
    let (status, message_ts, error) = match outcome {
        Ok(ts) => (SlackStatus::Sent, Some(ts), None),
        Err(error) => (SlackStatus::Failed, delivery.message_ts.clone(), Some(error)),
    };
    let mut change = Change::of(request, now);
    change.request.slack = Some(Arc::new(SlackDelivery { status, channel_id: channel_id.clone(), message_ts, error }));
    change.audit.push(AuditDraft::system(kind, &payload, now));
    Ok(change.made(None))
}

/// A step that is being made.
struct Change {
    request: Request,
    audit: Vec<AuditDraft>,
    told: Vec<Told>,
    now: i64,
}

impl Change {
    fn of(request: &Request, now: i64) -> Self {
        Self { request: request.clone(), audit: Vec::new(), told: Vec::new(), now }
    }

    /// Tells those who are asked now of the present state.
    fn tell(&mut self, is_new: bool) {
        let responders = self.request.asked(self.now).map(Arc::from).collect();
        self.told.push(Told { state: self.request.state, responders, is_new });
    }

    /// Goes on to a state, and tells it.
    fn enter(&mut self, state: State, audit: AuditDraft) {
        debug_assert!(self.request.state.may_become(state), "{} to {state}", self.request.state);
        self.request.state = state;
        // A clock that steps back does not take a request's times with it.
        self.request.updated_at = self.now.max(self.request.updated_at);
        self.audit.push(audit);
        self.tell(true);
    }

    /// Goes on to whoever is asked now.
    fn route(&mut self) {
        let (now, responder) = (self.now, self.request.responder_id.clone());
        if self.request.state != State::Routing {
            let payload = json!({ "responder_id": responder });
            self.enter(State::Routing, AuditDraft::system(AuditKind::Routing, &payload, now));
        }
        let payload = match self.request.level {
            0 => json!({ "channel": self.request.routing.channel, "responder_id": responder }),
            _ => json!({ "responder_id": responder }),
        };
        self.enter(State::PendingResponse, AuditDraft::system(AuditKind::PendingResponse, &payload, now));
    }

    /// Forgets whom the last responder trusted.
    fn end_delegation(&mut self) {
        self.request.delegated_to = None;
        self.request.delegated_until = None;
    }

    /// The step; channels outside are only told by requests that use one.
    fn made(self, notify: Option<Notify>) -> Step {
        let notify = notify.filter(|_| self.request.slack_channel().is_some());
        Step { request: self.request, audit: self.audit, told: self.told, notify }
    }
}
