//! How many requests there may be, and what old ones cost those that wait.

use std::time::{Duration, Instant};

use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    open_requests_are_bounded with few,
    budgets_are_charged with poor,
}

fn few(config: &mut Config) {
    config.coordination.open_per_bot = 2;
    config.coordination.open_per_org = 3;
}

fn poor(config: &mut Config) {
    config.budgets.requests = "10/100".parse().unwrap();
}

async fn open_requests_are_bounded(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let first = ada.asked().await;
    ada.asked().await;
    let refused = ada.ask(question("dora")).await.refused(409, "LIMIT_REACHED");
    assert_eq!(refused["scope"], "bot");
    bob.asked().await;
    let refused = bob.ask(question("dora")).await.refused(409, "LIMIT_REACHED");
    assert_eq!(refused["scope"], "organisation");
    other.bot("fay").await.asked().await;
    org.approve(&first).await.ok();
    let brief = json!({"timeout_policy": {"timeout_seconds": 1, "fallback": "BLOCK"}});
    let second = ada.ask(question_with("dora", brief)).await.status(201).text("request_id");
    ada.ask(question("dora")).await.refused(409, "LIMIT_REACHED");
    ada.request_within(&second, 10).await.ok();
    ada.asked().await;
}

async fn budgets_are_charged(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    for _ in 0..10 {
        ada.asked().await;
    }
    let refused = ada.ask(question("dora")).await.refused(429, "RATE_LIMITED");
    assert_eq!((&refused["limit"], &refused["scope"]), (&json!("request"), &json!("bot")));
}

/// A queue is read as fast after a hundred thousand answered requests as before.
#[test]
fn a_queue_does_not_grow_with_history() {
    for kind in [Db::Sqlite, Db::Postgres] {
        let Some(database) = Database::fresh(kind) else { continue };
        run_on_database(&database, &[], async |hub| {
            let org = hub.with_org("a").await;
            let ada = org.bot("ada").await;
            let mut own = Vec::new();
            for _ in 0..50 {
                own.insert(0, ada.asked().await);
            }
            let done = ada.asked().await;
            ada.cancel(&done).await.ok();
            let quick = async |what: &str| {
                let mut times = Vec::new();
                for _ in 0..20 {
                    let begun = Instant::now();
                    for reader in [&*org, &*ada] {
                        let ids = reader.request_ids("?responder_id=dora&state=PENDING_RESPONSE").await;
                        assert_eq!(ids, own);
                    }
                    assert_eq!(ada.request_ids("?state=PENDING_RESPONSE").await, own);
                    times.push(begun.elapsed());
                }
                times.sort_unstable();
                println!("{kind} {what}: {:?}", times[10]);
                times[10]
            };
            let before = quick("before").await;
            let digits = "substr('0000000000' || n, -10)";
            let counted = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100000)";
            let digits = if kind == Db::Postgres { "lpad(n::text, 10, '0')" } else { digits };
            let columns = "org_id, bot_id, agent_id, intent, urgency, state, context, response_schema, allow_edit, timeout_policy, \
                           routing_hints, trace_id, idempotency_key, body_hash, responder_id, responder_key, thread_id, thread_owed, \
                           level, progress, response_data, responded_by, responded_at, submitted_at, updated_at, timeout_at, \
                           delivered_at, due_at, slack, revision";
            let history = format!(
                "{counted} INSERT INTO coordination_requests (id, {columns}) \
                 SELECT '0' || substr(r.id, 2, 15) || {digits}, {columns} FROM c, coordination_requests r WHERE r.id = '{done}'"
            );
            assert_eq!(database.execute(&history), 100_000);
            let after = quick("after").await;
            assert!(after < before * 3 + Duration::from_millis(20), "{before:?} became {after:?}");
            let page = org.requests("?limit=10").await.ok();
            assert_eq!((&page["total"], &page["is_more_than_total"]), (&json!(10_000), &json!(true)));
        });
    }
}
