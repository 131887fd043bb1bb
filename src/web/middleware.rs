//! The middleware in front of all routes.
//!
//! Before routing it strips the base path, normalizes unusual paths, answers preflights and HEAD, and assigns the
//! request id. After it, it gives every JSON read a weak ETag (304 if the client has it already), every error a JSON
//! body, every response the request id and the security headers for browsers, and counts it all under the route's
//! template. A handler that panics causes a normal response: 500, counted.

use std::future::{Ready, ready};
use std::hash::BuildHasher;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::error::InternalError;
use actix_web::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH, ORIGIN, RANGE, SET_COOKIE, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::answer::is_json;
use super::auth::session_cookie;
use super::body::with_other_type;
use super::cors::{self, Readers};
use super::feature::Features;
use super::guard::ExtendedCookie;
use super::outgoing::{Asker, LARGE, Outgoing};
use super::route_table::{RouteTable, UNMATCHED};
use super::stream::Gate;
use super::{request_id, v0};
use hxa_domain::error::{ApiError, ErrorCode};
use hxa_domain::etag;
use hxa_hub::hub::Hub;

/// Longest request id taken from a client.
const REQUEST_ID_BYTES: usize = 128;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The middleware.
pub struct Middleware {
    hub: web::Data<Hub>,
    outgoing: Outgoing,
    routes: &'static RouteTable,
}

/// The middleware for a hub with these features; all its workers share `outgoing`.
#[must_use]
pub fn middleware(hub: &web::Data<Hub>, outgoing: &Outgoing, features: &'static Features) -> Middleware {
    Middleware { hub: hub.clone(), outgoing: outgoing.clone(), routes: features.table() }
}

impl<S, B> Transform<S, ServiceRequest> for Middleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = MiddlewareService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let (hub, outgoing) = (self.hub.clone(), self.outgoing.clone());
        ready(Ok(MiddlewareService { service, hub, outgoing, routes: self.routes }))
    }
}

/// The middleware in one worker.
pub struct MiddlewareService<S> {
    service: S,
    hub: web::Data<Hub>,
    outgoing: Outgoing,
    routes: &'static RouteTable,
}

/// What is remembered of a request until its answer.
struct Passing {
    hub: web::Data<Hub>,
    gate: Option<Rc<Gate>>,
    started: Instant,
    request_id: HeaderValue,
    label: &'static str,
    /// The label of the route that a preflight asks for, else its own.
    asked: &'static str,
    method: Method,
}

impl<S, B> Service<ServiceRequest> for MiddlewareService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let passing = Passing::enter(&mut request, &self.hub, self.routes);
        if let Some(answer) = cors::preflight(&request, &self.hub.config().server.cors_origins) {
            let response = passing.leave(request.into_response(answer));
            return Box::pin(async { Ok(response) });
        }
        if passing.is_out_of_place() {
            let refusal = ApiError::unavailable("The hub does not know whether the database is still its own");
            let response = passing.leave(request.into_response(refusal.error_response()));
            return Box::pin(async { Ok(response) });
        }
        // What a handler shares with others is behind locks that no panic leaves in a state of its own.
        let begun = catch_unwind(AssertUnwindSafe(|| self.service.call(request)));
        let outgoing = self.outgoing.clone();
        Box::pin(async move {
            let answered = match begun {
                Ok(answer) => AssertUnwindSafe(answer).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            match answered {
                Ok(answer) => {
                    let answer = answer?.map_into_boxed_body();
                    Ok(if passing.reads() && is_large(&answer) {
                        passing.leave_large(answer, &outgoing).await
                    } else {
                        passing.leave(answer)
                    })
                }
                // The panic has been logged where it happened.
                Err(_) => Err(passing.panicked()),
            }
        })
    }
}

impl Passing {
    fn enter(request: &mut ServiceRequest, hub: &web::Data<Hub>, routes: &'static RouteTable) -> Self {
        let started = Instant::now();
        let gate = request.conn_data::<Rc<Gate>>().cloned();
        if let Some(gate) = &gate {
            gate.begin(has_body(request));
        }
        let request_id = request_id(request);
        strip_base_path(request, hub.config().server.base_path.as_str());
        let method = request.method().clone();
        if method == Method::HEAD {
            // The connection knows that it answers a HEAD and leaves the body out.
            request.head_mut().method = Method::GET;
            request.extensions_mut().insert(AskedByHead);
            // Ranges are for GET only: the headers are those of the whole.
            request.headers_mut().remove(RANGE);
        }
        if let Some(path) = v0::enter(request, routes) {
            set_path(request, &path);
        }
        let found = routes.find(request.match_info().as_str());
        let label = found.map_or_else(|| unlisted(request, routes), |found| found.label(request.method()));
        let wanted = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| method == Method::OPTIONS);
        let wanted = wanted.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
        let asked = wanted.zip(found).map_or(label, |(method, found)| found.label(&method));
        if let Some(path) = found.and_then(|found| found.respelled(request.path())) {
            set_path(request, &path);
        }
        Self { hub: hub.clone(), gate, started, request_id, label, asked, method }
    }

    /// Whether the hub must answer nothing out of its memory, because another one may have taken its place.
    fn is_out_of_place(&self) -> bool {
        const ABOUT_ITSELF: [&str; 4] = ["GET /livez", "GET /readyz", "GET /health", "GET /metrics"];
        !self.hub.store().holds_lease() && !ABOUT_ITSELF.contains(&self.label)
    }

    fn leave(self, mut response: ServiceResponse) -> ServiceResponse {
        response = v0::translated(with_other_type(response), self.label);
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            response = with_json_refusal(response);
        } else if status == StatusCode::OK && self.reads() {
            response = with_etag(response);
        }
        self.finish(response)
    }

    /// Whether the request asks for something. What was done is answered whatever else is under way.
    fn reads(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// As [`Self::leave`], for a large body: what has to be done with every byte is done on another thread.
    async fn leave_large(self, response: ServiceResponse, outgoing: &Outgoing) -> ServiceResponse {
        let (request, response) = response.into_parts();
        let (mut response, body) = response.into_parts();
        let bytes = match body.try_into_bytes() {
            Ok(bytes) => bytes,
            Err(body) => return self.leave(ServiceResponse::new(request, response.set_body(body))),
        };
        let asker = Asker::of(&request);
        let room = match outgoing.reserve(asker, bytes.len(), self.hub.metrics()) {
            Ok(room) => room,
            Err(refusal) => return self.finish(ServiceResponse::new(request, refusal.error_response())),
        };
        let wants_tag = response.status() == StatusCode::OK && !response.headers().contains_key(ETAG);
        let dialect = v0::translates(&request, self.label);
        let work = move || {
            let bytes = dialect.and_then(|dialect| dialect.translate_body(&bytes)).map_or(bytes, Bytes::from);
            let tag = wants_tag.then(|| tag_of(&bytes));
            (bytes, tag)
        };
        let outcome = match self.hub.store().work_for(asker.org(), work).await {
            Ok((bytes, tag)) => {
                if let Some(tag) = tag.as_deref().and_then(|tag| HeaderValue::from_str(tag).ok()) {
                    response.headers_mut().insert(ETAG, tag);
                }
                if tag.is_some_and(|tag| has_current(&request, &tag)) {
                    return self.finish(unchanged(request, response));
                }
                room.body(bytes, self.hub.metrics())
            }
            Err(refusal) => Err(refusal),
        };
        self.finish(match outcome {
            Ok(body) => ServiceResponse::new(request, response.set_body(body)),
            Err(refusal) => ServiceResponse::new(request, refusal.error_response()),
        })
    }

    /// Gives an answer its last headers.
    fn finish(self, mut response: ServiceResponse) -> ServiceResponse {
        let origin = response.request().headers().get(ORIGIN).cloned();
        let extended = response.request().extensions().get::<ExtendedCookie>().cloned();
        let secure = !self.hub.config().server.dev_mode;
        let headers = response.headers_mut();
        if let Some(cookie) = extended.filter(|_| !headers.contains_key(SET_COOKIE)) {
            let cookie = session_cookie(&cookie.value, cookie.session.expires_at(), self.hub.now(), secure);
            if let Ok(value) = HeaderValue::from_str(&cookie) {
                headers.append(SET_COOKIE, value);
            }
        }
        cors::share(headers, &Readers::of(&self.hub.config().server, self.asked), origin.as_ref());
        self.stamp(response.response_mut());
        response
    }

    /// The request itself went down with its handler, so the answer travels as an error.
    fn panicked(self) -> Error {
        self.hub.metrics().actor_panicked("handler");
        let mut response = ApiError::internal().error_response();
        self.stamp(&mut response);
        InternalError::from_response("the handler panicked", response).into()
    }

    /// Gives an answer the headers that every one has, and counts it.
    fn stamp(&self, response: &mut HttpResponse) {
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REQUEST_ID, self.request_id.clone());
        if let Some(gate) = &self.gate {
            gate.end(self.method == Method::HEAD);
        }
        self.count(response.status());
    }

    fn count(&self, status: StatusCode) {
        let elapsed = self.started.elapsed();
        self.hub.metrics().request(self.label, status.as_u16(), elapsed);
        let id = self.request_id.to_str().unwrap_or_default();
        // Hundredths are as much as anybody reads.
        let ms = (elapsed.as_secs_f64() * 100_000.0).round() / 100.0;
        let (route, status) = (self.label, status.as_u16());
        if status >= 500 {
            log::warn!(route, status, ms, request_id = id; "request failed");
        } else {
            log::debug!(route, status, ms, request_id = id; "request");
        }
    }
}

/// Marks a request that a route sees as GET and that was HEAD.
struct AskedByHead;

/// Whether a request was HEAD: for routes whose GET has effects.
#[must_use]
pub fn is_head(request: &HttpRequest) -> bool {
    request.extensions().contains::<AskedByHead>()
}

/// Routes that the document does not describe.
fn unlisted(request: &ServiceRequest, routes: &'static RouteTable) -> &'static str {
    match request.path() {
        "/ws" => "GET /ws",
        path if request.method() == Method::GET => routes.page(path),
        _ => UNMATCHED,
    }
}

/// The client's name for the request if it is a sane one, else a new one.
fn request_id(request: &ServiceRequest) -> HeaderValue {
    let is_sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    let given = request.headers().get(REQUEST_ID).filter(|id| {
        let bytes = id.as_bytes();
        !bytes.is_empty() && bytes.len() <= REQUEST_ID_BYTES && bytes.iter().all(is_sane)
    });
    given.cloned().unwrap_or_else(request_id::new)
}

/// Whether more than its head is announced of a request.
fn has_body(request: &ServiceRequest) -> bool {
    let length = request.headers().get(CONTENT_LENGTH).map(HeaderValue::as_bytes);
    length.is_some_and(|length| length != b"0") || request.headers().contains_key(TRANSFER_ENCODING)
}

/// Paths work with the base path and without it.
fn strip_base_path(request: &mut ServiceRequest, base: &str) {
    if base.is_empty() {
        return;
    }
    let rest = match request.path().strip_prefix(base) {
        Some("") => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => return,
    };
    set_path(request, &rest);
}

fn set_path(request: &mut ServiceRequest, path: &str) {
    let path_and_query = match request.uri().query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    let mut parts = request.uri().clone().into_parts();
    let Ok(path_and_query) = path_and_query else { return };
    parts.path_and_query = Some(path_and_query);
    if let Ok(uri) = Uri::from_parts(parts) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
}

/// Refusals of the framework speak the hub's words.
fn with_json_refusal(response: ServiceResponse) -> ServiceResponse {
    if is_json(&response) {
        return response;
    }
    let status = response.status();
    let code = match status {
        StatusCode::UNAUTHORIZED => ErrorCode::AuthRequired,
        StatusCode::FORBIDDEN => ErrorCode::Forbidden,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => ErrorCode::NotFound,
        StatusCode::REQUEST_TIMEOUT => ErrorCode::RequestTimeout,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::PayloadTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
        StatusCode::SERVICE_UNAVAILABLE => ErrorCode::Unavailable,
        status if status.is_server_error() => ErrorCode::Internal,
        _ => ErrorCode::Validation,
    };
    let sentence = match response.response().error() {
        Some(error) if status.is_client_error() => error.to_string(),
        _ => status.canonical_reason().unwrap_or("The request was refused").to_owned(),
    };
    let (request, old) = response.into_parts();
    let mut new = ApiError::new(code, sentence).with_status(status.as_u16()).error_response();
    for (name, value) in old.headers().iter().filter(|(name, _)| **name != CONTENT_TYPE) {
        new.headers_mut().append(name.clone(), value.clone());
    }
    ServiceResponse::new(request, new)
}

/// Gives a JSON answer an ETag of its body, and spares a client that body if it has it.
fn with_etag(response: ServiceResponse) -> ServiceResponse {
    if !is_json(&response) || response.headers().contains_key(ETAG) {
        return response;
    }
    let (request, response) = response.into_parts();
    let (mut response, body) = response.into_parts();
    let bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        Err(body) => return ServiceResponse::new(request, response.set_body(body)),
    };
    let tag = tag_of(&bytes);
    let is_known = has_current(&request, &tag);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    if is_known {
        return unchanged(request, response);
    }
    ServiceResponse::new(request, response.set_body(BoxBody::new(bytes)))
}

/// The weak tag of a body.
fn tag_of(bytes: &[u8]) -> String {
    // The same for every process, and an answer is read once more for it, so it has to be fast.
    let hash = foldhash::quality::FixedState::default().hash_one(bytes);
    format!("W/\"{:x}-{hash:016x}\"", bytes.len())
}

/// 304 with an answer's headers.
fn unchanged(request: HttpRequest, mut response: HttpResponse<()>) -> ServiceResponse {
    response.headers_mut().remove(CONTENT_TYPE);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    ServiceResponse::new(request, response.set_body(BoxBody::new(())))
}

/// Whether an answer's body is JSON that is too much to be read through on a thread that serves.
fn is_large(response: &ServiceResponse) -> bool {
    let large = u64::try_from(LARGE).unwrap_or(u64::MAX);
    matches!(response.response().body().size(), BodySize::Sized(size) if size >= large) && is_json(response)
}

/// Whether the client has the version with this tag already and does not insist on reading it again.
#[must_use]
pub fn has_current(request: &HttpRequest, tag: &str) -> bool {
    let headers = |name| request.headers().get_all(name).filter_map(|value| value.to_str().ok());
    let insists = headers(CACHE_CONTROL).any(|value| value.to_ascii_lowercase().contains("no-cache"));
    !insists && headers(IF_NONE_MATCH).any(|known| etag::lists(known, tag))
}
