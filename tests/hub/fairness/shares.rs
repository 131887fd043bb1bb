//! What is bounded for all together has shares: nobody holds what others need, and what is kept has limits of its own.

use std::time::Duration;

use futures_util::future::join_all;
use hxa_connect::hub::config::Config;

use crate::harness::*;
use crate::operations::slow_log::block_database;

on_both_databases! {
    tokens_of_one_bot_hold_no_tickets_that_others_need with few_tickets,
    scoped_tokens_are_limited with few_tokens,
    registration_tickets_are_limited with few_tokens,
    bots_are_limited with few_tokens,
}

fn few_tickets(config: &mut Config) {
    config.limits.ws_tickets_per_bot = 10;
    config.limits.ws_tickets = 100;
}

fn few_tokens(config: &mut Config) {
    config.limits.tokens_per_bot = 3;
    config.limits.tokens_per_org = 5;
    config.limits.tickets_per_org = 3;
    config.limits.bots_per_org = 4;
}

/// A hundred scoped tokens of one bot asked for a thousand tickets each, which were all there are: every organisation
/// heard "Too many tickets" for half a minute.
async fn tokens_of_one_bot_hold_no_tickets_that_others_need(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let dora = other.bot("dora").await;
    let ticket = |bot: &Bot| bot.call("POST", "/api/ws-ticket").answered();
    let ada = org.bot("ada").await;
    let mut issued = 0;
    for _ in 0..5 {
        let scoped = ada.scoped(&["read"]).await;
        for _ in 0..5 {
            issued += usize::from(ticket(&scoped).await.status == 200);
        }
    }
    assert_eq!(issued, 10, "whatever token it asks with");
    let refused = ticket(&ada).await;
    assert_eq!(refused.header("retry-after"), Some("30"));
    let body = refused.refused(429, "RATE_LIMITED");
    assert_eq!((body["limit"].as_str(), body["scope"].as_str()), (Some("ws_ticket"), Some("bot")), "{body}");
    for n in 0..12 {
        let bot = org.bot(&format!("ada{n}")).await;
        for _ in 0..10 {
            issued += usize::from(ticket(&bot).await.status == 200);
        }
    }
    assert!((40..=50).contains(&issued), "an organisation gets at most half: {issued}");
    let late = org.bot("late").await;
    let body = ticket(&late).await.refused(429, "RATE_LIMITED");
    assert_eq!(body["scope"], "organisation", "{body}");
    for _ in 0..9 {
        ticket(&dora).await.ok();
    }
    dora.socket().await;
}

async fn scoped_tokens_are_limited(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = &org.bots(["ada", "bob", "cleo"]).await;
    let make = |bot: &Bot| bot.post("/api/me/tokens", json!({"scopes": ["read"]})).answered();
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(make(ada).await.ok());
    }
    let body = make(ada).await.refused(409, "LIMIT_REACHED");
    assert_eq!((body["scope"].as_str(), body["most"].as_i64()), (Some("bot"), Some(3)), "{body}");
    // A replaced primary token lives on as a scoped one, so it needs room as well.
    ada.post("/api/me/rotate-token", json!({"grace_seconds": 60})).await.refused(409, "LIMIT_REACHED");
    ada.me().await.ok();
    ada.delete(format!("/api/me/tokens/{}", tokens[0]["id"].as_str().unwrap())).await.ok();
    make(ada).await.ok();
    for _ in 0..2 {
        make(bob).await.ok();
    }
    let body = make(cleo).await.refused(409, "LIMIT_REACHED");
    assert_eq!((body["scope"].as_str(), body["most"].as_i64()), (Some("organisation"), Some(5)), "{body}");
    let other = hub.with_org("b").await.bot("dora").await;
    // One that has ended takes no room.
    for _ in 0..3 {
        other.post("/api/me/tokens", json!({"scopes": ["read"], "expires_in": 1})).await.ok();
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    make(&other).await.ok();
}

async fn registration_tickets_are_limited(hub: TestHub) {
    let org = hub.with_org("a").await;
    let make = |fields: Value| org.post("/api/org/tickets", fields).answered();
    let once = make(json!({})).await.ok();
    make(json!({"reusable": true})).await.ok();
    let body = make(json!({})).await.refused(409, "LIMIT_REACHED");
    assert_eq!((body["scope"].as_str(), body["most"].as_i64()), (Some("organisation"), Some(3)), "{body}");
    // A used one makes room.
    org.register(json!({"ticket": once["ticket"], "name": "ada"})).await.ok();
    make(json!({})).await.ok();
}

async fn bots_are_limited(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, ..] = org.bots(["ada", "bob", "cleo", "dora"]).await;
    let register = || org.register(json!({"ticket": org.ticket, "name": "emil"})).answered();
    let body = register().await.refused(409, "LIMIT_REACHED");
    assert_eq!((body["scope"].as_str(), body["most"].as_i64()), (Some("organisation"), Some(4)), "{body}");
    ada.call("DELETE", "/api/me").await.ok();
    register().await.ok();
    hub.with_org("b").await.bot("ada").await;
}

/// Connections that wait to be accepted, with a hub that accepts none for a while: the kernel held 128 of them, whatever
/// the hub asked for, because it asked after it had begun to listen.
#[test]
fn a_burst_of_connections_waits_in_the_kernel() {
    block_on(async {
        let Some(mut process) = ProcessHub::fresh(Db::Sqlite).await else { return };
        let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").map(|text| text.trim().parse().unwrap());
        let burst = most.unwrap_or(4096_usize).min(1000);
        process.signal("STOP");
        let connect = || tokio::time::timeout(DEADLINE / 4, tokio::net::TcpStream::connect(process.hub.address()));
        let waiting = join_all((0..burst).map(|_| connect())).await;
        process.signal("CONT");
        let taken = waiting.iter().filter(|connected| matches!(connected, Ok(Ok(_)))).count();
        assert_eq!(taken, burst, "the kernel took {taken} of {burst}");
        process.hub.anonymous().get("/livez").await.ok();
        process.kill_9();
    });
}

/// Commits of one organisation fill no more than half of a writer's queue, so others still get in: the queue is kept full
/// by a database that does not take anything.
#[test]
fn the_queue_of_commits_has_shares() {
    block_on(async {
        let Some(database) = Database::fresh(Db::Sqlite) else { return };
        let env = [("HXA_CONNECT_DATABASE_QUEUE", "200"), ("HXA_CONNECT_DATABASE_BATCH_ROWS", "1")];
        let mut process = ProcessHub::with_env(database, &env).await;
        let hub = process.hub.clone();
        let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
        for org in [&org, &other] {
            org.settings(json!({"messages_per_minute_per_bot": 1_000_000_000})).await.ok();
        }
        let (ada, dora) = (org.bot("ada").await, other.bot("dora").await);
        let (thread, quiet) = (ada.thread("t", &[]).await, dora.thread("q", &[]).await);
        // Somebody else holds the file for a while.
        let held = block_database(process.database(), Duration::from_secs(1));
        let flood = join_all((0..400).map(|n| {
            let (ada, thread) = (ada.clone(), thread.clone());
            async move { ada.say(&thread, &n.to_string()).await.status }
        }));
        let beside = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            join_all((0..20).map(|n| dora.say(&quiet, &n.to_string()).answered())).await
        };
        let (statuses, beside) = futures_util::future::join(flood, beside).await;
        held.join().unwrap();
        assert!(statuses.contains(&503), "nobody was refused: the queue was not full");
        for reply in beside {
            reply.ok();
        }
        process.kill_9();
    });
}
