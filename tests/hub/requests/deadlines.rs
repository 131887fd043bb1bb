//! Deadlines: many at once, missed ones, and what a start goes on with.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::harness::*;

/// Expire together.
const MANY: usize = 10_000;

fn brief(seconds: u32, fallback: &str) -> Value {
    question_with("dora", json!({"timeout_policy": {"timeout_seconds": seconds, "fallback": fallback}}))
}

/// Both databases, each with a process of its own.
fn on_both(body: impl AsyncFn(ProcessHub)) {
    for kind in [Db::Sqlite, Db::Postgres] {
        block_on(async {
            if let Some(process) = ProcessHub::fresh(kind).await {
                body(process).await;
            }
        });
    }
}

async fn ask_many(agent: &Caller, body: &Value, many: usize) {
    for _ in 0..many / 100 {
        for reply in join_all((0..100).map(|_| agent.ask(body.clone()).answered())).await {
            assert_eq!(reply.status, 201, "{}", reply.text);
        }
    }
}

async fn open(hub: &TestHub) -> f64 {
    hub.metric("hub_requests_open").await
}

/// Ten thousand of one second: all are decided by their fallback, and the hub answers meanwhile.
#[test]
fn ten_thousand_deadlines_of_one_second() {
    on_both(async |process| {
        let hub = &process.hub;
        let org = hub.with_org("a").await;
        let ada = org.bot("ada").await;
        ask_many(&ada, &brief(3600, "AUTO_REJECT"), MANY).await;
        // All of them become due in the same second, as they would by themselves.
        let mut process = process;
        process.kill_9();
        // A slow machine takes seconds for the start.
        let due = now_ms() + 8_000;
        let set = format!("UPDATE coordination_requests SET timeout_at = {due}, due_at = {due}");
        assert_eq!(process.database().execute(&set), MANY);
        process.start().await;
        let (hub, mut slowest) = (process.hub.clone(), Duration::ZERO);
        // They are entered while the hub is ready already. On a machine too slow for that, the figure is of late ones.
        eventually(async || (open(&hub).await, now_ms()), |(open, now)| *open == 10_000.0 || *now >= due).await;
        let wait = u64::try_from((due - now_ms()).max(0)).unwrap();
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let began = Instant::now();
        loop {
            let asked = Instant::now();
            hub.anonymous().get("/health").await.ok();
            slowest = slowest.max(asked.elapsed());
            if open(&hub).await == 0.0 {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{} are still open", open(&hub).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let took = began.elapsed();
        chaos::figure(
            "R27",
            &format!(
                "{}: {MANY} deadlines of one second after a kill, all handled {} later, /health within {}",
                process.database(),
                chaos::span(took),
                chaos::span(slowest)
            ),
        );
        let page = org.requests("?state=RESPONDED&limit=1").await.ok();
        assert_eq!(
            (&page["total"], &page["requests"][0]["responded_by"]),
            (&json!(10_000), &json!("system:auto_reject"))
        );
    });
}

/// What became due while no hub was there is due at its start; what a stop left between two states goes on.
#[test]
fn a_start_goes_on_with_what_was_open() {
    on_both(async |mut process| {
        let org = process.hub.with_org("a").await;
        let ada = org.bot("ada").await;
        let missed = ada.ask(brief(1, "AUTO_APPROVE")).await.status(201).text("request_id");
        let long = ada.ask(brief(600, "BLOCK")).await.status(201).text("request_id");
        let mut stuck = Vec::new();
        for state in ["SUBMITTED", "ROUTING", "ESCALATED"] {
            let id = ada.asked().await;
            stuck.push((id, state));
        }
        process.kill_9();
        for (id, state) in &stuck {
            let set = format!("UPDATE coordination_requests SET state = '{state}' WHERE id = '{id}'");
            assert_eq!(process.database().execute(&set), 1);
        }
        tokio::time::sleep(Duration::from_millis(1100)).await;
        process.start().await;
        let begun = Instant::now();
        let decided = ada.request_within(&missed, 5).await.ok();
        assert_eq!((&decided["state"], &decided["responded_by"]), (&json!("DELIVERED"), &json!("system:auto_approve")));
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        for (id, state) in &stuck {
            let waits = async || ada.request(id).await.ok();
            let now = eventually(waits, |now| now["state"] == "PENDING_RESPONSE").await;
            assert_eq!(now["responder_id"], "dora", "{state}");
            org.approve(id).await.ok();
        }
        assert_eq!(ada.request(&long).await.ok()["state"], "PENDING_RESPONSE");
        assert_eq!(open(&process.hub).await, 1.0);
        let verified = process.cli(&["audit", "verify"]).output().unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    });
}

/// Ten thousand that wait an hour: a few numbers each, and nothing to do.
#[test]
fn open_requests_cost_little_and_do_nothing() {
    block_on(async {
        let process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let org = process.hub.with_org("a").await;
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        // The first ones fill caches that are there for all.
        ask_many(&bob, &brief(3600, "BLOCK"), MANY).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let before = process.memory();
        ask_many(&ada, &brief(3600, "BLOCK"), MANY).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let each = process.memory().saturating_sub(before) / MANY;
        println!("{each} bytes for each open request");
        assert!(each < 4096, "{each} bytes for each open request");
        let actors = process.hub.anonymous().get("/metrics").await.text;
        let requests = actors.lines().find(|line| line.starts_with("hub_actors{kind=\"request\"}"));
        assert!(requests.is_none_or(|line| line.ends_with(" 0")), "{requests:?}");
        let ticks = || -> u64 {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap();
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        };
        let begun = ticks();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let spent = ticks() - begun;
        assert!(spent <= 15, "{spent} hundredths of a second of work in five seconds of waiting");
    });
}
