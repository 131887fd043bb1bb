//! Large responses in flight.
//!
//! Small responses bypass this file. A large body is tagged, and translated for an old client, on a reader's thread,
//! because the threads that serve have other requests meanwhile. From its serialization, before that work waits for a
//! reader, until the connection takes its last byte it counts against its organisation's share of the in-flight bytes
//! ([`Shares`]): a client that does not read its responses delays only itself. The connection gets the body in slices,
//! so that it does not copy the whole.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::HttpMessage;
use actix_web::HttpRequest;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use uuid::Uuid;

use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::OrgId;
use hxa_domain::shares::{Share, Shares};
use hxa_hub::auth::Principal;
use hxa_store::metrics::Metrics;

/// Bodies from here on are large: below, the work on one is over sooner than another thread has taken it up.
pub const LARGE: usize = 128 * 1024;

/// What a connection takes at a time: about what it buffers.
const SLICE: usize = 32 * 1024;

/// What a client is told to wait: most answers have left by then.
const RETRY_AFTER_S: u64 = 1;

/// Whose answer a request will have; noted when it is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    org: Option<OrgId>,
    member: Uuid,
}

impl Asker {
    /// Notes who asks.
    pub fn note(request: &HttpRequest, principal: &Principal) {
        let asker = match principal {
            Principal::Bot(caller) => Self { org: Some(caller.org.id), member: caller.bot.id.uuid() },
            Principal::OrgAdmin { org, .. } => Self { org: Some(org.id), member: org.id.uuid() },
            Principal::Person(caller) => Self { org: Some(caller.org.id), member: caller.person.id.uuid() },
            Principal::SuperAdmin { .. } => return,
        };
        request.extensions_mut().insert(asker);
    }

    /// Who asks; strangers and the platform's people are one organisation.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        request.extensions().get().copied().unwrap_or(Self { org: None, member: Uuid::nil() })
    }

    /// The organisation.
    #[must_use]
    pub fn org(self) -> Option<OrgId> {
        self.org
    }
}

/// Bytes of large answers that are under way.
#[derive(Debug, Clone)]
pub struct Outgoing {
    shares: Arc<Shares<Uuid>>,
}

impl Outgoing {
    /// With room for so many bytes.
    #[must_use]
    pub fn new(total: usize) -> Self {
        Self { shares: Shares::new(total) }
    }

    /// Room for a large body of so many bytes, held until it has left.
    ///
    /// # Errors
    /// `ANSWERS_PENDING` when whoever asks has too much under way already.
    pub fn reserve(&self, asker: Asker, bytes: usize, metrics: &Metrics) -> ApiResult<Room> {
        let org = asker.org.map_or(Uuid::nil(), OrgId::uuid);
        self.shares.take(org, asker.member, bytes).map(Room).map_err(|_| refused(metrics))
    }
}

fn refused(metrics: &Metrics) -> ApiError {
    metrics.limited("answers");
    let message = "Too many bytes of answers are under way to this bot or its organisation; read them first";
    ApiError::new(ErrorCode::AnswersPending, message).with("retry_after", RETRY_AFTER_S)
}

/// What one large answer holds.
#[derive(Debug)]
pub struct Room(Share<Uuid>);

impl Room {
    /// The body that it was taken for, as long as that has become since.
    ///
    /// # Errors
    /// `ANSWERS_PENDING` when it has become longer than there is room for.
    pub fn body(mut self, bytes: Bytes, metrics: &Metrics) -> ApiResult<BoxBody> {
        let held = self.0.amount();
        self.0.shrink(held.saturating_sub(bytes.len()));
        self.0.grow(bytes.len().saturating_sub(held)).map_err(|_| refused(metrics))?;
        Ok(BoxBody::new(Leaving { left: bytes, _room: self }))
    }
}

/// A body that leaves slice by slice.
struct Leaving {
    left: Bytes,
    /// Held until the body is gone, because the slices are all of one piece of memory.
    _room: Room,
}

impl MessageBody for Leaving {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(u64::try_from(self.left.len()).unwrap_or(u64::MAX))
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let most = self.left.len().min(SLICE);
        Poll::Ready(Some(Ok(self.left.split_to(most))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn asker(org: u128, member: u128) -> Asker {
        let org = OrgId::parse(&Uuid::from_u128(org << 80 | 0x7 << 76 | 0b10 << 62).to_string());
        Asker { org, member: Uuid::from_u128(member) }
    }

    #[tokio::test]
    async fn a_body_counts_until_its_last_byte_has_left() {
        let (outgoing, metrics) = (Outgoing::new(400_000), Metrics::new());
        let bytes = Bytes::from(vec![7; 100_000]);
        let room = outgoing.reserve(asker(1, 1), 90_000, &metrics).unwrap();
        let mut body = room.body(bytes.clone(), &metrics).unwrap();
        let refused = outgoing.reserve(asker(1, 1), bytes.len(), &metrics).unwrap_err();
        assert_eq!((refused.code(), refused.retry_after()), (ErrorCode::AnswersPending, Some(1)));
        drop(outgoing.reserve(asker(2, 1), 70_000, &metrics).unwrap());
        let mut received = Vec::new();
        while let Some(slice) = poll_fn(|context| Pin::new(&mut body).poll_next(context)).await {
            let slice = slice.unwrap();
            assert!(slice.len() <= SLICE);
            received.extend_from_slice(&slice);
        }
        assert_eq!(received, bytes);
        drop(body);
        assert_eq!(outgoing.shares.held(), 0);
        let room = outgoing.reserve(asker(1, 1), 100_000, &metrics).unwrap();
        let refused = room.body(Bytes::from(vec![7; 300_000]), &metrics).unwrap_err();
        assert_eq!((refused.code(), outgoing.shares.held()), (ErrorCode::AnswersPending, 0));
    }
}
