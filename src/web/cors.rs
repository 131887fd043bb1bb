//! CORS: which other web origins' scripts may call the hub.
//!
//! On a hub that allows other origins, every `OPTIONS` is a preflight: 204 with the same methods in the same order and
//! the requested headers echoed. Only `Access-Control-Allow-Origin` says whether the origin may call; nothing is
//! refused here. Cookies are never shared: there is no `Access-Control-Allow-Credentials`. A hub in development mode
//! allows every origin, but routes that issue credentials only allow pages of the same machine: any page that its
//! developer opens could request them.

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS, CONTENT_LENGTH, HeaderMap, HeaderValue, VARY,
};

use hxa_hub::config::{CorsOrigins, ServerConfig};

/// What scripts may use.
const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");

/// What scripts of other origins may read of an answer.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Idempotency-Replayed, Link, RateLimit-Limit, RateLimit-Policy, RateLimit-Remaining, RateLimit-Reset, \
     Retry-After, X-Has-More, X-Request-Id",
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

/// Routes whose answers hold new credentials.
const MAKE_CREDENTIALS: [&str; 15] = [
    "POST /api/auth/login",
    "POST /api/auth/register",
    "POST /api/me/rotate-token",
    "POST /api/me/tokens",
    "POST /api/me/webhook/secret",
    "POST /api/org/keys",
    "POST /api/org/rotate-secret",
    "POST /api/org/tickets",
    "POST /api/orgs",
    "POST /api/orgs/{org_id}/rotate-secret",
    "POST /api/platform/invite-codes",
    "POST /api/platform/orgs",
    "POST /api/register",
    "POST /api/ws-ticket",
    "POST /v0/api/auth/login",
];

/// Who may read an answer.
pub enum Readers<'a> {
    /// Those that are configured.
    Configured(&'a CorsOrigins),
    /// Pages of this machine.
    SameMachine,
}

impl<'a> Readers<'a> {
    /// Of the answer to a route, by its label.
    #[must_use]
    pub fn of(server: &'a ServerConfig, label: &str) -> Self {
        if server.dev_mode && server.cors_origins == CorsOrigins::Any && MAKE_CREDENTIALS.contains(&label) {
            Readers::SameMachine
        } else {
            Readers::Configured(&server.cors_origins)
        }
    }
}

/// Whether an origin is a page of this machine, on whichever port.
fn is_same_machine(origin: &HeaderValue) -> bool {
    let host = origin.to_str().ok().and_then(|origin| url::Url::parse(origin).ok());
    match host.as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Adds to an answer's headers what lets a script of `origin` read it, if that is one of `readers`.
pub fn share(headers: &mut HeaderMap, readers: &Readers<'_>, origin: Option<&HeaderValue>) {
    let allowed = match readers {
        Readers::Configured(CorsOrigins::None) => return,
        Readers::Configured(CorsOrigins::Any) => Some(HeaderValue::from_static("*")),
        Readers::SameMachine => {
            headers.append(VARY, HeaderValue::from_static("Origin"));
            origin.filter(|origin| is_same_machine(origin)).cloned()
        }
        Readers::Configured(CorsOrigins::List(list)) => {
            headers.append(VARY, HeaderValue::from_static("Origin"));
            origin.filter(|origin| list.iter().any(|listed| listed.as_bytes() == origin.as_bytes())).cloned()
        }
    };
    if let Some(allowed) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_routes_exist() {
        let document = crate::Features::new(&[]).document_text();
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        for label in MAKE_CREDENTIALS {
            let path = label.strip_prefix("POST ").unwrap();
            assert!(document["paths"][path]["post"].is_object(), "{label}");
        }
    }

    #[test]
    fn only_pages_of_this_machine_are_its_own() {
        let is = |origin: &str| is_same_machine(&HeaderValue::from_str(origin).unwrap());
        assert!(is("http://localhost:3000") && is("https://127.0.0.1") && is("http://[::1]:8080"));
        assert!(
            !is("https://evil.example")
                && !is("null")
                && !is("http://localhost.evil.example")
                && !is("http://10.0.0.1")
        );
    }
}
