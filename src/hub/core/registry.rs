//! The active actors of one kind, by key: found or started, replaced after a panic, counted.

use std::hash::Hash;

use actix::dev::ToEnvelope;
use actix::prelude::*;
use dashmap::{DashMap, Entry};

use super::Core;
use super::call::{Call, Operation};
use hxa_domain::error::ApiError;

/// How often an actor that turns out to be dead is replaced before a message is given back.
const TRIES: usize = 3;

/// What an actor is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Nobody was there.
    Fresh,
    /// In place of one that died of a panic; what that one had under way may not be stored yet.
    AfterDeath,
}

/// A message that found no taker.
pub enum Unsent<M> {
    /// The actor's mailbox is full.
    Full(M),
    /// Every actor that was started died before it took it.
    Dead(M),
}

impl<O: Operation> Unsent<Call<O>> {
    /// Answers a call that nobody took; `whose` is the state that is busy.
    pub fn refuse(self, whose: &str) {
        match self {
            Self::Full(call) => call.reply.send(Err(ApiError::unavailable(format!("{whose} is busy; try again")))),
            Self::Dead(call) => call.reply.send(Err(ApiError::internal())),
        }
    }
}

/// The addresses; see the module.
pub struct Registry<K, A: Actor> {
    actors: DashMap<K, Addr<A>>,
}

impl<K: Copy + Eq + Hash, A: Actor> Default for Registry<K, A> {
    fn default() -> Self {
        Self { actors: DashMap::new() }
    }
}

impl<K: Copy + Eq + Hash, A: Actor> Registry<K, A> {
    /// Hands a message to the actor of a key, which is started when there is none. A dead one (a panic kills an actor for
    /// good) is replaced by whoever finds it dead.
    ///
    /// # Errors
    /// The message, when nobody took it.
    pub fn send<M>(&self, key: K, message: M, start: impl Fn(Start) -> Addr<A>) -> Result<(), Unsent<M>>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let mut message = message;
        for _ in 0..TRIES {
            let known = self.actors.get(&key).map(|address| address.clone());
            let address =
                known.unwrap_or_else(|| self.actors.entry(key).or_insert_with(|| start(Start::Fresh)).clone());
            message = match address.try_send(message) {
                Ok(()) => return Ok(()),
                Err(SendError::Full(back)) => return Err(Unsent::Full(back)),
                Err(SendError::Closed(back)) => back,
            };
            if let Entry::Occupied(mut dead) = self.actors.entry(key)
                && *dead.get() == address
            {
                dead.insert(start(Start::AfterDeath));
            }
        }
        Err(Unsent::Dead(message))
    }

    /// True while the actor of this key is in use.
    pub fn contains(&self, key: K) -> bool {
        self.actors.contains_key(&key)
    }

    /// Lets an actor leave, so that the next message finds a new one.
    pub fn retire(&self, key: K, address: &Addr<A>) {
        self.actors.remove_if(&key, |_, other| other == address);
    }

    /// Forgets the actor of a key, whichever it is.
    pub fn forget(&self, key: K) {
        self.actors.remove(&key);
    }
}

/// Counts an actor as one of its kind for as long as it is kept, and its end as a panic when it is one.
pub struct InUse {
    core: Core,
    kind: &'static str,
}

impl InUse {
    /// Counts one more.
    #[must_use]
    pub fn new(core: &Core, kind: &'static str) -> Self {
        core.metrics().actor_started(kind);
        Self { core: core.clone(), kind }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.core.metrics().actor_panicked(self.kind);
        }
        self.core.metrics().actor_stopped(self.kind);
    }
}
