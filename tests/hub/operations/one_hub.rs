//! One hub at a time on a database: a second one is refused, or waits for the first to end, and one that was pushed aside
//! answers nothing out of its memory.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::harness::*;

const SHORT: (&str, &str) = ("HXA_CONNECT_DATABASE_TAKEOVER_SECONDS", "1");
const LONG: (&str, &str) = ("HXA_CONNECT_DATABASE_TAKEOVER_SECONDS", "20");

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

/// A second hub, run to its end.
async fn second(process: &ProcessHub, env: (&str, &str)) -> Output {
    let mut command = process.cli(&["serve", "--port", "0"]);
    command.env(env.0, env.1).stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[track_caller]
fn refused(output: &Output) {
    let said = said(output);
    assert!(!output.status.success() && said.contains("another hub runs on this database"), "{said}");
}

async fn a_second_hub_is_refused(db: Db) {
    let Some(process) = ProcessHub::fresh(db).await else { return };
    let ada = process.hub.with_org("a").await.bot("ada").await;
    let output = second(&process, SHORT).await;
    refused(&output);
    assert!(said(&output).contains(&format!("process {}", process.pid())), "it is not named: {}", said(&output));
    ada.me().await.ok();
    process.hub.anonymous().get("/readyz").await.ok();
}

#[test]
fn a_second_hub_is_refused_sqlite() {
    block_on(a_second_hub_is_refused(Db::Sqlite));
}

#[test]
fn a_second_hub_is_refused_postgres() {
    block_on(a_second_hub_is_refused(Db::Postgres));
}

/// A hub in the background that ends with this value.
struct Waiting(Child, TestHub);

impl Waiting {
    fn start(mut command: Command) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        command.env("HXA_CONNECT_PORT", port.to_string()).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self(child, TestHub::at(&format!("http://127.0.0.1:{port}")))
    }

    async fn is_ready(&self) -> bool {
        let answer = self.1.http().get(format!("{}/readyz", self.1.url())).send().await;
        answer.is_ok_and(|reply| reply.status() == 200)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn the_next_hub_follows_a_dead_one(db: Db) {
    let Some(mut process) = ProcessHub::fresh(db).await else { return };
    let ada = process.hub.with_org("a").await.bot("ada").await;
    let mut command = process.cli(&["serve"]);
    command.env(LONG.0, LONG.1);
    let next = Waiting::start(command);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!next.is_ready().await, "two hubs at once");
    process.kill_9();
    eventually(|| next.is_ready(), |ready| *ready).await;
    ada.by(Caller::bearer(&next.1, ada.secret())).me().await.ok();
}

#[test]
fn the_next_hub_follows_a_dead_one_sqlite() {
    block_on(the_next_hub_follows_a_dead_one(Db::Sqlite));
}

#[test]
fn the_next_hub_follows_a_dead_one_postgres() {
    block_on(the_next_hub_follows_a_dead_one(Db::Postgres));
}

/// A restart that begins before the old process has ended.
async fn a_restart_may_overlap(db: Db) {
    let Some(mut process) = ProcessHub::fresh(db).await else { return };
    let mut command = process.cli(&["serve"]);
    command.env(LONG.0, LONG.1);
    let next = Waiting::start(command);
    process.signal("QUIT");
    assert!(process.exited(Duration::from_secs(12)).await.success());
    eventually(|| next.is_ready(), |ready| *ready).await;
}

#[test]
fn a_restart_may_overlap_sqlite() {
    block_on(a_restart_may_overlap(Db::Sqlite));
}

#[test]
fn a_restart_may_overlap_postgres() {
    block_on(a_restart_may_overlap(Db::Postgres));
}

/// Both migrated at once, and one of them failed in the middle.
async fn two_first_starts(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let start = || {
        let mut command = command_on(&database, &["serve"]);
        command.env(LONG.0, LONG.1);
        Waiting::start(command)
    };
    let (mut one, mut other) = (start(), start());
    eventually(|| async { (one.is_ready().await, other.is_ready().await) }, |ready| ready.0 || ready.1).await;
    let is_one = one.is_ready().await;
    let (ready, waits) = if is_one { (&mut one, &mut other) } else { (&mut other, &mut one) };
    assert!(!waits.is_ready().await, "two hubs at once");
    assert!(waits.0.try_wait().unwrap().is_none(), "the second start failed");
    ready.1.with_org("a").await.bot("ada").await.me().await.ok();
    ready.0.kill().unwrap();
    eventually(|| waits.is_ready(), |ready| *ready).await;
}

#[test]
fn two_first_starts_sqlite() {
    block_on(two_first_starts(Db::Sqlite));
}

#[test]
fn two_first_starts_postgres() {
    block_on(two_first_starts(Db::Postgres));
}

async fn commands_work(db: Db) {
    let Some(process) = ProcessHub::fresh(db).await else { return };
    process.hub.with_org("a").await.bot("ada").await;
    let to = process.database().data_dir().join("saved");
    for args in [
        &["migrate", "--dry-run"][..],
        &["migrate"],
        &["config", "check"],
        &["admin", "org", "list"],
        &["admin", "stats"],
        &["backup", "--to", to.to_str().unwrap()],
    ] {
        let output = process.cli(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", said(&output));
    }
    // Those that change rows go through the hub.
    let change = process.cli(&["admin", "org", "create", "b"]).output().unwrap();
    assert!(change.status.success(), "{}", said(&change));
    assert_eq!(process.hub.super_admin().await.get("/api/orgs").await.list().len(), 2);
}

#[test]
fn commands_work_beside_a_hub_sqlite() {
    block_on(commands_work(Db::Sqlite));
}

#[test]
fn commands_work_beside_a_hub_postgres() {
    block_on(commands_work(Db::Postgres));
}

/// The lock was gone with its file, and a second hub made another.
#[test]
fn a_lock_file_that_is_removed_is_made_anew() {
    block_on(async {
        let process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let lock = process.database().data_dir().join("hxa-connect.db.lock");
        std::fs::remove_file(&lock).unwrap();
        eventually(|| async { lock.exists() }, |exists| *exists).await;
        refused(&second(&process, SHORT).await);
    });
}

#[test]
fn a_lock_that_cannot_be_taken_is_named() {
    let database = Database::fresh(Db::Sqlite).unwrap();
    std::fs::create_dir(database.data_dir().join("hxa-connect.db.lock")).unwrap();
    let output = cli_on(&database, &["serve", "--port", "0"]);
    assert!(!output.status.success() && said(&output).contains("hxa-connect.db.lock"), "{}", said(&output));
}

/// All sessions of a hub on the database.
const SESSIONS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                        WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// A server that is restarted ends every session, and with them the locks.
#[test]
fn a_hub_that_lost_its_sessions_takes_its_seat_again() {
    block_on(async {
        let Some(process) = ProcessHub::fresh(Db::Postgres).await else { return };
        let ada = process.hub.with_org("a").await.bot("ada").await;
        for _ in 0..3 {
            process.database().execute(SESSIONS);
            eventually(|| async { ada.thread_create(json!({"topic": "t"})).await.status }, |status| *status == 200)
                .await;
            eventually(|| async { process.hub.anonymous().get("/readyz").await.status }, |status| *status == 200).await;
        }
        refused(&second(&process, SHORT).await);
    });
}

/// Cut off from its database, a hub went on answering out of its memory beside the one that had taken its place.
#[test]
fn a_hub_that_was_cut_off_ends_when_another_has_been_there() {
    block_on(async {
        let Some(real) = Database::fresh(Db::Postgres) else { return };
        let (wire, via) = real.behind_proxy();
        let impatient =
            [("HXA_CONNECT_DATABASE_STATEMENT_TIMEOUT_MS", "1000"), ("HXA_CONNECT_DATABASE_POOL_TIMEOUT_MS", "500")];
        let mut process = ProcessHub::with_env(via, &impatient).await;
        let ada = process.hub.with_org("a").await.bot("ada").await;
        wire.set(Weather::Blackhole);
        real.execute(SESSIONS);
        let next = ProcessHub::on(real).await;
        let moved = ada.by(Caller::bearer(&next.hub, ada.secret()));
        moved.call("DELETE", "/api/me").await.ok();
        let answer = || async { ada.me().await.status };
        eventually(answer, |status| *status == 503).await;
        wire.set(Weather::Clear);
        let ended = process.exited(Duration::from_secs(20)).await;
        assert!(!ended.success() && process.log().contains("another hub has taken over this database"), "{ended:?}");
        next.hub.anonymous().get("/readyz").await.ok();
    });
}
