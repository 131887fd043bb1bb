//! Which other web origins' scripts may call the hub: preflights, and what answers tell browsers.
//!
//! On a hub that lets other origins in, every `OPTIONS` is a preflight: 204 with the same methods in the same order and
//! the wanted headers as they were asked for. Whether the origin may call is told by `Access-Control-Allow-Origin` alone;
//! nothing is refused here. Cookies are never shared: there is no `Access-Control-Allow-Credentials`.

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS, CONTENT_LENGTH, HeaderMap, HeaderValue, VARY,
};

use crate::config::CorsOrigins;

/// What scripts may use.
const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");

/// What scripts of other origins may read of an answer.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Idempotency-Replayed, RateLimit-Limit, RateLimit-Policy, RateLimit-Remaining, RateLimit-Reset, Retry-After, \
     X-Request-Id",
);

/// The answer to a preflight; `None` for any other request, and on a hub that lets no other origin in.
#[must_use]
pub fn preflight(request: &ServiceRequest, origins: &CorsOrigins) -> Option<HttpResponse> {
    if *origins == CorsOrigins::None || request.method() != Method::OPTIONS {
        return None;
    }
    let mut answer = HttpResponse::NoContent();
    answer.insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS));
    answer.append_header((VARY, HeaderValue::from_static("Access-Control-Request-Headers")));
    if let Some(wanted) = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.insert_header((ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone()));
    }
    answer.insert_header((CONTENT_LENGTH, HeaderValue::from_static("0")));
    Some(answer.finish())
}

/// Adds to an answer's headers what lets a script of `origin` read it, if that is one of `origins`.
pub fn share(headers: &mut HeaderMap, origins: &CorsOrigins, origin: Option<&HeaderValue>) {
    let allowed = match origins {
        CorsOrigins::None => return,
        CorsOrigins::Any => Some(HeaderValue::from_static("*")),
        CorsOrigins::List(list) => {
            headers.append(VARY, HeaderValue::from_static("Origin"));
            origin.filter(|origin| list.iter().any(|listed| listed.as_bytes() == origin.as_bytes())).cloned()
        }
    };
    if let Some(allowed) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}
