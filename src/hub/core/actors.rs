//! How an operation reaches the actor that owns its state: charged once, handed to the actor of its key, answered.
//!
//! An [`Operation`] names its answer and its cost. A kind of actor ([`Actors`]) brings a registry and a way to start one;
//! it gets `call`, `ask` and `ask_once` for every operation that its actor handles.

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::prelude::*;

use super::Core;
use super::call::{Call, Operation, Receipt};
use super::caller::Caller;
use super::org_state::OrgState;
use super::registry::{Registry, Start};
use hxa_domain::error::ApiResult;
use hxa_domain::ids::OrgId;

/// The actors of one kind that are in use, each owned by an organisation.
pub trait Actors: Sized + Send + Sync + 'static {
    /// What names an actor within its organisation.
    type Id: Copy + Eq + Hash + Send + Sync + 'static;
    /// The actor.
    type Actor: Actor;
    /// What a refusal calls an actor that is too busy, at the start of a sentence.
    const WHAT: &'static str;

    /// What all actors share.
    fn core(&self) -> &Core;

    /// The addresses, by organisation too: an id alone opens nothing in another one.
    fn registry(&self) -> &Registry<(OrgId, Self::Id), Self::Actor>;

    /// Starts an actor.
    fn spawn(self: &Arc<Self>, org: &Arc<OrgState>, id: Self::Id, start: Start) -> Addr<Self::Actor>;

    /// Charges a call and hands it to its actor, which is started when needed.
    fn call<O>(self: &Arc<Self>, id: Self::Id, call: Call<O>)
    where
        O: Operation,
        Self::Actor: Handler<Call<O>>,
        <Self::Actor as Actor>::Context: ToEnvelope<Self::Actor, Call<O>>,
    {
        match self.core().charge_call(&call) {
            Ok(()) => self.pass(id, call),
            Err(refusal) => call.reply.send(Err(refusal)),
        }
    }

    /// Hands a call that is charged already to its actor.
    fn pass<O>(self: &Arc<Self>, id: Self::Id, call: Call<O>)
    where
        O: Operation,
        Self::Actor: Handler<Call<O>>,
        <Self::Actor as Actor>::Context: ToEnvelope<Self::Actor, Call<O>>,
    {
        let org = call.caller.org().clone();
        let sent = self.registry().send((org.id, id), call, |start| self.spawn(&org, id, start));
        sent.unwrap_or_else(|unsent| unsent.refuse(Self::WHAT));
    }

    /// Runs an operation and waits for its answer, or for what the operation refuses.
    fn ask<O>(
        self: &Arc<Self>,
        id: Self::Id,
        caller: Caller,
        operation: O,
    ) -> impl Future<Output = ApiResult<O::Answer>> + Send
    where
        O: Operation,
        Self::Actor: Handler<Call<O>>,
        <Self::Actor as Actor>::Context: ToEnvelope<Self::Actor, Call<O>>,
    {
        self.ask_once(id, caller, operation, None)
    }

    /// The same, remembering the answer if there is a receipt; for operations that commit one answer.
    fn ask_once<O>(
        self: &Arc<Self>,
        id: Self::Id,
        caller: Caller,
        operation: O,
        receipt: Option<Receipt<O::Answer>>,
    ) -> impl Future<Output = ApiResult<O::Answer>> + Send
    where
        O: Operation,
        Self::Actor: Handler<Call<O>>,
        <Self::Actor as Actor>::Context: ToEnvelope<Self::Actor, Call<O>>,
    {
        async move { self.core().ask(receipt, |reply| self.call(id, Call { caller, operation, reply })).await }
    }
}
