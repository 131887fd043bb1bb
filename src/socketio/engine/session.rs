//! The actor of a session: which transport it has, its heartbeat, and its end.
//!
//! Everything that happens to a session is a message to this actor, so that its packets keep their order. It ends once,
//! for one reason; then it leaves the registry, the connection above is told, and its transports are closed.

mod heartbeat;
mod upgrade;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::oneshot;

use super::admission::Admitted;
use super::link::Link;
use super::messages::{
    Attach, Barrier, HangUp, PollBegun, PollDropped, Posted, Received, Signal, WebSocketGone, WebSocketRef,
};
use super::refusal::Refusal;
use super::{Connection, Message, Shared};
use crate::id::fresh_id;
use crate::reason::CloseReason;
use crate::stats::{Counted, count};
use crate::wire::{EnginePacket, Frame};
use heartbeat::Heartbeat;
use upgrade::Upgrading;

/// How long a client has to take leave of a WebSocket that was closed, before its connection is cut.
const CUT_AFTER: Duration = Duration::from_secs(5);

/// What a poll is answered with.
type Reply = oneshot::Sender<Result<Vec<Frame>, Refusal>>;

pub struct Session {
    shared: Arc<Shared>,
    link: Link,
    /// `None` once the session has ended.
    connection: Option<Box<dyn Connection>>,
    transport: Transport,
    upgrade: Upgrading,
    heartbeat: Heartbeat,
    _admitted: Admitted,
    _counted: Counted,
}

enum Transport {
    Polling(Option<Reply>),
    WebSocket(WebSocketRef),
}

impl Session {
    /// Opens a session on this thread. The connection is made by the application, which may panic.
    pub(super) fn open(shared: &Arc<Shared>, admitted: Admitted) -> Option<(Addr<Self>, Link)> {
        let context = Context::new();
        let address: Addr<Self> = context.address();
        let sid = Arc::<str>::from(fresh_id());
        let recipient = address.clone().recipient();
        let link = Link::new(sid.clone(), admitted.client.clone(), shared.config.queued_bytes, recipient);
        let connection = guarded(|| shared.acceptor.accept(link.clone()))?;
        count(&shared.counters.opened);
        shared.sessions.write().insert(sid, (address.clone(), link.clone()));
        context.run(Self {
            shared: shared.clone(),
            link: link.clone(),
            connection: Some(connection),
            transport: Transport::Polling(None),
            upgrade: Upgrading::default(),
            heartbeat: Heartbeat::default(),
            _admitted: admitted,
            _counted: Counted::new(&shared.counters, |counters| &counters.sessions),
        });
        Some((address, link))
    }

    fn is_over(&self) -> bool {
        self.connection.is_none()
    }

    /// Calls the connection above; closes the session if it says so, or panics.
    fn call(&mut self, context: &mut Context<Self>, call: impl FnOnce(&mut dyn Connection) -> Result<(), CloseReason>) {
        let Some(connection) = &mut self.connection else { return };
        match guarded(|| call(connection.as_mut())) {
            Some(Ok(())) => {}
            Some(Err(reason)) => self.close(reason, context),
            None => self.close(CloseReason::HandlerPanic, context),
        }
    }

    fn on_packet(&mut self, packet: EnginePacket, context: &mut Context<Self>) {
        match packet {
            EnginePacket::Message(text) => self.call(context, |above| above.on_message(Message::Text(text))),
            EnginePacket::Binary(bytes) => self.call(context, |above| above.on_message(Message::Binary(bytes))),
            EnginePacket::Pong(_) => self.on_pong(context),
            EnginePacket::Close => self.close(CloseReason::ClientClose, context),
            EnginePacket::Upgrade | EnginePacket::Noop => {}
            EnginePacket::Open(_) | EnginePacket::Ping(_) => self.close(CloseReason::ParseError, context),
        }
    }

    /// Answers the waiting poll, if there is something for it.
    fn flush(&mut self) {
        let Transport::Polling(waiting) = &mut self.transport else { return };
        // A poll that is answered with nothing would come back at once.
        if self.upgrade.is_probing() || waiting.is_none() {
            return;
        }
        let frames = self.link.take(self.shared.config.max_payload);
        if frames.is_empty() {
            return;
        }
        if let Some(reply) = waiting.take() {
            // If nobody waits, the poll was dropped, which closes the session.
            let _ = reply.send(Ok(frames));
        }
    }

    fn end_waiting_poll(&mut self, answer: Result<Vec<Frame>, Refusal>) {
        if let Transport::Polling(waiting) = &mut self.transport
            && let Some(reply) = waiting.take()
        {
            let _ = reply.send(answer);
        }
    }

    fn close(&mut self, reason: CloseReason, context: &mut Context<Self>) {
        let Some(mut connection) = self.connection.take() else { return };
        log::debug!(reason = reason.as_str(); "Engine.IO session closed");
        self.shared.sessions.write().remove(self.link.sid());
        self.shared.counters.closed(reason);
        if guarded(|| connection.on_close(reason)).is_none() {
            log::error!("a handler panicked while its session was closed");
        }
        // The application's last words were accepted by the link, which then ends.
        let may_leave = !matches!(reason, CloseReason::QueueFull | CloseReason::PingTimeout);
        self.link.end(close_code(reason), may_leave);
        self.close_transport(reason);
        self.upgrade.dismiss_all(close_code(reason));
        context.stop();
    }

    fn close_transport(&mut self, reason: CloseReason) {
        if let Transport::WebSocket(websocket) = &self.transport {
            websocket.hangup.do_send(HangUp(close_code(reason)));
            let cut = websocket.cut.clone();
            if reason == CloseReason::TransportClose || cut.strong_count() == 0 {
                return;
            }
            actix::spawn(async move {
                actix::clock::sleep(CUT_AFTER).await;
                if let Some(cut) = cut.upgrade() {
                    cut();
                }
            });
            return;
        }
        let frames = if reason == CloseReason::ClientClose {
            vec![Frame::NOOP]
        } else {
            let mut frames = self.link.take(self.shared.config.max_payload);
            frames.push(Frame::CLOSE);
            frames
        };
        self.end_waiting_poll(Ok(frames));
    }
}

/// The code of a close frame: the server is going away, or a limit was exceeded, or nothing special.
fn close_code(reason: CloseReason) -> u16 {
    match reason {
        CloseReason::ServerShutdown => 1001,
        CloseReason::ParseError | CloseReason::DuplicateConnect => 1002,
        CloseReason::QueueFull | CloseReason::TooManyConnects => 1008,
        CloseReason::TooLarge => 1009,
        CloseReason::HandlerPanic => 1011,
        CloseReason::NamespaceFull => 1013,
        _ => 1000,
    }
}

/// Calls code of the application; `None` if it panicked.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| log::error!("a handler of an Engine.IO session panicked")).ok()
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.expect_ping(context);
        context.run_later(self.shared.config.connect_timeout, |session, context| {
            if session.connection.as_ref().is_some_and(|above| !above.is_ready()) {
                session.close(CloseReason::ConnectTimeout, context);
            }
        });
        self.call(context, |above| {
            above.on_open();
            Ok(())
        });
        if self.shared.is_closed() {
            // It was opened while the others were being closed.
            self.close(CloseReason::ServerShutdown, context);
        }
    }
}

impl Drop for Session {
    /// Also when the thread ends without closing its sessions.
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            self.shared.sessions.write().remove(self.link.sid());
            self.shared.counters.closed(CloseReason::ServerShutdown);
            guarded(|| connection.on_close(CloseReason::ServerShutdown));
            self.link.end(close_code(CloseReason::ServerShutdown), false);
        }
    }
}

impl Handler<Signal> for Session {
    type Result = ();

    fn handle(&mut self, signal: Signal, context: &mut Self::Context) {
        match signal {
            Signal::Flush => self.flush(),
            Signal::Close(reason) => self.close(reason, context),
            Signal::Token(token) => self.call(context, |above| above.on_signal(token)),
        }
    }
}

impl Handler<PollBegun> for Session {
    type Result = ();

    fn handle(&mut self, PollBegun { reply }: PollBegun, context: &mut Self::Context) {
        if self.heartbeat.is_overdue(Instant::now()) {
            self.close(CloseReason::PingTimeout, context);
        }
        if self.is_over() {
            let _ = reply.send(Err(Refusal::UnknownSession));
            return;
        }
        match &mut self.transport {
            Transport::WebSocket(_) => {
                let _ = reply.send(Err(Refusal::BadRequest));
            }
            Transport::Polling(Some(_)) => {
                self.close(CloseReason::DuplicatePoll, context);
                let _ = reply.send(Err(Refusal::BadRequest));
            }
            Transport::Polling(waiting) => {
                *waiting = Some(reply);
                if self.upgrade.is_probing() {
                    self.hold_poll(context);
                } else {
                    self.flush();
                }
            }
        }
    }
}

impl Handler<PollDropped> for Session {
    type Result = ();

    fn handle(&mut self, _: PollDropped, context: &mut Self::Context) {
        if matches!(self.transport, Transport::Polling(_)) {
            self.close(CloseReason::TransportClose, context);
        }
    }
}

impl Handler<Posted> for Session {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, Posted { packets }: Posted, context: &mut Self::Context) -> Self::Result {
        if self.is_over() {
            return Err(Refusal::UnknownSession);
        }
        if matches!(self.transport, Transport::WebSocket(_)) {
            return Err(Refusal::BadRequest);
        }
        let Ok(packets) = packets else {
            self.close(CloseReason::ParseError, context);
            return Err(Refusal::BadRequest);
        };
        for packet in packets {
            self.on_packet(packet, context);
        }
        Ok(())
    }
}

impl Handler<Attach> for Session {
    type Result = ();

    fn handle(&mut self, Attach(websocket): Attach, _: &mut Self::Context) {
        if self.is_over() {
            websocket.hangup.do_send(HangUp(close_code(CloseReason::ServerClose)));
        }
        self.link.attach(websocket.id);
        self.transport = Transport::WebSocket(websocket);
    }
}

impl Handler<Received> for Session {
    type Result = ();

    fn handle(&mut self, Received { websocket, packet }: Received, context: &mut Self::Context) {
        if !matches!(&self.transport, Transport::WebSocket(current) if current.id == websocket) {
            return;
        }
        match packet {
            Ok(packet) => self.on_packet(packet, context),
            Err(_) => self.close(CloseReason::ParseError, context),
        }
    }
}

impl Handler<Barrier> for Session {
    type Result = ();

    fn handle(&mut self, _: Barrier, _: &mut Self::Context) {}
}

impl Handler<WebSocketGone> for Session {
    type Result = ();

    fn handle(&mut self, WebSocketGone { websocket, reason }: WebSocketGone, context: &mut Self::Context) {
        match &self.transport {
            Transport::WebSocket(current) if current.id == websocket => self.close(reason, context),
            _ => self.on_candidate_gone(websocket, context),
        }
    }
}
