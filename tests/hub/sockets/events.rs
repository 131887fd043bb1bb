//! Who hears what, in which order, and with which fields.
//!
//! The cast: x acts, y takes part too, out belongs to the organisation only, admin is an org admin's socket, sub one that
//! subscribed to the thread, foreign belongs to another organisation.

use crate::harness::*;

on_both_databases! {
    direct_messages,
    thread_lifecycle,
    thread_updates,
    participants,
    join_requests,
    refused_join_requests,
    artifacts,
    messages_carry_parts_as_given,
    event_fields,
    rest_and_socket_cause_the_same_events,
    canaries_stay_in_their_organisation,
}

struct Cast {
    x: Bot,
    y: Bot,
    out: Bot,
    sockets: [(&'static str, Socket); 6],
}

/// Everybody connected; `sub` watches the given thread and channel.
async fn cast(hub: &TestHub) -> Cast {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [x, y, out] = org.bots(["x", "y", "out"]).await;
    let foreign = other.bot("x").await;
    let sockets = [
        ("x", x.socket().await),
        ("y", y.socket().await),
        ("out", out.socket().await),
        ("admin", org.socket().await),
        ("sub", org.socket().await),
        ("foreign", foreign.socket().await),
    ];
    let mut cast = Cast { x, y, out, sockets };
    cast.heard().await;
    cast
}

impl Cast {
    fn socket(&mut self, name: &str) -> &mut Socket {
        self.sockets.iter_mut().find(|(who, _)| *who == name).map(|(_, socket)| socket).unwrap()
    }

    async fn watch(&mut self, target: Value) {
        let mut frame = target;
        frame["type"] = json!("subscribe");
        self.socket("sub").send(&frame).await;
        self.heard().await;
    }

    /// What everybody heard since the last time, as `type type …` per name; silent ones are left out.
    async fn heard(&mut self) -> Value {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let mut heard = json!({});
        for (name, socket) in &mut self.sockets {
            let kinds: Vec<String> = socket.drain().await.iter().map(|event| event.text("type")).collect();
            if !kinds.is_empty() {
                heard[*name] = json!(kinds.join(" "));
            }
        }
        heard
    }
}

async fn direct_messages(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let channel = cast.x.send(&cast.y, "first").await.ok()["channel_id"].clone();
    let opened = "channel_created message";
    assert_eq!(
        cast.heard().await,
        json!({"x": opened, "y": opened, "admin": "channel_created", "sub": "channel_created"})
    );
    cast.watch(json!({"channel_id": channel})).await;
    cast.y.send(&cast.x, "second").await.ok();
    assert_eq!(cast.heard().await, json!({"x": "message", "y": "message", "sub": "message"}));
}

async fn thread_lifecycle(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let thread = cast.x.thread("t", &[&cast.y]).await;
    let created = "thread_created thread_participant thread_participant";
    assert_eq!(
        cast.heard().await,
        json!({"x": created, "y": created, "admin": "thread_created", "sub": "thread_created"})
    );
    cast.watch(json!({"thread_id": thread["id"]})).await;
    cast.y.say(&thread, "hello").await.ok();
    assert_eq!(cast.heard().await, json!({"x": "thread_message", "y": "thread_message", "sub": "thread_message"}));
    cast.x.status(&thread, "blocked").await.ok();
    assert_eq!(cast.heard().await, json!({"x": "thread_updated", "y": "thread_updated", "sub": "thread_updated"}));
}

async fn thread_updates(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let thread = cast.x.thread("t", &[&cast.y]).await;
    cast.heard().await;
    let cases = [
        (json!({"topic": "u"}), json!(["topic"])),
        (json!({"status": "resolved"}), json!(["status", "resolved_at"])),
        (json!({"status": "active"}), json!(["status", "resolved_at"])),
        (json!({"status": "closed", "close_reason": "error"}), json!(["status", "close_reason"])),
        (json!({"status": "active", "context": 1}), json!(["status", "close_reason", "context"])),
        (json!({"permission_policy": {}}), json!(["permission_policy"])),
        (json!({"visibility": "private"}), json!(["visibility", "join_policy"])),
    ];
    for (fields, changes) in cases {
        let after = cast.x.thread_patch(&thread, fields.clone()).await.ok();
        let events = cast.socket("y").drain().await;
        assert_eq!(events.len(), 1, "one event per change: {events:?}");
        assert_eq!((&events[0]["type"], &events[0]["thread"]), (&json!("thread_updated"), &after), "{fields}");
        let sort = |list: &Value| {
            let mut names: Vec<String> =
                list.as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned()).collect();
            names.sort_unstable();
            names
        };
        let (got, wanted) = (sort(&events[0]["changes"]), sort(&changes));
        assert!(wanted.iter().all(|name| got.contains(name)), "{fields}: {got:?} lacks some of {wanted:?}");
    }
}

async fn participants(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let thread = cast.x.thread("t", &[&cast.y]).await;
    cast.watch(json!({"thread_id": thread["id"]})).await;
    let everybody = |kind: &str| json!({"x": kind, "y": kind, "out": kind, "sub": kind});
    cast.x.invite_body(&thread, json!({"bot_id": "out", "label": "guest"})).await.ok();
    let event = cast.socket("out").next("thread_participant").await;
    insta::assert_json_snapshot!("event_invited", shape(&event));
    assert_eq!((&event["by"], &event["bot_id"]), (&json!(cast.x.id), &json!(cast.out.id)));
    assert_eq!(
        cast.heard().await,
        json!({"x": "thread_participant", "y": "thread_participant", "sub": "thread_participant"})
    );
    cast.x.invite(&thread, &cast.out).await.ok();
    assert_eq!(cast.heard().await, json!({}), "already in: nothing happened");
    cast.out.leave(&thread).await.ok();
    let event = cast.socket("out").next("thread_participant").await;
    insta::assert_json_snapshot!("event_left", shape(&event));
    cast.heard().await;
    cast.out.join(&thread).await.ok();
    assert_eq!(cast.heard().await, everybody("thread_participant"));
    cast.x.remove(&thread, "out").await.ok();
    assert_eq!(cast.heard().await, everybody("thread_participant"), "the removed one is told too");
    cast.x.say(&thread, "out is out").await.ok();
    assert_eq!(cast.heard().await, json!({"x": "thread_message", "y": "thread_message", "sub": "thread_message"}));
}

async fn join_requests(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let thread =
        cast.x.thread_create(json!({"topic": "t", "participants": ["y"], "join_policy": "approval"})).await.ok();
    cast.watch(json!({"thread_id": thread["id"]})).await;
    let request = cast.out.join(&thread).await.status(202).text("request_id");
    let event = cast.socket("y").next("thread_join_request").await;
    insta::assert_json_snapshot!("event_join_request", shape(&event));
    assert_eq!((&event["request_id"], &event["bot_id"]), (&json!(request), &json!(cast.out.id)));
    assert_eq!(
        cast.heard().await,
        json!({"x": "thread_join_request", "sub": "thread_join_request"}),
        "not the requester"
    );
    cast.y.decide(&thread, &request, "approve").await.ok();
    let event = cast.socket("out").next("thread_participant").await;
    assert_eq!((&event["action"], &event["by"]), (&json!("joined"), &json!(cast.y.id)));
    assert_eq!(cast.heard().await["out"], "thread_join_resolved");
}

/// A bot that was turned away used to wait for ever. It hears of it by whatever way the request ends.
async fn refused_join_requests(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let thread = json!({"topic": "t", "participants": ["y"], "join_policy": "approval"});
    let thread = cast.x.thread_create(thread).await.ok();
    cast.watch(json!({"thread_id": thread["id"]})).await;
    let request = cast.out.join(&thread).await.status(202).text("request_id");
    cast.heard().await;
    cast.y.decide(&thread, &request, "reject").await.ok();
    let event = cast.socket("out").next("thread_join_resolved").await;
    insta::assert_json_snapshot!("event_join_resolved", shape(&event));
    assert_eq!(
        [&event["thread_id"], &event["request_id"], &event["bot_id"], &event["status"]],
        [&thread["id"], &json!(request), &json!(cast.out.id), &json!("rejected")]
    );
    let told = "thread_join_resolved";
    assert_eq!(cast.heard().await, json!({"x": told, "y": told, "sub": told}), "nobody else");
    let again = cast.out.join(&thread).await.status(202).text("request_id");
    cast.heard().await;
    cast.x.thread_patch(&thread, json!({"join_policy": "invite_only"})).await.ok();
    let event = cast.socket("out").next("thread_join_resolved").await;
    assert_eq!((&event["request_id"], &event["status"]), (&json!(again), &json!("rejected")));
    let both = "thread_updated thread_join_resolved";
    assert_eq!(cast.heard().await, json!({"x": both, "y": both, "sub": both}));
    cast.out.join(&thread).await.refused(403, "INVITE_ONLY");
}

async fn artifacts(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let thread = cast.x.thread("t", &[&cast.y]).await;
    cast.watch(json!({"thread_id": thread["id"]})).await;
    let added = cast.y.artifact_add(&thread, json!({"artifact_key": "k", "content": "1"})).await.ok();
    let event = cast.socket("x").next("thread_artifact").await;
    assert_eq!((&event["action"], &event["artifact"], &event["thread_id"]), (&json!("added"), &added, &thread["id"]));
    assert_eq!(cast.heard().await, json!({"y": "thread_artifact", "sub": "thread_artifact"}));
    let updated = cast.x.artifact_update(&thread, "k", json!({"content": "2"})).await.ok();
    let event = cast.socket("x").next("thread_artifact").await;
    assert_eq!((&event["action"], &event["artifact"]), (&json!("updated"), &updated));
}

async fn messages_carry_parts_as_given(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let thread = cast.x.thread("t", &[&cast.y]).await;
    let parts = json!([
        {"type": "json", "content": {"a": [1, {"b": null}]}},
        {"type": "markdown", "content": "*m*", "extra": true},
        {"type": "file", "url": "/api/files/1", "name": "n", "mime_type": "text/plain"},
    ]);
    cast.x.message(&thread, json!({"parts": parts})).await.ok();
    cast.x.send_body(json!({"to": "y", "parts": parts})).await.ok();
    let in_thread = cast.socket("y").next("thread_message").await;
    let direct = cast.socket("y").next("message").await;
    assert_eq!((&in_thread["message"]["parts"], &direct["message"]["parts"]), (&parts, &parts));
}

async fn event_fields(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let sent = cast.x.send(&cast.y, "hi").await.ok();
    let thread = cast.x.thread("t", &[&cast.y]).await;
    let said = cast.x.say(&thread, "hello @y").await.ok();
    let events = cast.socket("y").drain().await;
    insta::assert_json_snapshot!("events", shape(&json!(events)));
    let find = |kind: &str| events.iter().find(|event| event["type"] == kind).unwrap();
    assert_eq!(find("message")["message"], sent["message"]);
    assert_eq!(find("thread_created")["thread"], thread);
    assert_eq!(find("thread_message")["message"], said);
    let members = find("channel_created").items("members");
    assert!(members.contains(&json!(cast.x.id)) && members.contains(&json!(cast.y.id)));
}

/// The same story told over REST and over the socket sounds the same to a listener.
async fn rest_and_socket_cause_the_same_events(hub: TestHub) {
    let cast = cast(&hub).await;
    let (x, y) = (&cast.x, &cast.y);
    let mut listener = y.socket().await;
    x.send(y, "c").await.ok();
    let thread = x.thread("t", &[y]).await;
    x.say(&thread, "c").await.ok();
    x.artifact_add(&thread, json!({"artifact_key": "k"})).await.ok();
    x.artifact_update(&thread, "k", json!({"content": "c"})).await.ok();
    x.invite(&thread, &cast.out).await.ok();
    x.remove(&thread, "out").await.ok();
    x.status(&thread, "closed").await.ok();
    let rest = shape(&json!(listener.drain().await));

    let mut socket = x.socket().await;
    socket.op(json!({"type": "send_dm", "to": "y", "content": "c"})).await.ack();
    let id = socket.op(json!({"type": "thread_create", "topic": "t", "participants": ["y"]})).await.ack()["thread_id"]
        .clone();
    for op in [
        json!({"type": "send_thread_message", "thread_id": id, "content": "c"}),
        json!({"type": "artifact_add", "thread_id": id, "artifact_key": "k"}),
        json!({"type": "artifact_update", "thread_id": id, "artifact_key": "k", "content": "c"}),
        json!({"type": "thread_invite", "thread_id": id, "bot_id": "out"}),
        json!({"type": "thread_remove_participant", "thread_id": id, "bot_id": "out"}),
        json!({"type": "thread_update", "thread_id": id, "status": "closed", "close_reason": "manual"}),
    ] {
        socket.op(op).await.ack();
    }
    let mut ws = vec![rest[0].clone()];
    ws.extend(shape(&json!(listener.drain().await)).as_array().unwrap().clone());
    assert_eq!(rest[0]["type"], "channel_created");
    assert_eq!(json!(ws), rest);
}

/// Two organisations with the same bot names; neither's words appear on the other's sockets or lists.
async fn canaries_stay_in_their_organisation(hub: TestHub) {
    let mut worlds = Vec::new();
    for canary in ["canary-one", "canary-two"] {
        let org = hub.with_org(canary).await;
        let [x, y] = org.bots(["x", "y"]).await;
        let sockets = [x.socket().await, y.socket().await, org.socket().await];
        worlds.push((canary, org, x, y, sockets));
    }
    for (canary, _, x, y, _) in &worlds {
        x.send(y, canary).await.ok();
        let thread = x.thread(canary, &[y]).await;
        x.say(&thread, canary).await.ok();
        x.artifact_add(&thread, json!({"artifact_key": canary, "content": canary})).await.ok();
        x.patch("/api/me/profile", json!({"bio": canary})).await.ok();
    }
    for (canary, org, x, y, sockets) in &mut worlds {
        let other = if *canary == "canary-one" { "canary-two" } else { "canary-one" };
        let mut seen = Vec::new();
        for socket in sockets {
            seen.push(json!(socket.drain().await).to_string());
        }
        for bot in [&*x, &*y] {
            for path in [
                "/api/inbox?since=0",
                "/api/me/workspace",
                "/api/threads?scope=org",
                "/api/peers",
                "/api/bots",
                "/api/me/catchup?since=0",
            ] {
                seen.push(bot.get(path).await.text);
            }
        }
        seen.push(org.get("/api/audit").await.text);
        assert!(seen.iter().any(|text| text.contains(*canary)));
        assert!(seen.iter().all(|text| !text.contains(other)), "{other} was seen in {canary}");
    }
}
