//! Outgoing data of a socket: the response's body, which the server polls whenever the connection can take more.
//!
//! It drives the session actor, whose own frames (pings, pongs, a close) are interleaved with those of the send queue.
//! It takes a slice of these at a time, so a frame of a megabyte needs no copy of that size, and the send queue sees
//! how far its peer has read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::Error;
use bytes::{Bytes, BytesMut};
use futures_util::Stream;

use crate::dialect::Dialect;
use hxa_hub::fanout::send_queue::SendQueue;

/// Bytes taken at once: enough to fill a write, little enough to see a peer on a slow line move.
const SLICE: usize = 16 * 1024;
/// Bytes of the session's own frames that may wait for the end of a frame; beyond it the session waits too.
const OWN: usize = 4096;

/// The stream; `S` is the session actor's.
pub struct Sending<S> {
    session: Pin<Box<S>>,
    send_queue: Arc<SendQueue>,
    dialect: Dialect,
    /// The session's own frames that have not left.
    own: BytesMut,
    has_ended: bool,
}

impl<S> Sending<S> {
    /// Sends what the session and its send queue have to say to a client of this dialect.
    pub fn new(session: S, send_queue: Arc<SendQueue>, dialect: Dialect) -> Self {
        Self { session: Box::pin(session), send_queue, dialect, own: BytesMut::new(), has_ended: false }
    }
}

impl<S: Stream<Item = Result<Bytes, Error>>> Sending<S> {
    /// Runs the session as far as it goes.
    fn run_session(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        while !self.has_ended && self.own.len() < OWN {
            match self.session.as_mut().poll_next(context) {
                Poll::Ready(Some(frames)) => self.own.extend_from_slice(&frames?),
                Poll::Ready(None) => self.has_ended = true,
                Poll::Pending => break,
            }
        }
        Ok(())
    }
}

impl<S: Stream<Item = Result<Bytes, Error>>> Stream for Sending<S> {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let sending = self.get_mut();
        sending.send_queue.listen(context.waker());
        if let Err(error) = sending.run_session(context) {
            return Poll::Ready(Some(Err(error)));
        }
        if !sending.own.is_empty() && !sending.send_queue.is_amid_frame() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut sending.own).freeze())));
        }
        if sending.has_ended {
            return Poll::Ready(None);
        }
        let mut slice = BytesMut::new();
        sending.send_queue.fill(&mut slice, SLICE, |text| sending.dialect.frame(text));
        if slice.is_empty() { Poll::Pending } else { Poll::Ready(Some(Ok(slice.freeze()))) }
    }
}
