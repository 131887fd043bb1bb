//! Kill -9, again and again, while fifty writers write by REST and by socket: whatever was acknowledged is there after the
//! start, once, whole and in the order in which it was sent.

use std::time::Duration;

use futures_util::future::join_all;

use super::linearizable::{Dice, Size, Stage, check};
use crate::harness::*;

#[test]
fn kill_9_loses_nothing_acked_sqlite() {
    block_on(kill_9_loop(Db::Sqlite));
}

#[test]
fn kill_9_loses_nothing_acked_postgres() {
    block_on(kill_9_loop(Db::Postgres));
}

const CYCLES: usize = 20;
/// What each of the fifty does.
const CAST: [(Kind, usize); 5] =
    [(Kind::Thread, 26), (Kind::Dm, 12), (Kind::Rest, 6), (Kind::Artifact, 3), (Kind::Topic, 3)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Thread messages by socket, many in flight.
    Thread,
    /// Direct messages by socket, many in flight.
    Dm,
    /// Thread messages by REST, one after the other.
    Rest,
    /// Versions of an artifact by REST.
    Artifact,
    /// Topics by REST, each another revision.
    Topic,
}

/// One of those who write, each in a thread of its own, and what it saw acknowledged.
struct Writer {
    kind: Kind,
    bot: Bot,
    thread: Value,
    /// To whom direct messages go.
    peer: Bot,
    channel: Option<String>,
    /// Id and content of every message.
    messages: Vec<(String, String)>,
    /// The newest version or revision.
    number: i64,
    /// How many writes after it were not answered; each kill may leave one.
    unanswered: i64,
    /// How many answers there were.
    acked: usize,
}

impl Writer {
    async fn new(org: &Org, kind: Kind, n: usize, peer: &Bot) -> Self {
        let bot = org.bot(&format!("bot{n}-{kind:?}").to_lowercase()).await;
        let thread = bot.thread("t", &[]).await;
        bot.artifact_add(&thread, json!({"artifact_key": "k", "content": "1"})).await.ok();
        Self {
            kind,
            bot,
            thread,
            peer: peer.clone(),
            channel: None,
            messages: Vec::new(),
            number: 1,
            unanswered: 0,
            acked: 0,
        }
    }

    /// Writes until the hub is gone.
    async fn write(&mut self, cycle: usize, socket: Option<Socket>) {
        let content = |n: usize| format!("{cycle}.{n}");
        match (self.kind, socket) {
            (_, Some(socket)) => {
                let frame = |n: usize| match self.kind {
                    Kind::Dm => json!({"type": "send_dm", "to": self.peer.id, "content": content(n)}),
                    _ => {
                        json!({"type": "send_thread_message", "thread_id": self.thread["id"], "content": content(n)})
                    }
                };
                let ids = socket.acked_until_gone(frame).await;
                self.acked += ids.len();
                self.messages.extend(ids.into_iter().enumerate().map(|(n, id)| (id, content(n))));
            }
            (Kind::Artifact, _) => {
                let next = |last: i64| json!({"content": last.to_string()});
                while let Some(reply) = self.bot.artifact_update(&self.thread, "k", next(self.number)).attempt().await {
                    self.heard(reply.ok().int("version"));
                }
                self.unanswered += 1;
            }
            (Kind::Topic, _) => {
                let next = |last: i64| json!({"topic": last.to_string()});
                while let Some(reply) = self.bot.thread_patch(&self.thread, next(self.number)).attempt().await {
                    self.heard(reply.ok().int("revision"));
                }
                self.unanswered += 1;
            }
            (..) => {
                for n in 0.. {
                    let Some(reply) = self.bot.say(&self.thread, &content(n)).attempt().await else { return };
                    self.messages.push((reply.ok().text("id"), content(n)));
                    self.acked += 1;
                }
            }
        }
    }

    fn heard(&mut self, number: i64) {
        (self.number, self.unanswered, self.acked) = (number, 0, self.acked + 1);
    }

    /// Everything that was acknowledged is there once; of what was in flight anything may be, in its order.
    async fn check(&mut self) {
        match self.kind {
            Kind::Artifact => {
                let versions = self.bot.versions(&self.thread, "k").await.list();
                let mut numbers: Vec<i64> = versions.iter().map(|version| version.int("version")).collect();
                numbers.sort_unstable();
                assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>(), "versions have no gaps");
                self.newest("version", numbers.len() as i64);
            }
            Kind::Topic => {
                let revision = self.bot.thread_get(&self.thread).await.ok().int("revision");
                self.newest("revision", revision);
            }
            Kind::Thread | Kind::Rest => {
                let stored = self.bot.all_messages(&self.thread).await;
                self.present(&stored);
            }
            Kind::Dm => {
                let stored = self.stored_dms().await;
                self.present(&stored);
            }
        }
    }

    /// What was not answered may have been stored all the same.
    fn newest(&mut self, what: &str, stored: i64) {
        let possible = self.number..=self.number + self.unanswered;
        assert!(possible.contains(&stored), "{what} {possible:?} was possible, {stored} is stored");
        (self.number, self.unanswered) = (stored, 0);
    }

    async fn stored_dms(&mut self) -> Vec<Value> {
        if self.channel.is_none() {
            let channels = self.bot.channels().await.list();
            self.channel = channels.first().map(|channel| channel.text("id"));
        }
        match &self.channel {
            Some(channel) => self.bot.all_channel_messages(channel).await,
            None => Vec::new(),
        }
    }

    /// `stored` is newest first.
    fn present(&self, stored: &[Value]) {
        let place = |content: &str| {
            let (cycle, n) = content.split_once('.').expect("a number in a cycle");
            (cycle.parse::<usize>().unwrap(), n.parse::<usize>().unwrap())
        };
        let contents: Vec<String> = stored.iter().rev().map(|message| message.text("content")).collect();
        let in_order = contents.is_sorted_by(|one, other| place(one) < place(other));
        assert!(in_order, "stored twice or out of order: {contents:?}");
        let known: std::collections::BTreeMap<String, String> =
            stored.iter().map(|message| (message.text("id"), message.text("content"))).collect();
        for (id, content) in &self.messages {
            assert_eq!(known.get(id), Some(content), "{:?}: {id} was acknowledged", self.kind);
        }
    }
}

async fn kill_9_loop(db: Db) {
    let Some(mut process) = ProcessHub::fresh(db).await else { return };
    let org = process.hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000, "threads_per_hour_per_bot": 100_000})).await.ok();
    let peer = org.bot("peer").await;
    let mut writers = Vec::new();
    for kind in CAST.iter().flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count)) {
        writers.push(Writer::new(&org, kind, writers.len(), &peer).await);
    }
    let (mut dice, cycles) = (Dice::new(9), chaos::times(CYCLES));
    for cycle in 0..cycles {
        let sockets = join_all(writers.iter().map(async |writer| match writer.kind {
            Kind::Thread | Kind::Dm => Some(writer.bot.socket().await),
            _ => None,
        }))
        .await;
        let writing = join_all(writers.iter_mut().zip(sockets).map(|(writer, socket)| writer.write(cycle, socket)));
        let kill = async {
            tokio::time::sleep(Duration::from_millis(u64::try_from(20 + dice.below(1500)).unwrap())).await;
            process.kill_9();
        };
        tokio::join!(writing, kill);
        process.start().await;
        // All of them at the end, some of them every time.
        let some = writers.iter_mut().enumerate().filter(|(n, _)| n % 10 == cycle % 10 || cycle + 1 == cycles);
        join_all(some.map(|(_, writer)| writer.check())).await;
    }
    let acked: usize = writers.iter().map(|writer| writer.acked).sum();
    assert!(acked > cycles * 10, "only {acked} writes were acknowledged in {cycles} cycles");
    assert!(writers.iter().all(|writer| writer.acked > 0), "somebody was never acknowledged");
    chaos::figure("R1", &format!("{db}: {cycles} kills of a hub with 50 writers, {acked} acknowledged, none lost"));
}

/// Histories on each database, each with one kill while it is played.
const HISTORIES: usize = 5;
const SIZE: Size = Size { threads: 2, ops_per_client: 10 };

#[test]
fn histories_with_a_kill_are_linearizable_sqlite() {
    block_on(histories_with_a_kill(Db::Sqlite));
}

#[test]
fn histories_with_a_kill_are_linearizable_postgres() {
    block_on(histories_with_a_kill(Db::Postgres));
}

async fn histories_with_a_kill(db: Db) {
    let Some(mut process) = ProcessHub::fresh(db).await else { return };
    let hub = process.hub.clone();
    let stage = Stage::new(&hub, &hub).await;
    let (mut dice, histories) = (Dice::new(12), chaos::times(HISTORIES));
    for seed in 1..=histories {
        let kill = async {
            tokio::time::sleep(Duration::from_millis(u64::try_from(20 + dice.below(200)).unwrap())).await;
            process.kill_9();
            process.start().await;
        };
        let history = stage.play_through(u64::try_from(seed).unwrap(), SIZE, kill).await;
        let flaws = check(&history);
        assert!(flaws.is_empty(), "history {seed}: {flaws:#?}");
    }
    chaos::figure("R12", &format!("{db}: {histories} histories with a kill -9 in each"));
}
