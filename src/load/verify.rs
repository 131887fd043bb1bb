//! After the load: what the hub stored, read back through REST, against what it acknowledged.
//!
//! Every race's revision and every artifact's newest version are compared; of conversations a sample is read in full.

use hxa_client::Page;

use crate::content::Content;
use crate::error::{LoadError, Result};
use crate::failures::Failure;
use crate::recorder::{Conversation, Kind};
use crate::run::Run;
use crate::setup::Fleet;

/// Conversations that are read back in full.
const SAMPLE: usize = 20;
/// Messages per page.
const PAGE: u32 = 200;
/// Longer conversations are left out of the sample.
const LONGEST: u32 = 20_000;

/// Compares the store with the recorder.
pub async fn stored(fleet: &Fleet, run: &Run) -> Result<()> {
    let conversations = &run.recorder.conversations;
    let step = (conversations.len() / SAMPLE).max(1);
    let sample: Vec<&Conversation> =
        conversations.iter().step_by(step).filter(|conversation| conversation.acked_total() <= LONGEST).collect();
    fleet
        .each(sample.len(), async |at| match sample.get(at) {
            Some(conversation) => messages(fleet, run, conversation).await,
            None => Ok(()),
        })
        .await?;
    fleet.each(run.recorder.races.len(), async |at| revision(fleet, run, at).await).await?;
    fleet.each(run.recorder.artifacts.len(), async |at| versions(fleet, run, at).await).await?;
    Ok(())
}

async fn messages(fleet: &Fleet, run: &Run, conversation: &Conversation) -> Result<()> {
    let Some(id) = conversation.id() else { return Ok(()) };
    let reader = fleet.client(conversation.members.first().copied().unwrap_or(0))?;
    let mut counts = vec![0_u32; conversation.members.len()];
    let mut before: Option<String> = None;
    loop {
        let (texts, rest) = match conversation.kind {
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
            if is_of(run, conversation, &content)
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
        let acked = conversation.acked(slot);
        // A direct channel may hold messages of an earlier scenario, too.
        let is_right = if conversation.kind == Kind::Direct { *count >= acked } else { *count == acked };
        if !is_right {
            run.failures.add(Failure::Stored, || format!("{id}: {count} messages of member {slot}, acked {acked}"));
        }
    }
    Ok(())
}

/// The texts of a page of messages, and the id before which there are more.
fn split<M>(page: Page<M>, parts: impl Fn(M) -> (String, String)) -> (Vec<String>, Option<String>) {
    let (ids, texts): (Vec<_>, Vec<_>) = page.items.into_iter().map(parts).unzip();
    (texts, ids.into_iter().next_back().filter(|_| page.has_more))
}

/// Whether a stored message belongs to this conversation of the recorder.
fn is_of(run: &Run, conversation: &Conversation, content: &Content) -> bool {
    let at = usize::try_from(content.conversation).unwrap_or(usize::MAX);
    run.recorder.conversations.get(at).is_some_and(|other| other.id() == conversation.id())
}

async fn revision(fleet: &Fleet, run: &Run, at: usize) -> Result<()> {
    let race = run.recorder.races.get(at).ok_or_else(|| LoadError::protocol("no race"))?;
    let reader = fleet.client(race.members.first().copied().unwrap_or(0))?;
    let stored = reader.thread(&race.thread_id).await?.revision;
    if stored != i64::from(race.last()) {
        let text = || format!("thread {}: revision {stored}, acked {}", race.thread_id, race.last());
        run.failures.add(Failure::Stored, text);
    }
    Ok(())
}

async fn versions(fleet: &Fleet, run: &Run, at: usize) -> Result<()> {
    let contended = run.recorder.artifacts.get(at).ok_or_else(|| LoadError::protocol("no contended artifact"))?;
    let reader = fleet.client(contended.members.first().copied().unwrap_or(0))?;
    let newest = reader.artifacts(&contended.thread_id).await?;
    let found = newest.iter().find(|artifact| artifact.artifact_key == contended.key).map_or(0, |found| found.version);
    if found != contended.last() {
        run.failures.add(Failure::Stored, || format!("{}: version {found}, acked {}", contended.key, contended.last()));
    }
    let all = reader.artifact_versions(&contended.thread_id, &contended.key).await?;
    if !all.iter().map(|artifact| artifact.version).eq(1..=contended.last()) {
        run.failures.add(Failure::Stored, || {
            format!("{}: {} versions, not 1 to {}", contended.key, all.len(), contended.last())
        });
    }
    Ok(())
}
