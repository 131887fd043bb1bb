//! Why a request is refused, as the protocol numbers it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

/// A refused request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The transport is missing or unknown.
    UnknownTransport,
    /// There is no session with this id.
    UnknownSession,
    /// The method is none of those a handshake or session takes.
    BadMethod,
    /// Anything else that is wrong with a request.
    BadRequest,
    /// The origin is not allowed.
    Origin,
    /// The protocol's version is not 4.
    UnsupportedVersion,
    /// A body is too large.
    TooLarge,
    /// A client has too many sessions, or makes them too fast.
    TooMany,
    /// The server has too many sessions.
    Overloaded,
    /// The server is shutting down.
    ShuttingDown,
}

impl Refusal {
    fn parts(self) -> (StatusCode, u8, &'static str) {
        match self {
            Self::UnknownTransport => (StatusCode::BAD_REQUEST, 0, "Transport unknown"),
            Self::UnknownSession => (StatusCode::BAD_REQUEST, 1, "Session ID unknown"),
            Self::BadMethod => (StatusCode::BAD_REQUEST, 2, "Bad handshake method"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, 3, "Bad request"),
            Self::Origin => (StatusCode::FORBIDDEN, 4, "Origin not allowed"),
            Self::UnsupportedVersion => (StatusCode::BAD_REQUEST, 5, "Unsupported protocol version"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 3, "Payload too large"),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, 3, "Too many sessions"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, 3, "Too many sessions"),
            Self::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, 3, "Server is shutting down"),
        }
    }

    pub fn response(self) -> HttpResponse {
        let (status, code, message) = self.parts();
        HttpResponse::build(status).json(json!({ "code": code, "message": message }))
    }
}
