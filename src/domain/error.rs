//! The error codes of the hub.
//!
//! Every error that can leave the hub is a row of [`ErrorCode`]: its wire token, its usual HTTP status and its meaning.
//! [`ApiError`] carries a row, a sentence for people and the few extra fields of the protocol. REST renders it as a
//! JSON body and WebSocket as an `error` frame, so both transports of an operation return the same errors. Database
//! errors never reach a client verbatim: they become `UNAVAILABLE` or `INTERNAL_ERROR`.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// Declares the error table once: variant, wire token, usual status, meaning.
macro_rules! error_codes {
    ($($(#[$meta:meta])* $variant:ident = $token:literal, $status:literal, $doc:literal;)+) => {
        /// Machine-readable reason of a refusal (the `code` field of an error).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, utoipa::ToSchema)]
        pub enum ErrorCode {
            $(#[doc = $doc] $(#[$meta])* #[schema(rename = $token)] $variant,)+
        }

        impl ErrorCode {
            /// Every row of the table, in the order of the documentation.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)+];

            /// The token on the wire, `UPPER_SNAKE`.
            #[must_use]
            pub const fn token(self) -> &'static str {
                match self { $(ErrorCode::$variant => $token,)+ }
            }

            /// The HTTP status this code usually travels with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(ErrorCode::$variant => $status,)+ }
            }

            /// One sentence for the documentation.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(ErrorCode::$variant => $doc,)+ }
            }
        }
    };
}

error_codes! {
    Validation = "VALIDATION_ERROR", 400, "A field is missing, of the wrong type, too long or not among the accepted values.";
    ReservedName = "RESERVED_NAME", 400, "The bot name is reserved for mentions of everybody.";
    SelfDemotion = "SELF_DEMOTION", 400, "An admin cannot remove its own admin role, nor disable or delete itself.";
    SelfLogout = "SELF_LOGOUT", 400, "A session cannot end itself here; log out instead.";
    InvalidRef = "INVALID_REF", 400, "A session reference is 16 lower-case hex digits.";
    OrgContextRequired = "ORG_CONTEXT_REQUIRED", 400, "The caller belongs to no organisation and this route needs one.";
    UploadError = "UPLOAD_ERROR", 400, "The multipart body does not contain exactly one file part named `file`.";
    UnknownOp = "UNKNOWN_OP", 400, "The frame's `type` names no operation.";
    AuthRequired = "AUTH_REQUIRED", 401, "No usable credential came with the request.";
    InvalidToken = "INVALID_TOKEN", 401, "The bearer token is unknown or revoked.";
    TokenExpired = "TOKEN_EXPIRED", 401, "The scoped token has expired.";
    SessionInvalid = "SESSION_INVALID", 401, "The session's bot or person no longer exists.";
    InvalidCredentials = "INVALID_CREDENTIALS", 401, "The secret does not match.";
    InvalidTicket = "INVALID_TICKET", 401, "The registration ticket is unknown in this organisation; or the event stream ticket is unknown, used or expired.";
    TicketExpired = "TICKET_EXPIRED", 401, "The registration ticket has expired.";
    TicketConsumed = "TICKET_CONSUMED", 401, "The single-use registration ticket has been used.";
    InvalidInviteCode = "INVALID_INVITE_CODE", 401, "The platform invite code is unknown, expired, exhausted or revoked.";
    Forbidden = "FORBIDDEN", 403, "The caller may not do this.";
    InsufficientScope = "INSUFFICIENT_SCOPE", 403, "The token's scopes do not cover this operation.";
    BotNotActive = "BOT_NOT_ACTIVE", 403, "The bot is waiting for approval or was rejected.";
    OrgMismatch = "ORG_MISMATCH", 403, "X-Org-Id does not name the token's organisation.";
    OrgSuspended = "ORG_SUSPENDED", 403, "The organisation is suspended.";
    OrgDestroyed = "ORG_DESTROYED", 403, "The organisation has been destroyed.";
    OrgInactive = "ORG_INACTIVE", 403, "Login is not possible because the organisation is not active.";
    CsrfError = "CSRF_ERROR", 403, "A cookie-authenticated change needs an Origin of this host.";
    HumanSessionRequired = "HUMAN_SESSION_REQUIRED", 403, "Only a human session may do this, not a bot.";
    DmSendBlocked = "DM_SEND_BLOCKED", 403, "A person logged in as a bot's owner cannot send direct messages for the bot.";
    JoinRequired = "JOIN_REQUIRED", 403, "The thread must be joined first.";
    InviteOnly = "INVITE_ONLY", 403, "The thread takes new participants by invitation only.";
    WriteDenied = "WRITE_PERMISSION_DENIED", 403, "The thread's policy does not let this participant write.";
    NotFound = "NOT_FOUND", 404, "The resource does not exist or is not visible to the caller.";
    NameConflict = "NAME_CONFLICT", 409, "The bot name is taken in this organisation.";
    NameTombstoned = "NAME_TOMBSTONED", 409, "The bot name belonged to a deleted bot and is blocked.";
    RevisionConflict = "REVISION_CONFLICT", 409, "The thread has changed since the given revision.";
    ThreadClosed = "THREAD_CLOSED", 409, "The thread is resolved or closed.";
    ThreadTerminal = "THREAD_TERMINAL", 409, "The thread is resolved or closed (organisation routes).";
    AlreadyParticipant = "ALREADY_PARTICIPANT", 409, "The bot is already a participant of the thread.";
    AlreadyRequested = "ALREADY_REQUESTED", 409, "A join request of this bot is already pending.";
    InvalidTransition = "INVALID_TRANSITION", 409, "The current status does not allow this transition.";
    Conflict = "CONFLICT", 409, "The key already exists.";
    LimitReached = "LIMIT_REACHED", 409, "The bot or organisation has reached its limit of these; one must end before another can be created.";
    IdempotencyMismatch = "IDEMPOTENCY_MISMATCH", 409, "The idempotency key was already used for a different request.";
    IdempotencyInProgress = "IDEMPOTENCY_IN_PROGRESS", 409, "A request with this idempotency key is in progress; try again shortly.";
    RequestTimeout = "REQUEST_TIMEOUT", 408, "The request stalled before it was complete; send it again.";
    PayloadTooLarge = "PAYLOAD_TOO_LARGE", 413, "The request body exceeds its limit.";
    FileTooLarge = "FILE_TOO_LARGE", 413, "The uploaded file exceeds its limit.";
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", 415, "The file's type is not among the accepted ones.";
    HeadersTooLarge = "HEADERS_TOO_LARGE", 431, "The request line and headers exceed their limit.";
    RateLimited = "RATE_LIMITED", 429, "A rate limit is exceeded; retry after `retry_after` seconds.";
    AnswersPending = "ANSWERS_PENDING", 429, "Too many bytes of responses are in flight to the bot or its organisation; read them, then retry after `retry_after` seconds.";
    Internal = "INTERNAL_ERROR", 500, "The hub failed; its log has the reason under the request id.";
    ServerError = "SERVER_ERROR", 500, "The hub has no admin secret configured.";
    StorageError = "STORAGE_ERROR", 500, "The uploaded file could not be stored.";
    Unavailable = "UNAVAILABLE", 503, "The hub or its database is temporarily unavailable; try again.";
}

/// What is left of a rate, for the `RateLimit` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Admitted per window.
    pub limit: u32,
    /// Still admitted now.
    pub remaining: u32,
    /// Seconds until more is admitted than now.
    pub reset_s: u64,
    /// The window in seconds.
    pub window_s: u64,
}

impl Allowance {
    /// Adds the headers to an answer.
    pub fn write(&self, response: &mut actix_web::HttpResponse) {
        let figures = [
            ("ratelimit-limit", self.limit.to_string()),
            ("ratelimit-remaining", self.remaining.to_string()),
            ("ratelimit-reset", self.reset_s.to_string()),
            ("ratelimit-policy", format!("{};w={}", self.limit, self.window_s)),
        ];
        for (name, figure) in figures {
            if let Ok(value) = HeaderValue::from_str(&figure) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// A refusal on its way to a client: code, sentence and the protocol's extra fields.
#[derive(Debug, Clone)]
pub struct ApiError {
    code: ErrorCode,
    status: u16,
    message: Cow<'static, str>,
    extra: Option<Box<Map<String, Value>>>,
    allowance: Option<Box<Allowance>>,
}

/// Result of everything that can be refused.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// A refusal with the code's usual status. `message` says what, which value and what would be right.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status: code.status(), message: message.into(), extra: None, allowance: None }
    }

    /// 400 `VALIDATION_ERROR`.
    pub fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Validation, message)
    }

    /// 404 `NOT_FOUND` for a thing that is absent or must look absent. `what` names its kind ("Thread").
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("{what} not found"))
    }

    /// 403 `FORBIDDEN`.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Forbidden, message)
    }

    /// 429 `RATE_LIMITED`; `retry_after` in whole seconds, at least 1.
    #[must_use]
    pub fn rate_limited(retry_after: u64) -> Self {
        let retry_after = retry_after.max(1);
        Self::new(ErrorCode::RateLimited, format!("Rate limit exceeded; try again in {retry_after} s"))
            .with("retry_after", retry_after)
    }

    /// The same refusal in other words.
    #[must_use]
    pub fn saying(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Names the rate that is used up.
    #[must_use]
    pub fn under(mut self, allowance: Allowance) -> Self {
        self.allowance = Some(Box::new(allowance));
        self
    }

    /// 503 `UNAVAILABLE` with `Retry-After: 1`: the database is unavailable or a queue is full; nothing was changed.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Unavailable, message).with("retry_after", 1)
    }

    /// 409 `LIMIT_REACHED`: `whose` has `most` of `what` already.
    #[must_use]
    pub fn limit_reached(whose: &str, what: &str, most: usize) -> Self {
        let message = format!("The {whose} has {most} {what}, as many as it may; end one or wait until one has ended");
        Self::new(ErrorCode::LimitReached, message).with("scope", whose).with("most", most)
    }

    /// 500 `INTERNAL_ERROR` with a generic sentence; the cause belongs in the log, not in the answer.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(ErrorCode::Internal, "Internal server error")
    }

    /// The same refusal with another status, where the protocol uses a code under two statuses.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same refusal behind a sentence that says more of its cause.
    #[must_use]
    pub fn with_cause(&self, cause: &str) -> Self {
        let mut refusal = self.clone();
        refusal.message = format!("{cause}. {}", self.message).into();
        refusal
    }

    /// Adds an extra field to the body.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.get_or_insert_default().insert(key.to_owned(), value.into());
        self
    }

    /// The row of the error table.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The HTTP status of this refusal.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The sentence for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Seconds to wait, where the refusal says so.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        self.extra.as_ref()?.get("retry_after")?.as_u64()
    }

    /// The JSON body of a REST answer: `{error, code, …extra}`.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({ "error": self.message, "code": self.code.token() });
        if let (Some(map), Some(extra)) = (body.as_object_mut(), &self.extra) {
            map.extend(extra.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        body
    }

    /// The WebSocket frame: `{type:"error", message, code, ref?, retry_after?}`.
    #[must_use]
    pub fn frame(&self, reference: Option<&RawValue>) -> String {
        #[derive(Serialize)]
        struct Frame<'a> {
            #[serde(rename = "type")]
            kind: &'static str,
            message: &'a str,
            code: &'static str,
            #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
            reference: Option<&'a RawValue>,
            #[serde(flatten)]
            extra: Option<&'a Map<String, Value>>,
        }
        let (message, code, extra) = (&*self.message, self.code.token(), self.extra.as_deref());
        let frame = Frame { kind: "error", message, code, reference, extra };
        serde_json::to_string(&frame).unwrap_or_else(|_| json!({ "type": "error", "code": code }).to_string())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.token(), self.message)
    }
}

impl std::error::Error for ApiError {}

impl actix_web::ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> actix_web::HttpResponse {
        let mut response = actix_web::HttpResponse::build(self.status_code());
        if let Some(seconds) = self.retry_after() {
            response.insert_header(("Retry-After", seconds.to_string()));
        }
        let mut response = response.content_type("application/json; charset=utf-8").body(self.body().to_string());
        if let Some(allowance) = &self.allowance {
            allowance.write(&mut response);
        }
        response
    }
}
