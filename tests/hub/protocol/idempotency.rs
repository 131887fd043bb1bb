//! Requests under an idempotency key: done once, however often and however they are sent, through crashes too.

use crate::harness::*;

on_both_databases! {
    every_creating_route_replays_its_answer,
    every_creating_operation_replays_its_ack,
    another_request_under_a_key_is_a_mismatch,
    what_is_no_key_is_refused,
    a_refusal_is_not_remembered,
    a_hundred_takers_of_one_key_make_one_row,
    pipelined_frames_keep_their_order,
    replays_are_not_charged,
    keys_belong_to_one_bot,
    a_person_and_its_bot_do_not_share_answers,
    deleting_the_bot_or_the_organisation_is_not_in_the_way,
}

const KEY: &str = "idempotency-key";

fn key(call: Call, key: &str) -> Call {
    call.header(KEY, key)
}

/// Sends a call twice and checks that the second answer is the first one, marked.
async fn twice(call: impl Fn() -> Call, name: &str) -> Value {
    let first = key(call(), name).await;
    assert_eq!(first.header("idempotency-replayed"), None);
    let again = key(call(), name).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")), "{}", again.text);
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_eq!(again.text, first.text, "byte for byte");
    first.ok()
}

async fn every_creating_route_replays_its_answer(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let mut listener = bob.socket().await;
    let sent = twice(|| ada.send(&bob, "c"), "1").await;
    let channel = sent.text("channel_id");
    let in_channel = format!("/api/channels/{channel}/messages");
    twice(|| ada.post(&in_channel, json!({"content": "d"})), "2").await;
    let thread = twice(|| ada.thread_create(json!({"topic": "t", "participants": ["bob"]})), "3").await;
    let parts = json!([{"type": "text", "content": "ä\u{1F600}"}]);
    twice(|| ada.message(&thread, json!({"content": "e @bob", "parts": parts, "metadata": {"a": [1]}})), "4").await;
    twice(|| ada.artifact_add(&thread, json!({"artifact_key": "k", "content": "1"})), "5").await;
    twice(|| ada.artifact_update(&thread, "k", json!({"content": "2"})), "6").await;
    assert_eq!(bob.channel_messages(&channel, "").await.ok().all("content"), ["c", "d"]);
    assert_eq!(ada.threads("").await.list().len(), 1);
    assert_eq!(ada.messages(&thread, "").await.list().len(), 1);
    assert_eq!(ada.versions(&thread, "k").await.list().len(), 2);
    let kinds: Vec<String> = listener.drain().await.iter().map(|event| event.text("type")).collect();
    let told = |kind: &str| kinds.iter().filter(|other| *other == kind).count();
    let counts = ["message", "thread_created", "thread_message", "thread_artifact"].map(told);
    assert_eq!(counts, [2, 1, 1, 2], "{kinds:?}");
}

async fn every_creating_operation_replays_its_ack(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let channel = ada.send(&bob, "open").await.ok()["channel_id"].clone();
    let thread = ada.thread("t", &[&bob]).await;
    let mut socket = ada.socket().await;
    let operations = [
        json!({"type": "send", "channel_id": channel, "content": "c"}),
        json!({"type": "send_dm", "to": "bob", "content": "c"}),
        json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "c"}),
        json!({"type": "thread_create", "topic": "u"}),
        json!({"type": "artifact_add", "thread_id": thread["id"], "artifact_key": "k", "content": "1"}),
        json!({"type": "artifact_update", "thread_id": thread["id"], "artifact_key": "k", "content": "2"}),
    ];
    for (n, mut frame) in operations.into_iter().enumerate() {
        frame["client_id"] = json!(format!("op-{n}"));
        let first = socket.op(frame.clone()).await.0;
        assert_eq!(first.get("replayed"), None, "{first}");
        let again = socket.op(frame).await.0;
        assert_eq!((&again["result"], &again["replayed"]), (&first["result"], &json!(true)), "{again}");
    }
    assert_eq!(ada.messages(&thread, "").await.list().len(), 1);
    assert_eq!(ada.versions(&thread, "k").await.list().len(), 2);
    assert_eq!(ada.threads("").await.list().len(), 2);
    assert_eq!(ada.channel_messages(channel.as_str().unwrap(), "").await.list().len(), 3);
    // Operations that create nothing do not look at it.
    for _ in 0..2 {
        let update = json!({"type": "thread_update", "thread_id": thread["id"], "topic": "v", "client_id": "op-1"});
        assert_eq!(socket.op(update).await.0.get("replayed"), None);
    }
}

async fn another_request_under_a_key_is_a_mismatch(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let (thread, other) = (ada.thread("t", &[]).await, ada.thread("u", &[]).await);
    key(ada.say(&thread, "c"), "k").await.ok();
    let others = [
        ada.say(&thread, "d"),
        ada.message(&thread, json!({"content": "c", "metadata": null})),
        ada.say(&other, "c"),
        ada.send(&bob, "c"),
        ada.artifact_add(&thread, json!({"content": "c"})),
    ];
    for call in others {
        key(call, "k").await.refused(409, "IDEMPOTENCY_MISMATCH");
    }
    let mut socket = ada.socket().await;
    let frame = json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "c", "client_id": "k"});
    socket.op(frame).await.refused("IDEMPOTENCY_MISMATCH");
    assert_eq!(ada.messages(&thread, "").await.list().len(), 1);
    // The order of fields is not part of the request.
    let swapped = r#"{"metadata": {"b": 1, "a": 2}, "content": "e"}"#;
    let path = format!("/api/threads/{}/messages", thread.id());
    key(ada.message(&thread, json!({"content": "e", "metadata": {"a": 2, "b": 1}})), "l").await.ok();
    let again = key(ada.call("POST", &path).raw("application/json", swapped), "l").await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", again.text);
}

async fn what_is_no_key_is_refused(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let thread = ada.thread("t", &[]).await;
    let long = "k".repeat(256);
    for bad in ["", " ", "a b", long.as_str()] {
        key(ada.say(&thread, "c"), bad).await.invalid();
    }
    key(hub.anonymous().post(format!("/api/threads/{}/messages", thread.id()), json!({})), "").await.status(401);
    let mut socket = ada.socket().await;
    for bad in [json!(""), json!("a b"), json!("ä"), json!(long), json!(7), json!({}), json!(["k"])] {
        let frame = json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "c", "client_id": bad});
        socket.op(frame).await.invalid("client_id");
    }
    assert!(ada.messages(&thread, "").await.list().is_empty());
    let frame = json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "c", "client_id": null});
    socket.op(frame).await.ack();
    key(ada.say(&thread, "c"), &"~".repeat(255)).await.ok();
}

async fn a_refusal_is_not_remembered(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[]).await;
    let say = || key(bob.say(&thread, "c"), "k");
    say().await.refused(403, "JOIN_REQUIRED");
    ada.invite(&thread, &bob).await.ok();
    say().await.ok();
    // An answer outlives the right to ask again.
    ada.remove(&thread, &bob.id).await.ok();
    let again = say().await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
}

async fn a_hundred_takers_of_one_key_make_one_row(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let mut socket = ada.socket().await;
    let frame = json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "ws", "client_id": "w"});
    let mut refs = Vec::new();
    for _ in 0..50 {
        refs.push(socket.start(frame.clone()).await);
    }
    let say = || async { key(ada.say(&thread, "rest"), "k").await };
    let dm = || async { key(ada.send(&bob, "dm"), "d").await };
    let (said, sent) = tokio::join!(
        futures_util::future::join_all((0..100).map(|_| say())),
        futures_util::future::join_all((0..100).map(|_| dm()))
    );
    for replies in [said, sent] {
        let mut bodies: Vec<String> = Vec::new();
        for reply in replies {
            match reply.status {
                200 => bodies.push(reply.text.clone()),
                _ => {
                    assert_eq!(reply.header("retry-after"), Some("1"));
                    drop(reply.refused(409, "IDEMPOTENCY_IN_PROGRESS"));
                }
            }
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "one answer for all");
    }
    let mut ids = Vec::new();
    for reference in refs {
        let answer = socket.answer(&reference).await.unwrap().0;
        match answer["type"].as_str() {
            Some("ack") => ids.push(answer["result"].text("message_id")),
            _ => assert_eq!(answer["code"], "IDEMPOTENCY_IN_PROGRESS", "{answer}"),
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    say().await.ok();
    let mut said: Vec<String> = ada.messages(&thread, "").await.list().iter().map(|m| m.text("content")).collect();
    said.sort_unstable();
    assert_eq!(said, ["rest", "ws"]);
    let channel = dm().await.ok().text("channel_id");
    assert_eq!(ada.channel_messages(&channel, "").await.list().len(), 1);
}

async fn pipelined_frames_keep_their_order(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let thread = ada.thread("t", &[]).await;
    let mut socket = ada.socket().await;
    let (mut refs, mut wanted) = (Vec::new(), Vec::new());
    for n in 0..60 {
        let mut frame = json!({"type": "send_thread_message", "thread_id": thread["id"], "content": n.to_string()});
        if n % 3 != 0 {
            frame["client_id"] = json!(format!("c{n}"));
        }
        refs.push(socket.start(frame).await);
        wanted.push(n.to_string());
    }
    for reference in refs {
        socket.answer(&reference).await.unwrap().ack();
    }
    let said = ada.messages(&thread, "?limit=200").await.ok();
    assert_eq!(said.all("content"), wanted);
}

async fn replays_are_not_charged(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let thread = ada.thread("t", &[]).await;
    org.settings(json!({"messages_per_minute_per_bot": 2})).await.ok();
    for _ in 0..5 {
        key(ada.say(&thread, "c"), "k").await.ok();
    }
    let mut socket = ada.socket().await;
    let frame = json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "d", "client_id": "w"});
    for _ in 0..5 {
        socket.op(frame.clone()).await.ack();
    }
    ada.say(&thread, "e").await.refused(429, "RATE_LIMITED");
    key(ada.say(&thread, "c"), "k").await.ok();
    // What was refused for its rate is not held by its key.
    key(ada.say(&thread, "f"), "n").await.refused(429, "RATE_LIMITED");
    key(ada.say(&thread, "f"), "n").await.refused(429, "RATE_LIMITED");
}

async fn keys_belong_to_one_bot(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let mine = key(ada.say(&thread, "c"), "k").await.ok();
    let other = key(bob.say(&thread, "c"), "k").await;
    assert_eq!(other.header("idempotency-replayed"), None);
    assert_ne!(other.ok()["id"], mine["id"]);
    let scoped = key(ada.scoped(&["thread"]).await.say(&thread, "c"), "k").await.ok();
    assert_eq!(scoped["id"], mine["id"], "another credential is the same bot");
    key(ada.scoped(&["read"]).await.say(&thread, "c"), "k").await.refused(403, "INSUFFICIENT_SCOPE");
}

async fn a_person_and_its_bot_do_not_share_answers(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let thread = ada.thread("t", &[]).await;
    key(ada.say(&thread, "c"), "k").await.ok();
    key(ada.human("Ann").await.say(&thread, "c"), "k").await.refused(409, "IDEMPOTENCY_MISMATCH");
}

async fn deleting_the_bot_or_the_organisation_is_not_in_the_way(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    key(ada.say(&thread, "c"), "k").await.ok();
    key(bob.say(&thread, "c"), "k").await.ok();
    ada.delete("/api/me").await.ok();
    key(bob.say(&thread, "c"), "k").await.ok();
    hub.super_admin().await.delete(format!("/api/orgs/{}", org.id)).await;
    key(bob.say(&thread, "c"), "k").await.status(401);
}

// --- through a crash ---

#[test]
fn answers_survive_kill_9_sqlite() {
    block_on(crash(Db::Sqlite));
}

#[test]
fn answers_survive_kill_9_postgres() {
    block_on(crash(Db::Postgres));
}

/// A client that retries each message until it is answered, through kills, has every message exactly once.
async fn crash(db: Db) {
    let Some(mut process) = ProcessHub::fresh(db).await else { return };
    let org = process.hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let ada = org.bot("ada").await;
    let thread = ada.thread("t", &[]).await;
    let answered = std::cell::RefCell::new(Vec::new());
    for cycle in 1..=6 {
        let write = async {
            loop {
                let next = answered.borrow().len();
                let Some(id) = say_until_answered(&ada, &thread, next).await else { return };
                answered.borrow_mut().push(id);
            }
        };
        let kill = async {
            while answered.borrow().len() < 4 * cycle {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            tokio::time::sleep(std::time::Duration::from_micros(700 * cycle as u64)).await;
            process.kill_9();
        };
        tokio::join!(write, kill);
        process.start().await;
    }
    let answered = answered.into_inner();
    let next = answered.len();
    say_until_answered(&ada, &thread, next).await.unwrap();
    let (mut said, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ada.messages(&thread, &format!("?limit=200&cursor={cursor}")).await.ok();
        said.extend(page.items("items").iter().map(|message| message.text("content")));
        match page["next_cursor"].as_str() {
            Some(more) => cursor = more.to_owned(),
            None => break,
        }
    }
    let wanted: Vec<String> = (0..=next).rev().map(|n| n.to_string()).collect();
    assert_eq!(said, wanted, "each exactly once");
    assert_eq!(say_until_answered(&ada, &thread, 0).await.as_ref(), Some(&answered[0]));
}

/// Says a number under its key; `None` when the hub goes away. What a killed hub had begun may still be on its way into
/// the database, and then the key is said to be in progress.
async fn say_until_answered(bot: &Bot, thread: &Value, n: usize) -> Option<String> {
    loop {
        let reply = key(bot.say(thread, &n.to_string()), &format!("m{n}")).attempt().await?;
        if reply.status != 409 {
            return Some(reply.ok().text("id"));
        }
        reply.refused(409, "IDEMPOTENCY_IN_PROGRESS");
    }
}

#[test]
fn answers_are_forgotten_after_a_day_sqlite() {
    block_on(forgotten(Db::Sqlite));
}

#[test]
fn answers_are_forgotten_after_a_day_postgres() {
    block_on(forgotten(Db::Postgres));
}

async fn forgotten(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let process = ProcessHub::on(database).await;
    let ada = process.hub.with_org("a").await.bot("ada").await;
    let thread = ada.thread("t", &[]).await;
    let say = || key(ada.say(&thread, "c"), "k");
    let first = say().await.ok();
    let age = |ms: i64| {
        let sql = format!("UPDATE idempotency_keys SET created_at = created_at - {ms}");
        assert_eq!(process.database().execute(&sql), 1);
    };
    age(86_400_000 - 60_000);
    assert_eq!(say().await.ok()["id"], first["id"]);
    age(60_000);
    let second = say().await.ok();
    assert_ne!(second["id"], first["id"], "an old key is a new one");
    assert_eq!(say().await.ok()["id"], second["id"], "and is remembered again");
    assert_eq!(ada.messages(&thread, "").await.list().len(), 2);
}

#[test]
fn the_janitor_drops_only_old_answers_sqlite() {
    swept(Db::Sqlite);
}

#[test]
fn the_janitor_drops_only_old_answers_postgres() {
    swept(Db::Postgres);
}

/// The sweep used to be covered by nothing: a lookup passes over old rows, so they could have piled up unseen.
fn swept(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let database = &database;
    run_beside(database, &[], |hub, handle| async move {
        let org = hub.with_org("a").await;
        let ada = org.bot("ada").await;
        let thread = ada.thread("t", &[]).await;
        for n in 0..5 {
            key(ada.say(&thread, "c"), &format!("k{n}")).await.ok();
        }
        let old = |ms: i64, keys: &str| {
            database.execute(&format!("UPDATE idempotency_keys SET created_at = created_at - {ms} WHERE {keys}"))
        };
        assert_eq!(old(86_400_000, "key IN ('k0', 'k1')"), 2);
        assert_eq!(old(86_400_000 - 60_000, "key = 'k2'"), 1);
        hxa_connect::hub::core::idempotency::purge(&handle).await.unwrap();
        assert_eq!(database.execute("UPDATE idempotency_keys SET key = key"), 3, "two of five were old");
        assert_eq!(database.execute("UPDATE idempotency_keys SET key = key WHERE key = 'k2'"), 1, "a day is not over");
    });
}
