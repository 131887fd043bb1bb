//! Tests of the reading of events.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rules::fields::Given;
use crate::rules::flavors::PermissionMode;
use crate::rules::words::{ControlMode, EndReason};

fn read(name: &str, payload: Value) -> Result<Event, Fault> {
    Event::read(EventName::parse(name).unwrap(), Some(payload))
}

fn message(payload: Value) -> MessageDraft {
    match read("message", payload) {
        Ok(Event::Message(draft)) => draft,
        other => panic!("{other:?}"),
    }
}

#[test]
fn texts_of_messages_are_parsed_if_possible() {
    assert_eq!(message(json!({"sid": "s", "message": "{\"role\":\"agent\"}"})).content, json!({"role": "agent"}));
    assert_eq!(message(json!({"sid": "s", "message": "12"})).content, json!(12));
    assert_eq!(message(json!({"sid": "s", "message": "hello"})).content, json!("hello"));
    assert_eq!(message(json!({"sid": "s", "message": {"a": 1}})).content, json!({"a": 1}));
    // A text is never deeper than the parser allows.
    let deep = "[".repeat(100_000);
    assert_eq!(message(json!({"sid": "s", "message": deep})).content, json!(deep));
}

#[test]
fn long_output_of_agents_is_cut_and_not_refused() {
    let content = json!({"role": "agent", "content": {"data": "x".repeat(limits::CONTENT_BYTES)}});
    let draft = message(json!({"sid": "s", "message": content.to_string()}));
    assert!(draft.content["content"]["data"].as_str().unwrap().len() < limits::AGENT_TEXT_BYTES);
}

#[test]
fn malformed_messages_are_refused() {
    for bad in [
        json!({"message": 1}),
        json!({"sid": "s"}),
        json!({"sid": "", "message": 1}),
        json!({"sid": "s", "message": 1, "localId": null}),
        json!({"sid": "s", "message": 1, "createdAt": "now"}),
        json!([]),
        json!(null),
        json!({"sid": "s", "message": "x".repeat(limits::CONTENT_BYTES)}),
    ] {
        assert!(read("message", bad.clone()).is_err());
    }
}

#[test]
fn the_origin_is_never_in_the_future() {
    assert_eq!(origin_time(None, 100), 100);
    assert_eq!(origin_time(Some(50), 100), 50);
    assert_eq!(origin_time(Some(150), 100), 100);
    assert_eq!(origin_time(Some(-5), 100), 0);
}

#[test]
fn heartbeats_are_read() {
    let payload = json!({"sid": "abc123", "time": 1, "thinking": false, "mode": "remote", "permissionMode": "default"});
    let Ok(Event::SessionAlive(alive)) = read("session-alive", payload) else { panic!() };
    assert_eq!((alive.thinking, alive.mode), (Some(false), Some(ControlMode::Remote)));
    assert_eq!(alive.config.permission_mode, Given::Value(PermissionMode::Default));
    let payload = json!({"sid": "s", "time": 1, "model": null, "effort": null, "serviceTier": "x", "later": {}});
    let Ok(Event::SessionAlive(alive)) = read("session-alive", payload) else { panic!() };
    assert_eq!((alive.config.model, alive.config.effort), (Given::Null, Given::Null));
    for bad in [
        json!({"sid": "s"}),
        json!({"sid": "s", "time": "1"}),
        json!({"sid": "s", "time": 1, "thinking": "yes"}),
        json!({"sid": "s", "time": 1, "mode": "both"}),
        json!({"sid": "s", "time": 1, "effort": 5}),
    ] {
        assert!(read("session-alive", bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn ends_and_queues_are_read() {
    let Ok(Event::SessionEnd(end)) = read("session-end", json!({"sid": "s", "time": 1, "reason": "cleared"})) else {
        panic!()
    };
    assert_eq!((end.reason, end.stamps_queued()), (Some(EndReason::Cleared), false));
    let Ok(Event::SessionEnd(end)) = read("session-end", json!({"sid": "s", "time": 1})) else { panic!() };
    assert!(end.stamps_queued());
    assert!(read("session-end", json!({"sid": "s", "time": 1, "reason": "bored"})).is_err());
    let payload = json!({"sid": "s", "localIds": ["a", "b", "a"], "steered": true});
    let Ok(Event::MessagesConsumed(consumed)) = read("messages-consumed", payload) else { panic!() };
    assert_eq!(consumed.local_ids, ["a", "b"]);
    assert_eq!((consumed.steered, consumed.clears_thinking_grace), (Some(true), false));
    assert!(read("messages-consumed", json!({"sid": "s", "localIds": "a"})).is_err());
}

#[test]
fn health_is_strict() {
    let health = |health: Value| match read("machine-alive", json!({"machineId": "m", "time": 1, "health": health})) {
        Ok(Event::MachineAlive(alive)) => alive.health,
        other => panic!("{other:?}"),
    };
    let whole = json!({"collectedAt": 1_700_000_000_000_i64, "cpuCount": 8, "load1m": 0.5, "uptimeSeconds": 9});
    let Given::Value(read_health) = health(whole.clone()) else { panic!() };
    assert_eq!(read_health.json(), whole);
    for bad in [
        json!({}),
        json!({"collectedAt": 1, "disk": 5}),
        json!({"collectedAt": 1, "cpuCount": null}),
        json!({"collectedAt": 1, "cpuPercent": -1}),
        json!({"collectedAt": "1"}),
        json!(null),
        json!("well"),
    ] {
        assert_eq!(health(bad.clone()), Given::Null, "{bad}");
    }
    let Ok(Event::MachineAlive(alive)) = read("machine-alive", json!({"machineId": "m", "time": 1})) else { panic!() };
    assert_eq!(alive.health, Given::Absent);
}

#[test]
fn updates_know_their_key_and_scope() {
    let payload = json!({"machineId": "m", "expectedVersion": 2, "runnerState": null});
    let Ok(event @ Event::Update(VersionedKey::RunnerState, Scope::Machine, _)) = read("machine-update-state", payload)
    else {
        panic!()
    };
    assert_eq!(event.subject(), Some((Scope::Machine, "m")));
    let keys: Vec<_> = EventName::ALL.iter().filter_map(|name| name.versioned_key()).collect();
    assert_eq!(keys.len(), 4);
    assert!(!EventName::UpdateState.tells_by_error() && EventName::SessionAlive.tells_by_error());
}

#[test]
fn methods_joins_and_pings_are_read() {
    let method = Event::RpcRegister { method: "s:abort".to_owned() };
    assert_eq!(read("rpc-register", json!({"method": "s:abort"})), Ok(method));
    assert!(read("rpc-unregister", json!({"method": ""})).is_err());
    assert_eq!(read("join", json!({"machineId": "m"})), Ok(Event::Join(Scope::Machine, "m".to_owned())));
    assert!(read("join", json!({})).is_err() && read("join", json!({"machineId": "m", "sessionId": "s"})).is_err());
    assert_eq!(Event::read(EventName::Ping, None), Ok(Event::Ping));
    assert_eq!(read("ping", json!("x")), Ok(Event::Ping));
    assert!(Event::read(EventName::SessionAlive, None).is_err());
}

#[test]
fn events_of_other_parts_are_declined() {
    assert_eq!(handling_of("ping"), Handling::Act(EventName::Ping));
    for name in ["terminal:output", "agent-terminal:reset", "messages-steer-state", "usage-report"] {
        assert_eq!(handling_of(name), Handling::Decline);
    }
    assert_eq!(handling_of("Ping"), Handling::Unknown);
}

/// Any JSON, a few levels deep, with the protocol's keys among others.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z\\PC]{0,6}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("sid".to_owned()),
        Just("machineId".to_owned()),
        Just("time".to_owned()),
        Just("message".to_owned()),
        Just("expectedVersion".to_owned()),
        Just("metadata".to_owned()),
        Just("health".to_owned()),
        Just("localIds".to_owned()),
        "[a-z]{1,4}",
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    /// No payload of any event stops the reader, and what is read names its subject.
    #[test]
    fn any_payload_is_read_or_refused(payload in any_json()) {
        for name in EventName::ALL {
            if let Ok(event) = Event::read(*name, Some(payload.clone())) {
                prop_assert!(event.subject().is_none_or(|(_, id)| !id.is_empty()));
            }
        }
    }
}
