//! The body of a stream's response: what its connection takes, when it takes it.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use super::client::{Client, Next};
use super::frame;
use hxa_web::stream::Gate;

/// The body; see the module.
pub struct Body {
    client: Rc<Client>,
    opening: Option<Bytes>,
    /// Whether the client may still listen, while that is looked up.
    question: Option<LocalBoxFuture<'static, bool>>,
    gate: Option<Rc<Gate>>,
}

impl Body {
    /// The stream of a client, after its first event.
    #[must_use]
    pub fn new(client: Rc<Client>, opening: Bytes) -> Self {
        Self { client, opening: Some(opening), question: None, gate: None }
    }

    /// The same on the connection of this gate, which tells when its peer has gone.
    #[must_use]
    pub fn on(mut self, gate: Option<Rc<Gate>>) -> Self {
        gate.iter().for_each(|gate| gate.streams(true));
        self.gate = gate;
        self
    }

    fn is_over(&self) -> bool {
        self.client.has_ended() || self.gate.as_ref().is_some_and(|gate| gate.has_peer_ended())
    }

    /// Whether the client may still listen.
    fn poll_permission(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        loop {
            if let Some(question) = &mut self.question {
                let may = ready!(question.as_mut().poll(context));
                self.question = None;
                if !may {
                    return Poll::Ready(false);
                }
            }
            // Something may have ended while it was asked.
            self.question = self.client.question();
            if self.question.is_none() {
                return Poll::Ready(true);
            }
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.gate.iter().for_each(|gate| gate.streams(false));
    }
}

impl MessageBody for Body {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        if this.is_over() {
            return Poll::Ready(None);
        }
        if !ready!(this.poll_permission(context)) {
            this.client.end();
            return Poll::Ready(None);
        }
        if let Some(opening) = this.opening.take() {
            return Poll::Ready(Some(Ok(opening)));
        }
        match this.client.next() {
            Next::Text(text) => Poll::Ready(Some(Ok(text))),
            Next::Gap(id, gap) => Poll::Ready(Some(Ok(frame::gap(&id, gap).into()))),
            Next::Comment => Poll::Ready(Some(Ok(frame::COMMENT))),
            Next::Wait => {
                this.client.park(context.waker());
                Poll::Pending
            }
        }
    }
}
