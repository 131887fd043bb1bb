//! The body that makes a request: every rule of it, and what is kept.

mod policies;
mod schema;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::faults::Faults;
use super::fields::{Noted, Object};
use super::json::{self, JsonText};
use super::limits;
use super::request::{Request, ResponseSchema, RoutingHints, TimeoutPolicy};
use super::words::{Intent, Urgency};
use hxa_domain::error::{ApiError, ErrorCode};
use hxa_domain::ids::ThreadId;
use hxa_domain::limits::fits_json;

/// What an agent asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// What it is for.
    pub intent: Intent,
    /// How urgent it is.
    pub urgency: Urgency,
    /// Summary, detail, metadata, attachments.
    pub context: JsonText,
    /// The form of the answer.
    pub response_schema: Option<Arc<ResponseSchema>>,
    /// Whether an approval may change the proposal.
    pub allow_edit: bool,
    /// How long to wait.
    pub timeout: Arc<TimeoutPolicy>,
    /// Whom to ask.
    pub routing: Arc<RoutingHints>,
    /// The agent's own name of what it does.
    pub trace_id: Option<Arc<str>>,
    /// Under which the agent may repeat the request.
    pub idempotency_key: Option<Arc<str>>,
    /// The thread that waits for the answer.
    pub thread: Option<ThreadId>,
    /// SHA-256 of all the above in canonical form: of two requests under one key, whether they are the same.
    pub body_hash: Arc<str>,
}

/// Reads the body.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_create(body: Value) -> Result<Create, Faults> {
    let noted = Noted::default();
    let create = Object::of_body(body, &noted).and_then(read);
    let faults = noted.into_inner();
    match create {
        Some(create) => faults.or(create),
        None => Err(faults),
    }
}

/// Whether a request that has the idempotency key already is the same as this one.
///
/// # Errors
/// 409 `IDEMPOTENCY_MISMATCH` where it is another.
pub fn check_repetition(existing: &Request, create: &Create) -> Result<(), ApiError> {
    if existing.body_hash == create.body_hash {
        return Ok(());
    }
    let message = "The idempotency_key was used for another request; a new request needs a new key";
    let error = ApiError::new(ErrorCode::IdempotencyMismatch, message);
    Err(error.with("existing_request_id", existing.id))
}

/// `None` where a fault was noted that leaves nothing to make the request of.
fn read(mut body: Object<'_>) -> Option<Create> {
    let intent = body.needed_word("intent", Intent::ALL, Intent::as_str);
    let urgency = body.needed_word("urgency", Urgency::ALL, Urgency::as_str);
    let context = body.needed_object("context_package").and_then(context);
    let response_schema = body.object("response_schema").and_then(schema::read);
    let timeout = body.needed_object("timeout_policy").and_then(policies::timeout);
    let routing = body.needed_object("routing_hints").and_then(policies::routing);
    let trace_id = body.text("trace_id", limits::NAME_UNITS);
    let idempotency_key = body.text("idempotency_key", limits::NAME_UNITS);
    let thread = thread(&mut body);
    let allow_edit = body.flag("allow_edit");
    let in_schema = response_schema.as_ref().and_then(|schema| schema.allow_edit);
    let create = Create {
        intent: intent?,
        urgency: urgency?,
        context: JsonText::of(&context?),
        response_schema: response_schema.map(Arc::new),
        allow_edit: allow_edit.or(in_schema).unwrap_or(false),
        timeout: Arc::new(timeout?),
        routing: Arc::new(routing?),
        trace_id: trace_id.map(Arc::from),
        idempotency_key: idempotency_key.map(Arc::from),
        thread,
        body_hash: Arc::from(""),
    };
    Some(Create { body_hash: Arc::from(create.hash()), ..create })
}

impl Create {
    /// The hash of everything but the key itself.
    fn hash(&self) -> String {
        json::hash(&json!({
            "intent": self.intent,
            "urgency": self.urgency,
            "context_package": self.context.value(),
            "response_schema": self.response_schema.as_ref().map(|schema| JsonText::of(&**schema).value()),
            "allow_edit": self.allow_edit,
            "timeout_policy": *self.timeout,
            "routing_hints": *self.routing,
            "trace_id": self.trace_id,
            "thread_id": self.thread,
        }))
    }
}

fn thread(body: &mut Object<'_>) -> Option<ThreadId> {
    let text = body.text("thread_id", limits::NAME_UNITS)?;
    let id = ThreadId::parse(&text);
    if id.is_none() {
        body.fault("thread_id", "Expected the id of a thread, a lower-case hyphenated UUID");
    }
    id
}

/// What the responder reads.
fn context(mut given: Object<'_>) -> Option<Map<String, Value>> {
    let summary = given.needed_text("summary", limits::SUMMARY_UNITS);
    let detail = given.any_text("detail", limits::DETAIL_UNITS);
    let metadata = given.free("metadata", limits::JSON_BYTES);
    let attachments = given.objects("attachments", limits::ATTACHMENTS);
    let attachments = attachments.map(|all| all.into_iter().filter_map(attachment).collect::<Value>());
    let mut context = Map::new();
    context.insert("summary".to_owned(), summary?.into());
    let rest =
        [("detail", detail.map(Value::from)), ("metadata", metadata.map(Value::from)), ("attachments", attachments)];
    context.extend(rest.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    let context = Value::Object(context);
    if !fits_json(&context, limits::CONTEXT_BYTES) {
        given.own_fault(format!("Must not be larger than {} bytes of JSON", limits::CONTEXT_BYTES));
    }
    match context {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

fn attachment(mut given: Object<'_>) -> Option<Value> {
    let kind = given.needed_any_text("type", limits::ATTACHMENT_LABEL_UNITS);
    let name = given.needed_any_text("name", limits::ATTACHMENT_LABEL_UNITS);
    let content = given.needed_any_text("content", limits::ATTACHMENT_BYTES);
    Some(json!({ "type": kind?, "name": name?, "content": content? }))
}

#[cfg(test)]
mod tests;
