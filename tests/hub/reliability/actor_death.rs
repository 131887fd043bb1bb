//! Whatever panics takes down nobody else: the call that it was about is refused, what was acknowledged stays, the next
//! call finds a fresh actor with the stored state, and a counter tells of it.
//!
//! The hub has no way to be told to panic. The clock that tests may replace does it: it looks who asks for the time and
//! panics there, once, when it was told to. Thread and organisation actors, sessions, webhooks and handlers all ask.

use std::backtrace::Backtrace;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;

use crate::harness::*;
use crate::webhooks::delivery::{hooked, quick, said};

/// Where a panic is wanted, by a name in the call stack there.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// As the counter calls it.
    label: &'static str,
    frame: &'static str,
}

const THREAD: Place = Place { label: "thread", frame: "ThreadActor" };
const ORG: Place = Place { label: "org", frame: "OrgActor" };
const SESSION: Place = Place { label: "session", frame: "SocketSession" };
const WEBHOOK: Place = Place { label: "webhook", frame: "webhooks::delivery_worker" };
const HANDLER: Place = Place { label: "handler", frame: "hxa_web::guard" };

/// The system's clock, until it is told to panic.
#[derive(Default)]
struct PanicInjector {
    /// Looked at first, because a call stack is expensive.
    is_armed: AtomicBool,
    target: Mutex<Option<Place>>,
}

impl PanicInjector {
    fn now(&self) -> i64 {
        // A thread that is panicking is left alone: a second panic would end the process.
        if self.is_armed.load(Ordering::SeqCst) && !std::thread::panicking() {
            let stack = Backtrace::force_capture().to_string();
            let hit = self.target.lock().take_if(|place| stack.contains(place.frame));
            if hit.is_some() {
                self.is_armed.store(false, Ordering::SeqCst);
                panic!("injected panic");
            }
        }
        now_ms()
    }

    /// The next who asks from this place panics.
    fn panic_at(&self, place: Place) {
        *self.target.lock() = Some(place);
        self.is_armed.store(true, Ordering::SeqCst);
    }

    fn is_armed(&self) -> bool {
        self.is_armed.load(Ordering::SeqCst)
    }
}

#[test]
fn a_panic_is_local_sqlite() {
    with_panics(Db::Sqlite, async |hub, injector| each_once(hub, injector, Db::Sqlite).await);
}

#[test]
fn a_panic_is_local_postgres() {
    with_panics(Db::Postgres, async |hub, injector| each_once(hub, injector, Db::Postgres).await);
}

#[test]
fn panics_under_load_cost_no_acknowledged_change_sqlite() {
    with_panics(Db::Sqlite, async |hub, injector| under_load(hub, injector, Db::Sqlite).await);
}

#[test]
fn panics_under_load_cost_no_acknowledged_change_postgres() {
    with_panics(Db::Postgres, async |hub, injector| under_load(hub, injector, Db::Postgres).await);
}

fn with_panics(db: Db, body: impl AsyncFnOnce(TestHub, &PanicInjector)) {
    let Some(database) = Database::fresh(db) else { return };
    let injector = Arc::<PanicInjector>::default();
    let shared = injector.clone();
    run_at(Arc::new(move || shared.now()), &database, &[quick], async |hub, _| body(hub, &injector).await);
}

/// What the counter of panics says of a place.
async fn panics(hub: &TestHub, place: Place) -> usize {
    let metrics = hub.anonymous().get("/metrics").await.text;
    let name = format!("hub_actor_panics_total{{actor=\"{}\"}} ", place.label);
    metrics.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
}

async fn each_once(hub: TestHub, injector: &PanicInjector, db: Db) {
    let org = hub.with_org("a").await;
    let receiver = Receiver::start();
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let hooked = hooked(&org, "hooked", &receiver).await;
    let (thread, other) = (ada.thread("t", &[&bob]).await, ada.thread("other", &[&bob]).await);
    let mut socket = bob.socket().await;
    let heard = |event: Value| event["message"].text("content");

    ada.say(&thread, "before").await.ok();
    assert_eq!(heard(socket.next("thread_message").await), "before");
    injector.panic_at(THREAD);
    ada.say(&thread, "during the panic").await.refused(503, "UNAVAILABLE");
    ada.say(&other, "untouched").await.ok();
    assert_eq!(heard(socket.next("thread_message").await), "untouched");
    assert_eq!(ada.say(&thread, "after").await.ok()["thread_id"], thread["id"]);
    assert_eq!(heard(socket.next("thread_message").await), "after");
    assert_eq!(contents(&ada.all_messages(&thread).await), ["after", "before"]);

    ada.send(&bob, "before").await.ok();
    injector.panic_at(ORG);
    ada.send(&bob, "during the panic").await.refused(503, "UNAVAILABLE");
    ada.say(&thread, "threads go on").await.ok();
    let channel = ada.send(&bob, "after").await.ok().text("channel_id");
    assert_eq!(contents(&ada.all_channel_messages(&channel).await), ["after", "before"]);

    let mut victim = cleo.socket().await;
    injector.panic_at(SESSION);
    let says = json!({"type": "send_dm", "to": "bob", "content": "during the panic"});
    assert!(victim.attempt(says).await.is_none(), "a session that died answers nothing");
    let gone = || async { bob.get(format!("/api/bots/{}", cleo.id)).await.ok()["online"].clone() };
    eventually(gone, |online| *online == false).await;
    socket.op(json!({"type": "send_dm", "to": "cleo", "content": "sockets of others live on"})).await.ack();
    cleo.socket().await.op(json!({"type": "send_dm", "to": "bob", "content": "back"})).await.ack();

    injector.panic_at(WEBHOOK);
    ada.send(&hooked, "0").await.ok();
    eventually(|| async { injector.is_armed() }, |armed| !armed).await;
    ada.send(&hooked, "1").await.ok();
    assert_eq!(said(&receiver.took(2).await), ["0", "1"], "what was queued is delivered by the next");

    injector.panic_at(HANDLER);
    let reply = ada.me().header("x-request-id", "panic-1").await;
    assert_eq!(reply.header("x-request-id"), Some("panic-1"));
    reply.refused(500, "INTERNAL_ERROR");
    ada.me().await.ok();

    for place in [THREAD, ORG, SESSION, WEBHOOK, HANDLER] {
        assert_eq!(panics(&hub, place).await, 1, "{place:?}");
    }
    let kinds = "thread, organisation, session and webhook actor and a handler";
    chaos::figure("R23", &format!("{db}: one panic in each of {kinds}: one failed call each, no others"));
}

fn contents(newest_first: &[Value]) -> Vec<String> {
    newest_first.iter().map(|message| message.text("content")).collect()
}

const WRITERS: usize = 4;
const PANICS: usize = 10;

/// What a writer was answered.
#[derive(Default)]
struct Answered {
    acked: Vec<String>,
    refused: BTreeSet<String>,
    /// Operations on a socket that died.
    open: usize,
}

async fn under_load(hub: TestHub, injector: &PanicInjector, db: Db) {
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let mut cast = Vec::new();
    for n in 0..WRITERS {
        let bot = org.bot(&format!("bot{n}")).await;
        let thread = bot.thread("t", &[]).await;
        cast.push((bot, thread));
    }
    let (is_over, panicking) = (AtomicBool::new(false), chaos::times(PANICS));
    let strikes = async {
        for n in 0..2 * panicking {
            injector.panic_at([THREAD, SESSION][n % 2]);
            eventually(|| async { injector.is_armed() }, |armed| !armed).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        is_over.store(true, Ordering::SeqCst);
    };
    // Two writers share a thread, so that a dead actor leaves commits of others behind.
    let writers = (0..2 * WRITERS).map(|n| {
        let (bot, thread) = &cast[n % WRITERS];
        write(n, bot, thread, &is_over)
    });
    let (answered, ()) = tokio::join!(join_all(writers), strikes);
    let mut counts = [0; 3];
    for (n, answer) in answered.iter().enumerate() {
        let (bot, thread) = &cast[n % WRITERS];
        let stored = bot.all_messages(thread).await;
        let ids: BTreeSet<String> = stored.iter().map(|message| message.text("id")).collect();
        assert!(answer.acked.iter().all(|id| ids.contains(id)), "something acknowledged is lost");
        assert!(stored.iter().all(|message| !answer.refused.contains(&message.text("content"))), "refused and stored");
        for (count, more) in counts.iter_mut().zip([answer.acked.len(), answer.refused.len(), answer.open]) {
            *count += more;
        }
    }
    let [acked, refused, open] = counts;
    assert_eq!((panics(&hub, THREAD).await, panics(&hub, SESSION).await), (panicking, panicking));
    // A panic of a thread is about one call, and its mailbox may hold the other writer's.
    assert!((panicking..=2 * panicking).contains(&refused), "{refused} refused by {panicking} panics");
    assert_eq!(open, panicking, "a session that dies takes its one operation with it");
    chaos::figure("R23", &format!("{db}: {} panics under load, {acked} acknowledged, none lost", 2 * panicking));
}

/// One operation after the other, on a new socket when the old one died.
async fn write(n: usize, bot: &Bot, thread: &Value, is_over: &AtomicBool) -> Answered {
    let (mut answered, mut socket) = (Answered::default(), None);
    for at in 0.. {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        let mut open = match socket.take() {
            Some(open) => open,
            None => bot.socket().await,
        };
        let content = format!("{n}.{at}");
        let says = json!({"type": "send_thread_message", "thread_id": thread["id"], "content": content});
        match open.attempt(says).await {
            None => answered.open += 1,
            Some(answer) if answer.0["type"] == "ack" => {
                answered.acked.push(answer.ack().text("message_id"));
                socket = Some(open);
            }
            Some(answer) => {
                answer.refused("UNAVAILABLE");
                answered.refused.insert(content);
                socket = Some(open);
            }
        }
    }
    answered
}
