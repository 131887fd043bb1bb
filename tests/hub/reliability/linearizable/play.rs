//! Many clients, some by REST and some by socket, at a few threads at once, and everything they saw written down.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Mutex;

use super::history::*;
use crate::harness::*;

/// Random choices that a seed repeats.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 33) % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// How much happens in one history.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub threads: usize,
    pub ops_per_client: usize,
}

/// The bots that play on one hub, one history after the other.
pub struct Stage {
    /// Those who speak, as the clients reach them: perhaps through a network that fails.
    speakers: Vec<Bot>,
    /// Opens the threads and has the last word; always on the straight way, like the next.
    host: Bot,
    /// Takes part in everything and says nothing.
    silent: Bot,
    clients: Vec<Mutex<Client>>,
    began: Instant,
}

/// One client: by socket if it has one.
struct Client {
    bot: Bot,
    by_socket: bool,
    socket: Option<Socket>,
    /// The newest revision it knows, by thread.
    known: Vec<i64>,
}

const SPEAKERS: usize = 5;
const CLIENTS: usize = 20;

/// What all clients of one history share.
struct Run<'a> {
    stage: &'a Stage,
    threads: Vec<Value>,
    records: RefCell<Vec<Record>>,
    is_over: Cell<bool>,
}

impl Stage {
    /// Five bots behind twenty clients; `way` is how those reach the hub.
    pub async fn new(hub: &TestHub, way: &TestHub) -> Self {
        let org = hub.with_org("linear").await;
        let generous = json!({"messages_per_minute_per_bot": 1_000_000, "threads_per_hour_per_bot": 1_000_000});
        org.settings(generous).await.ok();
        let mut speakers = Vec::new();
        for n in 0..SPEAKERS {
            let bot = org.bot(&format!("bot{n}")).await;
            speakers.push(bot.by(Caller::bearer(way, bot.secret())));
        }
        let [host, silent] = org.bots(["host", "silent"]).await;
        let client = |n: usize| {
            let bot = speakers[n % SPEAKERS].clone();
            Mutex::new(Client { bot, by_socket: n % 3 == 1, socket: None, known: Vec::new() })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { speakers, host, silent, clients, began: Instant::now() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap()
    }

    /// Plays one history on new threads.
    pub async fn play(&self, seed: u64, size: Size) -> History {
        self.play_through(seed, size, async {}).await
    }

    /// Plays one history while `trouble` goes on, which must be over when it ends.
    pub async fn play_through(&self, seed: u64, size: Size, trouble: impl Future<Output = ()>) -> History {
        let since = now_ms() - 1;
        let mut threads = Vec::new();
        for n in 0..size.threads {
            let participants: Vec<&Bot> = self.speakers.iter().chain([&self.silent]).collect();
            threads.push(self.host.thread(&format!("{seed}.{n}"), &participants).await);
        }
        let run = Run { stage: self, threads, records: RefCell::default(), is_over: Cell::new(false) };
        for thread in 0..size.threads {
            let first = Action::Version { key: "k".to_owned(), content: format!("{seed}.{thread}.k") };
            let answer = self.host.artifact_add(&run.threads[thread], version_body(&first)).await.ok();
            run.note(CLIENTS, thread, first, run.now(), Outcome::Ok(Given::Version(answer.int("version"))));
        }
        let clients = async {
            tokio::join!(join_all((0..CLIENTS).map(|n| run.client(n, seed, size))), trouble);
            run.conclude(seed).await;
        };
        let (mut first, mut second) = (Vec::new(), Vec::new());
        tokio::join!(clients, run.observe(&self.silent, &mut first), run.observe(&self.speakers[0], &mut second));
        let mut observers = vec![first, second];
        for client in &self.clients {
            observers.extend(run.overheard(&mut *client.lock().await).await);
        }
        let (mut ends, mut told) = (Vec::new(), Vec::new());
        for thread in &run.threads {
            ends.push([run.end(thread).await, run.end(thread).await]);
        }
        let missed = missed(&self.silent, since).await;
        told.extend(run.threads.iter().map(|thread| told_of(thread, &missed)));
        History { records: run.records.into_inner(), observers, ends, told }
    }
}

impl Run<'_> {
    fn now(&self) -> u64 {
        self.stage.now()
    }

    fn note(&self, client: usize, thread: usize, action: Action, invoked: u64, outcome: Outcome) {
        let returned = self.now();
        self.records.borrow_mut().push(Record { client, thread, action, invoked, returned, outcome });
    }

    async fn client(&self, n: usize, seed: u64, size: Size) {
        let mut dice = Dice::new(seed * 1000 + u64::try_from(n).unwrap());
        let mut client = self.stage.clients[n].lock().await;
        client.known = vec![1; size.threads];
        for op in 0..size.ops_per_client {
            // Most of the crowd is at the first thread.
            let thread = if dice.below(10) < 6 { 0 } else { dice.below(size.threads) };
            let action = choose(&mut dice, &format!("{seed}.{n}.{op}"), client.known[thread]);
            let invoked = self.now();
            let mut outcome = client.act(&self.threads[thread], &action).await;
            // What has a key can be asked again until there is an answer.
            for _ in 0..20 {
                if outcome != Outcome::Unknown || !matches!(action, Action::Say(_)) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                outcome = client.act(&self.threads[thread], &action).await;
            }
            match &outcome {
                Outcome::Ok(Given::Revision(revision) | Given::Thread { revision, .. }) => {
                    client.known[thread] = *revision;
                }
                Outcome::Unknown => tokio::time::sleep(Duration::from_millis(20)).await,
                _ => {}
            }
            self.note(n, thread, action, invoked, outcome);
        }
    }

    /// Last words in every thread, so that observers know when they have heard all. After trouble it takes a moment
    /// until the hub is well again.
    async fn conclude(&self, seed: u64) {
        let host = &self.stage.host;
        for (n, thread) in self.threads.iter().enumerate() {
            let now = eventually(|| async { host.thread_get(thread).await }, |reply| reply.status == 200).await;
            if ["resolved", "closed"].contains(&now.body.text("status").as_str()) {
                let action = Action::Update { base: None, status: Some("active".to_owned()) };
                let invoked = self.now();
                let reply =
                    eventually(|| async { host.status(thread, "active").await }, |reply| reply.status != 503).await;
                self.note(CLIENTS, n, action, invoked, Outcome::Ok(Given::Revision(reply.ok().int("revision"))));
            }
            let (invoked, content) = (self.now(), format!("{seed}.{n} end"));
            let say =
                || async { host.say(thread, &content).header("idempotency-key", content.replace(' ', "-")).await };
            let id = eventually(say, |reply| reply.status != 503).await.ok().text("id");
            self.note(CLIENTS, n, Action::Say(content), invoked, Outcome::Ok(Given::Message(id)));
        }
        self.is_over.set(true);
    }

    /// Listens until the last words of every thread are heard, and reads a thread after some of the events.
    async fn observe(&self, bot: &Bot, seen: &mut Vec<Seen>) {
        let (mut socket, mut ended) = (None, 0);
        while ended < self.threads.len() {
            if socket.is_none() {
                socket = bot.try_socket().await;
            }
            let Some(open) = &mut socket else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if self.is_over.get() {
                    return;
                }
                continue;
            };
            match open.arrival(Duration::from_secs(1)).await {
                Ok(Some(frame)) => {
                    let Some(event) = self.seen(&frame, self.now()) else { continue };
                    let thread = event.thread;
                    ended += usize::from(matches!(&event.what, What::Message(m) if m.content.ends_with(" end")));
                    seen.push(event);
                    if seen.len().is_multiple_of(16) {
                        self.look(bot, thread).await;
                    }
                }
                Ok(None) if self.is_over.get() => return,
                Ok(None) => {}
                Err(_) => socket = None,
            }
        }
    }

    async fn look(&self, bot: &Bot, thread: usize) {
        let invoked = self.now();
        let page = bot.messages(&self.threads[thread], "?limit=200").attempt().await;
        let outcome = outcome(page, |reply| Given::Messages(messages(reply)));
        self.note(CLIENTS + 1, thread, Action::ReadMessages, invoked, outcome);
    }

    /// What a client's socket heard beside its answers; when exactly is not known.
    async fn overheard(&self, client: &mut Client) -> Option<Vec<Seen>> {
        let frames = client.socket.as_mut()?.try_drain().await;
        if frames.is_none() {
            client.socket = None;
        }
        Some(frames?.iter().filter_map(|frame| self.seen(frame, u64::MAX - 1)).collect())
    }

    fn seen(&self, frame: &Value, at: u64) -> Option<Seen> {
        let (kind, seq) = (frame["type"].as_str()?, frame["seq"].as_i64()?);
        let epoch = frame.text("epoch");
        let (id, what) = match kind {
            "thread_message" => (&frame["thread_id"], What::Message(message(&frame["message"]))),
            "thread_updated" => {
                let thread = &frame["thread"];
                (&thread["id"], What::Thread { revision: thread.int("revision"), status: thread.text("status") })
            }
            "thread_artifact" => {
                let artifact = &frame["artifact"];
                let (key, content) = (artifact.text("artifact_key"), artifact.text("content"));
                (&frame["thread_id"], What::Version { key, version: artifact.int("version"), content })
            }
            _ => return None,
        };
        let thread = self.threads.iter().position(|thread| thread["id"] == *id)?;
        Some(Seen { at, epoch, seq, thread, what })
    }

    async fn end(&self, thread: &Value) -> End {
        let bot = &self.stage.silent;
        let mut newest_first: Vec<Message> = bot.all_messages(thread).await.iter().map(message).collect();
        newest_first.reverse();
        let now = bot.thread_get(thread).await.ok();
        let mut end = End { messages: newest_first, revision: now.int("revision"), ..End::default() };
        end.status = now.text("status");
        for artifact in bot.artifacts(thread).await.list() {
            let key = artifact.text("artifact_key");
            let mut versions: Vec<(i64, String)> =
                bot.versions(thread, &key).await.list().iter().map(|v| (v.int("version"), v.text("content"))).collect();
            versions.sort_unstable();
            end.versions.insert(key, versions);
        }
        end
    }
}

/// What a client does next: mostly it speaks, sometimes it reads or changes something.
fn choose(dice: &mut Dice, name: &str, known: i64) -> Action {
    let base = (dice.below(3) > 0).then_some(known);
    match dice.below(20) {
        0..=9 => Action::Say(name.to_owned()),
        10 | 11 => Action::Update { base, status: None },
        12 => Action::Update { base, status: Some("active".to_owned()) },
        13 => {
            let status = ["blocked", "reviewing", "reviewing", "resolved", "closed"][dice.below(5)];
            Action::Update { base, status: Some(status.to_owned()) }
        }
        14 | 15 => Action::Version { key: "k".to_owned(), content: name.to_owned() },
        16 => Action::Version { key: format!("k{}", dice.below(2)), content: name.to_owned() },
        17 | 18 => Action::ReadThread,
        _ => Action::ReadMessages,
    }
}

fn version_body(action: &Action) -> Value {
    let Action::Version { key, content } = action else { panic!("not a version: {action:?}") };
    json!({"artifact_key": key, "content": content})
}

fn update_body(status: Option<&str>) -> Value {
    match status {
        Some("closed") => json!({"status": "closed", "close_reason": "manual"}),
        Some(status) => json!({"status": status}),
        None => json!({"topic": uuid::Uuid::new_v4().to_string()}),
    }
}

impl Client {
    async fn act(&mut self, thread: &Value, action: &Action) -> Outcome {
        let is_read = matches!(action, Action::ReadMessages | Action::ReadThread);
        if self.by_socket && !is_read {
            return self.by_socket(thread, action).await;
        }
        let bot = &self.bot;
        match action {
            Action::Say(content) => {
                let call = bot.say(thread, content).header("idempotency-key", content);
                outcome(call.attempt().await, |reply| Given::Message(reply.text("id")))
            }
            Action::Update { base, status } => {
                let patch = bot.thread_patch(thread, update_body(status.as_deref()));
                let patch = match base {
                    Some(base) => patch.if_match(base),
                    None => patch,
                };
                outcome(patch.attempt().await, |reply| Given::Revision(reply.int("revision")))
            }
            Action::Version { key, .. } => {
                let body = version_body(action);
                let call = match key.as_str() {
                    "k" => bot.artifact_update(thread, key, body),
                    _ => bot.artifact_add(thread, body),
                };
                outcome(call.attempt().await, |reply| Given::Version(reply.int("version")))
            }
            Action::ReadMessages => {
                let page = bot.messages(thread, "?limit=200").attempt().await;
                outcome(page, |reply| Given::Messages(messages(reply)))
            }
            Action::ReadThread => outcome(bot.thread_get(thread).attempt().await, |reply| Given::Thread {
                revision: reply.int("revision"),
                status: reply.text("status"),
            }),
        }
    }

    async fn by_socket(&mut self, thread: &Value, action: &Action) -> Outcome {
        let mut frame = match action {
            Action::Say(content) => json!({"type": "send_thread_message", "content": content, "client_id": content}),
            Action::Update { base, status } => {
                let mut frame = update_body(status.as_deref());
                frame["type"] = json!("thread_update");
                if let Some(base) = base {
                    frame["expected_revision"] = json!(base);
                }
                frame
            }
            _ => {
                let mut frame = version_body(action);
                let kind = if frame["artifact_key"] == "k" { "artifact_update" } else { "artifact_add" };
                frame["type"] = json!(kind);
                frame
            }
        };
        frame["thread_id"] = thread["id"].clone();
        if self.socket.is_none() {
            self.socket = self.bot.try_socket().await;
        }
        let answer = match &mut self.socket {
            Some(socket) => socket.attempt(frame).await,
            None => None,
        };
        let Some(answer) = answer else {
            self.socket = None;
            return Outcome::Unknown;
        };
        if answer.0["type"] == "error" {
            return refusal(answer.0["code"].as_str().unwrap_or_default());
        }
        let result = answer.ack();
        Outcome::Ok(match action {
            Action::Say(_) => Given::Message(result.text("message_id")),
            Action::Update { .. } => Given::Revision(result.int("revision")),
            _ => Given::Version(result.int("version")),
        })
    }
}

fn outcome(reply: Option<Reply>, answer: impl FnOnce(&Value) -> Given) -> Outcome {
    match reply {
        Some(reply) if (200..300).contains(&reply.status) => Outcome::Ok(answer(&reply.body)),
        Some(reply) => refusal(reply.body["code"].as_str().unwrap_or_default()),
        None => Outcome::Unknown,
    }
}

/// A hub whose database is away may not know what became of a change.
fn refusal(code: &str) -> Outcome {
    assert!(!["", "INTERNAL_ERROR", "VALIDATION_ERROR"].contains(&code), "refused with `{code}`");
    let is_open = ["UNAVAILABLE", "IDEMPOTENCY_IN_PROGRESS"].contains(&code);
    if is_open { Outcome::Unknown } else { Outcome::Refused(code.to_owned()) }
}

fn message(value: &Value) -> Message {
    Message { id: value.text("id"), content: value.text("content"), created_at: value.int("created_at") }
}

fn messages(page: &Value) -> Vec<Message> {
    page.as_array().unwrap().iter().map(message).collect()
}

async fn missed(bot: &Bot, since: i64) -> Vec<Value> {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bot.catchup(&format!("?since={since}&limit=200{cursor}")).await.ok();
        events.extend(page.items("events").iter().cloned());
        match page["cursor"].as_str() {
            Some(next) if page["has_more"] == true => cursor = format!("&cursor={next}"),
            _ => return events,
        }
    }
}

fn told_of(thread: &Value, missed: &[Value]) -> Told {
    let mut told = Told::default();
    for event in missed.iter().filter(|event| event["thread_id"] == thread["id"]) {
        match event["type"].as_str().unwrap() {
            "thread_message_summary" => told.messages = event.int("count"),
            "thread_artifact_added" => {
                told.version = Some((event.text("artifact_key"), event.int("version")));
            }
            "thread_status_changed" => told.statuses.push((event.text("from"), event.text("to"))),
            _ => {}
        }
    }
    told
}
