//! A database that crashes, hangs or is locked under load: callers get a 503 in time, sockets stay, nothing
//! acknowledged is lost, and the hub goes on by itself as soon as the database does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::linearizable::{Size, Stage, check};
use crate::harness::*;

const SIZE: Size = Size { threads: 2, ops_per_client: 10 };
/// Crashes of PostgreSQL of each kind, or locks of SQLite.
const RESTARTS: usize = 5;
/// How often the database hangs.
const HANGS: usize = 3;

/// Asks until the answer has this status; how long that took.
async fn until(call: impl AsyncFn() -> Call, status: u16) -> Duration {
    let since = Instant::now();
    eventually(|| async { call().await.await.status }, |got| *got == status).await;
    since.elapsed()
}

async fn blocking(work: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(work).await.unwrap();
}

#[test]
fn postgres_crashes_under_load() {
    block_on(async {
        let Some(postgres) = PrivatePostgres::start_fresh().map(Arc::new) else { return };
        let process = ProcessHub::on(Database::on_postgres(&postgres.url())).await;
        let hub = &process.hub;
        let stage = Stage::new(hub, hub).await;
        let ada = hub.with_org("watch").await.bot("ada").await;
        let (mut gone, mut back) = (Duration::ZERO, Duration::ZERO);
        for seed in 1..=2 * chaos::times(RESTARTS) {
            let crash = async {
                tokio::time::sleep(Duration::from_millis(150)).await;
                let server = postgres.clone();
                blocking(move || if seed % 2 == 0 { server.kill_9() } else { server.stop("immediate") }).await;
                gone = gone.max(until(async || hub.anonymous().get("/readyz"), 503).await);
                let server = postgres.clone();
                blocking(move || server.start()).await;
                back = back.max(until(async || ada.thread_create(json!({"topic": "t"})), 200).await);
            };
            let history = stage.play_through(u64::try_from(seed).unwrap(), SIZE, crash).await;
            let flaws = check(&history);
            assert!(flaws.is_empty(), "crash {seed}: {flaws:#?}");
        }
        let restarts = chaos::times(RESTARTS);
        let (gone, back) = (chaos::span(gone), chaos::span(back));
        chaos::figure(
            "R3",
            &format!(
                "PostgreSQL: {restarts} immediate stops and {restarts} kills of its server, none lost, unready within {gone}, \
                 writing within {back}"
            ),
        );
    });
}

/// Another process writes to the file for some time.
#[test]
fn sqlite_is_locked_under_load() {
    block_on(async {
        let process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let hub = &process.hub;
        let stage = Stage::new(hub, hub).await;
        let ada = hub.with_org("watch").await.bot("ada").await;
        let thread = ada.thread("t", &[]).await;
        for seed in 1..=chaos::times(RESTARTS) {
            let lock = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let lock = Lock::take(&process).await;
                ada.messages(&thread, "").await.ok();
                let release = async {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    lock.release().await;
                };
                let (waited, ()) = tokio::join!(ada.say(&thread, "waits").answered(), release);
                waited.ok();
            };
            let history = stage.play_through(u64::try_from(seed).unwrap(), SIZE, lock).await;
            let flaws = check(&history);
            assert!(flaws.is_empty(), "lock {seed}: {flaws:#?}");
        }
        assert_eq!(ada.messages(&thread, "?limit=200").await.list().len(), chaos::times(RESTARTS).min(200));
        longer_than_patience(&process, &ada, &thread).await;
        let locks = chaos::times(RESTARTS);
        chaos::figure(
            "R3",
            &format!("SQLite: locked by another process {locks} times for 1 s and once for 10 s, none lost"),
        );
    });
}

/// A lock that outlasts every caller's patience: refused or stored, and nothing between the two.
async fn longer_than_patience(process: &ProcessHub, bot: &Bot, thread: &Value) {
    let lock = Lock::take(process).await;
    let (mut said, mut refused) = (Vec::new(), Vec::new());
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(10) {
        let content = format!("during {}", said.len() + refused.len());
        let reply = bot.say(thread, &content).await;
        if reply.status == 200 {
            said.push(content);
        } else {
            assert!(reply.header("retry-after").is_some(), "{}", reply.text);
            reply.refused(503, "UNAVAILABLE");
            refused.push(content);
        }
        bot.messages(thread, "?limit=1").await.ok();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    lock.release().await;
    let after = || async { bot.say(thread, "after the long lock").await };
    eventually(after, |reply| reply.status == 200).await;
    let stored: Vec<String> = bot.all_messages(thread).await.iter().map(|message| message.text("content")).collect();
    assert!(said.iter().all(|content| stored.contains(content)), "lost: {said:?} in {stored:?}");
    assert!(!refused.iter().any(|content| stored.contains(content)), "refused and stored: {refused:?} in {stored:?}");
}

/// Another process's lock on the file.
struct Lock {
    release: std::sync::mpsc::Sender<()>,
    holder: tokio::task::JoinHandle<()>,
}

impl Lock {
    async fn take(process: &ProcessHub) -> Self {
        use diesel::connection::SimpleConnection;
        use diesel::{Connection, SqliteConnection};
        let path = process.sqlite_path();
        let (release, released) = std::sync::mpsc::channel();
        let (locked, is_locked) = tokio::sync::oneshot::channel();
        let holder = tokio::task::spawn_blocking(move || {
            let mut other = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
            other.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").unwrap();
            locked.send(()).unwrap();
            released.recv().unwrap();
            other.batch_execute("ROLLBACK").unwrap();
        });
        is_locked.await.unwrap();
        Self { release, holder }
    }

    async fn release(self) {
        self.release.send(()).unwrap();
        self.holder.await.unwrap();
    }
}

/// How long the database says nothing.
const SILENCE: Duration = Duration::from_secs(4);
/// Statements give up after one second; a caller of a silent database is told soon after.
const SHORT: [(&str, &str); 2] =
    [("HXA_CONNECT_DATABASE_STATEMENT_TIMEOUT_MS", "1000"), ("HXA_CONNECT_DATABASE_POOL_TIMEOUT_MS", "500")];

/// The server takes what is sent and answers nothing: twice because the network swallows it, once because its processes
/// are frozen.
#[test]
fn postgres_hangs() {
    block_on(async {
        let Some(postgres) = PrivatePostgres::start_fresh() else { return };
        let wire = Proxy::before(&postgres.address());
        let process = ProcessHub::with_env(Database::on_postgres(&wire.url(&postgres.url())), &SHORT).await;
        let hub = &process.hub;
        let org = hub.with_org("a").await;
        org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        let thread = ada.thread("t", &[&bob]).await;
        let mut socket = bob.socket().await;
        let (mut slowest, mut back) = (Duration::ZERO, Duration::ZERO);
        for hang in 0..chaos::times(HANGS) {
            ada.say(&thread, &format!("before {hang}")).await.ok();
            let is_frozen = hang % 3 == 2;
            if is_frozen {
                postgres.signal("STOP")
            } else {
                wire.set(Weather::Blackhole)
            }
            let began = Instant::now();
            // Everybody is answered while the database is still silent.
            while began.elapsed() < SILENCE {
                slowest = slowest.max(told(&ada, &thread, &mut socket).await);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            assert_eq!(hub.anonymous().get("/livez").await.status, 200);
            if is_frozen {
                postgres.signal("CONT")
            } else {
                wire.set(Weather::Clear)
            }
            back = back.max(until(async || ada.say(&thread, &format!("after {hang}")), 200).await);
            until(async || hub.anonymous().get("/readyz"), 200).await;
            let says = json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "still here"});
            socket.op(says).await.ack();
        }
        let said: Vec<String> =
            ada.messages(&thread, "?limit=200").await.list().iter().map(|m| m.text("content")).collect();
        for hang in 0..chaos::times(HANGS) {
            for when in ["before", "after"] {
                let content = format!("{when} {hang}");
                assert_eq!(said.iter().filter(|text| **text == content).count(), 1, "{content} in {said:?}");
            }
        }
        let (hangs, slowest, back) = (chaos::times(HANGS), chaos::span(slowest), chaos::span(back));
        let silence = chaos::span(SILENCE);
        chaos::figure(
            "R4",
            &format!(
                "PostgreSQL: {hangs} hangs of {silence}: 503 within {slowest}, writing {back} after, sockets stayed open"
            ),
        );
    });
}

/// A write, a read and an operation on a socket are refused with 503; the longest wait of the three.
async fn told(ada: &Bot, thread: &Value, socket: &mut Socket) -> Duration {
    let timed = async |call: Call| {
        let since = Instant::now();
        let reply = call.await;
        assert!(reply.header("retry-after").is_some(), "{}", reply.text);
        reply.refused(503, "UNAVAILABLE");
        since.elapsed()
    };
    let op = async {
        let since = Instant::now();
        socket.op(json!({"type": "send_dm", "to": "ada", "content": "lost"})).await.refused("UNAVAILABLE");
        since.elapsed()
    };
    let (write, read, op) = tokio::join!(timed(ada.say(thread, "lost")), timed(ada.messages(thread, "")), op);
    write.max(read).max(op)
}

/// Of two changes based on one revision the first is under way when the database falls silent. The second was told of a
/// conflict with it, although the first then failed: nobody had won, and the revision that it named never came to be.
async fn lose_together(ada: &Bot, bob: &Bot, silence: impl AsyncFnOnce(), speak: impl AsyncFnOnce()) {
    let thread = ada.thread("t", &[bob]).await;
    for bot in [ada, bob] {
        bot.say(&thread, "here").await.ok();
    }
    let revision = ada.thread_get(&thread).await.ok().int("revision");
    let change = |bot: &Bot, topic: &str| bot.thread_patch(&thread, json!({"topic": topic})).if_match(revision);
    silence().await;
    let second = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        change(bob, "second").await
    };
    let (first, second) = tokio::join!(change(ada, "first").answered(), second);
    first.refused(503, "UNAVAILABLE");
    second.refused(503, "UNAVAILABLE");
    speak().await;
    until(async || ada.say(&thread, "again"), 200).await;
    let now = ada.thread_get(&thread).await.ok().int("revision");
    bob.thread_patch(&thread, json!({"topic": "third"})).if_match(now + 1).await.refused(409, "REVISION_CONFLICT");
    bob.thread_patch(&thread, json!({"topic": "third"})).if_match(now).await.ok();
}

#[test]
fn nobody_loses_against_what_fails_sqlite() {
    block_on(async {
        let process = ProcessHub::with_env(Database::fresh(Db::Sqlite).unwrap(), &SHORT).await;
        let [ada, bob] = process.hub.with_org("a").await.bots(["ada", "bob"]).await;
        let lock = std::cell::Cell::new(None);
        let silence = async || lock.set(Some(Lock::take(&process).await));
        lose_together(&ada, &bob, silence, async || lock.take().unwrap().release().await).await;
    });
}

#[test]
fn nobody_loses_against_what_fails_postgres() {
    block_on(async {
        let Some(real) = Database::fresh(Db::Postgres) else { return };
        let (wire, via) = real.behind_proxy();
        let process = ProcessHub::with_env(via, &SHORT).await;
        let [ada, bob] = process.hub.with_org("a").await.bots(["ada", "bob"]).await;
        let silence = async || wire.set(Weather::Blackhole);
        lose_together(&ada, &bob, silence, async || wire.set(Weather::Clear)).await;
    });
}
