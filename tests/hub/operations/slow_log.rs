//! Warnings of slow queries and commits: they come when something is slow, name the code, and hold nothing of the data.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};

use crate::harness::*;

/// Holds the database up for a while, in a thread of its own; returns once it does.
pub fn block_database(database: &Database, pause: Duration) -> std::thread::JoinHandle<()> {
    let (url, file) = (database.postgres_url().map(str::to_owned), database.sqlite_path());
    let (send, held) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || match url {
        Some(url) => {
            let mut conn = PgConnection::establish(&url).unwrap();
            conn.batch_execute("BEGIN; LOCK TABLE channel_messages IN ACCESS EXCLUSIVE MODE").unwrap();
            send.send(()).unwrap();
            std::thread::sleep(pause);
            conn.batch_execute("COMMIT").unwrap();
        }
        None => {
            let mut conn = SqliteConnection::establish(&file.to_string_lossy()).unwrap();
            conn.batch_execute("BEGIN IMMEDIATE").unwrap();
            send.send(()).unwrap();
            std::thread::sleep(pause);
            conn.batch_execute("COMMIT").unwrap();
        }
    });
    held.recv().unwrap();
    thread
}

fn slow_lines(process: &ProcessHub) -> Vec<String> {
    process.log().lines().filter(|line| line.contains(" slow ")).map(str::to_owned).collect()
}

async fn slow(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let env = [("HXA_CONNECT_LOG_SLOW_QUERY_MS", "150"), ("HXA_CONNECT_LOG_SLOW_COMMIT_MS", "150")];
    let mut process = ProcessHub::with_env(database, &env).await;
    let [ada, bob] = process.hub.with_org("a").await.bots(["ada", "bob"]).await;
    let channel = ada.send(&bob, "planted words").await.ok().text("channel_id");
    let held = block_database(process.database(), Duration::from_millis(400));
    let (sent, read) =
        tokio::join!(ada.send(&bob, "planted words").into_future(), bob.channel_messages(&channel, "").into_future());
    sent.ok();
    read.ok();
    held.join().unwrap();
    process.logged("slow commit").await;
    let commits = slow_lines(&process).into_iter().filter(|line| line.contains("slow commit")).collect::<Vec<_>>();
    assert!(commits.len() == 1 && commits[0].contains("WARN") && commits[0].contains("rows="), "{}", process.log());
    // SQLite's readers do not wait for its writer.
    if db == Db::Postgres {
        process.logged("slow query").await;
        let reads = slow_lines(&process).into_iter().filter(|line| line.contains("slow query")).collect::<Vec<_>>();
        assert!(
            !reads.is_empty() && reads.iter().all(|line| line.contains("WARN") && line.contains("::")),
            "{reads:?}"
        );
        assert!(reads.iter().any(|line| line.contains("query=") && line.contains("duration_ms=")), "{reads:?}");
    }
    for secret in ["planted", ada.secret(), &channel, "SELECT"] {
        assert!(
            slow_lines(&process).iter().all(|line| !line.contains(secret)),
            "{secret} is in {:?}",
            slow_lines(&process)
        );
    }
    process.signal("TERM");
    process.exited(Duration::from_secs(10)).await;
    let before = slow_lines(&process).len();
    process.set_env(&[("HXA_CONNECT_LOG_SLOW_QUERY_MS", "0"), ("HXA_CONNECT_LOG_SLOW_COMMIT_MS", "0")]);
    process.start().await;
    let held = block_database(process.database(), Duration::from_millis(700));
    ada.send(&bob, "late").await.ok();
    held.join().unwrap();
    assert_eq!(slow_lines(&process).len(), before, "0 turns them off");
}

#[test]
fn what_is_slow_is_named_and_nothing_else_is_told_sqlite() {
    block_on(slow(Db::Sqlite));
}

#[test]
fn what_is_slow_is_named_and_nothing_else_is_told_postgres() {
    block_on(slow(Db::Postgres));
}
