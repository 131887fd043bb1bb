//! From the outcome of an operation to a commit: rows, what its events owe to webhooks, and what is remembered of its
//! answer are durable together. Then its events are published, the answer is given and webhooks are woken, in this order.

use std::sync::Arc;

use crate::core::call::Reply;
use crate::core::org_state::OrgState;
use crate::fanout::event::Event;
use crate::webhooks::{Queued, Webhooks};
use hxa_domain::error::ApiResult;
use hxa_store::{Commit, Write};

/// What an operation has led to.
pub struct Outcome<A> {
    /// Rows to write.
    pub writes: Vec<Write>,
    /// Events to publish once they are durable.
    pub events: Vec<Event>,
    /// The answer.
    pub answer: ApiResult<A>,
}

/// Where the outcomes of an organisation's operations are published.
pub struct Publisher<'a> {
    /// Queues and wakes.
    pub webhooks: &'a Arc<Webhooks>,
    /// The organisation.
    pub org: &'a Arc<OrgState>,
    /// Now, ms since the epoch.
    pub now: i64,
}

impl Publisher<'_> {
    /// Adds to `writes` what the events owe to webhooks.
    pub fn queue(&self, mut events: Vec<Event>, writes: &mut Vec<Write>) -> Publication {
        let queued = self.webhooks.queue(self.org, &events, self.now, writes);
        events.retain(|event| event.is_for_sockets);
        Publication { webhooks: self.webhooks.clone(), org: self.org.clone(), events, queued }
    }

    /// The commit of an outcome, under the writer's key; `done` runs at its end, whether it failed or not.
    pub fn commit<A: Send + 'static>(
        &self,
        key: u64,
        outcome: Outcome<A>,
        mut reply: Reply<A>,
        done: impl FnOnce() + Send + 'static,
    ) -> Commit {
        let Outcome { mut writes, events, answer } = outcome;
        writes.extend(answer.as_ref().ok().and_then(|answer| reply.receipt(answer)));
        let publication = self.queue(events, &mut writes);
        Commit::new(key, writes, move |stored| {
            match stored.and(answer) {
                Ok(answer) => publication.publish(Vec::new(), || reply.send(Ok(answer))),
                Err(error) => reply.send(Err(error)),
            }
            done();
        })
    }
}

/// Events whose webhook deliveries are part of a commit under way.
pub struct Publication {
    webhooks: Arc<Webhooks>,
    org: Arc<OrgState>,
    events: Vec<Event>,
    queued: Queued,
}

impl Publication {
    /// Publishes the events behind those of `first`, answers, and wakes the webhooks.
    pub fn publish(self, mut first: Vec<Event>, answer: impl FnOnce()) {
        let events = if first.is_empty() {
            self.events
        } else {
            first.extend(self.events);
            first
        };
        self.org.channel().publish(events);
        answer();
        self.queued.wake(&self.webhooks, &self.org);
    }
}
