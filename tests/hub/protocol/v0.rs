//! The hub as clients from before 1.1 know it: everything under `/v0`, in their words, beside clients of today.

use crate::harness::*;

on_both_databases! {
    every_route_answers_below_the_prefix,
    a_session_of_that_age,
    channels_are_listed_and_written_to,
    admins_open_channels_of_two,
    the_root_has_the_old_routes,
    presence_is_told_of_agents,
    threads_have_a_type,
    threads_are_started_and_filtered_as_open,
    metadata_is_text,
    a_login_without_type_answers_a_ticket,
    a_ticket_ends_with_the_secret,
    agents_have_ids_and_roles,
    display_names_are_null,
    sockets_open_by_token,
    sockets_that_may_not_open_are_closed_with_the_same_codes,
    what_was_missed_is_told_in_the_same_words,
    limits_are_told_in_seconds,
    what_users_put_in_is_left_alone,
}

/// Old and new clients get the same statuses everywhere, except where a route meant something else then.
async fn every_route_answers_below_the_prefix(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let document = hub.anonymous().get("/openapi.json").await.ok();
    let mut checked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        // `/api/me` deletes its caller, a rotation takes its token away.
        if path.starts_with("/v0/") || path == "/api/me" || path == "/api/me/rotate-token" {
            continue;
        }
        let path: Vec<&str> = path.split('/').map(|part| if part.starts_with('{') { NOBODY } else { part }).collect();
        let path = path.join("/");
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            for caller in [hub.anonymous(), (*ada).clone()] {
                let (new, old) =
                    (caller.call(&method, &path).await.status, caller.old().call(&method, &path).await.status);
                assert_eq!(old, new, "{method} {path}");
                checked += 1;
            }
        }
    }
    assert!(checked > 150, "only {checked}");
    for path in ["/v0/api/me", "/V0/API/me/"] {
        assert_eq!(ada.get(path).await.ok()["name"], "ada", "{path}");
    }
    for path in ["/v0/v0/api/me", "/v1/api/me", "/v0api/me", "/v0/api/nothing"] {
        ada.get(path).await.missing();
    }
    assert_eq!(ada.old().call("HEAD", "/api/me").await.status, 200);
}

/// What the first SDK does, from the first call to the last.
async fn a_session_of_that_age(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let (old, peer) = (ada.old(), bob.old());
    let mut socket = peer.socket().await;

    let sent = old.post("/api/send", json!({"to": "bob", "content": "hi", "content_type": "text"})).await.ok();
    assert_eq!(socket.next("channel_created").await.items("members").len(), 2);
    let event = socket.next("message").await;
    assert_eq!((&event["channel_id"], &event["sender_name"]), (&sent["channel_id"], &json!("ada")));
    assert_eq!(event["message"]["content"], "hi");
    assert_eq!(peer.get("/api/inbox?since=0").await.list()[0]["content"], "hi");

    let draft = json!({"topic": "t", "type": "request", "participants": ["bob"], "context": {"a": 1}});
    let thread = old.post("/api/threads", draft).await.ok();
    assert_eq!((&thread["type"], &thread["context"]), (&json!("request"), &json!("{\"a\":1}")));
    assert_eq!(socket.next("thread_created").await["thread"], thread);
    let joined = socket.next("thread_participant").await;
    assert_eq!((&joined["agent_id"], &joined["bot_id"]), (&json!(ada.id), &json!(ada.id)));

    let base = format!("/api/threads/{}", thread.text("id"));
    let said = peer.post(format!("{base}/messages"), json!({"content": "done", "metadata": {"ok": true}})).await.ok();
    let heard = socket.next("thread_message").await;
    assert_eq!((&heard["message"], &heard["message"]["metadata"]), (&said, &json!("{\"ok\":true}")));
    let artifact = json!({"artifact_key": "k", "type": "text", "content": "c"});
    peer.post(format!("{base}/artifacts"), artifact).await.ok();
    assert_eq!(socket.next("thread_artifact").await["action"], "added");
    peer.patch(format!("{base}/artifacts/k"), json!({"content": "d"})).await.ok();
    assert_eq!(peer.get(format!("{base}/artifacts/k/versions")).await.list().len(), 2);

    old.patch(&base, json!({"status": "resolved"})).await.ok();
    let updated = socket.next("thread_updated").await;
    assert_eq!((&updated["thread"]["type"], &updated["thread"]["status"]), (&json!("request"), &json!("resolved")));
    assert_eq!(peer.get("/api/threads?status=resolved").await.ok().all("id"), [thread.text("id")]);
    let missed = peer.get("/api/me/catchup?since=0").await.ok();
    assert!(missed.items("events").iter().any(|event| event["type"] == "thread_invited"), "{missed}");
    old.patch(&base, json!({"status": "active"})).await.ok();
    peer.call("DELETE", &format!("{base}/participants/{}", bob.id)).await.ok();
    socket.send(&json!({"type": "ping"})).await;
    socket.next("pong").await;
}

async fn channels_are_listed_and_written_to(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    assert!(ada.old().get("/api/channels").await.list().is_empty());
    let first = ada.send(&bob, "1").await.ok().text("channel_id");
    let second = cleo.send(&ada, "2").await.ok().text("channel_id");
    let path = format!("/api/channels/{first}/messages");

    let mut socket = bob.old().socket().await;
    let body = json!({"content": "3", "content_type": "text", "parts": [{"type": "text", "content": "3"}]});
    let sent = ada.old().post(&path, body).await.ok();
    assert_eq!((&sent["channel_id"], &sent["content"]), (&json!(first), &json!("3")), "flat");
    assert_eq!(socket.next("message").await["message"]["id"], sent["id"]);

    let channels = ada.old().get("/api/channels").await.list();
    let ids: Vec<String> = channels.iter().map(|channel| channel.text("id")).collect();
    assert_eq!(ids, [first.clone(), second], "newest activity first");
    let keys = ["created_at", "id", "last_activity_at", "members", "name", "org_id", "type"];
    assert_eq!((channels[0].keys(), &channels[0]["type"]), (keys.to_vec(), &json!("direct")));
    let mut members: Vec<&str> = channels[0].items("members").iter().map(|id| id.as_str().unwrap()).collect();
    members.sort_unstable();
    assert_eq!(members, [ada.id.as_str(), bob.id.as_str()], "ids, in the order of their making");

    let one = ada.old().get(format!("/api/channels/{first}")).await.ok();
    assert_eq!(one["members"][0].keys(), ["display_name", "id", "name", "online"]);
    assert_eq!(ada.old().get(format!("{path}?limit=1")).await.list()[0]["content"], "3");

    cleo.old().post(&path, json!({"content": "4"})).await.forbidden();
    ada.old().post(format!("/api/channels/{NOBODY}/messages"), json!({"content": "4"})).await.missing();
    ada.old().post(&path, json!({"content": ""})).await.invalid();
    let reader = ada.scoped(&["read"]).await;
    reader.old().post(&path, json!({"content": "4"})).await.refused(403, "INSUFFICIENT_SCOPE");
    reader.old().get("/api/channels").await.ok();
}

/// A client from before 1.1 that was given the plain address: its login, its channels, and what it says there.
async fn the_root_has_the_old_routes(hub: TestHub) {
    let org = hub.with_org("a").await;
    let login = json!({"org_id": org.id, "org_secret": org.secret, "reusable": true, "expires_in": 60});
    let ticket = hub.anonymous().post("/api/auth/login", login).await.ok();
    assert_eq!(ticket.keys(), ["expires_at", "org", "reusable", "ticket"]);
    assert_eq!(ticket["org"], json!({"id": org.id, "name": "a"}));
    for name in ["cleo", "dora"] {
        let registration = json!({"org_id": org.id, "ticket": ticket["ticket"], "name": name});
        let bot = hub.anonymous().post("/api/auth/register", registration).await.ok();
        assert_eq!((&bot["auth_role"], bot["bot_id"].is_string()), (&json!("member"), true), "{name}");
    }
    let login = |secret: &str| json!({"org_id": org.id, "org_secret": secret});
    assert_eq!(hub.anonymous().post("/api/auth/login", login(&org.secret)).await.ok()["reusable"], false);
    hub.anonymous().post("/api/auth/login", login("wrong")).await.refused(401, "INVALID_CREDENTIALS");
    for bare in [json!({}), json!({"org_id": org.id}), json!({"org_id": org.id, "org_secret": 1, "type": null})] {
        hub.anonymous().post("/api/auth/login", bare).await.invalid();
    }

    let [ada, bob] = org.bots(["ada", "bob"]).await;
    assert!(ada.get("/api/channels").await.list().is_empty());
    let channel = ada.send(&bob, "1").await.ok().text("channel_id");
    let listed = ada.get("/api/channels").await.list();
    assert_eq!((listed.len(), listed[0].text("id")), (1, channel.clone()));
    assert_eq!(listed[0].items("members").len(), 2);
    let said = bob.post(format!("/api/channels/{channel}/messages"), json!({"content": "2"})).await.ok();
    assert_eq!((&said["channel_id"], &said["content"]), (&json!(channel), &json!("2")), "flat");
    let admin = org.admin_bot("boss").await;
    let role = admin.patch(format!("/api/org/agents/{}/role", ada.id), json!({"auth_role": "admin"})).await.ok();
    assert_eq!((&role["agent_id"], &role["bot_id"]), (&json!(ada.id), &json!(ada.id)));
}

async fn admins_open_channels_of_two(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let mut socket = ada.old().socket().await;
    let wanted = json!({"type": "direct", "members": ["ada", bob.id], "name": null});
    let opened = org.old().post("/api/channels", wanted.clone()).await.ok();
    let created = socket.next("channel_created").await;
    assert_eq!(created["channel"]["id"], opened["id"]);
    assert_eq!(opened.items("members").len(), 2);
    assert_eq!(org.old().post("/api/channels", wanted.clone()).await.ok()["id"], opened["id"]);
    assert_eq!(ada.send(&bob, "1").await.ok()["channel_id"], opened["id"]);
    let audit = org.audit("channel.create").await;
    assert_eq!((audit.len(), &audit[0]["target_id"]), (1, &opened["id"]));

    ada.old().post("/api/channels", wanted).await.forbidden();
    let group = json!({"type": "group", "members": ["ada", "bob"], "name": "g"});
    let refusal = org.old().post("/api/channels", group).await.invalid();
    assert!(refusal.text("error").contains("start a thread"), "{refusal}");
    let stranger = other.bot("stranger").await;
    let wrong = json!([["ada"], ["ada", "ada"], ["ada", ada.id], ["ada", 1], "ada", null, ["ada", stranger.id]]);
    for members in wrong.as_array().unwrap() {
        org.old().post("/api/channels", json!({"type": "direct", "members": members})).await.invalid();
    }
    org.old().post("/api/channels", json!({"members": ["ada", "bob"]})).await.invalid();
    assert!(socket.drain().await.iter().all(|event| event["type"] == "message"));
}

async fn presence_is_told_of_agents(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let (mut old, mut new) = (ada.old().ticket_socket().await, ada.socket().await);
    let socket = bob.old().socket().await;
    let agent = json!({"id": bob.id, "name": "bob", "display_name": null});
    let online = old.next("agent_online").await;
    assert_eq!((&online["agent"], online.get("bot")), (&agent, None));
    let online = new.next("bot_online").await;
    assert_eq!((&online["bot"], online.get("agent")), (&json!({"id": bob.id, "name": "bob"}), None));
    socket.close().await;
    assert_eq!(old.next("agent_offline").await["agent"], agent);
    bob.patch("/api/me/name", json!({"name": "robert"})).await.ok();
    assert_eq!(old.next("agent_renamed").await["agent_id"], json!(bob.id));
    let registered = org.bot("late").await;
    assert_eq!(old.next("agent_registered").await["agent"]["id"], json!(registered.id));
    let kinds = old.drain().await;
    assert!(kinds.iter().all(|event| !event.text("type").starts_with("bot_")), "{kinds:?}");
}

async fn threads_have_a_type(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let old = ada.old();
    let mut socket = old.socket().await;
    for (kind, given) in
        [("discussion", json!("discussion")), ("request", json!("request")), ("collab", json!("collab"))]
    {
        let thread =
            old.post("/api/threads", json!({"topic": kind, "type": given, "participants": ["bob"]})).await.ok();
        assert_eq!(thread["type"], kind);
        assert_eq!(socket.next("thread_created").await["thread"]["type"], kind);
        let path = format!("/api/threads/{}", thread.text("id"));
        assert_eq!(old.get(&path).await.ok()["type"], kind);
        assert_eq!(old.patch(&path, json!({"topic": "new"})).await.ok()["type"], kind);
        let new = bob.thread_get(&thread).await.ok();
        assert_eq!((&new["tags"], new.get("type")), (&json!([kind]), None), "new clients see a tag");
    }
    for plain in [json!({"topic": "t"}), json!({"topic": "t", "type": null})] {
        let thread = old.post("/api/threads", plain.clone()).await.ok();
        assert_eq!((&thread["type"], &thread["tags"]), (&json!("discussion"), &json!(null)), "{plain}");
    }
    for bad in [json!("party"), json!("Request"), json!(1)] {
        old.post("/api/threads", json!({"topic": "t", "type": bad})).await.invalid();
    }
    let tagged = ada.thread_create(json!({"topic": "t", "tags": ["a", "collab", "request"]})).await.ok();
    assert_eq!(old.get(format!("/api/threads/{}", tagged.text("id"))).await.ok()["type"], "collab");
    let listed = old.get("/api/threads").await.list();
    assert!(listed.iter().all(|thread| thread["type"].is_string()), "{listed:?}");
    let page = old.get("/api/threads?limit=2").await.ok();
    assert!(page.items("items").iter().all(|thread| thread["type"].is_string()), "{page}");
    let workspace = old.get("/api/me/workspace").await.ok();
    assert!(workspace["threads"].items("items").iter().all(|thread| thread["type"].is_string()), "{workspace}");
    let of_org = org.old().get("/api/org/threads").await.ok();
    assert!(of_org.to_string().contains("\"type\":\"collab\""), "{of_org}");
    ada.thread_create(json!({"topic": "t", "type": "party"})).await.ok();
}

async fn threads_are_started_and_filtered_as_open(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let old = ada.old();
    let thread = old.post("/api/threads", json!({"topic": "t", "participants": ["bob"]})).await.ok();
    assert_eq!(thread["status"], "active", "open is never said");
    assert_eq!(old.get("/api/threads?status=open").await.ok().all("id"), [thread.text("id")]);
    ada.threads("?status=open").await.invalid();
    org.old().get("/api/org/threads?status=open").await.ok();

    let path = format!("/api/threads/{}", thread.text("id"));
    let mut socket = bob.old().socket().await;
    let started = old.patch(&path, json!({"status": "active"})).await.ok();
    assert_eq!((&started["revision"], &started["updated_at"]), (&thread["revision"], &thread["updated_at"]));
    let mut operator = old.socket().await;
    let start = json!({"type": "thread_update", "thread_id": thread["id"], "status": "active"});
    assert_eq!(operator.op(start.clone()).await.ack()["changes"], json!([]));
    assert!(socket.drain().await.is_empty(), "nothing happened, so nobody hears of it");
    let both = old.patch(&path, json!({"status": "active", "topic": "u"})).await.ok();
    assert_eq!((&both["topic"], &both["revision"]), (&json!("u"), &json!(2)));
    assert_eq!(socket.next("thread_updated").await["changes"], json!(["topic"]));
    old.patch(&path, json!({"status": "active"})).if_match(1).await.refused(409, "REVISION_CONFLICT");
    ada.status(&thread, "active").await.refused(400, "INVALID_TRANSITION");
    ada.socket().await.op(start).await.refused("INVALID_TRANSITION");

    old.patch(&path, json!({"status": "blocked"})).await.ok();
    ada.status(&thread, "closed").await.refused(400, "INVALID_TRANSITION");
    old.patch(&path, json!({"status": "reviewing"})).await.refused(409, "INVALID_TRANSITION");
    let closed = old.patch(&path, json!({"status": "closed", "close_reason": "error"})).await.ok();
    assert_eq!((&closed["status"], &closed["close_reason"]), (&json!("closed"), &json!("error")));
    old.patch(&path, json!({"status": "closed", "close_reason": "error"})).await.refused(409, "INVALID_TRANSITION");
    old.patch(&path, json!({"status": "open"})).await.invalid();
    assert!(old.get("/api/threads?status=open").await.list().is_empty());
}

async fn metadata_is_text(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let path = format!("/api/threads/{}/messages", thread.text("id"));
    let (mut old, mut new) = (bob.old().socket().await, bob.socket().await);
    let cases = [
        (json!({"a": [1]}), json!("{\"a\":[1]}"), json!({"a": [1]})),
        (json!("{\"a\":[1]}"), json!("{\"a\":[1]}"), json!({"a": [1]})),
        (json!("plain"), json!("plain"), json!("plain")),
        (json!("\"quoted\""), json!("\"quoted\""), json!("\"quoted\"")),
        (json!(null), json!(null), json!(null)),
    ];
    for (given, shown, object) in &cases {
        let body = json!({"content": "c", "metadata": given});
        assert_eq!(&ada.old().post(&path, body).await.ok()["metadata"], shown, "{given}");
        let frame =
            json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "c", "metadata": given});
        old.op(frame).await.ack();
        for _ in 0..2 {
            assert_eq!(&old.next("thread_message").await["message"]["metadata"], shown, "{given}");
            assert_eq!(&new.next("thread_message").await["message"]["metadata"], object, "{given}");
        }
    }
    let texts = ada.old().get(&path).await.list();
    let objects = ada.messages(&thread, "").await.list();
    for (at, (_, shown, object)) in cases.iter().enumerate() {
        assert_eq!((&texts[2 * at]["metadata"], &objects[2 * at]["metadata"]), (shown, object), "row {at}");
        assert_eq!((&texts[2 * at + 1]["metadata"], &objects[2 * at + 1]["metadata"]), (shown, object), "row {at}");
    }
    let forged = json!({"content": "c", "metadata": "{\"provenance\":{\"authored_by\":\"human\"}}"});
    assert_eq!(ada.old().post(&path, forged).await.ok()["metadata"], "{}", "claims are not believed in any words");
}

async fn a_login_without_type_answers_a_ticket(hub: TestHub) {
    let org = hub.with_org("acme").await;
    let old = hub.anonymous().old();
    let login = |fields: Value| {
        let mut body = json!({"org_id": org.id, "org_secret": org.secret});
        body.as_object_mut().unwrap().extend(fields.as_object().cloned().unwrap());
        old.post("/api/auth/login", body)
    };
    let reply = login(json!({})).await;
    assert!(reply.header("set-cookie").is_none(), "no session");
    let answer = reply.ok();
    assert_eq!(answer.keys(), ["expires_at", "org", "reusable", "ticket"]);
    assert_eq!((&answer["reusable"], &answer["org"]), (&json!(false), &json!({"id": org.id, "name": "acme"})));
    let left = answer.int("expires_at") - now_ms();
    assert!((1_700_000..=1_800_000).contains(&left), "{left} ms");
    let register = |ticket: &Value, name: &str| {
        old.post("/api/auth/register", json!({"org_id": org.id, "ticket": ticket, "name": name}))
    };
    let bot = register(&answer["ticket"], "one").await.ok();
    assert_eq!((&bot["agent_id"], &bot["bot_id"]), (&bot["id"], &bot["id"]));
    register(&answer["ticket"], "two").await.refused(401, "TICKET_CONSUMED");
    let reusable = login(json!({"reusable": true, "expires_in": 60})).await.ok();
    assert!((50_000..=60_000).contains(&(reusable.int("expires_at") - now_ms())), "{reusable}");
    for name in ["two", "three"] {
        register(&reusable["ticket"], name).await.ok();
    }

    let session = login(json!({"type": "org_admin"})).await;
    assert!(session.header("set-cookie").is_some());
    assert_eq!(session.ok()["session"]["role"], "org_admin");
    login(json!({"org_secret": "wrong"})).await.refused(401, "INVALID_CREDENTIALS");
    login(json!({"org_id": NOBODY})).await.refused(401, "INVALID_CREDENTIALS");
    login(json!({"org_secret": 1})).await.invalid();
    old.post("/api/auth/login", json!({})).await.invalid();
    hub.super_admin().await.patch(format!("/api/orgs/{}", org.id), json!({"status": "suspended"})).await.ok();
    login(json!({})).await.refused(403, "ORG_INACTIVE");
    for _ in 0..4 {
        login(json!({"org_secret": "wrong"})).await.refused(401, "INVALID_CREDENTIALS");
    }
    login(json!({})).await.refused(429, "RATE_LIMITED");
}

async fn a_ticket_ends_with_the_secret(hub: TestHub) {
    let org = hub.with_org("a").await;
    let old = hub.anonymous().old();
    let body = json!({"org_id": org.id, "org_secret": org.secret, "reusable": true});
    let ticket = old.post("/api/auth/login", body.clone()).await.ok()["ticket"].clone();
    org.old().call("POST", "/api/org/rotate-secret").await.ok();
    let late = json!({"org_id": org.id, "ticket": ticket, "name": "late"});
    assert_eq!(old.post("/api/auth/register", late).await.status, 401);
    old.post("/api/auth/login", body).await.refused(401, "INVALID_CREDENTIALS");
}

async fn agents_have_ids_and_roles(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let role = |id: &str, role: &str| org.old().patch(format!("/api/org/agents/{id}/role"), json!({"auth_role": role}));
    let answer = role(&bob.id, "admin").await.ok();
    assert_eq!(answer, json!({"bot_id": bob.id, "auth_role": "admin", "agent_id": bob.id}));
    assert_eq!(bob.me().await.ok()["auth_role"], "admin");
    role(&bob.id, "king").await.invalid();
    role(NOBODY, "admin").await.missing();
    ada.old().patch(format!("/api/org/agents/{}/role", bob.id), json!({"auth_role": "member"})).await.forbidden();
    ada.patch(format!("/api/org/agents/{}/role", bob.id), json!({"auth_role": "member"})).await.forbidden();

    let thread = ada.thread("t", &[]).await;
    let path = format!("/api/threads/{}/participants", thread.text("id"));
    let invited = ada.old().post(&path, json!({"agent_id": bob.id, "label": "l"})).await.ok();
    assert_eq!((&invited["agent_id"], &invited["bot_id"]), (&json!(bob.id), &json!(bob.id)));
    let mut socket = ada.old().socket().await;
    let invite = json!({"type": "thread_invite", "thread_id": thread["id"], "agent_id": "cleo"});
    assert_eq!(socket.op(invite).await.ack()["agent_id"], json!(cleo.id));
    let joined = socket.next("thread_participant").await;
    assert_eq!((&joined["agent_id"], &joined["agent_name"]), (&json!(cleo.id), &json!("cleo")));
}

async fn display_names_are_null(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let channel = ada.send(&bob, "1").await.ok().text("channel_id");
    let thread = ada.thread("t", &[&bob]).await;
    let old = ada.old();
    let is_null = |object: &Value| assert_eq!(object.get("display_name"), Some(&Value::Null), "{object}");
    is_null(&old.get("/api/me").await.ok());
    is_null(&old.patch("/api/me/profile", json!({"bio": "b"})).await.ok());
    is_null(&old.get("/api/peers").await.list()[0]);
    is_null(&old.get(format!("/api/channels/{channel}")).await.ok()["members"][1]);
    is_null(&old.get(format!("/api/threads/{}", thread.text("id"))).await.ok()["participants"][1]);
    assert!(ada.me().await.ok().get("display_name").is_none());
}

async fn sockets_open_by_token(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let mut old = ada.old().socket().await;
    let me = || async { bob.get("/api/peers").await.list()[0]["online"].clone() };
    assert_eq!(me().await, true);
    let sent = bob.send(&ada, "1").await.ok();
    assert_eq!(old.next("message").await["message"]["id"], sent["message"]["id"]);
    let ack = old.op(json!({"type": "send", "channel_id": sent["channel_id"], "content": "2"})).await.ack();
    assert_eq!(old.next("message").await["message"]["id"], ack["message_id"], "the sender hears itself");
    let scoped = ada.scoped(&["read"]).await;
    let mut reader = scoped.old().socket().await;
    reader.op(json!({"type": "send_dm", "to": "bob", "content": "3"})).await.refused("INSUFFICIENT_SCOPE");
    let token = ada.get("/api/me/tokens").await.list()[0].text("id");
    ada.delete(format!("/api/me/tokens/{token}")).await.ok();
    assert_eq!(reader.closed().await, 4001, "revoked");
    old.close().await;
    eventually(me, |online| *online == json!(false)).await;
}

async fn sockets_that_may_not_open_are_closed_with_the_same_codes(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let old = hub.anonymous().old();
    let code = async |path: String| old.try_socket(&path).await.unwrap().closed().await;
    assert_eq!(code(format!("/ws?token={}", ada.secret())).await, 4001, "only under the prefix");
    for query in ["", "?token=", "?token=bot_unknown", "?ticket=x"] {
        assert_eq!(code(format!("/v0/ws{query}")).await, 4001, "{query}");
    }
    let both = format!("/v0/ws?ticket=x&token={}", ada.secret());
    assert_eq!(code(both).await, 4001, "a ticket goes before a token");
    org.settings(json!({"join_approval_required": true})).await.ok();
    let pending = org.bot("pending").await;
    assert_eq!(code(format!("/v0/ws?token={}", pending.secret())).await, 4403);
    org.hub.super_admin().await.patch(format!("/api/orgs/{}", org.id), json!({"status": "suspended"})).await.ok();
    assert_eq!(code(format!("/v0/ws?token={}", ada.secret())).await, 4100);
}

async fn what_was_missed_is_told_in_the_same_words(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let mut socket = ada.old().socket().await;
    bob.send(&ada, "1").await.ok();
    let last = socket.next("message").await;
    bob.socket().await.close().await;
    let point = format!("&epoch={}&since_seq={}", last.text("epoch"), last.int("seq"));
    let mut again = ada.old().try_socket(&format!("/v0/ws?token={}{point}", ada.secret())).await.unwrap();
    assert_eq!(again.next("resumed").await["resumed"], true);
    assert_eq!(again.next("agent_online").await["agent"]["name"], "bob");
    let resume = json!({"type": "resume", "epoch": last["epoch"], "since_seq": last["seq"]});
    let events = again.op(resume).await.ack()["events"].clone();
    assert_eq!((&events[0]["type"], &events[0]["agent"]["id"]), (&json!("agent_online"), &json!(bob.id)));
}

async fn limits_are_told_in_seconds(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    org.settings(json!({"messages_per_minute_per_bot": 1})).await.ok();
    ada.old().post("/api/send", json!({"to": "bob", "content": "1"})).await.ok();
    let reply = ada.old().post("/api/send", json!({"to": "bob", "content": "2"})).await;
    assert!(reply.header("retry-after").is_some());
    assert!((1..=60).contains(&reply.refused(429, "RATE_LIMITED").int("retry_after")));
    let frame = json!({"type": "send_dm", "to": bob.id, "content": "3"});
    let refusal = ada.old().socket().await.op(frame.clone()).await.refused("rate_limited");
    assert!((1..=60).contains(&refusal.int("retry_after")), "{refusal}");
    ada.socket().await.op(frame).await.refused("RATE_LIMITED");
}

/// Fields that only look like the hub's stay as they are, in profiles, parts and files.
async fn what_users_put_in_is_left_alone(hub: TestHub) {
    let org = hub.with_org("a").await;
    let own = json!({"bot_id": "ada", "topic": "t", "join_policy": "j", "name": "n", "online": true});
    let ada = org.bot_from(json!({"ticket": org.ticket, "name": "ada", "metadata": own})).await;
    let bob = org.bot("bob").await;
    let old = ada.old();
    assert_eq!(old.get("/api/me").await.ok()["metadata"], own, "the metadata of a bot is an object");
    let parts = json!([{"type": "json", "content": own}]);
    let sent = old.post("/api/send", json!({"to": bob.id, "content": "c", "parts": parts})).await.ok();
    assert_eq!(sent["message"]["parts"], parts);
    let boundary = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.json\"\r\n\
                    Content-Type: application/json\r\n\r\n{ \"bot_id\": 1 }\r\n--b--\r\n";
    let file = old.call("POST", "/api/files/upload").raw("multipart/form-data; boundary=b", boundary).await.ok();
    assert_eq!(old.get(file.text("url")).await.text, "{ \"bot_id\": 1 }", "also below the prefix");
    assert_eq!(ada.get(file.text("url")).await.text, "{ \"bot_id\": 1 }");
    let document = ada.get("/openapi.json").await.text;
    assert_eq!(old.get("/openapi.json").await.text, document);
}
