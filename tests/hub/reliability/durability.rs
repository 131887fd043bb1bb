//! What was acknowledged is there after a database that went away and through a graceful stop; presence is true after a crash.

use std::time::{Duration, Instant};

use crate::harness::*;

/// Runs a test body that is not bound to the usual in-process hub.
#[test]
fn a_postgres_that_goes_away_is_503_and_comes_back() {
    block_on(async {
        let Some(postgres) = PrivatePostgres::start_fresh() else { return };
        let process = ProcessHub::on(Database::on_postgres(&postgres.url())).await;
        let org = process.hub.with_org("a").await;
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        let thread = ada.thread("t", &[&bob]).await;
        let mut socket = bob.socket().await;
        for mode in ["fast", "immediate"] {
            ada.say(&thread, &format!("before {mode}")).await.ok();
            postgres.stop(mode);
            let down = || async { process.hub.anonymous().get("/readyz").await.status };
            eventually(down, |status| *status == 503).await;
            assert_eq!(process.hub.anonymous().get("/livez").await.status, 200, "{mode}");
            for reply in [ada.say(&thread, "lost").await, ada.messages(&thread, "").await, ada.send(&bob, "lost").await]
            {
                assert!(reply.header("retry-after").is_some(), "{}", reply.text);
                reply.refused(503, "UNAVAILABLE");
            }
            socket.op(json!({"type": "send_dm", "to": "ada", "content": "lost"})).await.refused("UNAVAILABLE");
            postgres.start();
            let up = || async { process.hub.anonymous().get("/readyz").await.status };
            let since = Instant::now();
            eventually(up, |status| *status == 200).await;
            eventually(|| async { ada.say(&thread, &format!("after {mode}")).await.status }, |status| *status == 200)
                .await;
            assert!(since.elapsed() < DEADLINE, "{mode}");
            socket.op(json!({"type": "send_dm", "to": "ada", "content": "the socket lived on"})).await.ack();
        }
        let said: Vec<String> = ada.messages(&thread, "").await.list().iter().map(|m| m.text("content")).collect();
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
        let ada = process.hub.with_org("a").await.bot("ada").await;
        for (signal, code) in [("TERM", 1001), ("INT", 1001), ("QUIT", 1012)] {
            let mut socket = ada.socket().await;
            let thread = ada.thread(signal, &[]).await;
            socket.op(json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "c"})).await.ack();
            let stalled = ada.socket().await.into_stream();
            process.signal(signal);
            assert_eq!(socket.closed().await, code, "{signal}");
            let status = process.exited(Duration::from_secs(10)).await;
            assert!(status.success(), "{signal}: {status}");
            drop(stalled);
            process.start().await;
            assert_eq!(ada.messages(&thread, "").await.list().len(), 1, "{signal}");
        }
    });
}

#[test]
fn presence_is_clean_after_a_crash() {
    for db in [Db::Sqlite, Db::Postgres] {
        block_on(async {
            let Some(mut process) = ProcessHub::fresh(db).await else { return };
            let [ada, bob] = process.hub.with_org("a").await.bots(["ada", "bob"]).await;
            let socket = ada.socket().await;
            let ask = || async { bob.get(format!("/api/bots/{}", ada.id)).await.ok()["online"].clone() };
            eventually(ask, |online| *online == true).await;
            process.kill_9();
            drop(socket);
            process.start().await;
            assert_eq!(bob.get(format!("/api/bots/{}", ada.id)).await["online"], false, "{db}");
        });
    }
}
