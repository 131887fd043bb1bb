//! Three times as much as the hub can do: what it cannot do is refused in words, what it does is done, it answers for its
//! health all the while, and when the load is over it is as before.
//!
//! The hub is made small (one slow commit at a time, a short queue), so that a test is more than it can do; the load is open:
//! what is sent does not depend on what is answered.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};

use super::network_faults::slow_commits;
use super::power_cut::build_shim;
use crate::harness::*;

const SMALL: [(&str, &str); 3] = [
    ("HXA_CONNECT_DATABASE_BATCH_ROWS", "1"),
    ("HXA_CONNECT_DATABASE_WRITERS", "1"),
    ("HXA_CONNECT_DATABASE_QUEUE", "32"),
];
/// Clients that find out what the hub can do, and then ask for three times as much.
const CLIENTS: usize = 16;
const WARM_UP: Duration = Duration::from_secs(2);
const LOAD: Duration = Duration::from_secs(10);
/// The load comes in so many portions.
const PORTION: Duration = Duration::from_millis(10);
/// How much longer than it must a commit takes, so that it is the database that cannot keep up.
const SLOWNESS: Duration = Duration::from_millis(10);

/// One database after the other: what the hub can do is measured, and nothing of this test may be in its way.
#[test]
fn overload_is_refused() {
    block_on(overload(Db::Sqlite));
    block_on(overload(Db::Postgres));
}

/// What became of the operations.
#[derive(Debug, Default)]
struct Outcome {
    acked: Vec<String>,
    refused_on_sockets: BTreeSet<String>,
    refused_by_rest: BTreeSet<String>,
}

/// A bot with a thread of its own.
struct Client {
    bot: Bot,
    thread: Value,
}

impl Client {
    /// Nobody says the same twice.
    fn content(&self, attempt: usize, n: usize) -> String {
        format!("{} {attempt}.{n}", self.bot.id)
    }

    fn frame(&self, content: &str) -> Value {
        json!({"type": "send_thread_message", "thread_id": self.thread["id"], "content": content})
    }

    /// One operation after the other, until this time.
    async fn closed_loop(&self, mut socket: Socket, until: Instant, when: &str) -> usize {
        let mut acked = 0;
        while Instant::now() < until {
            socket.op(self.frame(&format!("{when}.{acked}"))).await.ack();
            acked += 1;
        }
        acked
    }

    /// `rate` operations a second by socket, whatever is answered.
    async fn by_socket(&self, attempt: usize, rate: f64, outcome: &RefCell<Outcome>) {
        let (mut socket, since, mut sent) = (self.bot.socket().await, Instant::now(), Vec::new());
        while since.elapsed() < LOAD {
            while (sent.len() as f64) < since.elapsed().as_secs_f64() * rate {
                let content = self.content(attempt, sent.len());
                sent.push((socket.start(self.frame(&content)).await, content));
            }
            tokio::time::sleep(PORTION).await;
        }
        for (reference, content) in sent {
            let answer = socket.answer(&reference).await.unwrap_or_else(|why| panic!("no answer: {why}"));
            if answer.0["type"] == "ack" {
                outcome.borrow_mut().acked.push(answer.ack().text("message_id"));
            } else {
                answer.refused("UNAVAILABLE");
                outcome.borrow_mut().refused_on_sockets.insert(content);
            }
        }
    }

    /// `rate` requests a second, whatever is answered.
    async fn by_rest(&self, attempt: usize, rate: f64, outcome: &RefCell<Outcome>) {
        let count = (LOAD.as_secs_f64() * rate) as usize;
        let since = Instant::now();
        let request = async |at: usize| {
            let due = Duration::from_secs_f64(at as f64 / rate);
            tokio::time::sleep(due.saturating_sub(since.elapsed())).await;
            let content = self.content(attempt, at);
            let reply = self.bot.say(&self.thread, &content).await;
            if reply.status == 200 {
                outcome.borrow_mut().acked.push(reply.ok().text("id"));
            } else {
                assert!(reply.header("retry-after").is_some(), "{}", reply.text);
                reply.refused(503, "UNAVAILABLE");
                outcome.borrow_mut().refused_by_rest.insert(content);
            }
        };
        join_all((0..count).map(request)).await;
    }
}

/// Asks for health until told to stop; how often, and the longest wait.
async fn watch(hub: &TestHub, is_over: &RefCell<bool>) -> (usize, Duration) {
    let (mut asked, mut slowest) = (0, Duration::ZERO);
    while !*is_over.borrow() {
        let since = Instant::now();
        for path in ["/health", "/livez", "/readyz"] {
            hub.anonymous().get(path).await.ok();
        }
        slowest = slowest.max(since.elapsed() / 3);
        asked += 3;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (asked, slowest)
}

async fn overload(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (shim, pause) = (build_shim(dir.path()), SLOWNESS.as_micros().to_string());
    let mut env = SMALL.to_vec();
    if db == Db::Sqlite {
        env.extend([("LD_PRELOAD", shim.to_str().unwrap()), ("HXA_POWER_SYNC_US", &pause)]);
    }
    let process = ProcessHub::with_env(database, &env).await;
    if let Some(url) = process.database().postgres_url() {
        slow_commits(url, SLOWNESS.as_secs_f64());
    }
    let hub = &process.hub;
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        let bot = org.bot(&format!("bot{n}")).await;
        let thread = bot.thread("t", &[]).await;
        clients.push(Client { bot, thread });
    }
    let mut attempts = 0;
    while !overload_once(db, hub, &clients, attempts).await {
        attempts += 1;
        assert!(attempts < 5, "nothing was refused");
    }
}

/// Messages a second that are acknowledged when everybody waits for the answer before.
async fn peak(clients: &[Client], when: &str, attempt: usize) -> f64 {
    let name = format!("{when} {attempt}");
    let sockets = join_all(clients.iter().map(|client| client.bot.socket())).await;
    let since = Instant::now();
    let loops = clients.iter().zip(sockets).map(|(client, socket)| client.closed_loop(socket, since + WARM_UP, &name));
    let acked = join_all(loops).await;
    // What was begun in time is counted, and so is the time that it took.
    acked.iter().sum::<usize>() as f64 / since.elapsed().as_secs_f64()
}

/// Whether what was offered was more than the hub can do: when the machine has got faster since that was measured, it is not.
async fn overload_once(db: Db, hub: &TestHub, clients: &[Client], attempt: usize) -> bool {
    let peak = peak(clients, "before", attempt).await;
    let (outcome, is_over) = (RefCell::<Outcome>::default(), RefCell::new(false));
    let rate = 3.0 * peak / CLIENTS as f64;
    let began = Instant::now();
    let load = async {
        join_all(clients.iter().enumerate().map(async |(n, client)| match n % 2 {
            0 => client.by_rest(attempt, rate, &outcome).await,
            _ => client.by_socket(attempt, rate, &outcome).await,
        }))
        .await;
        *is_over.borrow_mut() = true;
        began.elapsed()
    };
    let (took, (asked, slowest)) = join(load, watch(hub, &is_over)).await;
    let recovery = Instant::now();
    let well =
        || async { join_all(clients.iter().map(|client| client.bot.say(&client.thread, "after").answered())).await };
    eventually(well, |replies| replies.iter().all(|reply| reply.status == 200)).await;
    let recovery = recovery.elapsed();
    let outcome = outcome.into_inner();
    check(clients, &outcome).await;
    let refused = [outcome.refused_by_rest.len(), outcome.refused_on_sockets.len()];
    if refused.contains(&0) {
        return false;
    }
    // Other work on the machine may have been in the way of either measurement.
    let best = peak.max(self::peak(clients, "later", attempt).await);
    let goodput = outcome.acked.len() as f64 / took.as_secs_f64() / best * 100.0;
    chaos::figure(
        "R19",
        &format!(
            "{db}: 3 times its capacity of {peak:.0} messages/s for {}: goodput {goodput:.0} % of capacity, {} refused with 503, {} on \
             sockets; {asked} health checks answered within {}, recovered after {}",
            chaos::span(LOAD),
            refused[0],
            refused[1],
            chaos::span(slowest),
            chaos::span(recovery),
        ),
    );
    true
}

/// What was acknowledged is there, what was refused is not.
async fn check(clients: &[Client], outcome: &Outcome) {
    let (mut ids, mut contents) = (BTreeSet::new(), BTreeSet::new());
    for client in clients {
        for message in client.bot.all_messages(&client.thread).await {
            ids.insert(message.text("id"));
            contents.insert(message.text("content"));
        }
    }
    let lost = outcome.acked.iter().filter(|id| !ids.contains(*id)).count();
    assert_eq!(lost, 0, "acknowledged and lost");
    let refused = outcome.refused_on_sockets.union(&outcome.refused_by_rest);
    assert_eq!(refused.filter(|content| contents.contains(*content)).count(), 0, "refused and stored");
}
