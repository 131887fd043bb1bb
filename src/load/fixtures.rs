//! The parts of a plan: creates the threads in the hub, chooses their members and assigns jobs to bots.

use crate::contention::{ContendedArtifact, Race};
use crate::error::Result;
use crate::recorder::{Conversation, Kind};
use crate::run::Job;
use crate::setup::Fleet;
use hxa_client::{NewArtifact, NewThread};
use rand::rngs::StdRng;
use rand::seq::index::sample;

/// For each of `threads`, its members: the first takes turns over all bots, the others are drawn.
pub fn groups(threads: usize, bots: usize, size: impl Fn(usize) -> usize, random: &mut StdRng) -> Vec<Vec<usize>> {
    let bots = bots.max(2);
    let group = |thread: usize| {
        let first = thread % bots;
        let others = size(thread).clamp(2, bots) - 1;
        let mut members = vec![first];
        // Drawn from all bots but the first: numbers from there on move up by one.
        members.extend(sample(random, bots - 1, others).iter().map(|bot| if bot >= first { bot + 1 } else { bot }));
        members
    };
    (0..threads).map(group).collect()
}

/// Creates one thread per group; the first member is the initiator. Ids in the order of the groups.
pub async fn create_threads(fleet: &Fleet, groups: &[Vec<usize>]) -> Result<Vec<String>> {
    fleet
        .each(groups.len(), async |at| {
            let members = groups.get(at).map(Vec::as_slice).unwrap_or_default();
            let participants = members.iter().filter_map(|bot| Some(fleet.bots.get(*bot)?.id.clone())).collect();
            let thread = NewThread { topic: format!("load {at}"), participants, ..NewThread::default() };
            let initiator = fleet.client(members.first().copied().unwrap_or(0))?;
            Ok(initiator.create_thread(&thread).await?.value.id)
        })
        .await
}

/// One thread conversation per group.
pub async fn create_conversations(fleet: &Fleet, groups: Vec<Vec<usize>>) -> Result<Vec<Conversation>> {
    let ids = create_threads(fleet, &groups).await?;
    let conversation = |(members, id)| Conversation::new(Kind::Thread, Some(id), members);
    Ok(groups.into_iter().zip(ids).map(conversation).collect())
}

/// Threads whose status is changed concurrently.
pub async fn create_races(fleet: &Fleet, groups: Vec<Vec<usize>>) -> Result<Vec<Race>> {
    let ids = create_threads(fleet, &groups).await?;
    Ok(groups.into_iter().zip(ids).map(|(members, id)| Race::new(id, members)).collect())
}

/// Threads with `keys` artifacts each, at version 1.
pub async fn create_contended_artifacts(
    fleet: &Fleet,
    groups: Vec<Vec<usize>>,
    keys: usize,
) -> Result<Vec<ContendedArtifact>> {
    let keys = keys.max(1);
    let ids = create_threads(fleet, &groups).await?;
    let contended = |at: usize| {
        let (id, members) = (ids.get(at / keys)?, groups.get(at / keys)?);
        Some((members.first().copied()?, ContendedArtifact::new(id.clone(), format!("load-{at}"), members.clone())))
    };
    let artifacts: Vec<(usize, ContendedArtifact)> = (0..groups.len() * keys).filter_map(contended).collect();
    fleet
        .each(artifacts.len(), async |at| {
            let Some((author, contended)) = artifacts.get(at) else { return Ok(()) };
            let (artifact_key, content) = (contended.key.clone(), Some("first".to_owned()));
            let artifact = NewArtifact { artifact_key, content, ..NewArtifact::default() };
            fleet.client(*author)?.add_artifact(&contended.thread_id, &artifact).await?;
            Ok(())
        })
        .await?;
    Ok(artifacts.into_iter().map(|(_, contended)| contended).collect())
}

/// Pairs of bots: neighbours on a ring first, then those further apart, each pair once.
pub fn pairs(count: usize, bots: usize) -> Vec<Conversation> {
    let ring = (1..=bots / 2).flat_map(|distance| {
        // Half-way round, each pair would come twice.
        let starts = if distance * 2 == bots { distance } else { bots };
        (0..starts).map(move |first| vec![first, (first + distance) % bots])
    });
    ring.take(count).map(|members| Conversation::new(Kind::Direct, None, members)).collect()
}

/// The jobs of each bot.
pub struct Assignments {
    /// One list per bot, by index.
    pub jobs_by_bot: Vec<Vec<Job>>,
}

impl Assignments {
    /// Bots without anything to do.
    pub fn new(bots: usize) -> Self {
        Self { jobs_by_bot: vec![Vec::new(); bots] }
    }

    /// Gives `job(index, slot)` to the bot in every slot of every item, and returns all of these jobs.
    fn assign<'a>(
        &mut self,
        items: impl Iterator<Item = (usize, &'a [usize])>,
        job: impl Fn(usize, usize) -> Job,
    ) -> Vec<Job> {
        let mut assigned = Vec::new();
        for (index, members) in items {
            for (slot, bot) in members.iter().enumerate() {
                let job = job(index, slot);
                if let Some(jobs) = self.jobs_by_bot.get_mut(*bot) {
                    jobs.push(job);
                }
                assigned.push(job);
            }
        }
        assigned
    }

    /// The first `senders` members of each conversation in this range send messages over their sockets.
    pub fn send_messages(
        &mut self,
        conversations: &[Conversation],
        range: std::ops::Range<usize>,
        senders: usize,
    ) -> Vec<Job> {
        let in_range = conversations.iter().enumerate().filter(|(at, _)| range.contains(at));
        let items = in_range.map(|(at, item)| (at, item.members.get(..senders).unwrap_or(&item.members)));
        self.assign(items, |conversation, slot| Job::SendMessage { conversation, slot })
    }

    /// Every member of every race changes the status.
    pub fn update_statuses(&mut self, races: &[Race]) -> Vec<Job> {
        let items = races.iter().enumerate().map(|(at, item)| (at, item.members.as_slice()));
        self.assign(items, |race, slot| Job::UpdateStatus { race, slot })
    }

    /// Every member writes every contended artifact of its threads.
    pub fn update_artifacts(&mut self, artifacts: &[ContendedArtifact]) -> Vec<Job> {
        let items = artifacts.iter().enumerate().map(|(at, item)| (at, item.members.as_slice()));
        self.assign(items, |artifact, slot| Job::UpdateArtifact { artifact, slot })
    }
}

/// Distributes jobs to `connections` REST connections; jobs with the same key stay together.
pub fn distribute(jobs: &[Job], connections: usize) -> Vec<Vec<Job>> {
    let connections = connections.max(1);
    let mut lists = vec![Vec::new(); connections];
    for job in jobs {
        let key = match *job {
            Job::PostMessage { conversation, .. }
            | Job::History { conversation, .. }
            | Job::SendMessage { conversation, .. } => conversation,
            Job::Inbox { bot } | Job::Catchup { bot } | Job::CatchupCount { bot } => bot,
            Job::UpdateStatus { race, .. } => race,
            Job::UpdateArtifact { artifact, .. } => artifact,
            Job::Coordinate { lane, .. } | Job::Ask { lane, .. } | Job::Queue { lane } => lane,
        };
        if let Some(list) = lists.get_mut(key % connections) {
            list.push(*job);
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn groups_have_distinct_members() {
        let groups = groups(50, 7, |thread| 2 + thread % 3, &mut StdRng::seed_from_u64(1));
        for (at, members) in groups.iter().enumerate() {
            let distinct: std::collections::BTreeSet<_> = members.iter().collect();
            assert_eq!(distinct.len(), 2 + at % 3);
            assert!(members.iter().all(|bot| *bot < 7));
        }
    }

    #[test]
    fn every_pair_once() {
        for bots in [2, 5, 6] {
            let all = pairs(1000, bots);
            let distinct: std::collections::BTreeSet<_> = all.iter().map(|pair| pair.members.clone()).collect();
            assert_eq!((all.len(), distinct.len()), (bots * (bots - 1) / 2, bots * (bots - 1) / 2));
        }
    }
}
