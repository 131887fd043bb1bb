//! Every rule of the body, each with the path of its fault.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rules::auto_approve::AutoApprove;
use crate::rules::words::Channel;

fn good() -> Value {
    json!({
        "intent": "APPROVAL", "urgency": "HIGH",
        "context_package": {"summary": "Deploy v2.1.0"},
        "timeout_policy": {"timeout_seconds": 600, "fallback": "BLOCK"},
        "routing_hints": {"responder_id": "dora"},
    })
}

/// The good body with another value at a place.
fn with(pointer: &str, value: Value) -> Value {
    let mut body = good();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    body
}

fn without(pointer: &str) -> Value {
    let mut body = good();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
    body
}

fn faults(body: Value) -> Vec<(String, String)> {
    let faults = read_create(body).err().unwrap_or_default();
    faults.all().iter().map(|fault| (fault.path.clone(), fault.message.clone())).collect()
}

#[track_caller]
fn refused_at(body: Value, path: &str) -> String {
    let faults = faults(body);
    assert_eq!(faults.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), [path]);
    faults[0].1.clone()
}

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
}

#[test]
fn the_readme_body_is_taken() {
    let create = read_create(good()).unwrap();
    assert_eq!((create.intent, create.urgency), (Intent::Approval, Urgency::High));
    assert_eq!(create.context.as_str(), r#"{"summary":"Deploy v2.1.0"}"#);
    assert_eq!((create.routing.channel, create.allow_edit), (Channel::Portal, false));
    assert_eq!(JsonText::of(&*create.routing).as_str(), r#"{"responder_id":"dora","channel":"portal"}"#);
    assert_eq!(JsonText::of(&*create.timeout).as_str(), r#"{"timeout_seconds":600,"fallback":"BLOCK"}"#);
}

#[test]
fn what_is_missing_is_required() {
    for path in [
        "intent",
        "urgency",
        "context_package",
        "context_package.summary",
        "timeout_policy",
        "timeout_policy.timeout_seconds",
        "timeout_policy.fallback",
        "routing_hints",
        "routing_hints.responder_id",
    ] {
        let body = without(&format!("/{}", path.replace('.', "/")));
        assert_eq!(refused_at(body, path), "Required", "{path}");
    }
    assert_eq!(faults(json!({})).len(), 5);
    for body in [json!(null), json!([]), json!("x"), json!(1)] {
        assert_eq!(
            refused_at(body.clone(), ""),
            format!("Expected object, received {}", crate::rules::fields::kind(&body))
        );
    }
}

#[test]
fn null_is_nothing_that_can_be_given() {
    for path in [
        "context_package.detail",
        "context_package.metadata",
        "context_package.attachments",
        "response_schema",
        "timeout_policy.escalation_responder_id",
        "timeout_policy.escalation",
        "routing_hints.channel",
        "routing_hints.slack_channel_id",
        "routing_hints.quorum",
        "trace_id",
        "idempotency_key",
        "thread_id",
        "allow_edit",
    ] {
        let message = refused_at(with(&format!("/{}", path.replace('.', "/")), Value::Null), path);
        assert!(message.ends_with("received null"), "{path}: {message}");
    }
}

#[test]
fn words_are_exact() {
    let message = refused_at(with("/intent", json!("approval")), "intent");
    assert!(
        message.starts_with("Invalid enum value. Expected 'APPROVAL' | ") && message.ends_with("received 'approval'")
    );
    refused_at(with("/urgency", json!(1)), "urgency");
    refused_at(with("/timeout_policy/fallback", json!("RETRY")), "timeout_policy.fallback");
    refused_at(with("/routing_hints/channel", json!("fax")), "routing_hints.channel");
}

#[test]
fn texts_have_their_lengths() {
    let text = |units: usize| json!("a".repeat(units));
    for (path, most) in [
        ("context_package.summary", 10_000),
        ("context_package.detail", 100_000),
        ("routing_hints.responder_id", 256),
        ("trace_id", 256),
        ("idempotency_key", 256),
    ] {
        let pointer = format!("/{}", path.replace('.', "/"));
        assert_eq!(faults(with(&pointer, text(most))), [], "{path}");
        refused_at(with(&pointer, text(most + 1)), path);
        refused_at(with(&pointer, json!("a\u{0}b")), path);
        refused_at(with(&pointer, json!(5)), path);
        if path != "context_package.detail" {
            refused_at(with(&pointer, json!("")), path);
        }
    }
    assert_eq!(faults(with("/context_package/summary", json!(" "))), []);
    assert_eq!(faults(with("/context_package/summary", json!("ä".repeat(10_000)))), []);
}

#[test]
fn timeouts_are_whole_seconds_up_to_a_year() {
    for good in [json!(1), json!(31_536_000), json!(10.0)] {
        assert_eq!(faults(with("/timeout_policy/timeout_seconds", good)), []);
    }
    for bad in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!(-0.5),
        json!("5"),
        json!(null),
        json!(true),
        json!(31_536_001),
        json!(1e308),
        json!(9_007_199_254_740_993_u64),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e13),
    ] {
        refused_at(with("/timeout_policy/timeout_seconds", bad), "timeout_policy.timeout_seconds");
    }
}

#[test]
fn escalation_and_slack_need_their_targets() {
    let body = with("/timeout_policy/fallback", json!("ESCALATE"));
    refused_at(body.clone(), "timeout_policy.escalation_responder_id");
    let mut whole = body;
    whole["timeout_policy"]["escalation_responder_id"] = json!("emil");
    assert_eq!(faults(whole.clone()), []);
    whole["timeout_policy"]["escalation_responder_id"] = json!("");
    refused_at(whole, "timeout_policy.escalation_responder_id");
    let body = with("/routing_hints/channel", json!("slack"));
    refused_at(body.clone(), "routing_hints.slack_channel_id");
    let mut whole = body;
    whole["routing_hints"]["slack_channel_id"] = json!("C0123456789");
    assert_eq!(faults(whole), []);
}

#[test]
fn chains_ascend() {
    let chain = |steps: Value| with("/timeout_policy/escalation", steps);
    let step = |after: Value| json!({"after_seconds": after, "responder_id": "emil"});
    assert_eq!(faults(chain(json!([step(json!(1)), step(json!(2))]))), []);
    refused_at(chain(json!([step(json!(2)), step(json!(2))])), "timeout_policy.escalation.1.after_seconds");
    refused_at(chain(json!([step(json!(0))])), "timeout_policy.escalation.0.after_seconds");
    refused_at(chain(json!([{"after_seconds": 1}])), "timeout_policy.escalation.0.responder_id");
    let many = |count: i64| chain((1..=count).map(|after| step(json!(after))).collect());
    assert_eq!(faults(many(10)), []);
    refused_at(many(11), "timeout_policy.escalation");
}

#[test]
fn quorums_can_be_reached() {
    let quorum = |of: Value, need: Value| with("/routing_hints/quorum", json!({"of": of, "need": need}));
    assert_eq!(faults(quorum(json!(["dora", "emil"]), json!(2))), []);
    refused_at(quorum(json!(["dora", "emil"]), json!(3)), "routing_hints.quorum.need");
    refused_at(quorum(json!([]), json!(1)), "routing_hints.quorum.need");
    refused_at(quorum(json!(["dora", "emil"]), json!(0)), "routing_hints.quorum.need");
    refused_at(quorum(json!(["dora", "DORA"]), json!(1)), "routing_hints.quorum.of");
    refused_at(quorum(json!(["dora", 5]), json!(1)), "routing_hints.quorum.of.1");
    refused_at(with("/routing_hints/quorum", json!({"need": 1})), "routing_hints.quorum.of");
}

#[test]
fn metadata_is_free_and_bounded() {
    let metadata = |value: Value| with("/context_package/metadata", value);
    assert_eq!(faults(metadata(nested(32))), []);
    refused_at(metadata(nested(33)), "context_package.metadata");
    refused_at(metadata(json!([1])), "context_package.metadata");
    refused_at(metadata(json!({"a": ["b\u{0}"]})), "context_package.metadata");
    refused_at(metadata(json!({"a\u{0}": 1})), "context_package.metadata");
    refused_at(metadata(json!({"a": "x".repeat(limits::JSON_BYTES)})), "context_package.metadata");
    let create = read_create(metadata(json!({"": {"b": null}}))).unwrap();
    assert_eq!(create.context.value()["metadata"], json!({"": {"b": null}}));
}

#[test]
fn attachments_are_few_and_whole() {
    let file = json!({"type": "text/plain", "name": "a.txt", "content": "", "size": 5});
    let files = |count: usize| with("/context_package/attachments", vec![file.clone(); count].into());
    let create = read_create(files(20)).unwrap();
    assert_eq!(
        create.context.value()["attachments"][19],
        json!({"type": "text/plain", "name": "a.txt", "content": ""})
    );
    refused_at(files(21), "context_package.attachments");
    refused_at(
        with("/context_package/attachments", json!([{"type": "t", "name": "n"}])),
        "context_package.attachments.0.content",
    );
    refused_at(with("/context_package/attachments", json!(["x"])), "context_package.attachments.0");
    let large = json!({"type": "t", "name": "n", "content": "x".repeat(400 * 1024)});
    assert_eq!(faults(with("/context_package/attachments", json!([large]))), []);
    refused_at(with("/context_package/attachments", json!([large, large])), "context_package");
}

#[test]
fn forms_make_sense() {
    let form = |value: Value| with("/response_schema", value);
    let option = |key: &str| json!({"key": key, "label": "L"});
    assert_eq!(faults(form(json!({"type": "text"}))), []);
    assert_eq!(faults(form(json!({"type": "structured"}))), []);
    assert_eq!(faults(form(json!({"type": "choice", "options": [option("a"), option("b")], "multiple": true}))), []);
    refused_at(form(json!({})), "response_schema.type");
    refused_at(form(json!({"type": "choice"})), "response_schema.options");
    refused_at(form(json!({"type": "choice", "options": []})), "response_schema.options");
    refused_at(form(json!({"type": "choice", "options": [option("a"), option("a")]})), "response_schema.options.1.key");
    refused_at(form(json!({"type": "choice", "options": [option("")]})), "response_schema.options.0.key");
    refused_at(form(json!({"type": "choice", "options": [{"key": "a"}]})), "response_schema.options.0.label");
    refused_at(form(json!({"type": "choice", "options": vec![option("a"); 101]})), "response_schema.options");
    refused_at(form(json!({"type": "choice", "options": [option("a")], "multiple": 1})), "response_schema.multiple");
    refused_at(form(json!({"type": "structured", "json_schema": {"type": "strin"}})), "response_schema.json_schema");
    refused_at(form(json!({"type": "structured", "json_schema": []})), "response_schema.json_schema");
    let both = read_create(form(json!({"type": "text", "allow_edit": true}))).unwrap();
    assert!(both.allow_edit && read_create(with("/allow_edit", json!(true))).unwrap().allow_edit);
}

#[test]
fn what_nobody_knows_is_left_out() {
    let mut body = with("/x", json!("a\u{0}"));
    body["context_package"]["y"] = nested(100);
    body["routing_hints"]["z"] = json!(1);
    assert_eq!(read_create(body).unwrap(), read_create(good()).unwrap());
}

#[test]
fn a_repetition_is_the_same_request() {
    let hash = |body: Value| read_create(body).unwrap().body_hash;
    let mut reordered = good();
    let context = reordered.as_object_mut().unwrap().shift_remove("intent").unwrap();
    reordered["intent"] = context;
    assert_eq!(hash(good()), hash(reordered));
    assert_eq!(hash(good()), hash(with("/routing_hints/channel", json!("portal"))));
    assert_eq!(hash(good()), hash(with("/idempotency_key", json!("k"))));
    for other in [
        with("/urgency", json!("LOW")),
        with("/context_package/detail", json!("d")),
        with("/trace_id", json!("t")),
        with("/allow_edit", json!(true)),
        with("/response_schema", json!({"type": "text"})),
        with("/thread_id", json!("0192f0c1-2345-7abc-8def-0123456789ab")),
        with("/timeout_policy/timeout_seconds", json!(601)),
    ] {
        assert_ne!(hash(other), hash(good()));
    }
    refused_at(with("/thread_id", json!("x")), "thread_id");
}

#[test]
fn organisations_say_what_may_approve_itself() {
    let policy = |value: Value| AutoApprove::read(value).unwrap();
    let create = read_create(with("/timeout_policy/fallback", json!("AUTO_APPROVE"))).unwrap();
    assert!(AutoApprove::default().check(&create).is_ok());
    assert!(policy(json!({})).check(&create).is_ok());
    assert!(policy(json!({"intents": ["APPROVAL"], "urgencies": ["HIGH"]})).check(&create).is_ok());
    assert_eq!(policy(json!({"urgencies": ["LOW"]})).check(&create).unwrap_err().status(), 403);
    assert_eq!(policy(json!({"intents": []})).check(&create).unwrap_err().status(), 403);
    assert!(policy(json!({"intents": []})).check(&read_create(good()).unwrap()).is_ok());
    for bad in [json!([]), json!({"intents": "APPROVAL"}), json!({"urgencies": ["low"]}), json!({"intents": [null]})] {
        assert!(AutoApprove::read(bad).is_err());
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_body_can_be_read(body in any_json()) {
        prop_assert!(read_create(body.clone()).is_err());
        let _ = (crate::rules::handover::read_reassign(body.clone()), crate::rules::handover::read_delegate(body.clone()));
        let _ = AutoApprove::read(body);
    }

    #[test]
    fn any_value_at_any_place_is_taken_or_refused_there(value in any_json(), place in 0..18usize) {
        let places = [
            "/intent", "/urgency", "/context_package", "/context_package/summary", "/context_package/detail",
            "/context_package/metadata", "/context_package/attachments", "/response_schema", "/timeout_policy",
            "/timeout_policy/timeout_seconds", "/timeout_policy/fallback", "/timeout_policy/escalation", "/routing_hints",
            "/routing_hints/channel", "/routing_hints/quorum", "/trace_id", "/thread_id", "/allow_edit",
        ];
        let path = places[place].trim_start_matches('/').replace('/', ".");
        for (at, _) in faults(with(places[place], value)) {
            prop_assert!(at.starts_with(&path), "{at} is not in {path}");
        }
    }
}
