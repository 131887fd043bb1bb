//! What each role may do, and how what people did is recorded.

use crate::harness::*;

on_both_databases! {
    roles_see_what_they_should,
    a_persons_changes_are_recorded_under_its_id,
    only_admins_have_sockets,
    others_change_nothing,
}

async fn roles_see_what_they_should(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(json!({"join_approval_required": true})).await.ok();
    let ticket = org.post("/api/org/tickets", json!({"skip_approval": true, "reusable": true})).await.ok();
    let active = |name: &'static str| org.bot_from(json!({"ticket": ticket["ticket"], "name": name}));
    let (ada, bob, pending) = (active("ada").await, active("bob").await, org.bot("cleo").await);
    let thread = ada.thread("the topic", &[&bob]).await;
    ada.say(&thread, "said in the thread").await.ok();
    let channel = ada.send(&bob, "said to bob").await.ok().text("channel_id");
    let file = ada.upload("a.txt", "bytes").await.ok();
    let thread = thread.id();
    let (admin, auditor) = (org.person("adm", "admin").await, org.person("aud", "auditor").await);
    let (coordinator, viewer) = (org.person("coo", "coordinator").await, org.person("vie", "viewer").await);
    let responder = org.person("res", "responder").await;
    let people = [&admin, &auditor, &coordinator, &viewer, &responder];
    // Of admin, auditor, coordinator, viewer and responder.
    let table = [
        ("/api/org".to_owned(), [200, 200, 200, 200, 200]),
        ("/api/auth/session".to_owned(), [200, 200, 200, 200, 200]),
        ("/api/org/threads".to_owned(), [200, 200, 200, 200, 403]),
        ("/api/org/threads?limit=1".to_owned(), [200, 200, 200, 200, 403]),
        (format!("/api/org/threads/{thread}"), [200, 200, 200, 200, 403]),
        (format!("/api/org/threads/{thread}/messages"), [200, 200, 200, 200, 403]),
        (format!("/api/org/threads/{thread}/artifacts"), [200, 200, 200, 200, 403]),
        ("/api/org/search?q=thread".to_owned(), [200, 200, 200, 200, 403]),
        ("/api/bots".to_owned(), [200, 200, 200, 200, 403]),
        (format!("/api/bots/{}", ada.id), [200, 200, 200, 200, 403]),
        (format!("/api/bots/{}", pending.id), [200, 200, 404, 404, 403]),
        ("/api/bots/ada/webhook/health".to_owned(), [200, 200, 200, 200, 403]),
        (format!("/api/files/{}/info", file.id()), [200, 200, 200, 200, 403]),
        (format!("/api/files/{}", file.id()), [200, 200, 200, 200, 403]),
        (format!("/api/channels/{channel}"), [200, 200, 403, 403, 403]),
        (format!("/api/channels/{channel}/messages"), [200, 200, 403, 403, 403]),
        (format!("/api/bots/{}/channels", ada.id), [200, 200, 403, 403, 403]),
        ("/api/org/people".to_owned(), [200, 200, 200, 403, 403]),
        (format!("/api/org/people/{}", viewer.id), [200, 200, 200, 403, 403]),
        ("/api/audit".to_owned(), [200, 200, 403, 403, 403]),
        ("/api/org/settings".to_owned(), [200, 200, 403, 403, 403]),
        ("/api/org/sessions".to_owned(), [200, 200, 403, 403, 403]),
        // Whoever sees a ticket may use it.
        ("/api/org/tickets".to_owned(), [200, 403, 403, 403, 403]),
        (format!("/api/org/bots/{}/webhook/deliveries", ada.id), [200, 403, 403, 403, 403]),
        (format!("/api/orgs/{}/tombstones", org.id), [200, 403, 403, 403, 403]),
        // Routes of bots, and of the platform.
        ("/api/me".to_owned(), [403, 403, 403, 403, 403]),
        ("/api/threads".to_owned(), [403, 403, 403, 403, 403]),
        ("/api/inbox?since=0".to_owned(), [403, 403, 403, 403, 403]),
        ("/api/orgs".to_owned(), [401, 401, 401, 401, 401]),
    ];
    for (path, expected) in table {
        let mut statuses = Vec::new();
        for person in people {
            statuses.push(person.get(&path).await.status);
        }
        assert_eq!(statuses, expected, "{path}");
    }
    let names = |reply: Value| reply.as_array().unwrap().iter().map(|bot| bot.text("name")).collect::<Vec<_>>();
    assert_eq!(names(auditor.get("/api/bots").await.ok()), ["ada", "bob", "cleo"]);
    assert_eq!(names(viewer.get("/api/bots").await.ok()), ["ada", "bob"]);
    let page = viewer.get("/api/bots?limit=10").await.ok();
    assert_eq!(page["items"].all("name"), ["ada", "bob"]);
    let other = hub.with_org("b").await.person("adm", "admin").await;
    other.get(format!("/api/org/threads/{thread}")).await.missing();
    other.get(format!("/api/org/people/{}", viewer.id)).await.missing();
}

async fn a_persons_changes_are_recorded_under_its_id(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let dora = org.person("dora", "admin").await;
    let by = format!("person:{}", dora.id);
    let mut socket = ada.socket().await;
    dora.patch("/api/org/settings", json!({"message_ttl_days": 30})).await.ok();
    dora.patch(format!("/api/org/bots/{}/role", ada.id), json!({"auth_role": "member"})).await.ok();
    let ticket = dora.post("/api/org/tickets", json!({})).await.ok();
    let listed = dora.get("/api/org/tickets").await.ok();
    assert_eq!((&listed["items"][0]["code"], &listed["items"][0]["created_by"]), (&ticket["ticket"], &json!(by)));
    dora.patch(format!("/api/org/threads/{}", thread.id()), json!({"status": "blocked"})).await.ok();
    assert_eq!(socket.next("thread_status_changed").await["by"], by);
    dora.delete(format!("/api/org/threads/{}/participants/{}", thread.id(), bob.id)).await.ok();
    assert_eq!(socket.next("thread_participant").await["by"], by);
    dora.delete(format!("/api/bots/{}", bob.id)).await.ok();
    let released = dora.delete(format!("/api/orgs/{}/tombstones/bob", org.id)).await.ok();
    assert_eq!(released["ok"], true);
    for action in ["settings.update", "bot.role_change", "auth.ticket_created", "thread.remove_participant"] {
        assert_eq!(org.audit(action).await[0]["bot_id"], by, "{action}");
    }
    assert_eq!(org.audit("bot.delete").await[0]["detail"]["deleted_by"], by);
    assert_eq!(org.get(format!("/api/audit?bot_id={by}&action=settings.update")).await.list().len(), 1);
    dora.post("/api/org/rotate-secret", json!({})).await.ok();
    dora.session().await.ok();
    org.get("/api/org").await.refused(401, "AUTH_REQUIRED");
    let row = &dora.audit("org.rotate_secret").await[0];
    assert_eq!((&row["bot_id"], &row["detail"]["rotated_by"]), (&json!(by), &json!(by)));
    // Frida is deleted, and what she let in by goes with her.
    let frida = Caller::login(&hub, json!({"type": "person_link", "code": new_link(&dora, "frida").await})).await.0;
    let ticket = frida.post("/api/org/tickets", json!({"reusable": true})).await.ok();
    let session = frida.get("/api/auth/session").await.ok();
    dora.delete(format!("/api/org/people/{}", session["person"]["id"].as_str().unwrap())).await.ok();
    org.register(json!({"ticket": ticket["ticket"], "name": "late"})).await.refused(401, "INVALID_TICKET");
}

async fn new_link(admin: &Caller, handle: &str) -> String {
    let person = admin.post("/api/org/people", json!({"handle": handle, "role": "admin"})).await.status(201);
    admin.post(format!("/api/org/people/{}/link", person.id()), json!({})).await.status(201).text("code")
}

async fn only_admins_have_sockets(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let dora = org.person("dora", "admin").await;
    let mut socket = dora.socket().await;
    socket.op(json!({"type": "subscribe", "thread_id": thread.id()})).await.ack();
    ada.say(&thread, "heard").await.ok();
    assert_eq!(socket.next("thread_message").await["message"]["content"], "heard");
    socket.op(json!({"type": "send_dm", "to": ada.id, "content": "no"})).await.refused("FORBIDDEN");
    for role in ["coordinator", "responder", "auditor", "viewer"] {
        let person = org.person(role, role).await;
        let refusal = person.post("/api/ws-ticket", json!({})).await.forbidden();
        assert!(refusal.text("error").contains("only admins"), "{refusal}");
    }
    dora.post("/api/auth/logout", json!({})).await.ok();
    assert_eq!(socket.closed().await, 4002);
}

async fn others_change_nothing(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await.id();
    let target = org.person("target", "responder").await;
    let before = org.get("/api/audit?limit=1").await.list()[0]["id"].clone();
    for role in ["coordinator", "responder", "auditor", "viewer"] {
        let row = org.create_person(json!({"handle": role, "role": role})).await.status(201);
        let person = Caller::login(&hub, json!({"type": "person_link", "code": org.link(&row).await})).await.0;
        for (method, path, body) in [
            ("POST", "/api/org/people".to_owned(), json!({"handle": "new", "role": "admin"})),
            ("PATCH", format!("/api/org/people/{}", row.id()), json!({"role": "admin"})),
            ("PATCH", format!("/api/org/people/{}", target.id), json!({"is_disabled": true})),
            ("DELETE", format!("/api/org/people/{}", target.id), json!({})),
            ("POST", format!("/api/org/people/{}/link", target.id), json!({})),
            ("PATCH", "/api/org/settings".to_owned(), json!({"message_ttl_days": 1})),
            ("PATCH", format!("/api/org/bots/{}/role", ada.id), json!({"auth_role": "admin"})),
            ("PATCH", format!("/api/org/bots/{}/status", ada.id), json!({"status": "rejected"})),
            ("DELETE", format!("/api/bots/{}", ada.id), json!({})),
            ("POST", "/api/org/tickets".to_owned(), json!({})),
            ("POST", "/api/org/rotate-secret".to_owned(), json!({})),
            ("PATCH", format!("/api/org/threads/{thread}"), json!({"status": "closed"})),
            ("DELETE", format!("/api/org/threads/{thread}/participants/{}", bob.id), json!({})),
            ("POST", format!("/api/threads/{thread}/messages"), json!({"content": "no"})),
            ("POST", "/api/send".to_owned(), json!({"to": ada.id, "content": "no"})),
            ("DELETE", format!("/api/orgs/{}/tombstones/bob", org.id), json!({})),
        ] {
            person.call(method, &path).json(&body).await.forbidden();
        }
        person.post("/api/orgs", json!({"name": "mine"})).await.refused(401, "AUTH_REQUIRED");
        let foreign = person.post("/api/auth/person/password", json!({"password": "0123456789"}));
        foreign.header("origin", "https://evil.example").await.refused(403, "CSRF_ERROR");
    }
    target.session().await.ok();
    let since = org.get("/api/audit?limit=200").await.list();
    let since = since.iter().take_while(|row| row["id"] != before).map(|row| row.text("action"));
    let expected = ["person.create", "person.link_create", "auth.login"];
    assert!(since.into_iter().all(|action| expected.contains(&action.as_str())));
}
