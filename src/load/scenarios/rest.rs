//! REST: messages posted by HTTP and delivered to sockets; reads by pollers over a populated database.

use crate::context::Context;
use crate::error::Result;
use crate::fixtures::{Assignments, create_conversations, distribute, groups, pairs};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::recorder::{Conversation, Kind, Recorder};
use crate::run::Job;
use crate::runner::execute;
use hxa_store::clock::now_ms;

/// Messages in all conversations before the polling starts.
const POPULATION: u64 = 20_000;

/// Each connection posts, one request after the other; all members listen on sockets.
pub async fn send(context: &mut Context, name: &str) -> Result<Outcome> {
    let bots = context.bots(50).await?;
    let options = context.options.clone();
    let participants = options.participants.unwrap_or(3);
    let groups = groups(options.threads.unwrap_or(200), bots, |_| participants, &mut context.random());
    let mut conversations = create_conversations(&context.fleet, groups).await?;
    conversations.extend(pairs(bots, bots));
    let jobs: Vec<Job> =
        (0..conversations.len()).map(|conversation| Job::PostMessage { conversation, slot: 0 }).collect();
    let mut plan = Plan::new(name, Recorder::default(), options.measured(10.0))
        .with("bots", bots)
        .with("conversations", conversations.len())
        .with("connections", options.connections)
        .with("size", options.size)
        .with("rate", options.rate);
    plan.recorder = Recorder::new(conversations, Vec::new(), Vec::new());
    plan.socket_jobs = Assignments::new(bots).jobs_by_bot;
    plan.rest_jobs = distribute(&jobs, options.connections);
    plan.rate = options.rate;
    plan.budget = options.messages;
    Ok(execute(context, plan).await?.0)
}

/// Every bot reads its inbox, its catchup and how much of it there is.
pub async fn poll(context: &mut Context, name: &str) -> Result<Outcome> {
    let of_bot = |bot| [Job::Inbox { bot }, Job::CatchupCount { bot }, Job::Catchup { bot }];
    read(context, name, |_, bots| (0..bots).flat_map(of_bot).collect()).await
}

/// The newest page of every thread.
pub async fn history(context: &mut Context, name: &str) -> Result<Outcome> {
    let of_threads = |conversations: &[Conversation], _| {
        let threads = conversations.iter().enumerate().filter(|(_, conversation)| conversation.kind == Kind::Thread);
        threads.map(|(conversation, _)| Job::History { conversation, slot: 0 }).collect()
    };
    read(context, name, of_threads).await
}

/// Fills the database over sockets, then reads what `jobs` say without any socket open.
async fn read(context: &mut Context, name: &str, jobs: impl Fn(&[Conversation], usize) -> Vec<Job>) -> Result<Outcome> {
    let bots = context.bots(50).await?;
    let options = context.options.clone();
    let participants = options.participants.unwrap_or(3);
    let groups = groups(options.threads.unwrap_or(200), bots, |_| participants, &mut context.random());
    let mut conversations = create_conversations(&context.fleet, groups).await?;
    conversations.extend(pairs(bots * 2, bots));
    let population = options.messages.unwrap_or(POPULATION);
    let data_since = now_ms();
    let (filling, conversations) = fill(context, name, bots, conversations, population).await?;
    if !filling.ok {
        return Ok(filling);
    }
    let jobs = jobs(&conversations, bots);
    let mut plan = Plan::new(name, Recorder::new(conversations, Vec::new(), Vec::new()), options.measured(10.0))
        .with("bots", bots)
        .with("population", population)
        .with("connections", options.connections)
        .with("rate", options.rate);
    plan.rest_jobs = distribute(&jobs, options.connections);
    plan.rate = options.rate;
    plan.is_static = true;
    plan.data_since = Some(data_since);
    let mut outcome = execute(context, plan).await?.0;
    outcome.figure("fill_messages_per_s", filling.ops_per_s);
    Ok(outcome)
}

/// Sends `population` messages and hands the conversations back with their counts.
async fn fill(
    context: &Context,
    name: &str,
    bots: usize,
    conversations: Vec<Conversation>,
    population: u64,
) -> Result<(Outcome, Vec<Conversation>)> {
    let mut assignments = Assignments::new(bots);
    assignments.send_messages(&conversations, 0..conversations.len(), usize::MAX);
    let mut plan =
        Plan::new(name, Recorder::new(conversations, Vec::new(), Vec::new()), context.options.measured(60.0));
    plan.socket_jobs = assignments.jobs_by_bot;
    plan.budget = Some(population);
    let (outcome, run) = execute(context, plan).await?;
    let run = std::sync::Arc::into_inner(run);
    let conversations = run.map(|run| run.recorder.conversations);
    Ok((outcome, conversations.ok_or_else(|| crate::error::LoadError::protocol("a task outlived its run"))?))
}
