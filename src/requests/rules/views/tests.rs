//! The README's fields, always all of them and in its order.

use serde_json::{Value, json};

use super::*;
use crate::rules::create::read_create;
use crate::rules::machine::{Opening, submit};
use hxa_domain::ids::{BotId, OrgId};

fn request() -> Request {
    let body = json!({
        "intent": "APPROVAL", "urgency": "HIGH", "context_package": {"summary": "s"},
        "timeout_policy": {"timeout_seconds": 10, "fallback": "BLOCK"}, "routing_hints": {"responder_id": "dora"},
    });
    let opening =
        Opening { id: RequestId::at(1), org: OrgId::random(), agent: BotId::random(), agent_id: "ada".into() };
    submit(opening, read_create(body).unwrap(), 1_700_000_000_000).request
}

#[test]
fn the_readme_fields_come_first_and_are_all_there() {
    let request = request();
    let view = serde_json::to_value(RequestView::of(&request)).unwrap();
    let keys: Vec<&String> = view.as_object().unwrap().keys().take(19).collect();
    assert_eq!(
        keys,
        [
            "request_id",
            "agent_id",
            "intent",
            "urgency",
            "state",
            "context_package",
            "response_schema",
            "timeout_policy",
            "routing_hints",
            "trace_id",
            "idempotency_key",
            "responder_id",
            "response_data",
            "responded_by",
            "responded_at",
            "submitted_at",
            "updated_at",
            "timeout_at",
            "delivered_at",
        ]
    );
    assert_eq!(view["state"], "PENDING_RESPONSE");
    assert_eq!(view["timeout_at"], "2023-11-14T22:13:30.000Z");
    assert_eq!((&view["trace_id"], &view["delivered_at"]), (&Value::Null, &Value::Null));
    assert_eq!(view["request_id"], request.id.to_string());
    let submitted = serde_json::to_value(RequestView::submitted(&request)).unwrap();
    assert_eq!(submitted["state"], "SUBMITTED");
}
