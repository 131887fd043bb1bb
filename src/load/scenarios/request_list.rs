//! A responder's queue: its newest open requests, listed by the responder while nothing else is there, and again when
//! many later requests to the same responder have ended.

use std::time::Instant;

use serde_json::Value;

use crate::context::Context;
use crate::error::Result;
use crate::http::{Credential, Http};
use crate::monitor::bar;
use crate::outcome::{Outcome, per, round};
use crate::plan::Plan;
use crate::question::{Question, approval, made_id};
use crate::recorder::Recorder;
use crate::run::Job;
use crate::runner::execute;
use crate::setup::{Bot, Responder};
use crate::stats::{Timed, to_f64};

/// The bot that asks.
const ASKER: usize = 1;
/// Requests that wait in the queue.
const OPEN: usize = 100;

/// Without history, then with it; the outcome is the second, with both in its figures.
pub async fn list(context: &mut Context, name: &str) -> Result<Outcome> {
    context.bots(2).await?;
    let (open, history) = (context.options.requests.unwrap_or(OPEN), context.options.history);
    let fleet = &context.fleet;
    let mut responder = fleet.responder().await?;
    let (asker, size) = (fleet.bot(ASKER)?.clone(), context.options.size);
    let body = Question::long(&responder.handle, size).body();
    let opened = fleet.each_measured(open, async |http, _| ask(http, &asker, &body).await).await?;
    responder.open = u64::try_from(open).unwrap_or(u64::MAX);
    let without = measure(context, name, &responder).await?;
    let (began, bar) = (Instant::now(), bar(name, u64::try_from(history).unwrap_or(0)));
    let ended = fleet
        .each_measured(history, async |http, at| {
            let id = ask(http, &asker, &body).await?;
            end(http, &asker, &responder, &id, at % 2 == 0).await?;
            bar.inc(1);
            Ok(())
        })
        .await;
    bar.finish_and_clear();
    ended?;
    let seeding = began.elapsed().as_secs_f64();
    let mut outcome = measure(context, name, &responder).await?;
    fleet
        .each_measured(opened.len(), async |http, at| match opened.get(at) {
            Some(id) => end(http, &asker, &responder, id, false).await,
            None => Ok(()),
        })
        .await?;
    outcome.setting.insert("history".into(), history.into());
    outcome.figure("history_requests_per_s", per(u64::try_from(history).unwrap_or(0), seeding));
    compare(&mut outcome, &without);
    Ok(outcome)
}

async fn measure(context: &Context, name: &str, responder: &Responder) -> Result<Outcome> {
    let options = &context.options;
    let connections = options.connections.max(1);
    let mut plan = Plan::new(name, Recorder::default(), options.measured(10.0))
        .with("open", responder.open)
        .with("connections", connections)
        .with("rate", options.rate);
    plan.responder = responder.clone();
    plan.rest_jobs = (0..connections).map(|lane| vec![Job::Queue { lane }]).collect();
    plan.rate = options.rate;
    plan.budget = options.messages;
    Ok(execute(context, plan).await?.0)
}

async fn ask(http: &mut Http, asker: &Bot, body: &str) -> Result<String> {
    made_id(&http.call("POST", "/v1/requests", Credential::Token(&asker.token), Some(body)).await?)
}

/// Ends a request by an answer, or by withdrawing it.
async fn end(http: &mut Http, asker: &Bot, responder: &Responder, id: &str, is_answered: bool) -> Result<()> {
    let path = format!("/v1/requests/{id}");
    if is_answered {
        let (key, body) = (Credential::Token(&responder.key), approval(&responder.handle));
        http.call("POST", &format!("{path}/respond"), key, Some(&body)).await?;
    } else {
        http.call("DELETE", &path, Credential::Token(&asker.token), None).await?;
    }
    Ok(())
}

/// Both measurements side by side.
fn compare(outcome: &mut Outcome, without: &Outcome) {
    outcome.failures.extend(without.failures.iter().map(|failure| format!("without history: {failure}")));
    outcome.ok = outcome.failures.is_empty();
    let of = |outcome: &Outcome| outcome.latency_us.iter().find(|latency| latency.of == Timed::Queue.name()).cloned();
    let (Some(before), Some(after)) = (of(without), of(outcome)) else { return };
    for (quantile, before, after) in [("p50", before.p50, after.p50), ("p99", before.p99, after.p99)] {
        outcome.figure(&format!("{quantile}_us_without_history"), before);
        outcome.figure(&format!("{quantile}_us_with_history"), after);
        outcome.figure(&format!("{quantile}_ratio"), ratio(after, before));
    }
    outcome.figure("per_s_without_history", without.ops_per_s);
    let cpu = |outcome: &Outcome| outcome.server.as_ref().map(|hub| hub.ops_per_cpu_s);
    outcome.figure("per_cpu_s_without_history", cpu(without));
}

/// Null where nothing was measured.
fn ratio(after: u64, before: u64) -> Value {
    if before == 0 { Value::Null } else { round(to_f64(after) / to_f64(before)).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_have_two_digits() {
        assert_eq!((ratio(110, 100), ratio(2, 3), ratio(5, 0)), (Value::from(1.1), Value::from(0.67), Value::Null));
    }
}
