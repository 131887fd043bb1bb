//! What was acknowledged is there: after kill -9, after a database that went away, and through a graceful stop.

use std::time::{Duration, Instant};

use crate::harness::*;

/// Runs a test body that is not bound to the usual in-process hub.
fn block_on<F: Future<Output = ()>>(body: F) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body);
}

#[test]
fn kill_9_loses_nothing_acked_sqlite() {
    block_on(kill_9_loop(Db::Sqlite));
}

#[test]
fn kill_9_loses_nothing_acked_postgres() {
    block_on(kill_9_loop(Db::Postgres));
}

const CYCLES: usize = 20;

/// What the writers saw acknowledged.
#[derive(Default)]
struct Acked {
    messages: Vec<String>,
    dms: Vec<String>,
    artifacts: i64,
    revision: i64,
}

async fn kill_9_loop(db: Db) {
    let Some(mut process) = ProcessHub::fresh(db).await else { return };
    let org = process.hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000, "threads_per_hour_per_bot": 100_000})).await.ok();
    let [x, y] = org.bots(["x", "y"]).await;
    let mut total = 0;
    let cycles = chaos::times(CYCLES);
    for cycle in 0..cycles {
        let thread = x.thread(&format!("cycle {cycle}"), &[&y]).await;
        x.artifact_add(&thread, json!({"artifact_key": "k", "content": "1"})).await.ok();
        let (to_thread, to_peer) = (x.socket().await, y.socket().await);
        let kill = async {
            tokio::time::sleep(Duration::from_millis(60 + 17 * u64::try_from(cycle % 7).unwrap())).await;
            process.kill_9();
        };
        let (messages, dms, artifacts, revision, ()) = tokio::join!(
            write_messages(to_thread, &thread),
            write_dms(to_peer, &x),
            write_artifacts(&y, &thread),
            write_topics(&x, &thread),
            kill
        );
        let acked = Acked { messages, dms, artifacts, revision };
        total += acked.messages.len() + acked.dms.len();
        process.start().await;
        check(&x, &y, &thread, &acked).await;
    }
    assert!(total > cycles * 10, "only {total} writes were acknowledged in {cycles} cycles");
    chaos::figure("R1", &format!("{db:?}: {cycles} kills, {total} acknowledged, none lost"));
}

async fn write_messages(socket: Socket, thread: &Value) -> Vec<String> {
    socket
        .acked_until_gone(
            |n| json!({"type": "send_thread_message", "thread_id": thread["id"], "content": n.to_string()}),
        )
        .await
}

async fn write_dms(socket: Socket, to: &Bot) -> Vec<String> {
    socket.acked_until_gone(|n| json!({"type": "send_dm", "to": to.id, "content": n.to_string()})).await
}

async fn write_artifacts(bot: &Bot, thread: &Value) -> i64 {
    let mut last = 1;
    while let Some(reply) = bot.artifact_update(thread, "k", json!({"content": last.to_string()})).attempt().await {
        last = reply.ok().int("version");
    }
    last
}

async fn write_topics(bot: &Bot, thread: &Value) -> i64 {
    let mut last = 1;
    while let Some(reply) = bot.thread_patch(thread, json!({"topic": last.to_string()})).attempt().await {
        last = reply.ok().int("revision");
    }
    last
}

/// Everything acknowledged is there once; one more of each may have been written without its answer having come.
async fn check(x: &Bot, y: &Bot, thread: &Value, acked: &Acked) {
    let mut stored = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = x.messages(thread, &format!("?limit=200&cursor={cursor}")).await.ok();
        stored.extend(page["items"].all("id").iter().map(|id| (*id).to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    present("thread messages", &acked.messages, &stored);
    if let Some(last) = acked.dms.last() {
        let channels = y.channels().await.list();
        let channel = channels[0].text("id");
        let newest = y.channel_messages(&channel, "?limit=200").await.ok();
        let ids: Vec<String> = newest.all("id").iter().map(|id| (*id).to_owned()).collect();
        let window = &acked.dms[acked.dms.len().saturating_sub(150)..];
        present("direct messages", window, &ids);
        assert!(ids.contains(last));
    }
    let versions: Vec<i64> = x.versions(thread, "k").await.list().iter().map(|v| v.int("version")).collect();
    assert!(versions.len() as i64 >= acked.artifacts, "version {} was acked, {versions:?} are stored", acked.artifacts);
    assert_eq!(versions, (1..=versions.len() as i64).collect::<Vec<_>>(), "versions have no gaps");
    let read = x.thread_get(thread).await.ok();
    let revision = read.int("revision");
    assert!(
        revision == acked.revision || revision == acked.revision + 1,
        "{} was acked, {revision} is stored",
        acked.revision
    );
    let count = y.catchup("?since=0&limit=200").await.ok();
    let of_thread = |event: &&Value| event["type"] == "thread_message_summary" && event["thread_id"] == thread["id"];
    let told = count.items("events").iter().find(of_thread).map_or(0, |event| event.int("count"));
    if count["has_more"] == false {
        assert_eq!(told, stored.len() as i64, "catchup rides with the message");
    }
}

fn present(what: &str, acked: &[String], stored: &[String]) {
    let mut unique = stored.to_vec();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), stored.len(), "{what}: something is stored twice");
    for id in acked {
        assert!(unique.binary_search(id).is_ok(), "{what}: {id} was acked and is lost");
    }
}

#[test]
fn a_postgres_that_goes_away_is_503_and_comes_back() {
    block_on(async {
        let Some(postgres) = PrivatePostgres::start_fresh() else { return };
        let process = ProcessHub::on(Database::on_postgres(&postgres.url())).await;
        let org = process.hub.with_org("a").await;
        let [x, y] = org.bots(["x", "y"]).await;
        let thread = x.thread("t", &[&y]).await;
        let mut socket = y.socket().await;
        for mode in ["fast", "immediate"] {
            x.say(&thread, &format!("before {mode}")).await.ok();
            postgres.stop(mode);
            let down = || async { process.hub.anonymous().get("/readyz").await.status };
            eventually(down, |status| *status == 503).await;
            assert_eq!(process.hub.anonymous().get("/livez").await.status, 200);
            for reply in [x.say(&thread, "lost").await, x.messages(&thread, "").await, x.send(&y, "lost").await] {
                assert!(reply.header("retry-after").is_some(), "{}", reply.text);
                reply.refused(503, "UNAVAILABLE");
            }
            socket.op(json!({"type": "send_dm", "to": "x", "content": "lost"})).await.refused("UNAVAILABLE");
            postgres.start();
            let up = || async { process.hub.anonymous().get("/readyz").await.status };
            let since = Instant::now();
            eventually(up, |status| *status == 200).await;
            eventually(|| async { x.say(&thread, &format!("after {mode}")).await.status }, |status| *status == 200)
                .await;
            assert!(since.elapsed() < DEADLINE);
            socket.op(json!({"type": "send_dm", "to": "x", "content": "the socket lived on"})).await.ack();
        }
        let said: Vec<String> = x.messages(&thread, "").await.list().iter().map(|m| m.text("content")).collect();
        assert!(said.iter().all(|content| content != "lost"), "a refused message was stored: {said:?}");
        for kept in ["before fast", "after fast", "before immediate", "after immediate"] {
            assert!(said.iter().any(|content| content == kept), "{kept} is missing: {said:?}");
        }
    });
}

#[test]
fn signals_drain_and_name_their_close_code() {
    block_on(async {
        let mut process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let x = process.hub.with_org("a").await.bot("x").await;
        for (signal, code) in [("TERM", 1001), ("INT", 1001), ("QUIT", 1012)] {
            let mut socket = x.socket().await;
            let thread = x.thread(signal, &[]).await;
            socket.op(json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "c"})).await.ack();
            let stalled = x.socket().await.into_stream();
            process.signal(signal);
            assert_eq!(socket.closed().await, code);
            let status = process.exited(Duration::from_secs(10)).await;
            assert!(status.success(), "{signal}: {status}");
            drop(stalled);
            process.start().await;
            assert_eq!(x.messages(&thread, "").await.list().len(), 1);
        }
    });
}

#[test]
fn presence_is_clean_after_a_crash() {
    for db in [Db::Sqlite, Db::Postgres] {
        block_on(async {
            let Some(mut process) = ProcessHub::fresh(db).await else { return };
            let [x, y] = process.hub.with_org("a").await.bots(["x", "y"]).await;
            let socket = x.socket().await;
            let ask = || async { y.get(format!("/api/bots/{}", x.id)).await.ok()["online"].clone() };
            eventually(ask, |online| *online == true).await;
            process.kill_9();
            drop(socket);
            process.start().await;
            assert_eq!(y.get(format!("/api/bots/{}", x.id)).await["online"], false);
        });
    }
}
