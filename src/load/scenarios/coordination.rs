//! Requests to people: the way of an agent by REST, and what the event streams of many listeners add.

use crate::context::Context;
use crate::error::{LoadError, Result};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::process::{OTHER_FILES, open_file_limit};
use crate::recorder::Recorder;
use crate::run::Job;
use crate::runner::execute;
use crate::told::Told;

/// The bot that asks while others listen.
const ASKER: usize = 1;

/// Agents ask, a key that may respond answers in a person's name, the agents read the answers.
pub async fn coordinate(context: &mut Context, name: &str) -> Result<Outcome> {
    let bots = context.bots(50).await?;
    let options = context.options.clone();
    let connections = options.connections.max(1);
    let mut plan = Plan::new(name, Recorder::default(), options.measured(10.0))
        .with("bots", bots)
        .with("connections", connections)
        .with("size", options.size)
        .with("rate", options.rate);
    plan.responder = context.fleet.responder().await?;
    plan.rest_jobs = (0..connections).map(|lane| vec![Job::Coordinate { bot: lane % bots, lane }]).collect();
    plan.rate = options.rate;
    plan.budget = options.messages;
    Ok(execute(context, plan).await?.0)
}

/// One agent asks and withdraws; all streams are its own and hear of every state. In a closed loop it waits for the
/// slowest of them.
pub async fn stream(context: &mut Context, name: &str) -> Result<Outcome> {
    context.bots(2).await?;
    let options = context.options.clone();
    let (clients, connections) = (options.clients.max(1), options.connections.max(1));
    if let Some(limit) = open_file_limit().filter(|limit| *limit < clients + OTHER_FILES) {
        let text = format!("--clients {clients} needs `ulimit -n {}`, it is {limit}", clients + OTHER_FILES);
        return Err(LoadError::Options(text));
    }
    let mut plan = Plan::new(name, Recorder::default(), options.measured(10.0))
        .with("clients", clients)
        .with("connections", connections)
        .with("rate", options.rate);
    plan.responder = context.fleet.responder().await?;
    plan.recorder.told = Told::new(clients);
    plan.listeners = vec![ASKER; clients];
    plan.rest_jobs = (0..connections).map(|lane| vec![Job::Ask { bot: ASKER, lane }]).collect();
    plan.rate = options.rate;
    plan.budget = options.messages;
    let (mut outcome, run) = execute(context, plan).await?;
    let [missed, gaps, reopened] = run.recorder.told.losses();
    outcome.figure("events_missed_and_told", missed);
    outcome.figure("gaps_told", gaps);
    outcome.figure("streams_reopened", reopened);
    Ok(outcome)
}
