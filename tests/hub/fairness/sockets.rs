//! What leaves on sockets: nobody who reads is cut, whatever comes at once; who does not read makes room for the others; and
//! a bot that keeps changing is no work for its organisation.

use std::time::{Duration, Instant};

use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    a_burst_cuts_nobody_who_reads,
    the_largest_artifact_is_told_to_everybody,
    what_may_be_stored_may_be_told,
    a_slow_line_is_no_stalled_peer with impatient,
    who_does_not_read_makes_room_for_who_does with little_room,
    a_large_answer_goes_through_a_pause_of_the_reader,
    a_bot_that_keeps_renaming_itself_is_told_now_and_then with slow_pace,
    a_rejected_bot_hears_of_it_though_others_wait with little_budget,
}

const BURST: usize = 60;

/// Twenty messages of this size once cut a listener that was reading, and sixteen sent without waiting cut their sender.
async fn a_burst_cuts_nobody_who_reads(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [writer, reader] = org.bots(["writer", "reader"]).await;
    let thread = writer.thread("t", &[&reader]).await;
    let (mut own, mut other) = (writer.socket().await, reader.socket().await);
    let content = "x".repeat(60_000);
    let mut references = Vec::new();
    for n in 0..BURST {
        let frame =
            json!({"type": "send_thread_message", "thread_id": thread.id(), "content": format!("{n}:{content}")});
        references.push(own.start(frame).await);
    }
    for reference in references {
        own.answer(&reference).await.unwrap().ack();
    }
    for socket in [&mut own, &mut other] {
        for n in 0..BURST {
            let told = socket.next("thread_message").await["message"].text("content");
            assert!(told.starts_with(&format!("{n}:")) && told.len() > 60_000);
        }
        socket.quiet().await;
    }
}

async fn the_largest_artifact_is_told_to_everybody(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [writer, reader, late] = org.bots(["writer", "reader", "late"]).await;
    let thread = writer.thread("t", &[&reader, &late]).await;
    let (mut own, mut other, mut second) = (writer.socket().await, reader.socket().await, reader.socket().await);
    let mut gone = late.socket().await;
    let point = {
        writer.say(&thread, "before").await.ok();
        gone.next("thread_message").await
    };
    gone.close().await;
    let content = "ä\"\n".repeat(1_150_000 / 6);
    for n in 0..3 {
        let op = json!({
            "type": "artifact_add", "thread_id": thread.id(), "artifact_key": format!("k{n}"),
            "artifact_type": "text", "title": "large", "content": content,
        });
        own.op(op).await.ack();
        for socket in [&mut own, &mut other, &mut second] {
            let told = socket.next("thread_artifact").await;
            assert_eq!(told["artifact"]["content"], content.as_str());
        }
    }
    // More than a socket may hold by itself, and less than the log does.
    let query =
        format!("?ticket={}&epoch={}&since_seq={}", late.ws_ticket().await, point.text("epoch"), point.int("seq"));
    let mut back = Socket::connect(&hub, &query).await;
    assert_eq!(back.next("resumed").await["resumed"], true);
    for _ in 0..3 {
        assert_eq!(back.next("thread_artifact").await["artifact"]["content"], content.as_str());
    }
    back.quiet().await;
}

/// Every kind of event with its fields as large as they may be.
async fn what_may_be_stored_may_be_told(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [writer, reader] = org.bots(["writer", "reader"]).await;
    let mut heard = reader.socket().await;
    let mut own = writer.socket().await;
    let escaped = |bytes: usize| "\\\"".repeat(bytes / 2);
    let body = json!({
        "topic": "\u{1}".repeat(4096), "participants": [reader.id], "tags": (0..10).map(|n| format!("{n}{}", "\"".repeat(63))).collect::<Vec<_>>(),
        "context": json!({"c": escaped(43_000).replace('\\', "x")}),
    });
    let thread = writer.thread_create(body).await.ok();
    heard.next("thread_created").await;
    let part = json!({"type": "text", "content": "\u{1}".repeat(1000)});
    let parts: Vec<_> = (0..40).map(|_| part.clone()).collect();
    let message = json!({
        "type": "send_thread_message", "thread_id": thread.id(), "content": "\u{1}".repeat(65_536), "parts": parts,
        "metadata": {"m": "\"".repeat(8_000)},
    });
    own.op(message).await.ack();
    assert_eq!(heard.next("thread_message").await["message"]["content"].as_str().unwrap().len(), 65_536);
    let dm = json!({"type": "send_dm", "to": reader.id, "content": "\u{1}".repeat(65_536)});
    own.op(dm).await.ack();
    heard.next("message").await;
    // Numbers grow most when they are written anew.
    let numbers = format!("[{}]", vec!["1e15"; 200_000].join(","));
    let json = json!({"artifact_key": "n", "artifact_type": "json", "title": "\u{1}".repeat(4096), "content": numbers});
    writer.artifact_add(&thread, json).await.ok();
    heard.next("thread_artifact").await;
    // Beside who took part from the start, and the new channel, nothing else was told, and the socket is open.
    let rest = heard.drain().await;
    let told = ["thread_participant", "channel_created"];
    assert!(rest.iter().all(|event| told.contains(&event["type"].as_str().unwrap())), "{rest:?}");
    own.next("thread_artifact").await;
}

fn impatient(config: &mut Config) {
    config.sockets.outbox_age_ms = 1500;
}

/// It takes several times as long as a peer may take nothing, but it always takes something.
async fn a_slow_line_is_no_stalled_peer(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [writer, reader] = org.bots(["writer", "reader"]).await;
    let thread = writer.thread("t", &[&reader]).await;
    let line = Proxy::before(hub.address());
    let through = TestHub::at(&format!("http://{}", line.address()));
    let mut slow = Caller::bearer(&through, reader.secret()).socket().await;
    let mut own = writer.socket().await;
    slow.next("bot_online").await;
    slow.drain().await;
    line.set(Weather::Throttle(4_000));
    let content = "x".repeat(1_100_000);
    let add = json!({
        "type": "artifact_add", "thread_id": thread.id(), "artifact_key": "k", "artifact_type": "text", "content": content,
    });
    own.op(add).await.ack();
    for n in 0..20 {
        writer.say(&thread, &format!("{n}{}", "y".repeat(60_000))).await.ok();
    }
    let (since, mut frames) = (Instant::now(), Vec::new());
    while frames.len() < 21 {
        let frame =
            slow.arrival(Duration::from_secs(30)).await.expect("who reads is not cut").expect("something comes");
        frames.push(frame.text("type"));
        assert!(since.elapsed() < Duration::from_secs(60));
    }
    assert_eq!(frames[0], "thread_artifact");
    assert!(frames[1..].iter().all(|kind| kind == "thread_message"), "{frames:?}");
}

fn little_room(config: &mut Config) {
    // The least for the largest event; a lone organisation may have a quarter of it for its events.
    config.sockets.waiting_bytes = 20 * 1024 * 1024;
    // Who stalls is not found by its age here.
    config.sockets.outbox_age_ms = 600_000;
}

async fn who_does_not_read_makes_room_for_who_does(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [writer, reader, stalled] = org.bots(["writer", "reader", "stalled"]).await;
    let thread = writer.thread("t", &[&reader, &stalled]).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(stalled.socket().await.into_stream());
    }
    let (mut own, mut other) = (writer.socket().await, reader.socket().await);
    let content = "x".repeat(60_000);
    let count = 300;
    for n in 0..count {
        let say = json!({"type": "send_thread_message", "thread_id": thread.id(), "content": format!("{n}:{content}")});
        own.op(say).await.ack();
        let told = other.next("thread_message").await["message"].text("content");
        assert!(told.starts_with(&format!("{n}:")));
        own.next("thread_message").await;
    }
    let figures = hub.anonymous().get("/metrics").await.text;
    let figure = |name: &str| {
        let line = figures.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
        line.trim().parse::<f64>().unwrap()
    };
    assert!((figure("hub_ws_crowded_total ") - 5.0).abs() < 0.5, "{figures}");
    assert!(figure("hub_ws_waiting_bytes ") < 5.0 * 1024.0 * 1024.0);
    let seen = stalled.all_messages(&thread).await.len();
    assert_eq!(seen, count, "who was cut off catches up");
    chaos::figure(
        "R25",
        "18 MB to one socket that reads and five that do not, with room for 5 MB: only the latter were closed",
    );
    drop(held);
}

/// A reader that pauses for a moment while much comes for it.
async fn a_large_answer_goes_through_a_pause_of_the_reader(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [writer, reader] = org.bots(["writer", "reader"]).await;
    let thread = writer.thread("t", &[&reader]).await;
    let mut other = reader.socket().await;
    for n in 0..100 {
        writer.say(&thread, &format!("{n}:{}", "x".repeat(60_000))).await.ok();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for n in 0..100 {
        assert!(other.next("thread_message").await["message"].text("content").starts_with(&format!("{n}:")));
    }
}

fn slow_pace(config: &mut Config) {
    config.sockets.changes_at_once = 3;
}

/// Each of them was told to every socket once.
async fn a_bot_that_keeps_renaming_itself_is_told_now_and_then(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [restless, watcher, calm] = org.bots(["n0", "watcher", "calm"]).await;
    let mut socket = watcher.socket().await;
    let since = Instant::now();
    for n in 1..=40 {
        restless.patch("/api/me/name", json!({"name": format!("n{n}")})).await.ok();
    }
    let took = since.elapsed();
    calm.patch("/api/me/name", json!({"name": "calmer"})).await.ok();
    let (mut told, mut name, mut seq) = (Vec::new(), "n0".to_owned(), 0);
    while name != "n40" || !told.contains(&"calmer".to_owned()) {
        let event = socket.next("bot_renamed").await;
        assert!(event.int("seq") > seq);
        seq = event.int("seq");
        if event.text("bot_id") == restless.id {
            assert_eq!(event.text("old_name"), name, "nothing is left out");
            name = event.text("new_name");
        }
        told.push(event.text("new_name"));
    }
    let allowed = 3 + usize::try_from(took.as_secs()).unwrap() + 2;
    let own = told.iter().filter(|name| name.starts_with('n')).count();
    assert!(own <= allowed, "{own} events in {took:?}");
    let listed = watcher.get(format!("/api/bots/{}", restless.id)).await.ok();
    assert_eq!(listed["name"], "n40");
}

fn little_budget(config: &mut Config) {
    config.sockets.presence_per_second = 30;
}

async fn a_rejected_bot_hears_of_it_though_others_wait(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, rejected] = org.bots(["ada", "bob", "rejected"]).await;
    let mut sockets = [ada.socket().await, bob.socket().await];
    let mut own = rejected.socket().await;
    org.patch(format!("/api/org/bots/{}/status", rejected.id), json!({"status": "rejected"})).await.ok();
    assert_eq!(own.next("bot_status_changed").await["join_status"], "rejected");
    assert_eq!(own.closed().await, 4403);
    for socket in &mut sockets {
        assert_eq!(socket.next("bot_status_changed").await["bot_id"], rejected.id.as_str());
    }
}
