//! What is sent on a WebSocket: what its actor sends, then what waits in the session's link.
//!
//! The link is only asked when the connection accepts bytes, so that a slow client's messages stay where they are
//! counted.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::Error;
use actix_web::rt::time::{Sleep, sleep};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;

use crate::engine::link::{Link, Taken};
use crate::engine::websocket_frame::put_close;

/// Time in which a client begins to listen for the next message; a program on the same machine is faster.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Outgoing<S> {
    /// The actor; `None` once it has stopped.
    inner: Option<Pin<Box<S>>>,
    link: Link,
    id: u64,
    is_closed: bool,
    /// Nothing of the link is sent before it ends.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Outgoing<S> {
    pub fn new(inner: S, link: Link, id: u64) -> Self {
        Self { inner: Some(Box::pin(inner)), link, id, is_closed: false, pause: None }
    }
}

impl<S: Stream<Item = Result<Bytes, Error>>> Stream for Outgoing<S> {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(inner) = &mut self.inner {
            match inner.as_mut().poll_next(context) {
                Poll::Ready(Some(sent)) => return Poll::Ready(Some(sent)),
                Poll::Ready(None) => self.inner = None,
                Poll::Pending => {}
            }
        }
        loop {
            if let Some(pause) = &mut self.pause {
                if pause.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.pause = None;
            }
            match self.link.poll_take(self.id, context) {
                Poll::Ready(Taken::Bytes(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Poll::Ready(Taken::Pause) => self.pause = Some(Box::pin(sleep(PAUSE))),
                Poll::Ready(Taken::End(code)) if !self.is_closed => {
                    self.is_closed = true;
                    let mut close = BytesMut::new();
                    put_close(&mut close, code);
                    return Poll::Ready(Some(Ok(close.freeze())));
                }
                Poll::Ready(Taken::End(_) | Taken::Nothing) | Poll::Pending => break,
            }
        }
        if self.inner.is_none() { Poll::Ready(None) } else { Poll::Pending }
    }
}
