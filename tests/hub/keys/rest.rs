//! `/api/org/keys`: who makes keys, what a key may do, and how it ends.

use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    a_key_is_made_listed_and_revoked,
    a_key_does_nothing_else,
    no_socket_and_no_session_by_a_key,
    bots_do_not_make_themselves_respond,
    who_may_make_keys,
    an_agent_is_found_or_made,
    one_agent_for_all_who_ask_at_once,
    keys_of_others_do_not_exist,
    keys_are_bounded_per_bot with three_tokens,
    an_expired_key_is_refused,
    a_key_ends_with_its_bot_and_rests_with_its_organisation,
    wrong_keys_are_limited,
    bad_requests_are_named,
}

fn three_tokens(config: &mut Config) {
    config.limits.tokens_per_bot = 3;
}

/// A key by an admin of the organisation.
async fn key(org: &Caller, fields: Value) -> Value {
    org.post("/api/org/keys", fields).await.status(201)
}

fn caller(hub: &TestHub, key: &Value) -> Caller {
    Caller::bearer(hub, &key.text("key"))
}

/// That a key is known: a refusal for its scopes is no refusal of the credential.
async fn is_known(caller: &Caller) {
    caller.get("/api/me").await.refused(403, "INSUFFICIENT_SCOPE");
}

async fn a_key_is_made_listed_and_revoked(hub: TestHub) {
    let org = hub.with_org("acme").await;
    let other = org.bot("other").await;
    let mut socket = other.socket().await;
    let made = key(&org, json!({"agent_id": "ada", "label": "production", "expires_in": 60})).await;
    let secret = made.text("key");
    let digits = secret.strip_prefix("hcp_").expect("the prefix");
    assert!(digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{secret}");
    assert_eq!(made.int("expires_at") - made.int("created_at"), 60_000, "in seconds");
    assert_eq!(
        (&made["agent_id"], &made["label"], &made["allow_respond"]),
        (&json!("ada"), &json!("production"), &json!(false))
    );
    let news = socket.next("bot_registered").await;
    assert_eq!((&news["bot"]["name"], &news["bot"]["join_status"]), (&json!("ada"), &json!("active")));
    let bot = org.get(format!("/api/bots/{}", made.text("bot_id"))).await.ok();
    assert_eq!((&bot["auth_role"], &bot["join_status"]), (&json!("member"), &json!("active")));

    let listed = org.get("/api/org/keys").await.list();
    assert_eq!((listed.len(), &listed[0]["id"], &listed[0]["last_used_at"]), (1, &made["id"], &Value::Null));
    assert!(!listed[0].to_string().contains("hcp_"), "a key is shown twice");
    let ada = caller(&hub, &made);
    let before = now_ms();
    is_known(&ada).await;
    let used = org.get("/api/org/keys").await.list()[0].int("last_used_at");
    assert!((before..=now_ms()).contains(&used), "{used}");

    let second = key(&org, json!({"agent_id": "ada"})).await;
    assert_eq!(second["bot_id"], made["bot_id"], "the bot is there already");
    let ids: Vec<Value> = org.get("/api/org/keys").await.list().iter().map(|key| key["id"].clone()).collect();
    assert_eq!(ids, [second["id"].clone(), made["id"].clone()], "newest first");

    org.delete(format!("/api/org/keys/{}", made.id())).await.ok();
    ada.get("/api/me").await.refused(401, "INVALID_TOKEN");
    is_known(&caller(&hub, &second)).await;
    org.delete(format!("/api/org/keys/{}", made.id())).await.missing();
    let (created, revoked) = (org.audit("key.create").await, org.audit("key.revoke").await);
    assert_eq!((created.len(), revoked.len(), &revoked[0]["target_id"]), (2, 1, &made["id"]));
    assert_eq!(
        (&created[1]["detail"]["agent_id"], &created[1]["detail"]["allow_respond"]),
        (&json!("ada"), &json!(false))
    );
    assert_eq!(org.audit("bot.register").await.iter().filter(|row| row["detail"]["via"] == "key").count(), 1);
    assert!(!json!([created, revoked]).to_string().contains(digits), "a key is in the trail");
}

/// Every route that knows the bot by its primary token refuses its key for its scope.
async fn a_key_does_nothing_else(hub: TestHub) {
    let org = hub.with_org("acme").await;
    let boss = org.admin_bot("boss").await;
    let made = key(&org, json!({"agent_id": boss.id, "allow_respond": true})).await;
    assert_eq!((&made["agent_id"], &made["bot_id"]), (&json!("boss"), &json!(boss.id)));
    let by_key = caller(&hub, &made);
    let document = hub.anonymous().get("/openapi.json").await.ok();
    let (mut refused, mut let_in) = (0, Vec::new());
    let is_other = |(path, _): &(&String, &Value)| !path.starts_with("/v1/");
    for (path, methods) in document["paths"].as_object().unwrap().iter().filter(is_other) {
        let concrete: Vec<&str> =
            path.split('/').map(|part| if part.starts_with('{') { NOBODY } else { part }).collect();
        for method in methods.as_object().unwrap().keys() {
            let call = |caller: &Caller| caller.call(&method.to_uppercase(), &concrete.join("/")).answered();
            if call(&hub.anonymous()).await.status != 401 {
                continue;
            }
            let reply = call(&by_key).await;
            match (reply.status, reply["code"].as_str()) {
                (403, Some("INSUFFICIENT_SCOPE")) => refused += 1,
                // For people and strangers only, who bring something else.
                (401, Some("AUTH_REQUIRED" | "INVALID_CREDENTIALS")) => {}
                (403, Some("FORBIDDEN")) if path == "/api/auth/person/password" => {}
                answer => let_in.push(format!("{method} {path}: {answer:?}")),
            }
        }
    }
    assert!(let_in.is_empty(), "{let_in:#?}");
    assert!(refused > 60, "only {refused} routes were tried");
    boss.me().await.ok();
}

async fn no_socket_and_no_session_by_a_key(hub: TestHub) {
    let org = hub.with_org("acme").await;
    let made = key(&org, json!({"agent_id": "ada"})).await;
    let secret = made.text("key");
    caller(&hub, &made).call("POST", "/api/ws-ticket").await.refused(403, "INSUFFICIENT_SCOPE");
    let mut old = Socket::try_connect(&hub, &format!("/v0/ws?token={secret}")).await.unwrap();
    assert_eq!(old.closed().await, 4001);
    let login = json!({"type": "bot", "token": secret});
    hub.anonymous().post("/api/auth/login", login).await.refused(403, "INSUFFICIENT_SCOPE");
    assert_eq!(org.get("/api/org/sessions").await.ok()["items"].as_array().unwrap().len(), 1, "the admin's own");
}

async fn bots_do_not_make_themselves_respond(hub: TestHub) {
    let org = hub.with_org("acme").await;
    let ada = org.bot("ada").await;
    for scopes in [json!(["respond"]), json!(["coordinate", "respond"]), json!(["full", "respond"])] {
        let refusal = ada.post("/api/me/tokens", json!({ "scopes": scopes })).await.invalid();
        assert!(refusal.text("error").contains("respond"), "{refusal}");
    }
    let own = ada.post("/api/me/tokens", json!({"scopes": ["coordinate"]})).await.ok();
    let by_own = Caller::bearer(&hub, &own.text("token"));
    is_known(&by_own).await;
    let listed = org.get("/api/org/keys").await.list();
    assert_eq!((listed.len(), &listed[0]["id"], &listed[0]["allow_respond"]), (1, &own["id"], &json!(false)));
    org.delete(format!("/api/org/keys/{}", own.id())).await.ok();
    by_own.get("/api/me").await.refused(401, "INVALID_TOKEN");
    // An admin does, and the bot sees and ends it like its other tokens.
    let made = key(&org, json!({"agent_id": "ada", "allow_respond": true})).await;
    assert_eq!(made["allow_respond"], true);
    assert_eq!(ada.get("/api/me/tokens").await.list()[0]["scopes"], json!(["coordinate", "respond"]));
    let by_key = caller(&hub, &made);
    by_key.post("/api/me/tokens", json!({"scopes": ["coordinate"]})).await.refused(403, "INSUFFICIENT_SCOPE");
    ada.delete(format!("/api/me/tokens/{}", made.id())).await.ok();
    by_key.get("/api/me").await.refused(401, "INVALID_TOKEN");
}

async fn who_may_make_keys(hub: TestHub) {
    let org = hub.with_org("acme").await;
    let (boss, ada) = (org.admin_bot("boss").await, org.bot("ada").await);
    let body = || json!({"agent_id": "ada"});
    key(&boss, body()).await;
    key(&*boss.human("Ann").await, body()).await;
    boss.get("/api/org/keys").await.list();
    // A key would outlive the token that made it.
    let scoped = boss.scoped(&["full"]).await;
    scoped.post("/api/org/keys", body()).await.forbidden();
    scoped.human("Ann").await.post("/api/org/keys", body()).await.forbidden();
    for nobody in [&ada, &ada.human("Bea").await] {
        nobody.post("/api/org/keys", body()).await.forbidden();
        nobody.get("/api/org/keys").await.forbidden();
        nobody.delete(format!("/api/org/keys/{NOBODY}")).await.forbidden();
    }
    boss.scoped(&["read"]).await.get("/api/org/keys").await.refused(403, "INSUFFICIENT_SCOPE");
    hub.anonymous().post("/api/org/keys", body()).await.refused(401, "AUTH_REQUIRED");
    hub.super_admin().await.get("/api/org/keys").await.refused(400, "ORG_CONTEXT_REQUIRED");
    assert_eq!(org.get("/api/org/keys").await.list().len(), 2);
    let by: Vec<Value> = org.audit("key.create").await.iter().map(|row| row["bot_id"].clone()).collect();
    assert_eq!(by, [json!(boss.id), json!(boss.id)]);
}

async fn an_agent_is_found_or_made(hub: TestHub) {
    let org = hub.with_org("acme").await;
    let ada = org.bot("ada").await;
    for agent in ["ada", "Ada", ada.id.as_str()] {
        let made = key(&org, json!({ "agent_id": agent })).await;
        assert_eq!((&made["bot_id"], &made["agent_id"]), (&json!(ada.id), &json!("ada")), "{agent}");
    }
    org.post("/api/org/keys", json!({"agent_id": NOBODY})).await.missing();
    org.post("/api/org/keys", json!({"agent_id": NOBODY.to_uppercase()})).await.missing();
    org.bot("gone").await.delete("/api/me").await.ok();
    org.post("/api/org/keys", json!({"agent_id": "gone"})).await.refused(409, "NAME_TOMBSTONED");
    org.settings(json!({"join_approval_required": true})).await.ok();
    let waiting = Bot::new(&hub, &org.register(json!({"ticket": org.ticket, "name": "bob"})).await.ok());
    org.post("/api/org/keys", json!({"agent_id": "bob"})).await.refused(403, "BOT_NOT_ACTIVE");
    org.patch(format!("/api/org/bots/{}/status", waiting.id), json!({"status": "active"})).await.ok();
    assert_eq!(key(&org, json!({"agent_id": "bob"})).await["bot_id"], waiting.id.as_str());
    let new = key(&org, json!({"agent_id": "cleo"})).await;
    is_known(&caller(&hub, &new)).await;
    let profile = ada.get("/api/bots/cleo/profile").await.ok();
    assert_eq!((&profile["id"], &profile["join_status"]), (&new["bot_id"], &json!("active")), "approval is given");
}

async fn one_agent_for_all_who_ask_at_once(hub: TestHub) {
    let org = hub.with_org("acme").await;
    for round in 0..5 {
        let ask = || org.post("/api/org/keys", json!({"agent_id": format!("ada{round}")})).answered();
        let made: Vec<Value> = futures_util::future::join_all((0..8).map(|_| ask()))
            .await
            .into_iter()
            .map(|reply| reply.status(201))
            .collect();
        assert!(made.iter().all(|key| key["bot_id"] == made[0]["bot_id"]), "{made:?}");
        let keys: std::collections::BTreeSet<String> = made.iter().map(|key| key.text("key")).collect();
        assert_eq!(keys.len(), 8);
        is_known(&caller(&hub, &made[7])).await;
    }
}

async fn keys_of_others_do_not_exist(hub: TestHub) {
    let (org, other) = (hub.with_org("acme").await, hub.with_org("other").await);
    let ada = org.bot("ada").await;
    let made = key(&org, json!({"agent_id": "ada"})).await;
    let token = ada.post("/api/me/tokens", json!({"scopes": ["read", "coordinate"]})).await.ok();
    assert_eq!(other.get("/api/org/keys").await.list(), [] as [Value; 0]);
    for id in [made.id(), token.id(), NOBODY.to_owned(), "x".to_owned(), "%00".to_owned()] {
        other.delete(format!("/api/org/keys/{id}")).await.missing();
    }
    org.delete(format!("/api/org/keys/{}", token.id())).await.missing();
    is_known(&caller(&hub, &made)).await;
    Caller::bearer(&hub, &token.text("token")).get("/api/me").await.ok();
    // The same agent elsewhere is somebody else.
    assert_ne!(key(&other, json!({"agent_id": "ada"})).await["bot_id"], made["bot_id"]);
    other.post("/api/org/keys", json!({"agent_id": ada.id})).await.missing();
}

async fn keys_are_bounded_per_bot(hub: TestHub) {
    let org = hub.with_org("acme").await;
    let ask = |agent: &str| org.post("/api/org/keys", json!({ "agent_id": agent }));
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(ask("ada").await.status(201));
    }
    ask("ada").await.refused(409, "LIMIT_REACHED");
    ask("bob").await.status(201);
    org.delete(format!("/api/org/keys/{}", made[0].id())).await.ok();
    ask("ada").await.status(201);
    let outcomes = futures_util::future::join_all((0..8).map(|_| ask("cleo").answered())).await;
    assert_eq!(outcomes.iter().filter(|reply| reply.status == 201).count(), 3, "{outcomes:?}");
}

async fn an_expired_key_is_refused(hub: TestHub) {
    let org = hub.with_org("acme").await;
    let made = key(&org, json!({"agent_id": "ada", "expires_in": 1})).await;
    let ada = caller(&hub, &made);
    is_known(&ada).await;
    eventually(|| async { ada.get("/api/me").await.status }, |status| *status == 401).await;
    assert!(now_ms() >= made.int("expires_at"), "it ended too early");
    ada.get("/api/me").await.refused(401, "TOKEN_EXPIRED");
}

async fn a_key_ends_with_its_bot_and_rests_with_its_organisation(hub: TestHub) {
    let org = hub.with_org("acme").await;
    let made = key(&org, json!({"agent_id": "ada"})).await;
    let (ada, bot) = (caller(&hub, &made), made.text("bot_id"));
    is_known(&ada).await;
    org.patch(format!("/api/org/bots/{bot}/status"), json!({"status": "rejected"})).await.ok();
    ada.get("/api/me").await.refused(403, "BOT_NOT_ACTIVE");
    org.patch(format!("/api/org/bots/{bot}/status"), json!({"status": "active"})).await.ok();
    let platform = hub.super_admin().await;
    platform.patch(format!("/api/orgs/{}", org.id), json!({"status": "suspended"})).await.ok();
    ada.get("/api/me").await.refused(403, "ORG_SUSPENDED");
    platform.patch(format!("/api/orgs/{}", org.id), json!({"status": "active"})).await.ok();
    is_known(&ada).await;
    let boss = org.admin_bot("boss").await;
    boss.delete(format!("/api/bots/{bot}")).await.ok();
    ada.get("/api/me").await.refused(401, "INVALID_TOKEN");
    assert_eq!(boss.get("/api/org/keys").await.list(), [] as [Value; 0]);
}

/// Whoever guesses keys is stopped; whoever has one, at the same address, is not, and neither are other wrong tokens.
async fn wrong_keys_are_limited(hub: TestHub) {
    let org = hub.with_org("acme").await;
    let ada = caller(&hub, &key(&org, json!({"agent_id": "ada"})).await);
    let mut tries = 0;
    let locked = loop {
        let wrong = Caller::bearer(&hub, &format!("hcp_{tries:064x}"));
        let reply = wrong.get("/api/me").await;
        if reply.status == 429 {
            break reply;
        }
        reply.refused(401, "INVALID_TOKEN");
        tries += 1;
        assert!(tries < 300, "nobody stops a guesser");
    };
    assert!(tries >= 50, "{tries} are an ordinary client that was not told of its new key");
    assert!(locked.header("retry-after").is_some());
    is_known(&ada).await;
    Caller::bearer(&hub, "bot_unknown").get("/api/me").await.refused(401, "INVALID_TOKEN");
    is_known(&caller(&hub, &key(&org, json!({"agent_id": "bob"})).await)).await;
}

async fn bad_requests_are_named(hub: TestHub) {
    let org = hub.with_org("acme").await;
    for (body, words) in [
        (json!({}), "agent_id is required"),
        (json!({"agent_id": "my agent"}), "agent_id may only hold"),
        (json!({"agent_id": "a\u{0}"}), "agent_id may only hold"),
        (json!({"agent_id": ["ada"]}), "agent_id must be a string"),
        (json!({"agent_id": "a".repeat(129)}), "agent_id is too long"),
        (json!({"agent_id": "ada", "label": "l".repeat(257)}), "label"),
        (json!({"agent_id": "ada", "label": "\u{0}"}), "label"),
        (json!({"agent_id": "ada", "allow_respond": "yes"}), "allow_respond"),
        (json!({"agent_id": "ada", "expires_in": 0}), "expires_in"),
        (json!({"agent_id": "ada", "expires_in": 1e300}), "expires_in"),
    ] {
        let refusal = org.post("/api/org/keys", body).await.invalid();
        assert!(refusal.text("error").contains(words), "{words}: {refusal}");
    }
    org.post("/api/org/keys", json!({"agent_id": "all"})).await.refused(400, "RESERVED_NAME");
    assert_eq!(org.get("/api/bots").await.list().len(), 0, "a refused request made a bot");
}
