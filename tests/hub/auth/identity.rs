//! Who may do what at all: credentials and their precedence, logins, sessions, CSRF, scopes and secrets.

use crate::harness::*;

on_both_databases! {
    authentication_failures,
    org_header,
    org_creation,
    invite_codes,
    logins,
    login_refusals,
    login_limiter,
    session_cookie,
    session_info_and_logout,
    session_wins_over_bearer,
    csrf,
    session_limit,
    scoped_tokens,
    scoped_token_expiry,
    token_refusals,
    scope_matrix,
    admin_routes_need_full_scope,
    rejected_bots_are_locked_out,
    revocation_counts_at_once,
    secret_rotation,
    suspension_and_return,
}

pub async fn authentication_failures(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let nobody = hub.anonymous();
    nobody.get("/api/me").await.refused(401, "AUTH_REQUIRED");
    nobody.get(format!("/api/me?token={}", ada.secret())).await.refused(401, "AUTH_REQUIRED");
    nobody
        .get("/api/me")
        .header("authorization", format!("Basic {}", ada.secret()))
        .await
        .refused(401, "AUTH_REQUIRED");
    nobody.get("/api/me").header("authorization", ada.secret()).await.refused(401, "AUTH_REQUIRED");
    nobody.get("/api/me").header("authorization", "Bearer unknown").await.refused(401, "INVALID_TOKEN");
    for admin_secret in [ADMIN_SECRET, ada.hub.url()] {
        Caller::bearer(&hub, admin_secret).get("/api/orgs").await.refused(401, "AUTH_REQUIRED");
    }
    Caller::cookie(&hub, &"0".repeat(64)).get("/api/me").await.refused(401, "AUTH_REQUIRED");
    nobody.get("/api/no/such/route").await.refused(401, "AUTH_REQUIRED");
    ada.get("/api/no/such/route").await.missing();
    ada.call("PUT", "/api/me").await.missing();
}

async fn org_header(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    ada.me().header("x-org-id", &ada.org_id).await.ok();
    ada.me().header("x-org-id", "").await.ok();
    ada.me().header("x-org-id", NOBODY).await.refused(403, "ORG_MISMATCH");
}

async fn org_creation(hub: TestHub) {
    let root = hub.super_admin().await;
    let org = root.post("/api/orgs", json!({"name": "acme"})).await.ok();
    insta::assert_json_snapshot!("org_created", shape(&org));
    assert_eq!(org["org_secret"].as_str().unwrap().len(), 48);
    for bad in [
        json!({}),
        json!({"name": ""}),
        json!({"name": null}),
        json!({"name": 7}),
        json!({"name": ["a"]}),
        json!({"name": {}}),
    ] {
        root.post("/api/orgs", bad).await.invalid();
    }
    let listed = root.get("/api/orgs").await.list();
    assert!(listed.iter().any(|row| row["name"] == "acme" && row.get("org_secret").is_none()));
    for caller in [&hub.anonymous(), &*hub.with_org("b").await, &*hub.with_org("c").await.admin_bot("boss").await] {
        caller.post("/api/orgs", json!({"name": "mine"})).await.refused(401, "AUTH_REQUIRED");
        caller.get("/api/orgs").await.refused(401, "AUTH_REQUIRED");
    }
}

async fn invite_codes(hub: TestHub) {
    let root = hub.super_admin().await;
    let code = root.post("/api/platform/invite-codes", json!({"max_uses": 2, "label": "beta"})).await.status(201);
    insta::assert_json_snapshot!("invite_code", shape(&code));
    assert_eq!(code["code"].as_str().unwrap().len(), 20);
    let found = |code: &Value, name: &str| {
        hub.anonymous().post("/api/platform/orgs", json!({"invite_code": code["code"], "name": name}))
    };
    let org = found(&code, "founded").await.status(201);
    assert_eq!(org.keys(), ["name", "org_id", "org_secret"]);
    let races = futures_util::future::join_all((0..8).map(|n| {
        let call = found(&code, &n.to_string());
        async move { call.await.status }
    }));
    let mut statuses = races.await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 401, 401, 401, 401, 401, 401, 401], "the last use has one winner");
    found(&code, "exhausted").await.refused(401, "INVALID_INVITE_CODE");
    found(&json!({"code": "hxa_0000000000000000"}), "unknown").await.refused(401, "INVALID_INVITE_CODE");
    found(&json!({"code": 7}), "n").await.invalid();
    let open = root.post("/api/platform/invite-codes", json!({"expires_in": 0})).await.status(201);
    assert_eq!((&open["max_uses"], &open["expires_at"], &open["label"]), (&json!(0), &json!(0), &json!(null)));
    found(&open, "").await.invalid();
    found(&open, &"n".repeat(129)).await.invalid();
    root.delete(format!("/api/platform/invite-codes/{}", open.id())).await.status(204);
    found(&open, "revoked").await.refused(401, "INVALID_INVITE_CODE");
    for bad in [
        json!({"max_uses": -1}),
        json!({"max_uses": 1.5}),
        json!({"max_uses": null}),
        json!({"label": 7}),
        json!({"label": "l".repeat(257)}),
    ] {
        root.post("/api/platform/invite-codes", bad).await.invalid();
    }
    let listed = root.get("/api/platform/invite-codes").await.list();
    assert_eq!(
        (listed[0]["use_count"].clone(), listed[0]["exhausted"].clone(), &listed[0]["expired"]),
        (json!(2), json!(true), &json!(false))
    );
    assert!(listed[0].get("code_hash").is_none());
}

pub async fn logins(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let session = |body: Value| {
        let call = hub.anonymous().post("/api/auth/login", body);
        async move { call.await.ok()["session"].clone() }
    };
    let bot = session(json!({"type": "bot", "token": ada.secret(), "owner_name": "Ann"})).await;
    assert_eq!(
        (bot.keys(), &bot["role"], &bot["bot_id"]),
        (vec!["bot_id", "expires_at", "org_id", "role"], &json!("bot_owner"), &json!(ada.id))
    );
    let admin = session(json!({"type": "org_admin", "org_id": org.id, "org_secret": org.secret})).await;
    assert_eq!((admin.keys(), &admin["role"]), (vec!["expires_at", "org_id", "role"], &json!("org_admin")));
    let root = session(json!({"type": "super_admin", "admin_secret": ADMIN_SECRET})).await;
    assert_eq!((root.keys(), &root["role"]), (vec!["expires_at", "role"], &json!("super_admin")));
    for (session, hours) in [(bot, 24), (admin, 8), (root, 4)] {
        let left = session.int("expires_at") - now_ms();
        assert!((left - hours * 3_600_000).abs() < 10_000, "{session}");
    }
    assert_eq!(org.audit("auth.login").await.len(), 3);
}

pub async fn login_refusals(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let login = |body: Value| hub.anonymous().post("/api/auth/login", body);
    for bad in [
        json!({}),
        json!({"type": "human"}),
        json!({"type": ["bot"], "token": ada.secret()}),
        json!({"type": "bot"}),
        json!({"type": "bot", "token": 7}),
        json!({"type": "bot", "token": ada.secret(), "owner_name": {"n": 1}}),
        json!({"type": "org_admin", "org_id": org.id}),
        json!({"type": "org_admin", "org_secret": org.secret}),
        json!({"type": "super_admin"}),
        json!({"type": "super_admin", "admin_secret": 7}),
    ] {
        login(bad).await.invalid();
    }
    // Without a type it is the login of clients from before 1.1, which gives a ticket.
    let old = login(json!({"org_id": org.id, "org_secret": org.secret})).await.ok();
    assert!(old.text("ticket").starts_with("tkt_"), "{old}");
    login(json!({"type": "bot", "token": "bot_ffff"})).await.refused(401, "INVALID_TOKEN");
    login(json!({"type": "org_admin", "org_id": org.id, "org_secret": "wrong"}))
        .await
        .refused(401, "INVALID_CREDENTIALS");
    login(json!({"type": "org_admin", "org_id": NOBODY, "org_secret": org.secret}))
        .await
        .refused(401, "INVALID_CREDENTIALS");
    login(json!({"type": "super_admin", "admin_secret": "wrong"})).await.refused(401, "INVALID_CREDENTIALS");
}

async fn login_limiter(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let login = |org_id: &str, secret: &str| {
        hub.anonymous().post("/api/auth/login", json!({"type": "org_admin", "org_id": org_id, "org_secret": secret}))
    };
    for _ in 0..5 {
        login(&org.id, "wrong").await.refused(401, "INVALID_CREDENTIALS");
    }
    let reply = login(&org.id, &org.secret).await;
    let seconds: i64 = reply.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((890..=900).contains(&seconds), "locked for a quarter of an hour, not {seconds}");
    assert_eq!(reply.refused(429, "RATE_LIMITED")["retry_after"], seconds);
    login(&other.id, &other.secret).await.ok();
    for _ in 0..3 {
        hub.anonymous()
            .post("/api/auth/login", json!({"type": "super_admin", "admin_secret": "wrong"}))
            .await
            .refused(401, "INVALID_CREDENTIALS");
    }
    let locked = hub.anonymous().post("/api/auth/login", json!({"type": "super_admin", "admin_secret": "wrong"})).await;
    assert!(locked.refused(429, "RATE_LIMITED").int("retry_after") > 900);
    for n in 0..12 {
        login(&format!("org{n}"), "wrong").await.refused(401, "INVALID_CREDENTIALS");
    }
    login(&other.id, &other.secret).await.refused(429, "RATE_LIMITED");
}

pub async fn session_cookie(hub: TestHub) {
    let org = hub.with_org("a").await;
    let reply = hub
        .anonymous()
        .post("/api/auth/login", json!({"type": "org_admin", "org_id": org.id, "org_secret": org.secret}))
        .await;
    let cookie = reply.header("set-cookie").unwrap().to_owned();
    let session = reply.session_cookie();
    assert!(session.len() == 64 && session.bytes().all(|b| b.is_ascii_hexdigit()));
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Secure", "Max-Age=2"] {
        assert!(cookie.contains(part), "{part} is not in {cookie}");
    }
    let caller = Caller::cookie(&hub, &session);
    let many = format!("other=1; hxa_session={session}; more=2");
    caller.get("/api/auth/session").header("cookie", many).await.ok();
    let reply = caller.post("/api/auth/logout", json!({})).await;
    let cleared = reply.header("set-cookie").unwrap();
    assert!(cleared.starts_with("hxa_session=;") && cleared.contains("1970"), "{cleared}");
}

pub async fn session_info_and_logout(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let human = ada.human("Ann").await;
    insta::assert_json_snapshot!("session_of_a_bot_owner", shape(&human.get("/api/auth/session").await.ok()));
    insta::assert_json_snapshot!("session_of_an_org_admin", shape(&org.get("/api/auth/session").await.ok()));
    ada.get("/api/auth/session").await.refused(401, "AUTH_REQUIRED");
    assert_eq!(human.post("/api/auth/logout", json!({})).await.ok(), json!({"ok": true}));
    human.get("/api/auth/session").await.refused(401, "AUTH_REQUIRED");
    human.me().await.refused(401, "AUTH_REQUIRED");
    human.post("/api/auth/logout", json!({})).await.refused(401, "AUTH_REQUIRED");
    let audit = org.get("/api/audit?limit=200").await.text;
    assert!(!audit.contains(human.secret()), "a session id stands in the audit log");
    for filter in ["action", "target_type", "target_id", "bot_id"] {
        assert!(org.get(format!("/api/audit?{filter}=%00")).await.list().is_empty(), "{filter}");
    }
}

pub async fn session_wins_over_bearer(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let human = ada.human("Ann").await;
    let me = human.me().header("authorization", format!("Bearer {}", bob.secret())).await.ok();
    assert_eq!(me["name"], "ada");
}

pub async fn csrf(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let human = ada.human("Ann").await;
    let change = || human.patch("/api/me/profile", json!({"bio": "b"}));
    change().await.ok();
    change().without("origin").await.refused(403, "CSRF_ERROR");
    for bad in ["null", "http://evil.example", "http://127.0.0.1.evil.example", "not a url"] {
        change().header("origin", bad).await.refused(403, "CSRF_ERROR");
    }
    human.post("/api/threads", json!({"topic": "t"})).without("origin").await.refused(403, "CSRF_ERROR");
    human.delete("/api/me").without("origin").await.refused(403, "CSRF_ERROR");
    human.get("/api/me").without("origin").await.ok();
    human.call("HEAD", "/api/me").without("origin").await.ok();
    let login = json!({"type": "bot", "token": ada.secret()});
    human.post("/api/auth/login", login.clone()).without("origin").await.refused(403, "CSRF_ERROR");
    hub.anonymous().post("/api/auth/login", login).header("origin", "http://evil.example").await.ok();
    ada.patch("/api/me/profile", json!({"bio": "b"})).header("origin", "http://evil.example").await.ok();
}

pub async fn session_limit(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let mut humans = Vec::new();
    for n in 0..6 {
        humans.push(ada.human(&n.to_string()).await);
    }
    humans[0].me().await.refused(401, "AUTH_REQUIRED");
    humans[5].me().await.ok();
    let mut alive = 0;
    for human in &humans {
        alive += usize::from(human.me().await.status == 200);
    }
    assert!(alive <= 5, "{alive} sessions of one bot");
    ada.me().await.ok();
}

async fn scoped_tokens(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let full = ada.post("/api/me/tokens", json!({"scopes": ["full"], "label": "all"})).await.ok();
    insta::assert_json_snapshot!("scoped_token", shape(&full));
    let caller = Caller::bearer(&hub, &full.text("token"));
    assert_eq!(caller.get("/api/me").await["id"], ada.id.as_str());
    let read = ada.post("/api/me/tokens", json!({"scopes": ["read", "message"], "expires_in": 60_000})).await.ok();
    assert!((read.int("expires_at") - read.int("created_at") - 60_000).abs() < 5);
    let listed = ada.get("/api/me/tokens").await.list();
    assert_eq!(
        listed.iter().map(Value::keys).next().unwrap(),
        ["created_at", "expires_at", "id", "label", "last_used_at", "scopes"]
    );
    assert_eq!((json!(listed).all("id"), &listed[1]["label"]), (vec![&*read.id(), &*full.id()], &json!("all")));
    assert_eq!(ada.delete(format!("/api/me/tokens/{}", full.id())).await.ok(), json!({"ok": true}));
    caller.get("/api/me").await.refused(401, "INVALID_TOKEN");
    ada.delete(format!("/api/me/tokens/{}", full.id())).await.missing();
    let bob = org.bot("bob").await;
    bob.delete(format!("/api/me/tokens/{}", read.id())).await.missing();
    assert_eq!((org.audit("bot.token_create").await.len(), org.audit("bot.token_revoke").await.len()), (2, 1));
}

pub async fn scoped_token_expiry(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let token = ada.post("/api/me/tokens", json!({"scopes": ["read"], "expires_in": 1500})).await.ok();
    let caller = Caller::bearer(&hub, &token.text("token"));
    caller.get("/api/me").await.ok();
    tokio::time::sleep(std::time::Duration::from_millis(1600)).await;
    caller.get("/api/me").await.refused(401, "TOKEN_EXPIRED");
    hub.anonymous()
        .post("/api/auth/login", json!({"type": "bot", "token": caller.secret()}))
        .await
        .refused(401, "TOKEN_EXPIRED");
}

async fn token_refusals(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    for bad in [
        json!({}),
        json!({"scopes": []}),
        json!({"scopes": "full"}),
        json!({"scopes": ["admin"]}),
        json!({"scopes": [7]}),
        json!({"scopes": ["full"], "label": 7}),
        json!({"scopes": ["full"], "expires_in": 0}),
        json!({"scopes": ["full"], "expires_in": -1}),
        json!({"scopes": ["full"], "expires_in": null}),
        json!({"scopes": ["full"], "expires_in": "60"}),
        json!({"scopes": ["full"], "expires_in": 1e303}),
    ] {
        ada.post("/api/me/tokens", bad).await.invalid();
    }
    org.post("/api/me/tokens", json!({"scopes": ["full"]})).await.forbidden();
    assert!(ada.get("/api/me/tokens").await.list().is_empty());
}

async fn scope_matrix(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[]).await.id();
    let classes: [(&str, &str, String, Value); 12] = [
        ("read", "GET", "/api/me".into(), json!({})),
        ("read", "GET", "/api/peers".into(), json!({})),
        ("read", "GET", "/api/bots".into(), json!({})),
        ("read", "GET", format!("/api/bots/{}", bob.id), json!({})),
        ("read", "GET", "/api/bots/bob/profile".into(), json!({})),
        ("read", "GET", "/api/inbox?since=0".into(), json!({})),
        ("read", "GET", format!("/api/threads/{thread}"), json!({})),
        ("thread", "PATCH", format!("/api/threads/{thread}"), json!({"topic": "u"})),
        ("thread", "GET", format!("/api/threads/{thread}/join-requests"), json!({})),
        ("message", "POST", "/api/send".into(), json!({"to": "bob", "content": "c"})),
        ("profile", "PATCH", "/api/me/profile".into(), json!({"bio": "b"})),
        ("full", "GET", "/api/me/tokens".into(), json!({})),
    ];
    for scope in ["full", "read", "thread", "message", "profile"] {
        let caller = ada.scoped(&[scope]).await;
        for (class, method, path, body) in &classes {
            let reply = caller.call(method, path).json(body).await;
            if scope == "full" || scope == *class {
                reply.ok();
            } else {
                reply.refused(403, "INSUFFICIENT_SCOPE");
            }
        }
        caller.get("/api/org").await.ok();
    }
}

/// A token that may only read used to be able to change the organisation when its bot was an admin.
async fn admin_routes_need_full_scope(hub: TestHub) {
    let org = hub.with_org("a").await;
    let boss = org.admin_bot("boss").await;
    boss.patch("/api/org/settings", json!({"messages_per_minute_per_bot": 50})).await.ok();
    for scope in ["read", "thread", "message", "profile"] {
        let scoped = boss.scoped(&[scope]).await;
        let refused = [
            scoped.patch("/api/org/settings", json!({"messages_per_minute_per_bot": 1})).await,
            scoped.post("/api/org/tickets", json!({})).await,
            scoped.post("/api/org/rotate-secret", json!({})).await,
            scoped.get("/api/audit").await,
        ];
        for reply in refused {
            reply.refused(403, "INSUFFICIENT_SCOPE");
        }
    }
    org.bot("member").await.get("/api/org/settings").await.forbidden();
}

pub async fn rejected_bots_are_locked_out(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let human = ada.human("Ann").await;
    let scoped = ada.scoped(&["full"]).await;
    let set = |status: &str| {
        org.patch(format!("/api/org/bots/{}/status", ada.id), json!({"status": status, "reason": "why"}))
    };
    let answer = set("rejected").await.ok();
    assert_eq!((&answer["join_status"], &answer["previous_status"]), (&json!("rejected"), &json!("active")));
    for caller in [&ada, &scoped] {
        let refused = caller.me().await.refused(403, "BOT_NOT_ACTIVE");
        assert_eq!((&refused["join_status"], refused["message"].is_string()), (&json!("rejected"), true));
    }
    assert_ne!(human.me().await.status, 200, "a human session of a rejected bot works on");
    assert_ne!(
        hub.anonymous().post("/api/auth/login", json!({"type": "bot", "token": ada.secret()})).await.status,
        200
    );
    bob.get(format!("/api/bots/{}", ada.id)).await.missing();
    assert!(!bob.get("/api/bots").await.ok().all("name").contains(&"ada"));
    set("active").await.ok();
    ada.me().await.ok();
    for bad in [
        json!({}),
        json!({"status": "pending"}),
        json!({"status": "active", "reason": null}),
        json!({"status": "active", "reason": "r".repeat(501)}),
    ] {
        org.patch(format!("/api/org/bots/{}/status", ada.id), bad).await.invalid();
    }
}

/// A revoked credential is refused on the next request, however warm the cache was.
async fn revocation_counts_at_once(hub: TestHub) {
    let org = hub.with_org("a").await;
    for n in 0..5 {
        let ada = org.bot(&format!("ada{n}")).await;
        let token = ada.post("/api/me/tokens", json!({"scopes": ["read"]})).await.ok();
        let caller = Caller::bearer(&hub, &token.text("token"));
        for _ in 0..3 {
            caller.get("/api/me").await.ok();
        }
        ada.delete(format!("/api/me/tokens/{}", token.id())).await.ok();
        caller.get("/api/me").await.refused(401, "INVALID_TOKEN");
        ada.delete("/api/me").await.ok();
        ada.me().await.refused(401, "INVALID_TOKEN");
    }
}

pub async fn secret_rotation(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let rotated = org.post("/api/org/rotate-secret", json!({})).await.ok().text("org_secret");
    assert!(rotated.len() == 48 && rotated != org.secret);
    org.get("/api/org").await.refused(401, "AUTH_REQUIRED");
    ada.me().await.ok();
    org.register(json!({"org_secret": org.secret, "name": "late"})).await.refused(401, "INVALID_CREDENTIALS");
    org.register(json!({"org_secret": rotated, "name": "late"})).await.ok();
    org.register(json!({"ticket": org.ticket, "name": "later"})).await.refused(401, "INVALID_TICKET");
}

pub async fn suspension_and_return(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let human = ada.human("Ann").await;
    let root = hub.super_admin().await;
    let path = format!("/api/orgs/{}", org.id);
    let suspended = root.patch(&path, json!({"status": "suspended"})).await.ok();
    assert_eq!(suspended, json!({"id": org.id, "name": "a", "status": "suspended"}));
    for caller in [&*ada, &*human, &*org] {
        caller.get("/api/org").await.refused(403, "ORG_SUSPENDED");
    }
    human.get("/api/auth/session").await.ok();
    hub.anonymous()
        .post("/api/auth/login", json!({"type": "org_admin", "org_id": org.id, "org_secret": org.secret}))
        .await
        .refused(403, "ORG_INACTIVE");
    org.register(json!({"org_secret": org.secret, "name": "bob"})).await.refused(403, "ORG_SUSPENDED");
    org.register(json!({"ticket": org.ticket, "name": "bob"})).await.refused(401, "INVALID_TICKET");
    for bad in [json!({"status": "destroyed"}), json!({"status": null}), json!({"name": ""}), json!({"name": null})] {
        root.patch(&path, bad).await.invalid();
    }
    root.patch(&path, json!({"status": "active", "name": "b"})).await.ok();
    assert_eq!(ada.get("/api/org").await.ok(), json!({"id": org.id, "name": "b", "status": "active"}));
    human.me().await.ok();
    root.patch(format!("/api/orgs/{NOBODY}"), json!({})).await.missing();
    root.delete(format!("/api/orgs/{}", org.id)).await.status(204);
    root.delete(format!("/api/orgs/{}", org.id)).await.missing();
    ada.me().await.refused(401, "INVALID_TOKEN");
    human.me().await.refused(401, "SESSION_INVALID");
}
