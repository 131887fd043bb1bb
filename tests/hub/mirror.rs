//! Events tell the whole story: a client that only listens knows what a fresh read would tell it.
//!
//! Random operations change a thread; a participant who does none of them keeps a picture of the thread from the events
//! it hears, and after each sequence the picture is compared with what REST says.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::*;
use crate::linearizable::Dice;

on_both_databases! {
    what_is_heard_is_what_is_there,
}

/// Half of the sequences on each database.
const SEQUENCES: usize = 250;

/// What a listener knows of a thread.
#[derive(Debug, Default, PartialEq)]
struct Picture {
    /// The thread's own fields, but for those that every message or join moves.
    thread: BTreeMap<String, Value>,
    participants: BTreeSet<String>,
    messages: Vec<Value>,
    /// Every version by key and number.
    artifacts: BTreeMap<(String, i64), Value>,
}

impl Picture {
    fn draw(&mut self, thread: &Value) {
        // Joining counts the revision up and is told as an event of its own.
        const MOVING: [&str; 5] = ["last_activity_at", "updated_at", "revision", "participants", "participant_count"];
        let fields = thread.as_object().unwrap().iter().filter(|(name, _)| !MOVING.contains(&name.as_str()));
        self.thread = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
    }

    fn hear(&mut self, event: &Value) {
        match event["type"].as_str().unwrap() {
            "thread_created" | "thread_updated" => self.draw(&event["thread"]),
            "thread_message" => self.messages.push(event["message"].clone()),
            "thread_artifact" => {
                let artifact = &event["artifact"];
                let key = (artifact.text("artifact_key"), artifact.int("version"));
                assert!(self.artifacts.insert(key, artifact.clone()).is_none(), "told twice: {event}");
            }
            "thread_participant" => {
                let bot = event.text("bot_id");
                let is_new = match event["action"].as_str().unwrap() {
                    "joined" => self.participants.insert(bot),
                    "left" => self.participants.remove(&bot),
                    other => panic!("an unknown action {other}"),
                };
                assert!(is_new, "changed nothing: {event}");
            }
            other => panic!("an event that nobody drew: {other}"),
        }
    }

    async fn read(bot: &Bot, thread: &Value) -> Self {
        let mut picture = Self::default();
        let read = bot.thread_get(thread).await.ok();
        picture.draw(&read);
        picture.participants = read.items("participants").iter().map(|entry| entry.text("bot_id")).collect();
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

async fn what_is_heard_is_what_is_there(hub: TestHub) {
    let org = hub.with_org("a").await;
    let generous = json!({"messages_per_minute_per_bot": 1_000_000, "threads_per_hour_per_bot": 1_000_000});
    org.settings(generous).await.ok();
    let [x, y, z, listener] = org.bots(["x", "y", "z", "listener"]).await;
    let mut socket = listener.socket().await;
    let (mut dice, mut ops, mut kinds) = (Dice::new(14), 0, BTreeMap::<String, usize>::new());
    for sequence in 0..chaos::times(SEQUENCES) {
        let thread = x.thread(&format!("s{sequence}"), &[&y, &listener]).await;
        // Most sequences are short, a few are long.
        let length = if sequence % 25 == 0 { 50 } else { 1 + dice.below(9) };
        for op in 0..length {
            act(&mut dice, &thread, [&x, &y, &z], op).await;
        }
        ops += length;
        let mut picture = Picture::default();
        for event in socket.drain().await {
            *kinds.entry(event.text("type")).or_default() += 1;
            picture.hear(&event);
        }
        assert_eq!(picture, Picture::read(&listener, &thread).await, "sequence {sequence}");
    }
    let heard: Vec<&str> = kinds.keys().map(String::as_str).collect();
    let all = ["thread_artifact", "thread_created", "thread_message", "thread_participant", "thread_updated"];
    assert_eq!(heard, all, "every kind was heard");
    let sequences = chaos::times(SEQUENCES);
    chaos::figure("R14", &format!("{sequences} sequences, {ops} operations, {} events", kinds.values().sum::<usize>()));
}

/// One operation; whether it is refused does not matter.
async fn act(dice: &mut Dice, thread: &Value, [x, y, z]: [&Bot; 3], n: usize) {
    let bot = [x, y][dice.below(2)];
    let call = match dice.below(16) {
        0..=4 => bot.say(thread, &format!("{n} @y")),
        5 => bot.thread_patch(thread, json!({"topic": format!("topic {n}")})),
        6 => bot.thread_patch(thread, json!({"context": {"n": n}, "tags": [format!("t{n}")]})),
        7 => bot.status(thread, ["blocked", "reviewing", "resolved", "closed"][dice.below(4)]),
        8 | 9 => bot.status(thread, "active"),
        10 => bot.artifact_add(thread, json!({"artifact_key": format!("k{}", dice.below(2)), "content": "{broken"})),
        11 => bot.artifact_update(thread, "k0", json!({"content": n.to_string(), "title": "t"})),
        12 => bot.thread_patch(thread, json!({"visibility": (["public", "members", "private"][dice.below(3)])})),
        13 => x.invite(thread, z),
        14 => z.leave(thread),
        _ => z.join(thread),
    };
    let reply = call.await;
    assert!(reply.status < 500, "{} answered {}", reply.what, reply.text);
}
