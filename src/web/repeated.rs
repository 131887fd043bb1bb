//! Idempotent requests: routes that create something take an `Idempotency-Key`, and a repeated request gets the stored
//! response instead of being executed again.
//!
//! A repetition is recognised before its rate is charged. Only successful responses are stored: a refused request may
//! be retried under the same key.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use serde::Serialize;

use super::answer::JSON;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::idempotency;
use hxa_domain::text::Fields;
use hxa_hub::core::call::Receipt;
use hxa_hub::core::caller::BotCaller;
use hxa_hub::core::idempotency::{Claim, Taken, claim};
use hxa_hub::hub::Hub;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The key of a request, if it has one, and what the request is about. Nothing is checked before the caller is known.
pub struct Once {
    given: Vec<HeaderValue>,
    operation: String,
}

impl FromRequest for Once {
    type Error = ApiError;
    type Future = Ready<ApiResult<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let given: Vec<HeaderValue> = request.headers().get_all(KEY).cloned().collect();
        let operation = match given.as_slice() {
            [] => String::new(),
            _ => format!("{} {}", request.method(), request.path()),
        };
        ready(Ok(Self { given, operation }))
    }
}

/// What there is to do for a request.
pub enum Todo {
    /// It was answered before; this is the answer.
    Nothing(Remembered),
    /// It is to be done, and remembered if it has a key.
    Everything(Option<Claim>),
}

/// An answer of before, as JSON.
pub struct Remembered(String);

impl Remembered {
    /// The answer, marked as a repetition.
    #[must_use]
    pub fn answer(self) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.insert_header((REPLAYED, HeaderValue::from_static("true")));
        response.content_type(JSON).body(self.0)
    }
}

impl Once {
    /// Finds out what there is to do.
    ///
    /// # Errors
    /// 400 for a key that is none, 409 when it stands for another request or its request is under way.
    pub async fn begin(self, hub: &Hub, caller: &BotCaller, fields: &Fields) -> ApiResult<Todo> {
        let given = match self.given.as_slice() {
            [] => return Ok(Todo::Everything(None)),
            [one] => one.to_str().unwrap_or_default(),
            _ => return Err(ApiError::validation("Idempotency-Key must be given once")),
        };
        let key = idempotency::key("Idempotency-Key", given)?;
        Ok(match claim(hub, caller, key, &self.operation, fields).await? {
            Taken::Answered(json) => Todo::Nothing(Remembered(json)),
            Taken::New(claim) => Todo::Everything(Some(claim)),
        })
    }
}

/// The receipt of a request with a key; `render` writes its answer with [`json`].
pub fn receipt<A>(
    claim: Option<Claim>,
    render: impl FnOnce(&A) -> serde_json::Result<String> + Send + 'static,
) -> Option<Receipt<A>> {
    claim.map(|claim| Receipt::new(claim, render))
}

/// A value as the JSON text of its answer.
///
/// # Errors
/// When the value cannot be written as JSON.
pub fn json<T: Serialize>(value: &T) -> serde_json::Result<String> {
    serde_json::to_string(value)
}
