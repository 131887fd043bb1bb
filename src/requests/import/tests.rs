//! What becomes of single rows, without a database.

use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::{agents, event, key, request};
use crate::rules::{Fallback, Request, State, limits, read_create};
use hxa_domain::ids::{BotId, OrgId};
use hxa_domain::secrets::secret_hash;

const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const EVENT: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAW";
/// The time of both.
const THEN: i64 = 1_469_922_850_259;

fn with(mut row: Value, changes: Value) -> Map<String, Value> {
    for (key, value) in changes.as_object().unwrap() {
        row[key] = value.clone();
    }
    row.as_object().unwrap().clone()
}

fn row(changes: Value) -> Fields {
    let row = json!({
        "request_id": ID, "agent_id": "ada", "intent": "APPROVAL", "urgency": "HIGH", "state": "PENDING_RESPONSE",
        "context_package": r#"{"summary":"Deploy?","metadata":{"b":1,"a":2}}"#, "response_schema": null,
        "timeout_policy": r#"{"timeout_seconds":600,"fallback":"BLOCK"}"#,
        "routing_hints": r#"{"responder_id":"dora","channel":"portal"}"#, "trace_id": null, "idempotency_key": "k",
        "responder_id": "dora", "response_data": null, "responded_by": null, "responded_at": null,
        "submitted_at": "2016-07-30T23:54:10.259Z", "updated_at": "2016-07-30T23:54:10.260Z",
        "timeout_at": "2016-07-31T00:04:10.259Z", "delivered_at": null, "escalations": 0, "notified": 0,
    });
    Fields::new(with(row, changes))
}

/// A request, and what was noted.
fn read(changes: Value) -> (Request, Vec<&'static str>) {
    let mut fields = row(changes);
    let read = request::read(&mut fields).unwrap();
    (read.request(OrgId::random(), BotId::at(1)), fields.changes().to_vec())
}

fn refused(changes: Value) -> &'static str {
    request::read(&mut row(changes)).unwrap_err()
}

#[test]
fn an_open_request_is_as_it_was() {
    let (request, changes) = read(json!({}));
    assert_eq!(changes, Vec::<&str>::new());
    assert_eq!((request.id.to_string().as_str(), request.state, request.level), (ID, State::PendingResponse, 0));
    assert_eq!((request.submitted_at, request.updated_at, request.timeout_at), (THEN, THEN + 1, THEN + 600_000));
    assert_eq!((&*request.agent_id, &*request.responder_id), ("ada", "dora"));
    assert_eq!(request.context.as_str(), r#"{"summary":"Deploy?","metadata":{"b":1,"a":2}}"#);
    assert_eq!((request.responded_by, request.delivered_at, request.slack), (None, None, None));
}

#[test]
fn who_repeats_a_request_after_the_import_gets_it() {
    let body = json!({
        "intent": "APPROVAL", "urgency": "HIGH", "context_package": {"metadata": {"a": 2, "b": 1}, "summary": "Deploy?"},
        "timeout_policy": {"fallback": "BLOCK", "timeout_seconds": 600}, "routing_hints": {"responder_id": "dora"},
        "idempotency_key": "k",
    });
    assert_eq!(read(json!({})).0.body_hash, read_create(body).unwrap().body_hash);
}

#[test]
fn an_answer_needs_its_words_and_its_name() {
    let given = json!({
        "state": "DELIVERED", "response_data": r#"{"decision":"approved","auto":true}"#,
        "responded_by": "system:auto_approve", "responded_at": "2016-07-30T23:55:00.000Z",
        "delivered_at": "2016-07-30T23:56:00.000Z",
    });
    let (request, changes) = read(given.clone());
    assert!(changes.is_empty());
    assert_eq!(request.responded_by.as_deref(), Some("system:auto_approve"));
    assert_eq!(request.response_data.unwrap().as_str(), r#"{"decision":"approved","auto":true}"#);
    assert_eq!((request.responded_at, request.delivered_at), (Some(1_469_922_900_000), Some(1_469_922_960_000)));
    for broken in [
        json!({"response_data": null}),
        json!({"response_data": "[1]"}),
        json!({"response_data": "{"}),
        json!({"responded_by": null}),
        json!({"responded_by": ""}),
        json!({"responded_by": "d".repeat(257)}),
        json!({"response_data": json!({"a": "x".repeat(limits::JSON_BYTES)}).to_string()}),
    ] {
        let broken = Value::from(with(given.clone(), broken));
        assert!(refused(broken).contains("response_data or responded_by"));
    }
}

#[test]
fn what_cannot_be_understood_is_left_out() {
    for (changes, words) in [
        (json!({"request_id": "x"}), "request_id"),
        (json!({"request_id": ID.to_lowercase()}), "request_id"),
        (json!({"request_id": null}), "request_id"),
        (json!({"agent_id": ""}), "agent_id"),
        (json!({"intent": "approval"}), "intent"),
        (json!({"urgency": "URGENT"}), "urgency"),
        (json!({"state": "LOST"}), "state"),
        (json!({"context_package": "{"}), "context_package cannot be read"),
        (json!({"context_package": "[".repeat(10_000)}), "context_package cannot be read"),
        (json!({"context_package": json!({"summary": "x".repeat(10_001)}).to_string()}), "context_package breaks"),
        (json!({"context_package": r#"{"detail":"x"}"#}), "context_package breaks"),
        (json!({"timeout_policy": r#"{"timeout_seconds":0,"fallback":"BLOCK"}"#}), "timeout_policy"),
        (json!({"timeout_policy": r#"{"timeout_seconds":600,"fallback":"HOPE"}"#}), "timeout_policy"),
        (json!({"routing_hints": r#"{"channel":"portal"}"#}), "routing_hints"),
        (json!({"responder_id": ""}), "responder_id"),
        (json!({"trace_id": "t".repeat(257)}), "trace_id"),
        (json!({"submitted_at": "yesterday"}), "submitted_at"),
    ] {
        assert!(refused(changes.clone()).contains(words), "{changes}: {}", refused(changes.clone()));
    }
}

#[test]
fn what_was_never_enforced_is_mended() {
    let (request, changes) = read(json!({"timeout_policy": r#"{"timeout_seconds":600,"fallback":"ESCALATE"}"#}));
    assert_eq!((request.timeout.fallback, changes.len()), (Fallback::Fail, 1));
    let slack = r#"{"responder_id":"dora","channel":"slack","slack_channel_id":""}"#;
    let (request, changes) = read(json!({"routing_hints": slack}));
    assert_eq!((request.slack_channel(), changes.len()), (None, 1));
    for schema in [r#"{"type":"choice"}"#, r#"{"type":"structured","json_schema":{"type":7}}"#, r#""x""#] {
        let (request, changes) = read(json!({ "response_schema": schema }));
        assert_eq!((request.response_schema.unwrap().kind.as_str(), changes.len()), ("text", 1), "{schema}");
    }
    let (request, changes) = read(json!({"idempotency_key": "", "trace_id": ""}));
    assert_eq!((request.idempotency_key, request.trace_id, changes.len()), (None, None, 2));
    let (request, changes) = read(json!({
        "timeout_policy": r#"{"timeout_seconds":300000000000,"fallback":"AUTO_APPROVE"}"#,
        "timeout_at": "+011523-01-22T00:00:00.000Z",
    }));
    assert_eq!((request.timeout_at, changes.len()), (THEN + limits::TIMEOUT_MAX_S * 1000, 1));
    let (request, changes) = read(json!({"timeout_at": "soon"}));
    assert_eq!((request.timeout_at, changes.len()), (THEN + 600_000, 1));
}

#[test]
fn an_escalation_that_happened_does_not_happen_again() {
    let policy = r#"{"timeout_seconds":600,"fallback":"ESCALATE","escalation_responder_id":"emil"}"#;
    let escalated = json!({
        "timeout_policy": policy, "responder_id": "emil", "escalations": 3, "updated_at": "2016-07-31T01:00:00.000Z",
        "timeout_at": "2016-07-31T01:10:00.000Z",
    });
    let (request, changes) = read(escalated);
    assert_eq!((request.level, &*request.responder_id, changes.len()), (1, "emil", 0));
    assert_eq!(request.timeout_at, 1_469_927_400_000);
    assert_eq!(read(json!({"timeout_policy": policy})).0.level, 0);
    assert_eq!(read(json!({"timeout_policy": policy, "state": "ESCALATED"})).0.level, 1);
}

#[test]
fn slack_is_told_of_as_far_as_it_is_known() {
    let hints = r#"{"responder_id":"dora","channel":"slack","slack_channel_id":"C1"}"#;
    let status = |notified| {
        let slack = read(json!({"routing_hints": hints, "notified": notified})).0.slack.unwrap();
        (slack.status.as_str(), slack.error.is_some())
    };
    assert_eq!((status(1), status(0)), (("sent", false), ("failed", true)));
}

fn event_row(changes: Value) -> Fields {
    let row = json!({
        "event_id": EVENT, "request_id": ID, "event_type": "CR_SUBMITTED", "actor": "ada", "actor_type": "AGENT",
        "payload": r#"{"urgency":"HIGH","intent":"APPROVAL"}"#, "created_at": "2016-07-30T23:54:10.259Z",
    });
    Fields::new(with(row, changes))
}

#[test]
fn events_keep_what_they_say() {
    let read = event::read(&mut event_row(json!({})), THEN).unwrap();
    assert_eq!((read.id.to_string().as_str(), read.request.to_string().as_str()), (EVENT, ID));
    assert_eq!(read.draft.payload.as_str(), r#"{"intent":"APPROVAL","urgency":"HIGH"}"#, "canonical");
    assert_eq!((read.draft.at, read.draft.actor.as_str()), (THEN, "ada"));
    let mut timeless = event_row(json!({"created_at": "", "payload": null}));
    let read = event::read(&mut timeless, THEN).unwrap();
    assert_eq!((read.draft.at, read.draft.payload.as_str(), timeless.changes().len()), (THEN, "{}", 1));
    for (changes, words) in [
        (json!({"event_id": EVENT.to_lowercase()}), "event_id is no ULID"),
        (json!({"event_id": "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"}), "future"),
        (json!({"request_id": "x"}), "request is not there"),
        (json!({"event_type": "CR_LOST"}), "event_type"),
        (json!({"actor": ""}), "actor is"),
        (json!({"actor_type": "BOT"}), "actor_type"),
        (json!({"payload": "[]"}), "payload"),
        (json!({"payload": "{"}), "payload"),
        (json!({"payload": json!({"x": "y".repeat(limits::JSON_BYTES)}).to_string()}), "payload"),
    ] {
        let refused = event::read(&mut event_row(changes.clone()), THEN).unwrap_err();
        assert!(refused.contains(words), "{changes}: {refused}");
    }
}

#[test]
fn an_answer_at_its_limit_fits_its_event() {
    let deep = (0..limits::JSON_DEPTH - 1).fold(json!({}), |inner, _| json!({ "a": inner }));
    let payload = json!({ "response_data": deep }).to_string();
    assert!(event::read(&mut event_row(json!({ "payload": payload })), THEN).is_ok());
}

#[test]
fn keys_keep_their_hash() {
    let hash = secret_hash("hcp_x");
    let row = |changes| {
        let row = json!({
            "key_id": ID, "key_hash": hash, "agent_id": "ada", "label": "phone", "scopes": "[]",
            "created_at": "2016-07-30T23:54:10.259Z", "revoked_at": null,
        });
        Fields::new(with(row, changes))
    };
    let kept = key::Read { agent: "ada".into(), hash: hash.clone(), label: Some("phone".into()), created_at: THEN };
    assert_eq!(key::read(&mut row(json!({})), THEN + 1), Ok(kept));
    assert!(key::read(&mut row(json!({"revoked_at": "2016-07-31 00:00:00"})), THEN).unwrap_err().contains("revoked"));
    for bad in [json!("hcp_x"), json!(hash.to_uppercase()), json!(null)] {
        assert!(key::read(&mut row(json!({ "key_hash": bad })), THEN).unwrap_err().contains("key_hash"));
    }
    let mut long = row(json!({"label": "l".repeat(257)}));
    assert_eq!((key::read(&mut long, THEN).unwrap().label, long.changes().len()), (None, 1));
}

#[test]
fn agents_whose_names_are_none_get_one() {
    assert!(agents::is_bot_name("my-agent_1") && !agents::is_bot_name("my agent"));
    assert!(!agents::is_bot_name("all") && !agents::is_bot_name("0192f0c1-2345-7abc-8def-0123456789ab"));
    for name in ["my agent", "ops:lead", "all", "机器人", "0192f0c1-2345-7abc-8def-0123456789ab", &"a".repeat(256), " "]
    {
        let made = agents::made_up(name);
        assert!(agents::is_bot_name(&made), "{name}: {made}");
    }
    assert_ne!(agents::made_up("my agent"), agents::made_up("my:agent"));
}
