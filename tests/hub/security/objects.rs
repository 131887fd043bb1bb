//! Who may touch which object: every route and operation with an id, given an own one and one of each kind of stranger.
//! What belongs to another organisation, what was deleted and what never was are refused alike, to the letter.

use hxa_connect::domain::operation::SocketOperation;

use crate::harness::*;

on_both_databases! {
    ids_of_others_do_not_exist_for_bots,
    ids_of_others_do_not_exist_for_admins,
    ids_of_others_do_not_exist_on_the_socket,
    nothing_crosses_between_three_organisations,
    bots_that_are_not_active_are_written_to_but_not_invited,
    a_thread_is_marked_with_a_channel_of_its_organisation,
}

/// The ids that a path or frame may hold, all belonging to one world.
struct Ids {
    bot: String,
    thread: String,
    channel: String,
    request: String,
    token: String,
    key: String,
    file: String,
    ticket: String,
    session: String,
    delivery: String,
    person: String,
}

impl Ids {
    /// Ids that nothing ever had.
    fn absent() -> Self {
        let nobody = || NOBODY.to_owned();
        Self {
            bot: nobody(),
            thread: nobody(),
            channel: nobody(),
            request: nobody(),
            token: nobody(),
            key: nobody(),
            file: nobody(),
            ticket: nobody(),
            session: "0123456789abcdef".to_owned(),
            delivery: nobody(),
            person: nobody(),
        }
    }

    /// What stands for a parameter of a path.
    fn of(&self, route: &str, parameter: &str) -> String {
        let id = match parameter {
            "{id}" if route.contains("/threads/") => &self.thread,
            "{id}" if route.contains("/channels/") => &self.channel,
            "{id}" if route.contains("/tokens/") => &self.token,
            "{id}" if route.contains("/keys/") => &self.key,
            "{id}" if route.contains("/files/") => &self.file,
            "{id}" if route.contains("/tickets/") => &self.ticket,
            "{id}" if route.contains("/people/") => &self.person,
            "{id}" | "{bot}" | "{bot_id}" | "{name}" | "{agent_id}" => &self.bot,
            "{request}" => &self.request,
            "{reference}" => &self.session,
            "{delivery_id}" => &self.delivery,
            "{key}" => return "k".to_owned(),
            other => panic!("{other} of {route} is new: say here what it names"),
        };
        id.clone()
    }

    fn path(&self, route: &str) -> String {
        let parts =
            route.split('/').map(|part| if part.starts_with('{') { self.of(route, part) } else { part.to_owned() });
        parts.collect::<Vec<_>>().join("/")
    }
}

/// A world with one of everything.
async fn world(org: &Org) -> (Bot, Ids) {
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread_create(json!({"topic": "t", "join_policy": "approval", "visibility": "public"})).await.ok();
    ada.artifact_add(&thread, json!({"artifact_key": "k", "content": "c"})).await.ok();
    let request = bob.join(&thread).await.status(202).text("request_id");
    let channel = ada.send(&bob, "c").await.ok().text("channel_id");
    let token = ada.post("/api/me/tokens", json!({"scopes": ["read"]})).await.ok();
    let key = org.post("/api/org/keys", json!({"agent_id": ada.id})).await.status(201);
    let body = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.txt\"\r\nContent-Type: text/plain\r\n\r\nc\r\n--b--\r\n";
    let file = ada.call("POST", "/api/files/upload").raw("multipart/form-data; boundary=b", body).await.ok();
    org.post("/api/org/tickets", json!({"reusable": true})).await.ok();
    let tickets = org.get("/api/org/tickets").await.ok();
    ada.human("Ann").await;
    let sessions = org.get("/api/org/sessions").await.ok();
    let session = sessions["items"]
        .as_array()
        .or(sessions.as_array())
        .and_then(|all| all.iter().find(|session| session["role"] == "bot_owner").map(|session| session.text("ref")));
    let ids = Ids {
        bot: ada.id.clone(),
        thread: thread.id(),
        channel,
        request,
        token: token.id(),
        key: key.id(),
        file: file.id(),
        ticket: tickets["items"][0].text("id"),
        session: session.expect("a session"),
        delivery: NOBODY.to_owned(),
        person: org.person("dora", "viewer").await.id,
    };
    (ada, ids)
}

/// Ids of things that were deleted.
async fn deleted(org: &Org, ada: &Bot) -> Ids {
    let gone = org.bot("gone").await;
    let token = ada.post("/api/me/tokens", json!({"scopes": ["read"]})).await.ok().id();
    ada.delete(format!("/api/me/tokens/{token}")).await.ok();
    let key = org.post("/api/org/keys", json!({"agent_id": gone.id})).await.status(201).id();
    gone.delete("/api/me").await.ok();
    let person = org.person("gone", "viewer").await.id;
    org.delete(format!("/api/org/people/{person}")).await.ok();
    Ids { bot: gone.id.clone(), token, key, person, ..Ids::absent() }
}

/// Routes with an id, except those of the platform, whose admin sees everything.
async fn routes(hub: &TestHub) -> Vec<(String, String)> {
    let document = hub.anonymous().get("/openapi.json").await.ok();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let is_platforms = path.contains("/orgs/{org_id}") || path.contains("/platform/");
            if path.contains('{') && !is_platforms {
                routes.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    assert!(routes.len() >= 35, "{}", routes.len());
    routes
}

/// A body that nothing but the ids speaks against.
fn body(route: &str, ids: &Ids) -> Value {
    match route {
        route if route.ends_with("/role") => json!({"auth_role": "member"}),
        route if route.ends_with("/status") => json!({"status": "active"}),
        route if route.ends_with("/participants") => json!({"bot_id": ids.bot}),
        route if route.ends_with("/artifacts") => json!({"artifact_key": "new", "content": "c"}),
        route if route.ends_with("/participants/{bot}") => json!({"label": "l"}),
        route if route.contains("/threads/{id}") && !route.contains("messages") && !route.contains("artifacts") => {
            json!({"topic": "t", "status": "blocked"})
        }
        _ => json!({"content": "c"}),
    }
}

/// Status, text and names of the headers of an answer; what must not tell two strangers apart.
fn face(reply: &Reply) -> (u16, String, Vec<String>) {
    // Whether the connection is kept depends on how much of an unwanted body had arrived.
    let mut names: Vec<String> =
        reply.headers.keys().map(ToString::to_string).filter(|name| name != "connection").collect();
    names.sort_unstable();
    (reply.status, reply.text.clone(), names)
}

async fn compare(caller: &Caller, route: &(String, String), strangers: &[(&str, &Ids)]) {
    let (method, path) = route;
    let call = |ids: &Ids| {
        let call = caller.call(method, &ids.path(path));
        if method == "GET" || method == "DELETE" { call } else { call.json(&body(path, ids)) }
    };
    let absent = call(&Ids::absent()).await;
    assert!((400..500).contains(&absent.status), "{method} {path}: {}", absent.text);
    for (kind, ids) in strangers {
        let reply = call(ids).await;
        // Clients rely on 403 for files of other organisations; what they learn is that a random id is in use.
        if *kind == "foreign" && path.contains("/files/{id}") {
            reply.forbidden();
            continue;
        }
        assert_eq!(face(&reply), face(&absent), "{kind}: {method} {path}");
    }
}

async fn ids_of_others_do_not_exist_for_bots(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let ((ada, _), (_, foreign)) = (world(&org).await, world(&other).await);
    let gone = deleted(&org, &ada).await;
    for route in routes(&hub).await {
        compare(&ada, &route, &[("foreign", &foreign), ("deleted", &gone)]).await;
    }
    assert_eq!(other.get(format!("/api/org/threads/{}", foreign.thread)).await["revision"], 1, "nothing was changed");
}

async fn ids_of_others_do_not_exist_for_admins(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let ((ada, _), (_, foreign)) = (world(&org).await, world(&other).await);
    let gone = deleted(&org, &ada).await;
    let boss = org.admin_bot("boss").await;
    for route in routes(&hub).await {
        for admin in [&*org as &Caller, &*boss] {
            compare(admin, &route, &[("foreign", &foreign), ("deleted", &gone)]).await;
        }
    }
    assert_eq!(other.get(format!("/api/org/threads/{}", foreign.thread)).await["revision"], 1, "nothing was changed");
    let path = format!("/api/orgs/{}", other.id);
    for (method, path) in [
        ("GET", format!("{path}/tombstones")),
        ("DELETE", format!("{path}/tombstones/gone")),
        ("PATCH", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/rotate-secret")),
    ] {
        let foreign = org.call(method, &path).await;
        let absent = org.call(method, &path.replace(&other.id, NOBODY)).await;
        assert_eq!(face(&foreign), face(&absent), "{method} {path}");
    }
}

async fn ids_of_others_do_not_exist_on_the_socket(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let ((ada, own), (_, foreign)) = (world(&org).await, world(&other).await);
    let gone = deleted(&org, &ada).await;
    let mut sockets = [ada.socket().await, org.socket().await];
    for operation in SocketOperation::ALL.iter().map(|operation| operation.as_str()) {
        if ["ping", "resume"].contains(&operation) {
            continue;
        }
        for socket in &mut sockets {
            let mut answers = Vec::new();
            for ids in [&Ids::absent(), &foreign, &gone] {
                let frame = json!({
                    "type": operation, "thread_id": ids.thread, "channel_id": ids.channel, "to": ids.bot, "bot_id": ids.bot,
                    "participants": [ids.bot], "topic": "t", "content": "c", "artifact_key": "k", "status": "blocked",
                });
                let answer = socket.op(frame).await.0.to_string().replace(&ids.bot, NOBODY);
                let mut answer: Value = serde_json::from_str(&answer).unwrap();
                answer["ref"] = Value::Null;
                // An admin may watch for ids that are not there (yet); that tells nothing, and nothing of others comes.
                if let Some(result) = answer["result"].as_object_mut() {
                    result.remove("subscriptions");
                }
                answers.push(answer);
            }
            assert_eq!(answers[0], answers[1], "foreign: {operation}");
            assert_eq!(answers[0], answers[2], "deleted: {operation}");
            let is_refused = answers[0]["type"] == "error" || operation.ends_with("subscribe");
            assert!(is_refused, "{operation}: {}", answers[0]);
        }
        let mixed = json!({"type": operation, "thread_id": own.thread, "channel_id": own.channel, "to": foreign.bot, "bot_id": foreign.bot});
        let answer = sockets[0].op(mixed).await.0;
        assert!(!answer["result"].to_string().contains(&foreign.bot), "{answer}");
    }
}

/// Three organisations full of traffic: whatever any socket hears and any route tells, it is of the own organisation.
async fn nothing_crosses_between_three_organisations(hub: TestHub) {
    let mut worlds = Vec::new();
    for canary in ["kanarie", "passero", "wellensittich"] {
        let org = hub.with_org(canary).await;
        let (ada, ids) = world(&org).await;
        let bob = org.bot(&format!("{canary}-bob")).await;
        let sockets =
            [ada.socket().await, bob.socket().await, org.socket().await, ada.human(canary).await.socket().await];
        worlds.push((canary, org, ada, bob, ids, sockets));
    }
    for (canary, org, ada, bob, ids, _) in &worlds {
        traffic(canary, org, ada, bob, ids).await;
    }
    let inventory = hub.anonymous().get("/openapi.json").await.ok();
    let mut secrets: Vec<Vec<String>> = Vec::new();
    for (canary, org, ada, bob, ids, _) in &worlds {
        let names = [
            (*canary).to_owned(),
            org.id.clone(),
            ada.id.clone(),
            bob.id.clone(),
            ids.thread.clone(),
            ids.channel.clone(),
        ];
        secrets.push([&names[..], &[ids.request.clone(), ids.token.clone(), ids.file.clone()]].concat());
    }
    for (at, (canary, org, ada, bob, ids, sockets)) in worlds.iter_mut().enumerate() {
        let mut seen = Vec::new();
        for socket in sockets {
            seen.push((format!("socket of {canary}"), json!(socket.drain().await).to_string()));
        }
        for (path, methods) in inventory["paths"].as_object().unwrap() {
            let is_all = path == "/metrics"
                || path == "/openapi.json"
                || path.contains("/orgs/{org_id}")
                || path.contains("/platform/");
            if methods.get("get").is_none() || is_all {
                continue;
            }
            for caller in [&**ada as &Caller, &**bob, &**org] {
                let query = "?since=0&limit=200&scope=org&q=e";
                seen.push((path.clone(), caller.get(format!("{}{query}", ids.path(path))).await.text));
            }
        }
        assert!(seen.iter().any(|(_, text)| text.contains(*canary)), "the canary sings");
        for (other, words) in secrets.iter().enumerate().filter(|(other, _)| *other != at) {
            for (place, text) in &seen {
                let heard = words.iter().find(|word| text.contains(word.as_str()));
                assert!(heard.is_none(), "{canary} hears {heard:?} of organisation {other} in {place}: {text}");
            }
        }
    }
}

/// Words of the canary in everything that can be written.
async fn traffic(canary: &str, org: &Org, ada: &Bot, bob: &Bot, ids: &Ids) {
    ada.send(bob, canary).await.ok();
    let thread = ada
        .thread_create(json!({"topic": canary, "tags": [canary], "participants": [bob.id], "context": {"k": canary}}))
        .await
        .ok();
    ada.message(&thread, json!({"content": canary, "metadata": {"k": canary}})).await.ok();
    ada.artifact_add(&thread, json!({"artifact_key": canary, "title": canary, "content": canary})).await.ok();
    ada.patch("/api/me/profile", json!({"bio": canary, "status_text": canary, "tags": [canary]})).await.ok();
    bob.patch("/api/me/name", json!({"name": format!("{canary}-cleo")})).await.ok();
    bob.status(&thread, "resolved").await.ok();
    org.get(format!("/api/org/threads/{}", ids.thread)).await.ok();
    org.patch(format!("/api/org/threads/{}", ids.thread), json!({"status": "blocked"})).await.ok();
    org.register(json!({"ticket": org.ticket, "name": format!("{canary}-new")})).await.ok();
}

/// What is written to a bot before an admin lets it in waits for it; it hears and reads nothing until then.
async fn bots_that_are_not_active_are_written_to_but_not_invited(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    org.settings(json!({"join_approval_required": true})).await.ok();
    let waiting = org.bot("waiting").await;
    org.patch(format!("/api/org/bots/{}/status", bob.id), json!({"status": "rejected"})).await.ok();
    let thread = ada.thread("t", &[]).await;
    for target in [&waiting, &bob] {
        ada.send(target, "c").await.ok();
        ada.thread_create(json!({"topic": "t", "participants": [target.id]})).await.ok();
        ada.invite(&thread, target).await.refused(400, "BOT_NOT_ACTIVE");
        target.get("/api/inbox?since=0").await.refused(403, "BOT_NOT_ACTIVE");
        org.patch(format!("/api/org/bots/{}/status", target.id), json!({"status": "active"})).await.ok();
        assert_eq!(target.get("/api/inbox?since=0").await.ok().as_array().map(Vec::len), Some(1));
    }
}

/// The channel of a thread is a marker that any bot of the organisation may set; it opens nothing.
async fn a_thread_is_marked_with_a_channel_of_its_organisation(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let [finn, gwen] = other.bots(["finn", "gwen"]).await;
    let own = ada.send(&bob, "c").await.ok().text("channel_id");
    let others = bob.send(&cleo, "c").await.ok().text("channel_id");
    let foreign = finn.send(&gwen, "c").await.ok().text("channel_id");
    for channel in [&own, &others] {
        let thread = ada.thread_create(json!({"topic": "t", "channel_id": channel})).await.ok();
        assert_eq!(thread["channel_id"], channel.as_str(), "{channel}");
    }
    ada.get(format!("/api/channels/{others}")).await.forbidden();
    let refused = ada.thread_create(json!({"topic": "t", "channel_id": foreign})).await.invalid();
    let absent = ada.thread_create(json!({"topic": "t", "channel_id": NOBODY})).await.invalid();
    assert_eq!(refused, absent);
}
