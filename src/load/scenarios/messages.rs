//! Messages over sockets: direct pairs, one big thread, many small threads.

use crate::book::{Book, Conversation};
use crate::casting::{Roster, groups, make_talks, pairs};
use crate::context::Context;
use crate::error::Result;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::stage::perform;

/// Direct messages both ways between pairs on a ring.
pub async fn dm(context: &mut Context, name: &str) -> Result<Outcome> {
    let bots = context.bots(50).await?;
    let talks = pairs(context.options.threads.unwrap_or(bots * 2), bots);
    talk(context, name, bots, talks, 2).await
}

/// Few threads with many participants, of whom a few send.
pub async fn thread_fanout(context: &mut Context, name: &str) -> Result<Outcome> {
    let participants = context.options.participants.unwrap_or(50).max(2);
    let bots = context.bots(participants).await?;
    let threads = context.options.threads.unwrap_or(1);
    let groups = groups(threads, bots, |_| participants, &mut context.random());
    let talks = make_talks(&context.fleet, groups).await?;
    let senders = context.options.senders.unwrap_or(4);
    talk(context, name, bots, talks, senders).await
}

/// Many threads of two or three participants, all of whom send.
pub async fn many_threads(context: &mut Context, name: &str) -> Result<Outcome> {
    let bots = context.bots(100).await?;
    let wanted = context.options.participants;
    let threads = context.options.threads.unwrap_or(1000);
    let groups = groups(threads, bots, |thread| wanted.unwrap_or(2 + thread % 2), &mut context.random());
    let talks = make_talks(&context.fleet, groups).await?;
    let senders = context.options.senders.unwrap_or(usize::MAX);
    talk(context, name, bots, talks, senders).await
}

async fn talk(context: &Context, name: &str, bots: usize, talks: Vec<Conversation>, senders: usize) -> Result<Outcome> {
    let options = &context.options;
    let mut roster = Roster::new(bots);
    roster.talk(&talks, 0..talks.len(), senders);
    let members: usize = talks.iter().map(|talk| talk.members.len()).sum();
    let mut plan = Plan::new(name, Book::default(), options.measured(10.0))
        .with("bots", bots)
        .with("conversations", talks.len())
        .with("members", members)
        .with("inflight", options.inflight)
        .with("size", options.size)
        .with("rate", options.rate);
    plan.book = Book::new(talks, Vec::new(), Vec::new());
    plan.players = roster.players;
    plan.rate = options.rate;
    plan.budget = options.messages;
    Ok(perform(context, plan).await?.0)
}
