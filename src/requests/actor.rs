//! The request actor: the only place where a request changes, while something happens to it.
//!
//! Answers, withdrawals and the deadline of a request are calls of its actor, one after the other: each is checked against
//! the state that the one before it led to, becomes one commit behind the actor's fence, and is answered when that is
//! durable. Whoever is late hears of the state that won. A request that waits has no actor: its row is in the database and
//! its deadline in the [`crate::agenda`]. A failed commit makes the actor read its row again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;
use serde_json::{Map, Value};

use crate::effects::{Effects, Planned};
use crate::queries;
use crate::rows::Kept;
use crate::rules::rights::{Action, check};
use crate::rules::{Answer, Input, Request, RequestId, State, Step, Verdict, Via, Who, step};
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::OrgId;
use hxa_hub::commits::Commits;
use hxa_hub::core::actors::Actors;
use hxa_hub::core::call::{Call, Operation, Reply};
use hxa_hub::core::caller::Caller;
use hxa_hub::core::org_state::OrgState;
use hxa_hub::core::registry::{InUse, Registry, Start};
use hxa_hub::core::{Core, shard};
use hxa_hub::fanout::send_queue::WakeBatch;
use hxa_store::{DbConnection, Fence};

/// Calls that may wait for one request before new ones are refused with 503.
const MAILBOX: usize = 1024;
/// How long an actor without calls is kept: an answer that comes at once finds the one of the creation.
const IDLE: Duration = Duration::from_secs(2);
/// The same once the request has ended: nothing happens to it any more.
const ENDED: Duration = Duration::from_millis(100);
/// How long one that has left passes on what still comes.
const FORWARDS: Duration = Duration::from_secs(1);

/// What is to be done with a request.
#[derive(Debug, Clone)]
pub enum Deed {
    /// An answer, checked for its form.
    Answer {
        /// The answer.
        data: Map<String, Value>,
        /// Whom the body names.
        named: Option<String>,
        /// What it amounts to.
        verdict: Verdict,
        /// Through what it came.
        via: Via,
    },
    /// The agent reads the answer; nothing happens where there is none, or it was read before.
    Deliver,
    /// The agent has the answer; refused where there is none.
    Acknowledge,
    /// It is withdrawn.
    Cancel,
    /// Somebody else is asked.
    Reassign(String),
    /// Somebody else may answer as well, until a time, ms.
    Delegate(String, i64),
    /// Its time has come; nothing happens where it has ended meanwhile or gained time.
    Expire,
    /// A stop has left it on its way.
    GoOn,
    /// Something of the channel outside.
    Channel(Input),
}

impl Deed {
    /// What one must be allowed to.
    const fn action(&self) -> Option<Action> {
        match self {
            Self::Answer { .. } => Some(Action::Answer),
            Self::Deliver | Self::Acknowledge => Some(Action::Deliver),
            Self::Cancel => Some(Action::Cancel),
            Self::Reassign(_) => Some(Action::Reassign),
            Self::Delegate(..) => Some(Action::Delegate),
            Self::Expire | Self::GoOn | Self::Channel(_) => None,
        }
    }

    /// What a refusal says cannot be done.
    const fn doing(&self) -> &'static str {
        match self {
            Self::Answer { .. } => "respond to",
            Self::Deliver => "deliver",
            Self::Acknowledge => "acknowledge",
            Self::Cancel => "cancel",
            Self::Reassign(_) => "reassign",
            Self::Delegate(..) => "delegate",
            Self::Expire | Self::GoOn | Self::Channel(_) => "change",
        }
    }
}

/// A call of the actor.
pub struct Act {
    /// Who does it.
    pub who: Who,
    /// What.
    pub deed: Deed,
    /// The request, where the caller has just read it.
    pub known: Option<Kept>,
}

impl Operation for Act {
    /// The request as it is then.
    type Answer = Arc<Request>;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Request)
    }

    fn bytes(&self) -> usize {
        match &self.deed {
            Deed::Answer { data, .. } => hxa_domain::budget::carried(data),
            _ => 0,
        }
    }
}

enum Loaded {
    Loading,
    Ready(Kept),
    Missing,
    Failed(ApiError),
}

/// The actors in use.
pub struct RequestActors {
    commits: Commits,
    effects: Arc<Effects>,
    actors: Registry<(OrgId, RequestId), RequestActor>,
}

impl RequestActors {
    /// None yet.
    #[must_use]
    pub fn new(commits: Commits, effects: Arc<Effects>) -> Arc<Self> {
        Arc::new(Self { commits, effects, actors: Registry::default() })
    }

    /// Lets the actor of a request go whose row was changed by somebody else.
    pub fn forget(&self, org: OrgId, id: RequestId) {
        self.actors.forget((org, id));
    }
}

impl Actors for RequestActors {
    type Id = RequestId;
    type Actor = RequestActor;
    const WHAT: &'static str = "The request";

    fn core(&self) -> &Core {
        self.commits.core()
    }

    fn registry(&self) -> &Registry<(OrgId, RequestId), RequestActor> {
        &self.actors
    }

    fn spawn(self: &Arc<Self>, org: &Arc<OrgState>, id: RequestId, start: Start) -> Addr<RequestActor> {
        let (all, org) = (self.clone(), org.clone());
        // The low bits of an id are random.
        let low = u64::try_from(id.number() & u128::from(u64::MAX)).unwrap_or_default();
        let arbiter = self.core().arbiters().of_key(low);
        RequestActor::start_in_arbiter(&arbiter, move |context| {
            context.set_mailbox_capacity(MAILBOX);
            RequestActor {
                _in_use: InUse::new(all.core(), "request"),
                all,
                org,
                id,
                loaded: Loaded::Loading,
                fence: Fence::default(),
                pending: Arc::default(),
                last_used: std::time::Instant::now(),
                retired: false,
                follows_others: start == Start::AfterDeath,
            }
        })
    }
}

/// The actor; see the module.
pub struct RequestActor {
    all: Arc<RequestActors>,
    org: Arc<OrgState>,
    id: RequestId,
    loaded: Loaded,
    fence: Fence,
    /// Commits submitted and not yet completed.
    pending: Arc<AtomicUsize>,
    last_used: std::time::Instant,
    /// Set once the actor has left the registry; what still arrives is sent on to its successor.
    retired: bool,
    /// Set while commits that the state must be read behind may still wait for the writer, such as those of an actor that died.
    follows_others: bool,
    _in_use: InUse,
}

/// What a deed leads to.
enum Outcome {
    /// It changes nothing.
    Unchanged(Arc<Request>),
    /// A change.
    Changed(Box<Step>),
}

impl Actor for RequestActor {
    type Context = actix::Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // Others may ask for this id too; in their organisation there is no such request.
        let found = self.all.effects.recent.find(self.id).filter(|kept| kept.request.org == self.org.id);
        if let Some(kept) = found.filter(|_| !self.follows_others) {
            self.loaded = Loaded::Ready(kept);
        }
        self.watch_idleness(context);
    }
}

impl Handler<Call<Act>> for RequestActor {
    type Result = ();

    fn handle(&mut self, call: Call<Act>, context: &mut Self::Context) {
        if self.retired {
            return self.all.pass(self.id, call);
        }
        self.last_used = std::time::Instant::now();
        let is_known = matches!(self.loaded, Loaded::Ready(_) | Loaded::Missing) && !self.fence.is_poisoned();
        match &call.operation.known {
            _ if is_known => self.run(call, context),
            // Nothing has happened to it since it was read, or the commit will say so.
            Some(known) if !self.follows_others && !self.fence.is_poisoned() => {
                self.loaded = Loaded::Ready(known.clone());
                self.run(call, context);
            }
            _ => self.load_for(call, context),
        }
    }
}

impl RequestActor {
    /// Reads the request and runs the call; later ones wait in the mailbox meanwhile.
    fn load_for(&mut self, call: Call<Act>, context: &mut actix::Context<Self>) {
        self.loaded = Loaded::Loading;
        self.fence = Fence::default();
        let (store, org, id) = (self.all.core().store().clone(), self.org.id, self.id);
        let find = move |conn: &mut DbConnection| queries::find(conn, id);
        let follows_others = std::mem::take(&mut self.follows_others);
        let read = async move {
            // The writer's queue keeps order: a query through it sees everything submitted before.
            if follows_others { store.write(shard(org.uuid()), find).await } else { store.read_for(org, find).await }
        };
        context.wait(read.into_actor(self).map(|outcome, actor, context| {
            actor.loaded = match outcome {
                Ok(Some(kept)) if kept.request.org == actor.org.id => Loaded::Ready(kept),
                Ok(_) => Loaded::Missing,
                Err(error) => Loaded::Failed(error),
            };
            actor.run(call, context);
        }));
    }

    fn run(&mut self, call: Call<Act>, context: &mut actix::Context<Self>) {
        let _batch = WakeBatch::begin();
        let kept = match &self.loaded {
            Loaded::Ready(kept) => kept.clone(),
            Loaded::Missing => {
                call.reply.send(Err(missing()));
                return self.retire(context);
            }
            Loaded::Failed(error) => return call.reply.send(Err(error.clone())),
            Loaded::Loading => {
                return call.reply.send(Err(ApiError::unavailable("The request is being loaded; try again")));
            }
        };
        let Call { operation: Act { who, deed, .. }, reply, .. } = call;
        let now = self.all.core().now();
        let kept = match self.catch_up(kept, &deed, now) {
            Ok(kept) => kept,
            Err(refusal) => return reply.send(Err(refusal)),
        };
        match decide(&kept.request, deed, &who, now) {
            Ok(Outcome::Changed(step)) => drop(self.commit(&kept, *step, reply)),
            Ok(Outcome::Unchanged(request)) => self.answer(Ok(request), reply),
            Err(refusal) => self.answer(Err(refusal), reply),
        }
    }

    /// Has what time has brought about happen first: from its deadline on a request is as its fallback leaves it.
    fn catch_up(&mut self, kept: Kept, deed: &Deed, now: i64) -> ApiResult<Kept> {
        let mut kept = kept;
        if is_on_its_way(kept.request.state) && !matches!(deed, Deed::GoOn) {
            kept = self.bring_on(&kept, Input::Route, now)?;
        }
        if kept.request.is_overdue(now) && !matches!(deed, Deed::Expire) {
            kept = self.bring_on(&kept, Input::Deadline, now)?;
        }
        Ok(kept)
    }

    fn bring_on(&mut self, kept: &Kept, input: Input, now: i64) -> ApiResult<Kept> {
        let step = step(&kept.request, input, &Who::System, now);
        let step = step.map_err(|refusal| refusal.into_error("change", &kept.request))?;
        let busy = || ApiError::unavailable("The hub is busy; try again");
        self.commit(kept, step, Reply::new(|_| {})).ok_or_else(busy)
    }

    /// Answers what changes nothing: as soon as what it rests on is durable.
    fn answer(&self, answer: ApiResult<Arc<Request>>, reply: Reply<Arc<Request>>) {
        if self.pending.load(Ordering::Acquire) == 0 && !self.fence.is_poisoned() {
            return reply.send(answer);
        }
        let change = hxa_hub::commits::Change::new(WriteClass::Request).ordered_by(self.key()).behind(&self.fence);
        let reply = Reply::new(move |stored: ApiResult<()>| reply.send(stored.and(answer)));
        self.all.commits.submit(&Caller::Hub(self.org.clone()), change, reply);
    }

    /// Commits a step and goes on with what it leads to; nothing when it was refused before it came to the writer.
    fn commit(&mut self, before: &Kept, step: Step, reply: Reply<Arc<Request>>) -> Option<Kept> {
        let Planned { kept, change, aftermath } = self.all.effects.plan(&self.org, Some(before), step);
        let change = change.ordered_by(self.key()).behind(&self.fence);
        let (effects, pending, id) = (self.all.effects.clone(), self.pending.clone(), self.id);
        let (has_failed, request) = (Arc::<AtomicBool>::default(), kept.request.clone());
        let failed = has_failed.clone();
        pending.fetch_add(1, Ordering::AcqRel);
        let done = Reply::new(move |stored: ApiResult<()>| {
            match &stored {
                Ok(()) => effects.follow(&aftermath),
                Err(_) => {
                    // It may be stored all the same.
                    effects.recent.forget(id);
                    failed.store(true, Ordering::Release);
                }
            }
            pending.fetch_sub(1, Ordering::AcqRel);
            reply.send(stored.map(|()| request));
        });
        // Whoever asked for it has been charged.
        self.all.commits.submit(&Caller::Hub(self.org.clone()), change, done);
        if has_failed.load(Ordering::Acquire) {
            // A refusal of the hub itself breaks no fence, and earlier changes may still wait for the writer.
            (self.loaded, self.follows_others) = (Loaded::Loading, true);
            return None;
        }
        self.loaded = Loaded::Ready(kept.clone());
        Some(kept)
    }

    /// All requests of an organisation are written in order, because their audit events are one chain.
    fn key(&self) -> u64 {
        shard(self.org.id.uuid())
    }

    /// Leaves the registry, so that the next call finds a fresh actor.
    fn retire(&mut self, context: &mut actix::Context<Self>) {
        self.retired = true;
        self.loaded = Loaded::Missing;
        self.all.actors.retire((self.org.id, self.id), &context.address());
        // Late messages are forwarded until the mailbox has surely run dry.
        context.run_later(FORWARDS, |_, context| context.stop());
    }

    fn watch_idleness(&self, context: &mut actix::Context<Self>) {
        let has_ended = matches!(&self.loaded, Loaded::Ready(kept) if kept.request.state.is_terminal());
        let idle = if has_ended { ENDED } else { IDLE };
        context.run_later(idle, move |actor, context| {
            if actor.retired {
                return;
            }
            let is_idle = actor.last_used.elapsed() >= idle && actor.pending.load(Ordering::Acquire) == 0;
            if is_idle { actor.retire(context) } else { actor.watch_idleness(context) }
        });
    }
}

/// What one hears who asks for a request that is not there or may not be seen.
#[must_use]
pub fn missing() -> ApiError {
    crate::rules::Denied::Missing.into()
}

/// Whether a stop has left it between its states.
const fn is_on_its_way(state: State) -> bool {
    matches!(state, State::Submitted | State::Routing | State::Escalated)
}

/// What a deed leads to, from the rules alone.
fn decide(request: &Arc<Request>, deed: Deed, who: &Who, now: i64) -> ApiResult<Outcome> {
    if let Some(action) = deed.action() {
        check(request, who, action, now)?;
    }
    let doing = deed.doing();
    let unchanged = || Ok(Outcome::Unchanged(request.clone()));
    let input = match deed {
        Deed::Answer { data, named, verdict, via } => {
            let by =
                who.answers_as(named.as_deref()).ok_or_else(|| ApiError::forbidden("You may not answer requests"))?;
            Input::Answer(Answer { data, by, verdict, via })
        }
        Deed::Deliver if request.state != State::Responded => return unchanged(),
        Deed::Acknowledge if request.state == State::Delivered => return unchanged(),
        Deed::Deliver | Deed::Acknowledge => Input::Deliver,
        Deed::Cancel => Input::Cancel,
        Deed::Reassign(to) => Input::Reassign { to },
        Deed::Delegate(to, until) => Input::Delegate { to, until },
        Deed::Expire if !request.is_overdue(now) => return unchanged(),
        Deed::Expire => Input::Deadline,
        Deed::GoOn if !is_on_its_way(request.state) => return unchanged(),
        Deed::GoOn => Input::Route,
        Deed::Channel(input) => input,
    };
    match step(request, input, who, now) {
        Ok(step) => Ok(Outcome::Changed(Box::new(step))),
        Err(refusal) => Err(refusal.into_error(doing, request)),
    }
}
