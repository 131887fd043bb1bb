//! The event stream of the Rust client: what it tells, how it survives lost sockets and restarts, and when it ends.

use hxa_client::{
    ArtifactType, Client, Event, FileStore, JoinPolicy, JoinStatus, Missed, NewArtifact, NewThread, ResumeStore,
    ThreadStatus,
};

use crate::harness::*;

on_both_databases! {
    every_event_has_a_type,
    a_cut_connection_is_resumed,
    a_slow_reader_loses_nothing,
    a_position_outlives_its_process,
    an_operation_takes_effect_once,
    a_stream_ends_with_its_credential,
}

async fn every_event_has_a_type(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.admin_bot("ada").await;
    let a = ada.client();
    let mut heard = Listener::open(&a).await;
    let bob = org.bot("bob").await;
    let b = bob.client();
    let listening = Listener::open(&b).await;
    b.send("ada", "hello").await.unwrap();
    let policy = Some(JoinPolicy::Approval);
    let new = NewThread { topic: "t".to_owned(), join_policy: policy, ..NewThread::default() };
    let thread = a.create_thread(&new).await.unwrap();
    b.join_thread(&thread.id).await.unwrap();
    let request = a.join_requests(&thread.id).await.unwrap().swap_remove(0);
    a.approve_join_request(&thread.id, &request.id).await.unwrap();
    b.send_to_thread(&thread.id, "@ada look").await.unwrap();
    let (artifact_key, kind, content) = ("k".to_owned(), Some(ArtifactType::Code), Some("1".to_owned()));
    let artifact = NewArtifact { artifact_key, kind, content, ..NewArtifact::default() };
    b.add_artifact(&thread.id, &artifact).await.unwrap();
    b.update_thread(&thread.id, ThreadStatus::Reviewing).await.unwrap();
    org.patch(format!("/api/org/threads/{}", thread.id), json!({"status": "active"})).await.ok();
    b.remove_participant(&thread.id, "bob").await.unwrap();
    b.rename("bob2").await.unwrap();
    drop(listening);
    eventually(|| async { a.bot(&bob.id).await.unwrap().online }, |online| !online).await;
    org.settings(json!({"join_approval_required": true})).await.ok();
    let cleo = org.bot("cleo").await;
    a.set_bot_status(&cleo.id, JoinStatus::Active, Some("welcome")).await.unwrap();
    a.send("cleo", "end").await.unwrap();
    let mut kinds: Vec<String> = heard
        .until(|event| Listener::direct_text(event) == Some("end"))
        .await
        .iter()
        .map(|event| match event {
            Event::Message { message, sender_name, .. } => format!("message from {sender_name}: {}", message.content),
            Event::ChannelCreated { members, .. } => {
                format!("channel of {}", members.as_array().map_or(0, Vec::len))
            }
            Event::ThreadCreated { thread } => format!("thread {}", thread.topic),
            Event::ThreadUpdated { thread, changes } => format!("thread now {:?} by {changes:?}", thread.status),
            Event::ThreadStatusChanged { from, to, .. } => format!("thread from {from:?} to {to:?}"),
            Event::ThreadMessage { message, .. } => {
                format!("thread message, for ada: {}", message.mentions_bot(&ada.id))
            }
            Event::ThreadArtifact { artifact, action, .. } => format!("artifact {action}: {:?}", artifact.kind),
            Event::ThreadParticipant { bot_name, action, .. } => format!("{bot_name} {action}"),
            Event::ThreadJoinRequest { bot_name, .. } => format!("{bot_name} asks"),
            Event::ThreadJoinResolved { status, .. } => format!("request {status}"),
            Event::BotOnline { bot } => format!("{} online", bot.name),
            Event::BotOffline { bot } => format!("{} offline", bot.name),
            Event::BotRegistered { bot } => format!("{} registered", bot.name),
            Event::BotJoinRequest { bot, .. } => format!("{} waits", bot.name),
            Event::BotStatusChanged { name, join_status, reason, .. } => format!("{name} {join_status:?} {reason:?}"),
            Event::BotRenamed { old_name, new_name, .. } => format!("{old_name} is {new_name}"),
            // Such as one that the client cannot read.
            other => panic!("{other:?}"),
        })
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let expected = [
        "ada joined",
        "artifact added: Code",
        "bob asks",
        "bob is bob2",
        "bob joined",
        "bob left",
        "bob online",
        "bob registered",
        "bob2 offline",
        "channel of 2",
        "cleo Active Some(\"welcome\")",
        "cleo registered",
        "cleo waits",
        "message from ada: end",
        "message from bob: hello",
        "request approved",
        "thread from Reviewing to Active",
        "thread message, for ada: true",
        "thread now Reviewing by [\"status\"]",
        "thread t",
    ];
    assert_eq!(kinds, expected);
}

/// Sends these numbers to bob.
async fn count(from: &Client, numbers: std::ops::Range<usize>) {
    for n in numbers {
        from.send("bob", n.to_string()).await.unwrap();
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

async fn a_cut_connection_is_resumed(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let way = Proxy::before(hub.address());
    let (a, b) = (ada.client(), bob.client_at(&way.url(hub.url())).build().unwrap());
    let mut heard = Listener::open(&b).await;
    for round in 0..4 {
        let first = round * 50;
        count(&a, first..first + 20).await;
        match round {
            // Some of what was sent is on its way.
            0 | 1 => way.reset(),
            2 => way.half_close(),
            _ => way.set(Weather::CutAnswer),
        }
        count(&a, first + 20..first + 50).await;
        let last = (first + 49).to_string();
        let events = heard.until(|event| Listener::direct_text(event) == Some(last.as_str())).await;
        let said = events.iter().filter_map(Listener::direct_text);
        assert_eq!(said.collect::<Vec<_>>(), numbers(first..first + 50), "round {round}: nothing is lost or repeated");
        let lost = events.iter().filter(|event| matches!(event, Event::Disconnected { .. })).count();
        let back = events.iter().filter(|event| matches!(event, Event::Connected { resumed: true })).count();
        assert!(lost >= 1 && back == 1, "round {round}: lost {lost} times, back {back} times");
    }
}

/// More events than the client keeps for its reader, and a connection that is lost while they wait.
async fn a_slow_reader_loses_nothing(hub: TestHub) {
    const SENT: usize = 1300;
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let way = Proxy::before(hub.address());
    let (a, b) = (ada.client(), bob.client_at(&way.url(hub.url())).build().unwrap());
    let (own, mut heard) = (Listener::open(&a).await, Listener::open(&b).await);
    let socket = own.0.socket();
    // Started in order, and so in effect in order.
    let sends = (0..SENT).map(|n| socket.op("send_dm", json!({"to": "bob", "content": n.to_string()})));
    futures_util::future::try_join_all(sends).await.unwrap();
    way.reset();
    count(&a, SENT..SENT + 1).await;
    let said = heard.messages_until(&SENT.to_string()).await;
    assert!(said == numbers(0..SENT + 1), "{} of {} messages: {said:?}", said.len(), SENT + 1);
}

async fn a_position_outlives_its_process(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let (a, b) = (ada.client(), bob.client());
    let folder = tempfile::tempdir().unwrap();
    let store = || FileStore::new(folder.path().join("position.json"));
    let mut first = Listener(b.events_from(store()));
    first.until(|event| matches!(event, Event::Connected { .. })).await;
    count(&a, 0..5).await;
    assert_eq!(first.messages_until("2").await, numbers(0..3));
    // A position is saved when the next event is asked for: 2 was received, and whether it was processed is unknown.
    drop(first);
    count(&a, 5..8).await;
    let mut second = Listener(b.events_from(store()));
    assert_eq!(second.messages_until("7").await, numbers(2..8));
    drop(second);
    let position = store().load().unwrap().expect("a position");
    assert!(position.seq > 0 && position.time > 0, "{position:?}");
}

async fn an_operation_takes_effect_once(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let way = Proxy::before(hub.address());
    let a = ada.client_at(&way.url(hub.url())).build().unwrap();
    let (mut own, mut heard) = (Listener::open(&a).await, Listener::open(&bob.client()).await);
    let socket = own.0.socket();
    socket.ping().await.unwrap();
    way.set(Weather::CutAnswer);
    let ack = socket.op("send_dm", json!({"to": "bob", "content": "one"})).await.unwrap();
    assert!(ack.replayed && ack.result["message_id"].is_string(), "{ack:?}");
    assert_eq!(way.cuts(), 1);
    let ack = socket.op("send_dm", json!({"to": "bob", "content": "two"})).await.unwrap();
    assert!(!ack.replayed);
    for listener in [&mut own, &mut heard] {
        assert_eq!(listener.messages_until("two").await, ["one", "two"]);
    }
    let refused = socket.op("send_dm", json!({"to": "nobody", "content": "?"})).await.unwrap_err();
    assert!(refused.is_code("NOT_FOUND") && refused.api().unwrap().status == 0, "{refused:?}");
}

async fn a_stream_ends_with_its_credential(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let (a, b) = (Listener::open(&ada.client()).await, Listener::open(&bob.client()).await);
    ada.post("/api/me/rotate-token", json!({})).await.ok();
    let error = a.end().await;
    assert!(error.is_unauthorized(), "{error:?}");
    bob.client().delete_me().await.unwrap();
    let error = b.end().await;
    assert!(matches!(error, hxa_client::Error::Closed { code: 4002, .. }), "{error:?}");
}

#[test]
fn a_restart_is_told_as_a_gap_sqlite() {
    block_on(a_restart_is_told_as_a_gap(Db::Sqlite));
}

#[test]
fn a_restart_is_told_as_a_gap_postgres() {
    block_on(a_restart_is_told_as_a_gap(Db::Postgres));
}

/// A new hub has a new log, which does not know what the old one told: the stream gives summaries of what was missed,
/// says that there is a gap, and goes on.
async fn a_restart_is_told_as_a_gap(db: Db) {
    let Some(mut process) = ProcessHub::fresh(db).await else { return };
    let [ada, bob] = process.hub.with_org("a").await.bots(["ada", "bob"]).await;
    // What comes while bob is cut off is told by nobody.
    let way = Proxy::before(process.hub.address());
    let (a, b) = (ada.client(), bob.client_at(&way.url(process.hub.url())).build().unwrap());
    let mut heard = Listener::open(&b).await;
    count(&a, 0..2).await;
    assert_eq!(heard.messages_until("1").await, numbers(0..2));
    way.set(Weather::Blackhole);
    count(&a, 2..5).await;
    process.kill_9();
    process.start().await;
    way.set(Weather::Clear);
    let events = heard.until(|event| matches!(event, Event::Gap { .. })).await;
    assert!(events.contains(&Event::Connected { resumed: false }), "{events:?}");
    let summary = events.iter().find_map(|event| match event {
        Event::Catchup(missed) => match &missed.missed {
            Missed::ChannelMessageSummary { count, .. } => Some(*count),
            _ => None,
        },
        _ => None,
    });
    assert!(summary.is_some_and(|count| count >= 3), "{events:?}");
    let Some(Event::Gap { since }) = events.last() else { panic!("{events:?}") };
    let read: Vec<String> = b.inbox(*since).await.unwrap().into_iter().map(|message| message.content).collect();
    assert!(read.ends_with(&numbers(2..5)), "{read:?}");
    count(&a, 5..6).await;
    assert_eq!(heard.messages_until("5").await, numbers(5..6));
}
