//! The bounded queue in front of every live socket.
//!
//! Fan-out never talks to a session actor's mailbox: while a peer does not read, its actor is not polled at all, so
//! whatever was sent to it would pile up unseen. Instead events are pushed into the socket's [`Outbox`], which knows
//! its size and age, and the session is nudged once to come and drain it. A reader that falls too far behind loses its
//! backlog and is closed with a code that means "reconnect and catch up"; the hub's memory never grows with it.
//! Whoever pushes calls [`wake_pending`] when done, so that a batch of events wakes each socket once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytestring::ByteString;
use parking_lot::Mutex;

use super::flight::Flight;
use crate::domain::ids::{BotId, OrgId, TokenId};
use crate::domain::scope::ScopeSet;

/// Tells a session actor that its outbox has something to send.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Nudge;

/// Why the hub closes a socket, as the peer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseNotice {
    /// WebSocket close code.
    pub code: u16,
    /// Short reason, at most 123 bytes.
    pub reason: &'static str,
}

/// The close codes of the protocol.
pub mod close {
    use super::CloseNotice;

    /// The hub shuts down.
    pub const SHUTDOWN: CloseNotice = CloseNotice { code: 1001, reason: "server shutting down" };
    /// The hub restarts; reconnect at once.
    pub const RESTART: CloseNotice = CloseNotice { code: 1012, reason: "server restarting" };
    /// The reader fell too far behind; reconnect and catch up.
    pub const TOO_SLOW: CloseNotice = CloseNotice { code: 1013, reason: "too slow, reconnect and catch up" };
    /// Authentication failed.
    pub const UNAUTHENTICATED: CloseNotice = CloseNotice { code: 4001, reason: "authentication failed" };
    /// The session behind the socket has ended.
    pub const SESSION_ENDED: CloseNotice = CloseNotice { code: 4002, reason: "session invalidated" };
    /// The bot was deleted.
    pub const BOT_DELETED: CloseNotice = CloseNotice { code: 4002, reason: "bot deleted" };
    /// The token was revoked or has expired; a new ticket will tell which.
    pub const TOKEN_ENDED: CloseNotice = CloseNotice { code: 4001, reason: "token revoked or expired" };
    /// The ticket was issued for another organisation.
    pub const ORG_MISMATCH: CloseNotice = CloseNotice { code: 4003, reason: "organisation mismatch" };
    /// The organisation is suspended.
    pub const ORG_SUSPENDED: CloseNotice = CloseNotice { code: 4100, reason: "organisation suspended" };
    /// The organisation is gone.
    pub const ORG_DESTROYED: CloseNotice = CloseNotice { code: 4101, reason: "organisation destroyed" };
    /// The bot awaits approval.
    pub const BOT_PENDING: CloseNotice = CloseNotice { code: 4403, reason: "bot_pending_approval" };
    /// The bot was rejected.
    pub const BOT_REJECTED: CloseNotice = CloseNotice { code: 4403, reason: "bot_rejected" };
}

/// Who sits behind a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A bot with its primary token (`None`) or a scoped one.
    Token(Option<TokenId>),
    /// A person, by the hash of their session.
    Human {
        /// SHA-256 of the session cookie.
        session: String,
        /// True for `org_admin`, false for `bot_owner`.
        is_admin: bool,
    },
}

/// What does not change during a socket's life.
#[derive(Debug, Clone)]
pub struct SocketInfo {
    /// The organisation.
    pub org: OrgId,
    /// The bot that speaks through it; `None` for organisation admins.
    pub bot: Option<BotId>,
    /// Who authenticated.
    pub peer: Peer,
    /// What its credential covers: it hears the events that need no more.
    pub scopes: ScopeSet,
    /// When a scoped token behind it ends, in ms since the epoch.
    pub expires_at: Option<i64>,
    /// When it connected, in ms since the epoch.
    pub connected_at: i64,
}

/// Bounds of every outbox.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// Most bytes waiting.
    pub bytes: usize,
    /// Longest wait of the oldest frame in milliseconds.
    pub age_ms: u64,
}

/// Frames an idle outbox keeps room for.
const ROOM: usize = 16;

#[derive(Default)]
struct Queue {
    frames: VecDeque<ByteString>,
    bytes: usize,
    oldest: Option<Instant>,
    close: Option<CloseNotice>,
    /// When `close` was set; the sweep cuts the connection some time later.
    closing_since: Option<Instant>,
}

/// A socket as the rest of the hub sees it.
pub struct Outbox {
    /// Who it is.
    pub info: SocketInfo,
    limits: OutboxLimits,
    queue: Mutex<Queue>,
    nudged: AtomicBool,
    session: OnceLock<actix::Recipient<Nudge>>,
    cut: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// When it was made. Silence is measured from here and not by the wall clock, whose jumps would cut every socket.
    opened: Instant,
    /// Set when its peer went on where another socket had ended.
    is_resumed: AtomicBool,
    /// Set once it is to be closed: what its peer asks for from then on is not done.
    is_ending: AtomicBool,
    /// Milliseconds from then to the newest inbound byte; written by the session.
    last_inbound: AtomicU64,
    flight: Flight,
}

/// What a drain hands to the session.
pub struct Drained {
    /// Frames to send, in order.
    pub frames: Vec<ByteString>,
    /// The socket is to be closed with this after the frames.
    pub close: Option<CloseNotice>,
    /// More is waiting.
    pub more: bool,
}

thread_local! {
    /// Outboxes pushed to on this thread whose sessions have not been nudged yet.
    static PENDING: RefCell<Vec<Arc<Outbox>>> = const { RefCell::new(Vec::new()) };
}

impl Outbox {
    /// A new, empty outbox; `bind` it to its session before events may flow.
    #[must_use]
    pub fn new(info: SocketInfo, limits: OutboxLimits) -> Arc<Self> {
        Arc::new(Self {
            info,
            limits,
            queue: Mutex::new(Queue::default()),
            nudged: AtomicBool::new(false),
            session: OnceLock::new(),
            cut: OnceLock::new(),
            opened: Instant::now(),
            is_resumed: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            last_inbound: AtomicU64::new(0),
            flight: Flight::default(),
        })
    }

    /// Connects the outbox with the session that drains it. Frames pushed before are kept and sent first.
    pub fn bind(self: &Arc<Self>, session: actix::Recipient<Nudge>) {
        // A second bind cannot happen: one session starts per outbox.
        let _ = self.session.set(session);
        self.nudged.store(false, Ordering::Release);
        self.wake();
        wake_pending();
    }

    /// Remembers how to cut the connection from outside the session actor.
    pub fn set_cut(&self, cut: impl Fn() + Send + Sync + 'static) {
        let _ = self.cut.set(Box::new(cut));
    }

    /// Queues a frame. Over the limits the backlog is dropped and the socket is closed as too slow;
    /// returns true when that happened just now.
    pub fn push(self: &Arc<Self>, frame: ByteString) -> bool {
        self.push_all([frame])
    }

    /// Queues frames in one go; otherwise as [`Self::push`].
    pub fn push_all(self: &Arc<Self>, frames: impl IntoIterator<Item = ByteString>) -> bool {
        let mut frames = frames.into_iter().peekable();
        let mut queue = self.queue.lock();
        if queue.close.is_some() || frames.peek().is_none() {
            return false;
        }
        let is_late = queue.oldest.is_some_and(|at| at.elapsed().as_millis() > u128::from(self.limits.age_ms));
        let is_slow = is_late || !frames.all(|frame| queue.take_in(frame, self.limits.bytes));
        if is_slow {
            queue.shut(close::TOO_SLOW, true);
        }
        drop(queue);
        self.wake();
        is_slow
    }

    /// True once the socket is to be closed, although what was queued before may still be on its way.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    /// Closes the socket after what is queued has been sent.
    pub fn close(self: &Arc<Self>, notice: CloseNotice) {
        self.is_ending.store(true, Ordering::Release);
        self.queue.lock().shut(notice, false);
        self.wake();
    }

    fn wake(self: &Arc<Self>) {
        if !self.nudged.swap(true, Ordering::AcqRel) {
            PENDING.with(|pending| pending.borrow_mut().push(self.clone()));
        }
    }

    /// Takes up to about `budget` bytes; called by the session for each nudge.
    #[must_use]
    pub fn drain(&self, budget: usize) -> Drained {
        self.nudged.store(false, Ordering::Release);
        let mut queue = self.queue.lock();
        let mut frames = Vec::with_capacity(queue.frames.len().min(64));
        let mut taken = 0;
        while taken < budget
            && let Some(frame) = queue.frames.pop_front()
        {
            taken += frame.len();
            frames.push(frame);
        }
        queue.bytes = queue.bytes.saturating_sub(taken);
        let more = !queue.frames.is_empty();
        queue.oldest = more.then(Instant::now);
        // A burst must not cost memory for as long as the socket lives.
        if !more && queue.frames.capacity() > ROOM {
            queue.frames = VecDeque::new();
        }
        let close = if more { None } else { queue.close.clone() };
        Drained { frames, close, more }
    }

    /// Notes that the peer goes on where another socket ended: it knows what it was told and will not ask anew.
    pub fn set_resumed(&self) {
        self.is_resumed.store(true, Ordering::Relaxed);
    }

    /// True when what was so before this moment need not be told: the peer came later and asks how things are.
    #[must_use]
    pub fn came_after(&self, moment: Instant) -> bool {
        self.opened > moment && !self.is_resumed.load(Ordering::Relaxed)
    }

    /// Bytes waiting now.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.queue.lock().bytes
    }

    /// Notes that the peer has sent something just now.
    pub fn heard(&self) {
        self.last_inbound.store(self.age_ms(), Ordering::Relaxed);
    }

    /// How long the peer has said nothing, in ms.
    #[must_use]
    pub fn silent_ms(&self) -> u64 {
        self.age_ms().saturating_sub(self.last_inbound.load(Ordering::Relaxed))
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since the socket was told to close, if it was.
    #[must_use]
    pub fn closing_for_ms(&self) -> Option<u128> {
        self.queue.lock().closing_since.map(|at| at.elapsed().as_millis())
    }

    /// True when the oldest frame waits longer than the limit.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        let oldest = self.queue.lock().oldest;
        oldest.is_some_and(|at| at.elapsed().as_millis() > u128::from(self.limits.age_ms))
    }

    /// Drops the backlog and closes as too slow; for the sweep, when nothing is pushed any more.
    pub fn give_up(self: &Arc<Self>) {
        self.queue.lock().shut(close::TOO_SLOW, true);
        self.wake();
    }

    /// Cuts the TCP connection, whatever the session actor is doing.
    pub fn cut(&self) {
        if let Some(cut) = self.cut.get() {
            cut();
        }
    }

    /// Its operations under way.
    #[must_use]
    pub fn flight(&self) -> &Flight {
        &self.flight
    }
}

impl Queue {
    /// Appends a frame; false when it does not fit any more.
    fn take_in(&mut self, frame: ByteString, limit: usize) -> bool {
        let bytes = self.bytes + frame.len();
        let fits = bytes <= limit;
        if fits {
            self.bytes = bytes;
            self.oldest.get_or_insert_with(Instant::now);
            self.frames.push_back(frame);
        }
        fits
    }

    fn shut(&mut self, notice: CloseNotice, drop_backlog: bool) {
        if drop_backlog {
            self.frames = VecDeque::new();
            self.bytes = 0;
            self.oldest = None;
        }
        if self.close.is_none() {
            self.close = Some(notice);
            self.closing_since = Some(Instant::now());
        }
    }
}

/// Nudges every session that this thread has queued frames for since the last call.
pub fn wake_pending() {
    let pending = PENDING.with(|pending| std::mem::take(&mut *pending.borrow_mut()));
    for outbox in pending {
        if let Some(session) = outbox.session.get() {
            // Full means a nudge is already waiting; closed means the session is gone. Neither needs another.
            let _ = session.try_send(Nudge);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(bytes: usize) -> Arc<Outbox> {
        let info = SocketInfo {
            org: OrgId::random(),
            bot: None,
            peer: Peer::Token(None),
            scopes: ScopeSet::FULL,
            expires_at: None,
            connected_at: 0,
        };
        Outbox::new(info, OutboxLimits { bytes, age_ms: 10_000 })
    }

    #[test]
    fn drains_in_order_and_in_slices() {
        let outbox = outbox(100);
        for text in ["aaaa", "bbbb", "cccc"] {
            assert!(!outbox.push(ByteString::from(text)));
        }
        let first = outbox.drain(6);
        assert_eq!(first.frames, ["aaaa", "bbbb"]);
        assert!(first.more);
        assert_eq!(outbox.waiting_bytes(), 4);
        assert!(!outbox.drain(6).more);
    }

    #[test]
    fn an_overfull_outbox_keeps_only_the_close() {
        let outbox = outbox(8);
        assert!(!outbox.push(ByteString::from("12345678")));
        assert!(outbox.push(ByteString::from("9")));
        assert!(!outbox.push(ByteString::from("x")), "counted once");
        let drained = outbox.drain(1024);
        assert!(drained.frames.is_empty());
        assert_eq!(drained.close, Some(close::TOO_SLOW));
        assert_eq!(outbox.waiting_bytes(), 0);
    }

    #[test]
    fn frames_in_one_go_are_kept_or_given_up_together() {
        let outbox = outbox(8);
        let frames =
            |texts: &[&'static str]| texts.iter().map(|text| ByteString::from_static(text)).collect::<Vec<_>>();
        assert!(!outbox.push_all(frames(&["1234", "5678"])));
        assert_eq!(outbox.drain(1024).frames, ["1234", "5678"]);
        assert!(!outbox.push_all(frames(&[])));
        assert!(outbox.push_all(frames(&["1234", "56789"])));
        assert!(outbox.drain(1024).frames.is_empty());
    }

    #[test]
    fn who_resumes_is_told_what_was_before() {
        let before = Instant::now();
        let outbox = outbox(8);
        assert!(outbox.came_after(before));
        assert!(!outbox.came_after(Instant::now()));
        outbox.set_resumed();
        assert!(!outbox.came_after(before));
    }

    #[test]
    fn a_close_waits_for_what_is_queued() {
        let outbox = outbox(100);
        outbox.push(ByteString::from("last words"));
        outbox.close(close::SHUTDOWN);
        let first = outbox.drain(1);
        assert_eq!((first.frames.len(), first.close), (1, Some(close::SHUTDOWN)));
    }
}
