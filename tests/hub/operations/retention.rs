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
    let [x, y] = org.bots(["x", "y"]).await;
    let boss = org.admin_bot("boss").await;
    let rules = json!({"message_ttl_days": 5, "thread_auto_close_days": 3, "artifact_retention_days": 4});
    org.settings(rules).await.ok();
    x.send(&y, "old").await.ok();
    let [done, idle, busy] = [x.thread("done", &[&y]).await, x.thread("idle", &[&y]).await, x.thread("b", &[&y]).await];
    let parent = x.say(&done, "old").await.ok();
    for thread in [&done, &busy] {
        x.say(thread, "old too").await.ok();
        x.artifact_add(thread, json!({"artifact_key": "kept", "content": "1"})).await.ok();
        x.artifact_add(thread, json!({"artifact_key": "gone", "content": "1"})).await.ok();
    }
    x.status(&idle, "reviewing").await.ok();
    let was_idle = x.thread_get(&idle).await.ok();

    offset.store(10 * DAY, Ordering::SeqCst);
    x.send(&y, "new").await.ok();
    x.say(&busy, "new").await.ok();
    x.message(&done, json!({"content": "reply", "reply_to": parent["id"]})).await.ok();
    x.artifact_update(&done, "kept", json!({"content": "2"})).await.ok();
    x.status(&done, "resolved").await.ok();
    let mut socket = y.socket().await;
    janitor::retain(&handle).await;

    assert_eq!(y.inbox(0).await.ok().all("content"), ["new"], "direct messages go by their age alone");
    let left = x.messages(&done, "").await.list();
    assert_eq!((json!(left).all("content"), &left[0]["reply_to_id"]), (vec!["reply"], &json!(null)));
    assert_eq!(x.messages(&busy, "").await.ok().all("content"), ["old too", "new"], "a thread that goes on keeps all");
    assert_eq!(x.versions(&done, "kept").await.list().iter().map(|v| v.int("version")).collect::<Vec<_>>(), [2]);
    assert!(x.versions(&done, "gone").await.list().is_empty());
    assert_eq!(x.versions(&busy, "gone").await.list().len(), 1);
    let closed = x.thread_get(&idle).await.ok();
    assert_eq!((&closed["status"], &closed["close_reason"]), (&json!("closed"), &json!("timeout")));
    assert_eq!(closed.int("revision"), was_idle.int("revision") + 1);
    assert_eq!(closed["last_activity_at"], was_idle["last_activity_at"], "a dead thread does not top the lists");
    let told = socket.next("thread_status_changed").await;
    assert_eq!((&told["thread_id"], &told["to"]), (&idle["id"], &json!("closed")));
    assert_eq!(x.thread_get(&busy).await["status"], "active");
    let trail = boss.audit("lifecycle.cleanup").await;
    let counts = json!({"messages_deleted": 3, "threads_closed": 1, "artifacts_deleted": 2});
    assert_eq!((trail.len(), &trail[0]["detail"]), (1, &counts));

    // The actor knows what went: a key of which nothing is left begins again, another goes on counting.
    x.status(&done, "active").await.ok();
    assert_eq!(x.artifact_add(&done, json!({"artifact_key": "gone", "content": "n"})).await["version"], 1);
    let next = x.artifact_update(&done, "kept", json!({"content": "3"})).await.ok();
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
    let [x, y] = org.bots(["x", "y"]).await;
    let boss = org.admin_bot("boss").await;
    org.settings(json!({"message_ttl_days": 5, "messages_per_minute_per_bot": 1_000_000})).await.ok();
    let mut socket = x.socket().await;
    for _ in 0..11 {
        let mut last = json!(null);
        for _ in 0..500 {
            last = socket.start(json!({"type": "send_dm", "to": y.id, "content": "old"})).await;
        }
        assert_eq!(socket.answer(&last).await.unwrap().0["type"], "ack");
    }
    offset.store(10 * DAY, Ordering::SeqCst);
    janitor::retain(&handle).await;
    assert!(y.inbox(0).await.list().is_empty());
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
    let x = org.bot("x").await;
    let boss = org.admin_bot("boss").await;
    for expires_in in [0, 60] {
        boss.post("/api/org/tickets", json!({"reusable": true, "expires_in": expires_in})).await.ok();
    }
    x.post("/api/me/tokens", json!({"scopes": ["read"]})).await.ok();
    x.post("/api/me/tokens", json!({"scopes": ["read"], "expires_in": 60_000})).await.ok();
    let before = boss.get("/api/org/tickets").await.ok().items("items").len();
    offset.store(1000 * DAY, Ordering::SeqCst);
    janitor::retain(&handle).await;
    assert_eq!(boss.get("/api/org/tickets").await.ok().items("items").len(), before - 1);
    assert_eq!(x.get("/api/me/tokens").await.list().len(), 1);
    x.thread("no rules, no end", &[]).await;
    offset.store(2000 * DAY, Ordering::SeqCst);
    janitor::retain(&handle).await;
    assert_eq!(x.threads("?status=active").await.list().len(), 1);
}
