//! Answers of people: one decides, or it is a vote of several.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Answer, Change, Notify, Refusal, Step, Via, must_wait};
use crate::rules::audit::AuditDraft;
use crate::rules::json::JsonText;
use crate::rules::quorum;
use crate::rules::request::{Quorum, Request, Vote, is_same};
use crate::rules::words::{AuditKind, State};

/// An answer, which was checked.
pub fn answer(request: &Request, answer: Answer, now: i64) -> Result<Step, Refusal> {
    must_wait(request, now)?;
    let mut change = Change::of(request, now);
    let is_decided = match request.quorum() {
        Some(quorum) => vote(&mut change, quorum, &answer)?,
        None => {
            respond(&mut change, &answer, &answer.data);
            true
        }
    };
    if let Via::Slack { action_id, .. } = &answer.via {
        let payload = json!({ "action_id": action_id, "decision": decision(&answer.data) });
        change.audit.push(event(AuditKind::SlackInteraction, &answer, &payload, now));
    }
    Ok(change.made(is_decided.then_some(Notify::Close)))
}

/// An event of whoever answered.
fn event(kind: AuditKind, answer: &Answer, payload: &Value, now: i64) -> AuditDraft {
    match &answer.via {
        Via::Api => AuditDraft::human(kind, &answer.by, payload, now),
        Via::Slack { user_id, .. } => AuditDraft::human(kind, &format!("slack:{user_id}"), payload, now),
    }
}

/// What a button of Slack said.
fn decision(data: &Map<String, Value>) -> &Value {
    data.get("decision").or_else(|| data.get("choice")).unwrap_or(&Value::Null)
}

/// What the audit keeps of an answer: from Slack the README's fields.
fn payload(answer: &Answer, data: &Map<String, Value>) -> Value {
    match &answer.via {
        Via::Api => json!({ "response_data": data }),
        Via::Slack { user_name, .. } => json!({ "decision": decision(&answer.data), "slack_user": user_name }),
    }
}

/// The request has its answer.
fn respond(change: &mut Change, answer: &Answer, data: &Map<String, Value>) {
    let now = change.now;
    change.request.response_data = Some(JsonText::of(data));
    change.request.responded_by = Some(Arc::from(answer.by.as_str()));
    change.request.responded_at = Some(now);
    change.enter(State::Responded, event(AuditKind::Responded, answer, &payload(answer, data), now));
}

/// One more vote; true if it decides.
fn vote(change: &mut Change, quorum: &Quorum, answer: &Answer) -> Result<bool, Refusal> {
    let member = quorum.of.iter().find(|member| is_same(member, &answer.by)).ok_or(Refusal::NoMember)?;
    if change.request.vote_of(member).is_some() {
        return Err(Refusal::Voted);
    }
    let now = change.now;
    let mut votes = change.request.votes.to_vec();
    votes.push(Vote {
        responder_id: member.clone(),
        verdict: answer.verdict.clone(),
        response_data: JsonText::of(&answer.data),
        at: now,
    });
    let decision = quorum::decision(quorum, &votes);
    change.request.votes = Arc::new(votes);
    change.request.updated_at = now.max(change.request.updated_at);
    change.audit.push(event(AuditKind::Voted, answer, &json!({ "response_data": answer.data }), now));
    match decision {
        Some(data) => respond(change, answer, &data),
        None => change.tell(false),
    }
    Ok(change.request.state == State::Responded)
}
