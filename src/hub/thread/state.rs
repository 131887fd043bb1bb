//! The in-memory state of a thread: the row, participants, pending requests, the newest artifact versions.
//!
//! Timestamps of a thread never decrease and, at ordinary rates, never repeat, so that pages by time lose nothing.

use std::collections::HashMap;
use std::sync::Arc;

use crate::core::activity::ActivityMark;
use crate::core::org_state::OrgState;
use crate::fanout::event::Audience;
use hxa_domain::ids::{BotId, RequestId, ThreadId};
use hxa_domain::policy::PermissionPolicy;
use hxa_domain::thread::Access;
use hxa_store::Write;
use hxa_store::rows::{ParticipantRow, ThreadRow};
use hxa_store::threads::{ArtifactHead, LoadedThread, MemberChange, ThreadChanges, ThreadUpdate};

/// How far time stamps may run ahead of the clock to stay distinct in a burst.
const MAX_AHEAD_MS: i64 = 1000;

/// A bot in the thread.
#[derive(Debug, Clone)]
pub struct Participant {
    /// The bot.
    pub bot: BotId,
    /// Its label.
    pub label: Option<String>,
    /// When it joined, ms.
    pub joined_at: i64,
}

/// A bot that asks to join.
#[derive(Debug, Clone, Copy)]
pub struct PendingRequest {
    /// Request id.
    pub id: RequestId,
    /// Who asks.
    pub bot: BotId,
}

/// A thread in memory.
#[derive(Debug)]
pub struct ThreadState {
    /// Identity.
    pub id: ThreadId,
    /// The row as of the newest call.
    pub row: ThreadRow,
    /// The row's policy, parsed.
    pub policy: Option<PermissionPolicy>,
    /// Participants in order of joining.
    pub participants: Vec<Participant>,
    /// Pending join requests, oldest first.
    pub requests: Vec<PendingRequest>,
    /// Newest version of each artifact.
    pub heads: HashMap<String, ArtifactHead>,
    members: Arc<[BotId]>,
    newest: i64,
    activity: ActivityMark,
}

impl ThreadState {
    /// The state of a loaded thread.
    #[must_use]
    pub fn new(loaded: LoadedThread) -> Self {
        let row = loaded.row;
        let participants: Vec<_> = loaded.participants.into_iter().map(Participant::from).collect();
        let requests =
            loaded.requests.iter().map(|request| PendingRequest { id: request.id, bot: request.bot_id }).collect();
        Self {
            id: row.id,
            policy: row.permission_policy.as_deref().map(PermissionPolicy::from_stored),
            members: participants.iter().map(|participant| participant.bot).collect(),
            participants,
            requests,
            heads: loaded.heads,
            newest: loaded.newest,
            activity: ActivityMark::default(),
            row,
        }
    }

    /// Who sees it and how bots join.
    #[must_use]
    pub fn access(&self) -> Access {
        Access { visibility: self.row.visibility, join_policy: self.row.join_policy }
    }

    /// A participant by bot.
    #[must_use]
    pub fn participant(&self, bot: BotId) -> Option<&Participant> {
        self.participants.iter().find(|participant| participant.bot == bot)
    }

    /// The bots that take part, shared with the events sent to them.
    #[must_use]
    pub fn members(&self) -> Arc<[BotId]> {
        self.members.clone()
    }

    /// Everybody in the thread, and the admins that watch it.
    #[must_use]
    pub fn audience(&self) -> Audience {
        Audience::Members { bots: self.members(), topic: self.id.uuid() }
    }

    /// A time stamp for something that happens now: after every earlier one of this thread.
    pub fn next_time(&mut self, now: i64) -> i64 {
        next_time(&mut self.newest, now)
    }

    /// Moves the newest activity to `at`. The row in the database follows at most a few seconds later, so that a
    /// burst of messages does not write it each time.
    pub fn touch(&mut self, org: &OrgState, at: i64) -> Option<Write> {
        self.row.last_activity_at = at;
        let is_due = self.activity.touch(&org.thread_activity, self.id, at);
        is_due.then_some(Write::ThreadActivity(self.id, at))
    }

    /// Adds a participant at the end.
    pub fn add(&mut self, bot: BotId, label: Option<String>, joined_at: i64) -> MemberChange {
        let row = ParticipantRow { thread_id: self.id, bot_id: bot, label: label.clone(), joined_at };
        self.participants.push(Participant { bot, label, joined_at });
        self.refresh_members();
        MemberChange::Add(row)
    }

    /// Changes a participant's label.
    pub fn set_label(&mut self, bot: BotId, label: Option<String>) -> MemberChange {
        for participant in self.participants.iter_mut().filter(|participant| participant.bot == bot) {
            participant.label.clone_from(&label);
        }
        MemberChange::Label(bot, label)
    }

    /// Removes a participant.
    pub fn remove(&mut self, bot: BotId) -> MemberChange {
        self.participants.retain(|participant| participant.bot != bot);
        self.refresh_members();
        MemberChange::Remove(bot)
    }

    fn refresh_members(&mut self) {
        self.members = self.participants.iter().map(|participant| participant.bot).collect();
    }

    /// Counts the revision up and stamps the change; `changes` names the other columns that are already set in memory.
    pub fn revise(&mut self, at: i64, mut changes: ThreadChanges, members: Vec<MemberChange>) -> Write {
        let expected_revision = self.row.revision;
        self.row.revision += 1;
        self.row.updated_at = at;
        changes.revision = Some(self.row.revision);
        changes.updated_at = Some(at);
        Write::Thread(Box::new(ThreadUpdate { id: self.id, expected_revision, changes, members }))
    }
}

/// The next time stamp of a conversation whose newest one is `newest`. Stamps never go back, and stay distinct while
/// no burst takes them too far ahead of the clock. Further ahead than a burst goes only a clock that was set back, perhaps
/// for years: then equal stamps would leave the order to ids, which begin anew with each start of the hub.
pub fn next_time(newest: &mut i64, now: i64) -> i64 {
    let (distinct, furthest) = (newest.saturating_add(1), now.saturating_add(MAX_AHEAD_MS));
    let is_burst = *newest <= furthest;
    let next = if is_burst { distinct.min(furthest).max(now).max(*newest) } else { distinct };
    *newest = next;
    next
}

impl From<ParticipantRow> for Participant {
    fn from(row: ParticipantRow) -> Self {
        Self { bot: row.bot_id, label: row.label, joined_at: row.joined_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_follow_the_clock_and_never_go_back() {
        let mut newest = 0;
        assert_eq!([5000, 5000, 6000, 5500].map(|now| next_time(&mut newest, now)), [5000, 5001, 6000, 6001]);
    }

    #[test]
    fn a_burst_stays_near_the_clock() {
        let mut newest = 5000;
        let burst: Vec<i64> = (0..2000).map(|_| next_time(&mut newest, 5000)).collect();
        assert_eq!((burst[0], burst[999], burst[1999]), (5001, 6000, 6000));
    }

    /// They were all equal, and whether what came after a restart was before or after them was left to chance.
    #[test]
    fn stamps_stay_distinct_when_the_clock_is_set_back_by_years() {
        let mut newest = 5_000_000;
        assert_eq!([0, 1, 2].map(|now| next_time(&mut newest, now)), [5_000_001, 5_000_002, 5_000_003]);
    }
}
