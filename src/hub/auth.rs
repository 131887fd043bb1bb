//! Authentication: from the credentials of a request to a principal.
//!
//! A live session takes precedence over a bearer token; a state-changing request with a session must come from the
//! hub's own site. Tokens and sessions are cached by their hash, so that a known caller costs no query; ending one
//! removes it from the cache immediately. State that can change independently (the status of the bot and the
//! organisation) is read from the shared state on each request and never cached.

mod credentials;
mod last_seen;
mod limiter;
mod login;
mod memory;
mod passwords;
mod sessions;

use std::collections::HashSet;
use std::sync::Arc;

pub(super) use credentials::has_ended;
pub use last_seen::flush_last_seen;
pub use limiter::{Guess, Limiter};
pub use login::{
    Client, Opened, check_password, check_secret, login, logout, open_again, org_admin_by_secret, shows_admin_secret,
};
pub use passwords::hash_password;
pub use sessions::{
    Role, Session, end_by_reference, end_owed_sessions, end_sessions_with, list_sessions, purge_sessions,
    sweep_sessions,
};

use crate::core::Core;
use crate::core::caller::{BotCaller, Human, PersonCaller};
use crate::core::org_state::{Bot, OrgState};
use crate::fanout::broker::{Credentials, Selection};
use crate::fanout::send_queue::close;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{BotId, OrgId, PersonId, TokenId};
use hxa_domain::secrets;
use hxa_domain::shares::Holder;
use hxa_domain::standing::{JoinStatus, OrgStatus};
use hxa_store::accounts::Credential;
use hxa_store::rows::BotTokenRow;
use hxa_store::sessions::{Gone, Sessions};

/// Who may come in, and where people's sessions are kept.
pub struct Auth {
    core: Core,
    sessions: Sessions,
    cache: Cache,
}

/// What is remembered about credentials.
#[derive(Default)]
struct Cache {
    credentials: credentials::Credentials,
    sessions: sessions::SessionCache,
    limiter: Limiter,
    hashing: passwords::Hashing,
    last_seen_times: last_seen::LastSeen,
}

impl Auth {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(core: Core, sessions: Sessions) -> Self {
        Self { core, sessions, cache: Cache::default() }
    }

    /// Where people's sessions are kept.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Failed attempts and the locks they earn.
    #[must_use]
    pub fn limiter(&self) -> &Limiter {
        &self.cache.limiter
    }

    /// Scoped tokens of a bot were revoked: they and the sessions opened by them end now, and their sockets close.
    pub fn tokens_revoked(&self, org: &OrgState, bot: BotId, rows: &[BotTokenRow]) {
        let ids: HashSet<TokenId> = rows.iter().map(|row| row.id).collect();
        rows.iter().for_each(|row| self.cache.credentials.remove(&row.token_hash));
        ids.iter().for_each(|id| self.cache.sessions.owe(Gone::Token(bot, *id)));
        let is_of_them = |token: Option<TokenId>| token.is_some_and(|id| ids.contains(&id));
        let sessions = self.cache.sessions.remove_where(|session| is_of_them(session.row.token_id));
        let ended = Credentials { primary_of: None, tokens: ids, sessions };
        org.channel().close(&close::TOKEN_ENDED, &Selection::Credentials(ended));
    }

    /// A bot's primary token was replaced: it and the sessions opened with it end now. Returns the hashes of those
    /// sessions.
    pub fn primary_replaced(&self, bot: BotId, hash: &str) -> HashSet<String> {
        self.cache.credentials.remove(hash);
        self.cache.sessions.owe(Gone::Primary(bot));
        self.cache.sessions.remove_where(|session| {
            session.row.token_id.is_none() && matches!(session.role, Role::BotOwner { bot: own, .. } if own == bot)
        })
    }

    /// A bot was deleted: its tokens end now. Its sessions stay known until they expire, so that their owners get the reason
    /// that the bot is gone.
    pub fn bot_deleted(&self, id: BotId) {
        self.cache.credentials.remove_of_bot(id);
        self.cache.sessions.owe(Gone::Bot(id));
    }

    /// The organisation's secret was changed: its admins' sessions end now.
    pub fn secret_rotated(&self, org: OrgId) {
        self.cache.sessions.owe(Gone::OrgSecret(org));
        self.cache.sessions.remove_where(|session| session.role == Role::OrgAdmin { org });
    }

    /// A person was deleted, disabled, or has another role or password: its sessions end now and its sockets close.
    pub fn person_ended(&self, org: &OrgState, id: PersonId) {
        self.cache.sessions.owe(Gone::Person(id));
        self.cache.sessions.remove_where(|session| session.role.person() == Some(id));
        org.channel().close(&close::SESSION_ENDED, &Selection::Person(id));
    }

    /// The organisation was deleted.
    pub fn org_deleted(&self, org: OrgId) {
        self.cache.sessions.owe(Gone::Org(org));
    }

    /// When a scoped token was last used, if that is not written yet.
    #[must_use]
    pub fn token_last_used(&self, id: TokenId) -> Option<i64> {
        self.cache.last_seen_times.last_used(id)
    }

    /// A bot did something at `now`.
    pub fn bot_seen(&self, bot: &Bot, org: &OrgState, now: i64) {
        self.cache.last_seen_times.bot(bot, org.id, now);
    }
}

/// What a request says about its caller.
#[derive(Debug, Default)]
pub struct HttpRequestParts<'a> {
    /// Value of the session cookie.
    pub cookie: Option<&'a str>,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `X-Org-Id` header.
    pub org_header: Option<&'a str>,
    /// The `Origin` header.
    pub origin: Option<&'a str>,
    /// Host (with or without a port) that an `Origin` must name.
    pub own_host: &'a str,
    /// True for POST, PUT, PATCH and DELETE.
    pub is_change: bool,
}

/// An authenticated caller.
#[derive(Clone)]
pub enum Principal {
    /// A bot, or a person acting through its session.
    Bot(BotCaller),
    /// A person who administers an organisation.
    OrgAdmin {
        /// The organisation.
        org: Arc<OrgState>,
        /// The session.
        session: Arc<Session>,
    },
    /// A person who administers the platform.
    SuperAdmin {
        /// The session.
        session: Arc<Session>,
    },
    /// A person of an organisation, in its own name.
    Person(PersonCaller),
}

/// A caller and what it came with.
#[derive(Clone)]
pub struct Authenticated {
    /// Who it is.
    pub principal: Principal,
    /// The session, where one authenticated.
    pub session: Option<Arc<Session>>,
    /// True when the session was just extended and its cookie should be sent again.
    pub is_extended: bool,
    /// Hash of the bearer token, where one authenticated.
    pub token_hash: Option<String>,
}

/// A live session that came with a request.
pub struct Visit {
    /// The session.
    pub session: Arc<Session>,
    /// True when it was just extended and its cookie should be sent again.
    pub is_extended: bool,
}

/// Finds out who calls.
///
/// # Errors
/// 401 without a usable credential, 403 when it may not be used now, 503 when the database is unavailable.
pub async fn authenticate(auth: &Auth, parts: &HttpRequestParts<'_>) -> ApiResult<Authenticated> {
    match live_session(auth, parts).await? {
        Some(Visit { session, is_extended }) => {
            let principal = by_session(auth, &session).await?;
            Ok(Authenticated { principal, session: Some(session), is_extended, token_hash: None })
        }
        None => by_bearer(auth, parts).await,
    }
}

/// The live session behind the cookie, if any; other cookies are as good as none.
///
/// # Errors
/// 403 `CSRF_ERROR` when the session is to change something from elsewhere; 503 when the database is unavailable.
pub async fn live_session(auth: &Auth, parts: &HttpRequestParts<'_>) -> ApiResult<Option<Visit>> {
    let Some(cookie) = parts.cookie.filter(|cookie| is_session_id(cookie)) else {
        return Ok(None);
    };
    let Some(session) = sessions::find(auth, &secrets::secret_hash(cookie)).await? else {
        return Ok(None);
    };
    if parts.is_change && parts.authorization.is_none() && !is_own_origin(parts.origin, parts.own_host) {
        return Err(ApiError::new(ErrorCode::CsrfError, "A change by cookie needs an Origin header of this host"));
    }
    let is_extended = sessions::use_now(auth, &session);
    Ok(Some(Visit { session, is_extended }))
}

fn is_session_id(cookie: &str) -> bool {
    cookie.len() == 64 && cookie.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// True when the origin's host, with or without its port, is the hub's own.
fn is_own_origin(origin: Option<&str>, own: &str) -> bool {
    let Some(url) = origin.and_then(|origin| url::Url::parse(origin).ok()) else {
        return false;
    };
    let Some(host) = url.host_str() else {
        return false;
    };
    let with_port = url.port().map(|port| format!("{host}:{port}"));
    host.eq_ignore_ascii_case(own) || with_port.is_some_and(|full| full.eq_ignore_ascii_case(own))
}

async fn by_session(auth: &Auth, session: &Arc<Session>) -> ApiResult<Principal> {
    let gone = || ApiError::new(ErrorCode::SessionInvalid, "What this session was opened for no longer exists");
    let (org, bot) = match session.role {
        Role::SuperAdmin => return Ok(Principal::SuperAdmin { session: session.clone() }),
        Role::OrgAdmin { org } | Role::Person { org, .. } => (org, None),
        Role::BotOwner { org, bot } => (org, Some(bot)),
    };
    let org = auth.core.org(org).await?.ok_or_else(gone)?;
    check_org(&org)?;
    if let Some(person) = session.role.person() {
        let person = org.person(person).filter(|person| person.is_active()).ok_or_else(gone)?;
        return Ok(Principal::Person(PersonCaller { org, person, session_ref: session.row.reference.clone() }));
    }
    let Some(bot) = bot else {
        return Ok(Principal::OrgAdmin { org, session: session.clone() });
    };
    let bot = org.bot(bot).ok_or_else(gone)?;
    check_active(&bot)?;
    Ok(Principal::Bot(session_caller(org, bot, session)))
}

/// The bot as the person behind a session uses it.
pub(super) fn session_caller(org: Arc<OrgState>, bot: Arc<Bot>, session: &Session) -> BotCaller {
    BotCaller {
        org,
        bot,
        scopes: session.scopes,
        token: session.row.token_id,
        token_expires_at: session.token_expires_at,
        human: Some(Human { owner_name: session.row.owner_name.clone(), session_ref: session.row.reference.clone() }),
        via_socket: false,
    }
}

/// The live session of a cookie's hash.
pub(super) async fn session_of(auth: &Auth, hash: &str) -> ApiResult<Option<Arc<Session>>> {
    sessions::find(auth, hash).await
}

/// Finds out who comes with a session, by the hash of its cookie: for those who authenticated before, as holders of tickets
/// did.
///
/// # Errors
/// As [`authenticate`].
pub async fn by_session_hash(auth: &Auth, hash: &str) -> ApiResult<Authenticated> {
    let gone = || ApiError::new(ErrorCode::SessionInvalid, "The session has ended");
    let session = session_of(auth, hash).await?.ok_or_else(gone)?;
    let principal = by_session(auth, &session).await?;
    Ok(Authenticated { principal, session: Some(session), is_extended: false, token_hash: None })
}

/// Finds out who comes with a bot's token, by the token's hash.
///
/// # Errors
/// As [`authenticate`].
pub async fn by_token_hash(auth: &Auth, hash: &str) -> ApiResult<Authenticated> {
    by_token(auth, hash.to_owned(), None).await
}

async fn by_bearer(auth: &Auth, parts: &HttpRequestParts<'_>) -> ApiResult<Authenticated> {
    let Some(token) = bearer(parts.authorization) else {
        return Err(ApiError::new(ErrorCode::AuthRequired, "Authentication is required: a bearer token or a session"));
    };
    by_token(auth, secrets::secret_hash(token), parts.org_header).await
}

async fn by_token(auth: &Auth, hash: String, org_header: Option<&str>) -> ApiResult<Authenticated> {
    let (org, bot, known) = holder(auth, &hash).await?.ok_or_else(unknown_token)?;
    if has_ended(auth, &hash, &known) {
        return Err(ApiError::new(ErrorCode::TokenExpired, "The token has expired"));
    }
    check_active(&bot)?;
    if org_header.is_some_and(|given| !given.is_empty() && given != org.id.to_string()) {
        return Err(ApiError::new(ErrorCode::OrgMismatch, "X-Org-Id names another organisation than the token's"));
    }
    check_org(&org)?;
    let now = auth.core.now();
    auth.cache.last_seen_times.bot(&bot, org.id, now);
    if let Some(token) = known.token {
        auth.cache.last_seen_times.token(token, org.id, now);
    }
    let principal = Principal::Bot(bot_caller(org, bot, &known));
    Ok(Authenticated { principal, session: None, is_extended: false, token_hash: Some(hash) })
}

/// Who a request will turn out to come from, if its credential is remembered; nothing is checked yet.
#[must_use]
pub fn known_holder(auth: &Auth, parts: &HttpRequestParts<'_>) -> Option<(Holder, Holder)> {
    let cookie = parts.cookie.filter(|cookie| is_session_id(cookie));
    if let Some(role) = cookie.and_then(|cookie| auth.cache.sessions.known_role(&secrets::secret_hash(cookie))) {
        return match role {
            Role::SuperAdmin => Some((Holder::People, Holder::People)),
            Role::OrgAdmin { org } | Role::Person { org, .. } => Some((Holder::Org(org), Holder::People)),
            Role::BotOwner { org, bot } => Some(Holder::bot(org, bot)),
        };
    }
    let hash = secrets::secret_hash(bearer(parts.authorization)?);
    auth.cache.credentials.known(&hash).map(|known| Holder::bot(known.org, known.bot))
}

/// The bot behind a token's hash. `None` when the token is unknown or its bot or organisation is gone.
pub(super) async fn holder(auth: &Auth, hash: &str) -> ApiResult<Option<(Arc<OrgState>, Arc<Bot>, Credential)>> {
    let Some(known) = credentials::find(auth, hash).await? else {
        return Ok(None);
    };
    let Some(org) = auth.core.org(known.org).await? else {
        return Ok(None);
    };
    let bot = org.bot(known.bot);
    // A primary token counts only while it is the bot's current one.
    let bot = bot.filter(|bot| known.token.is_some() || bot.row.token_hash == hash);
    Ok(bot.map(|bot| (org, bot, known)))
}

pub(super) fn bot_caller(org: Arc<OrgState>, bot: Arc<Bot>, known: &Credential) -> BotCaller {
    BotCaller {
        org,
        bot,
        scopes: known.scopes,
        token: known.token,
        token_expires_at: known.expires_at,
        human: None,
        via_socket: false,
    }
}

fn unknown_token() -> ApiError {
    ApiError::new(ErrorCode::InvalidToken, "The token is not known")
}

/// The token of a bearer header; the scheme's case does not matter.
#[must_use]
pub fn bearer(header: Option<&str>) -> Option<&str> {
    let (scheme, token) = header?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Refuses a bot that waits for approval or was rejected.
///
/// # Errors
/// 403 `BOT_NOT_ACTIVE`.
pub fn check_active(bot: &Bot) -> ApiResult<()> {
    if bot.is_active() {
        return Ok(());
    }
    let status = bot.row.join_status;
    let message = if status == JoinStatus::Pending {
        "The bot is waiting for an organisation admin's approval"
    } else {
        "The bot was rejected by an organisation admin"
    };
    let refusal = ApiError::new(ErrorCode::BotNotActive, "bot_not_active");
    Err(refusal.with("join_status", status.as_str()).with("message", message))
}

/// Refuses an organisation that is not active.
///
/// # Errors
/// 403 `ORG_SUSPENDED` or `ORG_DESTROYED`.
pub fn check_org(org: &OrgState) -> ApiResult<()> {
    if org.is_active() {
        Ok(())
    } else if org.row().status == OrgStatus::Suspended && !org.is_gone() {
        Err(ApiError::new(ErrorCode::OrgSuspended, "The organisation is suspended"))
    } else {
        Err(ApiError::new(ErrorCode::OrgDestroyed, "The organisation has been destroyed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_takes_the_scheme_in_any_case() {
        assert_eq!(bearer(Some("Bearer t")), Some("t"));
        assert_eq!(bearer(Some("bEARER t")), Some("t"));
        for other in ["t", "Basic t", "Bearer", "Bearer ", "Bearert"] {
            assert_eq!(bearer(Some(other)), None, "{other}");
        }
        assert_eq!(bearer(None), None);
    }

    #[test]
    fn an_origin_is_own_by_host_or_host_and_port() {
        for own in ["hub.example", "hub.example:8443", "HUB.example"] {
            assert!(is_own_origin(Some("https://hub.example:8443"), own), "{own}");
        }
        for other in ["null", "", "https://hub.example.evil", "https://evil/hub.example", "hub.example"] {
            assert!(!is_own_origin(Some(other), "hub.example"), "{other}");
        }
        assert!(!is_own_origin(None, "hub.example"));
        assert!(!is_own_origin(Some("https://hub.example"), "hub.example:8443"));
    }
}
