//! After the load: what the hub stored, read back through REST, against what it acknowledged.
//!
//! Every race's revision and every paper's newest version are compared; of conversations a sample is read in full.

use hxa_client::Page;

use crate::book::{Conversation, Kind};
use crate::content::Content;
use crate::error::{LoadError, Result};
use crate::flaws::Flaw;
use crate::run::Run;
use crate::setup::Fleet;

/// Conversations that are read back in full.
const SAMPLE: usize = 20;
/// Messages per page.
const PAGE: u32 = 200;
/// Longer conversations are left out of the sample.
const LONGEST: u32 = 20_000;

/// Compares the store with the book.
pub async fn stored(fleet: &Fleet, run: &Run) -> Result<()> {
    let talks = &run.book.conversations;
    let step = (talks.len() / SAMPLE).max(1);
    let sample: Vec<&Conversation> = talks.iter().step_by(step).filter(|talk| talk.acked_total() <= LONGEST).collect();
    fleet
        .each(sample.len(), async |at| match sample.get(at) {
            Some(talk) => messages(fleet, run, talk).await,
            None => Ok(()),
        })
        .await?;
    fleet.each(run.book.races.len(), async |at| revision(fleet, run, at).await).await?;
    fleet.each(run.book.papers.len(), async |at| versions(fleet, run, at).await).await?;
    Ok(())
}

async fn messages(fleet: &Fleet, run: &Run, talk: &Conversation) -> Result<()> {
    let Some(id) = talk.id() else { return Ok(()) };
    let reader = fleet.client(talk.members.first().copied().unwrap_or(0))?;
    let mut counts = vec![0_u32; talk.members.len()];
    let mut before: Option<String> = None;
    loop {
        let (texts, rest) = match talk.kind {
            Kind::Thread => {
                let page = reader.thread_messages_page(id, before.as_deref(), PAGE).await?;
                split(page, |message| (message.id, message.content))
            }
            Kind::Direct => {
                let page = reader.channel_messages_page(id, before.as_deref(), PAGE).await?;
                split(page, |message| (message.id, message.content))
            }
        };
        for content in texts.iter().filter_map(|text| Content::parse(text)) {
            if is_of(run, talk, &content)
                && let Some(count) = counts.get_mut(usize::from(content.slot))
            {
                *count += 1;
            }
        }
        if rest.is_none() {
            break;
        }
        before = rest;
    }
    for (slot, count) in counts.iter().enumerate() {
        let acked = talk.acked(slot);
        // A direct channel may hold messages of an earlier scenario, too.
        let is_right = if talk.kind == Kind::Direct { *count >= acked } else { *count == acked };
        if !is_right {
            run.flaws.add(Flaw::Stored, || format!("{id}: {count} messages of member {slot}, acked {acked}"));
        }
    }
    Ok(())
}

/// The texts of a page of messages, and the id before which there are more.
fn split<M>(page: Page<M>, parts: impl Fn(M) -> (String, String)) -> (Vec<String>, Option<String>) {
    let (ids, texts): (Vec<_>, Vec<_>) = page.items.into_iter().map(parts).unzip();
    (texts, ids.into_iter().next_back().filter(|_| page.has_more))
}

/// Whether a stored message belongs to this conversation of the book.
fn is_of(run: &Run, talk: &Conversation, content: &Content) -> bool {
    let at = usize::try_from(content.conversation).unwrap_or(usize::MAX);
    run.book.conversations.get(at).is_some_and(|other| other.id() == talk.id())
}

async fn revision(fleet: &Fleet, run: &Run, at: usize) -> Result<()> {
    let race = run.book.races.get(at).ok_or_else(|| LoadError::protocol("no race"))?;
    let reader = fleet.client(race.members.first().copied().unwrap_or(0))?;
    let stored = reader.thread(&race.thread_id).await?.revision;
    if stored != i64::from(race.last()) {
        let text = || format!("thread {}: revision {stored}, acked {}", race.thread_id, race.last());
        run.flaws.add(Flaw::Stored, text);
    }
    Ok(())
}

async fn versions(fleet: &Fleet, run: &Run, at: usize) -> Result<()> {
    let paper = run.book.papers.get(at).ok_or_else(|| LoadError::protocol("no paper"))?;
    let reader = fleet.client(paper.members.first().copied().unwrap_or(0))?;
    let newest = reader.artifacts(&paper.thread_id).await?;
    let found = newest.iter().find(|artifact| artifact.artifact_key == paper.key).map_or(0, |found| found.version);
    if found != paper.last() {
        run.flaws.add(Flaw::Stored, || format!("{}: version {found}, acked {}", paper.key, paper.last()));
    }
    let all = reader.artifact_versions(&paper.thread_id, &paper.key).await?;
    if !all.iter().map(|artifact| artifact.version).eq(1..=paper.last()) {
        run.flaws.add(Flaw::Stored, || format!("{}: {} versions, not 1 to {}", paper.key, all.len(), paper.last()));
    }
    Ok(())
}
