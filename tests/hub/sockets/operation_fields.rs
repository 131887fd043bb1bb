//! What fields of operations may hold on a socket where REST is stricter, and what `thread_update` can change there.

use crate::harness::*;

on_both_databases! { content_may_be_any_json, settings_of_a_thread_change_on_the_socket }

/// Clients of the reference send what they have: an object's text is what it says, anything else is its JSON.
async fn content_may_be_any_json(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let channel = ada.send(&bob, "the channel is there").await.ok()["channel_id"].clone();
    let (mut socket, mut other) = (ada.socket().await, bob.socket().await);
    let into = |kind: &str, content: &Value| {
        let target = match kind {
            "send" => ("channel_id", &channel),
            "send_dm" => ("to", &json!("bob")),
            _ => ("thread_id", &thread["id"]),
        };
        json!({"type": kind, (target.0): target.1, "content": content})
    };
    for kind in ["send", "send_dm", "send_thread_message"] {
        for (given, content) in [
            (json!({"text": "hello", "b": 1}), "hello"),
            (json!({"b": [1.0, 2.5]}), "{\"b\":[1,2.5]}"),
            (json!({"text": 7}), "{\"text\":7}"),
            (json!({}), "{}"),
            (json!(["a", 1e3, null]), "[\"a\",1000,null]"),
            (json!(42), "42"),
            (json!(-1.5), "-1.5"),
            (json!(true), "true"),
        ] {
            socket.op(into(kind, &given)).await.ack();
            let event = if kind == "send_thread_message" { "thread_message" } else { "message" };
            let message = other.next(event).await["message"].clone();
            assert_eq!(message["content"], content, "{kind} {given}");
            assert_eq!(message["parts"], json!([{"type": "text", "content": content}]), "{kind} {given}");
        }
        socket.op(into(kind, &json!({"text": ""}))).await.invalid("content");
        socket.op(into(kind, &json!({"text": "\u{0}"}))).await.invalid("content");
        socket.op(into(kind, &json!({"text": "x".repeat(65_537)}))).await.invalid("content");
        socket.op(into(kind, &Value::Null)).await.invalid("content");
    }
    for content in [json!({"text": "c"}), json!(["c"]), json!(7)] {
        ada.post("/api/send", json!({"to": "bob", "content": content})).await.invalid();
        ada.message(&thread, json!({"content": content})).await.invalid();
    }
}

/// They were acknowledged and ignored.
async fn settings_of_a_thread_change_on_the_socket(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let mut socket = ada.socket().await;
    let op = |fields: Value| {
        let mut op = json!({"type": "thread_update", "thread_id": thread["id"]});
        op.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        op
    };
    let settings =
        json!({"visibility": "members", "join_policy": "approval", "permission_policy": {"manage": ["initiator"]}});
    let result = socket.op(op(settings)).await.ack();
    let changes = result.items("changes");
    for name in ["visibility", "join_policy", "permission_policy"] {
        assert!(changes.contains(&json!(name)), "{result}");
    }
    let event = socket.next("thread_updated").await;
    assert_eq!(
        (&event["thread"]["visibility"], &event["thread"]["join_policy"]),
        (&json!("members"), &json!("approval"))
    );
    let shown = ada.get(format!("/api/threads/{}", thread.id())).await.ok();
    assert_eq!((&shown["visibility"], &shown["join_policy"]), (&json!("members"), &json!("approval")));
    assert_eq!(shown["permission_policy"], "{\"manage\":[\"initiator\"]}");
    assert_eq!(shown["revision"], result["revision"], "one step for all of them");
    cleo.join(&thread).await.status(202);
    let mut other = bob.socket().await;
    other.op(op(json!({"visibility": "public"}))).await.refused("FORBIDDEN");
    other.op(op(json!({"topic": "bob may", "join_policy": null}))).await.refused("FORBIDDEN");
    other.op(op(json!({"topic": "bob may"}))).await.ack();
    for bad in [json!({"visibility": "secret"}), json!({"join_policy": 7}), json!({"permission_policy": []})] {
        socket.op(op(bad)).await.invalid("");
    }
    socket.op(op(json!({"visibility": "private", "expected_revision": 1}))).await.refused("REVISION_CONFLICT");
    let result = socket.op(op(json!({"permission_policy": null, "status": "resolved"}))).await.ack();
    assert!(result.items("changes").contains(&json!("permission_policy")), "{result}");
    socket.op(op(json!({"visibility": "public"}))).await.refused("THREAD_CLOSED");
}
