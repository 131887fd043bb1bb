//! The organisation actor: one per organisation in use.
//!
//! It serializes what belongs to the organisation as a whole: changes of its bots, settings and credentials, finding
//! or creating the channel of two bots, and starting threads. As in a thread, a call is turned into a commit and
//! answered when that is durable; the shared [`OrgState`] follows in the completion, so memory changes in commit order.

mod channels;
mod create_thread;
mod open_channel;
mod send_dm;

use std::sync::Arc;

use actix::prelude::*;

use super::call::{Call, Operation, Reply};
use super::caller::Caller;
use super::event::Event;
use super::hub::{Hub, shard};
use super::org_state::OrgState;
pub use create_thread::{CreateThread, CreatedThread};
use hxa_domain::budget::WriteClass;
use hxa_domain::error::ApiError;
use hxa_store::{Commit, DbConnection, DbError, Write};
pub use open_channel::OpenChannel;
pub use send_dm::{SendDm, SendToChannel, SentDm};

/// Calls that may wait for one organisation before new ones are refused with 503.
const MAILBOX: usize = 16_384;

/// An operation of the organisation actor.
pub trait OrgOperation: Operation + Sized {
    /// Runs the call; it must answer `reply` in the end.
    fn run(
        self,
        actor: &mut OrgActor,
        caller: Caller,
        reply: Reply<Self::Answer>,
        context: &mut actix::Context<OrgActor>,
    );
}

/// The actor; see the module.
pub struct OrgActor {
    pub(super) hub: Hub,
    pub(super) org: Arc<OrgState>,
    pub(super) channels: channels::Channels,
}

impl OrgActor {
    /// Starts the actor of an organisation on one of the hub's arbiters.
    pub fn spawn(hub: &Hub, org: &Arc<OrgState>) -> Addr<Self> {
        let (hub, org) = (hub.clone(), org.clone());
        let arbiter = hub.arbiters().of_key(shard(org.id.uuid()));
        Self::start_in_arbiter(&arbiter, move |context| {
            context.set_mailbox_capacity(MAILBOX);
            Self { hub, org, channels: channels::Channels::default() }
        })
    }

    /// The commit of `writes`, which publishes the events and answers once it is durable. What the events owe to
    /// webhooks is part of it.
    fn commit<A: Send + 'static>(
        &self,
        key: u64,
        mut writes: Vec<Write>,
        events: Vec<Event>,
        answered: Answered<A>,
    ) -> Commit {
        let webhooks = self.hub.webhooks().queue(&self.org, &events, self.hub.now(), &mut writes);
        let (hub, org) = (self.hub.clone(), self.org.clone());
        let Answered { mut reply, answer } = answered;
        writes.extend(reply.receipt(&answer));
        Commit::new(key, writes, move |outcome| match outcome {
            Ok(()) => {
                org.deliver(events);
                reply.send(Ok(answer));
                webhooks.wake(&hub, &org);
            }
            Err(error) => reply.send(Err(error)),
        })
    }
}

/// An answer and whom it is for.
struct Answered<A> {
    reply: Reply<A>,
    answer: A,
}

impl Actor for OrgActor {
    type Context = actix::Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.hub.metrics().actor_started("org");
        self.channels.watch(context);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.hub.metrics().actor_stopped("org");
    }
}

impl Drop for OrgActor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.hub.metrics().actor_panicked("org");
            self.hub.metrics().actor_stopped("org");
        }
    }
}

impl<O: OrgOperation> Handler<Call<O>> for OrgActor {
    type Result = ();

    fn handle(&mut self, call: Call<O>, context: &mut Self::Context) {
        if self.org.is_gone() {
            call.reply.send(Err(ApiError::not_found("Organisation")));
        } else if let Err(refusal) = self.hub.check_queue(shard(self.org.id.uuid()), &self.org) {
            call.reply.send(Err(refusal));
        } else {
            call.operation.run(self, call.caller, call.reply, context);
        }
        super::outbox::wake_pending();
    }
}

type Applied<T> = Box<dyn FnOnce(&Arc<OrgState>, &T) -> Vec<Event> + Send>;
type Change_<T> = Box<dyn Fn(&mut DbConnection) -> Result<T, DbError> + Send>;

/// A change of the organisation's own rows, with what follows from it in memory.
pub struct Change<T> {
    class: WriteClass,
    bytes: usize,
    write: Change_<T>,
    applied: Applied<T>,
    told: Vec<Event>,
}

impl<T> Change<T> {
    /// `class` is what it is charged as. `write` runs in the writer's transaction and may run twice; `applied` runs once, after it is durable, in the
    /// order of commits: it mirrors the change into the shared state and gives the events to publish.
    pub fn new(
        class: WriteClass,
        write: impl Fn(&mut DbConnection) -> Result<T, DbError> + Send + 'static,
        applied: impl FnOnce(&Arc<OrgState>, &T) -> Vec<Event> + Send + 'static,
    ) -> Self {
        Self { class, bytes: 0, write: Box::new(write), applied: Box::new(applied), told: Vec::new() }
    }

    /// Names the bytes that the change carries, where they can be many.
    #[must_use]
    pub fn carrying(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Names events that are published after those of `applied` and that go to webhooks too: they must be known before
    /// the change is made, so that both are durable together.
    #[must_use]
    pub fn telling(mut self, events: Vec<Event>) -> Self {
        self.told = events;
        self
    }
}

impl<T: Send + 'static> Operation for Change<T> {
    type Answer = T;

    fn class(&self) -> Option<WriteClass> {
        Some(self.class)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<T: Send + 'static> OrgOperation for Change<T> {
    fn run(self, actor: &mut OrgActor, _: Caller, reply: Reply<T>, _: &mut actix::Context<OrgActor>) {
        let slot = Arc::new(parking_lot::Mutex::new(None));
        let (result, org, write, applied, told) =
            (slot.clone(), actor.org.clone(), self.write, self.applied, self.told);
        let run = Write::Run(Box::new(move |conn| {
            let value = write(conn)?;
            *slot.lock() = Some(value);
            Ok(())
        }));
        let (hub, mut writes) = (actor.hub.clone(), vec![run]);
        let webhooks = hub.webhooks().queue(&org, &told, hub.now(), &mut writes);
        let commit = Commit::new(shard(actor.org.id.uuid()), writes, move |outcome| {
            let value = result.lock().take();
            match (outcome, value) {
                (Ok(()), Some(value)) => {
                    let events = applied(&org, &value);
                    org.deliver(events.into_iter().chain(told));
                    reply.send(Ok(value));
                    webhooks.wake(&hub, &org);
                }
                (Err(error), _) => reply.send(Err(error)),
                (Ok(()), None) => reply.send(Err(ApiError::internal())),
            }
        });
        actor.hub.store().submit(commit.counted_in(&actor.org.load));
    }
}
