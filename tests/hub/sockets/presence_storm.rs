//! Too many bots come and go to tell everybody at once: it is told later, and what everybody believes in the end is
//! what the list of bots says.

use std::collections::HashMap;

use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    everybody_learns_who_stayed with little_presence,
    who_was_seen_in_between_is_told_gone with least_presence,
    who_resumes_in_between_is_told_the_rest with least_presence,
    who_comes_later_asks_how_things_are with least_presence,
    a_bot_deleted_in_between_is_only_told_gone with least_presence,
    an_organisation_may_go_while_something_waits with least_presence,
}

/// Enough for a few bots at once, and then for some more each second.
fn little_presence(config: &mut Config) {
    config.sockets.presence_per_second = 300;
}

/// Three bots are already too many, and then it takes a second or two from one to the next.
fn least_presence(config: &mut Config) {
    config.sockets.presence_per_second = 30;
}

/// A client that believes the list of bots as it was when it came, and then what it is told.
struct Watcher {
    bot: Bot,
    socket: Socket,
    online: HashMap<String, bool>,
    /// All presence it was told: kind and bot.
    heard: Vec<(String, String)>,
    seq: i64,
    epoch: String,
}

impl Watcher {
    async fn open(bot: &Bot) -> Self {
        let socket = bot.socket().await;
        let online = listed(bot).await;
        Self { bot: bot.clone(), socket, online, heard: Vec::new(), seq: 0, epoch: String::new() }
    }

    /// Goes, and comes back with what it knows.
    async fn resume(self) -> Self {
        goes(&self.bot, self.socket).await;
        let query = format!("?ticket={}&epoch={}&since_seq={}", self.bot.ws_ticket().await, self.epoch, self.seq);
        let mut socket = Socket::connect(&self.bot.hub, &query).await;
        assert_eq!(socket.next("resumed").await["resumed"], true);
        Self { socket, ..self }
    }

    fn hear(&mut self, frame: &Value) {
        let kind = frame.text("type");
        if kind != "bot_online" && kind != "bot_offline" {
            return;
        }
        assert!(self.seq < frame.int("seq"), "{frame} after {}", self.seq);
        (self.seq, self.epoch) = (frame.int("seq"), frame.text("epoch"));
        let id = frame["bot"].text("id");
        assert_ne!(id, self.bot.id, "nobody is told of themselves");
        self.online.insert(id.clone(), kind == "bot_online");
        self.heard.push((kind, id));
    }

    /// What it was told of this bot.
    fn told_of(&self, bot: &Bot) -> Vec<&str> {
        self.heard.iter().filter(|(_, id)| *id == bot.id).map(|(kind, _)| kind.as_str()).collect()
    }

    /// Takes in what has arrived once nothing waits any more.
    async fn settle(&mut self) {
        let waits =
            || async { !self.bot.hub.anonymous().get("/metrics").await.text.contains("\nhub_presence_waiting 0\n") };
        eventually(waits, |waits| !waits).await;
        self.socket.everything().await.iter().for_each(|frame| self.hear(frame));
    }

    /// Then it believes what is true.
    async fn is_right(&mut self) {
        self.settle().await;
        let mut truth = listed(&self.bot).await;
        truth.remove(&self.bot.id);
        self.online.remove(&self.bot.id);
        assert_eq!(self.online, truth);
    }
}

/// Who is online, as the list says.
async fn listed(bot: &Bot) -> HashMap<String, bool> {
    let bots = bot.get("/api/bots").await.list();
    bots.iter().map(|bot| (bot.text("id"), bot["online"] == true)).collect()
}

async fn goes(bot: &Bot, socket: Socket) {
    socket.close().await;
    let gone = || async { listed(bot).await[&bot.id] };
    eventually(gone, |online| !online).await;
}

async fn open(bots: &[Bot]) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for bot in bots {
        sockets.push(bot.socket().await);
    }
    sockets
}

async fn everybody_learns_who_stayed(hub: TestHub) {
    let org = hub.with_org("a").await;
    let mut watchers = Vec::new();
    for n in 0..16 {
        watchers.push(Watcher::open(&org.bot(&format!("stays-{n}")).await).await);
        if n % 4 == 0 {
            let restless = org.bot(&format!("restless-{n}")).await;
            goes(&restless, restless.socket().await).await;
            let again = Watcher::open(&restless).await;
            if n % 8 == 0 {
                watchers.push(again);
            } else {
                goes(&restless, again.socket).await;
            }
        }
    }
    for watcher in &mut watchers {
        watcher.is_right().await;
        // Those who stay and two of the restless ones, but for who watches.
        assert_eq!(watcher.online.values().filter(|online| **online).count(), 16 + 2 - 1);
    }
}

/// That it came need never be told; but who has asked in between knows it as online and has to hear that it went.
async fn who_was_seen_in_between_is_told_gone(hub: TestHub) {
    let [ada, bob, cleo, dora, visitor] = hub.with_org("a").await.bots(["ada", "bob", "cleo", "dora", "visitor"]).await;
    let mut first = Watcher::open(&ada).await;
    let others = open(&[bob, cleo, dora]).await;
    let socket = visitor.socket().await;
    first.online = listed(&ada).await;
    assert!(first.online[&visitor.id]);
    goes(&visitor, socket).await;
    first.is_right().await;
    assert_eq!(first.told_of(&visitor).last(), Some(&"bot_offline"));
    drop(others);
}

async fn who_resumes_in_between_is_told_the_rest(hub: TestHub) {
    let bots = hub.with_org("a").await.bots(["ada", "bob", "cleo", "dora", "emil", "finn"]).await;
    let mut first = Watcher::open(&bots[0]).await;
    // From here on it never asks again.
    let mut others = open(&bots[1..2]).await;
    let told = first.socket.next("bot_online").await;
    first.hear(&told);
    others.extend(open(&bots[2..]).await);
    let mut first = first.resume().await;
    first.is_right().await;
    assert_eq!(first.online.values().filter(|online| **online).count(), 5);
    for bot in &bots[1..] {
        assert_eq!(first.told_of(bot), ["bot_online"]);
    }
}

async fn who_comes_later_asks_how_things_are(hub: TestHub) {
    let [ada, bob, cleo, dora, emil, late] =
        hub.with_org("a").await.bots(["ada", "bob", "cleo", "dora", "emil", "late"]).await;
    let earlier = [ada, bob, cleo, dora, emil];
    let others = open(&earlier).await;
    let mut late = Watcher::open(&late).await;
    late.is_right().await;
    for bot in &earlier {
        assert!(late.told_of(bot).is_empty(), "{:?}", late.heard);
    }
    drop(others);
}

async fn a_bot_deleted_in_between_is_only_told_gone(hub: TestHub) {
    let [ada, bob, cleo, dora, deleted] = hub.with_org("a").await.bots(["ada", "bob", "cleo", "dora", "deleted"]).await;
    let mut first = Watcher::open(&ada).await;
    let others = open(&[bob, cleo, dora, deleted.clone()]).await;
    deleted.delete("/api/me").await.ok();
    first.settle().await;
    assert_eq!(first.told_of(&deleted).last(), Some(&"bot_offline"), "{:?}", first.heard);
    drop(others);
}

async fn an_organisation_may_go_while_something_waits(hub: TestHub) {
    let org = hub.with_org("a").await;
    let mut others = open(&org.bots(["ada", "bob", "cleo", "dora", "emil"]).await).await;
    hub.super_admin().await.delete(format!("/api/orgs/{}", org.id)).await.status(204);
    for socket in &mut others {
        assert_eq!(socket.closed().await, 4101);
    }
    // Others are still told, at once and later.
    let [ada, bob, cleo, dora] = hub.with_org("b").await.bots(["ada", "bob", "cleo", "dora"]).await;
    let mut first = Watcher::open(&ada).await;
    let others = open(&[bob, cleo, dora]).await;
    first.is_right().await;
    assert_eq!(first.heard.len(), 3);
    drop(others);
}
