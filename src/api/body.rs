//! Request bodies: JSON objects, read the way the protocol's clients expect.
//!
//! Only `application/json` is parsed; any other body, and none at all, is an object without fields, and so is an array.
//! What is malformed or no object is refused with 400, what is too large with 413, both before anything is done.

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use super::v0::dialect_of;
use crate::actors::hub::Hub;
use crate::dialect::Dialect;
use crate::domain::text::Fields;
use crate::error::{ApiError, ApiResult, ErrorCode};

/// How long a JSON body may take to arrive: a MiB at the speed of a bad telephone line. Without a limit a client that
/// sends a byte now and then keeps its connection for ever.
const WHOLE_WITHIN: std::time::Duration = std::time::Duration::from_secs(15);

/// The fields of a JSON body.
pub struct Body(pub Fields);

impl std::ops::Deref for Body {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.0
    }
}

impl FromRequest for Body {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, ApiResult<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limit = request.app_data::<web::Data<Hub>>().map_or(0, |hub| hub.config().server.max_body_bytes);
        let (is_json, payload) = (is_json(request), payload.take());
        let dialect = dialect_of(request);
        let route = if dialect == Dialect::Current { String::new() } else { route(request) };
        let refusal = check_head(request, limit).err();
        Box::pin(async move {
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
            if !is_json {
                return Ok(Self(Fields::new()));
            }
            let collected = tokio::time::timeout(WHOLE_WITHIN, collect(payload, limit)).await;
            let bytes = collected.unwrap_or_else(|_| Err(ApiError::validation("The body took too long to arrive")))?;
            let mut fields = parse(&bytes)?;
            dialect.request(&route, &mut fields)?;
            Ok(Self(fields))
        })
    }
}

/// The route that takes the request, as the dialects name it.
fn route(request: &HttpRequest) -> String {
    format!("{} {}", request.method(), request.match_pattern().unwrap_or_default())
}

/// Whether the body claims to be JSON; parameters such as a charset do not matter.
fn is_json(request: &HttpRequest) -> bool {
    let header = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = header.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// Refuses by the headers what need not be read.
fn check_head(request: &HttpRequest, limit: usize) -> ApiResult<()> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    if header(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let message = "A compressed body is not accepted; send it plain";
        return Err(ApiError::new(ErrorCode::UnsupportedMediaType, message));
    }
    Ok(())
}

async fn collect(mut payload: Payload, limit: usize) -> ApiResult<web::BytesMut> {
    let mut bytes = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| refusal_of(&error, limit))?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(ErrorCode::PayloadTooLarge, format!("The body is too large (at most {limit} bytes)"))
}

fn refusal_of(error: &PayloadError, limit: usize) -> ApiError {
    match error {
        PayloadError::Overflow => too_large(limit),
        _ => ApiError::validation("The body ended early or could not be read"),
    }
}

/// Reads the fields of a body that claims to be JSON.
///
/// # Errors
/// `VALIDATION_ERROR` for malformed JSON and for anything but an object or an array.
pub fn parse(bytes: &[u8]) -> ApiResult<Fields> {
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
mod tests {
    use super::*;

    #[test]
    fn objects_arrays_and_nothing_are_bodies() {
        assert_eq!(parse(b"{\"a\":1}").unwrap().len(), 1);
        assert!(parse(b"[1,2]").unwrap().is_empty());
        assert!(parse(b"").unwrap().is_empty());
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        for bad in ["{", " ", "null", "7", "\"a\"", "{\"a\":1}{}", "\u{feff}{}", "{\"a\":\"\\ud800\"}", &deep] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:.20}");
        }
        assert!(parse(b"{\"\xff\":1}").is_err());
    }
}
