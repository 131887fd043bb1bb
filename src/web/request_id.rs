//! Ids of requests that bring none.

use actix_web::http::header::HeaderValue;
use uuid::Uuid;

/// A name for a request that brings none.
#[must_use]
pub fn new() -> HeaderValue {
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let text = id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned();
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("none"))
}
