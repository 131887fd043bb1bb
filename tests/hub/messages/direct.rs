//! Direct messages, channels, the inbox and the workspace over REST.

use crate::harness::*;

on_both_databases! {
    a_dm_opens_a_channel_and_arrives,
    dm_targets,
    dm_parts_and_content,
    dm_content_rules,
    dm_refuses_bad_fields,
    dm_length_is_counted_in_utf16_units,
    dm_refusals_in_order,
    channel_access,
    history_by_time,
    history_by_cursor,
    list_limits,
    bot_channels_newest_first,
    inbox_holds_what_others_sent,
    inbox_of_many_channels,
    workspace_lists_conversations_and_threads,
    parallel_first_messages_share_one_channel,
    dm_after_deletion_of_the_peer,
    message_rate_limit,
    removed_routes_stay_gone,
}

async fn a_dm_opens_a_channel_and_arrives(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let sent = ada.send(&bob, "hello").await.ok();
    insta::assert_json_snapshot!("dm_sent", shape(&sent));
    assert_eq!(sent["channel_id"], sent["message"]["channel_id"]);
    assert_eq!(sent["message"]["sender_id"], ada.id.as_str());

    let back = bob.send(&ada, "hi").await.ok();
    assert_eq!(back["channel_id"], sent["channel_id"], "one channel per pair");

    let channel = bob.channel(&sent.text("channel_id")).await.ok();
    insta::assert_json_snapshot!("channel", shape(&channel), { ".members" => "[members]" });
    let mut members = channel["members"].all("name");
    members.sort_unstable();
    assert_eq!(members, ["ada", "bob"]);
    assert_eq!(channel["members"][0].keys(), ["id", "name", "online"]);

    let history = bob.channel_messages(&sent.text("channel_id"), "").await.list();
    insta::assert_json_snapshot!("dm_listed", shape(&history[0]));
    assert_eq!(history.len(), 2);
    let audit = org.audit("message.send").await;
    assert_eq!(audit.len(), 2);
    insta::assert_json_snapshot!("dm_audit", shape(&audit[1]));
    assert_eq!(audit[1]["target_id"], sent["message"]["id"]);
}

async fn dm_targets(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let cleo = other.bot("cleo").await;
    ada.send_body(json!({"to": "bob", "content": "by name"})).await.ok();
    ada.send_body(json!({"to": "BOB", "content": "names are case-sensitive"})).await.missing();
    ada.send_body(json!({"to": "cleo", "content": "other org"})).await.missing();
    ada.send_body(json!({"to": cleo.id, "content": "other org"})).await.missing();
    ada.send_body(json!({"to": NOBODY, "content": "nobody"})).await.missing();
    ada.send_body(json!({"to": ada.id, "content": "self"})).await.invalid();
    ada.send_body(json!({"to": "ada", "content": "self"})).await.invalid();
    ada.human("Ann").await.send(&bob, "as a human").await.refused(403, "DM_SEND_BLOCKED");
    ada.scoped(&["message"]).await.send(&bob, "with the scope").await.ok();
    ada.scoped(&["read", "thread", "profile"]).await.send(&bob, "without").await.refused(403, "INSUFFICIENT_SCOPE");
    org.post("/api/send", json!({"to": bob.id, "content": "not a bot"})).await.forbidden();
    assert_eq!(bob.inbox(0).await.list().len(), 2);
    assert!(cleo.inbox(0).await.list().is_empty());
}

async fn dm_parts_and_content(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let cases = [
        (json!({"parts": [{"type": "text", "content": "first"}, {"type": "text", "content": "second"}]}), "first"),
        (json!({"parts": [{"type": "image", "url": "/i"}, {"type": "markdown", "content": "*md*"}]}), "*md*"),
        (json!({"parts": [{"type": "image", "url": "/i"}, {"type": "json", "content": {"a": [1]}}]}), "[image, json]"),
        (json!({"parts": [{"type": "json", "content": []}, {"type": "link", "url": "https://e.com"}]}), "[json, link]"),
        (
            json!({"parts": [{"type": "file", "url": "/f", "name": "n", "mime_type": "text/plain", "size": "any"}]}),
            "[file]",
        ),
        (json!({"parts": []}), "[]"),
        (json!({"content": "given", "parts": [{"type": "text", "content": "other", "extra": 1}]}), "given"),
        (json!({"content": null, "parts": [{"type": "text", "content": "derived"}]}), "derived"),
    ];
    for (mut body, content) in cases {
        body["to"] = json!("bob");
        let message = ada.send_body(body.clone()).await.ok()["message"].take();
        assert_eq!(message["content"], content, "{body}");
        assert_eq!(message["parts"], body["parts"], "{body}: parts are kept as given");
    }
    let plain = ada.send(&bob, "plain").await.ok();
    assert_eq!(plain["message"]["parts"], json!([{"type": "text", "content": "plain"}]));
    let channel = plain.text("channel_id");
    let listed = ada.channel_messages(&channel, "?limit=1").await.list();
    assert_eq!(listed[0]["parts"], json!([{"type": "text", "content": "plain"}]));
}

async fn dm_content_rules(hub: TestHub) {
    let [ada, _bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    for content_type in [json!(null), json!(""), json!("text")] {
        let sent = ada.send_body(json!({"to": "bob", "content": "c", "content_type": content_type})).await.ok();
        assert_eq!(sent["message"]["content_type"], "text", "{content_type}");
    }
    let longest = "t".repeat(128);
    let sent = ada.send_body(json!({"to": "bob", "content": "c", "content_type": longest})).await.ok();
    assert_eq!(sent["message"]["content_type"], longest);
    for content in [" ", "看 🎉 \u{202e}", "line\nline\t\"quoted\" \\ back", "<script>"] {
        let sent = ada.send_body(json!({"to": "bob", "content": content})).await.ok();
        assert_eq!(sent["message"]["content"], content, "{content:?}");
    }
}

async fn dm_refuses_bad_fields(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let parts = bad_parts().into_iter().map(|parts| json!({"to": "bob", "content": "c", "parts": parts}));
    let others = [
        json!({}),
        json!({"to": "bob"}),
        json!({"content": "c"}),
        json!({"to": "", "content": "c"}),
        json!({"to": "bob", "content": ""}),
        json!({"to": "bob", "content": null}),
        json!({"to": "bob", "content": "", "parts": [{"type": "text", "content": "not a substitute"}]}),
        json!({"to": "bob", "parts": [{"type": "text", "content": ""}]}),
        json!({"to": 7, "content": "c"}),
        json!({"to": ["bob"], "content": "c"}),
        json!({"to": {"id": "bob"}, "content": "c"}),
        json!({"to": "bob", "content": 7}),
        json!({"to": "bob", "content": {"text": "c"}}),
        json!({"to": "bob", "content": ["c"]}),
        json!({"to": "bob", "content": "c", "content_type": 7}),
        json!({"to": "bob", "content": "c", "content_type": ["text"]}),
        json!({"to": "bob", "content": "c", "content_type": "t".repeat(129)}),
        json!({"to": "bob", "content": "c", "content_type": "字".repeat(43)}),
        json!({"to": "bob", "content": "a\u{0}b"}),
    ];
    for body in others.into_iter().chain(parts) {
        ada.send_body(body).await.invalid();
    }
    assert!(bob.inbox(0).await.list().is_empty());
}

/// Values of `parts` that every message route refuses.
pub fn bad_parts() -> Vec<Value> {
    let text = json!({"type": "text", "content": "c"});
    vec![
        json!(null),
        json!("text"),
        json!({"type": "text", "content": "c"}),
        json!(vec![text; 51]),
        json!([null]),
        json!(["text"]),
        json!([[]]),
        json!([{}]),
        json!([{"type": "video", "url": "/v"}]),
        json!([{"type": 1}]),
        json!([{"type": "text"}]),
        json!([{"type": "text", "content": 1}]),
        json!([{"type": "markdown", "content": null}]),
        json!([{"type": "json"}]),
        json!([{"type": "json", "content": null}]),
        json!([{"type": "json", "content": "text"}]),
        json!([{"type": "file", "url": "/f", "name": "n"}]),
        json!([{"type": "file", "url": "/f", "mime_type": "m"}]),
        json!([{"type": "file", "name": "n", "mime_type": "m"}]),
        json!([{"type": "image"}]),
        json!([{"type": "image", "url": 1}]),
        json!([{"type": "link"}]),
    ]
}

async fn dm_length_is_counted_in_utf16_units(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    ada.send(&bob, &"a".repeat(65_536)).await.ok();
    ada.send(&bob, &"a".repeat(65_537)).await.invalid();
    ada.send(&bob, &"🎉".repeat(32_768)).await.ok();
    ada.send(&bob, &"🎉".repeat(32_769)).await.invalid();
}

/// The length is checked last: who writes to nobody is told that.
async fn dm_refusals_in_order(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let long = "a".repeat(65_537);
    for (to, content, status) in [("nobody", long.as_str(), 404), ("nobody", "", 400), ("ada", long.as_str(), 400)] {
        let body = json!({"to": to, "content": content});
        assert_eq!(ada.post("/api/send", body).await.status, status, "{to} {content:.5}");
    }
    let mut socket = ada.socket().await;
    socket.op(json!({"type": "send_dm", "to": "nobody", "content": long})).await.refused("NOT_FOUND");
}

async fn channel_access(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob, stranger] = org.bots(["ada", "bob", "stranger"]).await;
    let admin = org.admin_bot("boss").await;
    let foreigner = other.bot("ada").await;
    let id = ada.send(&bob, "secret").await.ok().text("channel_id");
    for path in [format!("/api/channels/{id}"), format!("/api/channels/{id}/messages")] {
        ada.get(&path).await.ok();
        org.get(&path).await.ok();
        stranger.get(&path).await.forbidden();
        admin.get(&path).await.forbidden();
        ada.scoped(&["message", "thread"]).await.get(&path).await.refused(403, "INSUFFICIENT_SCOPE");
        foreigner.get(&path).await.forbidden();
        other.get(&path).await.missing();
    }
    // What a bot hears of a channel that is not its own, of another organisation's and of none is the same, so it tells nothing.
    let told = stranger.get(format!("/api/channels/{id}")).await.forbidden();
    for none in [NOBODY, "not-an-id"] {
        for path in [format!("/api/channels/{none}"), format!("/api/channels/{none}/messages?before={NOBODY}")] {
            assert_eq!(ada.get(&path).await.forbidden(), told, "{path}");
            org.get(&path).await.missing();
        }
    }
    assert_eq!(foreigner.get(format!("/api/channels/{id}")).await.forbidden(), told);
}

async fn history_by_time(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let (channel, sent) = talk(&ada, &bob, 5).await;
    let read = |query: String| {
        let call = ada.channel_messages(&channel, &query);
        async move { call.await.list().iter().map(|m| m.text("content")).collect::<Vec<_>>() }
    };
    assert_eq!(read(String::new()).await, ["0", "1", "2", "3", "4"]);
    assert_eq!(read("?limit=2".into()).await, ["3", "4"]);
    let third = sent[2].int("created_at");
    assert_eq!(read(format!("?before={third}")).await, ["0", "1"]);
    assert_eq!(read(format!("?since={third}")).await, ["3", "4"]);
    assert_eq!(read(format!("?since={third}&limit=1")).await, ["4"]);
    assert_eq!(
        read(format!("?since={}&before={}", sent[0].int("created_at"), sent[4].int("created_at"))).await,
        ["1", "2", "3"]
    );
    assert_eq!(read("?before=".into()).await.len(), 5);
    assert_eq!(read("?cursor=ignored".into()).await.len(), 5);
    for bad in ["?since=", "?since=yesterday", "?since=NaN"] {
        ada.channel_messages(&channel, bad).await.invalid();
    }
}

/// `n` messages of ada to bob with contents 0..n, at strictly increasing times; the channel and the messages.
async fn talk(ada: &Bot, bob: &Bot, n: usize) -> (String, Vec<Value>) {
    let mut sent = Vec::new();
    for at in 0..n {
        sent.push(ada.send(bob, &at.to_string()).await.ok()["message"].take());
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    (sent[0].text("channel_id"), sent)
}

async fn history_by_cursor(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let (channel, sent) = talk(&ada, &bob, 5).await;
    let mut page = ada.channel_messages(&channel, &format!("?before={}&limit=2", sent[4].id())).await.ok();
    assert_eq!(page.keys(), ["has_more", "messages"]);
    assert_eq!((page["messages"].all("content"), &page["has_more"]), (vec!["3", "2"], &json!(true)));
    let last = page["messages"][1].text("id");
    page = ada.channel_messages(&channel, &format!("?before={last}&limit=2")).await.ok();
    assert_eq!((page["messages"].all("content"), &page["has_more"]), (vec!["1", "0"], &json!(false)));
    let end = page["messages"][1].text("id");
    page = ada.channel_messages(&channel, &format!("?before={end}")).await.ok();
    assert_eq!(page, json!({"messages": [], "has_more": false}));
    let unknown = ada.channel_messages(&channel, &format!("?before={NOBODY}&limit=1")).await.ok();
    assert_eq!(unknown["messages"].all("content"), ["4"], "an unknown cursor gives the newest page");
    ada.channel_messages(&channel, "?before=some-text").await.ok();
}

async fn list_limits(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let (channel, _) = talk(&ada, &bob, 3).await;
    for (limit, expected) in
        [("2", 2), ("-5", 1), ("0", 3), ("abc", 3), ("1abc", 1), ("1.9", 1), ("1e9", 1), ("999999999999", 3), ("", 3)]
    {
        let got = ada.channel_messages(&channel, &format!("?limit={limit}")).await.list().len();
        assert_eq!(got, expected, "limit={limit}");
    }
    assert_eq!(ada.channel_messages(&channel, "?limit=1&limit=2").await.list().len(), 1);
    assert_eq!(ada.channel_messages(&channel, "?limit[]=1").await.list().len(), 1);
    assert_eq!(ada.channel_messages(&channel, "?limit[a]=1").await.list().len(), 3);
}

async fn bot_channels_newest_first(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let foreigner = other.bot("finn").await;
    assert!(ada.channels().await.list().is_empty());
    let (with_bob, _) = talk(&ada, &bob, 1).await;
    let (with_cleo, _) = talk(&ada, &cleo, 1).await;
    assert_eq!(ada.channels().await.ok().all("id"), [&with_cleo, &with_bob]);
    let (_, last) = talk(&bob, &ada, 1).await;
    let listed = ada.get("/api/bots/ada/channels").await.list();
    assert_eq!(json!(listed).all("id"), [&with_bob, &with_cleo], "by name too; last activity first");
    assert_eq!(listed[0].keys(), ["created_at", "id", "last_activity_at", "members", "name", "type"]);
    assert_eq!(listed[0]["last_activity_at"], last[0]["created_at"]);
    assert_eq!(org.get(format!("/api/bots/{}/channels", ada.id)).await.list().len(), 2);
    bob.get(format!("/api/bots/{}/channels", ada.id)).await.forbidden();
    org.admin_bot("boss").await.get("/api/bots/ada/channels").await.forbidden();
    foreigner.get(format!("/api/bots/{}/channels", ada.id)).await.missing();
    ada.get("/api/bots/nobody/channels").await.missing();
    hub.super_admin().await.get(format!("/api/bots/{}/channels", ada.id)).await.forbidden();
}

async fn inbox_holds_what_others_sent(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let (_, sent) = talk(&ada, &bob, 3).await;
    bob.send(&ada, "answer").await.ok();
    let inbox = bob.inbox(0).await.list();
    assert_eq!(json!(inbox).all("content"), ["0", "1", "2"], "oldest first, without one's own");
    insta::assert_json_snapshot!("inbox_item", shape(&inbox[0]));
    assert_eq!(bob.inbox(sent[1].int("created_at")).await.ok().all("content"), ["2"], "strictly after");
    assert_eq!(bob.get("/api/inbox?since=0&limit=1").await.list().len(), 3, "limit is no parameter here");
    for bad in ["", "?since=", "?since=abc"] {
        bob.get(format!("/api/inbox{bad}")).await.invalid();
    }
    let thread = ada.thread("t", &[&bob]).await;
    ada.say(&thread, "not a direct message").await.ok();
    assert_eq!(bob.inbox(0).await.list().len(), 3);
    bob.scoped(&["message"]).await.inbox(0).await.refused(403, "INSUFFICIENT_SCOPE");
}

/// More channels than one statement merges, and more messages than a page holds.
async fn inbox_of_many_channels(hub: TestHub) {
    let org = hub.with_org("a").await;
    let reader = org.bot("reader").await;
    let mut sent = Vec::new();
    for n in 0..35 {
        let sender = org.bot(&format!("bot{n}")).await;
        for _ in 0..4 {
            let message = sender.send(&reader, &format!("{n}")).await.ok()["message"].clone();
            sent.push((message.int("created_at"), message.text("id"), message.text("sender_id")));
        }
        reader.send(&sender, "answer").await.ok();
    }
    sent.sort();
    let (mut since, mut got) = (0, Vec::new());
    loop {
        let page = reader.inbox(since).await.list();
        assert!(page.len() <= 100);
        let Some(last) = page.last() else { break };
        since = last.int("created_at");
        got.extend(page.iter().map(|item| (item.int("created_at"), item.text("id"), item.text("sender_id"))));
        assert!(page.iter().all(|item| item["sender_name"] == format!("bot{}", item.text("content"))));
    }
    assert_eq!(got, sent);
}

async fn workspace_lists_conversations_and_threads(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    talk(&ada, &cleo, 1).await;
    ada.send(&bob, &"long".repeat(100)).await.ok();
    for topic in ["one", "two", "three"] {
        ada.thread(topic, &[&bob]).await;
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let page = ada.workspace("?dm_limit=1&thread_limit=2").await.ok();
    insta::assert_json_snapshot!("workspace", shape(&page), {
        ".dms.next_cursor" => "[cursor]", ".threads.next_cursor" => "[cursor]",
        ".dms.items[0].last_message_preview.content" => "[preview]",
    });
    let preview = page["dms"]["items"][0]["last_message_preview"].text("content");
    assert_eq!(preview, format!("{}…", "long".repeat(50)));
    let (dm, thread) = (page["dms"].text("next_cursor"), page["threads"].text("next_cursor"));
    let next = ada.workspace(&format!("?dm_cursor={dm}&thread_cursor={thread}")).await.ok();
    assert_eq!(next["dms"]["items"][0]["counterpart_bot"]["name"], "cleo");
    assert_eq!(next["threads"]["items"].all("topic"), ["one"]);
    assert_eq!(next["dms"].keys(), ["has_more", "items"], "no cursor on the last page");
    let junk = ada.workspace("?dm_cursor=%21junk&thread_cursor=bm9uc2Vuc2U").await.ok();
    assert_eq!(junk["dms"].items("items").len(), 2, "a bad cursor is the first page");
    assert_eq!(junk["threads"].items("items").len(), 3);
    org.get("/api/me/workspace").await.forbidden();
}

async fn parallel_first_messages_share_one_channel(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let sends = (0..16).map(|n| {
        let (from, to) = if n % 2 == 0 { (&ada, &bob) } else { (&bob, &ada) };
        let call = from.send(to, "race");
        async move { call.await.ok().text("channel_id") }
    });
    let mut channels = futures_util::future::join_all(sends).await;
    channels.dedup();
    assert_eq!(channels.len(), 1);
    assert_eq!(ada.channels().await.list().len(), 1);
    assert_eq!(ada.channel_messages(&channels[0], "").await.list().len(), 16);
}

async fn dm_after_deletion_of_the_peer(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let channel = bob.send(&ada, "last words").await.ok().text("channel_id");
    bob.delete("/api/me").await.ok();
    let history = ada.channel_messages(&channel, "").await.list();
    assert_eq!((&history[0]["sender_id"], &history[0]["sender_name"]), (&json!(bob.id), &json!("unknown")));
    assert_eq!(ada.channel(&channel).await.ok()["members"].all("name"), ["ada"]);
    assert_eq!(ada.inbox(0).await.ok().all("content"), ["last words"]);
    let dm = ada.workspace("").await.ok()["dms"]["items"][0].take();
    assert_eq!(dm["counterpart_bot"]["name"], "unknown");
    ada.send(&bob, "gone").await.missing();
}

async fn message_rate_limit(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    org.settings(json!({"messages_per_minute_per_bot": 3})).await.ok();
    let thread = ada.thread("t", &[&bob]).await;
    ada.send(&bob, "1").await.ok();
    ada.say(&thread, "2").await.ok();
    let mut socket = ada.socket().await;
    socket.op(json!({"type": "send_dm", "to": "bob", "content": "3"})).await.ack();
    let reply = ada.send(&bob, "4").await;
    let seconds = reply.header("retry-after").expect("Retry-After").parse::<i64>().unwrap();
    assert!((1..=60).contains(&seconds));
    assert_eq!(
        (reply.header("ratelimit-remaining"), reply.header("ratelimit-reset")),
        (Some("0"), reply.header("retry-after"))
    );
    assert_eq!(reply.header("ratelimit-limit").map(str::len), Some(1));
    assert_eq!(reply.refused(429, "RATE_LIMITED")["retry_after"], seconds);
    ada.say(&thread, "4").await.refused(429, "RATE_LIMITED");
    let error = socket.op(json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "4"})).await;
    assert!((1..=60).contains(&error.refused("RATE_LIMITED").int("retry_after")));
    bob.send(&ada, "the limit is per bot").await.ok();
    ada.artifact_add(&thread, json!({"artifact_key": "k"})).await.ok();
    org.settings(json!({"messages_per_minute_per_bot": 100})).await.ok();
    ada.send(&bob, "a raised limit counts at once").await.ok();
}

async fn removed_routes_stay_gone(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.admin_bot("ada").await;
    let probe = ada.get("/api/channels").header("content-type", "application/json");
    probe.await.missing();
    ada.post("/api/channels", json!({"type": "direct", "members": []})).await.missing();
    ada.post(format!("/api/channels/{NOBODY}/join"), json!({})).await.missing();
    ada.delete(format!("/api/channels/{NOBODY}")).await.missing();
    ada.post(format!("/api/channels/{NOBODY}/messages"), json!({"content": "c"})).await.missing();
}

#[test]
fn a_poller_misses_nothing_of_one_instant_sqlite() {
    one_instant(Db::Sqlite);
}

#[test]
fn a_poller_misses_nothing_of_one_instant_postgres() {
    one_instant(Db::Postgres);
}

/// A page that ended within an instant made a poller, which goes on after that instant, lose the rest of it.
fn one_instant(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let now = now_ms();
    run_at(std::sync::Arc::new(move || now), &database, &[], async |hub, _| {
        let org = hub.with_org("a").await;
        let [few, many] = org.bots(["few", "many"]).await;
        for n in 0..103 {
            let sender = org.bot(&format!("bot{n}")).await;
            for _ in 0..2 {
                sender.send(&many, "c").await.ok();
                if n < 60 {
                    sender.send(&few, "c").await.ok();
                }
            }
        }
        for (reader, pages) in [(&few, [60, 60]), (&many, [103, 103])] {
            let mut since = 0;
            for expected in pages {
                let page = reader.inbox(since).await.list();
                assert_eq!(page.len(), expected, "{pages:?} after {since}");
                since = page[page.len() - 1].int("created_at");
            }
            assert!(reader.inbox(since).await.list().is_empty(), "{pages:?}");
        }
    });
}
