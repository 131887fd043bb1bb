//! Two things at once happen to one request: one wins, the other hears of the state that won, and the audit tells of one.

use std::time::Duration;

use futures_util::future::{join, join_all};
use hxa_connect::hub::config::{Config, OpenPortal};

use crate::harness::*;

/// Pairs of each kind.
const PAIRS: usize = 200;
/// Pairs that are under way together.
const AT_ONCE: usize = 20;

on_both_databases! {
    of_two_answers_one_wins,
    of_an_answer_and_a_withdrawal_one_wins,
    of_an_answer_and_the_deadline_one_wins,
    of_the_last_votes_one_decides with open,
    of_two_requests_under_one_key_one_is_made,
}

fn open(config: &mut Config) {
    config.coordination.open_portal = OpenPortal::OnThisMachine;
}

/// What a request's audit says of its end.
async fn endings(agent: &Caller, id: &str) -> Vec<String> {
    let ends = ["CR_RESPONDED", "CR_CANCELLED", "CR_TIMED_OUT"];
    agent.steps(id).await.into_iter().filter(|step| ends.contains(&step.as_str())).collect()
}

/// Runs `pair` many times, some at once.
async fn pairs<F: Future<Output = ()>>(what: &str, pair: impl Fn(usize) -> F) {
    for round in 0..PAIRS / AT_ONCE {
        join_all((0..AT_ONCE).map(|n| pair(round * AT_ONCE + n))).await;
    }
    raced(what);
}

fn raced(what: &str) {
    chaos::figure("R28", &format!("+{PAIRS} {what} on both databases"));
}

/// One of both has won; what the other one hears names the state.
fn winner<'a>(one: &'a Reply, other: &'a Reply) -> &'a Reply {
    let (won, lost) = if one.status == 200 { (one, other) } else { (other, one) };
    assert_eq!((won.status, lost.status), (200, 409), "{} {}", won.text, lost.text);
    let state = lost["state"].as_str().unwrap();
    assert!(lost["error"].as_str().unwrap().ends_with(&format!("CR in state {state}")), "{}", lost.text);
    won
}

async fn of_two_answers_one_wins(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    pairs("pairs of answers", async |n| {
        let id = ada.asked().await;
        let answer = |text: &str| org.respond(&id, json!({"decision": "approved", "comment": text})).answered();
        let (one, other) = join(answer("one"), answer("other")).await;
        let won = if std::ptr::eq(winner(&one, &other), &one) { "one" } else { "other" };
        let read = ada.request(&id).await.ok();
        assert_eq!((&read["state"], &read["response_data"]["comment"]), (&json!("DELIVERED"), &json!(won)), "{n}");
        assert_eq!(endings(&ada, &id).await, ["CR_RESPONDED"]);
    })
    .await;
}

async fn of_an_answer_and_a_withdrawal_one_wins(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    pairs("pairs of an answer and a withdrawal", async |n| {
        let id = ada.asked().await;
        let (answered, cancelled) = match n % 2 {
            0 => join(org.approve(&id).answered(), ada.cancel(&id).answered()).await,
            _ => {
                let (cancelled, answered) = join(ada.cancel(&id).answered(), org.approve(&id).answered()).await;
                (answered, cancelled)
            }
        };
        let has_answer = std::ptr::eq(winner(&answered, &cancelled), &answered);
        let expected = if has_answer { "CR_RESPONDED" } else { "CR_CANCELLED" };
        assert_eq!(endings(&ada, &id).await, [expected]);
        let state = if has_answer { "RESPONDED" } else { "CANCELLED" };
        assert_eq!(org.request(&id).await.ok()["state"], state);
    })
    .await;
}

async fn of_an_answer_and_the_deadline_one_wins(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let timeout = json!({"timeout_policy": {"timeout_seconds": 1, "fallback": "BLOCK"}});
    let race = async |n: usize| {
        let id = ada.ask(question_with("dora", timeout.clone())).await.status(201).text("request_id");
        // Some a moment before, some a moment after.
        tokio::time::sleep(Duration::from_millis(960 + 80 * u64::try_from(n % 20).unwrap() / 20)).await;
        let answered = org.approve(&id).answered().await;
        let decided = org.request(&id).await.ok();
        let (state, ending) = match answered.status {
            200 => ("RESPONDED", "CR_RESPONDED"),
            _ => {
                assert_eq!((answered.status, &answered["state"]), (409, &json!("TIMED_OUT")), "{}", answered.text);
                ("TIMED_OUT", "CR_TIMED_OUT")
            }
        };
        assert_eq!(decided["state"], state);
        assert_eq!(endings(&ada, &id).await, [ending]);
        answered.status
    };
    let statuses: Vec<u16> = join_all((0..PAIRS).map(race)).await;
    let won = statuses.iter().filter(|status| **status == 200).count();
    assert!(won < PAIRS, "the deadlines never came first");
    raced("pairs of an answer and the deadline");
}

async fn of_the_last_votes_one_decides(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let nobody = hub.anonymous();
    let quorum =
        json!({"routing_hints": {"responder_id": "dora", "quorum": {"of": ["dora", "emil", "fay"], "need": 2}}});
    let vote = |id: &str, by: &str, decision: &str| {
        let body = json!({"response_data": {"decision": decision}, "responded_by": by});
        nobody.post(format!("/v1/requests/{id}/respond"), body)
    };
    pairs("pairs of last votes", async |n| {
        let id = ada.ask(question_with("dora", quorum.clone())).await.status(201).text("request_id");
        assert_eq!(vote(&id, "dora", "approved").await.ok()["status"], "voted");
        // Either one decides; then nobody votes any more.
        let (emil, fay) = join(vote(&id, "emil", "approved").answered(), vote(&id, "fay", "approved").answered()).await;
        let won = winner(&emil, &fay);
        assert_eq!(won["status"], "responded");
        let read = ada.request(&id).await.ok();
        assert_eq!(read["response_data"]["decision"], "approved", "{n}");
        assert_eq!(read["votes"].as_array().unwrap().len(), 2);
        assert_eq!(endings(&ada, &id).await, ["CR_RESPONDED"]);
    })
    .await;
    let id = ada.ask(question_with("dora", quorum)).await.status(201).text("request_id");
    let twice = join(vote(&id, "dora", "rejected").answered(), vote(&id, "DORA", "approved").answered()).await;
    let mut statuses = [twice.0.status, twice.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "nobody votes twice");
}

async fn of_two_requests_under_one_key_one_is_made(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let before = ada.requests("").await.ok()["total"].as_i64().unwrap();
    pairs("pairs of requests under one key", async |n| {
        let body = question_with("dora", json!({"idempotency_key": format!("k{n}")}));
        let (one, other) = join(ada.ask(body.clone()).answered(), ada.ask(body.clone()).answered()).await;
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 201], "{} {}", one.text, other.text);
        assert_eq!(one["request_id"], other["request_id"]);
        let different = question_with("emil", json!({"idempotency_key": format!("k{n}")}));
        ada.ask(different.clone()).await.refused(409, "IDEMPOTENCY_MISMATCH");
        bob.ask(different).await.status(201);
    })
    .await;
    let page = ada.requests("?limit=1").await.ok();
    assert_eq!(page["total"].as_i64().unwrap() - before, i64::try_from(PAIRS).unwrap());
}
