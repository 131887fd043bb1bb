//! The session actor: one per live socket, and the only code that uses the WebSocket crate.
//!
//! The session parses frames in arrival order; its output waits in its send queue, from which `Sending` takes what the
//! connection accepts. The session cannot detect that its own peer has stopped reading: while a write is blocked the
//! actor is not polled at all. That is the sweep's job (see `hxa_hub::janitor`), which checks sockets by their send
//! queue and their last activity.

mod dispatch;
mod operations;
mod repeated;
pub mod resume;
mod subscriptions;

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready as ready_or_return};
use std::time::Duration;

use actix::prelude::*;
use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::rt::time::{sleep, timeout};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws;
use bytes::Bytes;
use futures_util::future::ready;
use futures_util::{Stream, StreamExt, stream};

use super::connection::Connection;
use super::decoder::{Bounds, Broken, Decoder, Incoming};
use super::frame::{Frame, Responder};
use super::inbound::{Inbound, Tap};
use super::sending::Sending;
use crate::dialect::Dialect;
use hxa_domain::error::ApiError;
use hxa_domain::frame::{Reference, reference_of};
use hxa_hub::core::caller::BotCaller;
use hxa_hub::core::operations::{Meter, cost_of};
use hxa_hub::core::org_state::OrgState;
use hxa_hub::fanout::flight::FlightLimits;
use hxa_hub::fanout::send_queue::{CloseNotice, Finish, SendQueue, WakeBatch};
use hxa_hub::hub::Hub;
use hxa_hub::presence;

/// How long the 101 gets to leave before the first event may follow: clients that attach their listener a moment after
/// the handshake lose frames that arrive in the same segment.
const AFTER_HANDSHAKE: Duration = Duration::from_millis(5);
/// How long a peer may take to answer a close frame.
const CLOSE_GRACE: Duration = Duration::from_secs(5);
/// How long a connection stays whose close nobody can answer any more, because it is not read.
const BROKEN_GRACE: Duration = Duration::from_secs(1);

/// How long a close gets to be read by a client that sends more than is read, and whose connection is then gone at once.
const LAST_WORD: Duration = Duration::from_millis(100);

/// What operations do with their session's context.
pub(super) type SocketContext = ws::WebsocketContext<SocketSession>;

/// A live socket's actor.
pub struct SocketSession {
    pub(super) hub: Hub,
    pub(super) org: Arc<OrgState>,
    /// The bot that speaks; `None` for an admin's socket.
    pub(super) caller: Option<BotCaller>,
    pub(super) send_queue: Arc<SendQueue>,
    pub(super) topics: Vec<uuid::Uuid>,
    /// The words of the client.
    pub(super) dialect: Dialect,
    /// What its operations are charged to.
    pub(super) meter: Meter,
    pub(super) tap: Rc<Tap>,
    closing: bool,
}

impl SocketSession {
    /// A session over a registered send queue.
    #[must_use]
    pub fn new(hub: Hub, org: Arc<OrgState>, caller: Option<BotCaller>, send_queue: Arc<SendQueue>) -> Self {
        let (dialect, tap) = (Dialect::default(), Rc::default());
        let meter = hub.operations().meter(org.id, send_queue.info.bot);
        Self { hub, org, caller, send_queue, topics: Vec::new(), dialect, meter, tap, closing: false }
    }

    /// The same session with a client of this dialect.
    #[must_use]
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Upgrades the request and starts the session.
    ///
    /// # Errors
    /// When the request is no WebSocket handshake.
    pub fn start(self, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, actix_web::Error> {
        let sockets = &self.hub.config().sockets;
        let bounds =
            Bounds { message_bytes: sockets.max_frame_bytes, frames_per_second: sockets.control_frames_per_second };
        let (tap, send_queue, dialect) = (self.tap.clone(), self.send_queue.clone(), self.dialect);
        let inbound = Inbound::new(payload, Decoder::new(bounds), tap.clone());
        let session = SocketContext::with_factory(stream::pending(), move |context| {
            context.add_stream(inbound);
            self
        });
        upgrade(request, Sending::new(session, send_queue, dialect), tap)
    }

    fn on_text(&mut self, text: &str, context: &mut SocketContext) {
        let _batch = WakeBatch::begin();
        if self.is_admitted(text.len(), || reference_of(text)) {
            match Frame::parse(text) {
                Ok(mut frame) => {
                    self.dialect.operation(&frame.kind, &mut frame.fields);
                    dispatch::run(self, frame, context);
                }
                Err((error, reference)) => self.answer(reference).refuse(&error),
            }
        }
        let sockets = &self.hub.config().sockets;
        let limits = FlightLimits { operations: sockets.in_flight, bytes: sockets.max_frame_bytes };
        // Past the limit the socket is not read until an operation has been answered.
        if self.send_queue.flight().is_full(limits) {
            let send_queue = self.send_queue.clone();
            context.wait(async move { send_queue.flight().room(limits).await }.into_actor(self));
        }
    }

    fn on_binary(&mut self, bytes: &[u8], context: &mut SocketContext) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.on_text(text, context),
            Err(_) => {
                if self.is_admitted(bytes.len(), || None) {
                    self.answer(None).refuse(&ApiError::validation("The frame is not valid UTF-8"));
                }
            }
        }
    }

    /// Counts and charges a frame of this size, whatever it turns out to be. Beyond the rate it is refused, and the socket
    /// not read for as long as it takes to have earned it.
    fn is_admitted(&self, size: usize, reference: impl FnOnce() -> Option<Reference>) -> bool {
        self.hub.metrics().op();
        match self.hub.charge_operations(&self.meter, &self.org, cost_of(size).saturating_add(1)) {
            Ok(()) => true,
            Err(refused) => {
                self.answer(reference()).refuse(&refused.error);
                self.tap.pause(refused.pause);
                false
            }
        }
    }

    /// Charges what it would be wrong to refuse.
    pub(super) fn owe(&self, cost: u64) {
        self.hub.owe_operations(&self.meter, &self.org, cost);
    }

    pub(super) fn answer(&self, reference: Option<Reference>) -> Responder {
        Responder::new(&self.hub, &self.send_queue, reference)
    }

    fn fail(&mut self, broken: Broken, context: &mut SocketContext) {
        if broken == Broken::TooMany {
            self.hub.metrics().limited("control_frames");
        }
        self.close(&CloseNotice { code: broken.close_code(), reason: broken.reason() }, context);
        context.run_later(BROKEN_GRACE, |_, context| context.stop());
    }

    fn close(&mut self, notice: &CloseNotice, context: &mut SocketContext) {
        self.hub.metrics().closed_with(notice.code);
        let reason = ws::CloseReason { code: notice.code.into(), description: Some(notice.reason.to_owned()) };
        self.send_close(Some(reason), context);
    }

    fn send_close(&mut self, reason: Option<ws::CloseReason>, context: &mut SocketContext) {
        if !self.closing {
            self.closing = true;
            self.tap.close();
            self.send_queue.end();
            context.close(reason);
            context.run_later(CLOSE_GRACE, |_, context| context.stop());
        }
    }

    /// Pings; a peer that has been silent for two intervals is dropped without a close frame. Intervals are spread so
    /// that sockets opened together are not pinged together.
    fn watch_liveness(&self, context: &mut SocketContext) {
        let seconds = self.hub.config().sockets.heartbeat_seconds.max(1);
        let spread = rand::random_range(0..=seconds.saturating_mul(200));
        let interval = Duration::from_millis(seconds.saturating_mul(900).saturating_add(spread));
        context.run_interval(interval, move |session, context| {
            if u128::from(session.send_queue.silent_ms()) > interval.as_millis() * 2 {
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
            session.send_queue.bind(context.address().recipient());
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
        presence::leave(&self.hub, &self.org, &self.send_queue);
    }
}

impl Handler<Finish> for SocketSession {
    type Result = ();

    fn handle(&mut self, _: Finish, context: &mut Self::Context) {
        if let Some(notice) = self.send_queue.close_notice() {
            self.close(&notice, context);
        }
    }
}

impl StreamHandler<Result<Incoming, Broken>> for SocketSession {
    fn handle(&mut self, incoming: Result<Incoming, Broken>, context: &mut SocketContext) {
        self.send_queue.heard();
        if self.closing && !matches!(incoming, Ok(Incoming::Close(_))) {
            return;
        }
        match incoming {
            Ok(Incoming::Text(text)) => self.on_text(&text, context),
            Ok(Incoming::Binary(bytes)) => self.on_binary(&bytes, context),
            Ok(Incoming::Ping(bytes)) => context.pong(&bytes),
            Ok(Incoming::Pong) => {}
            Ok(Incoming::Close(code)) => {
                self.send_close(code.map(|code| ws::CloseReason { code: code.into(), description: None }), context);
                context.stop();
            }
            Err(broken) => self.fail(broken, context),
        }
    }
}

/// The context asks for this one. It gets its own decoder's messages above, because the crate's takes in all there is
/// before it looks at any of it.
impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for SocketSession {
    fn handle(&mut self, _: Result<ws::Message, ws::ProtocolError>, _: &mut SocketContext) {}
}

/// Answers a handshake; what is sent on the connection from then on comes from `outbound`.
fn upgrade<S>(request: &HttpRequest, outbound: S, tap: Rc<Tap>) -> Result<HttpResponse, actix_web::Error>
where
    S: Stream<Item = Result<Bytes, actix_web::Error>> + 'static,
{
    let mut answer = ws::handshake_with_protocols(request, offered_protocol(request).as_slice())?;
    let connection = request.conn_data::<Connection>().cloned();
    Ok(answer.streaming(Ending { outbound: Box::pin(outbound), connection, tap, is_over: false }))
}

/// The first subprotocol that the client offers. It means nothing here, but browsers drop a connection on which none of
/// those they offered was taken.
fn offered_protocol(request: &HttpRequest) -> Option<&str> {
    let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    offered.split(',').map(str::trim).find(|protocol| !protocol.is_empty())
}

/// What is sent on a socket, and after it the end of the connection: a client waits for it, and the server would otherwise
/// put it off and throw away what still comes in.
struct Ending<S> {
    outbound: Pin<Box<S>>,
    connection: Option<Connection>,
    tap: Rc<Tap>,
    is_over: bool,
}

impl<S: Stream> Stream for Ending<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Option<S::Item>> {
        if self.is_over {
            match self.connection.take() {
                // Its client sends more than is read, and would go on.
                Some(connection) if self.tap.is_cut_short() => connection.cut(),
                Some(connection) => connection.end(),
                None => {}
            }
            return Poll::Ready(None);
        }
        let item = ready_or_return!(self.outbound.as_mut().poll_next(context));
        if item.is_some() {
            return Poll::Ready(item);
        }
        // What was handed over before leaves between this poll and the next.
        self.is_over = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Upgrades the request only to tell why it cannot be served, by a close frame: clients act on close codes, not on HTTP
/// statuses. Nothing that the client sends is looked at but its own close.
///
/// # Errors
/// When the request is no WebSocket handshake.
pub fn refuse(
    notice: &CloseNotice,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    /// A close, and what a client may have sent before it sees that it is refused.
    const BYTES: usize = 4096;
    let tap = Rc::new(Tap::default());
    tap.leave(BYTES);
    let decoder = Decoder::new(Bounds { message_bytes: BYTES, frames_per_second: 10 });
    let (mut inbound, held) = (Inbound::new(payload, decoder, tap.clone()), tap.clone());
    let told = stream::once(ready(Ok(close_frame(notice))));
    let over = stream::once(async move {
        let heard = async { while !matches!(inbound.next().await, None | Some(Ok(Incoming::Close(_)) | Err(_))) {} };
        // A client that does not close in time is left.
        let _ = timeout(BROKEN_GRACE, heard).await;
        if held.is_cut_short() {
            // It sends on; what it was told must reach it before the connection is gone.
            sleep(LAST_WORD).await;
        }
    });
    upgrade(request, told.chain(over.filter_map(|()| ready(None))), tap)
}

fn close_frame(notice: &CloseNotice) -> Bytes {
    let reason = notice.reason.as_bytes();
    let size = u8::try_from(reason.len() + 2).unwrap_or(2);
    let told = reason.get(..usize::from(size) - 2).unwrap_or_default();
    [&[0x88, size][..], &notice.code.to_be_bytes(), told].concat().into()
}
