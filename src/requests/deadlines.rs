//! Deadlines: what happens to requests when their time has come.
//!
//! One task sleeps until the next deadline of all and then has the actors of what is due act, a bounded number at a time, so
//! that ten thousand deadlines of one second neither wait for each other nor stall anybody. What fails is tried again; what
//! came due while the hub was down is due at its start.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::actor::{Act, Deed, RequestActors};
use crate::effects::Effects;
use crate::queries;
use crate::rows::Kept;
use crate::rules::{RequestId, Who};
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::OrgId;
use hxa_hub::core::Core;
use hxa_hub::core::actors::Actors;
use hxa_hub::core::caller::Caller;

/// Requests that are dealt with together: their commits fill about half a batch of the writer, so that others come between.
const BATCH: usize = 256;
/// Before what failed is tried again, ms.
const AGAIN_MS: i64 = 500;
/// The longest sleep: the clock may be set forward, and a machine sleep, without anybody being told.
const LONGEST: Duration = Duration::from_secs(30);

/// The deadlines of a hub; see the module.
pub struct Deadlines {
    core: Core,
    actors: Arc<RequestActors>,
    effects: Arc<Effects>,
}

impl Deadlines {
    /// Of these actors.
    #[must_use]
    pub fn new(core: Core, actors: Arc<RequestActors>, effects: Arc<Effects>) -> Self {
        Self { core, actors, effects }
    }

    /// Deals with deadlines for as long as the hub runs.
    pub async fn run(&self) {
        while !self.core.is_draining() {
            let due = self.effects.agenda.due(self.core.now(), BATCH);
            if due.is_empty() {
                self.sleep().await;
            } else {
                self.deal_with(&due).await;
            }
        }
    }

    async fn sleep(&self) {
        let until = self.effects.agenda.next().map(|at| at.saturating_sub(self.core.now()).max(1));
        let wait = until.and_then(|ms| u64::try_from(ms).ok()).map_or(LONGEST, Duration::from_millis);
        tokio::select! {
            () = tokio::time::sleep(wait.min(LONGEST)) => {}
            () = self.effects.agenda.sooner() => {}
        }
    }

    /// Has these requests act, and waits until that is durable.
    pub async fn deal_with(&self, due: &[(RequestId, OrgId)]) {
        let ids: Vec<RequestId> = due.iter().map(|(id, _)| *id).collect();
        let read = ids.clone();
        let rows = match self.core.store().read(move |conn| queries::find_many(conn, &read)).await {
            Ok(rows) => rows,
            Err(error) => {
                log::warn!(requests = ids.len(), error:% = error; "deadlines could not be dealt with; they are tried again");
                return ids.iter().for_each(|id| self.put_off(*id));
            }
        };
        let gone = ids.iter().filter(|id| !rows.iter().any(|kept| kept.request.id == **id));
        gone.for_each(|id| self.effects.agenda.forget(*id));
        join_all(rows.into_iter().map(|kept| self.expire(kept))).await;
    }

    /// Has one request act.
    async fn expire(&self, kept: Kept) {
        let (id, at) = (kept.request.id, kept.request.timeout_at);
        match self.act(kept).await {
            // Whatever has happened to it meanwhile is entered with its own time, or not open any more.
            Ok(true) => self.effects.figures.late(self.core.now().saturating_sub(at)),
            Ok(false) => self.effects.agenda.forget(id),
            Err(error) => {
                log::warn!(request:% = id, error:% = error; "a deadline could not be dealt with; it is tried again");
                self.put_off(id);
            }
        }
    }

    /// Whether its organisation is still there.
    async fn act(&self, kept: Kept) -> ApiResult<bool> {
        let Some(org) = self.core.org(kept.request.org).await? else { return Ok(false) };
        let id = kept.request.id;
        if !kept.request.state.is_open() {
            // The row is newer than what is known of it here.
            self.effects.agenda.follow(&kept.request);
            return Ok(true);
        }
        let act = Act { who: Who::System, deed: Deed::Expire, known: Some(kept) };
        let now = self.actors.ask(id, Caller::Hub(org), act).await?;
        self.effects.agenda.follow(&now);
        if now.is_overdue(self.core.now()) { Err(ApiError::unavailable("Its time has come again")) } else { Ok(true) }
    }

    fn put_off(&self, id: RequestId) {
        self.effects.agenda.put_off(id, self.core.now().saturating_add(AGAIN_MS));
    }
}
