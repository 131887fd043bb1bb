//! A request's body as it arrives: its minimum speed, and the accounting of its bytes while they are in memory.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, web};
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::{Sleep, sleep_until};

use super::stream::Gate;
use super::{client, guard};
use hxa_domain::error::{ApiError, ErrorCode};
use hxa_domain::pace::Pace;
use hxa_domain::shares::{Full, Holder};
use hxa_hub::auth;
use hxa_hub::hub::Hub;

/// A body that ends with an error when its client stops sending.
pub struct Paced {
    payload: Payload,
    gate: Option<Rc<Gate>>,
    pace: Pace,
    /// Set when the client is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl Paced {
    /// The body of a request.
    #[must_use]
    pub fn new(payload: Payload, request: &HttpRequest, hub: &Hub) -> Self {
        let gate = request.conn_data::<Rc<Gate>>().cloned();
        let pace = Pace::new(hub.config().pacing(), Instant::now());
        Self { payload, gate, pace, timer: None, is_waiting: false }
    }

    /// Whether the client's patience is used up; if not, the timer is set for when it will be.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            let deadline = self.pace.deadline();
            let timer = match &mut self.timer {
                Some(timer) => timer,
                None => self.timer.insert(Box::pin(sleep_until(deadline.into()))),
            };
            if timer.poll_unpin(context).is_pending() {
                return false;
            }
            if deadline <= Instant::now() {
                return true;
            }
            timer.as_mut().reset(deadline.into());
        }
    }
}

impl Stream for Paced {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.payload.poll_next_unpin(context);
        if let Some(gate) = &self.gate {
            match &next {
                Poll::Ready(None) => gate.body_ended(),
                _ => gate.body_progressed(),
            }
        }
        match &next {
            Poll::Ready(Some(Ok(piece))) => {
                if self.is_waiting {
                    self.pace.progress(piece.len(), Instant::now());
                    self.is_waiting = false;
                }
            }
            Poll::Pending => {
                if !self.is_waiting {
                    self.pace.wait(Instant::now());
                    self.is_waiting = true;
                }
                if self.is_over(context) {
                    return Poll::Ready(Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into()))));
                }
            }
            Poll::Ready(_) => {}
        }
        next
    }
}

/// The refusal of a body that broke off, if it is one that says more than that.
#[must_use]
pub fn refusal_of(error: &PayloadError) -> Option<ApiError> {
    match error {
        PayloadError::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
            Some(ApiError::new(ErrorCode::RequestTimeout, "The body stopped arriving; send it again"))
        }
        _ => None,
    }
}

/// Whom the memory of a request is counted for: the bot or person it will turn out to come from if the hub remembers its
/// credential, else a stranger at its address.
#[must_use]
pub fn holder_of(request: &HttpRequest, hub: &Hub) -> (Holder, Holder) {
    let known = auth::known_holder(hub.auth(), &guard::parts(request, ""));
    known.unwrap_or_else(|| Holder::stranger(client::client(request, hub.config()).address))
}

/// The hub behind a request.
#[must_use]
pub fn hub_of(request: &HttpRequest) -> Option<web::Data<Hub>> {
    request.app_data::<web::Data<Hub>>().cloned()
}

/// The refusal of a body that there is no room for now.
#[must_use]
pub fn no_room(hub: &Hub, full: Full) -> ApiError {
    hub.metrics().limited("bodies");
    match full {
        Full::Member => too_many("Too much of your requests' bodies is being read"),
        Full::Org => too_many("Too much of the bodies of your organisation's requests is being read"),
        Full::Whole => ApiError::unavailable("Too much of all requests' bodies is being read; try again"),
    }
}

fn too_many(what: &str) -> ApiError {
    ApiError::new(ErrorCode::RateLimited, format!("{what}; try again in 1 s")).with("retry_after", 1)
}
