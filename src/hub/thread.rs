//! The thread actor: one per active thread, the only place where a thread changes.
//!
//! A call is checked and applied in memory, turned into one commit for the store's writer, and answered when that
//! commit is durable; the next call runs immediately against the new state. So the order of the mailbox is the order of
//! commits and of events. If a commit fails, the state it led to is discarded: the fence is poisoned, later commits
//! behind it fail, and the actor reloads. Operations are in the files beside this one, one per group.

mod access;
mod artifact;
mod label;
mod lifecycle;
mod membership;
mod message;
mod org_ops;
mod requests;
mod state;
mod tell;
mod update;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;

use crate::core::actors::Actors;
use crate::core::call::{Call, Operation, Reply};
use crate::core::caller::Caller;
use crate::core::org_state::OrgState;
use crate::core::registry::{InUse, Registry, Start};
use crate::core::{Core, shard};
use crate::fanout::event::Event;
use crate::fanout::send_queue::WakeBatch;
use crate::outcome::{Outcome, Publisher};
use crate::webhooks::Webhooks;
pub use artifact::{AddArtifact, UpdateArtifact};
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::{MessageId, OrgId, ThreadId};
use hxa_store::rows::ThreadMessageRow;
use hxa_store::{DbConnection, Fence, Write};
pub use label::SetLabel;
pub use lifecycle::{AutoClose, Forget};
pub use membership::{Invite, Invited, Join, Joined, Leave, RemoveParticipant, invited_catchup};
pub use message::{SendMessage, SentMessage};
pub use org_ops::{OrgInvite, OrgRemove, OrgUpdate};
pub use requests::{ApproveRequest, RejectRequest};
pub use state::{Participant, ThreadState, next_time};
pub use tell::Tell;
pub use update::{UpdateThread, Updated};

/// Calls that may wait for one thread before new ones are refused with 503.
const MAILBOX: usize = 8192;

/// An operation of the thread actor.
pub trait ThreadOperation: Operation {
    /// Whether later operations rest on what this one changed, so that they fail with it.
    const BEARS: bool = true;

    /// A message of the thread that must be read before the operation can be applied.
    fn parent(&self) -> Option<&str> {
        None
    }

    /// Receives the message that [`Self::parent`] named, or `None` when the thread has no such message.
    fn set_parent(&mut self, _: Option<ThreadMessageRow>) {}

    /// Checks the call against the state, changes the state, and says what to store and to tell.
    ///
    /// # Errors
    /// A refusal; the state must then be unchanged.
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<Self::Answer>>;
}

/// What an operation may use besides the thread.
pub struct Context<'a> {
    /// What all share.
    pub core: &'a Core,
    /// The organisation.
    pub org: &'a Arc<OrgState>,
    /// Who asks.
    pub caller: &'a Caller,
    /// Now, ms since the epoch.
    pub now: i64,
    /// Audit rows of a refusal; stored although the operation is refused.
    pub denials: Vec<Write>,
    /// Set by an operation after which the state in memory must be read anew.
    pub forget: bool,
}

/// The outcome of an operation.
pub struct Applied<A> {
    /// Rows to write, durable together.
    pub writes: Vec<Write>,
    /// Events to publish once durable.
    pub events: Vec<Event>,
    /// The answer.
    pub answer: A,
}

impl<A> Applied<A> {
    /// An answer that changes nothing.
    pub fn unchanged(answer: A) -> Self {
        Self { writes: Vec::new(), events: Vec::new(), answer }
    }
}

enum Loaded {
    Loading,
    Ready(Box<ThreadState>),
    Missing,
    Failed(ApiError),
}

/// The threads in use.
pub struct Threads {
    core: Core,
    webhooks: Arc<Webhooks>,
    /// By organisation too: a thread's id alone opens nothing in another one.
    actors: Registry<(OrgId, ThreadId), ThreadActor>,
}

impl Threads {
    /// None yet.
    #[must_use]
    pub fn new(core: Core, webhooks: Arc<Webhooks>) -> Arc<Self> {
        Arc::new(Self { core, webhooks, actors: Registry::default() })
    }

    /// Makes a thread in use read its state anew.
    pub fn forget_state(self: &Arc<Self>, org: &Arc<OrgState>, id: ThreadId) {
        if self.actors.contains((org.id, id)) {
            let reply = Reply::new(|_| {});
            self.call(id, Call { caller: Caller::Hub(org.clone()), operation: Forget, reply });
        }
    }
}

impl Actors for Threads {
    type Id = ThreadId;
    type Actor = ThreadActor;
    const WHAT: &'static str = "The thread";

    fn core(&self) -> &Core {
        &self.core
    }

    fn registry(&self) -> &Registry<(OrgId, ThreadId), ThreadActor> {
        &self.actors
    }

    /// What an actor that died had under way is stored before this one reads.
    fn spawn(self: &Arc<Self>, org: &Arc<OrgState>, id: ThreadId, start: Start) -> Addr<ThreadActor> {
        let (threads, org) = (self.clone(), org.clone());
        let arbiter = threads.core.arbiters().of_key(shard(id.uuid()));
        ThreadActor::start_in_arbiter(&arbiter, move |context| {
            context.set_mailbox_capacity(MAILBOX);
            ThreadActor {
                _in_use: InUse::new(&threads.core, "thread"),
                threads,
                org,
                id,
                loaded: Loaded::Loading,
                fence: Fence::default(),
                pending: Arc::default(),
                last_used: std::time::Instant::now(),
                retired: false,
                follows_dead: start == Start::AfterDeath,
            }
        })
    }
}

/// The actor; see the module.
pub struct ThreadActor {
    threads: Arc<Threads>,
    org: Arc<OrgState>,
    id: ThreadId,
    loaded: Loaded,
    fence: Fence,
    /// Commits submitted and not yet completed.
    pending: Arc<AtomicUsize>,
    last_used: std::time::Instant,
    /// Set once the actor has left the directory; what still arrives is sent on to its successor.
    retired: bool,
    /// Set while commits of an actor that died may still wait for the writer.
    follows_dead: bool,
    _in_use: InUse,
}

impl ThreadActor {
    /// Reads the thread; calls wait in the mailbox meanwhile.
    fn load(&mut self, context: &mut actix::Context<Self>) {
        self.loaded = Loaded::Loading;
        self.fence = Fence::default();
        let (store, org, id) = (self.threads.core.store().clone(), self.org.id, self.id);
        let find = move |conn: &mut DbConnection| hxa_store::threads::load(conn, org, id);
        let follows_dead = std::mem::take(&mut self.follows_dead);
        let read = async move {
            // The writer's queue keeps order: a query through it sees everything submitted before.
            if follows_dead { store.write(shard(id.uuid()), find).await } else { store.read_for(org, find).await }
        };
        let loading = read.into_actor(self).map(|outcome, actor, _| {
            actor.loaded = match outcome {
                Ok(Some(loaded)) => Loaded::Ready(Box::new(ThreadState::new(loaded))),
                Ok(None) => Loaded::Missing,
                Err(error) => Loaded::Failed(error),
            };
        });
        context.wait(loading);
    }

    /// Whether the state in memory is what is stored. A refusal that rests on more waits, and fails, with the commits before it.
    fn is_stored(&self) -> bool {
        // A commit that fails poisons the fence before it counts as done.
        self.pending.load(Ordering::Acquire) == 0 && !self.fence.is_poisoned()
    }

    /// Leaves the directory, so that the next call finds a fresh actor.
    fn retire(&mut self, context: &mut actix::Context<Self>) {
        self.retired = true;
        let own = context.address();
        self.threads.actors.retire((self.org.id, self.id), &own);
        // Late messages are forwarded until the mailbox has surely run dry.
        context.run_later(Duration::from_secs(5), |_, context| context.stop());
    }

    fn watch_idleness(&mut self, context: &mut actix::Context<Self>) {
        let idle = Duration::from_secs(self.threads.core.config().actors.idle_seconds.max(1));
        context.run_later(idle, move |actor, context| {
            if actor.retired {
                return;
            }
            let is_idle = actor.last_used.elapsed() >= idle && actor.pending.load(Ordering::Acquire) == 0;
            if is_idle { actor.retire(context) } else { actor.watch_idleness(context) }
        });
    }
}

impl Actor for ThreadActor {
    type Context = actix::Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.load(context);
        self.watch_idleness(context);
    }
}

impl<O: ThreadOperation> Handler<Call<O>> for ThreadActor {
    type Result = ();

    fn handle(&mut self, call: Call<O>, context: &mut Self::Context) {
        let _batch = WakeBatch::begin();
        if self.retired {
            return self.threads.pass(self.id, call);
        }
        self.last_used = std::time::Instant::now();
        if self.fence.is_poisoned() {
            self.load(context);
            call.reply.send(Err(ApiError::unavailable("An earlier change of this thread failed; try again")));
        } else if call.operation.parent().is_some() {
            self.run_with_parent(call, context);
        } else {
            self.run(call, context);
        }
    }
}

impl ThreadActor {
    /// Reads the message the call refers to; later calls wait, so the order of arrival is kept.
    fn run_with_parent<O: ThreadOperation>(&self, mut call: Call<O>, context: &mut actix::Context<Self>) {
        let (store, org, thread) = (self.threads.core.store().clone(), self.org.id, self.id);
        let id = call.operation.parent().and_then(MessageId::parse);
        let read = async move {
            let Some(id) = id else { return Ok(None) };
            store.read_for(org, move |conn| hxa_store::messages::find_in_thread(conn, thread, id)).await
        };
        context.wait(read.into_actor(self).map(|found, actor, context| {
            let _batch = WakeBatch::begin();
            match found {
                Ok(parent) => {
                    call.operation.set_parent(parent);
                    actor.run(call, context);
                }
                Err(error) => call.reply.send(Err(error)),
            }
        }));
    }

    fn run<O: ThreadOperation>(&mut self, call: Call<O>, context: &mut actix::Context<Self>) {
        let state = match &mut self.loaded {
            Loaded::Ready(state) => state,
            Loaded::Missing => {
                call.reply.send(Err(ApiError::not_found("Thread")));
                return self.retire(context);
            }
            Loaded::Failed(error) => {
                call.reply.send(Err(error.clone()));
                return self.load(context);
            }
            Loaded::Loading => {
                return call.reply.send(Err(ApiError::unavailable("The thread is being loaded; try again")));
            }
        };
        let key = shard(self.id.uuid());
        if let Err(refusal) = self.threads.core.check_queue(key, &self.org) {
            return call.reply.send(Err(refusal));
        }
        let Call { caller, operation, reply } = call;
        let mut scope = Context {
            core: &self.threads.core,
            org: &self.org,
            caller: &caller,
            now: self.threads.core.now(),
            denials: Vec::new(),
            forget: false,
        };
        let outcome = operation.apply(state, &mut scope);
        let (denials, forget) = (std::mem::take(&mut scope.denials), scope.forget);
        let outcome = match outcome {
            Ok(applied) => Outcome { writes: applied.writes, events: applied.events, answer: Ok(applied.answer) },
            Err(refusal) if denials.is_empty() && self.is_stored() => return reply.send(Err(refusal)),
            // If the writer's queue is full, the refusal says so and writes no audit row.
            Err(refusal) => match self.threads.core.charge_denials(&caller, &denials) {
                Ok(()) => Outcome { writes: denials, events: Vec::new(), answer: Err(refusal) },
                Err(limited) => Outcome { writes: Vec::new(), events: Vec::new(), answer: Err(limited) },
            },
        };
        let (webhooks, now) = (&self.threads.webhooks, self.threads.core.now());
        let pending = self.pending.clone();
        pending.fetch_add(1, Ordering::AcqRel);
        let commit = Publisher { webhooks, org: &self.org, now }.commit(key, outcome, reply, move || {
            pending.fetch_sub(1, Ordering::AcqRel);
        });
        let commit = commit.behind(&self.fence).counted_in(&self.org.load);
        self.threads.core.store().submit(if O::BEARS { commit } else { commit.bearing_nothing() });
        if forget {
            self.load(context);
        }
    }
}
