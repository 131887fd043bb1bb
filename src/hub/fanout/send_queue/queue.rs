//! The queued frames of one socket, and how far its connection has sent them.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{BufMut, BytesMut};

use super::{CloseNotice, SendQueueLimits};
use crate::fanout::outgoing::{Hold, Holder, Outgoing};

/// Frames an idle queue keeps room for.
const ROOM: usize = 16;
/// The longest header of a frame that is not masked.
const MOST_HEADER: usize = 10;

/// A frame in the queue, with its room if it takes any.
pub struct Waiting {
    /// The frame.
    pub frame: Outgoing,
    /// The room it takes.
    pub _hold: Option<Hold>,
}

/// What became of a frame that was to be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It waits, or the socket is closing and needs nothing any more.
    Taken,
    /// The peer has taken nothing for too long: just now its backlog was dropped.
    TooSlow,
    /// The organisation's room is used up; nothing has changed.
    NoRoom,
}

/// The queue; see the module.
#[derive(Default)]
pub struct Queue {
    frames: VecDeque<Waiting>,
    /// How much of the first frame has left, once its header has.
    pub begun: Option<usize>,
    /// Bytes that have not left.
    pub bytes: usize,
    /// When the peer took something last, while something waits; at first, since when something waits.
    pub moved: Option<Instant>,
    /// Since when more waits than a socket may hold by itself.
    pub behind: Option<Instant>,
    /// Why the socket is to be closed once everything has left.
    pub close: Option<CloseNotice>,
    /// When `close` was set; the sweep cuts the connection some time later.
    pub closing_since: Option<Instant>,
    /// Set once the session was told to close.
    is_finished: bool,
}

impl Queue {
    /// Frames that wait.
    pub fn count(&self) -> usize {
        self.frames.len()
    }

    /// Their texts.
    #[cfg(test)]
    pub fn texts(&self) -> Vec<String> {
        self.frames.iter().map(|waiting| waiting.frame.text().to_owned()).collect()
    }

    /// Appends a frame, which takes room when it is more than a socket may hold by itself.
    pub fn take_in(&mut self, frame: &Outgoing, holder: Holder, limits: &SendQueueLimits) -> Offered {
        let bytes = self.bytes + frame.len();
        let hold = if bytes > limits.bytes {
            let Some(hold) = frame.hold(&limits.room, holder) else { return Offered::NoRoom };
            Some(hold)
        } else {
            None
        };
        self.bytes = bytes;
        if self.moved.is_none() || (hold.is_some() && self.behind.is_none()) {
            let now = Instant::now();
            self.moved.get_or_insert(now);
            self.behind = self.behind.or(hold.as_ref().map(|_| now));
        }
        self.frames.push_back(Waiting { frame: frame.clone(), _hold: hold });
        Offered::Taken
    }

    /// Forgets what was appended behind the first `count`; a socket may hold `limit` by itself.
    pub fn take_back(&mut self, count: usize, limit: usize) {
        let bytes: usize = self.frames.drain(count..).map(|waiting| waiting.frame.len()).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        self.moved = self.moved.filter(|_| count > 0);
        self.behind = self.behind.filter(|_| self.bytes > limit);
    }

    /// Notes that the connection has taken what it could; true when something still waits.
    pub fn has_moved(&mut self, limit: usize) -> bool {
        let more = !self.frames.is_empty();
        self.moved = more.then(Instant::now);
        self.behind = self.behind.filter(|_| self.bytes > limit);
        more
    }

    /// True when the socket can be closed now; said once.
    pub fn finishes(&mut self) -> bool {
        self.frames.is_empty() && self.close.is_some() && !std::mem::replace(&mut self.is_finished, true)
    }

    /// True when something waits of which the peer has taken nothing for longer than this.
    pub fn is_stalled(&self, patience_ms: u64) -> bool {
        self.moved.is_some_and(|at| at.elapsed().as_millis() > u128::from(patience_ms))
    }

    /// Writes frames, the first one from where it was left. `translate` may put another in the place of one.
    pub fn write(&mut self, out: &mut BytesMut, budget: usize, translate: impl Fn(&str) -> Option<Waiting>) {
        if !self.frames.is_empty() {
            out.reserve(self.bytes.min(budget) + MOST_HEADER);
        }
        while out.len() < budget
            && let Some(first) = self.frames.front_mut()
        {
            let begun = self.begun.unwrap_or_else(|| {
                if let Some(other) = translate(first.frame.text()) {
                    self.bytes = self.bytes.saturating_sub(first.frame.len()) + other.frame.len();
                    *first = other;
                }
                put_header(out, first.frame.len());
                0
            });
            let rest = first.frame.text().as_bytes().get(begun..).unwrap_or_default();
            let piece = rest.get(..budget.saturating_sub(out.len())).unwrap_or(rest);
            out.put_slice(piece);
            self.bytes = self.bytes.saturating_sub(piece.len());
            if piece.len() == rest.len() {
                self.begun = None;
                self.frames.pop_front();
            } else {
                self.begun = Some(begun + piece.len());
            }
        }
        // A burst must not cost memory for as long as the socket lives.
        if self.frames.is_empty() && self.frames.capacity() > ROOM {
            self.frames = VecDeque::new();
        }
    }

    /// Has the socket closed when everything has left, or as soon as nothing half-sent stands before the close.
    pub fn shut(&mut self, notice: CloseNotice, drop_backlog: bool) {
        if drop_backlog {
            self.drop_backlog();
        }
        if self.close.is_none() {
            self.close = Some(notice);
            self.closing_since = Some(Instant::now());
        }
    }

    /// Forgets what waits, but for the rest of a frame that has been begun: behind half a frame no close could be read.
    /// The room is given back all the same, since a socket that closes stays for moments only.
    fn drop_backlog(&mut self) {
        let begun = self.frames.pop_front().zip(self.begun);
        self.bytes = begun.as_ref().map_or(0, |(first, begun)| first.frame.len().saturating_sub(*begun));
        self.frames = begun.map(|(first, _)| Waiting { _hold: None, ..first }).into_iter().collect();
        self.moved = None;
        self.behind = None;
    }
}

/// The header of a text frame of the hub: whole, not masked.
fn put_header(out: &mut BytesMut, length: usize) {
    const WHOLE_TEXT: u8 = 0x81;
    out.put_u8(WHOLE_TEXT);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => out.put_u8(short),
        (_, Ok(middle)) => {
            out.put_u8(126);
            out.put_u16(middle);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(u64::try_from(length).unwrap_or(u64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::close;
    use super::*;
    use hxa_domain::shares::Shares;

    fn queue(texts: &[&str]) -> Queue {
        let (mut queue, limits) =
            (Queue::default(), SendQueueLimits { bytes: 100, age_ms: 1000, room: Shares::new(0) });
        let holder = Holder { org: Uuid::nil(), member: Uuid::nil() };
        for text in texts {
            assert_eq!(queue.take_in(&Outgoing::new((*text).to_owned()), holder, &limits), Offered::Taken);
        }
        queue
    }

    fn written(queue: &mut Queue, budget: usize) -> Vec<u8> {
        let mut out = BytesMut::new();
        queue.write(&mut out, budget, |_| None);
        out.to_vec()
    }

    #[test]
    fn frames_leave_in_order_and_in_slices() {
        let mut queue = queue(&["aaaa", "bbbb", "cccc"]);
        assert_eq!(written(&mut queue, 9), b"\x81\x04aaaa\x81\x04b");
        assert_eq!((queue.begun, queue.bytes), (Some(1), 7));
        assert_eq!(written(&mut queue, 2), b"bb");
        assert_eq!(written(&mut queue, 2), b"b\x81\x04", "a header is written once");
        assert_eq!(written(&mut queue, 100), b"cccc");
        assert_eq!((queue.begun, queue.bytes, written(&mut queue, 100).len()), (None, 0, 0));
    }

    #[test]
    fn headers_say_the_length() {
        let header = |length| {
            let mut out = BytesMut::new();
            put_header(&mut out, length);
            out.to_vec()
        };
        assert_eq!(header(125), [0x81, 125]);
        assert_eq!(header(126), [0x81, 126, 0, 126]);
        assert_eq!(header(65_535), [0x81, 126, 255, 255]);
        assert_eq!(header(65_536), [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn what_was_begun_is_finished_before_the_close() {
        let mut queue = queue(&["last words", "never"]);
        assert_eq!(written(&mut queue, 6), b"\x81\x0alast");
        queue.shut(close::TOO_SLOW, true);
        assert!(!queue.finishes());
        assert_eq!(written(&mut queue, 100), b" words");
        assert!(queue.finishes() && !queue.finishes(), "said once");
    }

    #[test]
    fn words_are_put_in_a_frame_s_place_when_it_is_begun() {
        let mut queue = queue(&["old", "old"]);
        let mut out = BytesMut::new();
        queue.write(&mut out, 4, |_| Some(Waiting { frame: "longer".to_owned().into(), _hold: None }));
        assert_eq!((out.to_vec(), queue.bytes), (b"\x81\x06lo".to_vec(), 4 + 3));
        assert_eq!(written(&mut queue, 100), b"nger\x81\x03old");
    }
}
