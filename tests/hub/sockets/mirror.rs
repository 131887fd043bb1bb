//! Events tell the whole story: a client that only listens knows what a fresh read would tell it.
//!
//! Random operations change a thread, and now and then the organisation around it; a participant who does none of them
//! keeps a picture of it all from the events it hears, and after each sequence the picture is compared with what REST says.
//! Every kind of event that the protocol names must have come, with the fields that it documents and no others.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join;

use crate::harness::*;
use crate::reliability::linearizable::Dice;

/// Half of the sequences on each database.
const SEQUENCES: usize = 250;
const LENGTH: usize = 50;

#[test]
fn what_is_heard_is_what_is_there_sqlite() {
    run(Db::Sqlite, &[], |hub| what_is_heard_is_what_is_there(hub, Db::Sqlite));
}

#[test]
fn what_is_heard_is_what_is_there_postgres() {
    run(Db::Postgres, &[], |hub| what_is_heard_is_what_is_there(hub, Db::Postgres));
}

/// What a listener knows of a thread.
#[derive(Debug, Default, PartialEq)]
struct Picture {
    /// The thread's own fields, but for those that every message or join moves.
    thread: BTreeMap<String, Value>,
    participants: BTreeSet<String>,
    /// Requests to join that wait for an answer.
    requests: BTreeSet<String>,
    messages: Vec<Value>,
    /// Every version by key and number.
    artifacts: BTreeMap<(String, i64), Value>,
}

/// What an admin's change of the status moves without telling.
const UNTOLD: [&str; 2] = ["close_reason", "resolved_at"];

impl Picture {
    /// Without what the event of an admin's change does not tell; clients that show it read the thread.
    fn told(mut self, by_admin: bool) -> Self {
        if by_admin {
            self.thread.retain(|name, _| !UNTOLD.contains(&name.as_str()));
        }
        self
    }

    fn draw(&mut self, thread: &Value) {
        // Joining counts the revision up and is told as an event of its own.
        const MOVING: [&str; 5] = ["last_activity_at", "updated_at", "revision", "participants", "participant_count"];
        let fields = thread.as_object().unwrap().iter().filter(|(name, _)| !MOVING.contains(&name.as_str()));
        self.thread = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
    }

    async fn read(bot: &Bot, thread: &Value) -> Self {
        let mut picture = Self::default();
        let read = bot.thread_get(thread).await.ok();
        picture.draw(&read);
        picture.participants = read.items("participants").iter().map(|entry| entry.text("bot_id")).collect();
        let waiting = bot.join_requests(thread).await.list();
        picture.requests = waiting.iter().map(|request| request.text("id")).collect();
        picture.messages = bot.messages(thread, "?limit=200").await.list();
        for artifact in bot.artifacts(thread).await.list() {
            let key = artifact.text("artifact_key");
            for version in bot.versions(thread, &key).await.list() {
                picture.artifacts.insert((key.clone(), version.int("version")), version);
            }
        }
        picture
    }
}

/// A bot as others see it.
#[derive(Debug, Clone, PartialEq)]
struct Member {
    name: String,
    join_status: String,
    online: bool,
}

/// What a listener knows of its organisation.
#[derive(Debug, Default, PartialEq)]
struct Surroundings {
    bots: BTreeMap<String, Member>,
    /// Contents of direct messages by channel, oldest first.
    channels: BTreeMap<String, Vec<String>>,
    /// States of what the listener asked people.
    asked: BTreeMap<String, String>,
}

impl Surroundings {
    async fn read(bot: &Bot) -> Self {
        let mut read = Self::default();
        for member in bot.get("/api/bots").await.list() {
            let known = Member {
                name: member.text("name"),
                join_status: member.text("join_status"),
                online: member["online"] == true,
            };
            read.bots.insert(member.text("id"), known);
        }
        for channel in bot.channels().await.list() {
            let mut messages = bot.all_channel_messages(&channel.text("id")).await;
            messages.reverse();
            let contents = messages.iter().map(|message| message.text("content")).collect();
            read.channels.insert(channel.text("id"), contents);
        }
        for request in bot.requests("?limit=1000").await.ok().items("requests") {
            read.asked.insert(request.text("request_id"), request.text("state"));
        }
        read
    }

    #[track_caller]
    fn bot(&mut self, id: &str) -> &mut Member {
        self.bots.get_mut(id).unwrap_or_else(|| panic!("nobody told of {id}"))
    }
}

/// Somebody who only listens.
struct Listener {
    bot: Bot,
    socket: Socket,
    documented: BTreeMap<String, Documented>,
    picture: Picture,
    /// Whether the newest change of status was an admin's.
    by_admin: bool,
    around: Surroundings,
    heard: BTreeMap<String, usize>,
}

impl Listener {
    async fn new(bot: Bot) -> Self {
        let mut socket = bot.socket().await;
        socket.everything().await;
        let around = Surroundings::read(&bot).await;
        let (documented, picture) = (documented(), Picture::default());
        Self { bot, socket, documented, picture, by_admin: false, around, heard: BTreeMap::new() }
    }

    /// Hears everything that has come.
    async fn listen(&mut self) {
        for event in self.socket.everything().await {
            self.hear(&event);
        }
    }

    /// Waits for the event of something that nobody is answered for.
    async fn wait_for(&mut self, kind: &str) {
        let event = self.socket.next(kind).await;
        self.hear(&event);
    }

    fn hear(&mut self, event: &Value) {
        let kind = event.text("type");
        self.documented.get(&kind).unwrap_or_else(|| panic!("not documented: {event}")).check(event);
        self.hear_of_thread(&kind, event);
        *self.heard.entry(kind).or_default() += 1;
    }

    fn hear_of_thread(&mut self, kind: &str, event: &Value) {
        let picture = &mut self.picture;
        match kind {
            "thread_created" | "thread_updated" => {
                picture.draw(&event["thread"]);
                self.by_admin = false;
            }
            "thread_message" => picture.messages.push(event["message"].clone()),
            "thread_artifact" => {
                let artifact = &event["artifact"];
                let key = (artifact.text("artifact_key"), artifact.int("version"));
                assert!(picture.artifacts.insert(key, artifact.clone()).is_none(), "told twice: {event}");
            }
            "thread_participant" => {
                let bot = event.text("bot_id");
                let is_new = match event["action"].as_str().unwrap() {
                    "joined" => picture.participants.insert(bot),
                    "left" => picture.participants.remove(&bot),
                    other => panic!("an unknown action {other}"),
                };
                assert!(is_new, "changed nothing: {event}");
            }
            "thread_status_changed" => {
                assert_ne!(event["from"], event["to"], "{event}");
                let before = picture.thread.insert("status".to_owned(), event["to"].clone());
                assert_eq!(before.as_ref(), Some(&event["from"]), "{event}");
                self.by_admin = true;
            }
            "thread_join_request" => {
                assert!(picture.requests.insert(event.text("request_id")), "told twice: {event}");
            }
            "thread_join_resolved" => {
                assert!(picture.requests.remove(&event.text("request_id")), "nobody had asked: {event}");
            }
            _ => self.hear_of_organisation(kind, event),
        }
    }

    fn hear_of_organisation(&mut self, kind: &str, event: &Value) {
        let around = &mut self.around;
        match kind {
            "message" => {
                let channel = around.channels.get_mut(&event.text("channel_id")).expect("a channel that was told of");
                channel.push(event["message"].text("content"));
            }
            "channel_created" => {
                let is_new = around.channels.insert(event["channel"].text("id"), Vec::new()).is_none();
                assert!(is_new, "told twice: {event}");
            }
            "bot_online" => around.bot(&event["bot"].text("id")).online = true,
            "bot_offline" => around.bot(&event["bot"].text("id")).online = false,
            "bot_registered" => {
                let bot = &event["bot"];
                let member = Member { name: bot.text("name"), join_status: bot.text("join_status"), online: false };
                assert!(around.bots.insert(bot.text("id"), member).is_none(), "told twice: {event}");
            }
            "bot_renamed" => {
                let bot = around.bot(&event.text("bot_id"));
                assert_eq!(bot.name, event.text("old_name"));
                bot.name = event.text("new_name");
            }
            "bot_status_changed" => {
                let bot = around.bot(&event.text("bot_id"));
                assert_eq!(bot.join_status, event.text("previous_status"));
                bot.join_status = event.text("join_status");
            }
            "bot_join_request" => {
                let told = &event["bot"];
                let is_known = around.bots.get(&told.text("id")).is_none_or(|bot| bot.join_status == "pending");
                assert!(is_known, "does not wait: {event}");
            }
            "coordination_request" => {
                let before = around.asked.insert(event.text("request_id"), event.text("state"));
                assert_ne!(before, Some(event.text("state")), "changed nothing: {event}");
            }
            other => panic!("an event that nobody drew: {other}"),
        }
    }
}

/// The fields of an event, as the protocol's document lists them.
struct Documented {
    fields: BTreeSet<String>,
    optional: BTreeSet<String>,
}

impl Documented {
    #[track_caller]
    fn check(&self, event: &Value) {
        let keys: BTreeSet<String> = event.keys().into_iter().map(str::to_owned).collect();
        let missing: Vec<_> = self.fields.difference(&keys).collect();
        let invented: Vec<_> =
            keys.iter().filter(|key| !self.fields.contains(*key) && !self.optional.contains(*key)).collect();
        assert!(missing.is_empty() && invented.is_empty(), "without {missing:?}, with {invented:?}: {event}");
    }
}

/// Reads the table of events: names of fields before commas, with `?` when optional; braces and brackets explain.
fn documented() -> BTreeMap<String, Documented> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/PROTOCOL.md")).unwrap();
    let section = text.split("\n### Events\n").nth(1).unwrap().split("\n### ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells = row.split('|').map(str::trim);
        let kind = cells.next().unwrap().trim_end_matches('`').to_owned();
        let (mut depth, mut plain) = (0, String::new());
        for letter in cells.next().unwrap().chars() {
            match letter {
                '(' | '{' => depth += 1,
                ')' | '}' => depth -= 1,
                letter if depth == 0 => plain.push(letter),
                _ => {}
            }
        }
        let names = plain.split(',').map(str::trim).chain(["type", "seq", "epoch"]);
        let (optional, fields): (Vec<&str>, Vec<&str>) = names.partition(|name| name.ends_with('?'));
        let optional = optional.iter().map(|name| name.trim_end_matches('?').to_owned()).collect();
        (kind, Documented { fields: fields.into_iter().map(str::to_owned).collect(), optional })
    })
    .collect()
}

/// Those who act.
struct Cast {
    org: Org,
    ada: Bot,
    bob: Bot,
    cleo: Bot,
    /// Of ada and bob.
    sockets: [Socket; 2],
    dice: Dice,
}

async fn what_is_heard_is_what_is_there(hub: TestHub, db: Db) {
    let org = hub.with_org("a").await;
    let generous = json!({"messages_per_minute_per_bot": 1_000_000, "threads_per_hour_per_bot": 1_000_000});
    org.settings(generous).await.ok();
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let (bot, sockets) = (org.admin_bot("listener").await, [ada.socket().await, bob.socket().await]);
    let mut listener = Listener::new(bot).await;
    let mut cast = Cast { org, ada, bob, cleo, sockets, dice: Dice::new(14) };
    let sequences = chaos::times(SEQUENCES);
    for sequence in 0..sequences {
        let topic = format!("s{sequence}");
        listener.picture = Picture::default();
        let thread = cast.ada.thread(&topic, &[&cast.bob, &listener.bot]).await;
        cast.act(&thread).await;
        listener.listen().await;
        let picture = std::mem::take(&mut listener.picture).told(listener.by_admin);
        let read = Picture::read(&listener.bot, &thread).await.told(listener.by_admin);
        assert_eq!(picture, read, "sequence {sequence}");
        if sequence % 10 == 0 {
            cast.shake_up(&mut listener, sequence).await;
            assert_eq!(listener.around, Surroundings::read(&listener.bot).await, "sequence {sequence}");
        }
    }
    let kinds = |map: Vec<&String>| map.into_iter().cloned().collect::<Vec<_>>();
    let (heard, all) = (kinds(listener.heard.keys().collect()), kinds(listener.documented.keys().collect()));
    assert_eq!(heard, all, "every kind was heard");
    let (kinds, events) = (heard.len(), listener.heard.values().sum::<usize>());
    chaos::figure(
        "R14",
        &format!("{db}: {sequences} sequences of {LENGTH} operations, {events} events of all {kinds} kinds"),
    );
}

impl Cast {
    /// A sequence of operations; whether they are refused does not matter.
    async fn act(&mut self, thread: &Value) {
        let mut pending = [Vec::new(), Vec::new()];
        for n in 0..LENGTH {
            let who = self.dice.below(2);
            match self.frame(n) {
                Some(mut frame) => {
                    frame["thread_id"] = thread["id"].clone();
                    pending[who].push(self.sockets[who].start(frame).await);
                }
                None => self.act_by_rest(thread).await,
            }
        }
        let [one, two] = &mut self.sockets;
        join(settle(one, &pending[0]), settle(two, &pending[1])).await;
    }

    /// An operation of ada or bob on a socket, which does not wait for the one before.
    fn frame(&mut self, n: usize) -> Option<Value> {
        let update = |fields: Value| {
            let mut frame = fields;
            frame["type"] = json!("thread_update");
            frame
        };
        Some(match self.dice.below(18) {
            0..=5 => json!({"type": "send_thread_message", "content": format!("{n} @bob")}),
            6 => update(json!({"topic": format!("topic {n}")})),
            7 => update(json!({"context": {"n": n}, "tags": [format!("t{n}")]})),
            8 => update(json!({"status": (["blocked", "reviewing", "resolved"][self.dice.below(3)])})),
            9 => update(json!({"status": "closed", "close_reason": "manual"})),
            10 | 11 => update(json!({"status": "active"})),
            12 => {
                let key = format!("k{}", self.dice.below(2));
                json!({"type": "artifact_add", "artifact_key": key, "content": "{broken"})
            }
            13 => {
                json!({"type": "artifact_update", "artifact_key": "k0", "content": n.to_string(), "title": "t"})
            }
            14 => update(json!({"visibility": (["public", "members", "private"][self.dice.below(3)])})),
            15 => update(json!({"join_policy": (["open", "approval", "invite_only"][self.dice.below(3)])})),
            _ => return None,
        })
    }

    /// What cleo and the admin do.
    async fn act_by_rest(&mut self, thread: &Value) {
        let reply = match self.dice.below(5) {
            0 => self.ada.invite(thread, &self.cleo).await,
            1 => self.cleo.leave(thread).await,
            2 => {
                let status = ["active", "resolved", "closed"][self.dice.below(3)];
                let path = format!("/api/org/threads/{}", thread.id());
                self.org.patch(path, json!({"status": status})).await
            }
            _ => self.cleo.join(thread).await,
        };
        assert!(reply.status < 500, "{} answered {}", reply.what, reply.text);
    }

    /// Changes around the threads: somebody registers, perhaps waits for approval, speaks, is renamed, comes and goes.
    async fn shake_up(&mut self, listener: &mut Listener, n: usize) {
        let waits = self.dice.below(2) == 0;
        self.org.settings(json!({"join_approval_required": waits})).await.ok();
        let new = self.org.bot(&format!("new-{n}")).await;
        if waits {
            let verdict = ["active", "rejected"][self.dice.below(2)];
            self.org.patch(format!("/api/org/bots/{}/status", new.id), json!({"status": verdict})).await.ok();
        }
        new.send(&listener.bot, "hello").await;
        listener.bot.send(&self.ada, &format!("{n}")).await.ok();
        self.cleo.patch("/api/me/name", json!({"name": format!("cleo-{n}")})).await.ok();
        let guarded = json!({"topic": "g", "join_policy": "approval", "participants": [listener.bot.id]});
        let guarded = self.ada.thread_create(guarded).await.ok();
        let request = self.cleo.join(&guarded).await.status(202).text("request_id");
        self.ada.decide(&guarded, &request, ["approve", "reject"][self.dice.below(2)]).await.ok();
        let asked = listener.bot.asked().await;
        match self.dice.below(3) {
            0 => drop(self.org.respond(&asked, json!({"decision": "approved"})).await.ok()),
            1 => drop(listener.bot.cancel(&asked).await.ok()),
            _ => {}
        }
        let socket = self.cleo.socket().await;
        listener.picture = Picture::default();
        listener.listen().await;
        let guarded_now = Picture::read(&listener.bot, &guarded).await;
        assert_eq!(listener.picture, guarded_now, "a thread that was asked to let somebody in");
        assert_eq!(listener.around, Surroundings::read(&listener.bot).await, "while cleo is here");
        socket.close().await;
        listener.wait_for("bot_offline").await;
    }
}

/// Waits for every answer and forgets what else came.
async fn settle(socket: &mut Socket, references: &[Value]) {
    for reference in references {
        socket.answer(reference).await.unwrap_or_else(|why| panic!("no answer: {why}"));
    }
    socket.drain().await;
}
