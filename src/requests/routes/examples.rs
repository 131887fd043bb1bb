//! Example objects of requests for the OpenAPI document: real responses of a hub.

use serde_json::{Value, json};

/// A request.
pub const REQUEST: &str = "01KBD3T6W8QGNYB5ZKQ3V0M1XE";
/// Where a list goes on.
pub const CURSOR: &str = "eyJ0IjoxNzY0NTg0NDAwMDAwLCJpZCI6IjAxS0JEM1Q2VzhRR05ZQjVaS1EzVjBNMVhFIn0";
/// A ticket.
pub const TICKET: &str = "4f1d0c7ab2e95d3c8b6a70f9e1d24c5b8a7f6e3d2c1b0a99";
/// An event of the stream.
pub const EVENT: &str = "6f0c2a9d1b7e-42";

const SUBMITTED: &str = "2026-12-01T10:20:00.000Z";
const DEADLINE: &str = "2026-12-01T10:30:00.000Z";
const DECIDED: &str = "2026-12-01T10:24:11.482Z";
const READ: &str = "2026-12-01T10:24:12.007Z";

/// What an agent asks for.
pub fn new_request() -> Value {
    json!({
        "intent": "APPROVAL", "urgency": "HIGH",
        "context_package": { "summary": "Deploy v2.1.0 to production", "detail": "Includes the new login." },
        "timeout_policy": { "timeout_seconds": 600, "fallback": "BLOCK" },
        "routing_hints": { "responder_id": "ops-lead", "channel": "portal" },
    })
}

/// An answer.
pub fn new_answer() -> Value {
    json!({ "response_data": { "decision": "approved", "comment": "Go ahead." }, "responded_by": "ops-lead" })
}

/// A request, as it was submitted.
pub fn submitted() -> Value {
    json!({
        "request_id": REQUEST, "agent_id": "ada", "intent": "APPROVAL", "urgency": "HIGH", "state": "SUBMITTED",
        "context_package": { "summary": "Deploy v2.1.0 to production", "detail": "Includes the new login." },
        "response_schema": null, "timeout_policy": { "timeout_seconds": 600, "fallback": "BLOCK" },
        "routing_hints": { "responder_id": "ops-lead", "channel": "portal" }, "trace_id": null,
        "idempotency_key": null, "responder_id": "ops-lead", "response_data": null, "responded_by": null,
        "responded_at": null, "submitted_at": SUBMITTED, "updated_at": SUBMITTED, "timeout_at": DEADLINE,
        "delivered_at": null, "allow_edit": false, "thread_id": null, "escalation_level": 0, "votes": [],
        "delegated_to": null, "delegated_until": null, "slack": null,
    })
}

fn with(mut object: Value, fields: Value) -> Value {
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
        object.extend(fields);
    }
    object
}

/// One that waits for its answer.
pub fn pending() -> Value {
    with(submitted(), json!({ "state": "PENDING_RESPONSE" }))
}

/// One whose answer was read.
pub fn delivered() -> Value {
    let answer = json!({ "decision": "approved", "comment": "Go ahead." });
    let decided = json!({
        "state": "DELIVERED", "response_data": answer, "responded_by": "ops-lead", "responded_at": DECIDED,
        "updated_at": READ, "delivered_at": READ,
    });
    with(submitted(), decided)
}

/// What was done.
pub fn done(status: &str) -> Value {
    json!({ "status": status, "request_id": REQUEST })
}

fn page(rows: &str, row: Value) -> Value {
    let rest = json!({ "total": 73, "is_more_than_total": false, "has_more": true, "next_cursor": CURSOR });
    with(json!({ rows: [row] }), rest)
}

/// A part of the list of requests.
pub fn request_page() -> Value {
    page("requests", pending())
}

/// A part of the list of audit events.
pub fn audit_page() -> Value {
    let hash = "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab";
    let event = json!({
        "event_id": "01KBD3T6W9T8C6V3M2H0A4KZ5F", "request_id": REQUEST, "event_type": "CR_SUBMITTED", "actor": "ada",
        "actor_type": "AGENT", "payload": { "intent": "APPROVAL", "urgency": "HIGH" }, "created_at": SUBMITTED, "seq": 41,
        "hash": hash,
    });
    page("events", event)
}

/// The beginning of a stream.
pub fn stream() -> Value {
    let change = json!({
        "request_id": REQUEST, "state": "RESPONDED", "agent_id": "ada", "responder_id": "ops-lead", "intent": "APPROVAL",
        "urgency": "HIGH", "timeout_at": DEADLINE, "at": DECIDED,
    });
    let text = format!(
        "retry: 2000\nid: 6f0c2a9d1b7e-41\nevent: connected\ndata: {{\"client_id\":\"01KBD3T6WA0V5R9S1T3X8Y6ZQB\"}}\n\n\
         id: {EVENT}\nevent: state_change\ndata: {change}\n\n"
    );
    text.into()
}
