//! Databases of before and after: one with any earlier schema is taken over with everything in it, and one that a newer
//! hub has used is left alone.

use std::path::Path;
use std::time::Duration;

use diesel::{Connection, PgConnection, SqliteConnection};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};

use crate::harness::*;

#[test]
fn earlier_schemas_are_taken_over_sqlite() {
    block_on(taken_over(Db::Sqlite));
}

#[test]
fn earlier_schemas_are_taken_over_postgres() {
    block_on(taken_over(Db::Postgres));
}

/// The steps of the kernel, or of a feature.
fn steps(folder: &str, db: Db) -> FileBasedMigrations {
    let kind = if db == Db::Sqlite { "sqlite" } else { "postgres" };
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
    FileBasedMigrations::from_path(root.join(folder).join(kind)).unwrap()
}

/// Takes back the steps of features, and the kernel's newest `count` times, as if the hub that wrote it had never been; the number of steps left.
fn go_back(process: &ProcessHub, count: usize) -> usize {
    fn back<DB: diesel::backend::Backend>(conn: &mut impl MigrationHarness<DB>, db: Db, count: usize) -> usize {
        while conn.revert_last_migration(steps("requests", db)).is_ok() {}
        for _ in 0..count {
            conn.revert_last_migration(steps("", db)).unwrap();
        }
        conn.applied_migrations().unwrap().len()
    }
    match process.database().postgres_url() {
        Some(url) => back(&mut PgConnection::establish(url).unwrap(), Db::Postgres, count),
        None => {
            back(&mut SqliteConnection::establish(&process.sqlite_path().to_string_lossy()).unwrap(), Db::Sqlite, count)
        }
    }
}

async fn stop(process: &mut ProcessHub) {
    process.signal("TERM");
    assert!(process.exited(Duration::from_secs(20)).await.success());
}

async fn taken_over(db: Db) {
    let Some(mut process) = ProcessHub::fresh(db).await else { return };
    let org = process.hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    for n in 0..50 {
        ada.say(&thread, &n.to_string()).await.ok();
        let key = format!("k{}", n % 5);
        match n {
            0..5 => ada.artifact_add(&thread, json!({"artifact_key": key, "content": n.to_string()})).await.ok(),
            _ => ada.artifact_update(&thread, &key, json!({"content": n.to_string()})).await.ok(),
        };
        bob.send(&ada, &n.to_string()).await.ok();
    }
    let file = ada.upload("f.txt", "uploaded").await.ok().text("url");
    ada.status(&thread, "reviewing").await.ok();
    let told = Told::by(&bob, &thread, &file).await;
    // What an earlier schema does not know is forgotten on the way: who made a token.
    let token = ada.scoped(&["full"]).await.scoped(&["read"]).await;
    stop(&mut process).await;
    let all = go_back(&process, 0);
    // The first schema knows of organisations and bots only, so it comes last.
    for left in (1..all).rev() {
        assert_eq!(go_back(&process, all - left), left);
        process.start().await;
        assert_eq!(bob.me().await.ok()["name"], "bob", "credentials go on");
        assert_eq!(token.me().await.ok()["name"], "ada", "those that a token made, too");
        if left > 1 {
            assert_eq!(Told::by(&bob, &thread, &file).await, told, "from {left} steps");
        }
        let new = ada.thread("after", &[&bob]).await;
        ada.say(&new, "it goes on").await.ok();
        stop(&mut process).await;
    }
    newer_is_refused(&process);
    let (kind, from) = (db, all - 1);
    chaos::figure(
        "R22",
        &format!("{kind}: databases of all {from} earlier schemas migrated completely; one of a newer hub refused"),
    );
}

/// What a bot is told of its world.
#[derive(Debug, PartialEq)]
struct Told(Vec<Value>);

impl Told {
    async fn by(bot: &Bot, thread: &Value, file: &str) -> Self {
        let mut told = vec![json!(bot.all_messages(thread).await)];
        let mut read = bot.thread_get(thread).await.ok();
        // Reading moves nothing; who is online does not matter here.
        for participant in read["participants"].as_array_mut().unwrap() {
            participant.as_object_mut().unwrap().remove("online");
        }
        told.push(read);
        for key in 0..5 {
            told.push(json!(bot.versions(thread, &format!("k{key}")).await.list()));
        }
        let channel = bot.channels().await.list()[0].text("id");
        told.push(json!(bot.all_channel_messages(&channel).await));
        told.push(json!(bot.get(file).await.text));
        Self(told)
    }
}

fn newer_is_refused(process: &ProcessHub) {
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000001')";
    process.database().execute(newer);
    let output = process.cli(&["serve", "--port", "0"]).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!output.status.success() && said.contains("newer hub"), "{said}");
}
