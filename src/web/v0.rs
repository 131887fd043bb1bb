//! `/v0`: the hub for clients from before 1.1.
//!
//! Every route is also served under this prefix. The middleware strips the prefix and records the dialect in the
//! request; bodies, parameters and responses then pass through [`Dialect`], and handlers are not affected. The few
//! routes that only old clients know, or that had another meaning then, are described here under their full path.

mod channels;
pub mod login;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpMessage, HttpRequest};
use serde_json::Value;

use super::answer::is_json;
use super::route_table::RouteTable;
use super::routing::Routes;
use crate::dialect::Dialect;
use hxa_domain::error::ErrorCode;

/// Where old clients live.
const PREFIX: &str = "/v0";
/// Answers that are not the hub's to translate: what a client uploaded, and the document of the current protocol.
const VERBATIM: [&str; 2] = ["GET /api/files/{id}", "GET /openapi.json"];

/// Registers the routes that only old clients know.
pub fn routes(routes: &mut Routes<'_>) {
    channels::routes(routes);
    login::routes(routes);
}

/// Notes the dialect of a request under the prefix; returns the path of the route it means, when that is another.
pub fn enter(request: &ServiceRequest, routes: &RouteTable) -> Option<String> {
    let rest = below_prefix(request.path())?;
    request.extensions_mut().insert(Dialect::V0);
    if routes.find(request.match_info().as_str()).is_some() {
        return None;
    }
    Some(if rest.is_empty() { "/".to_owned() } else { rest.to_owned() })
}

/// What follows the prefix, which counts once.
fn below_prefix(path: &str) -> Option<&str> {
    let (prefix, rest) = path.split_at_checked(PREFIX.len())?;
    let is_below = prefix.eq_ignore_ascii_case(PREFIX) && (rest.is_empty() || rest.starts_with('/'));
    (is_below && !rest.to_ascii_lowercase().starts_with("/v0/")).then_some(rest)
}

/// The dialect that the JSON of an answer is to be put into, if it is another than the hub's own.
#[must_use]
pub fn translates(request: &HttpRequest, label: &str) -> Option<Dialect> {
    let dialect = Dialect::of_request(request);
    (dialect != Dialect::Current && !VERBATIM.contains(&label)).then_some(dialect)
}

/// An answer in the words of the one who asked.
#[must_use]
pub fn translated(response: ServiceResponse, label: &str) -> ServiceResponse {
    let Some(dialect) = translates(response.request(), label).filter(|_| is_json(&response)) else {
        return response;
    };
    let (request, response) = response.into_parts();
    let (mut response, body) = response.into_parts();
    let bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        Err(body) => return ServiceResponse::new(request, response.set_body(body)),
    };
    let Ok(mut value) = serde_json::from_slice::<Value>(&bytes) else {
        return ServiceResponse::new(request, response.set_body(BoxBody::new(bytes)));
    };
    dialect.answer(&mut value);
    let is_transition = value.get("code").and_then(Value::as_str) == Some(ErrorCode::InvalidTransition.token());
    if response.status() == StatusCode::BAD_REQUEST && is_transition {
        *response.status_mut() = StatusCode::CONFLICT;
    }
    response.headers_mut().remove(CONTENT_LENGTH);
    ServiceResponse::new(request, response.set_body(BoxBody::new(value.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_counts_once_and_whole() {
        assert_eq!(below_prefix("/v0/api/me"), Some("/api/me"));
        assert_eq!(below_prefix("/V0/ws"), Some("/ws"));
        assert_eq!(below_prefix("/v0"), Some(""));
        for other in ["/api/v0", "/v01/api/me", "/v0x", "/v", "", "/é", "/v0/v0/api/me"] {
            assert_eq!(below_prefix(other), None, "{other}");
        }
    }
}
