//! Messages inside threads: fields, parts, mentions, replies, metadata, provenance, order and paging.

use crate::harness::*;
use crate::messages::direct::bad_parts;

on_both_databases! {
    post_and_list,
    replies,
    mentions,
    mention_limits,
    metadata,
    provenance_of_humans,
    content_and_parts,
    refuses_bad_fields,
    checks_in_order,
    history_by_time,
    history_by_cursor,
    parallel_posts_keep_one_order,
}

async fn post_and_list(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let message = ada.say(&thread, "hello @bob").await.ok();
    insta::assert_json_snapshot!("thread_message", shape(&message));
    assert_eq!(bob.messages(&thread, "").await.ok(), json!([message]), "listed as it was answered");
    let read = bob.thread_get(&thread).await.ok();
    assert_eq!((&read["revision"], &read["last_activity_at"]), (&json!(1), &message["created_at"]));
    let audit = org.audit("message.send").await;
    insta::assert_json_snapshot!("thread_message_audit", shape(&audit[0]));
    assert_eq!(audit[0]["target_id"], message["id"]);
    ada.scoped(&["message", "read", "profile"]).await.say(&thread, "c").await.refused(403, "INSUFFICIENT_SCOPE");
    ada.scoped(&["thread"]).await.say(&thread, "c").await.ok();
}

async fn replies(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let elsewhere = ada.thread("u", &[]).await;
    let foreign = ada.say(&elsewhere, "elsewhere").await.ok();
    let parent = ada.say(&thread, &"long ".repeat(1000)).await.ok();
    let reply = bob.message(&thread, json!({"content": "re", "reply_to": parent.id()})).await.ok();
    assert_eq!(reply["reply_to_id"], parent["id"]);
    let quoted = &reply["reply_to_message"];
    assert_eq!(quoted.keys(), ["content", "created_at", "id", "sender_id", "sender_name"]);
    assert_eq!((&quoted["content"], &quoted["sender_name"]), (&parent["content"], &json!("ada")));
    let deeper = ada.message(&thread, json!({"content": "re re", "reply_to": reply.id()})).await.ok();
    assert!(deeper["reply_to_message"].get("reply_to_message").is_none(), "one level");
    let listed = bob.messages(&thread, "").await.ok();
    assert_eq!((&listed[1], &listed[2]), (&reply, &deeper));
    let none = ada.message(&thread, json!({"content": "c", "reply_to": null})).await.ok();
    assert!(none["reply_to_id"].is_null() && none.get("reply_to_message").is_none());
    ada.message(&thread, json!({"content": "c", "reply_to": 7})).await.invalid();
    for absent in [NOBODY, "", "junk", &foreign.id()] {
        ada.message(&thread, json!({"content": "c", "reply_to": absent})).await.refused(400, "NOT_FOUND");
    }
}

async fn mentions(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "Cleo"]).await;
    let outsider = org.bot("outsider").await;
    let thread = ada.thread("t", &[&bob, &cleo]).await;
    let cases: [(&str, &[&str], bool); 24] = [
        ("hi @bob", &["bob"], false),
        ("@BOB and @cleo", &["bob", "Cleo"], false),
        ("@cleo @bob @cleo", &["Cleo", "bob"], false),
        ("@bob@cleo", &["bob"], false),
        ("@bob.cleo", &["bob"], false),
        ("@@bob", &["bob"], false),
        ("看@bob", &["bob"], false),
        ("(@bob)", &["bob"], false),
        ("@bob-", &[], false),
        ("@bobs", &[], false),
        ("x@bob", &[], false),
        ("mail bob@cleo.com", &[], false),
        ("@outsider @nobody", &[], false),
        ("@ada", &["ada"], false),
        ("no mention", &[], false),
        ("@", &[], false),
        ("@all", &[], true),
        ("@ALL @bob", &["bob"], true),
        ("@allies", &[], false),
        ("@所有人", &[], true),
        ("@所有人 hi", &[], true),
        ("@所有人，hi", &[], true),
        ("@所有人hi", &[], false),
        ("@所有人$", &[], false),
    ];
    for (content, names, all) in cases {
        let message = ada.say(&thread, content).await.ok();
        assert_eq!(
            (message["mentions"].all("name"), &message["mention_all"]),
            (names.to_vec(), &json!(all)),
            "{content}"
        );
    }
    let message = ada.say(&thread, "@cleo").await.ok();
    assert_eq!(message["mentions"], json!([{"bot_id": cleo.id, "name": "Cleo"}]));
    let listed = bob.messages(&thread, "?limit=1").await.ok();
    assert_eq!(listed[0]["mentions"], message["mentions"]);
    let parts = json!({"content": "plain", "parts": [{"type": "text", "content": "@bob"}]});
    assert_eq!(ada.message(&thread, parts).await["mentions"], json!([]), "only the content counts");
    let derived = json!({"parts": [{"type": "text", "content": "@bob"}]});
    assert_eq!(ada.message(&thread, derived).await["mentions"].all("name"), ["bob"]);
    outsider.join(&thread).await.ok();
    assert_eq!(ada.say(&thread, "@outsider").await["mentions"].all("name"), ["outsider"]);
}

async fn mention_limits(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let mut bots = Vec::new();
    for n in 0..22 {
        bots.push(org.bot(&format!("bot{n}")).await);
    }
    let thread = ada.thread("t", &bots.iter().collect::<Vec<_>>()).await;
    let everybody = (0..22).map(|n| format!("@bot{n}")).collect::<Vec<_>>().join(" ");
    let message = ada.say(&thread, &everybody).await.ok();
    assert_eq!(message["mentions"].all("name").len(), 20);
    assert_eq!(message["mentions"][19]["name"], "bot19");
}

async fn metadata(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    let cases = [
        (json!(null), json!(null)),
        (json!({"a": {"b": [1, 2.5, null, "看"]}}), json!({"a": {"b": [1, 2.5, null, "看"]}})),
        (json!([1]), json!([1])),
        (json!(7), json!(7)),
        (json!(false), json!(false)),
        (json!("{\"json\":\"text\"}"), json!({"json": "text"})),
    ];
    for (given, read) in cases {
        let message = ada.message(&thread, json!({"content": "c", "metadata": given})).await.ok();
        assert_eq!(message["metadata"], read, "{given}");
        assert_eq!(ada.messages(&thread, "?limit=1").await.ok()[0]["metadata"], read, "{given}");
    }
    let fits = json!({"k": "v".repeat(16_384 - 8)});
    ada.message(&thread, json!({"content": "c", "metadata": fits})).await.ok();
    let too_big = json!({"k": "v".repeat(16_384 - 7)});
    ada.message(&thread, json!({"content": "c", "metadata": too_big})).await.invalid();
    ada.message(&thread, json!({"content": "c", "metadata": {"k": "字".repeat(5_460)}})).await.invalid();
}

async fn provenance_of_humans(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    let human = ada.human("Ann").await;
    let stamp = json!({"authored_by": "human", "owner_name": "Ann", "auth_mode": "web_ui"});
    let forged = json!({"provenance": {"authored_by": "machine"}, "kept": 1});
    let message = human.message(&thread, json!({"content": "c", "metadata": forged})).await.ok();
    assert_eq!(message["metadata"], json!({"provenance": stamp, "kept": 1}));
    for metadata in [json!(null), json!("text"), json!([1]), json!(7)] {
        let message = human.message(&thread, json!({"content": "c", "metadata": metadata})).await.ok();
        assert_eq!(message["metadata"], json!({"provenance": stamp}), "{metadata}");
    }
    assert_eq!(human.say(&thread, "c").await["metadata"]["provenance"], stamp);
    let (anonymous, _) = Caller::login(&hub, json!({"type": "bot", "token": ada.secret()})).await;
    let message = ada.by(anonymous).say(&thread, "c").await.ok();
    assert_eq!(message["metadata"]["provenance"]["owner_name"], json!(null));
    assert_eq!(ada.say(&thread, "c").await["metadata"], json!(null));
}

async fn content_and_parts(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    let cases = [
        (json!({"parts": [{"type": "json", "content": {"a": 1}}]}), "[json]"),
        (json!({"parts": [{"type": "image", "url": "/i"}, {"type": "text", "content": "t"}]}), "t"),
        (json!({"parts": []}), "[]"),
        (json!({"content": null, "parts": [{"type": "markdown", "content": "m"}]}), "m"),
        (json!({"content": " ", "parts": [{"type": "markdown", "content": "m"}]}), " "),
    ];
    for (body, content) in cases {
        let message = ada.message(&thread, body.clone()).await.ok();
        assert_eq!((&message["content"], &message["parts"]), (&json!(content), &body["parts"]), "{body}");
    }
    let typed = ada.message(&thread, json!({"content": "c", "content_type": ""})).await.ok();
    assert_eq!(typed["content_type"], "");
    ada.say(&thread, &"🎉".repeat(32_768)).await.ok();
    ada.say(&thread, &"🎉".repeat(32_769)).await.invalid();
}

async fn refuses_bad_fields(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    let parts = bad_parts().into_iter().map(|parts| json!({"content": "c", "parts": parts}));
    let others = [
        json!({}),
        json!({"content": ""}),
        json!({"content": null}),
        json!({"content": 7}),
        json!({"content": ["c"]}),
        json!({"content": {"text": "c"}}),
        json!({"content": "nul\u{0}"}),
        json!({"content": "c", "content_type": "t".repeat(129)}),
        json!({"content": "", "parts": [{"type": "text", "content": "c"}]}),
        json!({"parts": [{"type": "text", "content": ""}]}),
    ];
    for body in others.into_iter().chain(parts) {
        ada.message(&thread, body).await.invalid();
    }
    assert!(ada.messages(&thread, "").await.list().is_empty());
}

async fn checks_in_order(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let body = json!({"topic": "t", "participants": ["bob"], "permission_policy": {"write": ["initiator"]}});
    let thread = ada.thread_create(body).await.ok();
    ada.message(NOBODY, json!({"reply_to": 7})).await.missing();
    cleo.message(&thread, json!({"reply_to": 7})).await.refused(403, "JOIN_REQUIRED");
    bob.message(&thread, json!({"reply_to": 7})).await.refused(403, "WRITE_PERMISSION_DENIED");
    ada.message(&thread, json!({"reply_to": NOBODY, "content": 7})).await.refused(400, "NOT_FOUND");
    insta::assert_json_snapshot!("write_denied_audit", shape(&org.audit("thread.write_denied").await[0]));
}

async fn talk(ada: &Bot, thread: &Value, n: usize) -> Vec<Value> {
    let mut said = Vec::new();
    for at in 0..n {
        said.push(ada.say(thread, &at.to_string()).await.ok());
    }
    said
}

async fn history_by_time(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    let said = talk(&ada, &thread, 5).await;
    let times: Vec<i64> = said.iter().map(|m| m.int("created_at")).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "times in a thread strictly increase: {times:?}");
    let read = |query: String| {
        let call = ada.messages(&thread, &query);
        async move { call.await.list().iter().map(|m| m.text("content")).collect::<String>() }
    };
    assert_eq!(read(String::new()).await, "01234");
    assert_eq!(read("?limit=2".into()).await, "34");
    assert_eq!(read(format!("?before={}", times[2])).await, "01");
    assert_eq!(read(format!("?since={}&limit=1", times[2])).await, "4");
    assert_eq!(read(format!("?since={}&before={}", times[0], times[4])).await, "123");
    assert_eq!(read("?limit=0".into()).await, "01234");
    for bad in ["?since=", "?since=abc"] {
        ada.messages(&thread, bad).await.invalid();
    }
    let by_id = ada.messages(&thread, &format!("?before={}", said[2].id())).await;
    assert!([200, 400].contains(&by_id.status), "an id is no time here: {}", by_id.text);
}

async fn history_by_cursor(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    talk(&ada, &thread, 5).await;
    let page = ada.messages(&thread, "?cursor=&limit=2").await.ok();
    assert_eq!((page["items"].all("content"), &page["has_more"]), (vec!["4", "3"], &json!(true)));
    assert_eq!(page["next_cursor"], page["items"][1]["id"]);
    let next = ada.messages(&thread, &format!("?limit=2&cursor={}", page.text("next_cursor"))).await.ok();
    assert_eq!(next["items"].all("content"), ["2", "1"]);
    let last = ada.messages(&thread, &format!("?limit=2&cursor={}", next.text("next_cursor"))).await.ok();
    assert_eq!((last["items"].all("content"), last.keys()), (vec!["0"], vec!["has_more", "items"]));
    for unknown in [NOBODY, "junk"] {
        let newest = ada.messages(&thread, &format!("?limit=1&cursor={unknown}")).await.ok();
        assert_eq!(newest["items"].all("content"), ["4"], "{unknown}");
    }
    assert_eq!(ada.messages(&thread, "?cursor=&since=junk&before=junk").await["items"].all("content").len(), 5);
}

async fn parallel_posts_keep_one_order(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let posts = (0..40).map(|n| {
        let call = [&ada, &bob][n % 2].say(&thread, &n.to_string());
        async move { call.await.ok() }
    });
    let mut sent = futures_util::future::join_all(posts).await;
    sent.sort_by_key(|message| message.int("created_at"));
    let times: Vec<i64> = sent.iter().map(|m| m.int("created_at")).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "no two messages of a thread share a time");
    assert_eq!(json!(ada.messages(&thread, "").await.list()), json!(sent));
    let paged = ada.messages(&thread, "?cursor=&limit=200").await.ok();
    sent.reverse();
    assert_eq!(paged["items"], json!(sent));
}
