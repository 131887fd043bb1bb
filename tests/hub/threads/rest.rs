//! Threads over REST: creation, reading, lists, ETags, changes, the status machine and the permission policy.

use crate::harness::*;

on_both_databases! {
    create_returns_the_thread,
    create_defaults_and_fields,
    create_refuses_bad_fields_in_order,
    create_writes_audit_and_catchup,
    access_rules,
    read_one,
    etag_and_304,
    if_match_guards_changes,
    own_threads_list,
    own_threads_paged,
    org_wide_search,
    org_wide_search_skips_hidden_threads,
    patch_refuses_bad_fields,
    patch_checks_in_order,
    patch_changes_every_field,
    patch_changes_tags,
    thread_rate_limit,
}

async fn create_returns_the_thread(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let reply =
        ada.thread_create(json!({"topic": "plan", "participants": ["bob"], "tags": [" a ", "", "b", "b"]})).await;
    assert_eq!(reply.etag(), "\"1\"");
    let thread = reply.ok();
    insta::assert_json_snapshot!("thread", shape(&thread));
    assert_eq!((&thread["initiator_id"], &thread["created_at"]), (&json!(ada.id), &thread["last_activity_at"]));
    let read = bob.thread_get(&thread).await.ok();
    insta::assert_json_snapshot!("thread_with_participants", shape(&read));
    assert_eq!(read["participants"].all("name"), ["ada", "bob"]);
    assert_eq!(read["participants"][1]["joined_at"], thread["created_at"]);
}

async fn create_defaults_and_fields(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let channel = ada.send(&bob, "c").await.ok()["channel_id"].clone();
    let same = |value: Value| (value.clone(), value);
    let cases = [
        ("topic", same(json!("  kept as given "))),
        ("topic", same(json!(" "))),
        ("tags", (json!(null), json!(null))),
        ("tags", same(json!([]))),
        ("tags", same(json!(["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]))),
        ("context", same(json!(null))),
        ("context", same(json!("text"))),
        ("context", (json!({"a": [1, {"b": null}]}), json!("{\"a\":[1,{\"b\":null}]}"))),
        ("context", (json!(false), json!("false"))),
        ("channel_id", same(json!(null))),
        ("channel_id", same(channel)),
        ("visibility", (json!(null), json!("public"))),
        ("visibility", same(json!("members"))),
        ("join_policy", (json!(null), json!("open"))),
        ("join_policy", same(json!("approval"))),
        ("permission_policy", same(json!(null))),
        ("permission_policy", (json!({"write": ["*"], "close": null}), json!("{\"write\":[\"*\"],\"close\":null}"))),
        ("type", (json!("request"), json!(null))),
        ("status", (json!("resolved"), json!(null))),
    ];
    for (field, (given, expected)) in cases {
        let mut body = json!({"topic": "t"});
        body[field] = given;
        let thread = ada.thread_create(body).await.ok();
        match field {
            "type" => assert!(thread.get("type").is_none(), "{field}"),
            "status" => assert_eq!(thread["status"], "active", "{field}"),
            _ => assert_eq!(thread[field], expected, "{field}"),
        }
    }
    let private = ada.thread_create(json!({"topic": "t", "visibility": "private", "join_policy": "open"})).await.ok();
    assert_eq!(private["join_policy"], "invite_only", "private forces it");
    let dedup = json!({"topic": "t", "participants": [bob.id, "bob", "ada", ada.id]});
    let thread = ada.thread_create(dedup).await.ok();
    assert_eq!(ada.thread_get(&thread).await["participant_count"], 2);
}

async fn create_refuses_bad_fields_in_order(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let [finn, gwen] = other.bots(["finn", "gwen"]).await;
    let foreign_channel = finn.send(&gwen, "c").await.ok()["channel_id"].clone();
    org.settings(json!({"threads_per_hour_per_bot": 1000})).await.ok();
    let bad = [
        ("topic", json!("")),
        ("topic", json!(null)),
        ("topic", json!(7)),
        ("topic", json!(["t"])),
        ("topic", json!("nul\u{0}")),
        ("tags", json!("a")),
        ("tags", json!([1])),
        ("tags", json!({})),
        ("tags", json!(["", "", "", "", "", "", "", "", "", "", ""])),
        ("participants", json!(null)),
        ("participants", json!("bob")),
        ("participants", json!([7])),
        ("participants", json!(["nobody"])),
        ("participants", json!([finn.id])),
        ("channel_id", json!(7)),
        ("channel_id", json!(NOBODY)),
        ("channel_id", foreign_channel),
        ("visibility", json!("secret")),
        ("visibility", json!(1)),
        ("join_policy", json!("never")),
        ("permission_policy", json!("all")),
        ("permission_policy", json!({"fly": ["*"]})),
        ("permission_policy", json!({"write": "*"})),
        ("permission_policy", json!({"write": [1]})),
        ("permission_policy", json!({"write": ["1", "2", "3", "4", "5", "6"]})),
    ];
    for (field, value) in bad {
        let mut body = json!({"topic": "t"});
        body[field] = value;
        ada.thread_create(body).await.invalid();
    }
    ada.thread_create(json!({})).await.invalid();
    org.post("/api/threads", json!({"topic": "t"})).await.forbidden();
    ada.scoped(&["read", "message", "profile"])
        .await
        .thread_create(json!({"topic": "t"}))
        .await
        .refused(403, "INSUFFICIENT_SCOPE");
    assert!(bob.threads("").await.list().is_empty() && ada.threads("").await.list().is_empty());
}

async fn create_writes_audit_and_catchup(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread_create(json!({"topic": "t", "tags": ["u"], "participants": ["bob"]})).await.ok();
    let audit = org.audit("thread.create").await;
    assert_eq!(audit[0]["target_id"], thread["id"]);
    insta::assert_json_snapshot!("thread_create_audit", shape(&audit[0]));
    let missed = bob.missed().await;
    insta::assert_json_snapshot!("catchup_invited", shape(&json!(missed)));
    assert_eq!(missed[0]["inviter"], ada.id.as_str());
    assert!(ada.missed().await.is_empty(), "the initiator is not invited");
}

async fn access_rules(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let boss = org.admin_bot("boss").await;
    let foreigner = other.bot("finn").await;
    let public = ada.thread("public", &[]).await;
    let reads = ["", "/messages", "/artifacts", "/artifacts/k/versions"];
    for path in reads.map(|rest| format!("/api/threads/{}{rest}", public.id())) {
        ada.get(&path).await.ok();
        for outsider in [&bob, &boss] {
            let refused = outsider.get(&path).await.refused(403, "JOIN_REQUIRED");
            assert!(refused.text("hint").contains("/join"), "{refused}");
        }
        foreigner.get(&path).await.missing();
        org.get(&path).await.forbidden();
        ada.scoped(&["thread", "message", "profile"]).await.get(&path).await.refused(403, "INSUFFICIENT_SCOPE");
    }
    for visibility in ["members", "private"] {
        let thread = ada.thread_create(json!({"topic": "t", "visibility": visibility})).await.ok();
        for outsider in [&bob, &boss, &foreigner] {
            outsider.thread_get(&thread).await.missing();
            outsider.thread_patch(&thread, json!({"topic": "mine"})).await.missing();
            outsider.say(&thread, "hello?").await.missing();
            outsider.artifact_add(&thread, json!({"artifact_key": "k"})).await.missing();
            outsider.invite(&thread, outsider).await.missing();
            outsider.remove(&thread, &ada.id).await.missing();
        }
    }
    for unknown in [NOBODY, "no-id", "%00", "ÿ"] {
        ada.thread_get(unknown).await.missing();
    }
    ada.status(&public, "resolved").await.ok();
    bob.say(&public, "terminal comes before membership").await.refused(409, "THREAD_CLOSED");
    bob.thread_get(&public).await.refused(403, "JOIN_REQUIRED");
}

async fn read_one(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[]).await;
    ada.invite_body(&thread, json!({"bot_id": "bob", "label": "reviewer"})).await.ok();
    let _online = bob.socket().await;
    let read = ada.get(format!("/API/Threads/{}/", thread.id())).await.ok();
    assert_eq!((&read["participant_count"], &read["revision"]), (&json!(2), &json!(2)));
    assert_eq!(read["participants"][1]["label"], "reviewer");
    eventually(|| async { ada.thread_get(&thread).await.ok() }, |read| read["participants"][1]["online"] == true).await;
}

async fn etag_and_304(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    assert_eq!(ada.thread_get(&thread).await.etag(), "\"1\"");
    for tag in ["\"1\"", "W/\"1\"", "\"0\", \"1\"", "*"] {
        let reply = ada.thread_get(&thread).if_none_match(tag).await;
        assert_eq!((reply.status, reply.text.as_str()), (304, ""), "{tag}");
        assert_eq!(reply.etag(), "\"1\"", "{tag}");
    }
    ada.thread_get(&thread).if_none_match("\"2\"").await.ok();
    ada.thread_get(&thread).if_none_match("\"1\"").header("cache-control", "no-cache").await.ok();
    let patched = ada.thread_patch(&thread, json!({"topic": "u"})).await;
    assert_eq!(patched.etag(), "\"2\"");
    ada.thread_get(&thread).if_none_match("\"1\"").await.ok();
    let body_tag = ada.threads("").await.etag();
    assert!(body_tag.starts_with("W/\""), "lists have a weak tag of their body: {body_tag}");
    assert_eq!(ada.threads("").if_none_match(&body_tag).await.status, 304);
    ada.threads("").if_none_match(&body_tag).header("cache-control", "no-cache").await.ok();
    ada.say(&thread, "changes the list").await.ok();
    assert_eq!(ada.threads("").if_none_match(&body_tag).await.status, 200);
    let head = ada.call("HEAD", &format!("/api/threads/{}", thread.id())).await;
    assert_eq!((head.status, head.text.as_str(), head.etag().as_str()), (200, "", "\"2\""));
}

async fn if_match_guards_changes(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    let patch = |tag: &str, fields: Value| ada.thread_patch(&thread, fields).header("if-match", tag);
    patch("\"1\"", json!({"topic": "2"})).await.ok();
    patch("\"1\"", json!({"topic": "stale"})).await.refused(409, "REVISION_CONFLICT");
    patch("2", json!({"topic": "3"})).await.ok();
    patch("\"3\"abc", json!({"topic": "4"})).await.ok();
    patch("\"4\", \"9\"", json!({"topic": "5"})).await.ok();
    for bad in ["five", "\"\"", "W/\"5e-0123456789abcdef\""] {
        patch(bad, json!({"topic": "bad"})).await.invalid();
    }
    patch("", json!({"topic": "6"})).await.ok();
    // Proxies that compress weaken the tags that pass through them, or write the coding into them.
    patch("W/\"5\"", json!({"topic": "stale"})).await.refused(409, "REVISION_CONFLICT");
    patch("\"1\", \"2\"", json!({"topic": "stale"})).await.refused(409, "REVISION_CONFLICT");
    for (revision, tag) in ["W/\"6\"", "\"7-gzip\"", "\"1\", W/\"8-br\"", "\"9--gzip\"", "*"].into_iter().enumerate() {
        patch(tag, json!({"topic": format!("by {tag}")})).await.ok();
        assert_eq!(ada.thread_get(&thread).await.ok()["revision"], revision as i64 + 7, "{tag}");
    }
    for tag in ["W/\"11\"", "\"11\"", "\"11-gzip\"", "\"3\", W/\"11\"", "*"] {
        assert_eq!(ada.thread_get(&thread).if_none_match(tag).await.status, 304, "{tag}");
    }
    assert_eq!(ada.thread_get(&thread).if_none_match("W/\"1\"").await.status, 200);
    patch("11", json!({"topic": "6"})).await.ok();
    for fields in [
        json!({"status": "blocked"}),
        json!({"visibility": "members"}),
        json!({"permission_policy": null}),
        json!({"context": 1}),
    ] {
        patch("\"1\"", fields).await.refused(409, "REVISION_CONFLICT");
    }
    let read = ada.thread_get(&thread).await.ok();
    assert_eq!((&read["topic"], &read["revision"], &read["visibility"]), (&json!("6"), &json!(12), &json!("public")));
}

async fn own_threads_list(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let threads = some_threads(&ada, &["first", "second", "third"]).await;
    ada.say(&threads[0], "bump").await.ok();
    let list = ada.threads("").await.ok();
    assert_eq!(list.all("topic"), ["first", "third", "second"], "newest activity first");
    insta::assert_json_snapshot!("thread_listed", shape(&list[0]));
    ada.status(&threads[1], "blocked").await.ok();
    assert_eq!(ada.threads("?status=blocked").await.ok().all("topic"), ["second"]);
    assert_eq!(ada.threads("?status=active").await.list().len(), 2);
    assert_eq!(ada.threads("?status=").await.list().len(), 3);
    assert!(ada.threads("?status=closed").await.list().is_empty());
    ada.threads("?status=open").await.invalid();
    assert!(bob.threads("").await.list().is_empty(), "only one's own");
    bob.join(&threads[2]).await.ok();
    assert_eq!(bob.threads("").await.ok().all("topic"), ["third"]);
    bob.leave(&threads[2]).await.ok();
    assert!(bob.threads("").await.list().is_empty());
}

async fn some_threads(bot: &Bot, topics: &[&str]) -> Vec<Value> {
    let mut threads = Vec::new();
    for topic in topics {
        threads.push(bot.thread(topic, &[]).await);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    threads
}

async fn own_threads_paged(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    some_threads(&ada, &["alpha", "Beta", "beta two", "gamma", "100%"]).await;
    let first = ada.threads("?limit=2").await.ok();
    assert_eq!((first["items"].all("topic"), &first["has_more"]), (vec!["100%", "gamma"], &json!(true)));
    let second = ada.threads(&format!("?limit=2&cursor={}", first.text("next_cursor"))).await.ok();
    assert_eq!(second["items"].all("topic"), ["beta two", "Beta"]);
    let last = ada.threads(&format!("?limit=2&cursor={}", second.text("next_cursor"))).await.ok();
    assert_eq!((last["items"].all("topic"), last.keys()), (vec!["alpha"], vec!["has_more", "items"]));
    assert_eq!(ada.threads("?cursor=junk").await["items"].as_array().unwrap().len(), 5, "bad cursor: first page");
    assert_eq!(ada.threads("?q=BETA").await["items"].all("topic"), ["beta two", "Beta"], "in any case");
    assert_eq!(ada.threads("?q=%20gam%20").await["items"].all("topic"), ["gamma"], "trimmed");
    assert_eq!(ada.threads("?q=nothing").await.ok(), json!({"items": [], "has_more": false}));
    assert_eq!(ada.threads("?q=&limit=").await.ok().as_array().map(Vec::len), None, "limit given, even empty, pages");
}

async fn org_wide_search(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let foreigner = other.bot("finn").await;
    let threads = some_threads(&ada, &["Deploy api", "deploy web", "other"]).await;
    foreigner.thread("deploy elsewhere", &[]).await;
    bob.join(&threads[1]).await.ok();
    let found = bob.threads("?scope=org&q=deploy").await.ok();
    assert_eq!(found["items"].all("topic"), ["deploy web", "Deploy api"]);
    assert_eq!(
        (&found["items"][0]["is_participant"], &found["items"][1]["is_participant"]),
        (&json!(true), &json!(false))
    );
    insta::assert_json_snapshot!("thread_found", shape(&found["items"][0]));
    assert_eq!(bob.threads("?scope=org").await["items"].all("topic").len(), 3);
    let page = bob.threads("?scope=org&limit=1").await.ok();
    let next = bob.threads(&format!("?scope=org&limit=1&cursor={}", page.text("next_cursor"))).await.ok();
    assert_ne!(page["items"][0]["id"], next["items"][0]["id"]);
    assert_eq!(bob.threads("?scope=org&status=resolved").await["items"], json!([]));
    let long = "q".repeat(200);
    bob.threads(&format!("?scope=org&q={long}")).await.ok();
    let refused = bob.threads(&format!("?scope=org&q={long}q")).await.invalid();
    assert!(refused.text("error").contains("q too long"));
}

/// Hidden threads used to eat up a page, so that paging stopped before it reached the visible ones.
async fn org_wide_search_skips_hidden_threads(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let visible = some_threads(&ada, &["v1", "v2", "v3"]).await;
    for _ in 0..5 {
        ada.thread_create(json!({"topic": "hidden", "visibility": "private"})).await.ok();
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bob.threads(&format!("?scope=org&limit=2{cursor}")).await.ok();
        seen.extend(page["items"].all("topic").iter().map(|topic| (*topic).to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) if page["has_more"] == true => cursor = format!("&cursor={next}"),
            _ => break,
        }
    }
    assert_eq!(seen, ["v3", "v2", "v1"]);
    assert_eq!(visible.len(), 3);
    assert_eq!(ada.threads("?scope=org&q=hidden").await["items"].all("topic").len(), 5, "participants find their own");
}

async fn patch_refuses_bad_fields(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    let bad = [
        json!({}),
        json!({"initiator_id": "u"}),
        json!({"topic": ""}),
        json!({"topic": "  "}),
        json!({"topic": null}),
        json!({"topic": 7}),
        json!({"status": "open"}),
        json!({"status": null}),
        json!({"status": 1}),
        json!({"close_reason": "manual"}),
        json!({"close_reason": null}),
        json!({"status": "closed"}),
        json!({"status": "closed", "close_reason": "because"}),
        json!({"status": "resolved", "close_reason": "manual"}),
        json!({"visibility": "secret"}),
        json!({"join_policy": 1}),
        json!({"permission_policy": "all"}),
        json!({"permission_policy": {"fly": []}}),
        json!({"permission_policy": {"write": "*"}}),
        json!({"topic": "good", "status": "nonsense"}),
        json!({"context": "nul\u{0}"}),
    ];
    for fields in bad {
        ada.thread_patch(&thread, fields).await.invalid();
    }
    let read = ada.thread_get(&thread).await.ok();
    assert_eq!((&read["revision"], &read["topic"]), (&json!(1), &json!("t")), "nothing was half done");
}

async fn patch_checks_in_order(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada
        .thread_create(json!({"topic": "t", "participants": ["bob"], "permission_policy": {"resolve": ["initiator"]}}))
        .await
        .ok();
    let stale = |fields: Value| bob.thread_patch(&thread, fields).if_match(99);
    bob.thread_patch(&thread, json!({})).header("if-match", "x").await.invalid();
    stale(json!({})).await.invalid();
    stale(json!({"visibility": "nonsense"})).await.forbidden();
    stale(json!({"visibility": null, "status": "nonsense"})).await.forbidden();
    stale(json!({"status": "resolved", "topic": ""})).await.invalid();
    stale(json!({"status": "resolved"})).await.forbidden();
    stale(json!({"status": "active"})).await.refused(400, "INVALID_TRANSITION");
    stale(json!({"status": "blocked"})).await.refused(409, "REVISION_CONFLICT");
    let denied = org.audit("thread.permission_denied").await;
    assert_eq!(denied.len(), 3);
    assert_eq!(denied[0]["detail"], json!({"action": "resolve", "status": "resolved"}));
    assert_eq!(denied[1]["detail"]["action"], "manage");
    ada.status(&thread, "closed").await.ok();
    stale(json!({"topic": ""})).await.refused(409, "THREAD_CLOSED");
    ada.thread_patch(&thread, json!({"visibility": "nonsense"})).await.invalid();
    ada.thread_patch(&thread, json!({"visibility": "members"})).await.refused(409, "THREAD_CLOSED");
}

async fn patch_changes_every_field(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada] = org.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    let one = |fields: Value| {
        let call = ada.thread_patch(&thread, fields);
        async move { call.await.ok() }
    };
    assert_eq!(one(json!({"topic": " new "})).await["topic"], "new");
    assert_eq!(one(json!({"context": {"k": 1}})).await["context"], "{\"k\":1}");
    assert_eq!(one(json!({"context": null})).await["context"], json!(null));
    assert_eq!(one(json!({"permission_policy": {"write": ["a"]}})).await["permission_policy"], "{\"write\":[\"a\"]}");
    assert_eq!(one(json!({"permission_policy": null})).await["permission_policy"], json!(null));
    assert_eq!(one(json!({"join_policy": "approval"})).await["join_policy"], "approval");
    let private = one(json!({"visibility": "private", "join_policy": "open"})).await;
    assert_eq!((&private["visibility"], &private["join_policy"]), (&json!("private"), &json!("invite_only")));
    let public = one(json!({"visibility": "public"})).await;
    assert_eq!((&public["visibility"], &public["join_policy"]), (&json!("public"), &json!("invite_only")));
    assert_eq!(public["revision"], 9, "one step per change");
    let all = json!({"status": "blocked", "topic": "all", "context": "c", "permission_policy": {}, "visibility": "members", "join_policy": "open"});
    let all = one(all).await;
    assert_eq!((&all["status"], &all["topic"], &all["context"]), (&json!("blocked"), &json!("all"), &json!("c")));
    assert_eq!((&all["permission_policy"], &all["join_policy"]), (&json!("{}"), &json!("open")));
    assert!(all.int("revision") > public.int("revision") && all.int("updated_at") >= public.int("updated_at"));
    assert_eq!(org.audit("thread.visibility_changed").await[0]["detail"], json!({"from": "public", "to": "members"}));
    assert_eq!(org.audit("thread.join_policy_changed").await.len(), 3);
    assert_eq!(ada.thread_get(&thread).await["topic"], "all");
}

async fn thread_rate_limit(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    org.settings(json!({"threads_per_hour_per_bot": 2})).await.ok();
    ada.thread("1", &[]).await;
    let mut socket = ada.socket().await;
    socket.op(json!({"type": "thread_create", "topic": "2"})).await.ack();
    let reply = ada.thread_create(json!({"topic": "3"})).await;
    let seconds = reply.header("retry-after").expect("Retry-After").parse::<i64>().unwrap();
    assert!((3500..=3600).contains(&seconds));
    assert_eq!(
        (reply.header("ratelimit-remaining"), reply.header("ratelimit-reset")),
        (Some("0"), reply.header("retry-after"))
    );
    assert_eq!(reply.header("ratelimit-limit").map(str::len), Some(1));
    assert_eq!(reply.refused(429, "RATE_LIMITED")["retry_after"], seconds);
    socket.op(json!({"type": "thread_create", "topic": "3"})).await.refused("RATE_LIMITED");
    bob.thread("per bot", &[]).await;
}

async fn patch_changes_tags(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread_create(json!({"topic": "t", "participants": ["bob"], "tags": ["a"]})).await.ok();
    let mut socket = ada.socket().await;
    let changed = bob.thread_patch(&thread, json!({"tags": [" b ", "", "c"]})).await.ok();
    assert_eq!((&changed["tags"], &changed["revision"]), (&json!(["b", "c"]), &json!(2)));
    let event = socket.next("thread_updated").await;
    assert_eq!((&event["changes"], &event["thread"]["tags"]), (&json!(["tags"]), &json!(["b", "c"])));
    assert_eq!(ada.thread_get(&thread).await["tags"], json!(["b", "c"]));
    for bad in [json!("a"), json!([1]), json!(vec!["a"; 11]), json!(["a".repeat(65)])] {
        ada.thread_patch(&thread, json!({ "tags": bad })).await.invalid();
    }
    assert_eq!(ada.thread_patch(&thread, json!({"tags": null})).await["tags"], Value::Null);
    let frame = json!({"type": "thread_update", "thread_id": thread["id"], "tags": ["d"]});
    assert_eq!(socket.op(frame).await.ack()["changes"], json!(["tags"]));
    assert_eq!(bob.thread_get(&thread).await["tags"], json!(["d"]));
    ada.status(&thread, "closed").await.ok();
    ada.thread_patch(&thread, json!({"tags": []})).await.refused(409, "THREAD_CLOSED");
}
