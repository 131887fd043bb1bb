//! Authorization of routes, as types in their signatures.
//!
//! Each guard is an extractor that authenticates the request and admits one kind of caller: [`Bot`] (with the scope it
//! needs), [`Reader`], [`Member`], [`OrgReader`] (with the right it needs of a person), [`OrgAdmin`], [`SuperAdmin`],
//! [`Person`], [`Anyone`], [`LiveSession`]. [`Visitor`] admits everybody but restricts people's browsers to their own
//! site. Handlers check nothing again.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use super::client;
use super::outgoing::Asker;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::people::PersonRole;
use hxa_domain::scope::{Need, Scope};
use hxa_domain::secrets::KEY_PREFIX;
use hxa_domain::text::is_percent_encoded_text;
use hxa_hub::auth::{self, Authenticated, Guess, HttpRequestParts, Principal, Session};
use hxa_hub::core::caller::{AdminCaller, BotCaller, PersonCaller};
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;

/// Name of the session cookie.
pub const COOKIE: &str = "hxa_session";

/// What a bot's credential must cover, as a type; which route has which is in the table of [`hxa_domain::scope`].
pub trait Needs: 'static {
    /// The need.
    const NEED: Need;
}

/// The kinds of need.
pub mod needs {
    use super::{Need, Needs, Scope};

    macro_rules! needs {
        ($($(#[$meta:meta])* $name:ident => $need:expr;)+) => { $(
            $(#[$meta])*
            pub struct $name;

            impl Needs for $name {
                const NEED: Need = $need;
            }
        )+ };
    }

    needs! {
        /// Everything.
        Full => Need::Of(Scope::Full);
        /// Reading.
        Read => Need::Of(Scope::Read);
        /// Working in threads.
        Thread => Need::Of(Scope::Thread);
        /// Sending direct messages.
        Message => Need::Of(Scope::Message);
        /// Uploading files, which both threads and messages need.
        Upload => Need::Upload;
        /// Changing the own profile.
        Profile => Need::Of(Scope::Profile);
        /// Asking people, as agents do with their keys.
        Coordinate => Need::Of(Scope::Coordinate);
        /// Anything but an agent's key.
        Membership => Need::Membership;
    }
}

/// What a person's role must allow, as a type.
pub trait Right: 'static {
    /// Whether it does.
    fn is_given(role: PersonRole) -> bool;
}

/// The kinds of rights of people who are no admins.
pub mod rights {
    use super::{PersonRole, Right};

    macro_rules! rights {
        ($($(#[$meta:meta])* $name:ident => $rule:expr;)+) => { $(
            $(#[$meta])*
            pub struct $name;

            impl Right for $name {
                fn is_given(role: PersonRole) -> bool {
                    $rule(role)
                }
            }
        )+ };
    }

    rights! {
        /// Seeing threads.
        Threads => PersonRole::may_read;
        /// Seeing people.
        People => PersonRole::may_see_people;
        /// Seeing everything.
        Everything => PersonRole::may_audit;
    }
}

/// The session cookie of a request: the first of that name, as it stands.
fn cookie(request: &HttpRequest) -> Option<&str> {
    let headers = request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let mut pairs = headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// Hands what the request says about its caller to `use_parts`.
pub fn parts<'a>(request: &'a HttpRequest, own_host: &'a str) -> HttpRequestParts<'a> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let method = request.method();
    HttpRequestParts {
        cookie: cookie(request),
        authorization: header("authorization"),
        org_header: header("x-org-id"),
        origin: header("origin"),
        own_host,
        is_change: [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method),
    }
}

/// The value of a cookie that the middleware is to send again, because its session was extended.
#[derive(Clone)]
pub struct ExtendedCookie {
    /// The cookie's value.
    pub value: String,
    /// The session.
    pub session: Arc<Session>,
}

fn send_cookie_again(request: &HttpRequest, session: &Arc<Session>) {
    if let Some(value) = cookie(request) {
        let again = ExtendedCookie { value: value.to_owned(), session: session.clone() };
        request.extensions_mut().insert(again);
    }
}

/// Authenticates a request, and then refuses it if its path cannot be read: strangers learn only that they are.
///
/// # Errors
/// As [`auth::authenticate`]; 400 for a path with broken percent-encoding; 429 after too many wrong keys.
pub async fn authenticated(request: &HttpRequest, hub: &Hub) -> ApiResult<Authenticated> {
    let own_host = client::own_host(request, hub.config());
    let parts = parts(request, &own_host);
    let caller = auth::authenticate(hub.auth(), &parts).await;
    let caller = caller.map_err(|refusal| count_wrong_key(request, hub, parts.authorization, refusal))?;
    if let Some(session) = caller.session.as_ref().filter(|_| caller.is_extended) {
        send_cookie_again(request, session);
    }
    Asker::note(request, &caller.principal);
    check_path(request)?;
    Ok(caller)
}

/// Counts a key that is not known, because strangers may be guessing; after too many the refusal says so. Who has a key
/// that is known is not affected.
fn count_wrong_key(request: &HttpRequest, hub: &Hub, authorization: Option<&str>, refusal: ApiError) -> ApiError {
    let is_key = auth::bearer(authorization).is_some_and(|token| token.starts_with(KEY_PREFIX));
    if !is_key || refusal.code() != ErrorCode::InvalidToken {
        return refusal;
    }
    let (limiter, address, now) = (hub.auth().limiter(), client::address(request, hub.config()), hub.now());
    match limiter.check(Guess::Key, address, "", now) {
        Ok(()) => {
            limiter.failed(Guess::Key, address, "", now);
            refusal
        }
        Err(locked) => {
            hub.metrics().limited("wrong_key");
            locked
        }
    }
}

/// No handler is to guess what a path means that is not the percent-encoding of any text.
fn check_path(request: &HttpRequest) -> ApiResult<()> {
    let path = request.uri().path();
    if !path.contains('%') || is_percent_encoded_text(path) {
        return Ok(());
    }
    Err(ApiError::validation("The path is not valid percent-encoded UTF-8"))
}

/// The live session of a request, if it brings one.
async fn optional_session(request: &HttpRequest, hub: &Hub) -> ApiResult<Option<Arc<Session>>> {
    let own_host = client::own_host(request, hub.config());
    let Some(visit) = auth::live_session(hub.auth(), &parts(request, &own_host)).await? else {
        return Ok(None);
    };
    if visit.is_extended {
        send_cookie_again(request, &visit.session);
    }
    Ok(Some(visit.session))
}

fn hub_of(request: &HttpRequest) -> ApiResult<web::Data<Hub>> {
    request.app_data::<web::Data<Hub>>().cloned().ok_or_else(ApiError::internal)
}

/// Makes an extractor of an async function over the request.
macro_rules! guard {
    ([$($generics:tt)*] $guard:ty, |$request:ident, $hub:ident| $body:expr) => {
        impl<$($generics)*> FromRequest for $guard {
            type Error = ApiError;
            type Future = LocalBoxFuture<'static, ApiResult<Self>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let $request = request.clone();
                Box::pin(async move {
                    let $hub = hub_of(&$request)?;
                    $body
                })
            }
        }
    };
}

fn only_a_bot(principal: Principal) -> ApiResult<BotCaller> {
    match principal {
        Principal::Bot(caller) => Ok(caller),
        Principal::OrgAdmin { .. } | Principal::SuperAdmin { .. } | Principal::Person(_) => {
            Err(ApiError::forbidden("Only a bot may do this"))
        }
    }
}

fn check_scope<S: Needs>(caller: &BotCaller) -> ApiResult<()> {
    if S::NEED.is_covered(caller.scopes) {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::InsufficientScope, "The token's scopes do not cover this"))
}

/// A bot, or a person through its session, whose credential covers `S`.
pub struct Bot<S: Needs>(pub BotCaller, PhantomData<S>);

impl<S: Needs> Deref for Bot<S> {
    type Target = BotCaller;

    fn deref(&self) -> &BotCaller {
        &self.0
    }
}

guard!([S: Needs] Bot<S>, |request, hub| {
    let caller = only_a_bot(authenticated(&request, &hub).await?.principal)?;
    check_scope::<S>(&caller)?;
    Ok(Self(caller, PhantomData))
});

/// Whoever may look around in an organisation: a bot whose credential covers reading, an org admin's session, or a person
/// whose role may read.
pub enum Reader {
    /// A bot.
    Bot(BotCaller),
    /// A person who administers the organisation.
    Admin(AdminCaller),
    /// Another person.
    Person(PersonCaller),
}

impl Reader {
    /// The organisation looked at.
    #[must_use]
    pub fn org(&self) -> &Arc<OrgState> {
        match self {
            Reader::Bot(caller) => &caller.org,
            Reader::Admin(caller) => &caller.org,
            Reader::Person(caller) => &caller.org,
        }
    }

    /// True for those who also see bots that are not active.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        match self {
            Reader::Bot(caller) => caller.bot.is_admin(),
            Reader::Admin(_) => true,
            Reader::Person(caller) => caller.person.role().may_audit(),
        }
    }
}

fn no_org() -> ApiError {
    ApiError::forbidden("This needs a bot or an organisation's session")
}

guard!([] Reader, |request, hub| {
    match authenticated(&request, &hub).await?.principal {
        Principal::Bot(caller) => {
            check_scope::<needs::Read>(&caller)?;
            Ok(Self::Bot(caller))
        }
        Principal::OrgAdmin { org, session } => Ok(Self::Admin(admin_of(org, &session))),
        Principal::Person(caller) if caller.person.is_admin() => Ok(Self::Admin(AdminCaller::person(caller))),
        Principal::Person(caller) => check_right::<rights::Threads>(&caller).map(|()| Self::Person(caller)),
        Principal::SuperAdmin { .. } => Err(no_org()),
    }
});

fn admin_of(org: Arc<OrgState>, session: &Session) -> AdminCaller {
    AdminCaller::by_secret(org, Some(session.row.reference.clone()))
}

fn check_right<R: Right>(caller: &PersonCaller) -> ApiResult<()> {
    let role = caller.person.role();
    if R::is_given(role) { Ok(()) } else { Err(ApiError::forbidden(format!("The role {role} does not allow this"))) }
}

/// Anybody in an organisation, whatever the scope, but no agent's key.
pub struct Member(pub Arc<OrgState>);

guard!([] Member, |request, hub| {
    match authenticated(&request, &hub).await?.principal {
        Principal::Bot(caller) => {
            check_scope::<needs::Membership>(&caller)?;
            Ok(Self(caller.org))
        }
        Principal::OrgAdmin { org, .. } => Ok(Self(org)),
        Principal::Person(caller) => Ok(Self(caller.org)),
        Principal::SuperAdmin { .. } => Err(no_org()),
    }
});

/// An admin of an organisation, or of the platform: `None` then, because a platform admin belongs to none.
pub struct AnyAdmin(pub Option<AdminCaller>);

guard!([] AnyAdmin, |request, hub| {
    match authenticated(&request, &hub).await?.principal {
        Principal::OrgAdmin { org, session } => Ok(Self(Some(admin_of(org, &session)))),
        Principal::SuperAdmin { .. } => Ok(Self(None)),
        Principal::Bot(caller) => admin_bot(caller).map(|admin| Self(Some(admin))),
        Principal::Person(caller) if caller.person.is_admin() => Ok(Self(Some(AdminCaller::person(caller)))),
        Principal::Person(_) => Err(only_an_admin()),
    }
});

fn only_an_admin() -> ApiError {
    ApiError::forbidden("Only an organisation admin may do this")
}

/// An admin bot counts as admin only with a credential that covers everything.
fn admin_bot(caller: BotCaller) -> ApiResult<AdminCaller> {
    check_scope::<needs::Membership>(&caller)?;
    if !caller.bot.is_admin() {
        return Err(only_an_admin());
    }
    check_scope::<needs::Full>(&caller)?;
    Ok(AdminCaller::bot(caller))
}

/// An admin of an organisation; a platform admin hears 400 `ORG_CONTEXT_REQUIRED`.
pub struct OrgAdmin(pub AdminCaller);

impl Deref for OrgAdmin {
    type Target = AdminCaller;

    fn deref(&self) -> &AdminCaller {
        &self.0
    }
}

guard!([] OrgAdmin, |request, _hub| {
    let AnyAdmin(admin) = AnyAdmin::from_request(&request, &mut Payload::None).await?;
    admin.map(Self).ok_or_else(needs_org)
});

fn needs_org() -> ApiError {
    ApiError::new(ErrorCode::OrgContextRequired, "This needs an organisation; log in as its admin")
}

/// An admin of an organisation; for a platform admin the thing asked for does not exist.
pub struct OwnOrgAdmin(pub AdminCaller);

impl Deref for OwnOrgAdmin {
    type Target = AdminCaller;

    fn deref(&self) -> &AdminCaller {
        &self.0
    }
}

guard!([] OwnOrgAdmin, |request, _hub| {
    let AnyAdmin(admin) = AnyAdmin::from_request(&request, &mut Payload::None).await?;
    admin.map(Self).ok_or_else(|| ApiError::not_found("Organisation"))
});

/// Whoever may look at what an organisation's admins see: an admin, or a person whose role has the right; `None` for an
/// admin of the platform, who belongs to no organisation.
pub struct OrgReader<R: Right>(pub Option<Arc<OrgState>>, PhantomData<R>);

impl<R: Right> OrgReader<R> {
    /// The organisation; a platform admin hears 400 `ORG_CONTEXT_REQUIRED`.
    ///
    /// # Errors
    /// See there.
    pub fn in_org(self) -> ApiResult<Arc<OrgState>> {
        self.0.ok_or_else(needs_org)
    }

    /// The organisation; for a platform admin the thing asked for does not exist.
    ///
    /// # Errors
    /// See there.
    pub fn own(self) -> ApiResult<Arc<OrgState>> {
        self.0.ok_or_else(|| ApiError::not_found("Organisation"))
    }
}

guard!([R: Right] OrgReader<R>, |request, hub| {
    let org = match authenticated(&request, &hub).await?.principal {
        Principal::OrgAdmin { org, .. } => Some(org),
        Principal::SuperAdmin { .. } => None,
        Principal::Bot(caller) => Some(admin_bot(caller)?.org),
        Principal::Person(caller) => Some(check_right::<R>(&caller).map(|()| caller.org)?),
    };
    Ok(Self(org, PhantomData))
});

/// A person of an organisation, whatever its role.
pub struct Person(pub PersonCaller);

guard!([] Person, |request, hub| {
    match authenticated(&request, &hub).await?.principal {
        Principal::Person(caller) => Ok(Self(caller)),
        _ => Err(ApiError::forbidden("This is for the people of an organisation")),
    }
});

/// The platform's admin. On a hub without an admin secret, which only development mode allows, that is everybody.
pub struct SuperAdmin {
    session: Option<Arc<Session>>,
}

impl SuperAdmin {
    /// The session's public reference, for the audit trail.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.session.as_ref().map(|session| session.row.reference.as_str())
    }
}

guard!([] SuperAdmin, |request, hub| {
    let session = optional_session(&request, &hub).await?.filter(|session| session.role == auth::Role::SuperAdmin);
    if session.is_none() && hub.config().auth.admin_secret.is_some() {
        return Err(ApiError::new(ErrorCode::AuthRequired, "This needs a super admin's session"));
    }
    check_path(&request)?;
    Ok(Self { session })
});

/// Any authenticated caller but an agent's key.
pub struct Anyone(pub Authenticated);

guard!([] Anyone, |request, hub| {
    let caller = authenticated(&request, &hub).await?;
    if let Principal::Bot(bot) = &caller.principal {
        check_scope::<needs::Membership>(bot)?;
    }
    Ok(Self(caller))
});

/// A person with a live session, even one that may do nothing else now.
pub struct LiveSession(pub Arc<Session>);

guard!([] LiveSession, |request, hub| {
    let session = optional_session(&request, &hub).await?;
    session.map(Self).ok_or_else(|| ApiError::new(ErrorCode::AuthRequired, "This needs a session"))
});

/// Everybody; who brings a live session must come from the hub's own site.
pub struct Visitor;

guard!([] Visitor, |request, hub| optional_session(&request, &hub).await.map(|_| Self));
