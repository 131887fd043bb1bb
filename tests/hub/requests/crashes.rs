//! Kill -9 while agents ask and people answer: what was acknowledged is there, every request has one end, nothing is stuck,
//! and the audit chain is whole.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;

use crate::harness::*;

const CYCLES: usize = 6;
const AGENTS: usize = 8;

#[test]
fn kill_9_loses_no_answer_and_leaves_nothing_stuck_sqlite() {
    block_on(kill_again_and_again(Db::Sqlite));
}

#[test]
fn kill_9_loses_no_answer_and_leaves_nothing_stuck_postgres() {
    block_on(kill_again_and_again(Db::Postgres));
}

/// What was acknowledged of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Asked,
    Answered,
    Cancelled,
    Delivered,
}

/// A request that expires at once, with one fallback after the other.
fn brief(n: usize) -> Value {
    let fallback = ["AUTO_REJECT", "ESCALATE", "BLOCK", "AUTO_APPROVE"][n % 4];
    let mut policy = json!({"timeout_seconds": 1, "fallback": fallback});
    if fallback == "ESCALATE" {
        policy["escalation_responder_id"] = json!("emil");
    }
    question_with("dora", json!({"timeout_policy": policy}))
}

/// Asks, answers, withdraws and reads until the hub is gone.
async fn work(org: &Org, bot: &Bot, seen: &mut HashMap<String, Seen>) {
    for n in 0.. {
        let body = if n % 4 == 3 { brief(n / 4) } else { question("dora") };
        let Some(asked) = bot.ask(body).attempt().await.filter(|reply| reply.status == 201) else { return };
        let id = asked.body.text("request_id");
        seen.insert(id.clone(), Seen::Asked);
        let step = match n % 4 {
            0 | 1 => org.approve(&id).attempt().await.map(|reply| (reply, Seen::Answered)),
            2 => bot.cancel(&id).attempt().await.map(|reply| (reply, Seen::Cancelled)),
            _ => continue,
        };
        match step {
            Some((reply, what)) if reply.status == 200 => drop(seen.insert(id.clone(), what)),
            _ => return,
        }
        if n % 4 == 0 {
            match bot.request(&id).attempt().await {
                Some(reply) if reply.status == 200 => drop(seen.insert(id, Seen::Delivered)),
                _ => return,
            }
        }
    }
}

async fn kill_again_and_again(kind: Db) {
    let Some(mut process) = ProcessHub::fresh(kind).await else { return };
    let org = process.hub.with_org("a").await;
    let mut agents = Vec::new();
    for n in 0..AGENTS {
        agents.push((org.bot(&format!("agent-{n}")).await, HashMap::new()));
    }
    let cycles = chaos::times(CYCLES);
    for cycle in 0..cycles {
        let works = join_all(agents.iter_mut().map(|(bot, seen)| work(&org, bot, seen)));
        let kill = async {
            tokio::time::sleep(Duration::from_millis(700 + 130 * u64::try_from(cycle % CYCLES).unwrap())).await;
            process.kill_9();
        };
        tokio::join!(works, kill);
        process.start().await;
    }
    // The deadlines of the last cycle have come by then, also of those that were escalated.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (mut checked, mut answered, mut fallbacks) = (0, 0, 0);
    for (bot, seen) in &agents {
        for (id, seen) in seen {
            fallbacks += usize::from(check(bot, id, *seen).await);
            answered += usize::from(matches!(seen, Seen::Answered | Seen::Delivered));
            checked += 1;
        }
    }
    assert!(checked > 50 && answered > 0 && fallbacks > 0, "only {checked} requests, {answered}, {fallbacks}");
    let verified = process.cli(&["audit", "verify"]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let verified = String::from_utf8_lossy(&verified.stdout);
    let rows = verified.lines().last().unwrap_or_default();
    assert!(rows.starts_with("verified "), "{verified}");
    chaos::figure(
        "R26",
        &format!(
            "{kind}: {cycles} kills of a hub with {AGENTS} agents, {checked} requests and {answered} answers acknowledged, \
             none lost or stuck, {fallbacks} fallbacks, none twice, {rows}"
        ),
    );
}

/// Whether its fallback was applied.
async fn check(bot: &Bot, id: &str, seen: Seen) -> bool {
    let now = bot.call("HEAD", &format!("/v1/requests/{id}")).await;
    assert_eq!(now.status, 200, "{id} is lost");
    let steps = bot.steps(id).await;
    let count = |kind: &str| steps.iter().filter(|step| *step == kind).count();
    let ends = count("CR_RESPONDED") + count("CR_CANCELLED") + count("CR_TIMED_OUT");
    assert!(ends <= 1 && count("CR_DELIVERED") <= 1 && count("CR_ESCALATED") <= 1, "{id}: {steps:?}");
    assert_eq!(&steps[..3], ["CR_SUBMITTED", "CR_ROUTING", "CR_PENDING_RESPONSE"]);
    match seen {
        Seen::Asked => {}
        Seen::Answered => assert_eq!(count("CR_RESPONDED"), 1, "{id}: {steps:?}"),
        Seen::Cancelled => assert_eq!(count("CR_CANCELLED"), 1, "{id}: {steps:?}"),
        Seen::Delivered => assert_eq!(count("CR_DELIVERED"), 1, "{id}: {steps:?}"),
    }
    let listed = bot.request_audit(&format!("?request_id={id}")).await.ok();
    let read = bot.get(format!("/v1/requests/{id}")).await.ok();
    let is_brief = read["timeout_policy"]["timeout_seconds"] == 1;
    assert!(!is_brief || ends == 1, "{id} is stuck in {}: {listed}", read["state"]);
    let is_escalated = read["timeout_policy"]["fallback"] == "ESCALATE";
    assert_eq!(count("CR_ESCALATED"), usize::from(is_escalated), "{id}: {steps:?}");
    is_brief
}
