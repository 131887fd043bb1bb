//! The actor of a WebSocket connection: its frames become packets of the session.
//!
//! It carries a session from the beginning, or probes one that polls and takes it over. It may live on another thread than
//! the session, so they know each other by address only. It sends nothing by itself but handshakes and control frames;
//! messages come from the session's link, see [`outgoing`].

mod incoming;
mod outgoing;

use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_http::ws::{Codec, Item};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{self, CloseCode, ProtocolError, WebsocketContext};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use super::Shared;
use super::link::Link;
use super::messages::{Apply, Attach, Barrier, Cut, HangUp, Probe, Received, Upgrade, WebSocketGone, WebSocketRef};
use super::session::Session;
use crate::reason::CloseReason;
use crate::stats::Counted;
use crate::wire::{EnginePacket, Malformed};
use incoming::{Flow, Incoming};
use outgoing::Outgoing;

/// How long a client has to answer a close frame.
const CLOSE_GRACE: Duration = Duration::from_secs(1);
/// The session must have handled so many bytes before more are read.
const UNHANDLED_BYTES: usize = 256 * 1024;
/// What a packet counts besides its bytes.
const PACKET_COST: usize = 256;

const PROBE: &str = "2probe";
const PROBED: &str = "3probe";
const UPGRADE: &str = "5";

pub(super) struct WebSocket {
    id: u64,
    session: Addr<Session>,
    role: Role,
    max_payload: usize,
    upgrade_timeout: Duration,
    /// The fragments of a message so far, and whether it is text.
    fragments: Option<(bool, BytesMut)>,
    unhandled: usize,
    flow: Rc<Flow>,
    is_closing: bool,
    /// Why it has ended, for its session.
    reason: CloseReason,
    cut: Option<Arc<Cut>>,
    _counted: Counted,
}

enum Role {
    /// Carries a new session, which is opened by this packet.
    New(ByteString),
    /// Carries the session.
    Carrier,
    /// Has been opened for a session that polls.
    Candidate,
    /// Has been probed.
    Probed,
}

type SocketContext = WebsocketContext<WebSocket>;

/// Answers a handshake by a WebSocket for this session: with its open packet if it is new.
pub(super) fn start(
    shared: &Arc<Shared>,
    (session, link): (Addr<Session>, Link),
    open: Option<ByteString>,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    let mut answer = ws::handshake(request)?;
    let id = shared.next_websocket();
    let max_payload = shared.config.max_payload;
    let flow = Rc::<Flow>::default();
    let websocket = WebSocket {
        id,
        session,
        role: open.map_or(Role::Candidate, Role::New),
        max_payload,
        upgrade_timeout: shared.config.upgrade_timeout,
        fragments: None,
        unhandled: 0,
        flow: flow.clone(),
        is_closing: false,
        reason: CloseReason::TransportClose,
        cut: (shared.hooks.cutter)(request).map(Arc::new),
        _counted: Counted::new(&shared.counters, |counters| &counters.websockets),
    };
    let payload = Incoming::new(payload, max_payload, flow);
    let inner = WebsocketContext::with_codec(websocket, payload, Codec::new().max_size(max_payload));
    Ok(answer.streaming(Outgoing::new(inner, link, id)))
}

impl WebSocket {
    fn reference(&self, context: &SocketContext) -> WebSocketRef {
        WebSocketRef {
            id: self.id,
            hangup: context.address().recipient(),
            cut: self.cut.as_ref().map(Arc::downgrade).unwrap_or_default(),
        }
    }

    fn on_text(&mut self, text: ByteString, context: &mut SocketContext) {
        match (&self.role, &*text) {
            (Role::New(_) | Role::Carrier, _) => {
                let size = text.len();
                self.pass_on(EnginePacket::decode(&text), size, context);
            }
            (Role::Candidate, PROBE) => self.probe(context),
            (Role::Probed, UPGRADE) => self.upgrade(context),
            (Role::Candidate | Role::Probed, _) => self.hang_up(CloseCode::Protocol, context),
        }
    }

    fn on_binary(&mut self, bytes: Bytes, context: &mut SocketContext) {
        if matches!(self.role, Role::New(_) | Role::Carrier) {
            let size = bytes.len();
            self.pass_on(Ok(EnginePacket::Binary(bytes)), size, context);
        } else {
            self.hang_up(CloseCode::Protocol, context);
        }
    }

    /// Passes a packet to the session. Nothing more is read while the session has much to do.
    fn pass_on(&mut self, packet: Result<EnginePacket, Malformed>, size: usize, context: &mut SocketContext) {
        self.session.do_send(Received { websocket: self.id, packet });
        self.unhandled = self.unhandled.saturating_add(size).saturating_add(PACKET_COST);
        if self.unhandled > UNHANDLED_BYTES {
            self.unhandled = 0;
            context.wait(self.session.send(Barrier).into_actor(self).map(|_, _, _| ()));
        }
    }

    /// No frame is handled before the session has answered, so that their order is kept.
    fn probe(&mut self, context: &mut SocketContext) {
        let asked = self.session.send(Probe(self.id));
        context.wait(asked.into_actor(self).map(|may, socket, context| {
            if may.unwrap_or(false) {
                socket.role = Role::Probed;
                context.text(PROBED);
            } else {
                socket.hang_up(CloseCode::Normal, context);
            }
        }));
    }

    fn upgrade(&mut self, context: &mut SocketContext) {
        let asked = self.session.send(Upgrade(self.id));
        context.wait(asked.into_actor(self).map(|may, socket, context| {
            if may.unwrap_or(false) {
                socket.role = Role::Carrier;
            } else {
                socket.hang_up(CloseCode::Normal, context);
            }
        }));
    }

    fn on_fragment(&mut self, item: Item, context: &mut SocketContext) {
        let (bytes, is_last) = match item {
            Item::FirstText(bytes) => {
                self.fragments = Some((true, BytesMut::new()));
                (bytes, false)
            }
            Item::FirstBinary(bytes) => {
                self.fragments = Some((false, BytesMut::new()));
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        let Some((is_text, mut message)) = self.fragments.take() else { return };
        if message.len().saturating_add(bytes.len()) > self.max_payload {
            return self.fail(CloseReason::TooLarge, CloseCode::Size, context);
        }
        message.extend_from_slice(&bytes);
        if !is_last {
            self.fragments = Some((is_text, message));
        } else if is_text {
            match ByteString::try_from(message.freeze()) {
                Ok(text) => self.on_text(text, context),
                Err(_) => self.fail(CloseReason::TransportError, CloseCode::Invalid, context),
            }
        } else {
            self.on_binary(message.freeze(), context);
        }
    }

    fn fail(&mut self, reason: CloseReason, code: CloseCode, context: &mut SocketContext) {
        self.reason = reason;
        self.tell_gone();
        self.hang_up(code, context);
    }

    fn tell_gone(&self) {
        self.session.do_send(WebSocketGone { websocket: self.id, reason: self.reason });
    }

    /// Closes the connection: a carrier's link sends what is left and then the close frame.
    fn hang_up(&mut self, code: CloseCode, context: &mut SocketContext) {
        if self.is_closing {
            return;
        }
        self.is_closing = true;
        if !matches!(self.role, Role::New(_) | Role::Carrier) {
            context.close(Some(code.into()));
        }
        context.run_later(CLOSE_GRACE, |_, context| context.stop());
    }
}

impl Actor for WebSocket {
    type Context = SocketContext;

    fn started(&mut self, context: &mut Self::Context) {
        if let Role::New(open) = std::mem::replace(&mut self.role, Role::Carrier) {
            context.text(open);
            // The answer wakes this connection, which then asks the link that has become its own.
            let attached = self.session.send(Attach(self.reference(context)));
            context.wait(attached.into_actor(self).map(|_, _, _| ()));
            return;
        }
        self.role = Role::Candidate;
        let asked = self.session.send(Apply(self.reference(context)));
        context.wait(asked.into_actor(self).map(|may, socket, context| {
            if !may.unwrap_or(false) {
                socket.hang_up(CloseCode::Normal, context);
            }
        }));
        context.run_later(self.upgrade_timeout, |socket, context| {
            if !matches!(socket.role, Role::Carrier) {
                socket.hang_up(CloseCode::Normal, context);
            }
        });
    }
}

impl Drop for WebSocket {
    /// However it ends, also when the connection was cut.
    fn drop(&mut self) {
        self.tell_gone();
    }
}

impl Handler<HangUp> for WebSocket {
    type Result = ();

    fn handle(&mut self, HangUp(code): HangUp, context: &mut Self::Context) {
        self.hang_up(code.into(), context);
    }
}

impl StreamHandler<Result<ws::Message, ProtocolError>> for WebSocket {
    fn handle(&mut self, message: Result<ws::Message, ProtocolError>, context: &mut Self::Context) {
        self.flow.handled();
        if self.is_closing && !matches!(message, Ok(ws::Message::Close(_)) | Err(_)) {
            return;
        }
        match message {
            Ok(ws::Message::Text(text)) => self.on_text(text, context),
            Ok(ws::Message::Binary(bytes)) => self.on_binary(bytes, context),
            Ok(ws::Message::Continuation(item)) => self.on_fragment(item, context),
            Ok(ws::Message::Ping(bytes)) => context.pong(&bytes),
            Ok(ws::Message::Pong(_) | ws::Message::Nop) => {}
            Ok(ws::Message::Close(reason)) => {
                if !self.is_closing {
                    context.close(reason);
                }
                context.stop();
            }
            Err(_) if self.flow.is_too_large() => self.fail(CloseReason::TooLarge, CloseCode::Size, context),
            Err(ProtocolError::Io(error)) if error.kind() != ErrorKind::InvalidData => {
                // The connection was lost in the middle of a frame, or of nothing.
                self.fail(CloseReason::TransportClose, CloseCode::Normal, context);
                context.stop();
            }
            Err(_) => {
                self.fail(CloseReason::TransportError, CloseCode::Protocol, context);
                context.stop();
            }
        }
    }
}
