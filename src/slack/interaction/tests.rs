//! Tests of reading interactions.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn form(payload: &str) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new()).append_pair("payload", payload).finish().into_bytes()
}

fn read(payload: &Value) -> Result<Interaction, Unreadable> {
    parse(&form(&payload.to_string()))
}

/// A click as Slack sends it, shortened.
fn click() -> Value {
    json!({
        "type": "block_actions",
        "user": { "id": "U012DORA", "username": "dora", "name": "dora.k", "team_id": "T1" },
        "api_app_id": "A02", "token": "verification",
        "container": { "type": "message", "message_ts": "1700000000.000100", "channel_id": "C1", "is_ephemeral": false },
        "trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3",
        "team": { "id": "T1", "domain": "example" },
        "enterprise": null, "is_enterprise_install": false,
        "channel": { "id": "C1", "name": "ops" },
        "message": { "type": "message", "ts": "1700000000.000200", "blocks": [] },
        "state": { "values": {} },
        "response_url": "https://hooks.slack.com/actions/T1/1/secret",
        "actions": [{
            "type": "button", "action_id": "hcp_approve", "block_id": "b1", "value": "r1", "style": "primary",
            "text": { "type": "plain_text", "text": "Approve" }, "action_ts": "1548426417.840180",
        }],
    })
}

fn with(path: &str, value: Value) -> Value {
    let mut payload = click();
    *payload.pointer_mut(path).unwrap() = value;
    payload
}

fn without(path: &str, field: &str) -> Value {
    let mut payload = click();
    payload.pointer_mut(path).and_then(Value::as_object_mut).unwrap().remove(field).unwrap();
    payload
}

fn block_actions(payload: &Value) -> BlockActions {
    match read(payload) {
        Ok(Interaction::BlockActions(actions)) => actions,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_click_is_read() {
    let wanted = BlockActions {
        user: User { id: "U012DORA".into(), name: Some("dora.k".into()), team: Some("T1".into()) },
        actions: vec![Action {
            action_id: "hcp_approve".into(),
            block_id: Some("b1".into()),
            value: Some("r1".into()),
        }],
        channel: Some("C1".into()),
        message_ts: Some("1700000000.000100".into()),
        response_url: Some("https://hooks.slack.com/actions/T1/1/secret".into()),
    };
    assert_eq!(block_actions(&click()), wanted);
    assert!(!format!("{wanted:?}").contains("secret"), "answers may be sent there by whoever knows the address");
}

#[test]
fn what_slack_may_leave_out_may_be_missing() {
    assert_eq!(block_actions(&without("", "container")).message_ts.as_deref(), Some("1700000000.000200"));
    assert_eq!(block_actions(&without("", "channel")).channel, None);
    assert_eq!(block_actions(&with("/response_url", Value::Null)).response_url, None);
    assert_eq!(block_actions(&without("/user", "name")).user.name.as_deref(), Some("dora"));
    assert_eq!(block_actions(&with("/user/name", json!("a\nb"))).user.name.as_deref(), Some("dora"));
    assert_eq!(block_actions(&without("/actions/0", "value")).actions[0].value, None);
}

#[test]
fn several_actions_are_all_there() {
    let action = |id: &str| json!({ "action_id": id });
    let two = block_actions(&with("/actions", json!([action("one"), action("two")])));
    assert_eq!(two.actions.iter().map(|action| action.action_id.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    let most = with("/actions", vec![action("a"); MOST_ACTIONS].into());
    assert_eq!(block_actions(&most).actions.len(), MOST_ACTIONS);
    assert_eq!(read(&with("/actions", vec![action("a"); MOST_ACTIONS + 1].into())), Err(Unreadable::Actions));
}

#[test]
fn other_interactions_are_nothing_to_do() {
    for kind in ["view_submission", "shortcut", "message_action", "BLOCK_ACTIONS", ""] {
        assert_eq!(read(&json!({ "type": kind, "user": 5 })), Ok(Interaction::Other), "{kind}");
    }
    assert_eq!(read(&with("/actions", json!([]))), Ok(Interaction::Other));
    assert_eq!(read(&without("", "actions")), Ok(Interaction::Other));
}

#[test]
fn a_click_has_somebody_who_clicked() {
    for bad in [json!(null), json!({}), json!({ "id": null }), json!({ "id": "" }), json!({ "id": "U 1" })] {
        assert_eq!(read(&with("/user", bad.clone())), Err(Unreadable::User), "{bad}");
    }
    assert_eq!(read(&without("", "user")), Err(Unreadable::User));
    assert_eq!(read(&with("/user/id", json!("U".repeat(81)))), Err(Unreadable::User));
}

#[test]
fn wrong_types_are_told() {
    for payload in [
        "",
        "null",
        "5",
        "\"block_actions\"",
        "[]",
        "[\"block_actions\"]",
        "{}",
        "{\"type\":null}",
        "{",
        "{\"type\":\"a\",\"type\":\"b\"}",
    ] {
        assert_eq!(parse(&form(payload)), Err(Unreadable::Payload), "{payload}");
    }
    let places = [
        "/user",
        "/user/id",
        "/user/name",
        "/actions",
        "/actions/0",
        "/actions/0/action_id",
        "/actions/0/value",
        "/channel",
        "/channel/id",
        "/response_url",
    ];
    for place in places {
        for bad in [json!(5), json!(true), json!(["U1", "dora"])] {
            assert_eq!(read(&with(place, bad.clone())), Err(Unreadable::Shape), "{place} {bad}");
        }
    }
    for (place, bad) in [("/actions/0", json!(null)), ("/actions/0/action_id", json!(null)), ("/actions", json!({}))] {
        assert_eq!(read(&with(place, bad)), Err(Unreadable::Shape), "{place}");
    }
    for (place, length) in [("action_id", 256), ("block_id", 256), ("value", 2001)] {
        let place = format!("/actions/0/{place}");
        assert!(read(&with(&place, json!("é".repeat(length - 1)))).is_ok(), "{place}");
        assert_eq!(read(&with(&place, json!("é".repeat(length)))), Err(Unreadable::Shape), "{place}");
        assert_eq!(read(&with(&place, json!("a\0"))), Err(Unreadable::Shape), "{place}");
    }
}

#[test]
fn the_form_has_one_payload() {
    for bad in ["", "payload", "Payload={}", "a=b&c=d", "payload={}&payload={}", "{\"type\":\"block_actions\"}"] {
        let wanted = if bad == "payload" { Unreadable::Payload } else { Unreadable::Form };
        assert_eq!(parse(bad.as_bytes()), Err(wanted), "{bad}");
    }
    assert_eq!(parse(b"a=b&payload=%7B%22type%22%3A%22x%22%7D"), Ok(Interaction::Other));
    assert_eq!(parse(b"payload=%FF%FE%"), Err(Unreadable::Payload));
}

#[test]
fn size_and_depth_are_bounded() {
    assert_eq!(parse(&vec![b'a'; MOST_BYTES + 1]), Err(Unreadable::TooLarge));
    assert_eq!(parse(&vec![b'a'; MOST_BYTES]), Err(Unreadable::Form));
    let deep = format!("{{\"x\":{}", "[".repeat(MOST_BYTES / 4));
    assert_eq!(parse(&form(&deep)), Err(Unreadable::Payload));
}

/// Any JSON.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("id|action_id|value|type|name", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_stop_it(body in prop::collection::vec(any::<u8>(), 0..300), payload in any::<String>()) {
        let _ = parse(&body);
        let _ = parse(&form(&payload));
        let _ = parse(&[b"payload=".as_slice(), &body].concat());
    }

    #[test]
    fn no_value_in_any_place_stops_it(value in values(), at in 0..12_usize) {
        let places = ["", "/user", "/user/id", "/user/name", "/actions", "/actions/0", "/actions/0/action_id",
            "/actions/0/value", "/channel", "/container", "/message", "/type"];
        if let Ok(Interaction::BlockActions(read)) = read(&with(places[at], value)) {
            prop_assert!(!read.user.id.is_empty() && !read.actions.is_empty());
        }
    }
}
