//! Which fields get in and which get out: no request sets what is not its caller's to set, no answer shows a secret.

use std::collections::BTreeSet;

use crate::harness::*;

on_both_databases! {
    fields_that_are_not_the_callers_are_not_stored,
    secrets_are_in_no_answer,
    secrets_are_in_no_event,
    credentials_are_random_enough,
}

/// Fields of rows that no client may set, with values that would show.
fn forbidden(org: &str) -> Value {
    let mut all = json!({
        "id": NOBODY, "bot_id_": NOBODY, "org_id": org, "auth_role": "admin", "join_status": "rejected",
        "join_status_changed_by": NOBODY, "token_hash": "aa", "token": "bot_forged", "secret_hash": "aa", "created_at": 1, "updated_at": 1,
        "last_seen_at": 1, "last_activity_at": 1, "resolved_at": 1, "revision": 99, "version_number": 99, "initiator_id": NOBODY,
        "sender_id": NOBODY, "sender_name": "forged", "contributor_id": NOBODY, "uploader_id": NOBODY, "via_socket": true,
        "online": true, "mention_all": true, "mentions": [NOBODY], "provenance": {"by": "forged"}, "is_scoped_token": false,
        "consumed": false, "use_count": -5, "created_by": NOBODY, "code": "hxa_forged", "ticket_": "tkt_forged", "role_": "admin",
        "persist_messages": false, "channel_id_": NOBODY, "thread_id_": NOBODY, "seq": 1, "epoch": "e", "__proto__": {"auth_role": "admin"},
    });
    for (key, value) in [("password_hash", json!("forged")), ("has_password", json!(true)), ("handle_key", json!("x"))]
    {
        all[key] = value;
    }
    all
}

fn with(good: Value, org: &str) -> Value {
    let mut body = forbidden(org);
    for (key, value) in good.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// The keys of `forbidden` in `shown` that have its values: whatever a request may set is not asked about here.
fn taken(shown: &Value, org: &str) -> Vec<String> {
    let forbidden = forbidden(org);
    let fields = forbidden.as_object().unwrap();
    let own = ["online", "role_", "mentions"];
    let is_taken =
        |key: &String| shown.get(key).is_some_and(|value| *value == fields[key]) && !own.contains(&key.as_str());
    fields.keys().filter(|key| is_taken(key)).cloned().collect()
}

async fn fields_that_are_not_the_callers_are_not_stored(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    org.settings(json!({"join_approval_required": true})).await.ok();
    let mut fields = with(json!({"ticket": org.ticket, "name": "waiting", "org_id": org.id}), &other.id);
    fields["org_id"] = json!(org.id);
    let waiting = hub.anonymous().post("/api/auth/register", fields).await.ok();
    assert_eq!((&waiting["join_status"], &waiting["auth_role"]), (&json!("pending"), &json!("member")), "{waiting}");
    assert!(waiting.text("token") != "bot_forged" && waiting["id"] != NOBODY);
    org.settings(json!({"join_approval_required": false})).await.ok();
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let ok = |reply: Reply| {
        assert!([200, 201].contains(&reply.status), "{}: {}", reply.what, reply.text);
        let shown = reply.body.get("message").filter(|message| message.is_object()).unwrap_or(&reply.body);
        assert_eq!(taken(shown, &other.id), Vec::<String>::new(), "{}: {}", reply.what, reply.text);
        reply.body
    };
    let body = |good: Value| with(good, &other.id);
    let thread = ok(ada.thread_create(body(json!({"topic": "t", "participants": ["bob"]}))).await);
    assert_eq!(
        (&thread["initiator_id"], &thread["revision"], &thread["org_id"]),
        (&json!(ada.id), &json!(1), &json!(org.id))
    );
    let sent = ok(ada.send_body(body(json!({"to": "bob", "content": "c"}))).await);
    assert_eq!(sent["message"]["sender_id"], ada.id.as_str());
    let said = ok(ada.message(&thread, body(json!({"content": "c"}))).await);
    assert_eq!((&said["sender_id"], &said["mentions"]), (&json!(ada.id), &json!([])));
    let channel = sent.text("channel_id");
    ok(ada.post(format!("/api/channels/{channel}/messages"), body(json!({"content": "c"}))).await);
    let artifact =
        ok(ada.artifact_add(&thread, body(json!({"artifact_key": "k", "type": "text", "content": "c"}))).await);
    assert_eq!((&artifact["contributor_id"], &artifact["version"]), (&json!(ada.id), &json!(1)));
    ok(ada.artifact_update(&thread, "k", body(json!({"content": "d"}))).await);
    let patched = ok(ada.thread_patch(&thread, body(json!({"topic": "u"}))).await);
    assert_eq!((&patched["initiator_id"], &patched["revision"]), (&json!(ada.id), &json!(2)));
    ok(org.patch(format!("/api/org/threads/{}", thread.id()), body(json!({"status": "blocked"}))).await);
    let profile = ok(ada.patch("/api/me/profile", body(json!({"bio": "b"}))).await);
    assert_eq!(
        (&profile["auth_role"], &profile["org_id"], &profile["id"]),
        (&json!("member"), &json!(org.id), &json!(ada.id))
    );
    ok(ada.patch("/api/me/name", body(json!({"name": "ada2"}))).await);
    let token = ok(ada.post("/api/me/tokens", body(json!({"scopes": ["read"]}))).await);
    Caller::bearer(&hub, &token.text("token")).get("/api/me").await.ok();
    hub.anonymous().get("/api/me").header("authorization", "Bearer bot_forged").await.refused(401, "INVALID_TOKEN");
    ok(org.settings(body(json!({"message_ttl_days": 9}))).await);
    ok(org.post("/api/org/tickets", body(json!({}))).await);
    ok(hub.super_admin().await.post("/api/platform/invite-codes", body(json!({"max_uses": 1}))).await);
    let dora = ok(org.create_person(body(json!({"handle": "dora", "role": "viewer", "is_disabled": true}))).await);
    assert_eq!((&dora["is_disabled"], &dora["role"]), (&json!(false), &json!("viewer")));
    ok(org.patch_person(&dora, body(json!({"display_name": "d"}))).await);
    ok(org.post(format!("/api/org/people/{}/link", dora.id()), body(json!({}))).await);
    let own = org.get("/api/org").await.ok();
    assert_eq!(own["id"], org.id.as_str());
    assert_eq!(bob.get(format!("/api/bots/{}", ada.id)).await.ok()["auth_role"], "member");
    assert_eq!(other.get("/api/bots").await.list().len(), 0, "nobody moved in");
}

/// Everything that must stay with its owner.
struct Planted {
    org: Org,
    ada: Bot,
    bob: Bot,
    secrets: Vec<String>,
    thread: String,
}

const HOOK: &str = "https://hook.example.invalid/planted-hook-path";
const HOOK_SECRET: &str = "planted-hook-secret";
const PASSWORD: &str = "planted-password";

async fn planted(hub: &TestHub) -> Planted {
    let org = hub.with_org("a").await;
    // An address that is not looked up, because it is one already.
    let fields = json!({
        "ticket": org.ticket, "name": "ada", "webhook_url": HOOK.replace("hook.example.invalid", "8.8.8.8"),
        "webhook_secret": HOOK_SECRET,
    });
    let ada = org.bot_from(fields).await;
    let bob = org.bot("bob").await;
    let scoped = ada.scoped(&["read"]).await;
    let human = ada.human("Ann").await;
    let thread = ada.thread("t", &[&bob]).await.id();
    let dora = org.person("dora", "viewer").await.with_password(PASSWORD).await;
    let link = org.link(&dora).await;
    let secrets = [
        ada.secret(),
        bob.secret(),
        scoped.secret(),
        human.secret(),
        (*org).secret(),
        &org.secret,
        ADMIN_SECRET,
        HOOK_SECRET,
        "planted-hook-path",
        dora.secret(),
        &link,
        PASSWORD,
        "$argon2id$",
    ];
    let secrets: Vec<String> = secrets.map(str::to_owned).to_vec();
    let hashes = secrets.iter().map(|secret| hxa_connect::domain::secrets::secret_hash(secret)).collect::<Vec<_>>();
    Planted { secrets: [secrets, hashes].concat(), org, ada, bob, thread }
}

/// Every readable route as everybody sees it: no token, no hash, no secret, and no URL of another bot's webhook.
async fn secrets_are_in_no_answer(hub: TestHub) {
    let planted = planted(&hub).await;
    let document = hub.anonymous().get("/openapi.json").await.ok();
    let names = [
        "token_hash",
        "secret_hash",
        "webhook_secret",
        "webhook_old_secret",
        "code_hash",
        "id_hash",
        "link_secret",
        "password_hash",
    ];
    let mut looked_at = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_none() || path == "/openapi.json" || path == "/skill.md" {
            continue;
        }
        let concrete: Vec<String> = path
            .split('/')
            .map(|part| match part {
                "{id}" if path.contains("/threads/") => planted.thread.clone(),
                "{org_id}" => planted.org.id.clone(),
                part if part.starts_with('{') => planted.ada.id.clone(),
                part => part.to_owned(),
            })
            .collect();
        let callers =
            [&*planted.org as &Caller, &*planted.ada, &*planted.bob, hub.super_admin().await, &hub.anonymous()];
        for (at, caller) in callers.into_iter().enumerate() {
            let reply = caller.get(format!("{}?since=0&limit=200&q=e", concrete.join("/"))).await;
            looked_at.extend((reply.status == 200).then(|| path.clone()));
            // A bot reads where its own webhook leads.
            let is_own = at == 1 && path == "/api/me/webhook";
            for secret in planted.secrets.iter().filter(|secret| !(is_own && *secret == "planted-hook-path")) {
                assert!(!reply.text.contains(secret.as_str()), "{path} shows {secret} to {at}: {}", reply.text);
            }
            for name in names {
                assert!(!reply.text.contains(&format!("\"{name}\"")), "{path} shows {name} to {at}: {}", reply.text);
            }
        }
    }
    assert!(looked_at.len() > 35, "{looked_at:?}");
}

async fn secrets_are_in_no_event(hub: TestHub) {
    let planted = planted(&hub).await;
    let mut sockets = [planted.org.socket().await, planted.bob.socket().await, planted.ada.socket().await];
    planted.ada.patch("/api/me/webhook", json!({"webhook_url": "https://8.8.4.4/planted-hook-path"})).await.ok();
    let rotated = planted.ada.post("/api/me/webhook/secret", json!({})).await.ok().text("secret");
    let token = planted.bob.post("/api/me/rotate-token", json!({"grace_seconds": 60})).await.ok().text("token");
    let fields = json!({"ticket": planted.org.ticket, "name": "cleo", "webhook_url": "https://8.8.4.4/planted-hook-path", "webhook_secret": HOOK_SECRET});
    let cleo = planted.org.bot_from(fields).await;
    cleo.patch("/api/me/name", json!({"name": "cleopatra"})).await.ok();
    cleo.delete("/api/me").await.ok();
    let trail = planted.org.get("/api/audit?limit=200").await.text;
    let secrets = [planted.secrets, vec![rotated, token, cleo.secret().to_owned()]].concat();
    for (at, socket) in sockets.iter_mut().enumerate() {
        if at == 1 {
            continue;
        }
        let heard = json!(socket.drain().await).to_string();
        assert!(heard.contains("bot_renamed"), "{heard}");
        for secret in &secrets {
            assert!(!heard.contains(secret.as_str()), "socket {at} hears {secret}: {heard}");
        }
    }
    for secret in secrets.iter().filter(|secret| *secret != "planted-hook-path") {
        assert!(!trail.contains(secret.as_str()), "the trail tells {secret}");
    }
}

/// 128 bits for everything that is guarded by its randomness alone. Invite codes have 64, since clients know their length;
/// they are guarded by a limit of wrong guesses per address.
async fn credentials_are_random_enough(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let scoped = ada.scoped(&["read"]).await;
    let human = ada.human("Ann").await;
    let code = hub.invite_code(json!({})).await;
    let hook = org.bot_from(json!({"ticket": org.ticket, "name": "bob", "webhook_url": "https://8.8.8.8/"})).await;
    let hook = hook.post("/api/me/webhook/secret", json!({})).await;
    let credentials = [
        ("token", ada.secret().to_owned(), 128),
        ("scoped token", scoped.secret().to_owned(), 128),
        ("session", human.secret().to_owned(), 128),
        ("admin session", (*org).secret().to_owned(), 128),
        ("organisation's secret", org.secret.clone(), 128),
        ("registration ticket", org.ticket.clone(), 128),
        ("socket ticket", ada.ws_ticket().await, 128),
        ("login link", org.link(&org.person("dora", "viewer").await).await, 128),
        ("invite code", code, 64),
    ];
    let mut all: Vec<_> = credentials.to_vec();
    if hook.status == 200 {
        all.push(("webhook secret", hook["secret"].as_str().unwrap().to_owned(), 128));
    }
    for (what, credential, bits) in all {
        let random = credential.rsplit('_').next().unwrap();
        assert!(random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{what}");
        // Four bits a digit, from the system's source.
        assert!(random.len() * 4 >= bits, "{what} has {} bits", random.len() * 4);
    }
}
