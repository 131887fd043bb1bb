//! Every operation of the socket: what it answers, what it refuses, and that it does what its REST twin does.

use crate::harness::*;
use crate::messages::direct::bad_parts;

on_both_databases! {
    send,
    send_dm,
    send_thread_message,
    thread_create,
    thread_update,
    thread_invite,
    thread_join,
    thread_leave,
    thread_remove_participant,
    artifact_add,
    artifact_update,
    scopes,
    other_organisations_do_not_exist,
    effects_match_rest,
    concurrent_updates_with_one_revision,
}

fn sorted(result: &Value) -> Vec<&str> {
    result.keys()
}

async fn send(hub: TestHub) {
    let [ada, bob, cleo] = hub.with_org("a").await.bots(["ada", "bob", "cleo"]).await;
    let channel = ada.send(&bob, "open").await.ok()["channel_id"].clone();
    let mut socket = ada.socket().await;
    let result = socket.op(json!({"type": "send", "channel_id": channel, "content": "c"})).await.ack();
    assert_eq!(sorted(&result), ["channel_id", "message_id", "operation", "resource_id", "timestamp"]);
    assert_eq!((&result["operation"], &result["resource_id"]), (&json!("send"), &result["message_id"]));
    let event = socket.next("message").await;
    assert_eq!(
        (&event["message"]["id"], &event["message"]["created_at"]),
        (&result["message_id"], &result["timestamp"])
    );
    let derived =
        json!({"type": "send", "channel_id": channel, "content": "", "parts": [{"type": "link", "url": "u"}]});
    socket.op(derived).await.ack();
    assert_eq!(socket.next("message").await["message"]["content"], "[link]");
    socket.op(json!({"type": "send", "channel_id": channel})).await.invalid("content or parts is required");
    socket.op(json!({"type": "send", "channel_id": channel, "content": "a".repeat(65_537)})).await.invalid("");
    for not_mine in [json!(NOBODY), json!("junk"), bob.send(&cleo, "c").await.ok()["channel_id"].clone()] {
        let error = socket.op(json!({"type": "send", "channel_id": not_mine, "content": "c"})).await.0;
        assert!(error.text("message").contains("Not a member"), "{error}");
    }
    socket.op(json!({"type": "send", "content": "c"})).await.0.text("message");
}

async fn send_dm(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let mut socket = ada.socket().await;
    let result = socket.op(json!({"type": "send_dm", "to": "bob", "content": "c"})).await.ack();
    assert_eq!(sorted(&result), ["channel_id", "message_id", "operation", "resource_id", "timestamp"]);
    assert_eq!((&result["operation"], &result["resource_id"]), (&json!("send_dm"), &result["message_id"]));
    let by_id = socket.op(json!({"type": "send_dm", "to": bob.id, "content": "c"})).await.ack();
    assert_eq!(by_id["channel_id"], result["channel_id"]);
    for to in ["nobody", NOBODY, "BOB"] {
        socket.op(json!({"type": "send_dm", "to": to, "content": "c"})).await.refused("NOT_FOUND");
    }
    socket.op(json!({"type": "send_dm", "to": "ada", "content": "c"})).await.invalid("Cannot send to yourself");
    let mut bad = vec![
        json!({"content": "c"}),
        json!({"to": "", "content": "c"}),
        json!({"to": 7, "content": "c"}),
        json!({"to": "bob"}),
        json!({"to": "bob", "content": ""}),
        json!({"to": "bob", "content": "a".repeat(65_537)}),
        json!({"to": "bob", "content": "c", "content_type": "t".repeat(129)}),
        json!({"to": "bob", "content": "nul\u{0}"}),
    ];
    bad.extend(bad_parts().into_iter().map(|parts| json!({"to": "bob", "content": "c", "parts": parts})));
    for mut op in bad {
        op["type"] = json!("send_dm");
        socket.op(op).await.invalid("");
    }
    assert_eq!(bob.inbox(0).await.list().len(), 2);
}

async fn send_thread_message(hub: TestHub) {
    let [ada, bob, cleo] = hub.with_org("a").await.bots(["ada", "bob", "cleo"]).await;
    let body = json!({"topic": "t", "participants": ["bob"], "permission_policy": {"write": ["initiator"]}});
    let thread = ada.thread_create(body).await.ok();
    let op = |fields: Value| {
        let mut op = json!({"type": "send_thread_message", "thread_id": thread["id"]});
        op.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        op
    };
    let mut socket = ada.socket().await;
    let result = socket.op(op(json!({"content": "c", "metadata": {"k": 1}}))).await.ack();
    assert_eq!(sorted(&result), ["message_id", "operation", "resource_id", "thread_id", "timestamp"]);
    assert_eq!((&result["operation"], &result["resource_id"]), (&json!("send_thread_message"), &result["message_id"]));
    let event = socket.next("thread_message").await;
    assert_eq!(
        (&event["message"]["metadata"], &event["message"]["created_at"]),
        (&json!({"k": 1}), &result["timestamp"])
    );
    socket.op(op(json!({"content": "re @bob", "reply_to": result["message_id"]}))).await.ack();
    let event = socket.next("thread_message").await;
    assert_eq!(event["message"]["reply_to_message"]["content"], "c");
    assert_eq!(event["message"]["mentions"].all("name"), ["bob"]);
    for parts in bad_parts() {
        socket.op(op(json!({"content": "c", "parts": parts}))).await.invalid("");
    }
    for bad in [
        json!({}),
        json!({"content": ""}),
        json!({"content": "c", "reply_to": 7}),
        json!({"content": "c", "content_type": "t".repeat(129)}),
        json!({"content": "c", "metadata": "m".repeat(17_000)}),
    ] {
        socket.op(op(bad)).await.invalid("");
    }
    socket.op(op(json!({"content": "c", "reply_to": NOBODY}))).await.refused("NOT_FOUND");
    socket.op(json!({"type": "send_thread_message", "content": "c"})).await.invalid("thread_id");
    socket.op(json!({"type": "send_thread_message", "thread_id": 7, "content": "c"})).await.invalid("thread_id");
    socket.op(json!({"type": "send_thread_message", "thread_id": NOBODY, "content": "c"})).await.refused("NOT_FOUND");
    bob.socket().await.op(op(json!({"content": "c"}))).await.refused("WRITE_PERMISSION_DENIED");
    cleo.socket().await.op(op(json!({"content": "c"}))).await.refused("JOIN_REQUIRED");
    ada.status(&thread, "closed").await.ok();
    socket.op(op(json!({"content": "c"}))).await.refused("THREAD_CLOSED");
    assert_eq!(ada.messages(&thread, "").await.list().len(), 2);
}

async fn thread_create(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let mut socket = ada.socket().await;
    let op = json!({"type": "thread_create", "topic": "t", "tags": [" a "], "participants": ["bob", bob.id, "ada"], "context": {"k": 1}});
    let result = socket.op(op).await.ack();
    assert_eq!(sorted(&result), ["operation", "resource_id", "revision", "thread_id", "timestamp", "topic"]);
    assert_eq!(
        (&result["operation"], &result["resource_id"], &result["revision"]),
        (&json!("thread_create"), &result["thread_id"], &json!(1))
    );
    let thread = bob.thread_get(&result.text("thread_id")).await.ok();
    assert_eq!((&thread["context"], &thread["tags"]), (&json!("{\"k\":1}"), &json!(["a"])));
    assert_eq!(thread["participants"].all("name"), ["ada", "bob"]);
    assert_eq!(result["timestamp"], thread["created_at"]);
    for (fields, part) in [
        (json!({}), "topic is required"),
        (json!({"topic": ""}), "topic is required"),
        (json!({"topic": 7}), "topic is required"),
        (json!({"topic": "t", "tags": "a"}), ""),
        (json!({"topic": "t", "tags": [1]}), ""),
        (json!({"topic": "t", "tags": vec!["a"; 11]}), ""),
        (json!({"topic": "t", "participants": "bob"}), ""),
        (json!({"topic": "t", "participants": ["nobody"]}), "Bot not found"),
        (json!({"topic": "t", "channel_id": 7}), ""),
        (json!({"topic": "t", "channel_id": NOBODY}), ""),
    ] {
        let mut op = fields;
        op["type"] = json!("thread_create");
        socket.op(op).await.invalid(part);
    }
    assert_eq!(ada.threads("").await.list().len(), 1);
}

async fn thread_update(hub: TestHub) {
    let [ada, bob, cleo] = hub.with_org("a").await.bots(["ada", "bob", "cleo"]).await;
    let body = json!({"topic": "t", "participants": ["bob"], "permission_policy": {"resolve": ["initiator"]}});
    let thread = ada.thread_create(body).await.ok();
    let op = |fields: Value| {
        let mut op = json!({"type": "thread_update", "thread_id": thread["id"]});
        op.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        op
    };
    let (mut socket, mut other) = (ada.socket().await, bob.socket().await);
    let result = socket.op(op(json!({"topic": " new ", "expected_revision": 1}))).await.ack();
    assert_eq!(sorted(&result), ["changes", "operation", "resource_id", "revision", "thread_id", "timestamp"]);
    assert_eq!((&result["changes"], &result["revision"]), (&json!(["topic"]), &json!(2)));
    socket.op(op(json!({"topic": "stale", "expected_revision": 1}))).await.refused("REVISION_CONFLICT");
    for bad in [
        json!({}),
        json!({"expected_revision": 2}),
        json!({"topic": "t", "expected_revision": 0}),
        json!({"topic": "t", "expected_revision": 1.5}),
        json!({"topic": "t", "expected_revision": "2"}),
        json!({"topic": "  "}),
        json!({"topic": 7}),
        json!({"status": "open"}),
        json!({"status": "closed"}),
        json!({"status": "closed", "close_reason": "because"}),
        json!({"status": "resolved", "close_reason": "manual"}),
        json!({"close_reason": "manual"}),
    ] {
        socket.op(op(bad)).await.invalid("");
    }
    other.op(op(json!({"status": "resolved"}))).await.refused("FORBIDDEN");
    socket.op(op(json!({"status": "active"}))).await.refused("INVALID_TRANSITION");
    socket.op(json!({"type": "thread_update", "thread_id": NOBODY, "topic": "t"})).await.refused("NOT_FOUND");
    socket.op(json!({"type": "thread_update", "topic": "t"})).await.invalid("thread_id");
    cleo.socket().await.op(op(json!({"topic": "t"}))).await.refused("JOIN_REQUIRED");
    let result = socket.op(op(json!({"status": "closed", "close_reason": "error", "context": [1]}))).await.ack();
    let changes = result.items("changes");
    assert!(["status", "close_reason", "context"].iter().all(|name| changes.contains(&json!(name))), "{result}");
    socket.op(op(json!({"topic": "t"}))).await.refused("THREAD_CLOSED");
    other.op(op(json!({"status": "active", "topic": "again"}))).await.ack();
    let read = ada.thread_get(&thread).await.ok();
    assert_eq!((&read["topic"], &read["context"], &read["status"]), (&json!("again"), &json!("[1]"), &json!("active")));
}

async fn thread_invite(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    org.settings(json!({"join_approval_required": true})).await.ok();
    org.register(json!({"ticket": org.ticket, "name": "waiting"})).await.ok();
    let thread = ada.thread_create(json!({"topic": "t", "permission_policy": {"invite": ["initiator"]}})).await.ok();
    let op = |bot: &str, label: Value| json!({"type": "thread_invite", "thread_id": thread["id"], "bot_id": bot, "label": label});
    let mut socket = ada.socket().await;
    let result = socket.op(op("bob", json!("lead"))).await.ack();
    assert_eq!(sorted(&result), ["already_joined", "bot_id", "operation", "resource_id", "thread_id", "timestamp"]);
    assert_eq!((&result["bot_id"], &result["already_joined"]), (&json!(bob.id), &json!(false)));
    assert_eq!(ada.thread_get(&thread).await["participants"][1]["label"], "lead");
    let again = socket.op(json!({"type": "thread_invite", "thread_id": thread["id"], "bot_id": bob.id})).await.ack();
    assert_eq!(again["already_joined"], true);
    let error = socket.op(op("bob", json!("other"))).await.0;
    assert_eq!(error["type"], "error");
    bob.socket().await.op(op("cleo", json!(null))).await.refused("FORBIDDEN");
    cleo.socket().await.op(op("cleo", json!(null))).await.refused("JOIN_REQUIRED");
    socket.op(op("nobody", json!(null))).await.refused("NOT_FOUND");
    socket.op(op("waiting", json!(null))).await.refused("BOT_NOT_ACTIVE");
    socket.op(op("cleo", json!(7))).await.invalid("label");
    socket.op(json!({"type": "thread_invite", "thread_id": thread["id"]})).await.invalid("bot_id");
    socket.op(json!({"type": "thread_invite", "bot_id": "cleo"})).await.invalid("thread_id");
    socket.op(json!({"type": "thread_invite", "thread_id": NOBODY, "bot_id": "cleo"})).await.refused("NOT_FOUND");
    ada.status(&thread, "resolved").await.ok();
    socket.op(op("cleo", json!(null))).await.refused("THREAD_CLOSED");
}

async fn thread_join(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let mut socket = bob.socket().await;
    let join = |thread: &Value| json!({"type": "thread_join", "thread_id": thread["id"]});
    let open = ada.thread("t", &[]).await;
    let result = socket.op(join(&open)).await.ack();
    assert_eq!(sorted(&result), ["joined_at", "operation", "resource_id", "status", "thread_id", "timestamp"]);
    assert_eq!(result["status"], "joined");
    assert_eq!(socket.op(join(&open)).await.ack()["status"], "already_joined");
    let ask = ada.thread_create(json!({"topic": "t", "join_policy": "approval"})).await.ok();
    let result = socket.op(join(&ask)).await.ack();
    assert_eq!((&result["status"], result["request_id"].is_string()), (&json!("pending"), true));
    socket.op(join(&ask)).await.refused("ALREADY_REQUESTED");
    let shut = ada.thread_create(json!({"topic": "t", "join_policy": "invite_only"})).await.ok();
    socket.op(join(&shut)).await.refused("INVITE_ONLY");
    let private = ada.thread_create(json!({"topic": "t", "visibility": "private"})).await.ok();
    socket.op(join(&private)).await.refused("NOT_FOUND");
    socket.op(json!({"type": "thread_join", "thread_id": NOBODY})).await.refused("NOT_FOUND");
    socket.op(json!({"type": "thread_join"})).await.invalid("thread_id");
    ada.status(&shut, "resolved").await.ok();
    socket.op(join(&shut)).await.refused("THREAD_CLOSED");
}

async fn thread_leave(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let (mut mine, mut theirs) = (ada.socket().await, bob.socket().await);
    let leave = json!({"type": "thread_leave", "thread_id": thread["id"]});
    let result = theirs.op(leave.clone()).await.ack();
    assert_eq!(sorted(&result), ["operation", "resource_id", "thread_id", "timestamp"]);
    theirs.op(leave.clone()).await.refused("JOIN_REQUIRED");
    mine.op(leave.clone()).await.invalid("last participant");
    assert_eq!(ada.thread_get(&thread).await["revision"], 2);
    assert_eq!(org.audit("thread.leave").await.len(), 1);
    assert_eq!(bob.missed().await.last().unwrap()["removed_by"], bob.id.as_str());
    mine.op(json!({"type": "thread_leave", "thread_id": NOBODY})).await.refused("NOT_FOUND");
    mine.op(json!({"type": "thread_leave"})).await.invalid("thread_id");
    ada.status(&thread, "closed").await.ok();
    mine.op(leave).await.refused("THREAD_CLOSED");
}

async fn thread_remove_participant(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo, outsider] = org.bots(["ada", "bob", "cleo", "outsider"]).await;
    let policy = json!({"remove": ["initiator"]});
    let thread = ada
        .thread_create(json!({"topic": "t", "participants": ["bob", "cleo"], "permission_policy": policy}))
        .await
        .ok();
    let remove = |bot: &str| json!({"type": "thread_remove_participant", "thread_id": thread["id"], "bot_id": bot});
    let (mut mine, mut theirs) = (ada.socket().await, bob.socket().await);
    theirs.op(remove("cleo")).await.refused("FORBIDDEN");
    let result = mine.op(remove("cleo")).await.ack();
    assert_eq!(sorted(&result), ["bot_id", "operation", "resource_id", "thread_id", "timestamp"]);
    assert_eq!(result["bot_id"], cleo.id.as_str());
    mine.op(remove("cleo")).await.refused("NOT_FOUND");
    mine.op(remove("nobody")).await.refused("NOT_FOUND");
    outsider.socket().await.op(remove("bob")).await.refused("JOIN_REQUIRED");
    theirs.op(remove(&bob.id)).await.ack();
    mine.op(remove(&ada.id)).await.invalid("last participant");
    mine.op(json!({"type": "thread_remove_participant", "thread_id": thread["id"]})).await.invalid("bot_id");
    assert_eq!(org.audit("thread.remove_participant").await.len(), 2);
    ada.status(&thread, "closed").await.ok();
    mine.op(remove("ada")).await.refused("THREAD_CLOSED");
}

async fn artifact_add(hub: TestHub) {
    let [ada, bob, cleo] = hub.with_org("a").await.bots(["ada", "bob", "cleo"]).await;
    let body = json!({"topic": "t", "participants": ["bob"], "permission_policy": {"write": ["initiator"]}});
    let thread = ada.thread_create(body).await.ok();
    let op = |fields: Value| {
        let mut op = json!({"type": "artifact_add", "thread_id": thread["id"]});
        op.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        op
    };
    let mut socket = ada.socket().await;
    let result = socket
        .op(op(json!({"artifact_key": "k", "artifact_type": "json", "content": "{'a':1,}", "extra": 1})))
        .await
        .ack();
    assert_eq!(sorted(&result), ["artifact_key", "operation", "resource_id", "thread_id", "timestamp", "version"]);
    let listed = ada.artifacts(&thread).await.list();
    assert_eq!(
        (&listed[0]["id"], &listed[0]["type"], &result["version"]),
        (&result["resource_id"], &json!("json"), &json!(1))
    );
    socket.op(op(json!({"artifact_key": "bare"}))).await.ack();
    socket.op(op(json!({"artifact_key": "k"}))).await.refused("CONFLICT");
    for bad in [json!({}), json!({"artifact_key": ""}), json!({"artifact_key": "a b"}), json!({"artifact_key": 7})] {
        socket.op(op(bad)).await.invalid("artifact_key");
    }
    socket.op(op(json!({"artifact_key": "l", "artifact_type": "video"}))).await.invalid("type");
    socket.op(op(json!({"artifact_key": "l", "content": {"a": 1}}))).await.invalid("content");
    socket.op(json!({"type": "artifact_add", "artifact_key": "l"})).await.invalid("thread_id");
    socket.op(json!({"type": "artifact_add", "thread_id": NOBODY, "artifact_key": "l"})).await.refused("NOT_FOUND");
    bob.socket().await.op(op(json!({"artifact_key": "l"}))).await.refused("WRITE_PERMISSION_DENIED");
    cleo.socket().await.op(op(json!({"artifact_key": "l"}))).await.refused("JOIN_REQUIRED");
    ada.status(&thread, "closed").await.ok();
    socket.op(op(json!({"artifact_key": "l"}))).await.refused("THREAD_CLOSED");
}

async fn artifact_update(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    ada.artifact_add(&thread, json!({"artifact_key": "k", "title": "T", "content": "1"})).await.ok();
    let op = |fields: Value| {
        let mut op = json!({"type": "artifact_update", "thread_id": thread["id"]});
        op.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        op
    };
    let mut socket = ada.socket().await;
    let result = socket.op(op(json!({"artifact_key": "k", "content": "2", "title": null}))).await.ack();
    assert_eq!(sorted(&result), ["artifact_key", "operation", "resource_id", "thread_id", "timestamp", "version"]);
    let versions = ada.versions(&thread, "k").await.list();
    assert_eq!(
        (&versions[1]["title"], &versions[1]["content"]),
        (&json!("T"), &json!("2")),
        "null keeps the title here"
    );
    socket.op(op(json!({"artifact_key": "k", "content": "3", "title": "U"}))).await.ack();
    assert_eq!(ada.artifacts(&thread).await.list()[0]["title"], "U");
    for body in [json!({"artifact_key": "k"}), json!({"artifact_key": "k", "content": 5})] {
        socket.op(op(body)).await.invalid("content is required");
    }
    socket.op(op(json!({"artifact_key": "k", "content": 7}))).await.invalid("content");
    socket.op(op(json!({"artifact_key": "unknown", "content": "c"}))).await.refused("NOT_FOUND");
    socket.op(op(json!({"artifact_key": "a b", "content": "c"}))).await.invalid("artifact_key");
}

async fn scopes(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[]).await;
    let channel = ada.send(&bob, "c").await.ok()["channel_id"].clone();
    let message_ops = [
        json!({"type": "send", "channel_id": channel, "content": "c"}),
        json!({"type": "send_dm", "to": "bob", "content": "c"}),
    ];
    let id = &thread["id"];
    let thread_ops = [
        json!({"type": "send_thread_message", "thread_id": id, "content": "c"}),
        json!({"type": "thread_create", "topic": "t"}),
        json!({"type": "thread_update", "thread_id": id, "topic": "t"}),
        json!({"type": "thread_invite", "thread_id": id, "bot_id": "bob"}),
        json!({"type": "thread_join", "thread_id": id}),
        json!({"type": "thread_remove_participant", "thread_id": id, "bot_id": "bob"}),
        json!({"type": "artifact_add", "thread_id": id, "artifact_key": "k"}),
        json!({"type": "artifact_update", "thread_id": id, "artifact_key": "k", "content": "c"}),
    ];
    for (scope, allowed, denied) in
        [("message", &message_ops[..], &thread_ops[..]), ("thread", &thread_ops[..], &message_ops[..])]
    {
        let mut socket = ada.scoped(&[scope]).await.socket().await;
        for op in denied {
            socket.op(op.clone()).await.refused("INSUFFICIENT_SCOPE");
        }
        for op in allowed {
            socket.op(op.clone()).await.ack();
        }
    }
    let mut reader = ada.scoped(&["read", "profile"]).await.socket().await;
    for op in message_ops.iter().chain(&thread_ops).chain([&json!({"type": "thread_leave", "thread_id": id})]) {
        reader.op(op.clone()).await.refused("INSUFFICIENT_SCOPE");
    }
}

/// A foreign id and an absent id are answered in the same words.
async fn other_organisations_do_not_exist(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let ada = org.bot("ada").await;
    let [finn, gwen] = other.bots(["finn", "gwen"]).await;
    let thread = finn.thread("t", &[]).await;
    finn.artifact_add(&thread, json!({"artifact_key": "k"})).await.ok();
    let channel = finn.send(&gwen, "c").await.ok().text("channel_id");
    let mut socket = ada.socket().await;
    let ops = |thread: &str, channel: &str, bot: &str| {
        [
            json!({"type": "send", "channel_id": channel, "content": "c"}),
            json!({"type": "send_dm", "to": bot, "content": "c"}),
            json!({"type": "send_thread_message", "thread_id": thread, "content": "c"}),
            json!({"type": "thread_update", "thread_id": thread, "topic": "c"}),
            json!({"type": "thread_invite", "thread_id": thread, "bot_id": "ada"}),
            json!({"type": "thread_join", "thread_id": thread}),
            json!({"type": "thread_leave", "thread_id": thread}),
            json!({"type": "thread_remove_participant", "thread_id": thread, "bot_id": "ada"}),
            json!({"type": "artifact_add", "thread_id": thread, "artifact_key": "l"}),
            json!({"type": "artifact_update", "thread_id": thread, "artifact_key": "k", "content": "c"}),
            json!({"type": "thread_create", "topic": "t", "channel_id": channel}),
            json!({"type": "thread_create", "topic": "t", "participants": [bot]}),
        ]
    };
    let foreign = ops(&thread.id(), &channel, &finn.id);
    let absent = ops(NOBODY, NOBODY, NOBODY);
    for (foreign, absent) in foreign.into_iter().zip(absent) {
        let what = foreign.to_string();
        let (mut one, mut two) = (socket.op(foreign).await.0, socket.op(absent).await.0);
        (one["ref"], two["ref"]) = (json!(null), json!(null));
        assert_eq!(one["type"], "error", "{what}");
        let text = |value: &Value| value.to_string().replace(&finn.id, NOBODY);
        assert_eq!(text(&one), text(&two), "{what}");
    }
    assert_eq!(finn.thread_get(&thread).await["revision"], 1);
}

/// What the socket writes is what REST writes, but for the mark `via` in the audit.
async fn effects_match_rest(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let mut socket = ada.socket().await;
    let thread = socket
        .op(json!({"type": "thread_create", "topic": "t", "participants": ["bob"]}))
        .await
        .ack()
        .text("thread_id");
    let id = json!(thread);
    for op in [
        json!({"type": "send_dm", "to": "bob", "content": "c"}),
        json!({"type": "send_thread_message", "thread_id": id, "content": "c"}),
        json!({"type": "artifact_add", "thread_id": id, "artifact_key": "k"}),
        json!({"type": "artifact_update", "thread_id": id, "artifact_key": "k", "content": "c"}),
        json!({"type": "thread_update", "thread_id": id, "status": "blocked"}),
        json!({"type": "thread_remove_participant", "thread_id": id, "bot_id": "bob"}),
        json!({"type": "thread_invite", "thread_id": id, "bot_id": "bob"}),
    ] {
        socket.op(op).await.ack();
    }
    for (action, rows) in [
        ("message.send", 2),
        ("thread.create", 1),
        ("artifact.add", 1),
        ("artifact.update", 1),
        ("thread.status_changed", 1),
        ("thread.remove_participant", 1),
        ("thread.invite", 1),
    ] {
        let audit = org.audit(action).await;
        assert_eq!(audit.len(), rows, "{action}");
        assert!(audit.iter().all(|row| row["detail"]["via"] == "ws"), "{audit:?}");
    }
    let mut kinds: Vec<String> = bob.missed().await.iter().map(|event| event.text("type")).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let expected = [
        "channel_message_summary",
        "thread_artifact_added",
        "thread_invited",
        "thread_message_summary",
        "thread_participant_removed",
        "thread_status_changed",
    ];
    assert_eq!(kinds, expected);
}

async fn concurrent_updates_with_one_revision(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let mut sockets = [ada.socket().await, bob.socket().await];
    for revision in 1..=10 {
        let op = |n: usize| json!({"type": "thread_update", "thread_id": thread["id"], "topic": n.to_string(), "expected_revision": revision});
        let [one, two] = &mut sockets;
        let (one, two) = futures_util::future::join(one.op(op(1)), two.op(op(2))).await;
        let mut kinds = [one.0.text("type"), two.0.text("type")];
        kinds.sort_unstable();
        assert_eq!(kinds, ["ack", "error"]);
    }
    assert_eq!(ada.thread_get(&thread).await["revision"], 11);
}
