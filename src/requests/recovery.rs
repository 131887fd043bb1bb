//! Going on after a start: what is open is entered again, and what a stop left between two states goes on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::actor::{Act, Deed, RequestActors};
use crate::effects::Effects;
use crate::queries::{self, OpenRequest};
use crate::rules::{State, Who};
use hxa_domain::error::ApiResult;
use hxa_hub::core::Core;
use hxa_hub::core::actors::Actors;
use hxa_hub::core::caller::Caller;

/// Before it is tried again while the database is away.
const PAUSE: Duration = Duration::from_secs(1);

/// What was open when the hub started; see the module.
pub struct Recovery {
    core: Core,
    effects: Arc<Effects>,
    done: OnceCell<()>,
    /// Those that a stop left on their way.
    stuck: parking_lot::Mutex<Vec<OpenRequest>>,
}

impl Recovery {
    /// Nothing is entered yet.
    #[must_use]
    pub fn new(core: Core, effects: Arc<Effects>) -> Self {
        Self { core, effects, done: OnceCell::new(), stuck: parking_lot::Mutex::default() }
    }

    /// Resolves once all that was open at the start is entered; whoever comes first reads it.
    ///
    /// # Errors
    /// 503 while the database is unavailable.
    pub async fn ready(&self) -> ApiResult<()> {
        if self.done.initialized() {
            return Ok(());
        }
        self.done.get_or_try_init(|| self.enter_all()).await?;
        Ok(())
    }

    async fn enter_all(&self) -> ApiResult<()> {
        let mut last: Option<OpenRequest> = None;
        let mut stuck = Vec::new();
        loop {
            let after = last.clone();
            let page = self.core.store().read(move |conn| queries::list_open(conn, after.as_ref())).await?;
            let Some(newest) = page.last() else { break };
            last = Some(newest.clone());
            self.effects.agenda.fill(&page);
            stuck.extend(page.into_iter().filter(|open| open.state != State::PendingResponse));
        }
        self.effects.figures.open(self.effects.agenda.len());
        *self.stuck.lock() = stuck;
        Ok(())
    }

    /// Waits until the database answers, enters what is open and has what is stuck go on.
    pub async fn run(&self, actors: &Arc<RequestActors>) {
        while let Err(error) = self.ready().await {
            if self.core.is_draining() {
                return;
            }
            log::warn!(error:% = error; "the open requests cannot be read; it is tried again");
            tokio::time::sleep(PAUSE).await;
        }
        let stuck = std::mem::take(&mut *self.stuck.lock());
        for open in stuck {
            if let Err(error) = self.go_on(actors, &open).await {
                // Its deadline brings it on all the same.
                log::warn!(request:% = open.id, error:% = error; "a request that a stop left on its way could not go on");
            }
        }
    }

    async fn go_on(&self, actors: &Arc<RequestActors>, open: &OpenRequest) -> ApiResult<()> {
        let Some(org) = self.core.org(open.org).await? else { return Ok(()) };
        let act = Act { who: Who::System, deed: Deed::GoOn, known: None };
        actors.ask(open.id, Caller::Hub(org), act).await.map(|_| ())
    }
}
