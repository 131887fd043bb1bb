//! A call of an actor: the operation, the caller, and where the reply goes.
//!
//! The result travels in a [`Reply`], not in actix's own result channel, because the store's writer sends it after the
//! commit, long after the handler returned. A reply that is dropped unanswered (its actor died, or it was still in the
//! mailbox of one that did) sends an error by itself, so no caller waits forever.

use crate::core::caller::Caller;
use crate::core::idempotency::Claim;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_store::Write;

type Send_<A> = Box<dyn FnOnce(ApiResult<A>) + Send>;

/// Where an answer goes; answered exactly once.
pub struct Reply<A> {
    send: Option<Send_<A>>,
    /// Boxed, because few calls have one.
    receipt: Option<Box<Receipt<A>>>,
}

type Render<A> = Box<dyn FnOnce(&A) -> serde_json::Result<String> + Send>;

/// What makes a call repeatable: the key that is held for it, and how its answer is remembered.
pub struct Receipt<A> {
    claim: Claim,
    render: Option<Render<A>>,
}

impl<A> Receipt<A> {
    /// A receipt; `render` gives the JSON that a repetition is answered with.
    pub fn new(claim: Claim, render: impl FnOnce(&A) -> serde_json::Result<String> + Send + 'static) -> Self {
        Self { claim, render: Some(Box::new(render)) }
    }
}

impl<A> Reply<A> {
    /// An answer that is handed to `send`.
    pub fn new(send: impl FnOnce(ApiResult<A>) + Send + 'static) -> Self {
        Self { send: Some(Box::new(send)), receipt: None }
    }

    /// The same, for a call that may be repeated.
    #[must_use]
    pub fn with_receipt(mut self, receipt: Option<Receipt<A>>) -> Self {
        self.receipt = receipt.map(Box::new);
        self
    }

    /// What must be stored together with the effect that `answer` tells of; whoever commits that asks once.
    pub fn receipt(&mut self, answer: &A) -> Option<Write> {
        let receipt = self.receipt.as_mut()?;
        let render = receipt.render.take()?;
        match render(answer) {
            Ok(text) => Some(receipt.claim.store(text)),
            Err(error) => {
                log::error!(error:% = error; "cannot serialize a response; it is not stored under its idempotency key");
                None
            }
        }
    }

    /// Answers.
    pub fn send(mut self, answer: ApiResult<A>) {
        self.answer(answer);
    }

    fn answer(&mut self, answer: ApiResult<A>) {
        // The key is released before the client can receive the response.
        self.receipt = None;
        if let Some(send) = self.send.take() {
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
        if self.send.is_some() {
            self.answer(Err(ApiError::unavailable("The operation was interrupted; try again")));
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

    /// The budget its write is charged to; `None` for what only the hub itself does, or what is charged already.
    fn class(&self) -> Option<WriteClass>;

    /// The bytes its write carries, where they can be many.
    fn bytes(&self) -> usize {
        0
    }
}
