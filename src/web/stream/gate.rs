//! How much of a connection the HTTP parser may read: one head, then one window of a body at a time.
//!
//! The middleware in front of all routes reports when a request begins and when it is answered, and the reader of its
//! body reports progress. All of it happens on the connection's own thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::early::Fault;
use hxa_domain::pace::{Pace, Pacing};

/// Bytes of a body that may wait for the request's handler.
const WINDOW: usize = 64 * 1024;
/// Bytes of a body that nobody wants which are read over behind its request's answer.
const UNWANTED: usize = 1024 * 1024;
/// First bytes of a head that are kept, to tell what was spoken instead of HTTP.
const OPENING: usize = 16;
/// So few bytes are no beginning of a head: some clients end a body with a line break that does not belong to it.
const STRAY: usize = 2;

/// How long a connection may be without a request, longer than the parser keeps one open that is. Part of a head may have
/// come with the body before, so that it is not.
const IDLE: Duration = Duration::from_secs(100);

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A head is waited for; nothing was answered yet, or all of it.
    Head,
    /// A request is being answered.
    Request,
    /// The last answer is being sent.
    Closing,
    /// It speaks another protocol.
    Open,
}

/// How much may be read now.
#[derive(Debug, PartialEq, Eq)]
pub enum Room {
    /// Anything.
    Open,
    /// So many bytes.
    Some(usize),
    /// Nothing; the reader will be woken.
    Later,
    /// Nothing ever again, and what the client is told if anything.
    None(Option<Fault>),
}

/// The gate of one connection.
#[derive(Debug)]
pub struct Gate {
    phase: Cell<Phase>,
    most_head: usize,
    /// Bytes that may still be read in this phase.
    room: Cell<usize>,
    /// Bytes read since the phase began.
    read: Cell<usize>,
    /// The parser was asked to get on with what it has.
    is_nudged: Cell<bool>,
    /// The rest of a body may come before the next head.
    has_rest: Cell<bool>,
    has_body: Cell<bool>,
    /// Of each answer that is not written yet, whether it is one to a HEAD request.
    answers: RefCell<VecDeque<bool>>,
    is_first: Cell<bool>,
    /// When the last request was answered.
    idle_since: Cell<Instant>,
    /// The last bytes that were read.
    tail: Cell<[u8; 4]>,
    opening: Cell<[u8; OPENING]>,
    pace: Cell<Pace>,
    pacing: Pacing,
    reader: RefCell<Option<Waker>>,
    has_peer_ended: Cell<bool>,
    /// Its last answer goes on for as long as its peer likes.
    is_streaming: Cell<bool>,
}

impl Gate {
    /// A connection that has just begun.
    #[must_use]
    pub fn new(most_head: usize, pacing: Pacing) -> Self {
        Self {
            phase: Cell::new(Phase::Head),
            most_head,
            room: Cell::new(most_head),
            read: Cell::new(0),
            is_nudged: Cell::new(false),
            has_rest: Cell::new(false),
            has_body: Cell::new(false),
            answers: RefCell::default(),
            is_first: Cell::new(true),
            idle_since: Cell::new(Instant::now()),
            tail: Cell::new([0; 4]),
            opening: Cell::new([0; OPENING]),
            pace: Cell::new(Pace::new(pacing, Instant::now())),
            pacing,
            reader: RefCell::new(None),
            has_peer_ended: Cell::new(false),
            is_streaming: Cell::new(false),
        }
    }

    fn enter(&self, phase: Phase, room: usize) {
        if self.phase.get() == Phase::Open {
            return;
        }
        self.phase.set(phase);
        self.room.set(room);
        self.read.set(0);
        self.is_nudged.set(false);
        self.wake();
    }

    fn wake(&self) {
        if let Some(reader) = self.reader.borrow_mut().take() {
            reader.wake();
        }
    }

    // --- what requests tell ---

    /// A request has come; `has_body` when more than its head is announced.
    pub fn begin(&self, has_body: bool) {
        self.is_first.set(false);
        self.has_rest.set(has_body);
        self.has_body.set(has_body);
        self.enter(Phase::Request, WINDOW);
    }

    /// Its handler took what there was of its body.
    pub fn body_progressed(&self) {
        if self.phase.get() == Phase::Request {
            self.room.set(WINDOW);
            self.wake();
        }
    }

    /// Its body was read to the end.
    pub fn body_ended(&self) {
        self.has_rest.set(false);
    }

    /// It is answered; `is_head` when the answer has no body whatever its head says.
    pub fn end(&self, is_head: bool) {
        self.answers.borrow_mut().push_back(is_head);
        let now = Instant::now();
        self.idle_since.set(now);
        // What nobody read of a body in chunks comes before the next head.
        let room = if self.has_rest.get() { UNWANTED } else { self.most_head };
        self.enter(Phase::Head, room);
        // Whatever stands behind a request without a body is the beginning of the next head.
        if !self.has_body.get() && self.tail.get() != *b"\r\n\r\n" {
            self.pace.set(Pace::new(self.pacing, now));
            self.read.set(STRAY.saturating_add(1));
        }
    }

    /// Its answer begins to go on for as long as its peer likes, or has ended: until then no further request is expected.
    pub fn streams(&self, is_streaming: bool) {
        self.is_streaming.set(is_streaming);
        self.idle_since.set(Instant::now());
    }

    /// Whether the peer has ended its side of the connection. Clients do that when they go, and the parser lets an answer that
    /// goes on for long go on all the same.
    #[must_use]
    pub fn has_peer_ended(&self) -> bool {
        self.has_peer_ended.get()
    }

    // --- what the connection asks and tells ---

    /// The connection has nothing more to read.
    pub(super) fn peer_ended(&self) {
        self.has_peer_ended.set(true);
    }

    /// Whether it speaks another protocol now.
    pub(super) fn is_open(&self) -> bool {
        self.phase.get() == Phase::Open
    }

    pub(super) fn open(&self) {
        self.phase.set(Phase::Open);
        self.wake();
    }

    /// The answer under way is the last one; its client may still be sending.
    pub(super) fn close(&self) {
        self.enter(Phase::Closing, usize::MAX);
    }

    /// Whether the answer that comes `later` after the one that is written next is one to a HEAD request.
    pub(super) fn is_head(&self, later: usize) -> bool {
        self.answers.borrow().get(later).is_some_and(|is_head| *is_head)
    }

    /// Answers were begun to be written.
    pub(super) fn answers_started(&self, answers: usize) {
        let mut waiting = self.answers.borrow_mut();
        let begun = answers.min(waiting.len());
        waiting.drain(..begun);
    }

    /// Whether the connection ends although more of a body was announced than anybody read.
    pub(super) fn is_cut_short(&self) -> bool {
        self.phase.get() == Phase::Closing && self.has_rest.get()
    }

    pub(super) fn opening(&self) -> [u8; OPENING] {
        self.opening.get()
    }

    pub(super) fn room(&self, context: &mut Context<'_>) -> Room {
        match (self.phase.get(), self.room.get()) {
            (Phase::Open, _) => Room::Open,
            (_, room) if room > 0 => Room::Some(room),
            // What was read has not been looked at yet: a head may be whole by now.
            (Phase::Head, _) if !self.is_nudged.replace(true) => {
                context.waker().wake_by_ref();
                Room::Later
            }
            (Phase::Head, _) => Room::None((!self.has_rest.get()).then_some(Fault::HeadTooLarge)),
            _ => {
                *self.reader.borrow_mut() = Some(context.waker().clone());
                Room::Later
            }
        }
    }

    /// Bytes were read.
    pub(super) fn bytes_read(&self, bytes: &[u8]) {
        let before = self.read.get();
        if self.phase.get() == Phase::Head && !bytes.is_empty() {
            let mut pace = self.pace.get();
            if before == 0 && !self.is_first.get() {
                pace = Pace::new(self.pacing, Instant::now());
            }
            pace.progress(bytes.len(), Instant::now());
            self.pace.set(pace);
            let mut opening = if before == 0 { [0; OPENING] } else { self.opening.get() };
            for (place, byte) in opening.iter_mut().skip(before).zip(bytes) {
                *place = *byte;
            }
            self.opening.set(opening);
        }
        if let Some(tail) = bytes.last_chunk() {
            self.tail.set(*tail);
        } else {
            let mut tail = self.tail.get();
            for byte in bytes {
                tail = [tail[1], tail[2], tail[3], *byte];
            }
            self.tail.set(tail);
        }
        self.read.set(before.saturating_add(bytes.len()));
        self.room.set(self.room.get().saturating_sub(bytes.len()));
    }

    /// When the client must have got on; not while nothing is expected of it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.phase.get() != Phase::Head || self.is_streaming.get() {
            return None;
        }
        let is_expected = self.read.get() > 0 || self.is_first.get();
        if is_expected { Some(self.pace.get().deadline()) } else { self.idle_since.get().checked_add(IDLE) }
    }

    /// Whether a client that is given up has begun a request, and hears why it ends.
    pub(super) fn owes_an_answer(&self) -> bool {
        self.read.get() > STRAY && !self.has_rest.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate::new(100, Pacing { patience: Duration::from_secs(20), bytes_per_second: 500 })
    }

    fn room(gate: &Gate) -> Room {
        gate.room(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_head_has_so_much_room_and_the_parser_one_look_at_it() {
        let gate = gate();
        assert_eq!(room(&gate), Room::Some(100));
        gate.bytes_read(&[b'x'; 60]);
        gate.bytes_read(&[b'x'; 40]);
        assert_eq!(room(&gate), Room::Later);
        assert_eq!(room(&gate), Room::None(Some(Fault::HeadTooLarge)));
    }

    #[test]
    fn a_body_is_read_as_its_handler_gets_on() {
        let gate = gate();
        gate.bytes_read(&[b'x'; 100]);
        gate.begin(true);
        assert_eq!(room(&gate), Room::Some(WINDOW));
        gate.bytes_read(&vec![0; WINDOW]);
        assert_eq!(room(&gate), Room::Later);
        assert_eq!(room(&gate), Room::Later, "however often it is asked");
        gate.body_progressed();
        assert_eq!(room(&gate), Room::Some(WINDOW));
        gate.body_ended();
        gate.end(false);
        assert_eq!(room(&gate), Room::Some(100));
    }

    #[test]
    fn what_nobody_wants_is_read_over_but_not_for_ever() {
        let gate = gate();
        gate.begin(true);
        gate.end(false);
        assert_eq!(room(&gate), Room::Some(UNWANTED));
        gate.bytes_read(&vec![0; UNWANTED]);
        room(&gate);
        assert_eq!(room(&gate), Room::None(None), "it was answered already");
        gate.close();
        assert_eq!(room(&gate), Room::Some(usize::MAX));
        gate.open();
        assert_eq!(room(&gate), Room::Open);
    }

    #[test]
    fn only_a_head_that_was_begun_is_waited_for() {
        let gate = gate();
        assert!(gate.deadline().is_some(), "the first must come");
        assert!(!gate.owes_an_answer(), "who says nothing hears nothing");
        gate.bytes_read(b"GET");
        assert!(gate.deadline().is_some() && gate.owes_an_answer());
        gate.begin(false);
        assert!(gate.deadline().is_none(), "the hub takes its own time");
        let far = || gate.deadline().is_some_and(|at| at > Instant::now() + Duration::from_secs(90));
        gate.end(false);
        assert!(!far() && gate.owes_an_answer(), "what came was more than a request");
        gate.bytes_read(b"\r\n\r");
        gate.bytes_read(b"\n");
        gate.begin(false);
        gate.end(false);
        assert!(far(), "the next may come when it likes");
        gate.bytes_read(b"\r\n");
        assert!(!far() && !gate.owes_an_answer());
        gate.begin(true);
        gate.bytes_read(b"body and the beginning of the next head");
        gate.body_ended();
        gate.end(false);
        assert!(far(), "but not for ever");
    }

    #[test]
    fn no_request_is_expected_while_an_answer_goes_on() {
        let gate = gate();
        gate.begin(false);
        gate.streams(true);
        gate.end(false);
        assert!(gate.deadline().is_none() && !gate.has_peer_ended());
        gate.peer_ended();
        assert!(gate.has_peer_ended());
        gate.streams(false);
        assert!(gate.deadline().is_some());
    }

    #[test]
    fn answers_are_known_by_their_order() {
        let gate = gate();
        for is_head in [false, true, false] {
            gate.begin(false);
            gate.end(is_head);
        }
        assert_eq!([0, 1, 2, 3].map(|later| gate.is_head(later)), [false, true, false, false]);
        gate.answers_started(1);
        assert!(gate.is_head(0));
        gate.answers_started(9);
        assert!(!gate.is_head(0));
    }
}
