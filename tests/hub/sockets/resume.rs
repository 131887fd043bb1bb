//! Resuming never lies: what a socket missed comes once and in order, or it is told that nobody knows.

use std::cell::Cell;

use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    what_was_missed_is_told_once with short_log,
    what_the_log_cannot_tell_is_not_claimed with short_log,
    who_may_not_hear_is_not_told with short_log,
    several_at_once_and_repeated with short_log,
    more_than_a_socket_may_hold with small_send_queue,
}

const LOG: usize = 20;

fn short_log(config: &mut Config) {
    config.resume.log_events = LOG;
}

fn small_send_queue(config: &mut Config) {
    config.sockets.outbox_bytes = 65_536;
}

fn long_log(config: &mut Config) {
    config.resume.log_events = 1_000_000;
    config.resume.log_bytes = 1 << 30;
}

/// The last event a client has.
#[derive(Debug, Clone)]
struct Point {
    epoch: String,
    seq: i64,
}

impl Point {
    fn of(frame: &Value) -> Self {
        Self { epoch: frame.text("epoch"), seq: frame.int("seq") }
    }

    fn at(&self, seq: i64) -> Self {
        Self { seq, ..self.clone() }
    }
}

async fn open(bot: &Bot, point: &Point) -> Socket {
    let ticket = bot.ws_ticket().await;
    let query = format!("?ticket={ticket}&epoch={}&since_seq={}", point.epoch, point.seq);
    Socket::connect(&bot.hub, &query).await
}

/// Resumes; the first frame, and the contents of the messages that follow until everything queued is here.
async fn resume(bot: &Bot, point: &Point) -> (Value, Vec<String>) {
    let mut socket = open(bot, point).await;
    let mut frames = socket.drain().await.into_iter();
    let first = frames.next().expect("a first frame");
    assert_eq!(first["type"], "resumed", "{first}");
    (first, frames.filter(|frame| frame["type"] == "message").map(|frame| frame["message"].text("content")).collect())
}

/// Two bots, and the point after bob heard the first of ada's messages.
async fn talk(hub: &TestHub) -> (Org, Bot, Bot, Point) {
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let mut socket = bob.socket().await;
    ada.send(&bob, "first").await.ok();
    let point = Point::of(&socket.next("message").await);
    socket.close().await;
    let gone = || async { ada.get(format!("/api/bots/{}", bob.id)).await.ok()["online"].clone() };
    eventually(gone, |online| *online == false).await;
    (org, ada, bob, point)
}

async fn what_was_missed_is_told_once(hub: TestHub) {
    let (_, ada, bob, point) = talk(&hub).await;
    let mut fresh = bob.socket().await;
    assert!(fresh.drain().await.is_empty(), "who never was here is told of nothing and has not resumed");
    fresh.close().await;
    let (first, missed) = resume(&bob, &point).await;
    assert_eq!((&first["resumed"], missed.len()), (&json!(true), 0), "at the head of what it may hear");
    for n in 0..3 {
        ada.send(&bob, &n.to_string()).await.ok();
    }
    let (first, missed) = resume(&bob, &point).await;
    assert_eq!((&first["resumed"], missed), (&json!(true), vec!["0".to_owned(), "1".to_owned(), "2".to_owned()]));
    let (_, missed) = resume(&bob, &point.at(first.int("seq"))).await;
    assert!(missed.is_empty(), "nothing comes twice: {missed:?}");
}

async fn what_the_log_cannot_tell_is_not_claimed(hub: TestHub) {
    let (_, ada, bob, point) = talk(&hub).await;
    let mut watcher = ada.socket().await;
    let mut head = 0;
    for n in 0..LOG + 5 {
        ada.send(&bob, &n.to_string()).await.ok();
        head = watcher.next("message").await.int("seq");
    }
    let oldest = head - i64::try_from(LOG).unwrap();
    let (first, missed) = resume(&bob, &point.at(oldest)).await;
    assert_eq!((&first["resumed"], missed.len()), (&json!(true), LOG), "behind by exactly the log");
    // bob's coming and going were events too.
    let head = first.int("seq");
    let unknown = [
        ("too old", point.at(0)),
        ("ahead of the head", point.at(head + 100)),
        ("another epoch", Point { epoch: "0123456789abcdef".to_owned(), ..point.at(head) }),
    ];
    for (name, point) in unknown {
        let (first, missed) = resume(&bob, &point).await;
        assert_eq!((&first["resumed"], missed.len()), (&json!(false), 0), "{name}");
    }
}

#[test]
fn a_restarted_hub_does_not_know() {
    block_on(async {
        let mut process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let (_, ada, bob, point) = talk(&process.hub).await;
        process.kill_9();
        process.start().await;
        // The new log soon is longer than the old point, which must not be mistaken for its own.
        for n in 0..20 {
            ada.send(&bob, &n.to_string()).await.ok();
        }
        let (first, missed) = resume(&bob, &point).await;
        assert_eq!((&first["resumed"], missed.len()), (&json!(false), 0));
        assert_ne!(first["epoch"], point.epoch);
    });
}

async fn who_may_not_hear_is_not_told(hub: TestHub) {
    let (org, ada, bob, point) = talk(&hub).await;
    let thread = ada.thread("t", &[&bob]).await;
    ada.remove(&thread, "bob").await.ok();
    ada.say(&thread, "not for bob any more").await.ok();
    let frames = open(&bob, &point).await.drain().await;
    let kinds: Vec<&str> = frames.iter().filter_map(|frame| frame["type"].as_str()).collect();
    assert!(kinds.contains(&"thread_participant") && !kinds.contains(&"thread_message"), "{kinds:?}");

    let token = bob.post("/api/me/tokens", json!({"scopes": ["full"]})).await.ok();
    let scoped = bob.by(Caller::bearer(&hub, &token.text("token")));
    let ticket = scoped.ws_ticket().await;
    bob.delete(format!("/api/me/tokens/{}", token.id())).await.ok();
    let query = format!("?ticket={ticket}&epoch={}&since_seq={}", point.epoch, point.seq);
    let mut refused = Socket::connect(&hub, &query).await;
    assert_eq!(refused.closed().await, 4001, "a revoked token does not resume");

    let query = format!("?ticket={}&epoch={}&since_seq={}", bob.ws_ticket().await, point.epoch, point.seq);
    hub.super_admin().await.patch(format!("/api/orgs/{}", org.id), json!({"status": "suspended"})).await.ok();
    assert_eq!(Socket::connect(&hub, &query).await.closed().await, 4100, "nor does a suspended organisation's bot");
}

async fn several_at_once_and_repeated(hub: TestHub) {
    let (_, ada, bob, point) = talk(&hub).await;
    for n in 0..3 {
        ada.send(&bob, &n.to_string()).await.ok();
    }
    let (one, two) = tokio::join!(resume(&bob, &point), resume(&bob, &point));
    assert_eq!((one.1.len(), &one.1), (3, &two.1), "two sockets miss the same");
    let mut socket = bob.socket().await;
    socket.drain().await;
    let again = json!({"type": "resume", "epoch": point.epoch, "since_seq": point.seq});
    for _ in 0..2 {
        let answer = socket.op(again.clone()).await.ack();
        let told = answer.items("events").iter().filter(|event| event["type"] == "message").count();
        assert_eq!((&answer["resumed"], told), (&json!(true), 3));
    }
}

/// The log is longer than what may wait for one socket by itself. Once such a client was told that nobody knows, before that
/// that it had resumed, then cut for being slow, and came back with the same point, for ever.
async fn more_than_a_socket_may_hold(hub: TestHub) {
    let (_, ada, bob, point) = talk(&hub).await;
    for n in 0..20 {
        ada.send(&bob, &format!("{n}:{}", "x".repeat(40_000))).await.ok();
    }
    let (first, missed) = resume(&bob, &point).await;
    assert_eq!((&first["resumed"], missed.len()), (&json!(true), 20));
    assert!(missed.iter().enumerate().all(|(n, content)| content.starts_with(&format!("{n}:"))), "in their order");
    let mut socket = bob.socket().await;
    let op = json!({"type": "resume", "epoch": point.epoch, "since_seq": point.seq});
    assert_eq!(socket.op(op).await.ack()["resumed"], false, "more than fits in one answer");
    let near = point.at(first.int("seq") - 1);
    assert_eq!(resume(&bob, &near).await.0["resumed"], true);
}

const LOOPS: usize = 200;
/// Messages that the talker may be ahead of the listener.
const AHEAD: usize = 300;

#[test]
fn resuming_under_fire_sqlite() {
    run(Db::Sqlite, &[long_log], |hub| resuming_under_fire(hub, Db::Sqlite));
}

#[test]
fn resuming_under_fire_postgres() {
    run(Db::Postgres, &[long_log], |hub| resuming_under_fire(hub, Db::Postgres));
}

/// Messages flow all the time; a client comes and goes and must hear each number once, in order.
async fn resuming_under_fire(hub: TestHub, db: Db) {
    let (_, ada, bob, mut point) = talk(&hub).await;
    let loops = chaos::times(LOOPS);
    let (is_done, told) = (Cell::new(false), Cell::new(0_usize));
    let talker = async {
        let (mut socket, mut sent) = (ada.socket().await, 0_usize);
        while !is_done.get() {
            // Who is further behind than a socket may hold does not resume.
            if sent > told.get() + AHEAD {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                continue;
            }
            let mut references = Vec::new();
            for _ in 0..4 {
                references
                    .push(socket.start(json!({"type": "send_dm", "to": bob.id, "content": sent.to_string()})).await);
                sent += 1;
            }
            for reference in references {
                socket.answer(&reference).await.unwrap().ack();
            }
        }
        sent
    };
    let listener = async {
        for round in 0..loops {
            let mut socket = open(&bob, &point).await;
            let first = socket.arrival(DEADLINE).await.unwrap().unwrap();
            assert_eq!((&first["type"], &first["resumed"]), (&json!("resumed"), &json!(true)), "{first}");
            let mut heard = 0;
            while heard < round % 7 {
                let frame = socket.arrival(DEADLINE).await.unwrap().expect("messages flow");
                let seq = frame.int("seq");
                assert!(seq > point.seq, "{seq} came after {}", point.seq);
                point.seq = seq;
                if frame["type"] == "message" {
                    assert_eq!(frame["message"]["content"], told.get().to_string(), "round {round}");
                    told.set(told.get() + 1);
                    heard += 1;
                }
            }
        }
        is_done.set(true);
    };
    let (sent, ()) = tokio::join!(talker, listener);
    let heard = told.get();
    assert!(heard > loops && sent >= heard, "{sent} sent, {heard} heard");
    chaos::figure(
        "R13",
        &format!("{db}: 15 cases; {loops} reconnects while {sent} messages flowed: no gap, no duplicate"),
    );
}
