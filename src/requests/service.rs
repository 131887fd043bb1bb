//! The running feature: what the routes call, and what the hub calls.
//!
//! [`Requests`] reads requests, hands what changes them to their actors, and makes new ones. Its duties go on with what was
//! open, deal with deadlines, tell threads and let old rows go (`lifecycle`).

mod answering;
mod lifecycle;
mod listing;
mod policy;

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use parking_lot::Mutex;

use crate::actor::{Act, Deed, RequestActors, missing};
use crate::agenda::{Agenda, Bounds, Owner};
use crate::deadlines::Deadlines;
use crate::effects::{Effects, Planned};
use crate::figures::Figures;
use crate::principal::Principal;
use crate::queries;
use crate::recovery::Recovery;
use crate::rows::Kept;
use crate::rules::auto_approve::Policy;
use crate::rules::machine::Opening;
use crate::rules::rights::{Action, check};
use crate::rules::{Create, Faults, Request, RequestId, State, Step, Who, submit};
use crate::slack::Slack;
use crate::slack::sender::Told;
use crate::stream::Streams;
use crate::threads::Teller;
use crate::waiters::Waiters;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{BotId, OrgId};
use hxa_hub::commits::Commits;
use hxa_hub::core::Core;
use hxa_hub::core::actors::Actors;
use hxa_hub::core::call::Reply;
use hxa_hub::core::caller::{BotCaller, Caller};
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;

/// The requests of a running hub.
pub struct Requests {
    commits: Commits,
    effects: Arc<Effects>,
    actors: Arc<RequestActors>,
    recovery: Arc<Recovery>,
    deadlines: Deadlines,
    slack: Slack,
    /// What organisations let requests do by themselves.
    policies: DashMap<OrgId, Arc<Policy>>,
    /// What deletions of bots under way have done to their requests.
    cancelled: Mutex<Cancelled>,
}

type Cancelled = std::collections::HashMap<BotId, Vec<(Kept, Step)>>;

/// A request that was asked for.
#[derive(Debug, Clone)]
pub struct Created {
    /// The request.
    pub request: Arc<Request>,
    /// Whether it was made before, under the same idempotency key.
    pub is_replay: bool,
}

impl Requests {
    /// Over a hub.
    ///
    /// # Errors
    /// When its metrics cannot be registered.
    pub fn new(hub: &Hub) -> Result<Self, String> {
        let (core, commits, config) = (hub.core().clone(), hub.commits().clone(), &hub.config().coordination);
        let figures = Figures::register(hub.metrics()).map_err(|error| error.to_string())?;
        let effects = Arc::new(Effects {
            recent: Default::default(),
            agenda: Agenda::new(Bounds { per_bot: config.open_per_bot, per_org: config.open_per_org }),
            waiters: Waiters::new(),
            streams: Streams::new(hub.config()),
            teller: Teller::new(core.clone(), hub.threads().clone()),
            figures,
            notifier: std::sync::OnceLock::new(),
        });
        let actors = RequestActors::new(commits.clone(), effects.clone());
        let recovery = Arc::new(Recovery::new(core.clone(), effects.clone()));
        let slack = Slack::new(hub, Told { actors: actors.clone(), recovery: recovery.clone() })?;
        if let Some((outbox, _)) = &slack.sending {
            effects.notifier.get_or_init(|| outbox.clone());
        }
        Ok(Self {
            recovery,
            deadlines: Deadlines::new(core, actors.clone(), effects.clone()),
            slack,
            commits,
            effects,
            actors,
            policies: DashMap::new(),
            cancelled: Mutex::default(),
        })
    }

    /// The core of the hub.
    #[must_use]
    pub fn core(&self) -> &Core {
        self.commits.core()
    }

    /// The event streams.
    #[must_use]
    pub fn streams(&self) -> &Arc<Streams> {
        &self.effects.streams
    }

    /// What runs of Slack.
    #[must_use]
    pub fn slack(&self) -> &Slack {
        &self.slack
    }

    /// Asks a person.
    ///
    /// # Errors
    /// 403 for what the organisation forbids, 409 `IDEMPOTENCY_MISMATCH` when the key was used for another request and
    /// `LIMIT_REACHED` when too many are open, 429 when the agent's budget is used up, 503 when the database is away.
    pub async fn create(&self, agent: &BotCaller, draft: Create) -> ApiResult<Created> {
        self.recovery.ready().await?;
        let (key, hash) = (draft.idempotency_key.clone(), draft.body_hash.clone());
        if let Some(before) = self.find_repeated(agent, key.as_deref(), &hash).await? {
            return Ok(before);
        }
        self.policy(agent.org.id).await?.auto_approve.check(&draft)?;
        self.check_thread(agent, &draft).await?;
        match (self.store_new(agent, draft).await, key) {
            // Another one with the same key was a moment sooner.
            (Err(error), Some(key)) if error.code() == ErrorCode::IdempotencyInProgress => {
                self.find_repeated(agent, Some(&key), &hash).await?.ok_or(error)
            }
            (outcome, _) => outcome,
        }
    }

    /// What the agent asked under this key.
    async fn find_repeated(&self, agent: &BotCaller, key: Option<&str>, hash: &str) -> ApiResult<Option<Created>> {
        let Some(key) = key.map(str::to_owned) else { return Ok(None) };
        let bot = agent.bot.id;
        let found =
            self.core().store().read_for(agent.org.id, move |conn| queries::find_by_key(conn, bot, &key)).await?;
        match found {
            None => Ok(None),
            Some(kept) if *kept.request.body_hash == *hash => {
                Ok(Some(Created { request: kept.request, is_replay: true }))
            }
            Some(_) => {
                let message = "The idempotency key was used before with another request";
                Err(ApiError::new(ErrorCode::IdempotencyMismatch, message))
            }
        }
    }

    /// A thread can only wait for somebody who takes part in it.
    async fn check_thread(&self, agent: &BotCaller, draft: &Create) -> ApiResult<()> {
        let Some(thread) = draft.thread else { return Ok(()) };
        let bot = agent.bot.id;
        let takes_part = move |conn: &mut hxa_store::DbConnection| queries::takes_part(conn, thread, bot);
        if self.core().store().read_for(agent.org.id, takes_part).await? {
            return Ok(());
        }
        Err(Faults::one("thread_id", "The agent takes part in no such thread").into())
    }

    async fn store_new(&self, agent: &BotCaller, draft: Create) -> ApiResult<Created> {
        let (org, bot) = (&agent.org, &agent.bot);
        // Given back at the end; the request itself is entered by then.
        let _room = self.effects.agenda.reserve(Owner { org: org.id, bot: bot.id })?;
        let now = self.core().now();
        let opening = Opening { id: RequestId::at(now), org: org.id, agent: bot.id, agent_id: bot.name.clone() };
        let planned = self.effects.plan(org, None, submit(opening, draft, now));
        let Planned { kept, change, aftermath } = planned;
        let (effects, caller) = (self.effects.clone(), Caller::Bot(agent.clone()));
        let commit = |reply: Reply<()>| {
            let done = move |stored: ApiResult<()>| {
                if stored.is_ok() {
                    effects.follow(&aftermath);
                }
                reply.send(stored);
            };
            self.commits.submit(&caller, change, Reply::new(done));
        };
        self.core().ask(None, commit).await?;
        Ok(Created { request: kept.request, is_replay: false })
    }

    /// A request of whichever organisation, as it is stored; for callers who say no more than its id, and are asked who they are
    /// afterwards.
    ///
    /// # Errors
    /// 503 when the database is unavailable.
    pub async fn find_anywhere(&self, id: RequestId) -> ApiResult<Option<Arc<Request>>> {
        let found = match self.effects.recent.find(id) {
            Some(kept) => Some(kept),
            None => self.core().store().read(move |conn| queries::find(conn, id)).await?,
        };
        Ok(found.map(|kept| kept.request))
    }

    /// A request of an organisation, as it is stored.
    async fn load(&self, org: &OrgState, id: RequestId) -> ApiResult<Arc<Request>> {
        let found = match self.effects.recent.find(id) {
            Some(kept) => Some(kept),
            None => self.core().store().read_for(org.id, move |conn| queries::find(conn, id)).await?,
        };
        found.map(|kept| kept.request).filter(|request| request.org == org.id).ok_or_else(missing)
    }

    /// A request, for whoever may see it; nothing is delivered.
    ///
    /// # Errors
    /// 404 when there is none for this caller.
    pub async fn find(&self, principal: &Principal, id: RequestId) -> ApiResult<Arc<Request>> {
        let request = self.load(principal.org(), id).await?;
        check(&request, &principal.who, Action::Read, self.core().now())?;
        Ok(request)
    }

    /// A request, for the agent that asked; its answer is delivered by that.
    ///
    /// # Errors
    /// 404 when it is not the agent's.
    pub async fn deliver(&self, agent: &BotCaller, id: RequestId) -> ApiResult<Arc<Request>> {
        let request = self.load(&agent.org, id).await?;
        check(&request, &as_agent(agent), Action::Read, self.core().now())?;
        match request.state {
            State::Responded => self.act_as_agent(agent, id, Deed::Deliver).await,
            _ => Ok(request),
        }
    }

    /// As [`Self::deliver`], as soon as the request is decided, or once the time is over as it is then. While it waits it takes
    /// neither a thread nor a query.
    ///
    /// # Errors
    /// As [`Self::deliver`].
    pub async fn wait(&self, agent: &BotCaller, id: RequestId, within: Duration) -> ApiResult<Arc<Request>> {
        let waiter = self.effects.waiters.join(id);
        let look = || async {
            match self.deliver(agent, id).await {
                Ok(request) if request.state.is_open() => None,
                outcome => Some(outcome),
            }
        };
        match waiter.until(within, look).await {
            Some(outcome) => outcome,
            None => self.deliver(agent, id).await,
        }
    }

    /// The agent has got the answer by another way than reading it here.
    ///
    /// # Errors
    /// 404 when it is not the agent's, 409 when there is no answer.
    pub async fn acknowledge(&self, agent: &BotCaller, id: RequestId) -> ApiResult<Arc<Request>> {
        self.act_as_agent(agent, id, Deed::Acknowledge).await
    }

    async fn act_as_agent(&self, agent: &BotCaller, id: RequestId, deed: Deed) -> ApiResult<Arc<Request>> {
        self.act(Caller::Bot(agent.clone()), as_agent(agent), id, deed).await
    }

    /// Withdraws a request.
    ///
    /// # Errors
    /// 404 when there is none for this caller, 403 when they may not, 409 when it is not open.
    pub async fn cancel(&self, principal: &Principal, id: RequestId) -> ApiResult<Arc<Request>> {
        self.act(principal.caller.clone(), principal.who.clone(), id, Deed::Cancel).await
    }

    /// Has somebody else asked.
    ///
    /// # Errors
    /// As [`Self::cancel`], and 400 for a target that makes no sense.
    pub async fn reassign(&self, principal: &Principal, id: RequestId, to: String) -> ApiResult<Arc<Request>> {
        self.act(principal.caller.clone(), principal.who.clone(), id, Deed::Reassign(to)).await
    }

    /// Lets somebody else answer as well, until a time in ms.
    ///
    /// # Errors
    /// As [`Self::reassign`].
    pub async fn delegate(
        &self,
        principal: &Principal,
        id: RequestId,
        to: String,
        until: i64,
    ) -> ApiResult<Arc<Request>> {
        self.act(principal.caller.clone(), principal.who.clone(), id, Deed::Delegate(to, until)).await
    }

    async fn act(&self, caller: Caller, who: Who, id: RequestId, deed: Deed) -> ApiResult<Arc<Request>> {
        self.recovery.ready().await?;
        self.actors.ask(id, caller, Act { who, deed, known: None }).await
    }
}

/// An agent as the rules know it, where it acts for itself.
fn as_agent(agent: &BotCaller) -> Who {
    Who::Agent { id: agent.bot.id, name: agent.bot.name.clone(), may_respond: false }
}
