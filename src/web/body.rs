//! Request bodies: JSON objects, parsed as the protocol's clients expect, each as the type of its route.
//!
//! Only `application/json` is parsed; any other body, and none at all, is an object without fields, and so is an array.
//! A malformed body or one that is not an object is refused with 400, one that is too large with 413, one that stalls
//! with 408, all before anything is executed. Bodies of all requests share a bounded amount of memory; on routes that
//! need no credential they are also small.

use std::marker::PhantomData;

use actix_web::dev::{Payload, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use actix_web::{FromRequest, HttpMessage, HttpRequest, ResponseError};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use super::paced::{self, Paced};
use crate::dialect::Dialect;
use hxa_domain::draft::{Draft, Parsed};
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::json_cost::parsed_bytes;
use hxa_domain::shares::{Holder, Share};
use hxa_domain::text::Fields;
use hxa_hub::hub::Hub;

/// A body of so many bytes is not counted: its connection takes more.
const UNCOUNTED: usize = 4096;
/// Nor is what it becomes when it is parsed, up to so many bytes.
const CHEAP: usize = 16 * 1024;
/// Room that is made at first for a body that does not come as a whole.
const FIRST_ROOM: usize = 4096;
/// Longest content type that a refusal repeats.
const SHOWN: usize = 100;

/// A JSON body that is read as a draft, and the memory it is counted for until the request is answered.
pub struct Body<T> {
    fields: Fields,
    #[expect(dead_code, reason = "gives the memory back when it is dropped")]
    share: Option<Share<Holder>>,
    draft: PhantomData<fn() -> T>,
}

impl<T: Draft> Body<T> {
    /// The fields as they came (in the words of the current protocol), for a fingerprint. None are left once the
    /// draft is read.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Reads the draft; a refusal of its fields is kept for later.
    pub fn parsed(&mut self) -> Parsed<T> {
        Parsed::of_body(std::mem::take(&mut self.fields))
    }

    /// Reads the draft.
    ///
    /// # Errors
    /// The refusal of its fields.
    pub fn draft(&mut self) -> ApiResult<T> {
        self.parsed().draft()
    }
}

impl<T: 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, ApiResult<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limit = paced::hub_of(request).map_or(0, |hub| hub.config().server.max_body_bytes);
        let read = read(request.clone(), payload.take(), limit);
        Box::pin(async { read.await.map(Self::from) })
    }
}

impl<T> From<Counted> for Body<T> {
    fn from(Counted { fields, share }: Counted) -> Self {
        Self { fields, share, draft: PhantomData }
    }
}

/// A body that came, or may have come, without a credential.
pub struct StrangerBody<T>(Body<T>);

impl<T: Draft> StrangerBody<T> {
    /// Reads the draft.
    ///
    /// # Errors
    /// The refusal of its fields.
    pub fn draft(&mut self) -> ApiResult<T> {
        self.0.draft()
    }
}

impl<T: 'static> FromRequest for StrangerBody<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, ApiResult<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let server = |hub: &Hub| hub.config().server.max_stranger_body_bytes.min(hub.config().server.max_body_bytes);
        let limit = paced::hub_of(request).map_or(0, |hub| server(&hub));
        let read = read(request.clone(), payload.take(), limit);
        Box::pin(async { read.await.map(|counted| Self(counted.into())) })
    }
}

/// A body of any type as it came, and the memory it is counted for.
pub struct RawBody {
    bytes: Vec<u8>,
    #[expect(dead_code, reason = "gives the memory back when it is dropped")]
    share: Option<Share<Holder>>,
}

impl RawBody {
    /// Reads a body of at most so many bytes.
    ///
    /// # Errors
    /// 413 when it is larger, 408 when it stalls, 429 or 503 when there is no room for it.
    pub async fn read(request: HttpRequest, payload: Payload, limit: usize) -> ApiResult<Self> {
        check_head(&request, limit)?;
        let hub = paced::hub_of(&request).ok_or_else(ApiError::internal)?;
        let mut gathered = Gathered { bytes: Vec::new(), share: None, request: &request, hub: &hub };
        gathered.collect(Paced::new(payload, &request, &hub), limit).await?;
        let Gathered { bytes, share, .. } = gathered;
        Ok(Self { bytes, share })
    }
}

impl std::ops::Deref for RawBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The fields of a JSON body, and the memory they are counted for.
struct Counted {
    fields: Fields,
    share: Option<Share<Holder>>,
}

async fn read(request: HttpRequest, payload: Payload, limit: usize) -> ApiResult<Counted> {
    check_head(&request, limit)?;
    if !is_json(&request) {
        note_other_type(&request);
        return Ok(Counted { fields: Fields::new(), share: None });
    }
    let hub = paced::hub_of(&request).ok_or_else(ApiError::internal)?;
    let mut gathered = Gathered { bytes: Vec::new(), share: None, request: &request, hub: &hub };
    gathered.collect(Paced::new(payload, &request, &hub), limit).await?;
    let cost = parsed_bytes(&gathered.bytes);
    if cost > CHEAP {
        gathered.count(cost)?;
    }
    let mut fields = parse(&gathered.bytes)?;
    let dialect = Dialect::of_request(&request);
    if dialect != Dialect::Current {
        dialect.request(&route(&request), &mut fields)?;
    }
    Ok(Counted { fields, share: gathered.share })
}

/// The bytes of a body so far, and the memory they are counted for.
struct Gathered<'a> {
    bytes: Vec<u8>,
    share: Option<Share<Holder>>,
    request: &'a HttpRequest,
    hub: &'a Hub,
}

impl Gathered<'_> {
    async fn collect(&mut self, mut body: Paced, limit: usize) -> ApiResult<()> {
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| refusal_of(&error, limit))?;
            let whole = self.bytes.len().saturating_add(piece.len());
            if whole > limit {
                return Err(too_large(limit));
            }
            if whole > self.bytes.capacity() {
                self.make_room(whole, limit)?;
            }
            self.bytes.extend_from_slice(&piece);
        }
        Ok(())
    }

    /// Room for `whole` bytes: exactly for what comes at once, else twice as much each time.
    fn make_room(&mut self, whole: usize, limit: usize) -> ApiResult<()> {
        let announced = header(self.request, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let room = match announced {
            Some(length) if length <= FIRST_ROOM => length,
            _ => whole.max(FIRST_ROOM).max(self.bytes.capacity().saturating_mul(2)).min(announced.unwrap_or(limit)),
        };
        let room = room.max(whole);
        if room > UNCOUNTED {
            self.count(room.saturating_sub(self.bytes.capacity()))?;
        }
        self.bytes.reserve_exact(room.saturating_sub(self.bytes.len()));
        Ok(())
    }

    fn count(&mut self, more: usize) -> ApiResult<()> {
        let counted = match &mut self.share {
            Some(share) => share.grow(more),
            None => {
                let (org, member) = paced::holder_of(self.request, self.hub);
                self.hub.bodies().take(org, member, more).map(|share| self.share = Some(share))
            }
        };
        counted.map_err(|full| paced::no_room(self.hub, full))
    }
}

/// The route that takes the request, as the dialects name it.
fn route(request: &HttpRequest) -> String {
    format!("{} {}", request.method(), request.match_pattern().unwrap_or_default())
}

fn header<'a>(request: &'a HttpRequest, name: &actix_web::http::header::HeaderName) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Whether the body claims to be JSON; parameters such as a charset do not matter.
fn is_json(request: &HttpRequest) -> bool {
    let kind = header(request, &CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// What a body claimed to be that was not understood; empty when it claimed nothing.
struct OtherType(String);

/// Remembers that a body was not read, for the refusal that may come of it: many routes need no body.
fn note_other_type(request: &HttpRequest) {
    let is_empty = header(request, &CONTENT_LENGTH).is_none_or(|length| length == "0");
    if is_empty && !request.headers().contains_key(TRANSFER_ENCODING) {
        return;
    }
    let given = request.headers().get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    request.extensions_mut().insert(OtherType(given.unwrap_or_default().chars().take(SHOWN).collect()));
}

/// A refusal of fields that are missing says so when there was a body that was not understood.
#[must_use]
pub fn with_other_type(response: ServiceResponse) -> ServiceResponse {
    if response.status() != StatusCode::BAD_REQUEST {
        return response;
    }
    let refusal = response.response().error().and_then(|error| error.as_error::<ApiError>());
    let Some(refusal) = refusal.filter(|refusal| refusal.code() == ErrorCode::Validation) else { return response };
    let Some(sentence) = response.request().extensions().get::<OtherType>().map(|OtherType(given)| {
        let given = if given.is_empty() { "none was given".to_owned() } else { format!("it was {given:?}") };
        format!("The body's content type was not understood: it must be application/json, and {given}")
    }) else {
        return response;
    };
    let with_cause = refusal.with_cause(&sentence).error_response();
    response.into_response(with_cause)
}

/// Refuses by the headers what need not be read.
fn check_head(request: &HttpRequest, limit: usize) -> ApiResult<()> {
    // More than a number holds is more than any limit.
    let is_long = |length: &str| length.parse::<usize>().map_or(true, |length| length > limit);
    if header(request, &CONTENT_LENGTH).is_some_and(is_long) {
        return Err(too_large(limit));
    }
    if header(request, &CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let message = "A compressed body is not accepted; send it plain";
        return Err(ApiError::new(ErrorCode::UnsupportedMediaType, message));
    }
    Ok(())
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(ErrorCode::PayloadTooLarge, format!("The body is too large (at most {limit} bytes)"))
}

fn refusal_of(error: &PayloadError, limit: usize) -> ApiError {
    match error {
        PayloadError::Overflow => too_large(limit),
        error => paced::refusal_of(error)
            .unwrap_or_else(|| ApiError::validation("The body ended early or could not be read")),
    }
}

/// Reads the fields of a body that claims to be JSON.
///
/// # Errors
/// `VALIDATION_ERROR` for malformed JSON and for anything but an object or an array.
pub fn parse(bytes: &[u8]) -> ApiResult<Fields> {
    // Tools on Windows put a byte order mark in front, which RFC 8259 lets a parser ignore.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.is_empty() {
        return Ok(Fields::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(Value::Array(_)) => Ok(Fields::new()),
        Ok(_) => Err(ApiError::validation("The body must be a JSON object")),
        Err(error) => Err(ApiError::validation(format!("The body is not valid JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests;
