//! One client of the stream, on the thread that serves it.
//!
//! A client is parked while it waits for events; otherwise its connection has bytes of it that its peer has not taken.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;

use super::frame::Gap;
use super::lens::Lens;
use super::ring::{Reading, Ring};
use super::seats::Seat;
use hxa_hub::core::org_state::OrgState;
use hxa_web::ws::connection::Connection;

/// A comment follows after so long without events; then the credential is looked at again, too.
const QUIET: Duration = Duration::from_secs(15);

/// How long a peer may take nothing of what its connection holds for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes that a connection gets at a time.
const PIECE: usize = 32 * 1024;

/// Whether whoever listens may still; asked again and again.
pub type Permission = Rc<dyn Fn() -> LocalBoxFuture<'static, bool>>;

/// What a client is made of.
pub struct Listener {
    /// What it sees.
    pub lens: Arc<Lens>,
    /// Its organisation.
    pub org: Arc<OrgState>,
    /// Whether it may listen.
    pub permission: Permission,
    /// When its credential ends, ms.
    pub expires_at: Option<i64>,
    /// Its connection.
    pub connection: Option<Connection>,
}

/// A client; see the module.
pub struct Client {
    listener: Listener,
    ring: Arc<Ring>,
    /// The next event to read.
    next: Cell<u64>,
    parked: RefCell<Option<Waker>>,
    /// When it was last given something.
    given: Cell<Instant>,
    owes_comment: Cell<bool>,
    /// Closings of the organisation's connections when the credential was last looked at; `None` when it must be.
    closings: Cell<Option<u64>>,
    has_ended: Cell<bool>,
    _seat: Seat,
}

/// What a client is given next.
pub enum Next {
    /// Events, the oldest first.
    Text(bytes::Bytes),
    /// It has missed some, and goes on behind this id.
    Gap(String, Gap),
    /// Nothing but a sign of life.
    Comment,
    /// Nothing yet.
    Wait,
}

impl Client {
    /// A client that reads from a place on.
    #[must_use]
    pub fn new(listener: Listener, ring: Arc<Ring>, next: u64, seat: Seat) -> Self {
        Self {
            listener,
            ring,
            next: Cell::new(next),
            parked: RefCell::new(None),
            given: Cell::new(Instant::now()),
            owes_comment: Cell::new(false),
            // Its credential may have ended while it came.
            closings: Cell::new(None),
            has_ended: Cell::new(false),
            _seat: seat,
        }
    }

    /// Whether its stream is over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// Ends its stream.
    pub fn end(&self) {
        self.has_ended.set(true);
        self.wake();
    }

    /// Waits for events.
    pub fn park(&self, waker: &Waker) {
        *self.parked.borrow_mut() = Some(waker.clone());
    }

    fn is_parked(&self) -> bool {
        self.parked.borrow().is_some()
    }

    fn wake(&self) {
        if let Some(waker) = self.parked.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Wakes it if there is something that it sees.
    pub fn look(&self) {
        if !self.is_parked() || self.ring.head() < self.next.get() {
            return;
        }
        match self.ring.seek(&self.listener.lens, self.next.get()) {
            Ok(next) => {
                self.next.set(next);
                self.wake();
            }
            Err(next) => self.next.set(next),
        }
    }

    /// Looks after it once in a while; `now_ms` is the hub's clock.
    pub fn tend(&self, now: Instant, now_ms: i64) {
        if self.listener.expires_at.is_some_and(|end| end <= now_ms) || self.closings.get() != Some(self.count()) {
            self.closings.set(None);
            self.wake();
        }
        let quiet = now.saturating_duration_since(self.given.get());
        if self.is_parked() && quiet >= QUIET {
            self.owes_comment.set(true);
            self.closings.set(None);
            self.wake();
        } else if !self.is_parked() && (quiet >= PATIENCE || !self.ring.remembers(self.next.get())) {
            self.cut();
        }
    }

    /// Gives up a peer that does not read: it comes back and hears what it has missed.
    fn cut(&self) {
        self.end();
        if let Some(connection) = &self.listener.connection {
            connection.cut();
        }
    }

    fn count(&self) -> u64 {
        self.listener.org.channel().closings()
    }

    /// The question whether it may still listen, when that has to be asked.
    #[must_use]
    pub fn question(&self) -> Option<LocalBoxFuture<'static, bool>> {
        let count = self.count();
        if self.closings.replace(Some(count)) == Some(count) {
            return None;
        }
        Some((self.listener.permission)())
    }

    /// What it is given next.
    #[must_use]
    pub fn next(&self) -> Next {
        let reading = self.ring.read(&self.listener.lens, self.next.get(), PIECE);
        let given = match reading {
            Reading::Text { text, next } => {
                self.next.set(next);
                Next::Text(text)
            }
            Reading::Lost => {
                let next = self.ring.head().saturating_add(1);
                self.next.set(next);
                Next::Gap(self.ring.id_before(next), Gap::Slow)
            }
            Reading::Nothing { next } => {
                self.next.set(next);
                if !self.owes_comment.get() {
                    return Next::Wait;
                }
                Next::Comment
            }
        };
        self.owes_comment.set(false);
        self.given.set(Instant::now());
        given
    }
}
