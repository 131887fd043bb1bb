//! Expensive questions: those of one organisation do not keep the others from the readers, and those that are asked twice at
//! once are answered once.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};

use crate::harness::chaos::{figure, span, times};
use crate::harness::*;

on_both_databases! {
    what_everybody_asks_is_counted_once,
    the_same_search_is_made_once,
}

/// Reads of the database so far.
async fn reads(hub: &TestHub) -> u64 {
    let metrics = hub.anonymous().get("/metrics").await.text;
    let count = metrics.lines().find_map(|line| line.strip_prefix("hub_read_seconds_count "));
    count.unwrap().trim().parse().unwrap()
}

/// 64 parallel requests counted every row of the hub 64 times.
async fn what_everybody_asks_is_counted_once(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    ada.send(&bob, "m").await.ok();
    let before = reads(&hub).await;
    let anonymous = hub.anonymous();
    let answers = join_all((0..64).map(|_| async { anonymous.get("/api/stats").await.ok() })).await;
    assert!(answers.iter().all(|answer| answer["message_count"] == 1 && answer == &answers[0]), "{answers:?}");
    assert_eq!(reads(&hub).await - before, 1);
    bob.send(&ada, "m").await.ok();
    assert_eq!(
        hub.anonymous().get("/api/stats").await.ok(),
        answers[0],
        "kept for a minute, by all threads that serve"
    );
}

async fn the_same_search_is_made_once(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada] = org.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    let content = format!("needle {}", "hay ".repeat(15_000));
    for _ in 0..40 {
        ada.say(&thread, &content).await.ok();
    }
    org.get("/api/org/search?q=needle").await.ok();
    let before = reads(&hub).await;
    let find = async || org.get("/api/org/search?q=needle").await.ok();
    let found = join_all((0..24).map(|_| find())).await;
    assert!(found.iter().all(|found| found.items("messages").len() == 20));
    assert!(reads(&hub).await - before <= 12, "{} reads for 24 of the same question", reads(&hub).await - before);
}

#[test]
fn searches_of_one_leave_the_readers_to_the_others_sqlite() {
    block_on(searches_of_one(Db::Sqlite));
}

#[test]
fn searches_of_one_leave_the_readers_to_the_others_postgres() {
    block_on(searches_of_one(Db::Postgres));
}

/// Searches at once, each for something else.
const SEARCHES: usize = 8;

/// Sixteen searches of one bot made another organisation wait for 5.5 seconds: they had all the readers.
async fn searches_of_one(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    // Few, so that the searches of one organisation could have them all.
    let env = [("HXA_CONNECT_DATABASE_READERS", "2"), ("HXA_CONNECT_DATABASE_POOL", "2")];
    let process = ProcessHub::with_env(database, &env).await;
    let (greedy, other) = (process.hub.with_org("greedy").await, process.hub.with_org("other").await);
    greedy.settings(json!({"messages_per_minute_per_bot": 100_000})).await.ok();
    let (ada, [bob, cleo]) = (greedy.admin_bot("ada").await, other.bots(["bob", "cleo"]).await);
    let (thread, hay) = (ada.thread("t", &[]).await, "hay ".repeat(16_000));
    let content = format!("{hay}h");
    for _ in 0..times(200) {
        ada.say(&thread, &content).await.ok();
    }
    bob.send(&cleo, "hello").await.ok();

    let is_over = Cell::new(false);
    let search = async |n: usize| ada.get(format!("/api/org/search?q=needle{n}")).await.status;
    let searches = async {
        let since = Instant::now();
        let statuses = join_all((0..SEARCHES).map(search)).await;
        is_over.set(true);
        (statuses, since.elapsed())
    };
    let (mut waits, asking) = (Vec::new(), tokio::time::sleep(Duration::from_millis(50)));
    let others = async {
        asking.await;
        while !is_over.get() {
            let asked = Instant::now();
            cleo.inbox(0).await.list();
            waits.push(asked.elapsed());
        }
    };
    let ((statuses, took), ()) = join(searches, others).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    // With all readers taken a read comes up when a search ends: no more often than there are searches.
    assert!(waits.len() > 4 * SEARCHES, "{} reads of others during {SEARCHES} searches of {took:?}", waits.len());
    waits.sort_unstable();
    let p99 = waits[waits.len() * 99 / 100];
    chaos::attack(db, &format!("{SEARCHES} searches at once"), None, &format!("p99 {}", span(p99)));
    let what = format!(
        "{db}: {SEARCHES} searches of one organisation for {}, {} reads of another meanwhile, p99 {}",
        span(took),
        waits.len(),
        span(p99)
    );
    figure("R25", &what);
}
