//! Login and logout.
//!
//! A login checks the limiter first, then the secret, then whether its holder may log in now; only wrong secrets count
//! as failures. The cookie leaves the hub once and is stored as a hash; audit rows name sessions by their reference,
//! from which the cookie cannot be derived.

mod people;

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::Auth;
use super::{Guess, HttpRequestParts, Role, Session, check_active, has_ended, holder, sessions};
use crate::core::caller::AdminCaller;
use crate::core::org_state::OrgState;
use crate::core::shard;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::OrgId;
use hxa_domain::login::Login;
use hxa_domain::scope::ScopeSet;
use hxa_domain::secrets;
use hxa_store::accounts::{self, Credential};
use hxa_store::rows::{AuditRow, SessionRow};
use hxa_store::{audit, orgs};

pub use people::{check_password, open_again};

/// Longest user agent kept in the audit trail.
const USER_AGENT_BYTES: usize = 256;

/// Where a request comes from.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its address, seen through trusted proxies.
    pub address: IpAddr,
    /// What it says it is.
    pub user_agent: Option<String>,
}

/// A new session and its cookie's value.
pub type Opened = (Arc<Session>, String);

/// What a new session is made of.
struct Opening {
    role: Role,
    owner_name: Option<String>,
    scopes: Option<ScopeSet>,
    token: Option<hxa_domain::ids::TokenId>,
    token_expires_at: Option<i64>,
}

impl Opening {
    fn of(role: Role) -> Self {
        Self { role, owner_name: None, scopes: None, token: None, token_expires_at: None }
    }
}

/// Opens a session; returns it and its cookie's value.
///
/// # Errors
/// 429 while locked out, 401 for a wrong secret, 403 when its holder may not come in now.
pub async fn login(auth: &Auth, login: Login, client: &Client) -> ApiResult<Opened> {
    match login {
        Login::Bot { token, owner_name } => as_bot(auth, &token, owner_name, client).await,
        Login::OrgAdmin { org_id, secret } => as_org_admin(auth, &org_id, &secret, client).await,
        Login::SuperAdmin { secret } => as_super_admin(auth, &secret, client).await,
        Login::Person { org_id, handle, password } => {
            people::by_password(auth, &org_id, &handle, password, client).await
        }
        Login::PersonLink { code } => people::by_link(auth, &code, client).await,
    }
}

async fn as_bot(auth: &Auth, token: &str, owner_name: Option<String>, client: &Client) -> ApiResult<Opened> {
    let (hash, now) = (secrets::secret_hash(token), auth.core.now());
    auth.limiter().check(Guess::BotLogin, client.address, &hash, now)?;
    let failure = Failure { guess: Guess::BotLogin, target: &hash, client };
    let Some((org, bot, known)) = holder(auth, &hash).await? else {
        let refusal = ApiError::new(ErrorCode::InvalidToken, "The token is not known");
        return Err(failure.note(auth, None, "bot_owner", refusal).await);
    };
    if has_ended(auth, &hash, &known) {
        let refusal = ApiError::new(ErrorCode::TokenExpired, "The token has expired");
        return Err(failure.note(auth, Some(org.id), "bot_owner", refusal).await);
    }
    check_login(&org)?;
    check_active(&bot)?;
    if known.scopes.is_key() {
        let refusal = "A key of an agent opens no session; people log in as themselves";
        return Err(ApiError::new(ErrorCode::InsufficientScope, refusal));
    }
    let opening = Opening {
        role: Role::BotOwner { org: org.id, bot: bot.id },
        owner_name,
        scopes: Some(known.scopes),
        token: known.token,
        token_expires_at: known.expires_at,
    };
    let opened = open(auth, opening, client).await?;
    if !is_still(auth, hash, known).await? {
        sessions::end(auth, opened.0.role, &opened.0.row.id_hash).await?;
        return Err(ApiError::new(ErrorCode::InvalidToken, "The token is not known"));
    }
    Ok(opened)
}

/// Whether a token is what it was when its session was asked for. Whatever ends a token also ends the sessions that are
/// stored by then; for one that was stored after, the database knows, a moment before the memory does.
async fn is_still(auth: &Auth, hash: String, known: Credential) -> ApiResult<bool> {
    let found = auth.core.store().read(move |conn| accounts::find_credential(conn, &hash)).await?;
    Ok(found == Some(known))
}

async fn as_org_admin(auth: &Auth, org_id: &str, secret: &str, client: &Client) -> ApiResult<Opened> {
    let org = org_by_secret(auth, org_id, secret, client).await?;
    let opened = open(auth, Opening::of(Role::OrgAdmin { org: org.id }), client).await?;
    // As with a token: the secret may have been rotated while the session was being stored.
    let id = org.id;
    let stored = auth.core.store().read(move |conn| orgs::find(conn, id)).await?;
    if stored.is_none_or(|row| row.secret_hash != secrets::secret_hash(secret)) {
        sessions::end(auth, opened.0.role, &opened.0.row.id_hash).await?;
        return Err(wrong_secret());
    }
    Ok(opened)
}

/// The organisation whose secret this is; wrong ones are counted.
async fn org_by_secret(auth: &Auth, org_id: &str, secret: &str, client: &Client) -> ApiResult<Arc<OrgState>> {
    auth.limiter().check(Guess::OrgLogin, client.address, org_id, auth.core.now())?;
    let org = match OrgId::parse(org_id) {
        Some(id) => auth.core.org(id).await?,
        None => None,
    };
    let checked = match &org {
        Some(org) => check_secret(org, secret),
        None => Err(wrong_secret()),
    };
    match (org, checked) {
        (Some(org), Ok(())) => check_login(&org).map(|()| org),
        (org, refused) => {
            let refusal = refused.err().unwrap_or_else(wrong_secret);
            let failure = Failure { guess: Guess::OrgLogin, target: org_id, client };
            Err(failure.note(auth, org.map(|org| org.id), "org_admin", refusal).await)
        }
    }
}

/// An admin for one request, by the organisation's secret instead of a session.
///
/// # Errors
/// As a login.
pub async fn org_admin_by_secret(auth: &Auth, org_id: &str, secret: &str, client: &Client) -> ApiResult<AdminCaller> {
    let org = org_by_secret(auth, org_id, secret, client).await?;
    Ok(AdminCaller::by_secret(org, None))
}

/// Whether this is the organisation's secret now.
///
/// # Errors
/// 401 when it is not.
pub fn check_secret(org: &OrgState, secret: &str) -> ApiResult<()> {
    let is_secret = secrets::constant_time_eq(&org.row().secret_hash, &secrets::secret_hash(secret));
    if is_secret { Ok(()) } else { Err(wrong_secret()) }
}

fn wrong_secret() -> ApiError {
    ApiError::new(ErrorCode::InvalidCredentials, "The organisation or its secret is wrong")
}

async fn as_super_admin(auth: &Auth, secret: &str, client: &Client) -> ApiResult<Opened> {
    auth.limiter().check(Guess::SuperLogin, client.address, "", auth.core.now())?;
    let Some(expected) = &auth.core.config().auth.admin_secret else {
        return Err(ApiError::new(ErrorCode::ServerError, "This hub has no admin secret configured"));
    };
    if !secrets::constant_time_eq(expected.expose(), secret) {
        let refusal = ApiError::new(ErrorCode::InvalidCredentials, "The admin secret is wrong");
        let failure = Failure { guess: Guess::SuperLogin, target: "", client };
        return Err(failure.note(auth, None, "super_admin", refusal).await);
    }
    open(auth, Opening::of(Role::SuperAdmin), client).await
}

fn check_login(org: &OrgState) -> ApiResult<()> {
    if org.is_active() {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::OrgInactive, "The organisation is not active"))
}

/// A wrong secret.
struct Failure<'a> {
    guess: Guess,
    target: &'a str,
    client: &'a Client,
}

impl Failure<'_> {
    /// Counts the failure and notes it in the trail of the organisation, or of the platform; hands the refusal back.
    async fn note(self, auth: &Auth, org: Option<OrgId>, role: &str, refusal: ApiError) -> ApiError {
        self.count(auth);
        self.tell(auth, org, role, refusal).await
    }

    /// Counts the failure.
    fn count(&self, auth: &Auth) {
        auth.limiter().failed(self.guess, self.client.address, self.target, auth.core.now());
        auth.core.metrics().limited("login_failed");
    }

    /// Notes a failure that is counted in the trail.
    async fn tell(self, auth: &Auth, org: Option<OrgId>, role: &str, refusal: ApiError) -> ApiError {
        let now = auth.core.now();
        let detail = json!({ "role": role, "ip": self.client.address, "code": refusal.code().token() });
        let target = org.map(|org| org.to_string()).unwrap_or_default();
        let row = AuditRow::new(org, now, None, "auth.login_failed", "org", target, Some(detail));
        if !has_room(auth, org) {
            return refusal;
        }
        if let Err(error) = store_audit(auth, org, row).await {
            log::warn!(error:% = error; "cannot write a failed login to the audit trail");
        }
        refusal
    }
}

/// Whether the trail of the organisation, or of the platform, has room for one more refusal. Many addresses together
/// could fill it otherwise, each within what it may guess; what has no room is counted like any refusal by a budget.
fn has_room(auth: &Auth, org: Option<OrgId>) -> bool {
    let org_in_use = org.and_then(|org| auth.core.org_in_use(org));
    let budgets = org_in_use.as_ref().map_or_else(|| auth.core.strangers(), |org| &org.budgets);
    let member = org.map_or_else(Uuid::nil, |org| org.uuid());
    auth.core.charge_member(budgets, member, WriteClass::Refusal, || 0).is_ok()
}

async fn store_audit(auth: &Auth, org: Option<OrgId>, row: AuditRow) -> ApiResult<()> {
    let key = org.map_or(0, |org| shard(org.uuid()));
    auth.core.store().write(key, move |conn| audit::insert(conn, &row)).await
}

async fn open(auth: &Auth, opening: Opening, client: &Client) -> ApiResult<Opened> {
    charge(auth, opening.role).await?;
    open_charged(auth, opening, client).await
}

/// Opens a session that is paid for.
async fn open_charged(auth: &Auth, opening: Opening, client: &Client) -> ApiResult<Opened> {
    let cookie = secrets::hex_token("", 64);
    let created_at = auth.cache.sessions.creation_time(auth.core.now());
    let role = opening.role;
    let row = SessionRow {
        id_hash: secrets::secret_hash(&cookie),
        reference: secrets::session_ref(&reference_key(auth), &cookie),
        role: role.name().to_string(),
        org_id: role.org(),
        bot_id: role.bot(),
        token_id: opening.token,
        owner_name: opening.owner_name,
        scopes: opening.scopes.map(ScopeSet::to_stored),
        is_scoped_token: opening.token.is_some(),
        created_at,
        expires_at: auth
            .core
            .now()
            .saturating_add(role.lifetime_ms())
            .min(opening.token_expires_at.unwrap_or(i64::MAX)),
        person_id: role.person(),
    };
    let session = Session::new(row, opening.token_expires_at).ok_or_else(ApiError::internal)?;
    sessions::insert(auth, &session).await?;
    note(auth, &session, "auth.login", client).await?;
    Ok((session, cookie))
}

/// Charges a login to the bot, to the person, or to the organisation's admins. The platform's admin is the operator.
async fn charge(auth: &Auth, role: Role) -> ApiResult<()> {
    let Some(org) = role.org() else { return Ok(()) };
    let person = role.person().map(|person| person.uuid());
    let member = role.bot().map(|bot| bot.uuid()).or(person).unwrap_or_else(|| org.uuid());
    match auth.core.org(org).await? {
        Some(org) => auth.core.charge_member(&org.budgets, member, WriteClass::Login, || 0),
        None => Ok(()),
    }
}

fn reference_key(auth: &Auth) -> Vec<u8> {
    secrets::session_ref_key(auth.core.config().auth.admin_secret.as_ref().map(|secret| secret.expose()))
}

/// Notes a login or logout.
async fn note(auth: &Auth, session: &Session, action: &'static str, client: &Client) -> ApiResult<()> {
    let mut detail = json!({ "role": session.role.name(), "ip": client.address });
    if action == "auth.login"
        && let (Some(fields), Some(agent)) = (detail.as_object_mut(), &client.user_agent)
    {
        let kept: String = agent.chars().take(USER_AGENT_BYTES).collect();
        fields.insert("user_agent".to_owned(), kept.into());
    }
    let person = session.role.person().map(hxa_store::people::actor);
    let (org, by) = (session.role.org(), session.role.bot().map(|bot| bot.to_string()).or(person));
    let row = AuditRow::new(org, auth.core.now(), by, action, "session", session.row.reference.clone(), Some(detail));
    store_audit(auth, org, row).await
}

/// Ends a session at its owner's wish.
///
/// # Errors
/// 503 when the store is unavailable.
pub async fn logout(auth: &Auth, session: &Session, client: &Client) -> ApiResult<()> {
    sessions::end(auth, session.role, &session.row.id_hash).await?;
    note(auth, session, "auth.logout", client).await
}

/// Whether a request shows the admin secret as a bearer token. Wrong guesses are counted, except bot tokens, which
/// clients send along everywhere; while an address is locked the answer is no.
#[must_use]
pub fn shows_admin_secret(auth: &Auth, parts: &HttpRequestParts<'_>, address: IpAddr) -> bool {
    let (Some(given), Some(expected)) = (super::bearer(parts.authorization), &auth.core.config().auth.admin_secret)
    else {
        return false;
    };
    let (limiter, now) = (auth.limiter(), auth.core.now());
    if limiter.check(Guess::Health, address, "", now).is_err() {
        return false;
    }
    let is_secret = secrets::constant_time_eq(expected.expose(), given);
    let is_a_bots = ["bot_", "scoped_", secrets::KEY_PREFIX].iter().any(|prefix| given.starts_with(prefix));
    if !is_secret && !is_a_bots {
        limiter.failed(Guess::Health, address, "", now);
    }
    is_secret
}
