//! Who is in which conversation and who does what: builds the parts of a plan and makes the threads in the hub.

use crate::book::{Conversation, Kind};
use crate::contest::{Paper, Race};
use crate::error::Result;
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

/// Makes one thread per group; the first member is the initiator. Ids in the order of the groups.
pub async fn make_threads(fleet: &Fleet, groups: &[Vec<usize>]) -> Result<Vec<String>> {
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

/// Threads to talk in.
pub async fn make_talks(fleet: &Fleet, groups: Vec<Vec<usize>>) -> Result<Vec<Conversation>> {
    let ids = make_threads(fleet, &groups).await?;
    let talk = |(members, id)| Conversation::new(Kind::Thread, Some(id), members);
    Ok(groups.into_iter().zip(ids).map(talk).collect())
}

/// Threads to fight over.
pub async fn make_races(fleet: &Fleet, groups: Vec<Vec<usize>>) -> Result<Vec<Race>> {
    let ids = make_threads(fleet, &groups).await?;
    Ok(groups.into_iter().zip(ids).map(|(members, id)| Race::new(id, members)).collect())
}

/// Threads with `keys` artifacts each, at version 1.
pub async fn make_papers(fleet: &Fleet, groups: Vec<Vec<usize>>, keys: usize) -> Result<Vec<Paper>> {
    let keys = keys.max(1);
    let ids = make_threads(fleet, &groups).await?;
    let paper = |at: usize| {
        let (id, members) = (ids.get(at / keys)?, groups.get(at / keys)?);
        Some((members.first().copied()?, Paper::new(id.clone(), format!("load-{at}"), members.clone())))
    };
    let papers: Vec<(usize, Paper)> = (0..groups.len() * keys).filter_map(paper).collect();
    fleet
        .each(papers.len(), async |at| {
            let Some((author, paper)) = papers.get(at) else { return Ok(()) };
            let (artifact_key, content) = (paper.key.clone(), Some("first".to_owned()));
            let artifact = NewArtifact { artifact_key, content, ..NewArtifact::default() };
            fleet.client(*author)?.add_artifact(&paper.thread_id, &artifact).await?;
            Ok(())
        })
        .await?;
    Ok(papers.into_iter().map(|(_, paper)| paper).collect())
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

/// The jobs of each bot, by index.
pub struct Roster {
    /// One list per bot.
    pub players: Vec<Vec<Job>>,
}

impl Roster {
    /// Bots without anything to do.
    pub fn new(bots: usize) -> Self {
        Self { players: vec![Vec::new(); bots] }
    }

    fn give(&mut self, bot: usize, job: Job) {
        if let Some(jobs) = self.players.get_mut(bot) {
            jobs.push(job);
        }
    }

    /// The first `senders` members of each conversation in this range talk over their sockets.
    pub fn talk(&mut self, talks: &[Conversation], range: std::ops::Range<usize>, senders: usize) -> Vec<Job> {
        let mut given = Vec::new();
        for (conversation, talk) in talks.iter().enumerate().filter(|(at, _)| range.contains(at)) {
            for (slot, bot) in talk.members.iter().enumerate().take(senders) {
                let job = Job::Say { conversation, slot };
                self.give(*bot, job);
                given.push(job);
            }
        }
        given
    }

    /// Every member of every race fights.
    pub fn fight(&mut self, races: &[Race]) -> Vec<Job> {
        let mut given = Vec::new();
        for (race, contest) in races.iter().enumerate() {
            for (slot, bot) in contest.members.iter().enumerate() {
                let job = Job::Move { race, slot };
                self.give(*bot, job);
                given.push(job);
            }
        }
        given
    }

    /// Every member writes every paper of its threads.
    pub fn write(&mut self, papers: &[Paper]) -> Vec<Job> {
        let mut given = Vec::new();
        for (paper, contest) in papers.iter().enumerate() {
            for (slot, bot) in contest.members.iter().enumerate() {
                let job = Job::Revise { paper, slot };
                self.give(*bot, job);
                given.push(job);
            }
        }
        given
    }
}

/// Deals jobs to `clerks` REST connections; jobs with the same key stay together.
pub fn deal(jobs: &[Job], clerks: usize) -> Vec<Vec<Job>> {
    let clerks = clerks.max(1);
    let mut hands = vec![Vec::new(); clerks];
    for job in jobs {
        let key = match *job {
            Job::Post { conversation, .. } | Job::History { conversation, .. } | Job::Say { conversation, .. } => {
                conversation
            }
            Job::Inbox { bot } | Job::Catchup { bot } | Job::CatchupCount { bot } => bot,
            Job::Move { race, .. } => race,
            Job::Revise { paper, .. } => paper,
        };
        if let Some(hand) = hands.get_mut(key % clerks) {
            hand.push(*job);
        }
    }
    hands
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
            let distinct: std::collections::BTreeSet<_> = all.iter().map(|talk| talk.members.clone()).collect();
            assert_eq!((all.len(), distinct.len()), (bots * (bots - 1) / 2, bots * (bots - 1) / 2));
        }
    }
}
