//! After the load: what the hub stored, read back through REST, against what it acknowledged.
//!
//! Every race's revision and every paper's newest version are compared; of conversations a sample is read in full.

use serde::Deserialize;

use crate::book::{Conversation, Kind};
use crate::content::Content;
use crate::error::{LoadError, Result};
use crate::flaws::Flaw;
use crate::http::{Auth, Http};
use crate::run::Run;
use crate::setup::Fleet;

/// Conversations that are read back in full.
const SAMPLE: usize = 20;
/// Longer conversations are left out of the sample.
const LONGEST: u32 = 20_000;

#[derive(Deserialize)]
struct ThreadView {
    revision: u32,
}

#[derive(Deserialize)]
struct ArtifactView {
    artifact_key: String,
    version: u32,
}

#[derive(Deserialize)]
struct Message {
    id: String,
    content: String,
}

#[derive(Deserialize)]
struct Page {
    #[serde(alias = "messages")]
    items: Vec<Message>,
    has_more: bool,
}

/// Compares the store with the book.
pub async fn stored(fleet: &Fleet, run: &Run) -> Result<()> {
    let talks = &run.book.conversations;
    let step = (talks.len() / SAMPLE).max(1);
    let sample: Vec<&Conversation> = talks.iter().step_by(step).filter(|talk| talk.acked_total() <= LONGEST).collect();
    fleet
        .each(sample.len(), async |http, at| match sample.get(at) {
            Some(talk) => messages(fleet, run, http, talk).await,
            None => Ok(()),
        })
        .await?;
    fleet.each(run.book.races.len(), async |http, at| revision(fleet, run, http, at).await).await?;
    fleet.each(run.book.papers.len(), async |http, at| versions(fleet, run, http, at).await).await?;
    Ok(())
}

async fn messages(fleet: &Fleet, run: &Run, http: &mut Http, talk: &Conversation) -> Result<()> {
    let Some(id) = talk.id() else { return Ok(()) };
    let reader = fleet.bot(talk.members.first().copied().unwrap_or(0))?;
    let mut counts = vec![0_u32; talk.members.len()];
    let mut cursor = String::new();
    loop {
        let path = match talk.kind {
            Kind::Thread => format!("/api/threads/{id}/messages?limit=200&cursor={cursor}"),
            // A cursor that is no number: the newest page.
            Kind::Direct if cursor.is_empty() => format!("/api/channels/{id}/messages?limit=200&before=newest"),
            Kind::Direct => format!("/api/channels/{id}/messages?limit=200&before={cursor}"),
        };
        let page: Page = http.must("GET", &path, Auth::Bearer(&reader.token), None).await?.json()?;
        for content in page.items.iter().filter_map(|message| Content::parse(&message.content)) {
            if is_of(run, talk, &content)
                && let Some(count) = counts.get_mut(usize::from(content.slot))
            {
                *count += 1;
            }
        }
        match page.items.last() {
            Some(last) if page.has_more => cursor.clone_from(&last.id),
            _ => break,
        }
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

/// Whether a stored message belongs to this conversation of the book.
fn is_of(run: &Run, talk: &Conversation, content: &Content) -> bool {
    let at = usize::try_from(content.conversation).unwrap_or(usize::MAX);
    run.book.conversations.get(at).is_some_and(|other| other.id() == talk.id())
}

async fn revision(fleet: &Fleet, run: &Run, http: &mut Http, at: usize) -> Result<()> {
    let race = run.book.races.get(at).ok_or_else(|| LoadError::protocol("no race"))?;
    let token = &fleet.bot(race.members.first().copied().unwrap_or(0))?.token;
    let path = format!("/api/threads/{}", race.thread_id);
    let stored: ThreadView = http.must("GET", &path, Auth::Bearer(token), None).await?.json()?;
    if stored.revision != race.last() {
        let text = || format!("{path}: revision {}, acked {}", stored.revision, race.last());
        run.flaws.add(Flaw::Stored, text);
    }
    Ok(())
}

async fn versions(fleet: &Fleet, run: &Run, http: &mut Http, at: usize) -> Result<()> {
    let paper = run.book.papers.get(at).ok_or_else(|| LoadError::protocol("no paper"))?;
    let token = &fleet.bot(paper.members.first().copied().unwrap_or(0))?.token;
    let path = format!("/api/threads/{}/artifacts", paper.thread_id);
    let newest: Vec<ArtifactView> = http.must("GET", &path, Auth::Bearer(token), None).await?.json()?;
    let found = newest.iter().find(|artifact| artifact.artifact_key == paper.key).map_or(0, |found| found.version);
    if found != paper.last() {
        run.flaws.add(Flaw::Stored, || format!("{path} {}: version {found}, acked {}", paper.key, paper.last()));
    }
    let path = format!("{path}/{}/versions", paper.key);
    let all: Vec<ArtifactView> = http.must("GET", &path, Auth::Bearer(token), None).await?.json()?;
    if !all.iter().map(|artifact| artifact.version).eq(1..=paper.last()) {
        run.flaws.add(Flaw::Stored, || format!("{path}: {} versions, not 1 to {}", all.len(), paper.last()));
    }
    Ok(())
}
