//! What happens when nobody has answered in time: the next step of the escalation, then the fallback.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Change, Notify, Refusal, Step};
use crate::rules::audit::AuditDraft;
use crate::rules::json::JsonText;
use crate::rules::request::{Request, SlackDelivery, TimeoutPolicy};
use crate::rules::words::{AuditKind, Fallback, SlackStatus, State};

/// How long the responder of a level is waited for, ms. Steps say when they begin; the fallback comes `timeout_seconds` after
/// the request was made, or as long after the last step where that begins no earlier.
pub fn wait_ms(policy: &TimeoutPolicy, level: u16) -> i64 {
    let level = usize::from(level);
    let begin = |level: usize| level.checked_sub(1).and_then(|step| policy.escalation.get(step));
    let began = begin(level).map_or(0, |step| step.after_seconds);
    let seconds = match policy.escalation.get(level) {
        Some(next) => next.after_seconds.saturating_sub(began),
        None if policy.timeout_seconds > began => policy.timeout_seconds.saturating_sub(began),
        None => policy.timeout_seconds,
    };
    seconds.max(1).saturating_mul(1000)
}

/// Who is asked next; `Err` says why nobody is.
fn next(request: &Request) -> Result<&str, Option<&'static str>> {
    let (policy, level) = (&request.timeout, usize::from(request.level));
    if let Some(step) = policy.escalation.get(level) {
        return Ok(&step.responder_id);
    }
    match &policy.escalation_responder_id {
        _ if policy.fallback != Fallback::Escalate => Err(None),
        _ if level > policy.escalation.len() => Err(Some("escalation_exhausted")),
        Some(target) if !target.is_empty() => Ok(target),
        _ => Err(Some("no_escalation_target")),
    }
}

/// `timeout_at` has come.
pub fn deadline(request: &Request, now: i64) -> Result<Step, Refusal> {
    if request.state != State::PendingResponse {
        return Err(Refusal::State(request.state));
    }
    if now < request.timeout_at {
        return Err(Refusal::Early);
    }
    let change = Change::of(request, now);
    Ok(match (next(request), request.timeout.fallback) {
        (Ok(target), _) => escalate(change, target),
        (Err(_), Fallback::AutoApprove) => respond(change, "approved", "system:auto_approve"),
        (Err(_), Fallback::AutoReject) => respond(change, "rejected", "system:auto_reject"),
        (Err(reason), Fallback::Escalate | Fallback::Block | Fallback::Fail | Fallback::Skip) => {
            time_out(change, reason)
        }
    })
}

/// Somebody else is asked, at once; streams tell the one who loses the request too.
fn escalate(mut change: Change, target: &str) -> Step {
    let (policy, now) = (change.request.timeout.clone(), change.now);
    let mut payload = json!({ "fallback": policy.fallback, "escalation_responder_id": target });
    let before: Vec<Arc<str>> = change.request.asked(now).map(Arc::from).collect();
    let level = change.request.level.saturating_add(1);
    if let (Some(fields), false) = (payload.as_object_mut(), policy.escalation.is_empty()) {
        fields.insert("level".to_owned(), level.into());
    }
    change.end_delegation();
    change.request.level = level;
    change.request.votes = Arc::default();
    change.request.responder_id = Arc::from(target);
    change.request.timeout_at = now.saturating_add(wait_ms(&policy, level));
    change.request.slack = change.request.slack.as_deref().map(asked_again);
    change.enter(State::Escalated, AuditDraft::system(AuditKind::Escalated, &payload, now));
    if let Some(told) = change.told.last_mut() {
        told.responders.extend(before);
    }
    change.route();
    change.made(Some(Notify::Ask))
}

/// Another message is on its way.
fn asked_again(delivery: &SlackDelivery) -> Arc<SlackDelivery> {
    Arc::new(SlackDelivery { status: SlackStatus::Pending, error: None, ..delivery.clone() })
}

/// The hub answers.
fn respond(mut change: Change, decision: &str, by: &str) -> Step {
    let now = change.now;
    let mut data = Map::new();
    data.insert("decision".to_owned(), decision.into());
    data.insert("auto".to_owned(), Value::Bool(true));
    change.request.response_data = Some(JsonText::of(&data));
    change.request.responded_by = Some(Arc::from(by));
    change.request.responded_at = Some(now);
    let payload = json!({ "fallback": change.request.timeout.fallback, "auto": true });
    change.enter(State::Responded, AuditDraft::system(AuditKind::Responded, &payload, now));
    change.made(Some(Notify::Close))
}

fn time_out(mut change: Change, reason: Option<&str>) -> Step {
    let mut payload = json!({ "fallback": change.request.timeout.fallback });
    if let (Some(fields), Some(reason)) = (payload.as_object_mut(), reason) {
        fields.insert("reason".to_owned(), reason.into());
    }
    let audit = AuditDraft::system(AuditKind::TimedOut, &payload, change.now);
    change.enter(State::TimedOut, audit);
    change.made(Some(Notify::Close))
}
