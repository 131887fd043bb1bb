//! Bodies of these routes: JSON, or a refusal in the shape of the README.

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use crate::rules::Faults;
use crate::rules::faults::quoted;
use hxa_domain::draft::Draft;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::form::Form;
use hxa_domain::text::Fields;
use hxa_web::body::Body;

/// A JSON body as it came, and the memory it is counted for.
pub struct JsonBody {
    value: Value,
    #[expect(dead_code, reason = "gives the memory back when it is dropped")]
    counted: Body<Raw>,
}

impl JsonBody {
    /// The body.
    pub fn take(&mut self) -> Value {
        std::mem::take(&mut self.value)
    }
}

/// All fields of a body.
struct Raw(Fields);

impl Draft for Raw {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        Ok(Self(std::mem::take(body)))
    }

    fn form() -> Form {
        Form::default()
    }
}

impl FromRequest for JsonBody {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, ApiResult<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if let Some(kind) = other_type(request) {
            let fault = format!("The body's content type must be application/json, and it was {}", quoted(&kind));
            return Box::pin(async { Err(Faults::one("", fault).into()) });
        }
        let read = Body::<Raw>::from_request(request, payload);
        Box::pin(async {
            let mut counted = read.await.map_err(in_shape)?;
            let Raw(fields) = counted.draft()?;
            Ok(Self { value: Value::Object(fields), counted })
        })
    }
}

/// The content type of a body that is there and claims to be no JSON.
fn other_type(request: &HttpRequest) -> Option<String> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let is_empty = header(CONTENT_LENGTH).is_none_or(|length| length == "0");
    if is_empty && !request.headers().contains_key(TRANSFER_ENCODING) {
        return None;
    }
    let given = header(CONTENT_TYPE).unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim();
    (!kind.eq_ignore_ascii_case("application/json")).then(|| given.to_owned())
}

/// A body that cannot be read is a fault of the whole.
fn in_shape(refusal: ApiError) -> ApiError {
    match refusal.code() {
        ErrorCode::Validation => Faults::one("", refusal.message()).into(),
        _ => refusal,
    }
}
