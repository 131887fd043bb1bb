//! The organisation actor: one per active organisation.
//!
//! It serializes what belongs to the organisation as a whole: changes of its bots, settings and credentials, finding or
//! creating the channel of two bots, and starting threads. As in a thread, a call becomes a commit and is answered when
//! that is durable; the shared [`OrgState`] follows in the completion, so memory changes in commit order.

mod channels;
mod create_thread;
mod open_channel;
mod send_dm;

use std::sync::Arc;

use actix::prelude::*;

use crate::core::actors::Actors;
use crate::core::call::{Call, Operation, Receipt, Reply};
use crate::core::caller::Caller;
use crate::core::org_state::OrgState;
use crate::core::registry::{InUse, Registry, Start};
use crate::core::{Core, shard};
use crate::fanout::event::Event;
use crate::fanout::send_queue::WakeBatch;
use crate::outcome::Publisher;
use crate::webhooks::Webhooks;
pub use create_thread::{CreateThread, CreatedThread};
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::OrgId;
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

/// The organisations whose actors are in use.
pub struct Orgs {
    core: Core,
    webhooks: Arc<Webhooks>,
    actors: Registry<(OrgId, ()), OrgActor>,
}

impl Orgs {
    /// None yet.
    #[must_use]
    pub fn new(core: Core, webhooks: Arc<Webhooks>) -> Arc<Self> {
        Arc::new(Self { core, webhooks, actors: Registry::default() })
    }

    /// [`Actors::call`] of the caller's organisation.
    pub fn call<O: OrgOperation>(self: &Arc<Self>, call: Call<O>) {
        Actors::call(self, (), call);
    }

    /// [`Actors::ask`] of the caller's organisation.
    ///
    /// # Errors
    /// What the operation refuses.
    pub async fn ask<O: OrgOperation>(self: &Arc<Self>, caller: Caller, operation: O) -> ApiResult<O::Answer> {
        Actors::ask(self, (), caller, operation).await
    }

    /// [`Actors::ask_once`] of the caller's organisation.
    ///
    /// # Errors
    /// What the operation refuses.
    pub async fn ask_once<O: OrgOperation>(
        self: &Arc<Self>,
        caller: Caller,
        operation: O,
        receipt: Option<Receipt<O::Answer>>,
    ) -> ApiResult<O::Answer> {
        Actors::ask_once(self, (), caller, operation, receipt).await
    }

    /// Lets go of the actor of an organisation that was destroyed.
    pub fn forget(&self, id: OrgId) {
        self.actors.forget((id, ()));
    }
}

impl Actors for Orgs {
    /// There is one for each organisation.
    type Id = ();
    type Actor = OrgActor;
    const WHAT: &'static str = "The organisation";

    fn core(&self) -> &Core {
        &self.core
    }

    fn registry(&self) -> &Registry<(OrgId, ()), OrgActor> {
        &self.actors
    }

    fn spawn(self: &Arc<Self>, org: &Arc<OrgState>, (): (), _: Start) -> Addr<OrgActor> {
        let (orgs, org) = (self.clone(), org.clone());
        let arbiter = orgs.core.arbiters().of_key(shard(org.id.uuid()));
        OrgActor::start_in_arbiter(&arbiter, move |context| {
            context.set_mailbox_capacity(MAILBOX);
            OrgActor { _in_use: InUse::new(&orgs.core, "org"), orgs, org, channels: channels::Channels::default() }
        })
    }
}

/// The actor; see the module.
pub struct OrgActor {
    orgs: Arc<Orgs>,
    org: Arc<OrgState>,
    channels: channels::Channels,
    _in_use: InUse,
}

impl OrgActor {
    fn publisher(&self) -> Publisher<'_> {
        Publisher { webhooks: &self.orgs.webhooks, org: &self.org, now: self.orgs.core.now() }
    }
}

impl Actor for OrgActor {
    type Context = actix::Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.channels.watch(context);
    }
}

impl<O: OrgOperation> Handler<Call<O>> for OrgActor {
    type Result = ();

    fn handle(&mut self, call: Call<O>, context: &mut Self::Context) {
        let _batch = WakeBatch::begin();
        if self.org.is_gone() {
            call.reply.send(Err(ApiError::not_found("Organisation")));
        } else if let Err(refusal) = self.orgs.core.check_queue(shard(self.org.id.uuid()), &self.org) {
            call.reply.send(Err(refusal));
        } else {
            call.operation.run(self, call.caller, call.reply, context);
        }
    }
}

type Applied<T> = Box<dyn FnOnce(&Arc<OrgState>, &T) -> Vec<Event> + Send>;
type WriteFn<T> = Box<dyn Fn(&mut DbConnection) -> Result<T, DbError> + Send>;

/// A change of the organisation's own rows, with what follows from it in memory.
pub struct OrgChange<T> {
    class: WriteClass,
    bytes: usize,
    write: WriteFn<T>,
    applied: Applied<T>,
    told: Vec<Event>,
}

impl<T> OrgChange<T> {
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

impl<T: Send + 'static> Operation for OrgChange<T> {
    type Answer = T;

    fn class(&self) -> Option<WriteClass> {
        Some(self.class)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<T: Send + 'static> OrgOperation for OrgChange<T> {
    fn run(self, actor: &mut OrgActor, _: Caller, reply: Reply<T>, _: &mut actix::Context<OrgActor>) {
        let slot = Arc::new(parking_lot::Mutex::new(None));
        let (result, org, write, applied) = (slot.clone(), actor.org.clone(), self.write, self.applied);
        let mut writes = vec![Write::Run(Box::new(move |conn| {
            let value = write(conn)?;
            *slot.lock() = Some(value);
            Ok(())
        }))];
        let publication = actor.publisher().queue(self.told, &mut writes);
        let commit = Commit::new(shard(actor.org.id.uuid()), writes, move |outcome| {
            let value = result.lock().take();
            match (outcome, value) {
                (Ok(()), Some(value)) => {
                    let events = applied(&org, &value);
                    publication.publish(events, || reply.send(Ok(value)));
                }
                (Err(error), _) => reply.send(Err(error)),
                (Ok(()), None) => reply.send(Err(ApiError::internal())),
            }
        });
        actor.orgs.core.store().submit(commit.counted_in(&actor.org.load));
    }
}
