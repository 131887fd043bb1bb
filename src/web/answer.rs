//! Building responses: JSON with its content type, and the few other kinds.

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use super::Answer;
use super::outgoing::LARGE;
use hxa_domain::error::{ApiError, ApiResult};

/// The content type of every JSON answer.
pub const JSON: &str = "application/json; charset=utf-8";

/// Whether an answer is JSON.
#[must_use]
pub fn is_json(response: &ServiceResponse) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"application/json"))
}

/// 200 with a JSON body.
///
/// # Errors
/// 500 when the value cannot be written as JSON.
pub fn ok<T: Serialize + ?Sized>(value: &T) -> Answer {
    with_status(StatusCode::OK, value)
}

/// 201 with a JSON body.
///
/// # Errors
/// As [`ok`].
pub fn created<T: Serialize + ?Sized>(value: &T) -> Answer {
    with_status(StatusCode::CREATED, value)
}

/// Any status with a JSON body.
///
/// # Errors
/// As [`ok`].
pub fn with_status<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Answer {
    Ok(with_body(status, json(value)?))
}

/// 200 with a body that [`json`] wrote.
///
/// # Errors
/// Never; the type is that of every handler.
pub fn written(body: impl MessageBody + 'static) -> Answer {
    Ok(with_body(StatusCode::OK, body))
}

/// A JSON body. A reader thread that writes it hands over one buffer instead of many rows.
///
/// # Errors
/// 500 when the value cannot be written as JSON.
pub fn json<T: Serialize + ?Sized>(value: &T) -> ApiResult<Vec<u8>> {
    json_of_about(value, 256)
}

/// The same, of about so many bytes: a body that is grown as it is written is copied again and again.
///
/// # Errors
/// As [`json`].
pub fn json_of_about<T: Serialize + ?Sized>(value: &T, bytes: usize) -> ApiResult<Vec<u8>> {
    let mut body = Vec::with_capacity(bytes);
    match serde_json::to_writer(&mut body, value) {
        Ok(()) => Ok(shrink_to_fit(body)),
        Err(error) => {
            log::error!(error:% = error; "cannot serialize a response");
            Err(ApiError::internal())
        }
    }
}

/// A body that takes no more memory than it has bytes, if those are counted (`outgoing`).
#[must_use]
pub fn shrink_to_fit(mut body: Vec<u8>) -> Vec<u8> {
    if body.len() >= LARGE {
        body.shrink_to_fit();
    }
    body
}

fn with_body(status: StatusCode, body: impl MessageBody + 'static) -> HttpResponse {
    HttpResponse::build(status).content_type(JSON).body(body)
}

/// 204 without a body.
///
/// # Errors
/// Never; the type is that of every handler.
pub fn nothing() -> Answer {
    Ok(HttpResponse::NoContent().finish())
}
