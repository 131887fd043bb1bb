//! Incoming data of a socket, read from its connection no faster than it is processed.
//!
//! More bytes are read only when everything before them is decoded and handled, so that excess data waits in the
//! client's connection. The session controls reading through a [`Tap`]: it pauses a client that sends too much, and
//! after a close it admits only the client's own close frame.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::rt::time::{Sleep, sleep};
use bytes::Bytes;
use futures_util::Stream;

use super::decoder::{Broken, Decoder, Incoming};

/// Bytes that are still read once the hub has closed: what was under way, and the client's close.
const LAST_BYTES: usize = 64 * 1024;

/// How a session holds back what comes in.
#[derive(Debug, Default)]
pub struct Tap {
    pause: Cell<Option<Duration>>,
    left: Cell<Option<usize>>,
    is_broken: Cell<bool>,
}

impl Tap {
    /// Reads nothing for this long.
    pub fn pause(&self, pause: Duration) {
        self.pause.set(Some(pause));
    }

    /// Reads only a little more.
    pub fn close(&self) {
        self.leave(LAST_BYTES);
    }

    /// Reads this many more bytes, unless it was to be less already.
    pub fn leave(&self, bytes: usize) {
        self.left.set(Some(self.left.get().map_or(bytes, |left| left.min(bytes))));
    }

    /// Whether more has come than will be read.
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        self.is_broken.get() || !self.is_open()
    }

    fn is_open(&self) -> bool {
        self.left.get() != Some(0)
    }

    fn spend(&self, bytes: usize) {
        self.left.set(self.left.get().map(|left| left.saturating_sub(bytes)));
    }
}

/// The messages of a connection.
pub struct Inbound<S> {
    bytes: S,
    decoder: Decoder,
    tap: Rc<Tap>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Inbound<S> {
    /// What `decoder` makes of these bytes.
    pub fn new(bytes: S, decoder: Decoder, tap: Rc<Tap>) -> Self {
        Self { bytes, decoder, tap, pause: None }
    }
}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Stream for Inbound<S> {
    type Item = Result<Incoming, Broken>;

    /// Ends with the connection, or with what is to be read of it. What cannot go on is told once and does not end, because the
    /// peer is still to be told.
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(pause) = this.tap.pause.take() {
            this.pause = Some(Box::pin(sleep(pause)));
        }
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(context));
            this.pause = None;
        }
        while !this.tap.is_broken.get() {
            match this.decoder.decode() {
                Ok(Some(incoming)) => return Poll::Ready(Some(Ok(incoming))),
                Ok(None) if !this.tap.is_open() => return Poll::Ready(None),
                Ok(None) => {}
                Err(broken) => {
                    this.tap.is_broken.set(true);
                    return Poll::Ready(Some(Err(broken)));
                }
            }
            match ready!(Pin::new(&mut this.bytes).poll_next(context)) {
                Some(Ok(chunk)) => {
                    this.tap.spend(chunk.len());
                    this.decoder.feed(chunk);
                }
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt, stream};

    use super::super::decoder::Bounds;
    use super::*;

    /// An endless connection of empty texts, four to a chunk, that counts what is taken from it.
    fn endless(taken: Rc<Cell<usize>>) -> impl Stream<Item = Result<Bytes, PayloadError>> + Unpin {
        stream::repeat_with(move || {
            taken.set(taken.get() + 1);
            Ok(Bytes::from([0x81, 0x80, 0, 0, 0, 0].repeat(4)))
        })
    }

    fn decoder() -> Decoder {
        Decoder::new(Bounds { message_bytes: 1000, frames_per_second: 100 })
    }

    #[test]
    fn bytes_are_asked_for_when_all_before_is_decoded() {
        let (taken, tap) = (Rc::new(Cell::new(0)), Rc::new(Tap::default()));
        let mut inbound = Inbound::new(endless(taken.clone()), decoder(), tap);
        for n in 1..=12_usize {
            assert!(inbound.next().now_or_never().flatten().is_some());
            assert_eq!(taken.get(), n.div_ceil(4));
        }
    }

    #[test]
    fn after_a_close_little_is_read() {
        let (taken, tap) = (Rc::new(Cell::new(0)), Rc::new(Tap::default()));
        let mut inbound = Inbound::new(endless(taken.clone()), decoder(), tap.clone());
        tap.leave(100);
        tap.close();
        while inbound.next().now_or_never().flatten().is_some() {}
        assert_eq!(taken.get(), 5);
        assert!(tap.is_cut_short());
    }

    #[test]
    fn what_is_broken_is_told_once_and_read_no_further() {
        let (taken, tap) = (Rc::new(Cell::new(0)), Rc::new(Tap::default()));
        let broken = stream::iter([Ok(Bytes::from_static(&[0xff, 0xff]))]).chain(endless(taken.clone()));
        let mut inbound = Inbound::new(broken, decoder(), tap);
        assert_eq!(inbound.next().now_or_never(), Some(Some(Err(Broken::Protocol))));
        assert_eq!((inbound.next().now_or_never(), taken.get()), (None, 0));
    }

    #[actix_web::test]
    async fn a_pause_passes() {
        let (taken, tap) = (Rc::new(Cell::new(0)), Rc::new(Tap::default()));
        let mut inbound = Inbound::new(endless(taken), decoder(), tap.clone());
        tap.pause(Duration::from_millis(5));
        assert!(inbound.next().now_or_never().is_none());
        assert!(inbound.next().await.is_some());
    }
}
