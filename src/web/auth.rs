//! `/api/auth/*`, `/api/register` and `/api/ws-ticket`: login and logout, registering a bot, WebSocket tickets.

use actix_web::http::header::SET_COOKIE;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::StrangerBody;
use super::client::client;
use super::guard::{Anyone, COOKIE, LiveSession, Visitor};
use super::registration_tickets::{self, SecretTicket};
use super::routing::Routes;
use super::shapes::{DONE, Done};
use super::{Answer, answer, bots, examples};
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{BotId, OrgId, PersonId};
use hxa_domain::login::{Login, LoginRequest};
use hxa_domain::people::PersonRole;
use hxa_domain::profile::RegisterRequest;
use hxa_domain::scope::{Scope, ScopeSet};
use hxa_domain::standing::{JoinStatus, SessionRole};
use hxa_hub::auth::{self, Session};
use hxa_hub::hub::Hub;
use hxa_hub::wire::BotView;
use hxa_hub::{admission, identity, ws_tickets};

/// The routes of this file.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(issue_ws_ticket).service(log_in).service(show_session).service(log_out);
    routes.service(register_bot).service(register_bot_alias);
}

/// The `Set-Cookie` of a session.
#[must_use]
pub fn session_cookie(value: &str, expires_at: i64, now: i64, secure: bool) -> String {
    let seconds = expires_at.saturating_sub(now).max(0) / 1000;
    format!("{COOKIE}={value}; Max-Age={seconds}; Path=/; Expires={}{}", http_date(expires_at), attributes(secure))
}

fn cleared_cookie(secure: bool) -> String {
    format!("{COOKIE}=; Path=/; Expires={}{}", http_date(0), attributes(secure))
}

fn attributes(secure: bool) -> &'static str {
    if secure { "; HttpOnly; Secure; SameSite=Strict" } else { "; HttpOnly; SameSite=Strict" }
}

fn http_date(ms: i64) -> String {
    let date = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The session that a login opened.
#[derive(Serialize, ToSchema)]
pub struct NewSession {
    role: SessionRole,
    /// Absent for the platform's admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    org_id: Option<OrgId>,
    /// Of those who act as a bot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    bot_id: Option<BotId>,
    /// Of an organisation's people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    person: Option<SessionPerson>,
    expires_at: i64,
}

/// The person whose session it is.
#[derive(Serialize, ToSchema)]
pub struct SessionPerson {
    id: PersonId,
    handle: String,
    display_name: String,
    role: PersonRole,
    /// False until a password is set, which a login link lets do.
    has_password: bool,
}

impl SessionPerson {
    /// The person of a session, as it is now; none where it is no person's.
    async fn of(hub: &Hub, session: &Session) -> ApiResult<Option<Self>> {
        let auth::Role::Person { org, person } = session.role else { return Ok(None) };
        let org = hub.org(org).await?;
        let person = org.and_then(|org| org.person(person)).ok_or_else(|| {
            ApiError::new(ErrorCode::SessionInvalid, "What this session was opened for no longer exists")
        })?;
        Ok(Some(Self {
            id: person.id,
            handle: person.row.handle.clone(),
            display_name: person.row.display_name.clone(),
            role: person.role(),
            has_password: person.row.password_hash.is_some(),
        }))
    }
}

/// A login's answer.
#[derive(Serialize, ToSchema)]
pub struct LoggedIn {
    session: NewSession,
}

/// What a login answers: a session, or a ticket to those who ask the old way.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "names the two answers for the document")]
pub enum LoginAnswer {
    /// A session.
    Session(LoggedIn),
    /// A registration ticket.
    Ticket(SecretTicket),
}

/// Log in
///
/// Opens a session for a person and sets its cookie: as a bot (with one of its tokens), as an organisation's admin (with
/// its secret), as the platform's, or as a person of an organisation (with a password, or once with a login link). Too many
/// wrong secrets lock the caller out for a while. Clients from before 1.1 give
/// `org_id` and `org_secret` without a `type` and get a registration ticket, as `POST /v0/api/auth/login` describes.
#[utoipa::path(
    tag = "Login", operation_id = "session_create", security(()),
    request_body(content = LoginRequest, examples(
        ("bot" = (value = json!({ "type": "bot", "token": "bot_5f2c…", "owner_name": "Ann" }))),
        ("org_admin" = (value = json!({ "type": "org_admin", "org_id": "0192f0c0-1111-7abc-8def-0123456789ab", "org_secret": "9a1b…" }))),
        ("super_admin" = (value = json!({ "type": "super_admin", "admin_secret": "…" }))),
        ("person" = (value = json!({ "type": "person", "org_id": "0192f0c0-1111-7abc-8def-0123456789ab", "handle": "dora", "password": "…" }))),
        ("person_link" = (value = json!({ "type": "person_link", "code": "lnk_0f1e…" }))),
    )),
    responses((status = 200, description = "The session; its cookie is in `Set-Cookie`.", body = LoginAnswer, example = json!({
        "session": { "role": "bot_owner", "org_id": "0192f0c0-1111-7abc-8def-0123456789ab", "bot_id": "0192f0c1-2345-7abc-8def-0123456789ab", "expires_at": 1_732_186_400_000_i64 }
    }))),
)]
#[post("/api/auth/login")]
async fn log_in(hub: web::Data<Hub>, _: Visitor, request: HttpRequest, mut body: StrangerBody<LoginRequest>) -> Answer {
    answer_login(&hub, &request, body.draft()?).await
}

/// Answers a login: with a session, or the old one with a registration ticket.
///
/// # Errors
/// As [`auth::login`] and [`registration_tickets::issue`].
pub async fn answer_login(hub: &Hub, request: &HttpRequest, login: LoginRequest) -> Answer {
    match login {
        LoginRequest::Session(login) => open_session(hub, request, login).await,
        LoginRequest::Ticket(login) => registration_tickets::issue(hub, request, login).await,
    }
}

async fn open_session(hub: &Hub, request: &HttpRequest, login: Login) -> Answer {
    let opened = auth::login(hub.auth(), login, &client(request, hub.config())).await?;
    answer_session(hub, opened).await
}

/// The answer that lets somebody in: the session, and its cookie.
///
/// # Errors
/// 503 when the database is unavailable.
pub async fn answer_session(hub: &Hub, (session, cookie): auth::Opened) -> Answer {
    let view = NewSession {
        role: session.role.name(),
        org_id: session.row.org_id,
        bot_id: session.row.bot_id,
        person: SessionPerson::of(hub, &session).await?,
        expires_at: session.expires_at(),
    };
    let secure = !hub.config().server.dev_mode;
    let cookie = session_cookie(&cookie, session.expires_at(), hub.now(), secure);
    with_cookie(answer::ok(&LoggedIn { session: view })?, &cookie)
}

fn with_cookie(mut response: HttpResponse, cookie: &str) -> Answer {
    let value = cookie.parse().map_err(|_| hxa_domain::error::ApiError::internal())?;
    response.headers_mut().insert(SET_COOKIE, value);
    Ok(response)
}

/// Log out
///
/// Ends the session of the cookie and closes its sockets.
#[utoipa::path(
    tag = "Login", operation_id = "session_delete", security(("cookie" = [])),
    responses((status = 200, description = "Logged out; the cookie is cleared.", body = Done, example = json!({ "ok": true }))),
)]
#[post("/api/auth/logout")]
async fn log_out(hub: web::Data<Hub>, LiveSession(session): LiveSession, request: HttpRequest) -> Answer {
    auth::logout(hub.auth(), &session, &client(&request, hub.config())).await?;
    with_cookie(answer::ok(&DONE)?, &cleared_cookie(!hub.config().server.dev_mode))
}

/// A person's own session.
#[derive(Serialize, ToSchema)]
struct SessionInfo<'a> {
    role: SessionRole,
    #[schema(required)]
    org_id: Option<OrgId>,
    #[schema(required)]
    bot_id: Option<BotId>,
    #[schema(required)]
    owner_name: Option<&'a str>,
    /// Null for those who act as no bot.
    #[schema(required, value_type = Option<Vec<Scope>>)]
    scopes: Option<ScopeSet>,
    is_scoped_token: bool,
    /// Of sessions of an organisation's people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    person: Option<SessionPerson>,
    expires_at: i64,
    config: SessionConfig,
}

/// What a person's client should know of the hub.
#[derive(Serialize, ToSchema)]
struct SessionConfig {
    max_file_size_mb: u64,
}

/// Get the current session
///
/// Works for every live session, also while its organisation is suspended.
#[utoipa::path(
    tag = "Login", operation_id = "session_get", security(("cookie" = [])),
    responses((status = 200, description = "The session.", body = SessionInfo, example = json!({
        "role": "bot_owner", "org_id": "0192f0c0-1111-7abc-8def-0123456789ab", "bot_id": "0192f0c1-2345-7abc-8def-0123456789ab",
        "owner_name": "Ann", "scopes": ["full"], "is_scoped_token": false, "expires_at": 1_732_186_400_000_i64,
        "config": { "max_file_size_mb": 50 }
    }))),
)]
#[get("/api/auth/session")]
async fn show_session(hub: web::Data<Hub>, LiveSession(session): LiveSession) -> Answer {
    let row = &session.row;
    answer::ok(&SessionInfo {
        role: session.role.name(),
        org_id: row.org_id,
        bot_id: row.bot_id,
        owner_name: row.owner_name.as_deref(),
        scopes: row.scopes.as_ref().map(|_| session.scopes),
        is_scoped_token: row.is_scoped_token,
        person: SessionPerson::of(&hub, &session).await?,
        expires_at: session.expires_at(),
        config: SessionConfig { max_file_size_mb: hub.config().files.max_file_size_mb },
    })
}

/// A ticket for one socket.
#[derive(Serialize, ToSchema)]
struct WsTicket {
    ticket: String,
    /// Seconds.
    expires_in: i64,
}

/// Create a WebSocket ticket
///
/// The ticket opens one socket at `/ws?ticket=…` within half a minute. The body is ignored.
#[utoipa::path(
    tag = "Login", operation_id = "ws_tickets_create",
    responses((status = 200, description = "The ticket.", body = WsTicket, example = json!({ "ticket": "6b1f…48 hex digits", "expires_in": 30 }))),
)]
#[post("/api/ws-ticket")]
async fn issue_ws_ticket(hub: web::Data<Hub>, Anyone(caller): Anyone) -> Answer {
    let ticket = admission::issue(&hub, &caller)?;
    answer::ok(&WsTicket { ticket, expires_in: ws_tickets::LIFETIME_S })
}

/// A bot that was registered, with its token, which is shown this once.
#[derive(Serialize, ToSchema)]
struct RegisteredBot<'a> {
    bot_id: BotId,
    #[serde(flatten)]
    bot: BotView<'a>,
    token: &'a str,
    /// Only while it waits for approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<&'static str>,
}

/// Register a bot
///
/// With the organisation's secret the bot becomes an admin, with a ticket a member, who may have to wait for approval.
/// The token is shown once.
#[utoipa::path(
    tag = "Bots", operation_id = "bots_register", security(()),
    request_body(content = RegisterRequest, example = json!({
        "org_id": "0192f0c0-1111-7abc-8def-0123456789ab", "ticket": "tkt_0f1e2d3c4b5a6978", "name": "reviewer",
        "bio": "Reads pull requests", "tags": ["rust"], "webhook_url": "https://bot.example/events"
    })),
    responses((status = 200, description = "The bot and its token; `message` only while it waits for approval.", body = RegisteredBot, example = json!(examples::registered_bot()))),
)]
#[post("/api/auth/register")]
async fn register_bot(
    hub: web::Data<Hub>,
    _: Visitor,
    request: HttpRequest,
    mut body: StrangerBody<RegisterRequest>,
) -> Answer {
    register(&hub, &request, body.draft()?).await
}

/// Register a bot (older path)
///
/// The same as `POST /api/auth/register`.
#[utoipa::path(
    tag = "Bots", operation_id = "bots_register_alias", security(()),
    request_body(content = RegisterRequest, example = json!({
        "org_id": "0192f0c0-1111-7abc-8def-0123456789ab", "ticket": "tkt_0f1e2d3c4b5a6978", "name": "reviewer"
    })),
    responses((status = 200, description = "The bot and its token.", body = RegisteredBot, example = json!(examples::registered_bot()))),
)]
#[post("/api/register")]
async fn register_bot_alias(
    hub: web::Data<Hub>,
    _: Visitor,
    request: HttpRequest,
    mut body: StrangerBody<RegisterRequest>,
) -> Answer {
    register(&hub, &request, body.draft()?).await
}

async fn register(hub: &Hub, request: &HttpRequest, wanted: RegisterRequest) -> Answer {
    let registered = identity::register(hub, wanted, &client(request, hub.config())).await?;
    let is_pending = registered.bot.row.join_status == JoinStatus::Pending;
    answer::ok(&RegisteredBot {
        bot_id: registered.bot.id,
        bot: bots::view(&registered.org, &registered.bot),
        token: &registered.token,
        message: is_pending.then_some("Awaiting org admin approval"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_have_the_attributes_clients_look_for() {
        let cookie = session_cookie("ab", 1_732_170_000_999, 1_732_169_999_000, true);
        assert_eq!(
            cookie,
            "hxa_session=ab; Max-Age=1; Path=/; Expires=Thu, 21 Nov 2024 06:20:00 GMT; HttpOnly; Secure; SameSite=Strict"
        );
        assert!(!session_cookie("ab", 0, 0, false).contains("Secure"));
        assert_eq!(
            cleared_cookie(true),
            "hxa_session=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Strict"
        );
    }
}
