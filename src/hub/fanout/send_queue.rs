//! The bounded queue in front of every live socket.
//!
//! Fan-out never uses a session actor's mailbox: while a peer does not read, its actor is not polled at all, so
//! messages to it would pile up unnoticed. Instead frames wait in the socket's [`SendQueue`], from which the connection
//! takes slices as large as the kernel accepts (`ws::sending`). So the queue knows whether its peer reads: a consumer
//! that keeps reading stays connected, whatever the size of a burst; one that reads nothing for too long loses its
//! backlog and is closed with a code that means "reconnect and catch up".
//!
//! Each socket may queue a few bytes of its own. Further bytes take room that the organisation's sockets share
//! ([`super::outgoing`]); if that is used up, the sockets that are furthest behind are evicted ([`MakeRoom`]). Code
//! that queues many frames does so within a [`WakeBatch`], so that it wakes each socket once.

mod queue;
mod wakeup;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::fanout::flight::Flight;
use crate::fanout::outgoing::{Hold, Holder, Outgoing, Room};
use hxa_domain::ids::{BotId, OrgId, PersonId, TokenId};
use hxa_domain::scope::ScopeSet;
pub use queue::Offered;
use queue::{Queue, Waiting};
pub use wakeup::WakeBatch;

/// Tells a session actor that everything was sent and its send queue wants the socket closed.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Finish;

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
    /// A person of the organisation in its own name.
    Person {
        /// SHA-256 of the session cookie.
        session: String,
        /// The person.
        person: PersonId,
    },
}

impl Peer {
    /// The hash of the session that it came with, if it did.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        match self {
            Self::Token(_) => None,
            Self::Human { session, .. } | Self::Person { session, .. } => Some(session),
        }
    }
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
    /// The scopes of its credential: it receives the events that need no more.
    pub scopes: ScopeSet,
    /// When a scoped token behind it ends, in ms since the epoch.
    pub expires_at: Option<i64>,
    /// When it connected, in ms since the epoch.
    pub connected_at: i64,
}

/// Bounds of every send queue.
#[derive(Debug, Clone)]
pub struct SendQueueLimits {
    /// Bytes that may wait for one socket without taking room from others.
    pub bytes: usize,
    /// How long, in milliseconds, a peer may take nothing of what waits for it.
    pub age_ms: u64,
    /// Where the rest is counted.
    pub room: Room,
}

/// Knows all sockets that share room.
pub trait MakeRoom: Send + Sync {
    /// Queues a frame for sockets that found no room for it, at the cost of those that are furthest behind.
    fn make_room(&self, frame: &Outgoing, holder: Holder, crowded: &[Arc<SendQueue>]);
}

/// Who has taken something within this time is taking.
const MOVING: Duration = Duration::from_secs(1);

/// A socket as the rest of the hub sees it.
pub struct SendQueue {
    /// Who it is.
    pub info: SocketInfo,
    limits: SendQueueLimits,
    queue: Mutex<Queue>,
    /// Set from the moment something is queued until the connection comes to take it.
    is_woken: AtomicBool,
    connection: AtomicWaker,
    session: OnceLock<actix::Recipient<Finish>>,
    /// The channel it has joined, which makes room when there is none.
    channel: OnceLock<Weak<dyn MakeRoom>>,
    cut: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// When it was made. Silence is measured from here and not by the wall clock, whose jumps would cut every socket.
    opened: Instant,
    /// Set when its peer went on where another socket had ended.
    is_resumed: AtomicBool,
    /// Set once it is to be closed: what its peer asks for from then on is not done.
    is_ending: AtomicBool,
    /// Milliseconds from then to the newest sign of life: a byte that came in, or one that was taken of a backlog.
    last_alive: AtomicU64,
    flight: Flight,
}

impl SendQueue {
    /// A new, empty send queue; `bind` it to its session before events may flow.
    #[must_use]
    pub fn new(info: SocketInfo, limits: SendQueueLimits) -> Arc<Self> {
        Arc::new(Self {
            info,
            limits,
            queue: Mutex::new(Queue::default()),
            is_woken: AtomicBool::new(false),
            connection: AtomicWaker::new(),
            session: OnceLock::new(),
            channel: OnceLock::new(),
            cut: OnceLock::new(),
            opened: Instant::now(),
            is_resumed: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            last_alive: AtomicU64::new(0),
            flight: Flight::default(),
        })
    }

    /// Connects the send queue with its session. Frames pushed before are kept and sent from now on.
    pub fn bind(self: &Arc<Self>, session: actix::Recipient<Finish>) {
        // A second bind cannot happen: one session starts per send queue.
        let _ = self.session.set(session);
        self.is_woken.store(false, Ordering::Release);
        self.wake();
    }

    /// Remembers how to cut the connection from outside the session actor.
    pub fn set_cut(&self, cut: impl Fn() + Send + Sync + 'static) {
        let _ = self.cut.set(Box::new(cut));
    }

    /// Remembers the channel whose room it shares.
    pub fn set_channel(&self, channel: Weak<dyn MakeRoom>) {
        // A socket joins one channel, once.
        let _ = self.channel.set(channel);
    }

    /// Queues an answer, which is for this socket alone. When there is no room, those of the organisation that are
    /// furthest behind make some, this one among them.
    pub fn push(self: &Arc<Self>, frame: impl Into<Outgoing>) {
        let (frame, org) = (frame.into(), self.info.org.uuid());
        let holder = Holder { org, member: self.info.bot.map_or(org, BotId::uuid) };
        if self.offer_as(holder, &frame) == Offered::NoRoom {
            match self.channel.get().and_then(Weak::upgrade) {
                Some(channel) => channel.make_room(&frame, holder, std::slice::from_ref(self)),
                None => drop(self.give_up()),
            }
        }
    }

    /// Queues an event that the organisation's sockets share, if there is room for it.
    pub fn offer(self: &Arc<Self>, frame: &Outgoing) -> Offered {
        let org = self.info.org.uuid();
        self.offer_as(Holder { org, member: org }, frame)
    }

    /// [`Self::offer`] in somebody's name.
    pub fn offer_as(self: &Arc<Self>, holder: Holder, frame: &Outgoing) -> Offered {
        let mut queue = self.queue.lock();
        if queue.close.is_some() {
            return Offered::Taken;
        }
        let offered = if queue.is_stalled(self.limits.age_ms) {
            queue.shut(close::TOO_SLOW, true);
            Offered::TooSlow
        } else {
            queue.take_in(frame, holder, &self.limits)
        };
        drop(queue);
        if offered != Offered::NoRoom {
            self.wake();
        }
        offered
    }

    /// Queues events in one go, all or none; false when they find no room.
    pub fn offer_all<'f>(self: &Arc<Self>, frames: impl IntoIterator<Item = &'f Outgoing>) -> bool {
        let org = self.info.org.uuid();
        let mut queue = self.queue.lock();
        let before = queue.count();
        for frame in frames {
            if queue.take_in(frame, Holder { org, member: org }, &self.limits) == Offered::NoRoom {
                queue.take_back(before, self.limits.bytes);
                return false;
            }
        }
        drop(queue);
        self.wake();
        true
    }

    /// Room for a frame, taken ahead of queueing it.
    #[must_use]
    pub fn room_for(&self, frame: &Outgoing, holder: Holder) -> Option<Hold> {
        frame.hold(&self.limits.room, holder)
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
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            wakeup::wake(self);
        }
    }

    fn wake_connection(&self) {
        // Else the connection has been here meanwhile.
        if self.is_woken.load(Ordering::Acquire) {
            self.connection.wake();
        }
    }

    /// Has the connection woken when something is queued.
    pub fn listen(&self, connection: &Waker) {
        self.connection.register(connection);
    }

    /// Writes up to about `budget` bytes of WebSocket frames into `out`; called by the connection when it can send. `translate`
    /// may put other words in a frame's place. Nothing is sent before [`Self::bind`].
    pub fn fill(&self, out: &mut BytesMut, budget: usize, translate: impl Fn(&str) -> Option<String>) {
        let Some(session) = self.session.get() else { return };
        self.is_woken.store(false, Ordering::Release);
        let mut queue = self.queue.lock();
        queue.write(out, budget, |text| {
            let frame = Outgoing::new(translate(text)?);
            let org = self.info.org.uuid();
            let holder = Holder { org, member: self.info.bot.map_or(org, BotId::uuid) };
            Some(Waiting { _hold: frame.hold(&self.limits.room, holder), frame })
        });
        let more = queue.has_moved(self.limits.bytes);
        let finishes = queue.finishes();
        drop(queue);
        if more {
            self.heard();
        }
        if finishes {
            // A session that is gone has nothing left to close.
            let _ = session.try_send(Finish);
        }
    }

    /// True while the connection is in the middle of a frame, where nothing else may be sent.
    #[must_use]
    pub fn is_amid_frame(&self) -> bool {
        self.queue.lock().begun.is_some()
    }

    /// Why the socket is to be closed, if it is.
    #[must_use]
    pub fn close_notice(&self) -> Option<CloseNotice> {
        self.queue.lock().close.clone()
    }

    /// Sends nothing more than the rest of a frame that has been begun; for a session that closes by itself.
    pub fn end(&self) {
        let mut queue = self.queue.lock();
        queue.shut(close::SHUTDOWN, true);
        queue.finishes();
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

    /// The frames that wait.
    #[cfg(test)]
    pub fn queued(&self) -> Vec<String> {
        self.queue.lock().texts()
    }

    /// Notes a sign of life.
    pub fn heard(&self) {
        self.last_alive.store(self.age_ms(), Ordering::Relaxed);
    }

    /// How long the peer has given no sign of life, in ms.
    #[must_use]
    pub fn silent_ms(&self) -> u64 {
        self.age_ms().saturating_sub(self.last_alive.load(Ordering::Relaxed))
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since the socket was told to close, if it was.
    #[must_use]
    pub fn closing_for_ms(&self) -> Option<u128> {
        self.queue.lock().closing_since.map(|at| at.elapsed().as_millis())
    }

    /// True when something waits and the peer has taken nothing for longer than the limit, or than `patience_ms`.
    #[must_use]
    pub fn is_stalled(&self, patience_ms: u64) -> bool {
        self.queue.lock().is_stalled(self.limits.age_ms.min(patience_ms))
    }

    /// How far behind a socket is that holds room: whether its peer is taking, and since when. Who compares as less is to
    /// go first.
    #[must_use]
    pub fn behind(&self) -> Option<(bool, Instant)> {
        let queue = self.queue.lock();
        let is_moving = queue.moved.is_some_and(|at| at.elapsed() < MOVING);
        queue.behind.map(|since| (is_moving, since))
    }

    /// Drops the backlog and closes as too slow; false when the socket was closing already.
    pub fn give_up(self: &Arc<Self>) -> bool {
        let mut queue = self.queue.lock();
        let is_first = queue.close.is_none();
        queue.shut(close::TOO_SLOW, true);
        drop(queue);
        self.wake();
        is_first
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

#[cfg(test)]
mod tests {
    use super::*;
    use hxa_domain::shares::Shares;

    /// An send queue that may hold so much, in a hub with room for so much.
    fn send_queue(bytes: usize, room: usize) -> Arc<SendQueue> {
        let info = SocketInfo {
            org: OrgId::random(),
            bot: None,
            peer: Peer::Token(None),
            scopes: ScopeSet::FULL,
            expires_at: None,
            connected_at: 0,
        };
        SendQueue::new(info, SendQueueLimits { bytes, age_ms: 10_000, room: Shares::new(room) })
    }

    fn frames(texts: &[&str]) -> Vec<Outgoing> {
        texts.iter().map(|text| Outgoing::new((*text).to_owned())).collect()
    }

    #[test]
    fn what_is_more_than_one_may_hold_takes_room() {
        let send_queue = send_queue(8, 40);
        let texts = frames(&["12345678", "9", "0123456789", "1"]);
        assert_eq!(send_queue.offer(&texts[0]), Offered::Taken);
        assert_eq!((send_queue.limits.room.held(), send_queue.behind()), (0, None));
        assert_eq!(send_queue.offer(&texts[1]), Offered::Taken);
        assert_eq!(send_queue.limits.room.held(), 1);
        assert!(send_queue.behind().is_some());
        assert_eq!(send_queue.offer(&texts[2]), Offered::NoRoom, "a quarter is what an organisation gets alone");
        assert_eq!(send_queue.offer(&texts[3]), Offered::Taken, "nothing was lost by it");
        assert!(send_queue.give_up() && !send_queue.give_up(), "counted once");
        assert_eq!((send_queue.limits.room.held(), send_queue.waiting_bytes(), send_queue.behind()), (0, 0, None));
        assert_eq!(send_queue.close_notice(), Some(close::TOO_SLOW));
    }

    #[test]
    fn frames_in_one_go_are_kept_or_given_up_together() {
        let send_queue = send_queue(8, 40);
        assert!(send_queue.offer_all(&frames(&["1234"])));
        assert!(!send_queue.offer_all(&frames(&["1234", "567", "890123456789"])));
        assert_eq!((send_queue.limits.room.held(), send_queue.waiting_bytes(), send_queue.behind()), (0, 4, None));
    }

    #[test]
    fn who_takes_nothing_is_too_slow() {
        let mut send_queue = send_queue(8, 40);
        Arc::get_mut(&mut send_queue).unwrap().limits.age_ms = 0;
        let texts = frames(&["a", "b"]);
        assert_eq!(send_queue.offer(&texts[0]), Offered::Taken);
        std::thread::sleep(Duration::from_millis(2));
        assert!(send_queue.is_stalled(1000));
        assert_eq!(send_queue.offer(&texts[1]), Offered::TooSlow);
        assert_eq!(send_queue.offer(&texts[1]), Offered::Taken, "counted once");
    }

    #[test]
    fn who_resumes_is_told_what_was_before() {
        let before = Instant::now();
        let send_queue = send_queue(8, 0);
        assert!(send_queue.came_after(before));
        assert!(!send_queue.came_after(Instant::now()));
        send_queue.set_resumed();
        assert!(!send_queue.came_after(before));
    }
}
