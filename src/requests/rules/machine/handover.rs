//! Requests that change hands while they wait.

use std::sync::Arc;

use serde_json::json;

use super::{Change, Notify, Refusal, Step, must_wait};
use crate::rules::audit::AuditDraft;
use crate::rules::faults::Faults;
use crate::rules::limits;
use crate::rules::request::{Request, is_same};
use crate::rules::times::iso;
use crate::rules::who::Who;
use crate::rules::words::AuditKind;

/// What is wrong with handing over to somebody.
fn refuse(path: &str, message: &str) -> Refusal {
    Refusal::Faults(Faults::one(path, message))
}

fn must_be_of_one(request: &Request) -> Result<(), Refusal> {
    match request.quorum() {
        None => Ok(()),
        Some(_) => {
            Err(refuse("responder_id", "The members of a quorum decide themselves; cancel the request and ask again"))
        }
    }
}

/// Somebody else is asked instead, in the time that is left.
pub fn reassign(request: &Request, to: &str, who: &Who, now: i64) -> Result<Step, Refusal> {
    must_wait(request, now)?;
    must_be_of_one(request)?;
    if is_same(&request.responder_id, to) && request.delegate(now).is_none() {
        return Err(refuse("responder_id", "This responder is asked already"));
    }
    let mut change = Change::of(request, now);
    let before: Vec<Arc<str>> = request.asked(now).map(Arc::from).collect();
    let payload = json!({ "from": request.responder_id, "to": to });
    change.audit.push(AuditDraft::new(AuditKind::Reassigned, who, &payload, now));
    change.end_delegation();
    change.request.responder_id = Arc::from(to);
    change.request.updated_at = now.max(request.updated_at);
    change.tell(false);
    if let Some(told) = change.told.last_mut() {
        told.responders.extend(before);
    }
    Ok(change.made(Some(Notify::Ask)))
}

/// Somebody else may answer as well, until a time.
pub fn delegate(request: &Request, (to, until): (&str, i64), who: &Who, now: i64) -> Result<Step, Refusal> {
    must_wait(request, now)?;
    must_be_of_one(request)?;
    if is_same(&request.responder_id, to) {
        return Err(refuse("responder_id", "This responder is asked already"));
    }
    let latest = now.saturating_add(limits::TIMEOUT_MAX_S.saturating_mul(1000));
    if until <= now || until > latest {
        return Err(refuse("until", "Must be in the future, and no more than a year away"));
    }
    let mut change = Change::of(request, now);
    let before: Vec<Arc<str>> = request.asked(now).map(Arc::from).collect();
    let payload = json!({ "from": request.responder_id, "to": to, "until": iso(until) });
    change.audit.push(AuditDraft::new(AuditKind::Delegated, who, &payload, now));
    change.request.delegated_to = Some(Arc::from(to));
    change.request.delegated_until = Some(until);
    change.request.updated_at = now.max(request.updated_at);
    change.tell(false);
    if let Some(told) = change.told.last_mut() {
        told.responders.extend(before);
    }
    Ok(change.made(Some(Notify::Ask)))
}
