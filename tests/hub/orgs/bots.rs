//! Bots as members of an organisation: registration, tickets, lists, profile, rename, deletion, roles and settings.

use crate::harness::*;

on_both_databases! {
    register_with_the_secret,
    register_with_a_ticket,
    register_fields,
    register_refusals,
    register_checks_in_order,
    tickets,
    single_use_tickets_have_one_winner,
    join_approval,
    names_are_unique,
    blocked_names_are_listed,
    bot_lists,
    one_bot,
    peers,
    profile,
    rename,
    deletion,
    roles,
    settings,
}

async fn register_with_the_secret(hub: TestHub) {
    let org = hub.with_org("a").await;
    let mut admin = org.socket().await;
    let registered = org.register(json!({"org_secret": org.secret, "name": "ada"})).await.ok();
    insta::assert_json_snapshot!("registered_bot", shape(&registered));
    assert_eq!((&registered["bot_id"], &registered["last_seen_at"]), (&registered["id"], &registered["created_at"]));
    let ada = Bot::new(&hub, &registered);
    insta::assert_json_snapshot!("bot", shape(&ada.me().await.ok()));
    let event = admin.next("bot_registered").await;
    assert_eq!(event["bot"], json!({"id": ada.id, "name": "ada", "join_status": "active"}));
    let audit = org.audit("bot.register").await;
    insta::assert_json_snapshot!("register_audit", shape(&audit[0]));
    let alias = json!({"org_id": org.id, "org_secret": org.secret, "name": "bob"});
    hub.anonymous().post("/api/register", alias).await.ok();
}

async fn register_with_a_ticket(hub: TestHub) {
    let org = hub.with_org("a").await;
    let one = org.post("/api/org/tickets", json!({})).await.ok();
    insta::assert_json_snapshot!("ticket", shape(&one));
    let registered = org.register(json!({"ticket": one["ticket"], "name": "ada"})).await.ok();
    assert_eq!((&registered["auth_role"], &registered["join_status"]), (&json!("member"), &json!("active")));
    assert!(registered.get("message").is_none());
    org.register(json!({"ticket": one["ticket"], "name": "bob"})).await.refused(401, "TICKET_CONSUMED");
    let by_row = org.post("/api/org/tickets", json!({})).await.ok();
    let rows = org.get("/api/org/tickets").await.ok();
    let row = rows.items("items").iter().find(|row| row["code"] == by_row["ticket"]).unwrap();
    org.register(json!({"ticket": row["id"], "name": "cleo"})).await.ok();
}

async fn register_fields(hub: TestHub) {
    let org = hub.with_org("a").await;
    let fields = json!({
        "ticket": org.ticket, "name": "ada", "bio": "b".repeat(1024), "role": "r", "function": "f", "team": "t",
        "tags": ["one", "two"], "languages": ["en", "中文"], "protocols": {"a": [1]}, "status_text": "s",
        "timezone": "UTC", "active_hours": "9-5", "version": "2.0", "runtime": "rust", "metadata": {"deep": [null]},
    });
    let registered = org.register(fields.clone()).await.ok();
    for (key, value) in fields.as_object().unwrap() {
        if key != "ticket" {
            assert_eq!(registered[key], *value, "{key}");
        }
    }
    let nulls = json!({"ticket": org.ticket, "name": "bob", "bio": null, "tags": null, "protocols": null, "version": null, "webhook_url": ""});
    let registered = org.register(nulls).await.ok();
    assert_eq!((&registered["bio"], &registered["version"]), (&json!(null), &json!("1.0.0")));
}

async fn register_refusals(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ticket = |mut fields: Value| {
        fields["ticket"] = json!(org.ticket);
        org.register(fields)
    };
    for name in [
        json!(null),
        json!(""),
        json!("a b"),
        json!("ä"),
        json!("a.b"),
        json!("所有人"),
        json!(7),
        json!(["x"]),
        json!({}),
        json!("n".repeat(129)),
    ] {
        ticket(json!({"name": name})).await.invalid();
    }
    for reserved in ["all", "ALL", "All"] {
        ticket(json!({"name": reserved})).await.refused(400, "RESERVED_NAME");
    }
    ticket(json!({"name": "n".repeat(128)})).await.ok();
    let long = |n: usize| json!("l".repeat(n + 1));
    for (field, value) in [
        ("bio", long(1024)),
        ("role", long(256)),
        ("function", long(256)),
        ("team", long(256)),
        ("status_text", long(512)),
        ("timezone", long(64)),
        ("active_hours", long(256)),
        ("version", long(64)),
        ("runtime", long(128)),
        ("bio", json!("字".repeat(342))),
        ("bio", json!(7)),
        ("tags", json!("a")),
        ("tags", json!([7])),
        ("tags", json!(["t".repeat(4096)])),
        ("languages", json!(["l".repeat(2048)])),
        ("protocols", json!("p")),
        ("protocols", json!({"k": "p".repeat(16_384)})),
        ("metadata", json!("m".repeat(16_384))),
        ("webhook_url", json!(7)),
        ("webhook_url", json!("not a url")),
        ("webhook_url", json!("ftp://example.com/")),
        ("webhook_url", json!("https://127.0.0.1/")),
        ("webhook_secret", json!({})),
    ] {
        let mut fields = json!({"name": "ada"});
        fields[field] = value;
        ticket(fields).await.invalid();
    }
    ticket(json!({"name": "ada"})).await.ok();
}

async fn register_checks_in_order(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let register = |body: Value| hub.anonymous().post("/api/auth/register", body);
    org.bot("taken").await;
    register(json!({})).await.invalid();
    register(json!({"org_id": 7, "ticket": org.ticket, "name": "ada"})).await.invalid();
    register(json!({"org_id": org.id, "name": "ada"})).await.invalid();
    register(json!({"org_id": org.id, "ticket": 7, "name": "ada"})).await.invalid();
    register(json!({"org_id": org.id, "ticket": "unknown", "name": "all"})).await.refused(400, "RESERVED_NAME");
    register(json!({"org_id": org.id, "ticket": "unknown", "name": "ada", "bio": 7})).await.invalid();
    let hooked = |url: &str| json!({"org_id": org.id, "ticket": "unknown", "name": "ada", "webhook_url": url});
    register(hooked("https://10.0.0.1/")).await.invalid();
    register(hooked("https://unknown.invalid/")).await.refused(401, "INVALID_TICKET");
    register(json!({"org_id": org.id, "ticket": "unknown", "name": "taken"})).await.refused(401, "INVALID_TICKET");
    register(json!({"org_id": NOBODY, "ticket": org.ticket, "name": "ada"})).await.refused(401, "INVALID_TICKET");
    register(json!({"org_id": other.id, "ticket": org.ticket, "name": "ada"})).await.refused(401, "INVALID_TICKET");
    register(json!({"org_id": org.id, "org_secret": "wrong", "name": "taken"}))
        .await
        .refused(401, "INVALID_CREDENTIALS");
    register(json!({"org_id": NOBODY, "org_secret": org.secret, "name": "ada"}))
        .await
        .refused(401, "INVALID_CREDENTIALS");
    register(json!({"org_id": other.id, "org_secret": org.secret, "name": "ada"}))
        .await
        .refused(401, "INVALID_CREDENTIALS");
    let both = json!({"org_id": org.id, "org_secret": org.secret, "ticket": "unknown", "name": "boss"});
    assert_eq!(register(both).await.ok()["auth_role"], "admin", "the secret wins over a ticket");
}

async fn tickets(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let boss = org.admin_bot("boss").await;
    let never =
        boss.post("/api/org/tickets", json!({"expires_in": 0, "reusable": true, "skip_approval": true})).await.ok();
    assert_eq!(
        (&never["expires_at"], &never["reusable"], &never["skip_approval"]),
        (&json!(0), &json!(true), &json!(true))
    );
    let plain = org.call("POST", "/api/org/tickets").await.ok();
    assert!((plain.int("expires_at") - now_ms() - 1_800_000).abs() < 10_000);
    assert_eq!(org.post("/api/org/tickets", json!({"reusable": 1})).await["reusable"], false);
    let page = org.get("/api/org/tickets?limit=2").await.ok();
    insta::assert_json_snapshot!("tickets_listed", shape(&page), { ".cursor" => "[cursor]" });
    let rest = org.get(format!("/api/org/tickets?limit=2&cursor={}", page.text("cursor"))).await.ok();
    assert_eq!((rest["items"].all("code").len(), rest.get("cursor")), (2, None));
    assert!(rest["items"].all("code").contains(&never["ticket"].as_str().unwrap()));
    other.delete(format!("/api/org/tickets/{}", never.text("ticket"))).await.missing();
    assert_eq!(org.delete(format!("/api/org/tickets/{}", never.text("ticket"))).await.ok(), json!({"deleted": true}));
    org.delete(format!("/api/org/tickets/{}", never.text("ticket"))).await.missing();
    org.register(json!({"ticket": never["ticket"], "name": "ada"})).await.refused(401, "INVALID_TICKET");
    let short = org.post("/api/org/tickets", json!({"expires_in": 1})).await.ok();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    org.register(json!({"ticket": short["ticket"], "name": "ada"})).await.refused(401, "TICKET_EXPIRED");
    org.bot("member").await.post("/api/org/tickets", json!({})).await.forbidden();
    hub.super_admin().await.get("/api/org/tickets").await.refused(400, "ORG_CONTEXT_REQUIRED");
}

async fn single_use_tickets_have_one_winner(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ticket = org.post("/api/org/tickets", json!({})).await.ok()["ticket"].clone();
    let takers = (0..30).map(|n| {
        let call = org.register(json!({"ticket": ticket, "name": format!("ada{n}")}));
        async move { call.await.status }
    });
    let mut statuses = futures_util::future::join_all(takers).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200], vec![401; 29]].concat());
}

async fn join_approval(hub: TestHub) {
    let org = hub.with_org("a").await;
    let boss = org.admin_bot("boss").await;
    let member = org.bot("member").await;
    let (mut admin, mut chief, mut other) = (org.socket().await, boss.socket().await, member.socket().await);
    org.settings(json!({"join_approval_required": true})).await.ok();
    let registered = org.register(json!({"ticket": org.ticket, "name": "ada"})).await.ok();
    assert_eq!(
        (&registered["join_status"], &registered["message"]),
        (&json!("pending"), &json!("Awaiting org admin approval"))
    );
    for socket in [&mut admin, &mut chief] {
        let event = socket.next("bot_join_request").await;
        assert_eq!((&event["bot"]["name"], &event["org_id"]), (&json!("ada"), &json!(org.id)));
    }
    assert_eq!(other.next("bot_registered").await["bot"]["join_status"], "pending");
    other.quiet().await;
    let ada = Bot::new(&hub, &registered);
    assert_eq!(ada.me().await.refused(403, "BOT_NOT_ACTIVE")["join_status"], "pending");
    member.get(format!("/api/bots/{}", ada.id)).await.missing();
    boss.get(format!("/api/bots/{}", ada.id)).await.ok();
    boss.patch(format!("/api/org/bots/{}/status", ada.id), json!({"status": "active"})).await.ok();
    let event = other.next("bot_status_changed").await;
    insta::assert_json_snapshot!("event_status_changed", shape(&event));
    ada.me().await.ok();
    let skip = org.post("/api/org/tickets", json!({"skip_approval": true})).await.ok();
    assert_eq!(org.register(json!({"ticket": skip["ticket"], "name": "bob"})).await["join_status"], "active");
    assert_eq!(org.register(json!({"org_secret": org.secret, "name": "cleo"})).await["join_status"], "active");
}

async fn names_are_unique(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let ada = org.bot("ada").await;
    other.bot("ada").await;
    let single = org.post("/api/org/tickets", json!({})).await.ok()["ticket"].clone();
    org.register(json!({"ticket": single, "name": "ada"})).await.refused(409, "NAME_CONFLICT");
    ada.delete("/api/me").await.ok();
    org.register(json!({"ticket": single, "name": "ada"})).await.refused(409, "NAME_TOMBSTONED");
    org.register(json!({"ticket": single, "name": "bob"})).await.ok();
    let path = format!("/api/orgs/{}/tombstones/ada", org.id);
    org.admin_bot("boss").await.delete(&path).await.refused(403, "HUMAN_SESSION_REQUIRED");
    other.delete(&path).await.forbidden();
    org.delete(&path).await.ok();
    org.delete(&path).await.missing();
    org.bot("ada").await;
    let races = futures_util::future::join_all((0..10).map(|_| {
        let call = org.register(json!({"ticket": org.ticket, "name": "race"}));
        async move { call.await.status }
    }));
    let mut statuses = races.await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200], vec![409; 9]].concat());
}

async fn blocked_names_are_listed(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let path = format!("/api/orgs/{}/tombstones", org.id);
    assert_eq!(org.get(&path).await.ok(), json!({"items": [], "has_more": false}));
    for name in ["ada", "bob", "cleo"] {
        org.bot(name).await.delete("/api/me").await.ok();
    }
    other.bot("dora").await.delete("/api/me").await.ok();
    let all = org.get(&path).await.ok();
    assert_eq!(all["items"].all("name"), ["cleo", "bob", "ada"]);
    assert_eq!(all["items"][0].keys(), ["deleted_at", "deleted_by", "name"]);
    assert_eq!(hub.super_admin().await.get(&path).await.ok(), all);
    let first = org.get(format!("{path}?limit=2")).await.ok();
    assert_eq!((first["items"].all("name"), &first["has_more"]), (vec!["cleo", "bob"], &json!(true)));
    let rest = org.get(format!("{path}?limit=2&cursor={}", first.text("next_cursor"))).await.ok();
    assert_eq!((rest["items"].all("name"), &rest["has_more"]), (vec!["ada"], &json!(false)));
    org.delete(format!("{path}/bob")).await.ok();
    assert_eq!(org.get(&path).await["items"].all("name"), ["cleo", "ada"]);
    other.get(&path).await.forbidden();
    org.admin_bot("boss").await.get(&path).await.refused(403, "HUMAN_SESSION_REQUIRED");
    hub.super_admin().await.get(format!("/api/orgs/{NOBODY}/tombstones")).await.missing();
}

async fn bot_lists(hub: TestHub) {
    let org = hub.with_org("a").await;
    hub.with_org("b").await.bot("foreign").await;
    let profiles = [
        json!({"name": "zoe", "role": "Reviewer", "tags": ["Rust", "sql"], "status_text": "busy"}),
        json!({"name": "adam", "bio": "Knows SQL", "function": "review"}),
        json!({"name": "mia"}),
    ];
    let mut bots = Vec::new();
    for mut fields in profiles {
        fields["ticket"] = json!(org.ticket);
        bots.push(org.bot_from(fields).await);
    }
    let names = |query: &str| {
        let call = bots[2].get(format!("/api/bots{query}"));
        async move { json!(call.await.list()).all("name").join(" ") }
    };
    assert_eq!(names("").await, "adam mia zoe", "by name, oneself included");
    assert_eq!(names("?role=reviewer").await, "zoe");
    assert_eq!(names("?tag=rust").await, "zoe");
    assert_eq!(names("?status=BUSY").await, "zoe");
    assert_eq!(names("?q=sql").await, "adam");
    assert_eq!(names("?q=review").await, "adam zoe");
    assert_eq!(names("?q=&role=&tag=").await, "adam mia zoe");
    let _online = bots[0].socket().await;
    eventually(|| names("?status=online"), |names| names == "zoe").await;
    assert_eq!(names("?status=offline").await, "adam mia");
    assert_eq!(json!(org.get("/api/bots").await.list()).all("name"), ["adam", "mia", "zoe"]);
    let page = org.get("/api/bots?limit=2").await.ok();
    let rest = org.get(format!("/api/bots?limit=2&cursor={}", page.text("next_cursor"))).await.ok();
    let mut ids = [page["items"].all("id"), rest["items"].all("id")].concat();
    assert!(ids.is_sorted() && ids.len() == 3 && rest.get("next_cursor").is_none());
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(org.get("/api/bots?search=ADA").await["items"].all("name"), ["adam"]);
    hub.super_admin().await.get("/api/bots").await.forbidden();
}

async fn one_bot(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let foreigner = other.bot("finn").await;
    let bot = ada.get(format!("/api/bots/{}", bob.id)).await.ok();
    assert_eq!(ada.get("/api/bots/bob/profile").await.ok(), bot);
    assert_eq!(org.get("/api/bots/bob/profile").await.ok(), bot);
    ada.get("/api/bots/bob").await.missing();
    ada.get(format!("/api/bots/{}/profile", bob.id)).await.missing();
    ada.get("/api/bots/BOB/profile").await.missing();
    foreigner.get(format!("/api/bots/{}", bob.id)).await.missing();
    foreigner.get("/api/bots/bob/profile").await.missing();
    for secret in ["token", "webhook_url", "webhook_secret"] {
        assert!(bot.get(secret).is_none(), "{secret}");
    }
}

async fn peers(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [cleo, _bob, _ada] = org.bots(["cleo", "bob", "ada"]).await;
    assert_eq!(cleo.get("/api/peers").await.ok().all("name"), ["ada", "bob"], "by name, without oneself");
    org.get("/api/peers").await.forbidden();
}

async fn profile(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let patch = |fields: Value| ada.patch("/api/me/profile", fields);
    let changed = patch(json!({"bio": "b", "tags": ["t"], "protocols": [1], "unknown": 1, "name": "bob"})).await.ok();
    assert_eq!(
        (&changed["bio"], &changed["tags"], &changed["protocols"], &changed["name"]),
        (&json!("b"), &json!(["t"]), &json!([1]), &json!("ada"))
    );
    assert_eq!(patch(json!({"version": null})).await["version"], "1.0.0");
    assert_eq!(patch(json!({"bio": null})).await["bio"], json!(null));
    for bad in [
        json!({}),
        json!({"name": "bob"}),
        json!({"metadata": {}}),
        json!({"bio": 7}),
        json!({"tags": "t"}),
        json!({"bio": "b".repeat(1025)}),
        json!({"bio": "nul\u{0}"}),
    ] {
        patch(bad).await.invalid();
    }
    assert_eq!(org.audit("bot.profile_update").await[0]["detail"], json!({"fields": ["bio"]}));
    let metadata = |fields: Value| ada.patch("/api/me/metadata", fields);
    for value in [json!({"b": [1], "a": null}), json!("text"), json!(0), json!(null)] {
        assert_eq!(metadata(json!({"metadata": value, "bio": "ignored"})).await.ok()["metadata"], value, "{value}");
        assert_eq!(org.get(format!("/api/bots/{}", ada.id)).await.ok()["metadata"], value, "{value}");
    }
    assert_eq!(ada.me().await["bio"], json!(null));
    for bad in [json!({}), json!({"bio": "b"}), json!({"metadata": "m".repeat(16_385)}), json!({"metadata": "a\u{0}"})]
    {
        metadata(bad).await.invalid();
    }
    ada.scoped(&["read", "thread", "message"])
        .await
        .patch("/api/me/metadata", json!({"metadata": 1}))
        .await
        .refused(403, "INSUFFICIENT_SCOPE");
    assert_eq!(org.audit("bot.profile_update").await[0]["detail"], json!({"fields": ["metadata"]}));
    for (field, value) in [
        ("auth_role", json!("admin")),
        ("join_status", json!("pending")),
        ("org_id", json!(NOBODY)),
        ("token", json!("t")),
        ("id", json!(NOBODY)),
    ] {
        let me = patch(json!({"bio": "b", field: value})).await.ok();
        assert_ne!(me[field], value, "{field} was assigned");
    }
}

async fn rename(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let mut watcher = bob.socket().await;
    let rename = |name: Value| ada.patch("/api/me/name", json!({"name": name}));
    assert_eq!(rename(json!("new")).await.ok()["name"], "new");
    let event = watcher.next("bot_renamed").await;
    assert_eq!(
        (&event["bot_id"], &event["old_name"], &event["new_name"]),
        (&json!(ada.id), &json!("ada"), &json!("new"))
    );
    for bad in [json!(null), json!(""), json!("a b"), json!("new"), json!(7), json!("n".repeat(129))] {
        rename(bad).await.invalid();
    }
    rename(json!("all")).await.refused(400, "RESERVED_NAME");
    rename(json!("bob")).await.refused(409, "NAME_CONFLICT");
    org.bot("ada").await;
    bob.send_body(json!({"to": "new", "content": "by the new name"})).await.ok();
    let thread = bob.thread("t", &[&ada]).await;
    assert_eq!(bob.say(&thread, "@new @ada").await["mentions"].all("name"), ["new"]);
    assert_eq!(ada.say(&thread, "c").await["sender_name"], "new");
    assert_eq!(org.audit("bot.rename").await[0]["detail"], json!({"old_name": "ada", "new_name": "new"}));
    bob.delete("/api/me").await.ok();
    rename(json!("bob")).await.refused(409, "NAME_TOMBSTONED");
}

async fn deletion(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let boss = org.admin_bot("boss").await;
    let human = ada.human("Ann").await;
    ada.delete(format!("/api/bots/{}", bob.id)).await.forbidden();
    other.delete(format!("/api/bots/{}", bob.id)).await.missing();
    assert_eq!(boss.delete(format!("/api/bots/{}", bob.id)).await.ok()["ok"], true);
    org.delete(format!("/api/bots/{}", bob.id)).await.missing();
    assert_eq!(ada.delete("/api/me").await.ok()["ok"], true);
    for gone in [&ada, &bob] {
        gone.me().await.refused(401, "INVALID_TOKEN");
        cleo.get(format!("/api/bots/{}", gone.id)).await.missing();
    }
    human.me().await.refused(401, "SESSION_INVALID");
    cleo.scoped(&["read", "thread", "message", "profile"])
        .await
        .delete("/api/me")
        .await
        .refused(403, "INSUFFICIENT_SCOPE");
    let audit = org.audit("bot.delete").await;
    assert_eq!(audit[0]["detail"], json!({"name": "ada", "self": true}));
    assert_eq!(audit[1]["detail"], json!({"name": "bob", "deleted_by": boss.id}));
}

async fn roles(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let boss = org.admin_bot("boss").await;
    let set = |caller: &Caller, id: &str, role: Value| {
        caller.patch(format!("/api/org/bots/{id}/role"), json!({"auth_role": role}))
    };
    ada.get("/api/audit").await.forbidden();
    assert_eq!(set(&org, &ada.id, json!("admin")).await.ok(), json!({"bot_id": ada.id, "auth_role": "admin"}));
    ada.get("/api/audit").await.ok();
    set(&boss, &boss.id, json!("member")).await.refused(400, "SELF_DEMOTION");
    set(&boss, &ada.id, json!("member")).await.ok();
    ada.get("/api/audit").await.forbidden();
    set(&ada, &boss.id, json!("member")).await.forbidden();
    for bad in [json!(null), json!("owner"), json!(7)] {
        set(&org, NOBODY, bad).await.invalid();
    }
    set(&org, NOBODY, json!("admin")).await.missing();
    assert_eq!(org.audit("bot.role_change").await.len(), 2);
}

async fn settings(hub: TestHub) {
    let org = hub.with_org("a").await;
    let mut defaults = org.get("/api/org/settings").await.ok();
    assert_eq!(defaults["org_id"], org.id.as_str());
    defaults["org_id"] = json!("[uuid]");
    insta::assert_json_snapshot!("settings", defaults);
    let changed = org.settings(json!({"message_ttl_days": 7, "threads_per_hour_per_bot": 9, "unknown": 1})).await.ok();
    assert_eq!((&changed["message_ttl_days"], &changed["threads_per_hour_per_bot"]), (&json!(7), &json!(9)));
    assert!(changed.int("updated_at") > 0);
    assert_eq!(org.settings(json!({"message_ttl_days": null})).await["message_ttl_days"], json!(null));
    for field in ["messages_per_minute_per_bot", "threads_per_hour_per_bot", "file_upload_mb_per_day_per_bot"] {
        for bad in [json!(0), json!(-1), json!(1.5), json!("1"), json!(null), json!([])] {
            org.settings(json!({field: bad})).await.invalid();
        }
    }
    for field in ["message_ttl_days", "thread_auto_close_days", "artifact_retention_days"] {
        for bad in [json!(0), json!(1.5), json!("1")] {
            org.settings(json!({field: bad})).await.invalid();
        }
    }
    for bad in [
        json!({}),
        json!({"unknown": 1}),
        json!({"join_approval_required": 1}),
        json!({"default_thread_permission_policy": "all"}),
        json!({"default_thread_permission_policy": {"fly": []}}),
        json!({"default_thread_permission_policy": {"write": ["1", "2", "3", "4", "5", "6"]}}),
    ] {
        org.settings(bad).await.invalid();
    }
    let audit = org.audit("settings.update").await;
    assert_eq!((audit.len(), &audit[0]["detail"]), (2, &json!({"message_ttl_days": null})));
}
