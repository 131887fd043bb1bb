//! Approvals and acknowledgements.

use serde_json::{Map, Value};

use super::{DATA, by_form, has_form, must_be_text};
use crate::rules::faults::{Faults, quoted};
use crate::rules::fields::wrong_type;
use crate::rules::request::{Request, Verdict};
use crate::rules::structured;

/// Says that the proposal was changed.
const EDITED: &str = "edited";

/// Checks the answer to an APPROVAL.
pub fn check(request: &Request, data: &Map<String, Value>, faults: &mut Faults) -> Verdict {
    must_be_text(data, "comment", faults);
    let path = format!("{DATA}.decision");
    let verdict = match data.get("decision") {
        Some(Value::String(text)) if text == "approved" => Verdict::Approved,
        Some(Value::String(text)) if text == "rejected" => Verdict::Rejected,
        _ if has_form(request) => return by_form(request, data, faults),
        None => {
            faults.add(path, "Required");
            Verdict::Rejected
        }
        Some(Value::String(text)) => {
            let message = format!("Invalid enum value. Expected 'approved' | 'rejected', received {}", quoted(text));
            faults.add(path, message);
            Verdict::Rejected
        }
        Some(other) => {
            faults.add(path, wrong_type("'approved' | 'rejected'", other));
            Verdict::Rejected
        }
    };
    match data.get(EDITED) {
        Some(edited) => check_edited(request, edited, &verdict, faults),
        // What is described is then the proposal, which is approved as it is.
        None if request.allow_edit => {}
        None if verdict == Verdict::Approved => drop(by_form(request, data, faults)),
        None => {}
    }
    verdict
}

/// An edited proposal comes with an approval of one, where the request offers it.
fn check_edited(request: &Request, edited: &Value, verdict: &Verdict, faults: &mut Faults) {
    let path = format!("{DATA}.{EDITED}");
    if !request.allow_edit {
        return faults.add(path, "The request does not offer to change the proposal (allow_edit)");
    }
    if *verdict != Verdict::Approved {
        return faults.add(path, "Only an approval may change the proposal");
    }
    if request.quorum().is_some() {
        return faults.add(path, "A quorum decides on the proposal as it is");
    }
    let schema = request.response_schema.as_ref().and_then(|schema| schema.json_schema.as_ref());
    if let Some(schema) = schema {
        structured::check(&schema.value(), edited, &path, faults);
    }
}

/// Whether the answer says that a notification was read, and nothing else but words.
pub fn is_acknowledgement(data: &Map<String, Value>) -> bool {
    data.iter().all(|(key, value)| match key.as_str() {
        "acknowledged" | "acknowledge" | "acknowledgement" | "ack" => *value == Value::Bool(true),
        "decision" | "status" => matches!(value.as_str(), Some("acknowledged" | "ack")),
        "comment" | "text" | "note" => value.is_string(),
        "auto" => value.is_boolean(),
        _ => false,
    })
}
