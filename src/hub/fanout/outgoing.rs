//! An outgoing frame, and the shared room for queued bytes.
//!
//! An event is one text that many sockets share, so its bytes count once, however many of them have yet to send it.
//! They count while the event is queued beyond a socket's own allowance (see [`super::send_queue`]). The sum over the
//! hub is bounded and shared between organisations, so that the slow consumers of one organisation cannot use up what
//! the sockets of others need.

use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use hxa_domain::shares::{Share, Shares};

/// Unused capacity that a text may keep; giving it back costs a copy.
const SLACK: usize = 1024;

/// The bytes that may wait for all sockets of a hub.
pub type Room = Arc<Shares<Uuid>>;

/// In whose name bytes are held.
#[derive(Debug, Clone, Copy)]
pub struct Holder {
    /// The organisation.
    pub org: Uuid,
    /// The bot that an answer is for, or the organisation once more for what its sockets share.
    pub member: Uuid,
}

/// The text of a frame; cheap to clone.
#[derive(Debug, Clone)]
pub struct Outgoing(Arc<Body>);

#[derive(Debug)]
struct Body {
    text: String,
    held: Mutex<Option<Box<Held>>>,
}

/// The queues that a text waits in, and the room it takes until it has left them all.
#[derive(Debug)]
struct Held {
    queues: usize,
    _share: Share<Uuid>,
}

impl Outgoing {
    /// A frame of this text.
    #[must_use]
    pub fn new(mut text: String) -> Self {
        if text.capacity() - text.len() > SLACK {
            text.shrink_to_fit();
        }
        Self(Arc::new(Body { text, held: Mutex::new(None) }))
    }

    /// What is sent.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.text.len()
    }

    /// True when there is nothing to send, which no frame of the hub is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.text.is_empty()
    }

    /// Takes room for one more queue, which costs nothing when the text waits in another one already; `None` when there is
    /// no room.
    #[must_use]
    pub fn hold(&self, room: &Room, holder: Holder) -> Option<Hold> {
        let mut held = self.0.held.lock();
        match &mut *held {
            Some(held) => held.queues += 1,
            None => {
                let share = room.take(holder.org, holder.member, self.len()).ok()?;
                *held = Some(Box::new(Held { queues: 1, _share: share }));
            }
        }
        Some(Hold(self.clone()))
    }
}

impl From<String> for Outgoing {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Room taken by a queued frame; released on drop.
#[derive(Debug)]
pub struct Hold(Outgoing);

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.0.0.held.lock();
        let is_last = held.as_mut().is_none_or(|held| {
            held.queues -= 1;
            held.queues == 0
        });
        if is_last {
            *held = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_counts_once_and_until_nobody_waits_for_it() {
        let room = Shares::new(1000);
        let org = Uuid::from_u128(1);
        let holder = Holder { org, member: org };
        let frame = Outgoing::new("x".repeat(200));
        let holds: Vec<_> = (0..5).map(|_| frame.hold(&room, holder).unwrap()).collect();
        assert_eq!(room.held(), 200);
        assert!(Outgoing::new("y".repeat(200)).hold(&room, holder).is_none(), "more than its share");
        drop(holds);
        assert_eq!(room.held(), 0);
        let again = frame.hold(&room, holder).unwrap();
        assert_eq!(room.held(), 200, "the log may have kept it");
        drop(again);
    }

    #[test]
    fn a_text_keeps_little_more_than_it_needs() {
        let mut text = String::with_capacity(1 << 20);
        text.push_str("short");
        assert!(Outgoing::new(text).0.text.capacity() < SLACK);
    }
}
