//! What time takes away, and what it must leave: old messages and artifacts, idle threads, expired credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hxa_connect::hub::hub::Hub;
use hxa_connect::hub::janitor;

use crate::harness::*;

const DAY: i64 = 86_400_000;

/// A hub whose clock the test sets; the janitor's rules run when the test says so.
fn aging<Fut: Future<Output = ()>>(db: Db, body: impl FnOnce(TestHub, Hub, Arc<AtomicI64>) -> Fut) {
    let Some(database) = Database::fresh(db) else { return };
    let offset = Arc::new(AtomicI64::new(0));
    let shared = offset.clone();
    let clock = Arc::new(move || now_ms() + shared.load(Ordering::SeqCst));
    run_at(clock, &database, &[], |hub, handle| body(hub, handle, offset));
}

#[test]
fn old_things_go_sqlite() {
    aging(Db::Sqlite, old_things_go);
}

#[test]
fn old_things_go_postgres() {
    aging(Db::Postgres, old_things_go);
}

async fn old_things_go(hub: TestHub, handle: Hub, offset: Arc<AtomicI64>) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let boss = org.admin_bot("boss").await;
    let rules = json!({"message_ttl_days": 5, "thread_auto_close_days": 3, "artifact_retention_days": 4});
    org.settings(rules).await.ok();
    ada.send(&bob, "old").await.ok();
    let [done, idle, busy] =
        [ada.thread("done", &[&bob]).await, ada.thread("idle", &[&bob]).await, ada.thread("b", &[&bob]).await];
    let parent = ada.say(&done, "old").await.ok();
    for thread in [&done, &busy] {
        ada.say(thread, "old too").await.ok();
        ada.artifact_add(thread, json!({"artifact_key": "kept", "content": "1"})).await.ok();
        ada.artifact_add(thread, json!({"artifact_key": "gone", "content": "1"})).await.ok();
    }
    ada.status(&idle, "reviewing").await.ok();
    let was_idle = ada.thread_get(&idle).await.ok();

    offset.store(10 * DAY, Ordering::SeqCst);
    ada.send(&bob, "new").await.ok();
    ada.say(&busy, "new").await.ok();
    ada.message(&done, json!({"content": "reply", "reply_to": parent["id"]})).await.ok();
    ada.artifact_update(&done, "kept", json!({"content": "2"})).await.ok();
    ada.status(&done, "resolved").await.ok();
    let mut socket = bob.socket().await;
    janitor::retain(&handle).await;

    assert_eq!(bob.inbox(0).await.ok().all("content"), ["new"], "direct messages go by their age alone");
    let left = ada.messages(&done, "").await.list();
    assert_eq!((json!(left).all("content"), &left[0]["reply_to_id"]), (vec!["reply"], &json!(null)));
    assert_eq!(
        ada.messages(&busy, "").await.ok().all("content"),
        ["old too", "new"],
        "a thread that goes on keeps all"
    );
    assert_eq!(ada.versions(&done, "kept").await.list().iter().map(|v| v.int("version")).collect::<Vec<_>>(), [2]);
    assert!(ada.versions(&done, "gone").await.list().is_empty());
    assert_eq!(ada.versions(&busy, "gone").await.list().len(), 1);
    let closed = ada.thread_get(&idle).await.ok();
    assert_eq!((&closed["status"], &closed["close_reason"]), (&json!("closed"), &json!("timeout")));
    assert_eq!(closed.int("revision"), was_idle.int("revision") + 1);
    assert_eq!(closed["last_activity_at"], was_idle["last_activity_at"], "a dead thread does not top the lists");
    let told = socket.next("thread_status_changed").await;
    assert_eq!((&told["thread_id"], &told["to"]), (&idle["id"], &json!("closed")));
    assert_eq!(ada.thread_get(&busy).await["status"], "active");
    let trail = boss.audit("lifecycle.cleanup").await;
    let counts = json!({"messages_deleted": 3, "threads_closed": 1, "artifacts_deleted": 2});
    assert_eq!((trail.len(), &trail[0]["detail"]), (1, &counts));

    // The actor knows what went: a key of which nothing is left begins again, another goes on counting.
    ada.status(&done, "active").await.ok();
    assert_eq!(ada.artifact_add(&done, json!({"artifact_key": "gone", "content": "n"})).await["version"], 1);
    let next = ada.artifact_update(&done, "kept", json!({"content": "3"})).await.ok();
    assert_eq!(next["version"], 3);
    janitor::retain(&handle).await;
    assert_eq!(boss.audit("lifecycle.cleanup").await.len(), 1, "nothing happened, nothing noted");
}

#[test]
fn a_run_goes_on_until_nothing_is_left_sqlite() {
    aging(Db::Sqlite, drained);
}

#[test]
fn a_run_goes_on_until_nothing_is_left_postgres() {
    aging(Db::Postgres, drained);
}

/// A run used to delete one batch of 5,000 and leave the rest to the next one, six hours later.
async fn drained(hub: TestHub, handle: Hub, offset: Arc<AtomicI64>) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let boss = org.admin_bot("boss").await;
    org.settings(json!({"message_ttl_days": 5, "messages_per_minute_per_bot": 1_000_000})).await.ok();
    let mut socket = ada.socket().await;
    for _ in 0..11 {
        let mut last = json!(null);
        for _ in 0..500 {
            last = socket.start(json!({"type": "send_dm", "to": bob.id, "content": "old"})).await;
        }
        assert_eq!(socket.answer(&last).await.unwrap().0["type"], "ack");
    }
    offset.store(10 * DAY, Ordering::SeqCst);
    janitor::retain(&handle).await;
    assert!(bob.inbox(0).await.list().is_empty());
    let trail = boss.audit("lifecycle.cleanup").await;
    assert_eq!((trail.len(), &trail[0]["detail"]), (1, &json!({"messages_deleted": 5500})), "one row per run");
}

#[test]
fn what_never_expires_stays_sqlite() {
    aging(Db::Sqlite, what_never_expires_stays);
}

#[test]
fn what_never_expires_stays_postgres() {
    aging(Db::Postgres, what_never_expires_stays);
}

async fn what_never_expires_stays(hub: TestHub, handle: Hub, offset: Arc<AtomicI64>) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let boss = org.admin_bot("boss").await;
    for expires_in in [0, 60] {
        boss.post("/api/org/tickets", json!({"reusable": true, "expires_in": expires_in})).await.ok();
    }
    ada.post("/api/me/tokens", json!({"scopes": ["read"]})).await.ok();
    ada.post("/api/me/tokens", json!({"scopes": ["read"], "expires_in": 60_000})).await.ok();
    let before = boss.get("/api/org/tickets").await.ok().items("items").len();
    offset.store(1000 * DAY, Ordering::SeqCst);
    janitor::retain(&handle).await;
    assert_eq!(boss.get("/api/org/tickets").await.ok().items("items").len(), before - 1);
    assert_eq!(ada.get("/api/me/tokens").await.list().len(), 1);
    ada.thread("no rules, no end", &[]).await;
    offset.store(2000 * DAY, Ordering::SeqCst);
    janitor::retain(&handle).await;
    assert_eq!(ada.threads("?status=active").await.list().len(), 1);
}
