//! A working day in small: idle sockets that cost little, then everything that bots do, mixed, for a while. Everybody hears
//! everything once and in order, and what the hub holds afterwards is what it held before. `HXA_CHAOS` makes it longer.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::harness::*;

/// Opened twice.
const IDLE: usize = 250;
const SECONDS: usize = 5;
/// Memory that may come with the work: caches, queues, the log of events.
const GROWTH: usize = 64 << 20;

#[test]
fn a_day_leaves_nothing_behind() {
    at_once(&[|| block_on(day(Db::Sqlite)), || block_on(day(Db::Postgres))]);
}

/// Three bots in a thread; one speaks, all hear.
struct Room {
    speaker: Bot,
    listeners: [Bot; 2],
    thread: Value,
    is_over: Cell<bool>,
}

impl Room {
    async fn new(org: &Org, n: usize) -> Self {
        let [ada, bob, cleo] =
            [org.bot(&format!("ada{n}")).await, org.bot(&format!("bob{n}")).await, org.bot(&format!("cleo{n}")).await];
        let thread = ada.thread("t", &[&bob, &cleo]).await;
        ada.artifact_add(&thread, json!({"artifact_key": "k", "content": "1"})).await.ok();
        Self { speaker: ada, listeners: [bob, cleo], thread, is_over: Cell::new(false) }
    }

    /// What was said, while a socket is here all the time and another comes and goes.
    async fn day(&self, until: Instant) -> usize {
        let mut present = self.listeners[0].socket().await;
        present.drain().await;
        let (said, heard, ()) = tokio::join!(self.speak(until), self.listen(present), self.come_and_go(until));
        assert_eq!(heard, said, "everything is heard once and in order");
        said
    }

    async fn speak(&self, until: Instant) -> usize {
        let (mut socket, mut said) = (self.speaker.socket().await, 0);
        while Instant::now() < until {
            let content = said.to_string();
            let thread = &self.thread;
            if said % 4 == 0 {
                self.speaker.say(thread, &content).await.ok();
            } else {
                let says = json!({"type": "send_thread_message", "thread_id": thread["id"], "content": content});
                socket.op(says).await.ack();
            }
            said += 1;
            match said % 25 {
                5 => drop(self.speaker.artifact_update(thread, "k", json!({"content": content})).await.ok()),
                10 => drop(self.speaker.thread_patch(thread, json!({"topic": content})).await.ok()),
                15 => drop(self.speaker.send(&self.listeners[1], &content).await.ok()),
                20 => drop(self.listeners[0].catchup("?since=0&limit=50").await.ok()),
                24 => drop(self.listeners[1].inbox(now_ms() - 1000).await.ok()),
                _ => {}
            }
            socket.drain().await;
        }
        self.speaker.say(&self.thread, "over").await.ok();
        self.is_over.set(true);
        said
    }

    async fn listen(&self, mut socket: Socket) -> usize {
        for expected in 0.. {
            let content = socket.next("thread_message").await["message"].text("content");
            if content == "over" {
                return expected;
            }
            assert_eq!(content, expected.to_string());
        }
        unreachable!("the speaker comes to an end")
    }

    async fn come_and_go(&self, until: Instant) {
        while Instant::now() < until {
            let mut socket = self.listeners[1].socket().await;
            socket.drain().await;
            socket.close().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn day(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let env = [
        ("HXA_CONNECT_SOCKETS_PER_BOT", "1000"),
        ("HXA_CONNECT_RESUME_LOG_BYTES", "1048576"),
        // Idle sockets answer no pings here.
        ("HXA_CONNECT_SOCKETS_HEARTBEAT_SECONDS", "3600"),
    ];
    let process = ProcessHub::with_env(database, &env).await;
    let org = process.hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let idler = org.bot("idler").await;
    // The first half takes what the start has given back; the second is measured.
    let (mut idle, mut before) = (Vec::new(), 0);
    for n in 0..2 * IDLE {
        if n == IDLE {
            before = process.memory();
        }
        idle.push(idler.socket().await);
    }
    let each = process.memory().saturating_sub(before) / IDLE;
    let rooms = join_all((0..4).map(|n| Room::new(&org, n))).await;
    let (before, files) = (process.memory(), process.open_files());
    let seconds = chaos::times(SECONDS);
    let until = Instant::now() + Duration::from_secs(u64::try_from(seconds).unwrap());
    let said: usize = join_all(rooms.iter().map(|room| room.day(until))).await.iter().sum();
    let grown = process.memory().saturating_sub(before);
    assert!(grown < GROWTH, "the hub grew by {}", chaos::size(grown));
    // Connections that clients keep open for their next request are theirs to close.
    eventually(|| async { process.open_files() }, |open| *open <= files + 10).await;
    let bad: Vec<String> = process.log().lines().filter(|line| is_bad(line)).map(str::to_owned).collect();
    assert!(bad.is_empty(), "in the log: {bad:#?}");
    drop(idle);
    chaos::figure("R20", &format!("{db}: {} idle sockets, each of the second half with {} kB", 2 * IDLE, each / 1000));
    let grown = chaos::size(grown);
    chaos::figure(
        "R21",
        &format!("{db}: {seconds} s of mixed work, {said} messages received once and in order, memory grew by {grown}"),
    );
}

/// A line that somebody should look at. Slowness is the machine's here.
fn is_bad(line: &str) -> bool {
    (line.contains(" WARN ") || line.contains(" ERROR ")) && !line.contains("slow")
}
