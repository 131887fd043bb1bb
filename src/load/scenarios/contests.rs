//! Contests over sockets: status changes with expected revisions, and versions of the same artifact keys.

use crate::book::Book;
use crate::casting::{Roster, groups, make_papers, make_races};
use crate::context::Context;
use crate::error::Result;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::stage::perform;

/// All members of a thread try to move it on from the same revision; one wins, the others learn that they lost.
pub async fn transitions(context: &mut Context, name: &str) -> Result<Outcome> {
    let (bots, groups) = contestants(context, 25).await?;
    let races = make_races(&context.fleet, groups).await?;
    let mut roster = Roster::new(bots);
    roster.fight(&races);
    let plan = plan(context, name, bots, Book::new(Vec::new(), races, Vec::new()), roster);
    Ok(perform(context, plan).await?.0)
}

/// All members of a thread write new versions of the same keys.
pub async fn artifacts(context: &mut Context, name: &str) -> Result<Outcome> {
    let (bots, groups) = contestants(context, 25).await?;
    let papers = make_papers(&context.fleet, groups, context.options.keys).await?;
    let mut roster = Roster::new(bots);
    roster.write(&papers);
    let plan = plan(context, name, bots, Book::new(Vec::new(), Vec::new(), papers), roster);
    Ok(perform(context, plan).await?.0)
}

async fn contestants(context: &mut Context, threads: usize) -> Result<(usize, Vec<Vec<usize>>)> {
    let bots = context.bots(50).await?;
    let threads = context.options.threads.unwrap_or(threads);
    let participants = context.options.participants.unwrap_or(4);
    Ok((bots, groups(threads, bots, |_| participants, &mut context.random())))
}

fn plan(context: &Context, name: &str, bots: usize, book: Book, roster: Roster) -> Plan {
    let options = &context.options;
    let mut plan = Plan::new(name, Book::default(), options.measured(10.0))
        .with("bots", bots)
        .with("races", book.races.len())
        .with("keys", book.papers.len())
        .with("inflight", options.inflight)
        .with("rate", options.rate);
    plan.book = book;
    plan.players = roster.players;
    plan.rate = options.rate;
    plan.budget = options.messages;
    plan
}
