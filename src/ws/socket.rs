//! The session actor: one per live socket, and the only contact with the WebSocket crate.
//!
//! The session parses frames in arrival order and drains its outbox when nudged. It must not be relied on to notice
//! that its own peer has stopped reading: while a write is blocked the actor is not polled at all. That is the sweep's
//! job (see `actors::janitor`), which judges sockets by their outbox and their last sign of life.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_http::ws::Item;
use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws;

use super::frame::{Answer, Frame};
use super::ops;
use crate::actors::caller::BotCaller;
use crate::actors::hub::Hub;
use crate::actors::org_state::OrgState;
use crate::actors::outbox::{self, CloseNotice, Nudge, Outbox};
use crate::actors::presence;
use crate::dialect::Dialect;
use crate::error::ApiError;

/// Bytes handed to the socket per nudge: enough to fill its buffers, little enough that the rest stays countable.
const DRAIN: usize = 64 * 1024;
/// How long the 101 gets to leave before the first event may follow: clients that attach their listener a moment after
/// the handshake lose frames that arrive in the same segment.
const AFTER_HANDSHAKE: Duration = Duration::from_millis(5);
/// How long a peer may take to answer a close frame.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// A live socket's actor.
pub struct SocketSession {
    pub(super) hub: Hub,
    pub(super) org: Arc<OrgState>,
    /// The bot that speaks; `None` for an admin's socket.
    pub(super) caller: Option<BotCaller>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) topics: Vec<uuid::Uuid>,
    /// The words of the client.
    pub(super) dialect: Dialect,
    fragments: Vec<u8>,
    closing: bool,
}

impl SocketSession {
    /// A session over a registered outbox.
    #[must_use]
    pub fn new(hub: Hub, org: Arc<OrgState>, caller: Option<BotCaller>, outbox: Arc<Outbox>) -> Self {
        let dialect = Dialect::default();
        Self { hub, org, caller, outbox, topics: Vec::new(), dialect, fragments: Vec::new(), closing: false }
    }

    /// The same session with a client of this dialect.
    #[must_use]
    pub fn speaking(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Upgrades the request and starts the session.
    ///
    /// # Errors
    /// When the request is no WebSocket handshake.
    pub fn start(self, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, actix_web::Error> {
        let limit = self.hub.config().sockets.max_frame_bytes;
        let protocol = offered_protocol(request);
        ws::WsResponseBuilder::new(self, request, payload).frame_size(limit).protocols(protocol.as_slice()).start()
    }

    fn on_text(&mut self, text: &str, context: &mut ws::WebsocketContext<Self>) {
        match Frame::parse(text) {
            Ok(mut frame) => {
                self.dialect.operation(&frame.kind, &mut frame.fields);
                ops::run(self, frame, context);
            }
            Err((error, reference)) => Answer::new(&self.hub, &self.outbox, reference).refuse(&error),
        }
        outbox::wake_pending();
        let limit = self.hub.config().sockets.in_flight;
        // Past the limit the socket is not read until an operation has been answered.
        if self.outbox.in_flight() >= limit {
            context.wait(self.outbox.clone().below(limit).into_actor(self));
        }
    }

    fn on_binary(&mut self, bytes: &[u8], context: &mut ws::WebsocketContext<Self>) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.on_text(text, context),
            Err(_) => {
                let error = ApiError::validation("The frame is not valid UTF-8");
                Answer::new(&self.hub, &self.outbox, None).refuse(&error);
                outbox::wake_pending();
            }
        }
    }

    /// Puts fragments together; a message that grows over the frame limit closes the socket.
    fn on_fragment(&mut self, item: Item, context: &mut ws::WebsocketContext<Self>) {
        let (bytes, is_last) = match item {
            Item::FirstText(bytes) | Item::FirstBinary(bytes) => {
                self.fragments.clear();
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        if self.fragments.len() + bytes.len() > self.hub.config().sockets.max_frame_bytes {
            self.fragments = Vec::new();
            return self.fail(ws::CloseCode::Size, context);
        }
        self.fragments.extend_from_slice(&bytes);
        if is_last {
            let message = std::mem::take(&mut self.fragments);
            self.on_binary(&message, context);
        }
    }

    fn fail(&mut self, code: ws::CloseCode, context: &mut ws::WebsocketContext<Self>) {
        self.hub.metrics().closed_with(code.into());
        self.send_close(Some(ws::CloseReason { code, description: None }), context);
    }

    fn close(&mut self, notice: &CloseNotice, context: &mut ws::WebsocketContext<Self>) {
        self.hub.metrics().closed_with(notice.code);
        let reason = ws::CloseReason { code: notice.code.into(), description: Some(notice.reason.to_owned()) };
        self.send_close(Some(reason), context);
    }

    fn send_close(&mut self, reason: Option<ws::CloseReason>, context: &mut ws::WebsocketContext<Self>) {
        if !self.closing {
            self.closing = true;
            context.close(reason);
            context.run_later(CLOSE_GRACE, |_, context| context.stop());
        }
    }

    /// Pings; a peer that has been silent for two intervals is dropped without a close frame. Intervals are spread so
    /// that sockets opened together are not pinged together.
    fn watch_liveness(&self, context: &mut ws::WebsocketContext<Self>) {
        let seconds = self.hub.config().sockets.heartbeat_seconds.max(1);
        let spread = rand::random_range(0..=seconds.saturating_mul(200));
        let interval = Duration::from_millis(seconds.saturating_mul(900).saturating_add(spread));
        context.run_interval(interval, move |session, context| {
            if u128::from(session.outbox.silent_ms()) > interval.as_millis() * 2 {
                context.stop();
            } else {
                context.ping(b"");
            }
        });
    }
}

impl Actor for SocketSession {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.hub.metrics().actor_started("session");
        context.run_later(AFTER_HANDSHAKE, |session, context| {
            session.outbox.bind(context.address().recipient());
        });
        self.watch_liveness(context);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.hub.metrics().actor_stopped("session");
    }
}

impl Drop for SocketSession {
    /// Runs however the session ends, also when it panicked or its connection was cut.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.hub.metrics().actor_panicked("session");
            self.hub.metrics().actor_stopped("session");
        }
        presence::leave(&self.hub, &self.org, &self.outbox);
    }
}

impl Handler<Nudge> for SocketSession {
    type Result = ();

    fn handle(&mut self, _: Nudge, context: &mut Self::Context) {
        let drained = self.outbox.drain(DRAIN);
        for frame in drained.frames {
            context.text(self.dialect.frame(frame));
        }
        if let Some(notice) = drained.close {
            self.close(&notice, context);
        } else if drained.more {
            context.notify(Nudge);
        }
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for SocketSession {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, context: &mut Self::Context) {
        self.outbox.heard();
        if self.closing && !matches!(message, Ok(ws::Message::Close(_))) {
            return;
        }
        match message {
            Ok(ws::Message::Text(text)) => self.on_text(&text, context),
            Ok(ws::Message::Binary(bytes)) => self.on_binary(&bytes, context),
            Ok(ws::Message::Continuation(item)) => self.on_fragment(item, context),
            Ok(ws::Message::Ping(bytes)) => context.pong(&bytes),
            Ok(ws::Message::Pong(_) | ws::Message::Nop) => {}
            Ok(ws::Message::Close(reason)) => {
                self.send_close(reason, context);
                context.stop();
            }
            Err(ws::ProtocolError::Overflow) => self.fail(ws::CloseCode::Size, context),
            Err(_) => self.fail(ws::CloseCode::Protocol, context),
        }
    }
}

/// A socket that was upgraded only to be told why it cannot stay: clients act on close codes, not on HTTP statuses.
pub struct RefusedSocket {
    notice: CloseNotice,
}

impl RefusedSocket {
    /// Upgrades the request and closes it with `notice`.
    ///
    /// # Errors
    /// When the request is no WebSocket handshake.
    pub fn start(
        notice: CloseNotice,
        request: &HttpRequest,
        payload: web::Payload,
    ) -> Result<HttpResponse, actix_web::Error> {
        let protocol = offered_protocol(request);
        ws::WsResponseBuilder::new(Self { notice }, request, payload).protocols(protocol.as_slice()).start()
    }
}

/// The first subprotocol that the client offers. It means nothing here, but browsers drop a connection on which none of
/// those they offered was taken.
fn offered_protocol(request: &HttpRequest) -> Option<&str> {
    let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    offered.split(',').map(str::trim).find(|protocol| !protocol.is_empty())
}

impl Actor for RefusedSocket {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let reason =
            ws::CloseReason { code: self.notice.code.into(), description: Some(self.notice.reason.to_owned()) };
        context.close(Some(reason));
        context.run_later(CLOSE_GRACE, |_, context| context.stop());
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for RefusedSocket {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, context: &mut Self::Context) {
        if matches!(message, Ok(ws::Message::Close(_)) | Err(_)) {
            context.stop();
        }
    }
}
