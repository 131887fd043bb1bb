//! A call of an actor: what to do, for whom, and where the answer goes.
//!
//! The answer travels in a [`Reply`], not in actix's own result channel, because it is given by the store's writer
//! after the commit, long after the handler returned. A reply that is dropped unanswered (its actor died, or it was
//! still in the mailbox of one that did) answers by itself, so no caller ever waits for nothing.

use super::caller::Caller;
use crate::error::{ApiError, ApiResult};

type Send_<A> = Box<dyn FnOnce(ApiResult<A>) + Send>;

/// Where an answer goes; answered exactly once.
pub struct Reply<A>(Option<Send_<A>>);

impl<A> Reply<A> {
    /// An answer that is handed to `send`.
    pub fn new(send: impl FnOnce(ApiResult<A>) + Send + 'static) -> Self {
        Self(Some(Box::new(send)))
    }

    /// Answers.
    pub fn send(mut self, answer: ApiResult<A>) {
        if let Some(send) = self.0.take() {
            send(answer);
        }
    }
}

impl<A: Send + 'static> Reply<A> {
    /// A reply and the future of its answer.
    pub fn channel() -> (Self, impl Future<Output = ApiResult<A>>) {
        let (send, receive) = tokio::sync::oneshot::channel();
        // The caller may have gone away; then nobody needs the answer.
        let reply = Self::new(move |answer| drop(send.send(answer)));
        (reply, async move { receive.await.unwrap_or_else(|_| Err(ApiError::internal())) })
    }
}

impl<A> Drop for Reply<A> {
    fn drop(&mut self) {
        if let Some(send) = self.0.take() {
            send(Err(ApiError::unavailable("The operation was interrupted; try again")));
            super::outbox::wake_pending();
        }
    }
}

/// An operation on its way to the actor that owns its state.
pub struct Call<O: Operation> {
    /// Who asks.
    pub caller: Caller,
    /// What is asked.
    pub operation: O,
    /// Where the answer goes.
    pub reply: Reply<O::Answer>,
}

impl<O: Operation> actix::Message for Call<O> {
    type Result = ();
}

/// A named operation with the shape of its answer.
pub trait Operation: Send + 'static {
    /// What a successful call answers.
    type Answer: Send + 'static;
}
