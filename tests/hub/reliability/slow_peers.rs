//! Peers that do not read, are gone unseen, or send a byte now and then: they harm themselves and nobody else.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::*;

/// Live sockets, as the hub counts them.
async fn sockets(hub: &TestHub) -> i64 {
    hub.anonymous().get("/health").await.ok().int("connected_clients")
}

async fn sockets_become(hub: &TestHub, count: i64, within: Duration) -> Duration {
    let since = Instant::now();
    while sockets(hub).await != count {
        assert!(since.elapsed() < within, "{} sockets are left after {within:?}, not {count}", sockets(hub).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    since.elapsed()
}

const STALLED: usize = 100;
const IDLE: usize = 190;
const HEALTHY: usize = 10;
const OUTBOX: usize = 256 * 1024;
const MESSAGES: usize = 150;

#[test]
fn slow_consumers_hurt_only_themselves() {
    at_once(&[|| block_on(slow_consumers(Db::Sqlite)), || block_on(slow_consumers(Db::Postgres))]);
}

async fn slow_consumers(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let env = [
        ("HXA_CONNECT_SOCKETS_OUTBOX_BYTES", "262144"),
        ("HXA_CONNECT_SOCKETS_OUTBOX_AGE_MS", "2000"),
        ("HXA_CONNECT_SOCKETS_PER_BOT", "500"),
        // Idle ones answer no pings here, and are not what this is about.
        ("HXA_CONNECT_SOCKETS_HEARTBEAT_SECONDS", "600"),
        // What was missed is asked for in one page at the end.
        ("HXA_CONNECT_SERVER_MAX_ANSWER_BYTES", "16777216"),
    ];
    let process = ProcessHub::with_env(database, &env).await;
    let hub = &process.hub;
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [writer, slow, quick, idle] = org.bots(["writer", "slow", "quick", "idle"]).await;
    let thread = writer.thread("t", &[&slow, &quick]).await;
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        stalled.push(slow.socket().await.into_stream());
    }
    let idle = join_all((0..IDLE).map(|_| idle.socket())).await;
    let mut healthy = join_all((0..HEALTHY).map(|_| quick.socket())).await;
    let before = process.memory();
    let began = Instant::now();
    // One message after the other is heard by all who read, so that only those who do not fall behind.
    let mut slowest = Duration::ZERO;
    for n in 0..MESSAGES {
        let asked = Instant::now();
        writer.say(&thread, &format!("{n}{}", " ".repeat(32_000))).await.ok();
        let heard = join_all(healthy.iter_mut().map(|socket| socket.next("thread_message"))).await;
        slowest = slowest.max(asked.elapsed());
        let is_next = |event: &Value| event["message"].text("content").trim_end() == n.to_string();
        assert!(heard.iter().all(is_next), "each of them hears everything in order");
    }
    let gone = sockets_become(hub, i64::try_from(IDLE + HEALTHY).unwrap(), PATIENCE).await;
    let grown = process.memory().saturating_sub(before);
    let allowed = STALLED * (OUTBOX + 128 * 1024) + MESSAGES * 64 * 1024;
    assert!(grown < allowed, "the hub grew by {grown} bytes; {allowed} are allowed");
    let seen = slow.messages(&thread, "?limit=200").await.list().len();
    assert_eq!(seen, MESSAGES, "who was cut off catches up");
    let took = began.elapsed();
    chaos::figure(
        "R6",
        &format!(
            "{db}: {STALLED} of 300 sockets stalled; slowest delivery {}, all cut {} after the last message \
             ({} in all), memory grew by {}",
            chaos::span(slowest),
            chaos::span(gone),
            chaos::span(took),
            chaos::size(grown)
        ),
    );
    drop((stalled, idle));
}

const HALF_OPEN: usize = 50;

#[test]
fn half_open_connections_are_noticed() {
    at_once(&[|| block_on(half_open(Db::Sqlite)), || block_on(half_open(Db::Postgres))]);
}

/// The network swallows everything: half of the sockets are idle, half have more to hear than fits on the way.
async fn half_open(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let process = ProcessHub::with_env(database, &[("HXA_CONNECT_SOCKETS_HEARTBEAT_SECONDS", "4")]).await;
    let hub = &process.hub;
    let org = hub.with_org("a").await;
    let [writer, idle, busy] = org.bots(["writer", "idle", "busy"]).await;
    let thread = writer.thread("t", &[&busy]).await;
    let mut watcher = writer.socket().await;
    let way = Proxy::before(hub.address());
    let through = TestHub::at(&format!("http://{}", way.address()));
    let files = process.open_files();
    let mut half = Vec::new();
    for n in 0..HALF_OPEN {
        let bot = if n % 2 == 0 { &idle } else { &busy };
        half.push(Caller::bearer(&through, bot.secret()).socket().await.into_stream());
    }
    watcher.drain().await;
    way.set(Weather::Blackhole);
    let (since, gone) = (Instant::now(), Cell::new(None));
    let work = async {
        for n in 0..20 {
            writer.say(&thread, &format!("{n}{}", " ".repeat(50_000))).await.ok();
        }
        sockets_become(hub, 1, PATIENCE).await;
        gone.set(Some(since.elapsed()));
    };
    // Who watches must answer pings all the while, or is gone too.
    let watch = async {
        let mut offline = Vec::new();
        while gone.get().is_none() || offline.len() < 2 {
            assert!(since.elapsed() < 2 * PATIENCE, "only {offline:?} went offline");
            match watcher.arrival(Duration::from_millis(100)).await.expect("the watcher stays") {
                Some(frame) if frame["type"] == "bot_offline" => offline.push(frame["bot"].text("name")),
                _ => {}
            }
        }
        let more = watcher.everything().await.into_iter().filter(|frame| frame["type"] == "bot_offline");
        offline.extend(more.map(|frame| frame["bot"].text("name")));
        offline
    };
    let ((), mut offline) = tokio::join!(work, watch);
    let gone = gone.get().unwrap();
    offline.sort_unstable();
    assert_eq!(offline, ["busy", "idle"], "each bot goes offline once");
    let left = || async { process.open_files() };
    eventually(left, |open| *open <= files + 5).await;
    chaos::figure(
        "R7",
        &format!("{db}: {HALF_OPEN} half-open sockets gone after {} (heartbeat 4 s), files closed", chaos::span(gone)),
    );
    drop(half);
}

/// Each quarter in its own way.
const SLOW: usize = 100;

/// Headers, bodies and frames that come byte by byte, and connections that say nothing at all.
#[test]
fn slow_senders_are_cut() {
    block_on(async {
        let database = Database::fresh(Db::Sqlite).unwrap();
        let process = ProcessHub::with_env(database, &[("HXA_CONNECT_SOCKETS_HEARTBEAT_SECONDS", "2")]).await;
        let hub = &process.hub;
        let org = hub.with_org("a").await;
        org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        let mut openings = Vec::new();
        for n in 0..SLOW {
            openings.push(match n % 4 {
                0 => "GET /health HTTP/1.1\r\nhost: hub\r\nx-slow: ".to_owned(),
                1 => format!(
                    "POST /api/send HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {}\r\n\
                     content-type: application/json\r\ncontent-length: 100000\r\n\r\n{{",
                    ada.secret()
                ),
                2 => format!(
                    "GET /ws?ticket={} HTTP/1.1\r\nhost: hub\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                    ada.ws_ticket().await
                ),
                _ => String::new(),
            });
        }
        let cut =
            join_all(openings.iter().enumerate().map(|(n, opening)| send_slowly(hub.address(), opening, n % 4 != 3)));
        let normal = async {
            let (mut slowest, since) = (Duration::ZERO, Instant::now());
            while since.elapsed() < Duration::from_secs(5) {
                let asked = Instant::now();
                ada.send(&bob, "c").await.ok();
                slowest = slowest.max(asked.elapsed());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            slowest
        };
        let (cut, slowest) = tokio::join!(cut, normal);
        let longest = cut.into_iter().max().unwrap();
        assert!(longest < PATIENCE, "a slow client stayed for {longest:?}");
        chaos::figure(
            "R8",
            &format!(
                "{SLOW} slow clients: the last was cut after {}; slowest response to others {}",
                chaos::span(longest),
                chaos::span(slowest)
            ),
        );
    });
}

/// Far longer than any limit of the hub, so that a busy machine does not count as patience.
const PATIENCE: Duration = Duration::from_secs(75);

/// Sends the opening and then a byte at a time until the hub has had enough; how long that took.
async fn send_slowly(address: &str, opening: &str, keeps_on: bool) -> Duration {
    let since = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(opening.as_bytes()).await.unwrap();
    let mut buffer = [0; 4096];
    while since.elapsed() < PATIENCE {
        match tokio::time::timeout(Duration::from_millis(300), stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return since.elapsed(),
            Ok(Ok(_)) => {}
            // Behind a WebSocket's handshake these are the first bytes of a frame that never gets far.
            Err(_) if keeps_on && stream.write_all(b"\x81").await.is_err() => return since.elapsed(),
            Err(_) => {}
        }
    }
    since.elapsed()
}
