//! TCP connections as the HTTP parser sees them.
//!
//! The parser would read everything the kernel has, and answers unreadable input with a bare status. Here a connection
//! gives it no more bytes than one head, or one window of a body, until the request's handler makes progress
//! ([`Gate`]); a head that stalls, or grows too long, ends the connection with a response; and the parser's own
//! responses become JSON with a code and a request id (`early`). WebSockets pass through once they are open.

mod early;
mod gate;

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::rt::net::TcpStream;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep, sleep_until};

use self::early::{Fault, Next};
pub use self::gate::Gate;
use hxa_hub::hub::Hub;

/// What is read and dropped after a last answer, so that closing does not take it back from a client that still sends.
const DROPPED_AT_END: usize = 256 * 1024;

/// How long a client that was given up may take to notice.
const LINGER: Duration = Duration::from_secs(4);

/// A connection; see the module.
pub struct Guarded {
    io: TcpStream,
    gate: Rc<Gate>,
    hub: Hub,
    /// Set while a head is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes of the answer under way that are not written yet.
    left: u64,
    /// Why the connection ends once all answers are written.
    fault: Option<Fault>,
    /// The answer that ends the connection, as far as it is not written.
    last: Option<Last>,
    /// Set when everything was said, until the client has heard it.
    lingers: Option<Pin<Box<Sleep>>>,
}

/// The last answer of a connection.
struct Last {
    bytes: Vec<u8>,
    written: usize,
}

impl Guarded {
    /// Guards a connection.
    #[must_use]
    pub fn new(io: TcpStream, hub: &Hub) -> Self {
        let gate = Rc::new(Gate::new(hub.config().server.max_head_bytes, hub.config().pacing()));
        Self { io, gate, hub: hub.clone(), timer: None, left: 0, fault: None, last: None, lingers: None }
    }

    /// The connection itself.
    #[must_use]
    pub fn io(&self) -> &TcpStream {
        &self.io
    }

    /// What its requests tell it.
    #[must_use]
    pub fn gate(&self) -> &Rc<Gate> {
        &self.gate
    }

    /// Ends the connection with an answer.
    fn end_with(&mut self, fault: Fault) {
        if self.last.is_none() {
            self.last = Some(Last { bytes: fault.answer(&self.hub, self.gate.opening()), written: 0 });
        }
    }

    /// Whether the client has used up its patience; if not, the timer is set for when it will have.
    fn is_late(&mut self, deadline: Instant, context: &mut Context<'_>) -> bool {
        loop {
            let timer = match &mut self.timer {
                Some(timer) => timer,
                None => self.timer.insert(Box::pin(sleep_until(deadline.into()))),
            };
            // One that goes off early is set anew then, not each time its end moves away.
            if timer.deadline() > deadline.into() {
                timer.as_mut().reset(deadline.into());
            }
            if timer.poll_unpin(context).is_pending() {
                return false;
            }
            if deadline <= Instant::now() {
                return true;
            }
            self.timer = None;
        }
    }

    /// Writes the last answer.
    fn poll_last(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(last) = &mut self.last else { return Poll::Ready(Ok(())) };
        while let Some(rest) = last.bytes.get(last.written..).filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut self.io).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            last.written = last.written.saturating_add(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until the client has read its last answer and closes, or for a while.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.lingers.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if timer.poll_unpin(context).is_ready() {
            return Poll::Ready(());
        }
        let mut scratch = [0; 8192];
        loop {
            let mut into = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.io).poll_read(context, &mut into)) {
                Ok(()) if !into.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    /// Drops what has come already: a connection that is closed over unread bytes takes its last answer back.
    fn discard_unread(&self) {
        let (mut scratch, mut dropped) = ([0; 8192], 0_usize);
        while dropped < DROPPED_AT_END {
            match self.io.try_read(&mut scratch) {
                Ok(read) if read > 0 => dropped = dropped.saturating_add(read),
                _ => return,
            }
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let room = match this.gate.room(context) {
            gate::Room::Open => {
                this.timer = None;
                return Pin::new(&mut this.io).poll_read(context, into);
            }
            gate::Room::Some(room) => room,
            gate::Room::Later => return Poll::Pending,
            gate::Room::None(fault) => {
                this.fault = this.fault.or(fault);
                return Poll::Ready(Ok(()));
            }
        };
        let read = if room >= into.remaining() {
            let before = into.filled().len();
            let polled = Pin::new(&mut this.io).poll_read(context, into);
            polled.map_ok(|()| into.filled().len().saturating_sub(before))
        } else {
            let mut less = into.take(room);
            let polled = Pin::new(&mut this.io).poll_read(context, &mut less);
            let read = less.filled().len();
            if polled.is_ready() {
                // What lies in a part of a buffer lies in the buffer.
                let piece = less.filled().to_vec();
                into.put_slice(&piece);
            }
            polled.map_ok(|()| read)
        };
        match read {
            Poll::Ready(Ok(read)) => {
                let filled = into.filled();
                this.gate.bytes_read(filled.get(filled.len().saturating_sub(read)..).unwrap_or_default());
                if read == 0 {
                    this.gate.peer_ended();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let Some(deadline) = this.gate.deadline() else { return Poll::Pending };
                if !this.is_late(deadline, context) {
                    return Poll::Pending;
                }
                if this.gate.owes_an_answer() {
                    this.fault = this.fault.or(Some(Fault::Slow));
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.gate.is_open() {
            return Pin::new(&mut this.io).poll_write(context, bytes);
        }
        if this.last.is_some() {
            // Whatever the parser still says is said already.
            ready!(this.poll_last(context))?;
            return Poll::Ready(Ok(bytes.len()));
        }
        let limit = match early::next(bytes, this.left, |later| this.gate.is_head(later)) {
            Next::Fault(fault) => {
                this.end_with(fault);
                ready!(this.poll_last(context))?;
                this.discard_unread();
                return Poll::Ready(Ok(bytes.len()));
            }
            Next::Answers(limit) => limit,
            Next::Opens => {
                this.gate.open();
                return Pin::new(&mut this.io).poll_write(context, bytes);
            }
        };
        let part = bytes.get(..limit).unwrap_or(bytes);
        let written = ready!(Pin::new(&mut this.io).poll_write(context, part))?;
        let so_far = early::after(written, bytes, this.left, |later| this.gate.is_head(later));
        this.left = so_far.left;
        this.gate.answers_started(so_far.answers);
        if so_far.is_last {
            this.gate.close();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(fault) = this.fault.take() {
            this.end_with(fault);
        }
        ready!(this.poll_last(context))?;
        if this.lingers.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(context))?;
        }
        // A connection that is closed over unread bytes takes its last answer back from a client that still sends.
        if this.last.is_none() && !this.gate.is_cut_short() {
            return Poll::Ready(Ok(()));
        }
        this.poll_linger(context).map(Ok)
    }
}
