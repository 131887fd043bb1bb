//! Who hears what, in which order, and with which fields.
//!
//! The cast: ada acts, bob takes part too, out belongs to the organisation only, admin is an org admin's socket, sub one that
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
    ada: Bot,
    bob: Bot,
    out: Bot,
    sockets: [(&'static str, Socket); 6],
}

/// Everybody connected; `sub` watches the given thread and channel.
async fn cast(hub: &TestHub) -> Cast {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob, out] = org.bots(["ada", "bob", "out"]).await;
    let foreign = other.bot("ada").await;
    let sockets = [
        ("ada", ada.socket().await),
        ("bob", bob.socket().await),
        ("out", out.socket().await),
        ("admin", org.socket().await),
        ("sub", org.socket().await),
        ("foreign", foreign.socket().await),
    ];
    let mut cast = Cast { ada, bob, out, sockets };
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
    let channel = cast.ada.send(&cast.bob, "first").await.ok()["channel_id"].clone();
    let opened = "channel_created message";
    assert_eq!(
        cast.heard().await,
        json!({"ada": opened, "bob": opened, "admin": "channel_created", "sub": "channel_created"})
    );
    cast.watch(json!({"channel_id": channel})).await;
    cast.bob.send(&cast.ada, "second").await.ok();
    assert_eq!(cast.heard().await, json!({"ada": "message", "bob": "message", "sub": "message"}));
}

async fn thread_lifecycle(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let thread = cast.ada.thread("t", &[&cast.bob]).await;
    let created = "thread_created thread_participant thread_participant";
    assert_eq!(
        cast.heard().await,
        json!({"ada": created, "bob": created, "admin": "thread_created", "sub": "thread_created"})
    );
    cast.watch(json!({"thread_id": thread["id"]})).await;
    cast.bob.say(&thread, "hello").await.ok();
    assert_eq!(cast.heard().await, json!({"ada": "thread_message", "bob": "thread_message", "sub": "thread_message"}));
    cast.ada.status(&thread, "blocked").await.ok();
    assert_eq!(cast.heard().await, json!({"ada": "thread_updated", "bob": "thread_updated", "sub": "thread_updated"}));
}

async fn thread_updates(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let thread = cast.ada.thread("t", &[&cast.bob]).await;
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
        let after = cast.ada.thread_patch(&thread, fields.clone()).await.ok();
        let events = cast.socket("bob").drain().await;
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
    let thread = cast.ada.thread("t", &[&cast.bob]).await;
    cast.watch(json!({"thread_id": thread["id"]})).await;
    let everybody = |kind: &str| json!({"ada": kind, "bob": kind, "out": kind, "sub": kind});
    cast.ada.invite_body(&thread, json!({"bot_id": "out", "label": "guest"})).await.ok();
    let event = cast.socket("out").next("thread_participant").await;
    insta::assert_json_snapshot!("event_invited", shape(&event));
    assert_eq!((&event["by"], &event["bot_id"]), (&json!(cast.ada.id), &json!(cast.out.id)));
    assert_eq!(
        cast.heard().await,
        json!({"ada": "thread_participant", "bob": "thread_participant", "sub": "thread_participant"})
    );
    cast.ada.invite(&thread, &cast.out).await.ok();
    assert_eq!(cast.heard().await, json!({}), "already in: nothing happened");
    cast.out.leave(&thread).await.ok();
    let event = cast.socket("out").next("thread_participant").await;
    insta::assert_json_snapshot!("event_left", shape(&event));
    cast.heard().await;
    cast.out.join(&thread).await.ok();
    assert_eq!(cast.heard().await, everybody("thread_participant"));
    cast.ada.remove(&thread, "out").await.ok();
    assert_eq!(cast.heard().await, everybody("thread_participant"), "the removed one is told too");
    cast.ada.say(&thread, "out is out").await.ok();
    assert_eq!(cast.heard().await, json!({"ada": "thread_message", "bob": "thread_message", "sub": "thread_message"}));
}

async fn join_requests(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let thread =
        cast.ada.thread_create(json!({"topic": "t", "participants": ["bob"], "join_policy": "approval"})).await.ok();
    cast.watch(json!({"thread_id": thread["id"]})).await;
    let request = cast.out.join(&thread).await.status(202).text("request_id");
    let event = cast.socket("bob").next("thread_join_request").await;
    insta::assert_json_snapshot!("event_join_request", shape(&event));
    assert_eq!((&event["request_id"], &event["bot_id"]), (&json!(request), &json!(cast.out.id)));
    assert_eq!(
        cast.heard().await,
        json!({"ada": "thread_join_request", "sub": "thread_join_request"}),
        "not the requester"
    );
    cast.bob.decide(&thread, &request, "approve").await.ok();
    let event = cast.socket("out").next("thread_participant").await;
    assert_eq!((&event["action"], &event["by"]), (&json!("joined"), &json!(cast.bob.id)));
    assert_eq!(cast.heard().await["out"], "thread_join_resolved");
}

/// A bot that was turned away used to wait for ever. It hears of it by whatever way the request ends.
async fn refused_join_requests(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let thread = json!({"topic": "t", "participants": ["bob"], "join_policy": "approval"});
    let thread = cast.ada.thread_create(thread).await.ok();
    cast.watch(json!({"thread_id": thread["id"]})).await;
    let request = cast.out.join(&thread).await.status(202).text("request_id");
    cast.heard().await;
    cast.bob.decide(&thread, &request, "reject").await.ok();
    let event = cast.socket("out").next("thread_join_resolved").await;
    insta::assert_json_snapshot!("event_join_resolved", shape(&event));
    assert_eq!(
        [&event["thread_id"], &event["request_id"], &event["bot_id"], &event["status"]],
        [&thread["id"], &json!(request), &json!(cast.out.id), &json!("rejected")]
    );
    let told = "thread_join_resolved";
    assert_eq!(cast.heard().await, json!({"ada": told, "bob": told, "sub": told}), "nobody else");
    let again = cast.out.join(&thread).await.status(202).text("request_id");
    cast.heard().await;
    cast.ada.thread_patch(&thread, json!({"join_policy": "invite_only"})).await.ok();
    let event = cast.socket("out").next("thread_join_resolved").await;
    assert_eq!((&event["request_id"], &event["status"]), (&json!(again), &json!("rejected")));
    let both = "thread_updated thread_join_resolved";
    assert_eq!(cast.heard().await, json!({"ada": both, "bob": both, "sub": both}));
    cast.out.join(&thread).await.refused(403, "INVITE_ONLY");
}

async fn artifacts(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let thread = cast.ada.thread("t", &[&cast.bob]).await;
    cast.watch(json!({"thread_id": thread["id"]})).await;
    let added = cast.bob.artifact_add(&thread, json!({"artifact_key": "k", "content": "1"})).await.ok();
    let event = cast.socket("ada").next("thread_artifact").await;
    assert_eq!((&event["action"], &event["artifact"], &event["thread_id"]), (&json!("added"), &added, &thread["id"]));
    assert_eq!(cast.heard().await, json!({"bob": "thread_artifact", "sub": "thread_artifact"}));
    let updated = cast.ada.artifact_update(&thread, "k", json!({"content": "2"})).await.ok();
    let event = cast.socket("ada").next("thread_artifact").await;
    assert_eq!((&event["action"], &event["artifact"]), (&json!("updated"), &updated));
}

async fn messages_carry_parts_as_given(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let thread = cast.ada.thread("t", &[&cast.bob]).await;
    let parts = json!([
        {"type": "json", "content": {"a": [1, {"b": null}]}},
        {"type": "markdown", "content": "*m*", "extra": true},
        {"type": "file", "url": "/api/files/1", "name": "n", "mime_type": "text/plain"},
    ]);
    cast.ada.message(&thread, json!({"parts": parts})).await.ok();
    cast.ada.send_body(json!({"to": "bob", "parts": parts})).await.ok();
    let in_thread = cast.socket("bob").next("thread_message").await;
    let direct = cast.socket("bob").next("message").await;
    assert_eq!((&in_thread["message"]["parts"], &direct["message"]["parts"]), (&parts, &parts));
}

async fn event_fields(hub: TestHub) {
    let mut cast = cast(&hub).await;
    let sent = cast.ada.send(&cast.bob, "hi").await.ok();
    let thread = cast.ada.thread("t", &[&cast.bob]).await;
    let said = cast.ada.say(&thread, "hello @bob").await.ok();
    let events = cast.socket("bob").drain().await;
    insta::assert_json_snapshot!("events", shape(&json!(events)));
    let find = |kind: &str| events.iter().find(|event| event["type"] == kind).unwrap();
    assert_eq!(find("message")["message"], sent["message"]);
    assert_eq!(find("thread_created")["thread"], thread);
    assert_eq!(find("thread_message")["message"], said);
    let members = find("channel_created").items("members");
    assert!(members.contains(&json!(cast.ada.id)) && members.contains(&json!(cast.bob.id)));
}

/// The same story told over REST and over the socket sounds the same to a listener.
async fn rest_and_socket_cause_the_same_events(hub: TestHub) {
    let cast = cast(&hub).await;
    let (ada, bob) = (&cast.ada, &cast.bob);
    let mut listener = bob.socket().await;
    ada.send(bob, "c").await.ok();
    let thread = ada.thread("t", &[bob]).await;
    ada.say(&thread, "c").await.ok();
    ada.artifact_add(&thread, json!({"artifact_key": "k"})).await.ok();
    ada.artifact_update(&thread, "k", json!({"content": "c"})).await.ok();
    ada.invite(&thread, &cast.out).await.ok();
    ada.remove(&thread, "out").await.ok();
    ada.status(&thread, "closed").await.ok();
    let rest = shape(&json!(listener.drain().await));

    let mut socket = ada.socket().await;
    socket.op(json!({"type": "send_dm", "to": "bob", "content": "c"})).await.ack();
    let id =
        socket.op(json!({"type": "thread_create", "topic": "t", "participants": ["bob"]})).await.ack()["thread_id"]
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
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        let sockets = [ada.socket().await, bob.socket().await, org.socket().await];
        worlds.push((canary, org, ada, bob, sockets));
    }
    for (canary, _, ada, bob, _) in &worlds {
        ada.send(bob, canary).await.ok();
        let thread = ada.thread(canary, &[bob]).await;
        ada.say(&thread, canary).await.ok();
        ada.artifact_add(&thread, json!({"artifact_key": canary, "content": canary})).await.ok();
        ada.patch("/api/me/profile", json!({"bio": canary})).await.ok();
    }
    for (canary, org, ada, bob, sockets) in &mut worlds {
        let other = if *canary == "canary-one" { "canary-two" } else { "canary-one" };
        let mut seen = Vec::new();
        for socket in sockets {
            seen.push(json!(socket.drain().await).to_string());
        }
        for bot in [&*ada, &*bob] {
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
