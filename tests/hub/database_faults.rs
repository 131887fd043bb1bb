//! A database that crashes, hangs or is locked under load: callers get a 503 in time, sockets stay, nothing
//! acknowledged is lost, and the hub goes on by itself as soon as the database does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::harness::*;
use crate::linearizable::{Size, Stage, check};

fn block_on<F: Future<Output = ()>>(body: F) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body);
}

const SIZE: Size = Size { threads: 2, ops_per_client: 10 };
/// Crashes of PostgreSQL, or locks of SQLite.
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
        let x = hub.with_org("watch").await.bot("x").await;
        let (mut gone, mut back) = (Duration::ZERO, Duration::ZERO);
        for seed in 1..=chaos::times(RESTARTS) {
            let crash = async {
                tokio::time::sleep(Duration::from_millis(150)).await;
                let server = postgres.clone();
                blocking(move || server.stop("immediate")).await;
                gone = gone.max(until(async || hub.anonymous().get("/readyz"), 503).await);
                let server = postgres.clone();
                blocking(move || server.start()).await;
                back = back.max(until(async || x.thread_create(json!({"topic": "t"})), 200).await);
            };
            let history = stage.play_through(u64::try_from(seed).unwrap(), SIZE, crash).await;
            let flaws = check(&history);
            assert!(flaws.is_empty(), "crash {seed}: {flaws:#?}");
        }
        assert!(gone < Duration::from_millis(1500), "the hub was unready {gone:?} after its database had gone");
        assert!(back < Duration::from_secs(2), "the hub wrote {back:?} after its database was back");
        let restarts = chaos::times(RESTARTS);
        chaos::figure(
            "R3",
            &format!("PostgreSQL: {restarts} crashes, 0 lost, unready after {gone:?}, writing after {back:?}"),
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
        let x = hub.with_org("watch").await.bot("x").await;
        let thread = x.thread("t", &[]).await;
        for seed in 1..=chaos::times(RESTARTS) {
            let path = process.sqlite_path();
            let held = Duration::from_millis(if seed == 1 { 2000 } else { 300 });
            let lock = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let locking = tokio::task::spawn_blocking(move || hold_lock(&path, held));
                tokio::time::sleep(Duration::from_millis(100)).await;
                let read = Instant::now();
                x.messages(&thread, "").await.ok();
                assert!(read.elapsed() < Duration::from_secs(1), "reads do not wait for the lock");
                x.say(&thread, "waits").await.ok();
                locking.await.unwrap();
            };
            let history = stage.play_through(u64::try_from(seed).unwrap(), SIZE, lock).await;
            let flaws = check(&history);
            assert!(flaws.is_empty(), "lock {seed}: {flaws:#?}");
        }
        assert_eq!(x.messages(&thread, "?limit=200").await.list().len(), chaos::times(RESTARTS).min(200));
        chaos::figure("R3", &format!("SQLite: locked by another process {} times, 0 lost", chaos::times(RESTARTS)));
    });
}

fn hold_lock(path: &std::path::Path, held: Duration) {
    use diesel::connection::SimpleConnection;
    use diesel::{Connection, SqliteConnection};
    let mut other = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    other.batch_execute("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE").unwrap();
    std::thread::sleep(held);
    other.batch_execute("ROLLBACK").unwrap();
}

/// How long the database says nothing.
const SILENCE: Duration = Duration::from_secs(4);
/// Statements give up after one second; a caller of a silent database is told soon after.
const PATIENCE: Duration = Duration::from_millis(4000);
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
        let [x, y] = org.bots(["x", "y"]).await;
        let thread = x.thread("t", &[&y]).await;
        let mut socket = y.socket().await;
        let (mut slowest, mut back) = (Duration::ZERO, Duration::ZERO);
        for hang in 0..chaos::times(HANGS) {
            x.say(&thread, &format!("before {hang}")).await.ok();
            let is_frozen = hang % 3 == 2;
            if is_frozen {
                postgres.signal("STOP")
            } else {
                wire.set(Weather::Blackhole)
            }
            let began = Instant::now();
            while began.elapsed() < SILENCE {
                slowest = slowest.max(told(&x, &thread, &mut socket).await);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            assert_eq!(hub.anonymous().get("/livez").await.status, 200);
            if is_frozen {
                postgres.signal("CONT")
            } else {
                wire.set(Weather::Clear)
            }
            back = back.max(until(async || x.say(&thread, &format!("after {hang}")), 200).await);
            until(async || hub.anonymous().get("/readyz"), 200).await;
            let says = json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "still here"});
            socket.op(says).await.ack();
        }
        assert!(slowest < PATIENCE, "a caller waited {slowest:?} for a database that says nothing");
        let said: Vec<String> =
            x.messages(&thread, "?limit=200").await.list().iter().map(|m| m.text("content")).collect();
        for hang in 0..chaos::times(HANGS) {
            for when in ["before", "after"] {
                let content = format!("{when} {hang}");
                assert_eq!(said.iter().filter(|text| **text == content).count(), 1, "{content} in {said:?}");
            }
        }
        let hangs = chaos::times(HANGS);
        chaos::figure(
            "R4",
            &format!("{hangs} hangs of {SILENCE:?}: 503 within {slowest:?}, writing {back:?} after, sockets stayed"),
        );
    });
}

/// A write, a read and an operation on a socket are refused with 503; the longest wait of the three.
async fn told(x: &Bot, thread: &Value, socket: &mut Socket) -> Duration {
    let timed = async |call: Call| {
        let since = Instant::now();
        let reply = call.await;
        assert!(reply.header("retry-after").is_some(), "{}", reply.text);
        reply.refused(503, "UNAVAILABLE");
        since.elapsed()
    };
    let op = async {
        let since = Instant::now();
        socket.op(json!({"type": "send_dm", "to": "x", "content": "lost"})).await.refused("UNAVAILABLE");
        since.elapsed()
    };
    let (write, read, op) = tokio::join!(timed(x.say(thread, "lost")), timed(x.messages(thread, "")), op);
    write.max(read).max(op)
}
