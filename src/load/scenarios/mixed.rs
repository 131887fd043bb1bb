//! Everything at once as a Poisson stream, for a short or a long time.

use crate::context::Context;
use crate::error::Result;
use crate::fixtures::{
    Assignments, create_contended_artifacts, create_conversations, create_races, distribute, groups, pairs,
};
use crate::outcome::{Outcome, Point};
use crate::plan::Plan;
use crate::recorder::{Kind, Recorder};
use crate::run::Job;
use crate::runner::execute;
use crate::stats::to_f64;

/// Shares of the stream in percent; together 100.
const THREAD_MESSAGES: f64 = 55.0;
const DIRECT_MESSAGES: f64 = 15.0;
const TRANSITIONS: f64 = 5.0;
const ARTIFACTS: f64 = 5.0;
const REST_SENDS: f64 = 10.0;
const REST_READS: f64 = 10.0;

/// All kinds of operations at a fixed rate.
pub async fn mixed(context: &mut Context, name: &str) -> Result<Outcome> {
    let plan = plan(context, name, 1000.0, 10.0).await?;
    Ok(execute(context, plan).await?.0)
}

/// The same for long, with sockets coming and going; reports how memory and latency drift.
pub async fn soak(context: &mut Context, name: &str) -> Result<Outcome> {
    let mut plan = plan(context, name, 500.0, 600.0).await?;
    plan.has_churn = true;
    let mut outcome = execute(context, plan).await?.0;
    let points = std::mem::take(&mut outcome.timeline);
    let quarter = (points.len() / 4).max(1);
    let (first, last) = (points.get(..quarter), points.get(points.len().saturating_sub(quarter)..));
    for (when, part) in [("first_quarter", first), ("last_quarter", last)] {
        let part = part.unwrap_or_default();
        let rss = |point: &Point| point.server_rss.map(to_f64);
        if let Some(bytes) = mean(part.iter().filter_map(rss)) {
            outcome.figure(&format!("server_rss_{when}"), bytes.round());
        }
        if let Some(micros) = mean(part.iter().map(|point| to_f64(point.done.p99))) {
            outcome.figure(&format!("p99_us_{when}"), micros.round());
        }
    }
    outcome.timeline = points;
    Ok(outcome)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then_some(sum / count)
}

async fn plan(context: &mut Context, name: &str, rate: f64, seconds: f64) -> Result<Plan> {
    let bots = context.bots(100).await?;
    let options = context.options.clone();
    let rate = options.rate.unwrap_or(rate);
    let (threads, random) = (options.threads.unwrap_or(400), &mut context.random());
    let fleet = &context.fleet;
    let posted = options.connections.max(1) * 4;
    let mut conversations =
        create_conversations(fleet, groups(threads + posted, bots, |thread| 2 + thread % 2, random)).await?;
    conversations.extend(pairs(bots, bots));
    let races = create_races(fleet, groups(threads / 10 + 1, bots, |_| 3, random)).await?;
    let artifacts =
        create_contended_artifacts(fleet, groups(threads / 20 + 1, bots, |_| 3, random), options.keys).await?;
    let mut assignments = Assignments::new(bots);
    let said = assignments.send_messages(&conversations, 0..threads, usize::MAX);
    let direct = assignments.send_messages(&conversations, threads + posted..conversations.len(), usize::MAX);
    let moves = assignments.update_statuses(&races);
    let revisions = assignments.update_artifacts(&artifacts);
    let posts: Vec<Job> =
        (threads..threads + posted).map(|conversation| Job::PostMessage { conversation, slot: 0 }).collect();
    let histories = conversations.iter().enumerate().filter(|(_, conversation)| conversation.kind == Kind::Thread);
    let of_bots = |bot| [Job::Inbox { bot }, Job::CatchupCount { bot }, Job::Catchup { bot }];
    let mut reads: Vec<Job> = (0..bots).flat_map(of_bots).collect();
    reads.extend(histories.take(bots).map(|(conversation, _)| Job::History { conversation, slot: 0 }));
    let mut plan = Plan::new(name, Recorder::default(), options.measured(seconds))
        .with("bots", bots)
        .with("conversations", conversations.len())
        .with("races", races.len())
        .with("keys", artifacts.len())
        .with("connections", options.connections)
        .with("size", options.size)
        .with("rate", rate);
    plan.recorder = Recorder::new(conversations, races, artifacts);
    plan.socket_jobs = assignments.jobs_by_bot;
    plan.rest_jobs = distribute(&[posts.as_slice(), reads.as_slice()].concat(), options.connections);
    plan.rate = Some(rate);
    plan.budget = options.messages;
    plan.shares = vec![
        (THREAD_MESSAGES, said),
        (DIRECT_MESSAGES, direct),
        (TRANSITIONS, moves),
        (ARTIFACTS, revisions),
        (REST_SENDS, posts),
        (REST_READS, reads),
    ];
    Ok(plan)
}
