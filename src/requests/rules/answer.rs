//! The body of an answer, and whether the answer is one that the request asked for.
//!
//! The intent says what an answer is unless a form says more. An APPROVAL is `decision: "approved"` or `"rejected"`, with a
//! `comment` and, where the request offers it, an `edited` proposal; a form beside it describes what is approved, and to
//! reject needs no form. A NOTIFICATION is acknowledged. A choice names keys of options, structured answers satisfy their
//! JSON Schema, everything else is free.

mod approval;
mod choice;

use serde_json::{Map, Value};

use super::faults::Faults;
use super::fields::{Noted, Object, wrong_type};
use super::request::Request;
pub use super::request::Verdict;
use super::words::{Intent, SchemaKind};
use super::{limits, structured};
use hxa_domain::limits::fits_json;

/// Where faults of answers are.
const DATA: &str = "response_data";

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerDraft {
    /// The answer.
    pub response_data: Map<String, Value>,
    /// Who the body says gives it.
    pub responded_by: Option<String>,
}

/// Who says who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// The body: a key that answers in the name of people. `responded_by` is needed.
    Body,
    /// The credential: `responded_by` may be there and counts for nothing.
    Credential,
}

/// Reads the body.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_answer(body: Value, naming: Naming) -> Result<AnswerDraft, Faults> {
    let noted = Noted::default();
    let draft = Object::of_body(body, &noted).and_then(|body| read(body, naming));
    let faults = noted.into_inner();
    match draft {
        Some(draft) => faults.or(draft),
        None => Err(faults),
    }
}

/// `None` where a fault was noted.
fn read(mut body: Object<'_>, naming: Naming) -> Option<AnswerDraft> {
    let response_data = body.needed_free(DATA, limits::JSON_BYTES);
    let responded_by = match naming {
        Naming::Body => body.needed_text("responded_by", limits::NAME_UNITS),
        Naming::Credential => body.text("responded_by", limits::NAME_UNITS),
    };
    if naming == Naming::Body && responded_by.as_deref().is_some_and(is_reserved) {
        body.fault("responded_by", "Names that begin with 'slack:' or 'system:' are the hub's own");
    }
    Some(AnswerDraft { response_data: response_data?, responded_by })
}

/// Whether a name is one that only the hub gives.
fn is_reserved(name: &str) -> bool {
    let start = name.split(':').next().unwrap_or_default();
    start.len() < name.len() && ["slack", "system"].iter().any(|own| start.eq_ignore_ascii_case(own))
}

/// Whether the answer is one that the request asked for, and what it amounts to.
///
/// A structured answer may take some milliseconds: its schema is compiled anew.
///
/// # Errors
/// Everything that is wrong with it, each with its path below `response_data`.
pub fn check_answer(request: &Request, data: &Map<String, Value>) -> Result<Verdict, Faults> {
    let mut faults = Faults::none();
    if request.quorum().is_some() && !fits_json(&Value::Object(data.clone()), limits::VOTE_BYTES) {
        faults.add(DATA, format!("A vote must not be larger than {} bytes of JSON", limits::VOTE_BYTES));
    }
    let verdict = match request.intent {
        Intent::Approval => approval::check(request, data, &mut faults),
        Intent::Notification if approval::is_acknowledgement(data) => Verdict::Given,
        Intent::Notification if !has_form(request) => {
            faults.add(DATA, "A notification is acknowledged: {\"acknowledged\": true}, with an optional comment");
            Verdict::Given
        }
        _ => by_form(request, data, &mut faults),
    };
    faults.or(verdict)
}

/// Whether there is a form that restricts answers.
fn has_form(request: &Request) -> bool {
    let kind = request.response_schema.as_ref().map(|schema| schema.kind);
    matches!(kind, Some(SchemaKind::Choice | SchemaKind::Structured))
}

/// Checks an answer against the form that the request has, if any.
fn by_form(request: &Request, data: &Map<String, Value>, faults: &mut Faults) -> Verdict {
    let Some(schema) = &request.response_schema else { return Verdict::Given };
    match schema.kind {
        // What came before options were checked may have none.
        SchemaKind::Choice if schema.options().is_empty() => Verdict::Given,
        SchemaKind::Choice => choice::check(schema, data, faults),
        SchemaKind::Text => Verdict::Given,
        SchemaKind::Structured => {
            if let Some(schema) = &schema.json_schema {
                structured::check(&schema.value(), &Value::Object(data.clone()), DATA, faults);
            }
            Verdict::Given
        }
    }
}

/// Notes the fault of a field of the answer that is no text.
fn must_be_text(data: &Map<String, Value>, key: &str, faults: &mut Faults) {
    if let Some(other) = data.get(key).filter(|value| !value.is_string()) {
        faults.add(format!("{DATA}.{key}"), wrong_type("string", other));
    }
}

#[cfg(test)]
mod tests;
