//! Webhooks: what is posted, in which order, signed how; failures and recovery; restarts; what may not be reached.

use std::time::Duration;

use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    direct_messages_arrive_in_order_and_signed with quick,
    thread_events_reach_all_but_their_author with quick,
    a_flaky_receiver_gets_everything_once_and_in_order with quick,
    a_receiver_that_is_down_is_degraded_and_recovers with quick,
    a_degraded_receiver_has_peace with rarely_probed,
    a_socket_revives_a_degraded_webhook with patient,
    what_is_refused_does_not_hold_up_the_rest with quick,
    admin_bots_hear_of_join_requests with quick,
    a_suspended_organisation_is_silent with quick,
    deleted_bots_are_silent with patient,
    who_left_a_thread_hears_no_more_of_it with quick,
    one_hanging_receiver_holds_up_nobody_else with quick,
    redirects_are_not_followed_and_bodies_not_swallowed with quick,
    the_queue_is_bounded with tiny,
}

/// Local receivers are allowed and time runs fast.
pub fn quick(config: &mut Config) {
    config.webhooks.allow = vec!["127.0.0.1".to_owned()];
    config.webhooks.timeout_ms = 500;
    config.webhooks.answer_ms = 5000;
    config.webhooks.repeat_ms = vec![300, 600];
    config.webhooks.retry_ms = vec![10, 20, 30];
    config.webhooks.pause_ms = 40;
    config.webhooks.probe_ms = 50;
    config.webhooks.degraded_after = 2;
}

/// A failed delivery waits longer than any test.
pub fn patient(config: &mut Config) {
    quick(config);
    config.webhooks.retry_ms = Vec::new();
    config.webhooks.pause_ms = 600_000;
    config.webhooks.probe_ms = 600_000;
    config.webhooks.degraded_after = 1;
}

/// Rounds follow at once, probes never.
fn rarely_probed(config: &mut Config) {
    quick(config);
    config.webhooks.pause_ms = 10;
    config.webhooks.probe_ms = 600_000;
}

fn tiny(config: &mut Config) {
    quick(config);
    config.webhooks.max_pending = 3;
}

pub const SECRET: &str = "first-secret";

pub async fn hooked(org: &Org, name: &str, receiver: &Receiver) -> Bot {
    let fields = json!({"ticket": org.ticket, "name": name, "webhook_url": receiver.url(), "webhook_secret": SECRET});
    org.bot_from(fields).await
}

/// An organisation with two bots of which bob has a webhook, and the receiver that it leads to.
pub async fn ada_to_hooked_bob(hub: &TestHub) -> (Org, Bot, Bot, Receiver) {
    let (org, receiver) = (hub.with_org("a").await, Receiver::start());
    let ada = org.bot("ada").await;
    let bob = hooked(&org, "bob", &receiver).await;
    (org, ada, bob, receiver)
}

pub async fn health(reader: &Caller, name: &str) -> Value {
    reader.get(format!("/api/bots/{name}/webhook/health")).await.ok()
}

/// Waits until the hub takes a bot's receiver for down.
#[track_caller]
pub fn until_degraded<'a>(reader: &'a Caller, name: &'a str) -> impl Future<Output = Value> + 'a {
    eventually(move || health(reader, name), |health| health["degraded"] == true)
}

pub async fn deliveries(org: &Org, bot: &Bot, query: &str) -> Vec<Value> {
    let page = org.get(format!("/api/org/bots/{}/webhook/deliveries{query}", bot.id)).await.ok();
    page.items("items").clone()
}

pub fn said(posts: &[Post]) -> Vec<String> {
    posts.iter().map(Post::said).collect()
}

pub fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// Long enough for anything that is on its way to arrive.
pub async fn calm() {
    tokio::time::sleep(Duration::from_millis(400)).await;
}

async fn direct_messages_arrive_in_order_and_signed(hub: TestHub) {
    let (_, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    assert_eq!(
        health(&ada, "bob").await,
        json!({"healthy": true, "last_success": null, "last_failure": null, "consecutive_failures": 0, "degraded": false, "dropped": 0, "last_dropped": null})
    );
    let sent = ada.send(&bob, "0").await.ok();
    for n in 1..30 {
        ada.send(&bob, &n.to_string()).await.ok();
    }
    bob.send(&ada, "to somebody without a webhook").await.ok();
    let posts = receiver.took(30).await;
    assert_eq!(said(&posts), numbers(0..30));
    let first = &posts[0];
    assert_eq!(first.line, "POST /hook HTTP/1.1");
    assert_eq!(first.body["type"], "message");
    assert_eq!(first.body["webhook_version"], "1");
    assert_eq!(first.body["channel_id"], sent["channel_id"]);
    assert_eq!(first.body["sender_name"], "ada");
    assert_eq!(first.body["message"]["id"], sent["message"]["id"]);
    let mut ids: Vec<&str> = posts.iter().map(|post| post.header("x-hub-delivery")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 30, "every delivery has an id of its own");
    for post in &posts {
        assert_eq!(post.header("content-type"), "application/json");
        assert_eq!(post.header("authorization"), format!("Bearer {SECRET}"));
        assert_eq!(post.header("x-hub-event"), "message");
        assert!(post.is_signed("x-hub-signature-256", SECRET), "{:?}", post.headers);
        assert!(!post.headers.contains_key("x-hub-signature-256-old"));
    }
    let now = eventually(|| health(&ada, "bob"), |health| health["last_success"].is_i64()).await;
    assert_eq!((&now["healthy"], &now["degraded"]), (&json!(true), &json!(false)));
    calm().await;
    assert_eq!(receiver.posts().len(), 30);
    let metrics = hub.anonymous().get("/metrics").await.text;
    assert!(metrics.contains("hub_webhook_deliveries_total{result=\"delivered\"} 30"), "{metrics}");
    assert!(metrics.contains("hub_webhook_lag_seconds_count 30"), "{metrics}");
}

async fn thread_events_reach_all_but_their_author(hub: TestHub) {
    let (org, of_ada, of_bob) = (hub.with_org("a").await, Receiver::start(), Receiver::start());
    let (ada, bob) = (hooked(&org, "ada", &of_ada).await, hooked(&org, "bob", &of_bob).await);
    let thread = ada.thread("t", &[&bob]).await;
    ada.say(&thread, "hello").await.ok();
    ada.artifact_add(&thread, json!({"artifact_key": "k", "content": "c"})).await.ok();
    bob.artifact_update(&thread, "k", json!({"content": "d"})).await.ok();
    ada.thread_patch(&thread, json!({"topic": "u"})).await.ok();
    let kinds = |posts: Vec<Post>| posts.iter().map(|post| post.body.text("type")).collect::<Vec<_>>();
    let created = ["thread_created", "thread_participant", "thread_participant"];
    let to_bob = [&created[..], &["thread_message", "thread_artifact", "thread_updated"]].concat();
    assert_eq!(kinds(of_bob.took(6).await), to_bob);
    let to_ada = [&created[..], &["thread_artifact", "thread_updated"]].concat();
    assert_eq!(kinds(of_ada.took(5).await), to_ada);
    calm().await;
    assert_eq!((of_ada.posts().len(), of_bob.posts().len()), (5, 6));
    let posted = &of_bob.posts()[3];
    assert_eq!(posted.body["thread_id"], thread["id"]);
    assert_eq!(posted.body["message"]["sender_name"], "ada");
    assert!(posted.body.get("seq").is_none());
}

async fn a_flaky_receiver_gets_everything_once_and_in_order(hub: TestHub) {
    let (_, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    use Answer::{Cut, Status};
    receiver.then([Status(500), Cut, Status(200), Status(425), Status(429), Status(503), Cut, Status(409)]);
    receiver.then([Status(200), Status(200), Status(302), Status(200)]);
    for n in 0..20 {
        ada.send(&bob, &n.to_string()).await.ok();
    }
    let taken = receiver.took(20).await;
    assert_eq!(said(&taken), numbers(0..20));
    for post in receiver.posts() {
        let same = taken.iter().find(|other| other.text == post.text).unwrap();
        assert_eq!(same.header("x-hub-delivery"), post.header("x-hub-delivery"), "retries keep the id");
        assert!(post.is_signed("x-hub-signature-256", SECRET), "every attempt is signed anew");
    }
    calm().await;
    assert_eq!(receiver.taken().len(), 20, "nothing comes twice");
    let now = health(&ada, "bob").await;
    assert_eq!((&now["healthy"], &now["consecutive_failures"]), (&json!(true), &json!(0)));
    assert!(now["last_failure"].is_i64(), "a whole round had failed: {now}");
}

async fn a_receiver_that_is_down_is_degraded_and_recovers(hub: TestHub) {
    let (_, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    receiver.always(Answer::Status(500));
    for n in 0..5 {
        ada.send(&bob, &n.to_string()).await.ok();
    }
    let down = until_degraded(&ada, "bob").await;
    assert_eq!((&down["healthy"], &down["last_success"]), (&json!(false), &json!(null)));
    assert!(down.int("consecutive_failures") >= 2 && down["last_failure"].is_i64(), "{down}");
    assert!(receiver.posts().iter().all(|post| post.said() == "0"), "the first holds up the rest");
    receiver.always(Answer::Status(204));
    assert_eq!(said(&receiver.took(5).await), numbers(0..5));
    let up = eventually(|| health(&ada, "bob"), |health| health["degraded"] == false).await;
    assert_eq!((&up["healthy"], &up["consecutive_failures"]), (&json!(true), &json!(0)));
}

/// The round that made a receiver degraded used to be followed by one more after the pause of a healthy one.
async fn a_degraded_receiver_has_peace(hub: TestHub) {
    let (_, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    receiver.always(Answer::Status(500));
    ada.send(&bob, "0").await.ok();
    until_degraded(&ada, "bob").await;
    calm().await;
    ada.send(&bob, "1").await.ok();
    calm().await;
    assert_eq!(receiver.posts().len(), 8, "two rounds of four attempts");
    assert_eq!(health(&ada, "bob").await["consecutive_failures"], 2);
}

async fn a_socket_revives_a_degraded_webhook(hub: TestHub) {
    let (_, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    receiver.then([Answer::Status(500)]);
    ada.send(&bob, "0").await.ok();
    ada.send(&bob, "1").await.ok();
    until_degraded(&ada, "bob").await;
    calm().await;
    assert!(receiver.taken().is_empty());
    let _socket = bob.socket().await;
    assert_eq!(said(&receiver.took(2).await), numbers(0..2));
    eventually(|| health(&ada, "bob"), |health| health["degraded"] == false).await;
}

async fn what_is_refused_does_not_hold_up_the_rest(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    let refusals = [401, 403, 404, 405, 410, 413, 421, 423];
    receiver.then([Answer::Status(400), Answer::Status(200), Answer::Status(422)]);
    for n in 0..4 {
        ada.send(&bob, &n.to_string()).await.ok();
    }
    assert_eq!(said(&receiver.took(2).await), ["1", "3"]);
    let dead = eventually(|| deliveries(&org, &bob, "?status=dead"), |dead| dead.len() == 2).await;
    assert_eq!(dead[1]["last_status"], 400);
    assert_eq!(dead[1]["last_error"], "answered 400");
    assert_eq!(dead[1]["attempts"], 1);
    assert_eq!(health(&ada, "bob").await["healthy"], true, "the receiver is well");
    let first = &receiver.posts()[0];
    let path = format!("/api/org/bots/{}/webhook/deliveries/{}/replay", bob.id, first.header("x-hub-delivery"));
    let again = org.post(&path, json!({})).await.ok();
    assert_eq!((&again["status"], &again["attempts"]), (&json!("pending"), &json!(0)));
    let taken = receiver.took(3).await;
    assert_eq!(taken[2].text, first.text);
    assert_eq!(taken[2].header("x-hub-delivery"), first.header("x-hub-delivery"));
    assert_eq!(org.audit("bot.webhook_replay").await.len(), 1);
    receiver.then(refusals.map(Answer::Status));
    for n in 0..=refusals.len() {
        ada.send(&bob, &format!("later {n}")).await.ok();
    }
    assert_eq!(said(&receiver.took(4).await)[3], format!("later {}", refusals.len()));
    let dead = eventually(|| deliveries(&org, &bob, "?status=dead"), |dead| dead.len() == 9).await;
    assert!(dead.iter().all(|row| row["attempts"] == 1), "{dead:?}");
}

async fn admin_bots_hear_of_join_requests(hub: TestHub) {
    let (org, receiver) = (hub.with_org("a").await, Receiver::start());
    org.settings(json!({"join_approval_required": true})).await.ok();
    let boss = json!({"org_secret": org.secret, "name": "boss", "webhook_url": receiver.url()});
    org.bot_from(boss).await;
    let ticket = org.post("/api/org/tickets", json!({"reusable": true})).await.ok().text("ticket");
    let registered = org.register(json!({"ticket": ticket, "name": "new"})).await.ok();
    let post = receiver.took(1).await.remove(0);
    assert_eq!(
        post.body,
        json!({
            "type": "bot_join_request", "bot": {"id": registered["bot_id"], "name": "new"}, "org_id": org.id,
            "webhook_version": "1",
        })
    );
}

async fn a_suspended_organisation_is_silent(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    receiver.always(Answer::Status(500));
    ada.send(&bob, "0").await.ok();
    eventually(|| async { receiver.posts().len() }, |posts| *posts > 0).await;
    let path = format!("/api/orgs/{}", org.id);
    hub.super_admin().await.patch(&path, json!({"status": "suspended"})).await.ok();
    calm().await;
    receiver.always(Answer::Status(200));
    calm().await;
    assert!(receiver.taken().is_empty());
    hub.super_admin().await.patch(&path, json!({"status": "active"})).await.ok();
    assert_eq!(said(&receiver.took(1).await), ["0"]);
}

async fn deleted_bots_are_silent(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    receiver.always(Answer::Status(500));
    ada.send(&bob, "0").await.ok();
    until_degraded(&ada, "bob").await;
    org.delete(format!("/api/bots/{}", bob.id)).await.ok();
    receiver.always(Answer::Status(200));
    ada.get("/api/bots/bob/webhook/health").await.missing();
    calm().await;
    assert_eq!(receiver.posts().len(), 1);
}

/// What waits for a bot when it is removed from a thread is not sent later either; that it was removed is.
async fn who_left_a_thread_hears_no_more_of_it(hub: TestHub) {
    let (_, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    let thread = ada.thread("t", &[&bob]).await;
    receiver.took(3).await;
    receiver.always(Answer::Status(503));
    ada.say(&thread, "between us").await.ok();
    until_degraded(&ada, "bob").await;
    ada.remove(&thread, "bob").await.ok();
    ada.send(&bob, "to you").await.ok();
    receiver.always(Answer::Status(200));
    let kinds: Vec<String> = receiver.took(5).await.iter().skip(3).map(|post| post.body.text("type")).collect();
    let mut sorted = kinds.clone();
    sorted.sort();
    assert_eq!(sorted, ["message", "thread_participant"], "{kinds:?}");
    let metrics = hub.anonymous().get("/metrics").await.text;
    assert!(metrics.contains("hub_webhook_deliveries_total{result=\"dropped\"} 1"), "{metrics}");
}

async fn one_hanging_receiver_holds_up_nobody_else(hub: TestHub) {
    let (org, hanging, well) = (hub.with_org("a").await, Receiver::start(), Receiver::start());
    let ada = org.bot("ada").await;
    let (bob, cleo) = (hooked(&org, "bob", &hanging).await, hooked(&org, "cleo", &well).await);
    hanging.always(Answer::Silence);
    for n in 0..10 {
        ada.send(&bob, &n.to_string()).await.ok();
        ada.send(&cleo, &n.to_string()).await.ok();
    }
    assert_eq!(said(&well.took(10).await), numbers(0..10));
    assert!(hanging.taken().is_empty());
}

async fn redirects_are_not_followed_and_bodies_not_swallowed(hub: TestHub) {
    let (_, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    let elsewhere = Receiver::start();
    receiver.then((0..5).map(|_| Answer::Redirect(elsewhere.url())));
    receiver.then([Answer::Endless, Answer::Endless]);
    for n in 0..3 {
        ada.send(&bob, &n.to_string()).await.ok();
    }
    assert_eq!(said(&receiver.took(3).await), numbers(0..3));
    assert!(elsewhere.posts().is_empty());
}

async fn the_queue_is_bounded(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    receiver.always(Answer::Status(500));
    for n in 0..8 {
        ada.send(&bob, &n.to_string()).await.ok();
    }
    let dead = eventually(|| deliveries(&org, &bob, "?status=dead"), |dead| dead.len() == 5).await;
    assert!(dead.iter().all(|row| row["last_error"] == "the queue was full"), "{dead:?}");
    let told = health(&ada, "bob").await;
    assert!(told["dropped"] == 5 && told["last_dropped"].is_i64(), "{told}");
    let metrics = hub.anonymous().get("/metrics").await.text;
    assert!(metrics.contains("hub_webhook_deliveries_total{result=\"dropped\"} 5"), "{metrics}");
    receiver.always(Answer::Status(200));
    let mut told = said(&receiver.took(3).await);
    // The last one that was dropped may have been on its way.
    if told[0] == "4" {
        told.remove(0);
        told.extend(said(&receiver.took(1).await));
    }
    assert_eq!(told, ["5", "6", "7"]);
}

const QUICK: [(&str, &str); 7] = [
    ("HXA_CONNECT_WEBHOOKS_ALLOW", "127.0.0.1"),
    ("HXA_CONNECT_WEBHOOKS_RETRY_MS", "1,2,3"),
    ("HXA_CONNECT_WEBHOOKS_PAUSE_MS", "5"),
    ("HXA_CONNECT_WEBHOOKS_PROBE_MS", "5"),
    ("HXA_CONNECT_WEBHOOKS_TIMEOUT_MS", "1000"),
    ("HXA_CONNECT_WEBHOOKS_ANSWER_MS", "1100"),
    ("HXA_CONNECT_WEBHOOKS_REPEAT_MS", "50,100"),
];

/// Conversations that are told at the same time.
const CONVERSATIONS: usize = 4;

/// Killed again and again between the commit of a message and its delivery, the hub loses none, and sends those of a
/// conversation in order. One that is not answered counts as sent.
#[test]
fn a_kill_loses_no_delivery() {
    for db in [Db::Sqlite, Db::Postgres] {
        block_on(async {
            let Some(database) = Database::fresh(db) else { return };
            let mut process = ProcessHub::with_env(database, &QUICK).await;
            let (org, _, bob, receiver) = ada_to_hooked_bob(&process.hub).await;
            org.settings(json!({"messages_per_minute_per_bot": 10_000})).await.ok();
            let senders = org.bots(["cleo", "dora", "emil", "finn"]).await;
            let mut sent = 0;
            for round in 0..5 {
                // In the third round nothing is taken, in the others every fourth request fails in one way or another.
                for n in 0..100 {
                    use Answer::{Cut, Silence, Status};
                    let failures = [Status(500), Cut, Status(429), Answer::Redirect(receiver.url()), Status(409)];
                    receiver.then([match n {
                        50 => Silence,
                        n if n % 4 == 0 => failures[n % 5].clone(),
                        _ => Status(if round % 3 == 2 { 503 } else { 200 }),
                    }]);
                    senders[n % CONVERSATIONS].send(&bob, &sent.to_string()).await.ok();
                    sent += 1;
                }
                process.kill_9();
                process.start().await;
            }
            receiver.always(Answer::Status(200));
            let taken = || async { firsts(receiver.taken()) };
            for goal in (0..sent).step_by(50) {
                eventually(taken, |taken| taken.len() > goal).await;
            }
            let taken = eventually(taken, |taken| taken.len() >= sent).await;
            assert_eq!(taken.len(), sent, "{db}: each once by its id");
            receiver.posts().iter().for_each(|post| assert!(post.is_signed("x-hub-signature-256", SECRET), "{db}"));
            let received = firsts(receiver.posts().into_iter().filter(Post::may_be_taken).collect());
            for conversation in 0..CONVERSATIONS {
                let said: Vec<usize> = received.iter().copied().filter(|n| n % CONVERSATIONS == conversation).collect();
                let all: Vec<usize> = (0..sent).filter(|n| n % CONVERSATIONS == conversation).collect();
                assert_eq!(said, all, "{db}: in order within a conversation");
            }
            chaos::figure(
                "R16",
                &format!(
                    "{db}: {sent} deliveries of {CONVERSATIONS} conversations through failures and five kills, none lost, each \
                     conversation in order"
                ),
            );
        });
    }
}

/// What was said in these, each once, in the order in which they came first.
fn firsts(posts: Vec<Post>) -> Vec<usize> {
    let mut ids = std::collections::HashSet::new();
    let posts = posts.iter().filter(|post| ids.insert(post.header("x-hub-delivery").to_owned()));
    posts.map(|post| post.said().parse().unwrap()).collect()
}

/// A host that the operator does not allow any more is not connected to, although its URL was stored before.
#[test]
fn stored_urls_are_judged_anew() {
    block_on(async {
        let mut process = ProcessHub::with_env(Database::fresh(Db::Sqlite).unwrap(), &QUICK).await;
        let (org, ada, bob, receiver) = ada_to_hooked_bob(&process.hub).await;
        process.kill_9();
        process.set_env(&QUICK[1..]);
        process.start().await;
        ada.send(&bob, "0").await.ok();
        let tried = |pending: &Vec<Value>| pending.first().is_some_and(|row| row.int("attempts") >= 4);
        let pending = eventually(|| deliveries(&org, &bob, "?status=pending"), tried).await;
        assert_eq!(pending[0]["last_error"], "the URL is not allowed");
        assert_eq!(health(&ada, "bob").await["healthy"], false);
        assert!(receiver.posts().is_empty());
        assert!(!process.log().contains(SECRET), "a secret is logged");
    });
}
