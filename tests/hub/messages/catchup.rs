//! What a bot finds out about its absence: catchup events, their counts, order and paging.

use crate::harness::*;

on_both_databases! {
    summaries_of_messages,
    many_messages_are_counted_as_they_come,
    every_kind_of_event,
    counts,
    paging,
    paging_skips_nothing_while_rows_move,
    parallel_messages_are_all_counted,
    answers_follow_every_change,
    an_answer_that_is_still_true_costs_no_read,
    refuses_bad_queries,
}

async fn summaries_of_messages(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let before = bob.missed().await.len();
    let dm = ada.send(&bob, "1").await.ok();
    ada.send(&bob, "2").await.ok();
    for n in 0..3 {
        ada.say(&thread, &n.to_string()).await.ok();
    }
    let events = json!(bob.missed().await.split_off(before));
    assert_eq!(events.all("type"), ["channel_message_summary", "thread_message_summary"]);
    insta::assert_json_snapshot!("catchup_summaries", shape(&events));
    assert_eq!((&events[0]["count"], &events[0]["channel_id"]), (&json!(2), &dm["channel_id"]));
    assert_eq!((&events[1]["count"], &events[1]["thread_id"]), (&json!(3), &thread["id"]));
    let last = bob.messages(&thread, "?limit=1").await.ok();
    assert_eq!(events[1]["last_at"], last[0]["created_at"]);
    assert_eq!(events[1]["occurred_at"], events[1]["last_at"]);
    assert!(ada.missed().await.is_empty(), "nobody misses what they did themselves");
}

/// Long conversations are counted out of what memory keeps of them; the answers must be those of the rows.
async fn many_messages_are_counted_as_they_come(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let thread = ada.thread("t", &[&bob, &cleo]).await;
    let mut socket = ada.socket().await;
    let mut middle = 0;
    for (round, sum) in [(120, 120), (5, 125), (0, 125), (40, 165)] {
        for _ in 0..round {
            let said = socket.op(json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "c"}));
            said.await.ack();
            socket.op(json!({"type": "send_dm", "to": "bob", "content": "c"})).await.ack();
        }
        bob.say(&thread, "mine").await.ok();
        let counts = async |since: i64| {
            let page = bob.catchup(&format!("?since={since}&limit=200")).await.ok();
            let events = page["events"].as_array().unwrap().clone();
            let of = |kind: &str| events.iter().find(|event| event["type"] == kind).map(|event| event["count"].clone());
            (of("thread_message_summary"), of("channel_message_summary"))
        };
        assert_eq!(counts(0).await, (Some(json!(sum)), Some(json!(sum))), "{round} more, {sum} in all");
        if middle > 0 && sum > 125 {
            assert_eq!(
                counts(middle).await,
                (Some(json!(sum - 125)), Some(json!(sum - 125))),
                "{round} more, {sum} in all"
            );
        }
        let newest = ada.messages(&thread, "?limit=1").await.list();
        middle = newest[0]["created_at"].as_i64().unwrap();
    }
    let others = cleo.missed().await;
    let told = others.iter().find(|event| event["type"] == "thread_message_summary").unwrap();
    assert_eq!(told["count"], 169, "those of both others");
    ada.remove(&thread, "bob").await.ok();
    ada.say(&thread, "after").await.ok();
    let left = bob.missed().await;
    let told = left.iter().find(|event| event["type"] == "thread_message_summary").unwrap();
    assert_eq!(told["count"], 165, "nothing after the removal counts");
}

async fn every_kind_of_event(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[]).await;
    ada.invite(&thread, &bob).await.ok();
    ada.say(&thread, "c").await.ok();
    ada.artifact_add(&thread, json!({"artifact_key": "k"})).await.ok();
    ada.status(&thread, "blocked").await.ok();
    ada.thread_patch(&thread, json!({"topic": "u", "context": "c"})).await.ok();
    ada.thread_patch(&thread, json!({"visibility": "members"})).await.ok();
    ada.remove(&thread, "bob").await.ok();
    let mut kinds: Vec<String> = bob.missed().await.iter().map(|event| event.text("type")).collect();
    kinds.sort_unstable();
    let expected = [
        "thread_artifact_added",
        "thread_invited",
        "thread_message_summary",
        "thread_participant_removed",
        "thread_status_changed",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(ada.missed().await.len(), 1, "the actor hears of the status only");
}

async fn counts(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    assert_eq!(bob.catchup_count(0).await.ok()["total"], 0);
    let thread = ada.thread("t", &[&bob]).await;
    ada.say(&thread, "c").await.ok();
    ada.say(&thread, "c").await.ok();
    ada.artifact_add(&thread, json!({"artifact_key": "k"})).await.ok();
    ada.send(&bob, "c").await.ok();
    ada.status(&thread, "blocked").await.ok();
    ada.remove(&thread, "bob").await.ok();
    let count = bob.catchup_count(0).await.ok();
    let expected = json!({
        "thread_invites": 1, "thread_status_changes": 1, "thread_activities": 3, "channel_messages": 1, "total": 6,
    });
    assert_eq!(count, expected, "rows, not messages");
    let later = bob.catchup_count(now_ms() + 1000).await.ok();
    assert_eq!(later["total"], 0);
    bob.scoped(&["message", "thread", "profile"]).await.catchup_count(0).await.refused(403, "INSUFFICIENT_SCOPE");
}

async fn paging(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    for n in 0..5 {
        ada.thread(&n.to_string(), &[&bob]).await;
    }
    let (mut topics, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = bob.catchup(&format!("?since=0&limit=2{cursor}")).await.ok();
        pages += 1;
        topics.extend(page["events"].all("topic").iter().map(|topic| (*topic).to_owned()));
        if page["has_more"] == false {
            assert_eq!(page.keys(), ["events", "has_more"]);
            break;
        }
        assert_eq!(page["cursor"], page["events"][1]["event_id"]);
        cursor = format!("&cursor={}", page.text("cursor"));
    }
    assert_eq!((topics, pages), (["0", "1", "2", "3", "4"].map(str::to_owned).to_vec(), 3));
    let events = bob.missed().await;
    let since = bob.catchup(&format!("?since={}", events[2].int("occurred_at"))).await.ok();
    let expected = events.iter().filter(|e| e.int("occurred_at") > events[2].int("occurred_at")).count();
    assert_eq!(since.items("events").len(), expected, "strictly after");
    assert_eq!(bob.catchup("?since=0&limit=0").await["events"].as_array().unwrap().len(), 5);
    assert_eq!(bob.catchup("?since=0&cursor=unknown").await["events"].as_array().unwrap().len(), 5);
}

/// A summary row that moved to the end while a client paged used to take the cursor with it, and events were lost.
async fn paging_skips_nothing_while_rows_move(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("busy", &[&bob]).await;
    ada.say(&thread, "first").await.ok();
    for n in 0..5 {
        ada.thread(&format!("invite{n}"), &[&bob]).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..20 {
        let page = bob.catchup(&format!("?since=0&limit=2{cursor}")).await.ok();
        seen.extend(page.items("events").iter().map(|e| e["topic"].as_str().unwrap_or("?").to_owned()));
        ada.say(&thread, "moves the summary").await.ok();
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    for n in 0..5 {
        assert!(seen.contains(&format!("invite{n}")), "invite{n} was skipped: {seen:?}");
    }
}

async fn parallel_messages_are_all_counted(hub: TestHub) {
    let [ada, bob, cleo] = hub.with_org("a").await.bots(["ada", "bob", "cleo"]).await;
    let thread = ada.thread("t", &[&bob, &cleo]).await;
    let says = (0..50).map(|n| {
        let call = [&ada, &bob][n % 2].say(&thread, "c");
        async move { call.await.ok() }
    });
    futures_util::future::join_all(says).await;
    let summaries: Vec<_> = cleo.missed().await.into_iter().filter(|e| e["type"] == "thread_message_summary").collect();
    assert_eq!((summaries.len(), &summaries[0]["count"]), (1, &json!(50)));
}

/// Answers are kept while they are true. Whatever happens, the same question must get what a new one gets.
async fn answers_follow_every_change(hub: TestHub) {
    let [ada, bob, cleo] = hub.with_org("a").await.bots(["ada", "bob", "cleo"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let (key, mut asked) = (json!({"artifact_key": "k"}), 0);
    let mut after = async |what: &str, done: Option<Call>| {
        if let Some(done) = done {
            done.answered().await;
        }
        asked += 1;
        let page = async |limit: i64| bob.catchup(&format!("?since=0&limit={limit}")).await.ok();
        assert_eq!(page(200).await, page(200 - asked).await, "{what}");
        let count = bob.catchup_count(0).await.ok();
        assert_eq!(count, bob.catchup_count(asked).await.ok(), "{what}");
        count["total"].as_i64().unwrap()
    };
    assert_eq!(after("nothing but the invitation", None).await, 1);
    assert_eq!(after("a message", Some(ada.say(&thread, "c"))).await, 2);
    assert_eq!(after("another one", Some(ada.say(&thread, "c"))).await, 2);
    assert_eq!(after("its own", Some(bob.say(&thread, "c"))).await, 2);
    assert_eq!(after("a first direct message", Some(ada.send(&bob, "c"))).await, 3);
    assert_eq!(after("a second", Some(ada.send(&bob, "c"))).await, 3);
    assert_eq!(after("one of another bot", Some(cleo.send(&bob, "c"))).await, 4);
    assert_eq!(after("an artifact", Some(ada.artifact_add(&thread, key))).await, 5);
    assert_eq!(after("a version", Some(ada.artifact_update(&thread, "k", json!({"content": "c"})))).await, 5);
    assert_eq!(after("a status", Some(ada.status(&thread, "blocked"))).await, 6);
    assert_eq!(after("a topic", Some(ada.thread_patch(&thread, json!({"topic": "u"})))).await, 6);
    assert_eq!(after("a removal", Some(ada.remove(&thread, "bob"))).await, 7);
    assert_eq!(after("a topic once it is gone", Some(ada.thread_patch(&thread, json!({"topic": "v"})))).await, 7);
    assert_eq!(after("a message then", Some(ada.say(&thread, "c"))).await, 7);
    assert_eq!(after("a new invitation", Some(ada.invite(&thread, &bob))).await, 8);
    assert_eq!(after("a message in the new time", Some(ada.say(&thread, "c"))).await, 9);
}

async fn an_answer_that_is_still_true_costs_no_read(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    ada.say(&thread, "c").await.ok();
    let reads = async || {
        let metrics = hub.anonymous().get("/metrics").await.text;
        let count = metrics.lines().find_map(|line| line.strip_prefix("hub_read_seconds_count ")).unwrap();
        count.parse::<u64>().unwrap()
    };
    let cost = async |bot: &Bot| {
        let before = reads().await;
        bot.catchup("?since=0").await.ok();
        bot.catchup_count(0).await.ok();
        reads().await - before
    };
    eventually(async || cost(&bob).await, |reads| *reads == 0).await;
    ada.say(&thread, "c").await.ok();
    assert_eq!(cost(&bob).await, 2, "both have changed");
}

async fn refuses_bad_queries(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    for bad in ["", "?since=", "?since=abc", "?cursor=abc", "?limit=1"] {
        ada.catchup(bad).await.invalid();
        ada.get(format!("/api/me/catchup/count{bad}")).await.invalid();
    }
    org.get("/api/me/catchup?since=0").await.forbidden();
    ada.scoped(&["thread"]).await.catchup("?since=0").await.refused(403, "INSUFFICIENT_SCOPE");
}
