//! A clock that jumps: order never goes back, sockets stay, nobody is locked out, and what was revoked stays revoked. First by
//! a clock of the test's own inside the hub, then by the clock of the whole program, whose monotonic clock goes on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::Datelike;
use hxa_connect::hub::config::Config;

use crate::harness::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

#[test]
fn a_jumping_clock_disturbs_nobody_sqlite() {
    jumps(Db::Sqlite);
}

#[test]
fn a_jumping_clock_disturbs_nobody_postgres() {
    jumps(Db::Postgres);
}

fn patient(config: &mut Config) {
    config.sockets.heartbeat_seconds = 3600;
}

fn jumps(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let offset = Arc::new(AtomicI64::new(0));
    let shared = offset.clone();
    let clock = Arc::new(move || now_ms() + shared.load(Ordering::SeqCst));
    run_at(clock, &database, &[patient], async |hub, _| {
        let org = hub.with_org("a").await;
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        let thread = ada.thread("t", &[&bob]).await;
        let token = ada.post("/api/me/tokens", json!({"scopes": ["full"]})).await.ok();
        let revoked = ada.by(Caller::bearer(&hub, &token.text("token")));
        ada.delete(format!("/api/me/tokens/{}", token.id())).await.ok();
        let mut socket = bob.socket().await;
        let mut said = 0;
        // Back and forth, a change of summer time, a leap second, and each way home.
        let jumps = [-DAY, -HOUR, HOUR, 0, 10 * YEAR, 0, HOUR, -1000];
        for jump in jumps {
            offset.store(jump, Ordering::SeqCst);
            // A whole minute's worth of messages, so that a window that took the jump for time would be full.
            for _ in 0..110 / jumps.len() {
                ada.say(&thread, &said.to_string()).await.ok();
                let heard = socket.next("thread_message").await;
                assert_eq!(heard["message"]["content"], said.to_string());
                said += 1;
            }
            // The janitor looks at the sockets every second.
            tokio::time::sleep(Duration::from_millis(1200)).await;
            socket.drain().await;
            revoked.me().await.refused(401, "INVALID_TOKEN");
            bob.me().await.ok();
            // Ten years without use do end a session.
            if said < 40 {
                org.get("/api/org").await.ok();
            }
        }
        let stored = bob.messages(&thread, "?limit=200").await.list();
        let contents: Vec<String> = stored.iter().map(|message| message.text("content")).collect();
        assert_eq!(contents, (0..said).map(|n| n.to_string()).collect::<Vec<_>>(), "order is the order of sending");
        let keys: Vec<(i64, String)> = stored.iter().map(|m| (m.int("created_at"), m.text("id"))).collect();
        assert!(keys.is_sorted(), "keys never go back");
        chaos::figure("R9", &format!("{db}: {} jumps, order kept, no socket lost, nobody locked out", jumps.len()));
    });
}

/// A bot that used up its rate while the clock was ten years ahead was refused for ten years.
#[test]
fn a_rate_used_up_in_the_future_does_not_last() {
    let database = Database::fresh(Db::Sqlite).unwrap();
    let offset = Arc::new(AtomicI64::new(10 * YEAR));
    let shared = offset.clone();
    let clock = Arc::new(move || now_ms() + shared.load(Ordering::SeqCst));
    run_at(clock, &database, &[], async |hub, _| {
        let org = hub.with_org("a").await;
        org.settings(json!({"messages_per_minute_per_bot": 3})).await.ok();
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        for n in 0..3 {
            ada.send(&bob, &n.to_string()).await.ok();
        }
        ada.send(&bob, "one too many").await.refused(429, "RATE_LIMITED");
        offset.store(0, Ordering::SeqCst);
        ada.send(&bob, "in the present").await.ok();
    });
}

/// The wall clock of a running program, set from outside by libfaketime; its monotonic clock goes on.
struct WallClock {
    library: PathBuf,
    dir: tempfile::TempDir,
}

impl WallClock {
    /// One that is right, or `None` when there is no libfaketime on this machine (never in CI).
    fn new() -> Option<Self> {
        let folders =
            ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(std::fs::read_dir).into_iter().flatten().flatten();
        let inside = folders.flatten().map(|folder| folder.path().join("faketime"));
        let libraries = ["/usr/lib/faketime", "/usr/lib64/faketime", "/usr/local/lib/faketime"].map(PathBuf::from);
        let mut libraries = libraries.into_iter().chain(inside).map(|folder| folder.join("libfaketimeMT.so.1"));
        let Some(library) = libraries.find(|library| library.exists()) else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs libfaketime");
            println!("note: no libfaketime on this machine; this test did not run");
            return None;
        };
        let clock = Self { library, dir: tempfile::tempdir().unwrap() };
        clock.set(0);
        Some(clock)
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("offset")
    }

    /// By how much it is wrong from now on.
    fn set(&self, offset_ms: i64) {
        let (new, seconds) = (self.dir.path().join("new"), offset_ms as f64 / 1000.0);
        std::fs::write(&new, format!("{seconds:+.3}\n")).unwrap();
        // The program reads the file at any time, and must not find half of it.
        std::fs::rename(new, self.file()).unwrap();
    }

    fn env(&self) -> [(&str, String); 6] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
            // What the file system says of files stays.
            ("NO_FAKE_STAT", "1".to_owned()),
            ("TZ", "Europe/Berlin".to_owned()),
        ]
    }
}

/// How the clock is wrong, from one moment to the next.
enum Jump {
    By(i64),
    /// To a second before this moment, which then passes.
    Before(chrono::DateTime<chrono::Utc>),
    /// The same, and at that moment a second comes again.
    LeapAt(chrono::DateTime<chrono::Utc>),
}

/// The next time that this month has this day's midnight in UTC, and so many hours.
fn next(month: u32, day: impl Fn(i32) -> u32, hour: u32) -> chrono::DateTime<chrono::Utc> {
    let now = chrono::Utc::now();
    let of = |year: i32| {
        let date = chrono::NaiveDate::from_ymd_opt(year, month, day(year)).unwrap();
        date.and_hms_opt(hour, 0, 0).unwrap().and_utc()
    };
    [now.year(), now.year() + 1].map(of).into_iter().find(|at| *at > now).unwrap()
}

fn last_sunday(year: i32, month: u32) -> u32 {
    let last = chrono::NaiveDate::from_ymd_opt(year, month, 31).unwrap();
    31 - last.weekday().num_days_from_sunday()
}

#[test]
fn the_clock_of_the_program_jumps() {
    at_once(&[|| block_on(program_jumps(Db::Sqlite)), || block_on(program_jumps(Db::Postgres))]);
}

async fn program_jumps(db: Db) {
    let (Some(clock), Some(database)) = (WallClock::new(), Database::fresh(db)) else { return };
    let env = clock.env();
    let mut env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    env.push(("HXA_CONNECT_SOCKETS_HEARTBEAT_SECONDS", "2"));
    let mut process = ProcessHub::with_env(database, &env).await;
    let mut stage = Stage::new(&process.hub).await;
    let jumps = [
        Jump::By(-DAY),
        Jump::By(-HOUR),
        Jump::By(HOUR),
        Jump::By(0),
        Jump::Before(next(3, |year| last_sunday(year, 3), 1)),
        Jump::Before(next(10, |year| last_sunday(year, 10), 1)),
        Jump::LeapAt(next(1, |_| 1, 0)),
        Jump::By(10 * YEAR),
        Jump::By(0),
    ];
    for jump in &jumps {
        stage.before().await;
        let offset_before = |at: &chrono::DateTime<chrono::Utc>| at.timestamp_millis() - 1000 - now_ms();
        match jump {
            Jump::By(offset) => clock.set(*offset),
            Jump::Before(at) => clock.set(offset_before(at)),
            Jump::LeapAt(at) => {
                let offset = offset_before(at);
                clock.set(offset);
                stage.talk(4).await;
                tokio::time::sleep(Duration::from_millis(
                    u64::try_from(at.timestamp_millis() - offset - now_ms()).unwrap_or(0),
                ))
                .await;
                clock.set(offset - 1000);
            }
        }
        stage.after(jump).await;
        if matches!(jump, Jump::By(offset) if *offset > YEAR) {
            stage.outlasts_cleaning().await;
        }
    }
    stage.lock_is_short().await;
    stage.in_order().await;
    assert_eq!(
        stage.bob.inbox(0).await.ok().all("content"),
        ["kept"],
        "a clock that was ahead for a while deletes nothing"
    );
    process.signal("TERM");
    process.exited(DEADLINE).await;
    process.start().await;
    stage.socket = stage.bob.socket().await;
    stage.talk(3).await;
    stage.in_order().await;
    process.signal("TERM");
    process.exited(DEADLINE).await;
    chaos::figure(
        "R9",
        &format!(
            "{db}: {} jumps of the program's clock by libfaketime (-1 d, -1 h, +1 h, both changes of summer time, a leap second, +10 y), \
             {} messages in order, before and after a restart, no token revived, \
             no socket, session, ticket or message lost",
            jumps.len(),
            stage.said
        ),
    );
}

/// Who lives through the jumps.
struct Stage {
    org: Org,
    ada: Bot,
    bob: Bot,
    thread: Value,
    socket: Socket,
    said: usize,
    revoked: Bot,
    expired: Bot,
    /// Issued before a jump and used after it.
    ticket: String,
    uptime: i64,
}

impl Stage {
    async fn new(hub: &TestHub) -> Self {
        let org = hub.with_org("a").await;
        org.settings(json!({"message_ttl_days": 5})).await.ok();
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        ada.send(&bob, "kept").await.ok();
        let thread = ada.thread("t", &[&bob]).await;
        let token = ada.post("/api/me/tokens", json!({"scopes": ["full"]})).await.ok();
        let revoked = ada.by(Caller::bearer(hub, &token.text("token")));
        revoked.me().await.ok();
        ada.delete(format!("/api/me/tokens/{}", token.id())).await.ok();
        let token = ada.post("/api/me/tokens", json!({"scopes": ["full"], "expires_in": 1000})).await.ok();
        let expired = ada.by(Caller::bearer(hub, &token.text("token")));
        eventually(|| async { expired.me().await.status }, |status| *status == 401).await;
        let socket = bob.socket().await;
        Self { org, ada, bob, thread, socket, said: 0, revoked, expired, ticket: String::new(), uptime: 0 }
    }

    /// One message after the other, each heard at once.
    async fn talk(&mut self, messages: usize) {
        for _ in 0..messages {
            self.ada.say(&self.thread, &self.said.to_string()).await.ok();
            let heard = self.socket.next("thread_message").await;
            assert_eq!(heard["message"]["content"], self.said.to_string());
            self.said += 1;
        }
    }

    async fn before(&mut self) {
        self.talk(2).await;
        self.ticket = self.bob.ws_ticket().await;
    }

    async fn after(&mut self, jump: &Jump) {
        let hub = &self.org.hub.clone();
        let mut second = Socket::connect(hub, &format!("?ticket={}", self.ticket)).await;
        second.drain().await;
        match jump {
            Jump::By(offset) if offset.abs() >= DAY => self.notices(second).await,
            _ => second.close().await,
        }
        self.talk(6).await;
        self.revoked.me().await.refused(401, "INVALID_TOKEN");
        assert_eq!(self.expired.me().await.status, 401, "what has ended does not come back");
        self.bob.me().await.ok();
        let uptime = hub.anonymous().get("/health").await.ok().int("uptime_ms");
        assert!((self.uptime..self.uptime + 60_000).contains(&uptime), "up for {uptime} ms after {}", self.uptime);
        self.uptime = uptime;
        match jump {
            Jump::By(offset) if *offset <= HOUR => drop(self.org.get("/api/org").await.ok()),
            // So much time without use does end a session, and whoever guesses now is locked out.
            _ => {
                for _ in 0..6 {
                    self.guess().await;
                    self.socket.drain().await;
                }
            }
        }
    }

    /// A socket that answers no pings is noticed in time.
    async fn notices(&mut self, silent: Socket) {
        let silent = silent.into_stream();
        let hub = self.org.hub.clone();
        let connected = async || hub.anonymous().get("/health").await.ok().int("connected_clients");
        assert_eq!(connected().await, 2);
        let since = Instant::now();
        while connected().await != 1 {
            assert!(since.elapsed() < DEADLINE, "a silent socket is still there");
            self.socket.drain().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        drop(silent);
    }

    /// The first look for what is to be deleted comes half a minute after the start.
    async fn outlasts_cleaning(&mut self) {
        while self.org.hub.anonymous().get("/health").await.ok().int("uptime_ms") < 32_000 {
            self.socket.drain().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn guess(&self) -> Reply {
        self.org.hub.anonymous().post("/api/auth/login", json!({"type": "bot", "token": "bot_guessed"})).await
    }

    /// Whoever guessed in the future is not locked out until then.
    async fn lock_is_short(&self) {
        let seconds = self.guess().await.refused(429, "RATE_LIMITED").int("retry_after");
        assert!(seconds <= 900, "locked for {seconds} s");
    }

    async fn in_order(&self) {
        let stored = self.bob.messages(&self.thread, "?limit=200").await.list();
        let contents: Vec<String> = stored.iter().map(|message| message.text("content")).collect();
        assert_eq!(
            contents,
            (0..self.said).map(|n| n.to_string()).collect::<Vec<_>>(),
            "order is the order of sending"
        );
        let keys: Vec<(i64, String)> = stored.iter().map(|m| (m.int("created_at"), m.text("id"))).collect();
        assert!(keys.is_sorted(), "keys never go back");
    }
}
