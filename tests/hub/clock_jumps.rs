//! A clock that jumps: order never goes back, sockets stay, nobody is locked out, and what was revoked stays revoked.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hxa_connect::config::Config;

use crate::harness::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

#[test]
fn a_jumping_clock_disturbs_nobody_sqlite() {
    jumps(Db::Sqlite);
}

#[test]
fn a_jumping_clock_disturbs_nobody_postgres() {
    jumps(Db::Postgres);
}

fn patient(config: &mut Config) {
    config.sockets.heartbeat_seconds = 3600;
}

fn jumps(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let offset = Arc::new(AtomicI64::new(0));
    let shared = offset.clone();
    let clock = Arc::new(move || now_ms() + shared.load(Ordering::SeqCst));
    run_at(clock, &database, &[patient], async |hub, _| {
        let org = hub.with_org("a").await;
        let [x, y] = org.bots(["x", "y"]).await;
        let thread = x.thread("t", &[&y]).await;
        let token = x.post("/api/me/tokens", json!({"scopes": ["full"]})).await.ok();
        let revoked = x.by(Caller::bearer(&hub, &token.text("token")));
        x.delete(format!("/api/me/tokens/{}", token.id())).await.ok();
        let mut socket = y.socket().await;
        let mut said = 0;
        // Back and forth, a change of summer time, a leap second, and each way home.
        let jumps = [-DAY, -HOUR, HOUR, 0, 10 * YEAR, 0, HOUR, -1000];
        for jump in jumps {
            offset.store(jump, Ordering::SeqCst);
            // A whole minute's worth of messages, so that a window that took the jump for time would be full.
            for _ in 0..110 / jumps.len() {
                x.say(&thread, &said.to_string()).await.ok();
                let heard = socket.next("thread_message").await;
                assert_eq!(heard["message"]["content"], said.to_string());
                said += 1;
            }
            // The janitor looks at the sockets every second.
            tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
            socket.drain().await;
            revoked.me().await.refused(401, "INVALID_TOKEN");
            y.me().await.ok();
            // Ten years without use do end a session.
            if said < 40 {
                org.get("/api/org").await.ok();
            }
        }
        let stored = y.messages(&thread, "?limit=200").await.list();
        let contents: Vec<String> = stored.iter().map(|message| message.text("content")).collect();
        assert_eq!(contents, (0..said).map(|n| n.to_string()).collect::<Vec<_>>(), "order is the order of sending");
        let keys: Vec<(i64, String)> = stored.iter().map(|m| (m.int("created_at"), m.text("id"))).collect();
        assert!(keys.is_sorted(), "keys never go back");
        chaos::figure("R9", &format!("{db}: {} jumps, order kept, no socket lost, nobody locked out", jumps.len()));
    });
}

/// A bot that used up its rate while the clock was ten years ahead was refused for ten years.
#[test]
fn a_rate_used_up_in_the_future_does_not_last() {
    let database = Database::fresh(Db::Sqlite).unwrap();
    let offset = Arc::new(AtomicI64::new(10 * YEAR));
    let shared = offset.clone();
    let clock = Arc::new(move || now_ms() + shared.load(Ordering::SeqCst));
    run_at(clock, &database, &[], async |hub, _| {
        let org = hub.with_org("a").await;
        org.settings(json!({"messages_per_minute_per_bot": 3})).await.ok();
        let [x, y] = org.bots(["x", "y"]).await;
        for n in 0..3 {
            x.send(&y, &n.to_string()).await.ok();
        }
        x.send(&y, "one too many").await.refused(429, "RATE_LIMITED");
        offset.store(0, Ordering::SeqCst);
        x.send(&y, "in the present").await.ok();
    });
}
