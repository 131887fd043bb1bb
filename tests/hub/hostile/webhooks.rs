//! What webhooks may cost: payloads are stored once, queues are bounded for bots and organisations, and a receiver that
//! misbehaves costs its own bot time.

use hxa_connect::domain::ids::OrgId;
use hxa_connect::hub::config::Config;
use hxa_connect::hub::hub::Hub;
use hxa_connect::store::webhooks;

use crate::harness::*;
use crate::webhooks::delivery::{ada_to_hooked_bob, deliveries, health, hooked, patient, quick, said};

/// What waits in an organisation, and the bytes of its payloads.
async fn stored(hub: &Hub, org: &Org) -> webhooks::Amount {
    let id = OrgId::parse(&org.id).unwrap();
    hub.store().read(move |conn| webhooks::stored(conn, id)).await.unwrap()
}

/// A bot in a thread with others that have webhooks to one receiver.
async fn hooked_thread(org: &Org, receiver: &Receiver, count: usize) -> (Bot, Value, Vec<Bot>) {
    org.settings(json!({"messages_per_minute_per_bot": 10_000})).await.ok();
    let ada = org.bot("ada").await;
    let mut others = Vec::new();
    for n in 0..count {
        let fields = json!({
            "ticket": org.ticket, "name": format!("bot{n}"), "webhook_url": receiver.url(), "webhook_events": ["thread_message"],
        });
        others.push(org.bot_from(fields).await);
    }
    let thread = ada.thread("t", &others.iter().collect::<Vec<_>>()).await;
    (ada, thread, others)
}

/// A long message into a thread with 199 webhooks used to be stored 199 times.
async fn a_payload_is_stored_once(db: Db, hub: TestHub, handle: Hub) {
    let (org, receiver) = (hub.with_org("a").await, Receiver::start());
    receiver.always(Answer::Status(500));
    let (ada, thread, others) = hooked_thread(&org, &receiver, 40).await;
    let before = stored(&handle, &org).await;
    let text = "x".repeat(60_000);
    ada.say(&thread, &text).await.ok();
    let after = stored(&handle, &org).await;
    assert_eq!(after.events - before.events, 40);
    let bytes = after.bytes - before.bytes;
    // An event holds its text twice: as content and as a part.
    assert!((120_000..130_000).contains(&bytes), "{bytes} bytes");
    receiver.always(Answer::Status(200));
    let told = || async {
        let mut told = receiver.taken();
        told.retain(|post| post.body["type"] == "thread_message");
        told.len()
    };
    eventually(told, |told| *told >= 40).await;
    let posts = receiver.taken();
    let told: Vec<&Post> = posts.iter().filter(|post| post.body["type"] == "thread_message").collect();
    assert!(told.iter().all(|post| post.said() == text && post.text == told[0].text));
    let mut ids: Vec<&str> = told.iter().map(|post| post.header("x-hub-delivery")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40, "each bot's delivery has an id of its own");
    for bot in others {
        org.delete(format!("/api/bots/{}", bot.id)).await.ok();
    }
    assert_eq!(stored(&handle, &org).await, webhooks::Amount::default(), "nothing is left");
    chaos::figure("R24", &format!("{db}: a message of 60 kB for 40 webhooks stores {bytes} bytes"));
}

/// Receivers that never come back, in an organisation that may store 1 MiB of payloads and 100 events.
fn narrow(config: &mut Config) {
    patient(config);
    config.webhooks.org_max_bytes = 1024 * 1024;
    config.webhooks.org_max_pending = 100;
}

async fn an_organisations_queues_are_bounded(db: Db, hub: TestHub, handle: Hub) {
    let (org, receiver, other) = (hub.with_org("a").await, Receiver::start(), Receiver::start());
    receiver.always(Answer::Status(500));
    let (ada, thread, others) = hooked_thread(&org, &receiver, 4).await;
    for n in 0..60 {
        ada.say(&thread, &format!("{n:05}{}", "x".repeat(55_000))).await.ok();
    }
    let is_within = |stored: &webhooks::Amount| stored.events <= 100 && stored.bytes <= 1024 * 1024;
    let left = eventually(|| stored(&handle, &org), is_within).await;
    let mut dropped = 0;
    for n in 0..4 {
        let told = health(&ada, &format!("bot{n}")).await;
        assert!(told["last_dropped"].is_i64(), "{told}");
        dropped += told.int("dropped");
    }
    let metrics = hub.anonymous().get("/metrics").await.text;
    assert!(metrics.contains("hub_webhook_deliveries_total{result=\"dropped\"}"), "{metrics}");
    // Others have all of theirs, and this one goes on with the newest.
    let neighbours = hub.with_org("b").await;
    let (cleo, bob) = (neighbours.bot("cleo").await, hooked(&neighbours, "bob", &other).await);
    cleo.send(&bob, "0").await.ok();
    assert_eq!(said(&other.took(1).await), ["0"]);
    receiver.always(Answer::Status(200));
    let _socket = others[0].socket().await;
    let taken =
        eventually(|| async { receiver.taken() }, |taken| taken.iter().any(|post| post.text.contains("00059x"))).await;
    assert!(!taken.iter().any(|post| post.text.contains("00000x")), "the oldest were given up");
    chaos::figure(
        "R24",
        &format!(
            "{db}: 240 events of 55 kB for receivers that are down, with room for 1 MiB: {} kB stored, {dropped} dropped and reported",
            left.bytes / 1000
        ),
    );
}

/// A receiver that trickles its headers, or sends headers or a body without end.
async fn receivers_that_misbehave_cost_their_own_bot_time(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    let well = Receiver::start();
    let cleo = hooked(&org, "cleo", &well).await;
    receiver.on("trickle", Answer::Trickle);
    receiver.on("headers", Answer::Headers);
    receiver.on("endless", Answer::Endless);
    for bot in org.bots(["dora", "emil", "finn"]).await.iter().zip(["trickle", "headers", "endless"]) {
        bot.0.send(&bob, bot.1).await.ok();
    }
    for n in 0..10 {
        ada.send(&cleo, &n.to_string()).await.ok();
        ada.send(&bob, &n.to_string()).await.ok();
    }
    well.took(10).await;
    let done = eventually(|| deliveries(&org, &bob, "?status=delivered"), |done| done.len() == 11).await;
    assert_eq!(done.len(), 11, "those beside them, and the one whose body never ends");
}

macro_rules! with_handle {
    ($($name:ident with $tune:ident),+ $(,)?) => {$(
        mod $name {
            use crate::harness::{Database, Db, run_beside};

            fn on(db: Db) {
                let Some(database) = Database::fresh(db) else { return };
                run_beside(&database, &[super::$tune], |hub, handle| super::$name(db, hub, handle));
            }

            #[test]
            fn sqlite() {
                on(Db::Sqlite);
            }

            #[test]
            fn postgres() {
                on(Db::Postgres);
            }
        }
    )+};
}

with_handle! {
    a_payload_is_stored_once with quick,
    an_organisations_queues_are_bounded with narrow,
}

on_both_databases! {
    receivers_that_misbehave_cost_their_own_bot_time with quick,
}
