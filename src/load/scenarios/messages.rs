//! Messages over sockets: direct pairs, one big thread, many small threads.

use crate::context::Context;
use crate::error::Result;
use crate::fixtures::{Assignments, create_conversations, groups, pairs};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::recorder::{Conversation, Recorder};
use crate::runner::execute;

/// Direct messages both ways between pairs on a ring.
pub async fn dm(context: &mut Context, name: &str) -> Result<Outcome> {
    let bots = context.bots(50).await?;
    let conversations = pairs(context.options.threads.unwrap_or(bots * 2), bots);
    send(context, name, bots, conversations, 2).await
}

/// Few threads with many participants, of whom a few send.
pub async fn thread_fanout(context: &mut Context, name: &str) -> Result<Outcome> {
    let participants = context.options.participants.unwrap_or(50).max(2);
    let bots = context.bots(participants).await?;
    let threads = context.options.threads.unwrap_or(1);
    let groups = groups(threads, bots, |_| participants, &mut context.random());
    let conversations = create_conversations(&context.fleet, groups).await?;
    let senders = context.options.senders.unwrap_or(4);
    send(context, name, bots, conversations, senders).await
}

/// Many threads of two or three participants, all of whom send.
pub async fn many_threads(context: &mut Context, name: &str) -> Result<Outcome> {
    let bots = context.bots(100).await?;
    let wanted = context.options.participants;
    let threads = context.options.threads.unwrap_or(1000);
    let groups = groups(threads, bots, |thread| wanted.unwrap_or(2 + thread % 2), &mut context.random());
    let conversations = create_conversations(&context.fleet, groups).await?;
    let senders = context.options.senders.unwrap_or(usize::MAX);
    send(context, name, bots, conversations, senders).await
}

async fn send(
    context: &Context,
    name: &str,
    bots: usize,
    conversations: Vec<Conversation>,
    senders: usize,
) -> Result<Outcome> {
    let options = &context.options;
    let mut assignments = Assignments::new(bots);
    assignments.send_messages(&conversations, 0..conversations.len(), senders);
    let members: usize = conversations.iter().map(|conversation| conversation.members.len()).sum();
    let mut plan = Plan::new(name, Recorder::default(), options.measured(10.0))
        .with("bots", bots)
        .with("conversations", conversations.len())
        .with("members", members)
        .with("inflight", options.inflight)
        .with("size", options.size)
        .with("rate", options.rate);
    plan.recorder = Recorder::new(conversations, Vec::new(), Vec::new());
    plan.socket_jobs = assignments.jobs_by_bot;
    plan.rate = options.rate;
    plan.budget = options.messages;
    Ok(execute(context, plan).await?.0)
}
