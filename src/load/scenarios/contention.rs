//! Contention over sockets: status changes with expected revisions, and versions of the same artifact keys.

use crate::context::Context;
use crate::error::Result;
use crate::fixtures::{Assignments, create_contended_artifacts, create_races, groups};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::runner::execute;

/// All members of a thread try to move it on from the same revision; one wins, the others learn that they lost.
pub async fn transitions(context: &mut Context, name: &str) -> Result<Outcome> {
    let (bots, groups) = contending_groups(context, 25).await?;
    let races = create_races(&context.fleet, groups).await?;
    let mut assignments = Assignments::new(bots);
    assignments.update_statuses(&races);
    let plan = plan(context, name, bots, Recorder::new(Vec::new(), races, Vec::new()), assignments);
    Ok(execute(context, plan).await?.0)
}

/// All members of a thread write new versions of the same keys.
pub async fn artifacts(context: &mut Context, name: &str) -> Result<Outcome> {
    let (bots, groups) = contending_groups(context, 25).await?;
    let artifacts = create_contended_artifacts(&context.fleet, groups, context.options.keys).await?;
    let mut assignments = Assignments::new(bots);
    assignments.update_artifacts(&artifacts);
    let plan = plan(context, name, bots, Recorder::new(Vec::new(), Vec::new(), artifacts), assignments);
    Ok(execute(context, plan).await?.0)
}

async fn contending_groups(context: &mut Context, threads: usize) -> Result<(usize, Vec<Vec<usize>>)> {
    let bots = context.bots(50).await?;
    let threads = context.options.threads.unwrap_or(threads);
    let participants = context.options.participants.unwrap_or(4);
    Ok((bots, groups(threads, bots, |_| participants, &mut context.random())))
}

fn plan(context: &Context, name: &str, bots: usize, recorder: Recorder, assignments: Assignments) -> Plan {
    let options = &context.options;
    let mut plan = Plan::new(name, Recorder::default(), options.measured(10.0))
        .with("bots", bots)
        .with("races", recorder.races.len())
        .with("keys", recorder.artifacts.len())
        .with("inflight", options.inflight)
        .with("rate", options.rate);
    plan.recorder = recorder;
    plan.socket_jobs = assignments.jobs_by_bot;
    plan.rate = options.rate;
    plan.budget = options.messages;
    plan
}
