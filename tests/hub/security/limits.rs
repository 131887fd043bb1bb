//! Every number of the table of limits, from both sides: one less and exactly that pass, one more is refused.

use crate::harness::*;

on_both_databases! {
    texts_of_messages_and_threads,
    lists_and_json,
    profiles_and_names,
    artifacts,
    participants_of_a_thread,
    tickets_of_a_credential,
    pages_are_never_longer_than_told,
    depth_and_size_of_bodies,
}

/// A text of so many UTF-16 units.
fn units(count: usize) -> String {
    "x".repeat(count)
}

/// Calls with one less than, with exactly and with one more than the limit.
async fn around<Fut: Future<Output = Reply>>(what: &str, limit: usize, mut call: impl FnMut(usize) -> Fut) {
    for size in [limit - 1, limit] {
        let reply = call(size).await;
        assert!(reply.status < 300, "{what} of {size}: {} {:.300}", reply.status, reply.text);
    }
    let reply = call(limit + 1).await;
    assert!([400, 413].contains(&reply.status), "{what} of {}: {} {:.300}", limit + 1, reply.status, reply.text);
    assert!(
        ["VALIDATION_ERROR", "PAYLOAD_TOO_LARGE"].contains(&reply["code"].as_str().unwrap()),
        "{what}: {:.300}",
        reply.text
    );
}

async fn roomy(hub: &TestHub) -> Org {
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 100_000, "threads_per_hour_per_bot": 100_000})).await.ok();
    org
}

async fn texts_of_messages_and_threads(hub: TestHub) {
    let org = roomy(&hub).await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = &ada.thread("t", &[]).await;
    let send = |body: Value| async { ada.send_body(body).await };
    around("content", 65_536, |n| send(json!({"to": bob.id, "content": units(n)}))).await;
    // An emoji counts twice, as in JavaScript.
    around("content in emoji", 32_768, |n| send(json!({"to": bob.id, "content": "😀".repeat(n)}))).await;
    around("content_type", 128, |n| send(json!({"to": bob.id, "content": "c", "content_type": units(n)}))).await;
    let say = |body: Value| async { ada.message(thread, body).await };
    around("thread message", 65_536, |n| say(json!({"content": units(n)}))).await;
    around("metadata", 16_384, |n| say(json!({"content": "c", "metadata": {"k": units(n - 8)}}))).await;
    let create = |body: Value| async { ada.thread_create(body).await };
    around("topic", 4096, |n| create(json!({"topic": units(n)}))).await;
    around("context", 65_536, |n| create(json!({"topic": "t", "context": units(n)}))).await;
    around("tag", 64, |n| create(json!({"topic": "t", "tags": [units(n)]}))).await;
    let search = |n: usize| org.get(format!("/api/org/search?q={}", units(n))).answered();
    around("search", 200, search).await;
}

async fn lists_and_json(hub: TestHub) {
    let org = roomy(&hub).await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = &ada.thread("t", &[&bob]).await;
    let part = || json!({"type": "text", "content": "p"});
    let send = |body: Value| async { ada.send_body(body).await };
    around("parts", 50, |n| send(json!({"to": bob.id, "content": "c", "parts": vec![part(); n]}))).await;
    let empty = json!([{"type": "text", "content": ""}]).to_string().len();
    let filled = |n: usize| json!([{"type": "text", "content": units(n - empty)}]);
    around("parts as JSON", 262_144, |n| send(json!({"to": bob.id, "content": "c", "parts": filled(n)}))).await;
    let create = |body: Value| async { ada.thread_create(body).await };
    let tags = |n: usize| (0..n).map(|n| json!(format!("t{n}"))).collect::<Vec<_>>();
    around("tags", 10, |n| create(json!({"topic": "t", "tags": tags(n)}))).await;
    around("policy labels", 5, |n| create(json!({"topic": "t", "permission_policy": {"write": tags(n)}}))).await;
    let invite =
        |body: Value| async { ada.patch(format!("/api/threads/{}/participants/bob", thread.id()), body).await };
    around("label", 128, |n| invite(json!({"label": units(n)}))).await;
}

async fn profiles_and_names(hub: TestHub) {
    let org = roomy(&hub).await;
    let ada = &org.bot("ada").await;
    let rename = |name: String| async move { ada.patch("/api/me/name", json!({"name": name})).await };
    around("bot name", 128, |n| rename(units(n))).await;
    let token =
        |label: String| async move { ada.post("/api/me/tokens", json!({"scopes": ["read"], "label": label})).await };
    around("token label", 256, |n| token(units(n))).await;
    let profile = |body: Value| async move { ada.patch("/api/me/profile", body).await };
    around("protocols", 16_384, |n| profile(json!({"protocols": {"k": units(n - 8)}}))).await;
    let admin = &hub.super_admin().await.clone();
    let found = |name: String| async move { admin.post("/api/orgs", json!({"name": name})).await };
    around("organisation name", 128, |n| found(units(n))).await;
    let hook = |body: Value| async move { ada.patch("/api/me/webhook", body).await };
    let url = |n: usize| format!("https://8.8.8.8/{}", units(n - 16));
    around("webhook URL", 2048, |n| hook(json!({"webhook_url": url(n)}))).await;
    let secret = |body: Value| async move { ada.post("/api/me/webhook/secret", body).await };
    around("webhook secret", 1024, |n| secret(json!({"secret": units(n)}))).await;
    let once = |key: String| async move {
        ada.send_body(json!({"to": "nobody", "content": "c"})).header("idempotency-key", key).await
    };
    assert_eq!(once(units(255)).await.status, 404);
    once(units(256)).await.invalid();
}

async fn artifacts(hub: TestHub) {
    let org = roomy(&hub).await;
    let ada = org.bot("ada").await;
    let thread = &ada.thread("t", &[]).await;
    let add = |body: Value| async { ada.artifact_add(thread, body).await };
    around("artifact key", 128, |n| add(json!({"artifact_key": units(n), "content": "c"}))).await;
    for field in ["title", "language", "url", "mime_type"] {
        let with = |n: usize| json!({"artifact_key": format!("{field}{n}"), "content": "c", field: units(n)});
        around(field, 4096, |n| add(with(n))).await;
    }
}

async fn participants_of_a_thread(hub: TestHub) {
    let org = roomy(&hub).await;
    let ada = org.bot("ada").await;
    let mut ids = Vec::new();
    for n in 0..201 {
        ids.push(org.bot(&format!("bot{n}")).await.id);
    }
    // The one who opens it takes part, too.
    ada.thread_create(json!({"topic": "t", "participants": ids[..200]})).await.invalid();
    let thread = ada.thread_create(json!({"topic": "t", "participants": ids[..198]})).await.ok();
    ada.invite_body(&thread, json!({"bot_id": ids[198]})).await.ok();
    let refused = ada.invite_body(&thread, json!({"bot_id": ids[199]})).await;
    assert!([400, 409].contains(&refused.status), "{}", refused.text);
    let open = ada.thread_create(json!({"topic": "t", "participants": ids[..199], "join_policy": "open"})).await.ok();
    let late = org.bot("late").await.join(&open).await;
    assert!([400, 409].contains(&late.status), "{}", late.text);
}

async fn tickets_of_a_credential(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    for _ in 0..1000 {
        ada.call("POST", "/api/ws-ticket").await.ok();
    }
    let refused = ada.call("POST", "/api/ws-ticket").await;
    assert_eq!(refused.header("ratelimit-limit"), Some("1000"));
    refused.refused(429, "RATE_LIMITED");
    bob.call("POST", "/api/ws-ticket").await.ok();
}

async fn pages_are_never_longer_than_told(hub: TestHub) {
    let org = roomy(&hub).await;
    let ada = org.bot("ada").await;
    let thread = ada.thread("t", &[]).await;
    let mut socket = ada.socket().await;
    for n in 0..210 {
        socket
            .op(json!({"type": "send_thread_message", "thread_id": thread["id"], "content": n.to_string()}))
            .await
            .ack();
    }
    for (limit, rows) in
        [("1", 1), ("199", 199), ("200", 200), ("201", 200), ("1000000000", 200), ("-5", 1), ("0", 50), ("x", 50)]
    {
        let page = ada.messages(&thread, &format!("?limit={limit}")).await.list();
        assert_eq!(page.len(), rows, "limit={limit}");
    }
}

async fn depth_and_size_of_bodies(hub: TestHub) {
    let [ada, _bob] = roomy(&hub).await.bots(["ada", "bob"]).await;
    // The parser stops at 128 levels; the object and the field are two of them.
    for (depth, good) in [(100, true), (126, true), (200, false), (100_000, false)] {
        let body = format!("{{\"to\":\"bob\",\"content\":\"c\",\"deep\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let reply = ada.call("POST", "/api/send").raw("application/json", body).await;
        assert_eq!(reply.status == 200, good, "{depth}: {}", reply.text);
        assert!(reply.status < 500, "{depth}");
    }
    let keys: String = (0..100_000).map(|n| format!("\"{n:x}\":0,")).collect();
    let body = format!("{{{keys}\"to\":\"bob\",\"content\":\"c\"}}");
    assert!(body.len() > 900_000);
    let reply = ada.call("POST", "/api/send").raw("application/json", body).await;
    assert!([200, 413].contains(&reply.status), "{}", reply.text);
    ada.me().await.ok();
}
