//! Commits of features: rows, audit entries and webhook deliveries become durable together, then events are published.
//!
//! This is the way of every write of the kernel, for rows that the kernel does not know: charged to the caller's budget,
//! refused while the writer is congested, applied in one transaction of the group-commit writer, and answered once that is
//! durable.

use std::sync::Arc;

use crate::core::call::Reply;
use crate::core::caller::Caller;
use crate::core::{Core, shard};
use crate::fanout::event::Event;
use crate::outcome::{Outcome, Publisher};
use crate::webhooks::Webhooks;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_store::rows::AuditRow;
use hxa_store::{FeatureWrite, Fence, Write};

/// The writes of features. Cheap to clone, and without the hub, so that a feature may keep it.
#[derive(Clone)]
pub struct Commits {
    core: Core,
    webhooks: Arc<Webhooks>,
}

/// What becomes durable together, and the events published afterwards.
pub struct Change {
    class: WriteClass,
    bytes: usize,
    key: Option<u64>,
    fence: Option<Fence>,
    writes: Vec<Write>,
    events: Vec<Event>,
}

impl Change {
    /// A change without anything in it, charged as `class`.
    #[must_use]
    pub fn new(class: WriteClass) -> Self {
        Self { class, bytes: 0, key: None, fence: None, writes: Vec::new(), events: Vec::new() }
    }

    /// Adds a change of the feature's rows.
    #[must_use]
    pub fn writing(mut self, write: impl FeatureWrite + 'static) -> Self {
        self.bytes = self.bytes.saturating_add(write.bytes());
        self.writes.push(Write::Feature(Box::new(write)));
        self
    }

    /// Adds an entry of the audit trail.
    #[must_use]
    pub fn noting(mut self, entry: AuditRow) -> Self {
        self.writes.push(Write::Audit(entry));
        self
    }

    /// Adds an event, which gets its number in the organisation's log when the change is durable.
    #[must_use]
    pub fn telling(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    /// Changes of equal key are applied in the order in which they were submitted; without a key those of the organisation are.
    #[must_use]
    pub fn ordered_by(mut self, key: u64) -> Self {
        self.key = Some(key);
        self
    }

    /// Makes the change fail when an earlier one behind the same fence failed: for actors whose memory runs ahead.
    #[must_use]
    pub fn behind(mut self, fence: &Fence) -> Self {
        self.fence = Some(fence.clone());
        self
    }
}

impl Commits {
    /// Over a hub's core.
    #[must_use]
    pub fn new(core: Core, webhooks: Arc<Webhooks>) -> Self {
        Self { core, webhooks }
    }

    /// The core of the hub.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Makes a change in the caller's organisation and waits until it is durable.
    ///
    /// # Errors
    /// 429 when the caller's budget is used up, 404 when the organisation is gone, 503 while the writer is congested, what the
    /// change itself refuses, and 503 when the database is away.
    pub async fn make(&self, caller: &Caller, change: Change) -> ApiResult<()> {
        self.core.ask(None, |reply| self.submit(caller, change, reply)).await
    }

    /// The same without waiting; `reply` is answered on a writer's thread, after the events are queued for their sockets.
    pub fn submit(&self, caller: &Caller, change: Change, reply: Reply<()>) {
        let key = change.key.unwrap_or_else(|| shard(caller.org().id.uuid()));
        match self.admit(caller, &change, key) {
            Ok(()) => self.commit(caller, change, key, reply),
            Err(refusal) => reply.send(Err(refusal)),
        }
    }

    fn admit(&self, caller: &Caller, change: &Change, key: u64) -> ApiResult<()> {
        let org = caller.org();
        self.core.charge(caller, change.class, || change.bytes)?;
        if org.is_gone() {
            return Err(ApiError::not_found("Organisation"));
        }
        self.core.check_queue(key, org)
    }

    fn commit(&self, caller: &Caller, change: Change, key: u64, reply: Reply<()>) {
        let Change { fence, writes, events, .. } = change;
        let org = caller.org();
        let publisher = Publisher { webhooks: &self.webhooks, org, now: self.core.now() };
        let commit = publisher.commit(key, Outcome { writes, events, answer: Ok(()) }, reply, || {});
        let commit = match &fence {
            Some(fence) => commit.behind(fence),
            None => commit,
        };
        self.core.store().submit(commit.counted_in(&org.load));
    }
}
