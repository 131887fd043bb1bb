//! What is received on a WebSocket, before it is decoded: no frame that is too large, and no more than is handled.
//!
//! The decoder looks at a frame's length only when the whole frame is there, and would keep all of it until then. And it
//! takes in all there is each time it is asked for a frame, while the actor handles some frames and then lets others
//! work: of a client that sends small frames as fast as it can, more and more would be kept. So heads are read here, a
//! length that is not allowed ends the connection at once, and bytes are passed on when the frames before are handled.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;

const MASK_BIT: u8 = 0x80;
const MASK_BYTES: u64 = 4;

pub(super) struct Incoming<S> {
    inner: S,
    most: u64,
    /// The beginning of a head whose rest has not come.
    head: Vec<u8>,
    /// Bytes until the next head.
    left: u64,
    flow: Rc<Flow>,
}

/// What the actor and its stream tell each other.
#[derive(Default)]
pub(super) struct Flow {
    /// Frames that were passed on and not handled.
    unhandled: Cell<u64>,
    is_too_large: Cell<bool>,
}

impl Flow {
    /// The actor has handled a frame; it asks for the next one now.
    pub fn handled(&self) {
        self.unhandled.set(self.unhandled.get().saturating_sub(1));
    }

    /// Whether a frame has announced more than is allowed.
    pub fn is_too_large(&self) -> bool {
        self.is_too_large.get()
    }
}

impl<S> Incoming<S> {
    pub fn new(inner: S, most: usize, flow: Rc<Flow>) -> Self {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        Self { inner, most, head: Vec::new(), left: 0, flow }
    }

    /// Whether all frames that begin in these bytes are allowed.
    fn is_allowed(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left = self.left.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
                bytes = bytes.get(skipped..).unwrap_or_default();
                self.count();
                continue;
            }
            self.head.push(*first);
            bytes = rest;
            if let Some((length, is_masked)) = announced(&self.head) {
                if length > self.most {
                    return false;
                }
                self.left = length.saturating_add(if is_masked { MASK_BYTES } else { 0 });
                self.head.clear();
                self.count();
            }
        }
        true
    }

    /// Counts a frame, if this is the end of one.
    fn count(&self) {
        if self.left == 0 {
            self.flow.unhandled.set(self.flow.unhandled.get().saturating_add(1));
        }
    }
}

/// The length in a head without its mask, and whether a mask follows; `None` while the head is incomplete.
fn announced(head: &[u8]) -> Option<(u64, bool)> {
    let (_, rest) = head.split_first()?;
    let (second, rest) = rest.split_first()?;
    let length = match second & !MASK_BIT {
        126 => u16::from_be_bytes(rest.try_into().ok()?).into(),
        127 => u64::from_be_bytes(rest.try_into().ok()?),
        short => short.into(),
    };
    Some((length, second & MASK_BIT != 0))
}

impl<S> Stream for Incoming<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The end of the stream would end the actor, which has yet to say why; and when it has handled a frame, it asks.
        if self.flow.is_too_large() || self.flow.unhandled.get() > 0 {
            return Poll::Pending;
        }
        let item = ready!(Pin::new(&mut self.inner).poll_next(context));
        if let Some(Ok(bytes)) = &item
            && !self.is_allowed(bytes)
        {
            self.flow.is_too_large.set(true);
            return Poll::Ready(Some(Err(PayloadError::Overflow)));
        }
        Poll::Ready(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(chunks: &[&[u8]]) -> bool {
        let mut incoming = Incoming::new((), 1000, Rc::default());
        chunks.iter().all(|chunk| incoming.is_allowed(chunk))
    }

    #[test]
    fn lengths_are_found_wherever_a_head_is_cut() {
        let frame = |length: u64| match length {
            0..126 => [
                &[0x81, 0x80 | u8::try_from(length).unwrap(), 1, 2, 3, 4],
                &vec![7; usize::try_from(length).unwrap()][..],
            ]
            .concat(),
            126..65_536 => {
                let size = u16::try_from(length).unwrap().to_be_bytes();
                [&[0x81, 0xfe], &size[..], &[1, 2, 3, 4], &vec![7; usize::try_from(length).unwrap()]].concat()
            }
            _ => [&[0x82, 0xff], &length.to_be_bytes()[..], &[1, 2, 3, 4]].concat(),
        };
        let good = [frame(0), frame(125), frame(126), frame(1000), frame(3)].concat();
        for (last, is_allowed) in [(frame(1000), true), (frame(1001), false), (frame(1 << 62), false)] {
            let bytes = [good.clone(), last].concat();
            assert_eq!(allowed(&[&bytes]), is_allowed);
            assert_eq!(allowed(&bytes.chunks(1).collect::<Vec<_>>()), is_allowed);
            for cut in 0..bytes.len() {
                let (first, second) = bytes.split_at(cut);
                assert_eq!(allowed(&[first, second]), is_allowed, "{cut}");
            }
        }
    }
}
