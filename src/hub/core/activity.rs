//! Latest activity of threads and channels: kept in memory between writes, flushed before lists are read.
//!
//! Updating a conversation's row for every message would double the cost of a message. So the row is written with the
//! first message after a pause and then at most every few seconds; queries that sort by activity flush it first. After
//! a crash the rows of recently active conversations are corrected from their newest messages.

use std::hash::Hash;
use std::sync::Arc;

use dashmap::DashMap;

use super::{Core, shard};
use crate::core::org_state::OrgState;
use hxa_domain::error::ApiResult;
use hxa_store::{Commit, Write};

/// How long a conversation's stored `last_activity_at` may lag behind, ms.
const LAG_MS: i64 = 5000;

/// When a conversation's row was last written with its newest activity, ms.
#[derive(Debug, Default)]
pub struct ActivityMark(i64);

impl ActivityMark {
    /// Notes something that happened in a conversation. True when its row is to be written now; otherwise the time waits
    /// among those that `lag` behind.
    pub fn touch<K: Hash + Eq>(&mut self, lag: &DashMap<K, i64>, conversation: K, at: i64) -> bool {
        let is_due = at - self.0 >= LAG_MS;
        if is_due {
            self.0 = at;
            lag.remove(&conversation);
        } else {
            lag.insert(conversation, at);
        }
        is_due
    }
}

impl Core {
    /// Writes what the database does not know yet of an organisation's newest activities, and waits until it is there.
    ///
    /// # Errors
    /// 503 when the database is unavailable.
    pub async fn flush_activity(&self, org: &Arc<OrgState>) -> ApiResult<()> {
        let threads: Vec<_> = org.thread_activity.iter().map(|entry| (*entry.key(), *entry.value())).collect();
        let channels: Vec<_> = org.channel_activity.iter().map(|entry| (*entry.key(), *entry.value())).collect();
        if threads.is_empty() && channels.is_empty() {
            return Ok(());
        }
        let mut writes: Vec<Write> = threads.iter().map(|(id, at)| Write::ThreadActivity(*id, *at)).collect();
        writes.extend(channels.iter().map(|(id, at)| Write::ChannelActivity(*id, *at)));
        let (send, receive) = tokio::sync::oneshot::channel();
        let org_in_commit = org.clone();
        let commit = Commit::new(shard(org.id.uuid()), writes, move |outcome| {
            if outcome.is_ok() {
                // Whatever moved on meanwhile stays for the next time.
                for (id, at) in threads {
                    org_in_commit.thread_activity.remove_if(&id, |_, newest| *newest == at);
                }
                for (id, at) in channels {
                    org_in_commit.channel_activity.remove_if(&id, |_, newest| *newest == at);
                }
            }
            // The caller may have gone away.
            drop(send.send(outcome));
        });
        self.store().submit(commit);
        receive.await.unwrap_or_else(|_| Err(hxa_domain::error::ApiError::unavailable("The hub is stopping")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_written_every_few_seconds() {
        let (mut mark, lag) = (ActivityMark::default(), DashMap::new());
        let due = [10_000, 10_001, 14_999, 15_000, 15_001].map(|at| mark.touch(&lag, "t", at));
        assert_eq!(due, [true, false, false, true, false]);
        assert_eq!(lag.get("t").map(|at| *at), Some(15_001));
        assert!(mark.touch(&lag, "t", 30_000));
        assert!(lag.is_empty(), "what is written does not lag");
    }
}
