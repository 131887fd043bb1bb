//! REST: messages posted by HTTP and delivered to sockets; reads by pollers over a populated database.

use crate::book::{Book, Conversation, Kind};
use crate::casting::{Roster, deal, groups, make_talks, pairs};
use crate::context::Context;
use crate::error::Result;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::run::Job;
use crate::stage::perform;
use hxa_store::clock::now_ms;

/// Messages in all conversations before the polling starts.
const POPULATION: u64 = 20_000;

/// Each connection posts, one request after the other; all members listen on sockets.
pub async fn send(context: &mut Context, name: &str) -> Result<Outcome> {
    let bots = context.bots(50).await?;
    let options = context.options.clone();
    let participants = options.participants.unwrap_or(3);
    let groups = groups(options.threads.unwrap_or(200), bots, |_| participants, &mut context.random());
    let mut talks = make_talks(&context.fleet, groups).await?;
    talks.extend(pairs(bots, bots));
    let jobs: Vec<Job> = (0..talks.len()).map(|conversation| Job::Post { conversation, slot: 0 }).collect();
    let mut plan = Plan::new(name, Book::default(), options.measured(10.0))
        .with("bots", bots)
        .with("conversations", talks.len())
        .with("connections", options.connections)
        .with("size", options.size)
        .with("rate", options.rate);
    plan.book = Book::new(talks, Vec::new(), Vec::new());
    plan.players = Roster::new(bots).players;
    plan.clerks = deal(&jobs, options.connections);
    plan.rate = options.rate;
    plan.budget = options.messages;
    Ok(perform(context, plan).await?.0)
}

/// Every bot reads its inbox, its catchup and how much of it there is.
pub async fn poll(context: &mut Context, name: &str) -> Result<Outcome> {
    let of_bot = |bot| [Job::Inbox { bot }, Job::CatchupCount { bot }, Job::Catchup { bot }];
    read(context, name, |_, bots| (0..bots).flat_map(of_bot).collect()).await
}

/// The newest page of every thread.
pub async fn history(context: &mut Context, name: &str) -> Result<Outcome> {
    let of_threads = |talks: &[Conversation], _| {
        let threads = talks.iter().enumerate().filter(|(_, talk)| talk.kind == Kind::Thread);
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
    let mut talks = make_talks(&context.fleet, groups).await?;
    talks.extend(pairs(bots * 2, bots));
    let population = options.messages.unwrap_or(POPULATION);
    let data_since = now_ms();
    let (filling, talks) = fill(context, name, bots, talks, population).await?;
    if !filling.ok {
        return Ok(filling);
    }
    let jobs = jobs(&talks, bots);
    let mut plan = Plan::new(name, Book::new(talks, Vec::new(), Vec::new()), options.measured(10.0))
        .with("bots", bots)
        .with("population", population)
        .with("connections", options.connections)
        .with("rate", options.rate);
    plan.clerks = deal(&jobs, options.connections);
    plan.rate = options.rate;
    plan.is_static = true;
    plan.data_since = Some(data_since);
    let mut outcome = perform(context, plan).await?.0;
    outcome.figure("fill_messages_per_s", filling.ops_per_s);
    Ok(outcome)
}

/// Sends `population` messages and hands the conversations back with their counts.
async fn fill(
    context: &Context,
    name: &str,
    bots: usize,
    talks: Vec<Conversation>,
    population: u64,
) -> Result<(Outcome, Vec<Conversation>)> {
    let mut roster = Roster::new(bots);
    roster.talk(&talks, 0..talks.len(), usize::MAX);
    let mut plan = Plan::new(name, Book::new(talks, Vec::new(), Vec::new()), context.options.measured(60.0));
    plan.players = roster.players;
    plan.budget = Some(population);
    let (outcome, run) = perform(context, plan).await?;
    let run = std::sync::Arc::into_inner(run);
    let talks = run.map(|run| run.book.conversations);
    Ok((outcome, talks.ok_or_else(|| crate::error::LoadError::protocol("a task outlived its run"))?))
}
