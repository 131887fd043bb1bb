//! Who calls the routes of requests: agents by their keys, people by their sessions.
//!
//! [`Principal`] is an extractor; a handler that names it is open to whoever has a usable credential of an organisation.
//! What each may do is decided by [`crate::rules::rights`]. Calls are charged to their address before anything is looked up,
//! and to the caller afterwards; addresses that send many unknown keys hear 429 instead of 401.

mod open;

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use uuid::Uuid;

use crate::rules::Who;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::OrgId;
use hxa_domain::scope::{Need, Scope, ScopeSet};
use hxa_domain::secrets::KEY_PREFIX;
use hxa_hub::auth::{self, Authenticated, Guess};
use hxa_hub::core::caller::{AdminCaller, BotCaller, Caller};
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;
use hxa_hub::ws_tickets::{TicketCredential, TicketHolder};
use hxa_web::client::client;
use hxa_web::guard::authenticated;

/// What a bot's credential must cover.
pub const NEED: Need = Need::Of(Scope::Coordinate);

/// What the README says of a request without a key, and of one with a wrong key.
const NO_KEY: &str = "Missing or invalid Authorization header";
const WRONG_KEY: &str = "Invalid API key";

/// Somebody of an organisation.
#[derive(Clone)]
pub struct Principal {
    /// As the hub knows them.
    pub caller: Caller,
    /// As the rules of requests know them.
    pub who: Who,
    /// What they authenticated with; nothing in an open portal.
    pub credential: Option<TicketCredential>,
    /// When that ends by itself, ms.
    pub expires_at: Option<i64>,
}

impl Principal {
    /// Their organisation.
    #[must_use]
    pub fn org(&self) -> &Arc<OrgState> {
        self.caller.org()
    }

    /// The agent that calls: a bot by its own credential.
    ///
    /// # Errors
    /// 403 for people, also for those who act as a bot's owner.
    pub fn agent(&self) -> ApiResult<&BotCaller> {
        match &self.caller {
            Caller::Bot(caller) if caller.human.is_none() => Ok(caller),
            _ => Err(ApiError::forbidden("Only an agent may do this, with its key")),
        }
    }

    /// Whose streams and tickets are counted together.
    #[must_use]
    pub fn member(&self) -> Uuid {
        match &self.caller {
            Caller::Bot(caller) => caller.bot.id.uuid(),
            Caller::Admin(AdminCaller { bot: Some(bot), .. }) => bot.id.uuid(),
            Caller::Person(caller) => caller.person.id.uuid(),
            Caller::Admin(_) | Caller::Hub(_) => self.org().id.uuid(),
        }
    }

    /// Whose ticket it is.
    ///
    /// # Errors
    /// 403 in an open portal, where nobody needs a ticket.
    pub fn holder(&self) -> ApiResult<TicketHolder> {
        let none = || ApiError::forbidden("Without a credential there is nothing that a ticket could stand for");
        let credential = self.credential.clone().ok_or_else(none)?;
        Ok(TicketHolder { org: self.org().id, member: self.member(), credential })
    }

    /// Whether they act under whichever name they give.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.credential.is_none()
    }

    /// In an open portal they are whoever they say.
    pub fn be(&mut self, name: Option<&str>) {
        if let (true, Some(name), Who::Person { handle, .. }) = (self.credential.is_none(), name, &mut self.who) {
            *handle = name.into();
        }
    }

    /// Whether they still are who they were when they came.
    pub async fn is_still(&self, hub: &Hub) -> bool {
        let Some(credential) = &self.credential else { return auth::check_org(self.org()).is_ok() };
        match Self::again(hub, self.org().id, credential).await {
            Ok(now) => now.who == self.who,
            // Nobody loses a stream because the database is away for a moment.
            Err(refusal) => refusal.status() >= 500,
        }
    }

    /// Who comes with a credential that was good before.
    ///
    /// # Errors
    /// 401 when it has ended, 403 when it may not be used now.
    pub async fn again(hub: &Hub, org: OrgId, credential: &TicketCredential) -> ApiResult<Self> {
        let authenticated = match credential {
            TicketCredential::Token(hash) => auth::by_token_hash(hub.auth(), hash).await,
            TicketCredential::Session(hash) => auth::by_session_hash(hub.auth(), hash).await,
        };
        let principal = Self::of(authenticated?)?;
        if principal.org().id != org {
            return Err(ApiError::new(ErrorCode::OrgMismatch, "The credential belongs to another organisation"));
        }
        Ok(principal)
    }

    fn of(authenticated: Authenticated) -> ApiResult<Self> {
        let credential = match (&authenticated.session, authenticated.token_hash) {
            (Some(session), _) => TicketCredential::Session(session.row.id_hash.clone()),
            (None, Some(hash)) => TicketCredential::Token(hash),
            (None, None) => return Err(ApiError::internal()),
        };
        let (caller, who, expires_at) = match authenticated.principal {
            auth::Principal::Bot(caller) => {
                check_scope(caller.scopes)?;
                let may_respond = caller.scopes.holds(Scope::Respond);
                let who = Who::Agent { id: caller.bot.id, name: caller.bot.name.clone(), may_respond };
                let end = caller.token_expires_at;
                (Caller::Bot(caller), who, end)
            }
            auth::Principal::OrgAdmin { org, session } => {
                let who = Who::OrgAdmin { name: format!("org:{}", org.id).into() };
                let reference = Some(session.row.reference.clone());
                (Caller::Admin(AdminCaller::by_secret(org, reference)), who, None)
            }
            auth::Principal::Person(caller) => {
                let who = Who::Person { handle: caller.person.handle().into(), role: caller.person.role() };
                (Caller::Person(caller), who, None)
            }
            auth::Principal::SuperAdmin { .. } => {
                return Err(ApiError::forbidden("This needs an agent's key or a session of an organisation"));
            }
        };
        Ok(Self { caller, who, credential: Some(credential), expires_at })
    }
}

fn check_scope(scopes: ScopeSet) -> ApiResult<()> {
    if NEED.is_covered(scopes) {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::InsufficientScope, "The token's scopes do not cover this; it needs coordinate"))
}

impl FromRequest for Principal {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, ApiResult<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let hub = request.app_data::<web::Data<Hub>>().cloned().ok_or_else(ApiError::internal)?;
            let address = client(&request, hub.config()).address;
            charge_address(&hub, address)?;
            let principal = match authenticated(&request, &hub).await {
                Ok(authenticated) => Self::of(authenticated)?,
                Err(refusal) if refusal.code() == ErrorCode::AuthRequired && open::is_open(&hub) => {
                    open::enter(&hub, &request).await?
                }
                Err(refusal) => return Err(told(&hub, &request, address, refusal)),
            };
            charge(&hub, &principal)?;
            Ok(principal)
        })
    }
}

/// Charges a call to its address.
///
/// # Errors
/// 429 `RATE_LIMITED`.
pub fn charge_address(hub: &Hub, address: IpAddr) -> ApiResult<()> {
    hub.charge_address(address, WriteClass::Call)
}

/// Charges a call to its caller.
///
/// # Errors
/// 429 `RATE_LIMITED`.
pub fn charge(hub: &Hub, principal: &Principal) -> ApiResult<()> {
    hub.charge_member(&principal.org().budgets, principal.member(), WriteClass::Call, || 0)
}

/// A refused credential in the README's words. Whoever sends many wrong ones is refused otherwise: for those that look like
/// keys the guard of all routes has seen to that.
fn told(hub: &Hub, request: &HttpRequest, address: IpAddr, refusal: ApiError) -> ApiError {
    let sent = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let is_counted = auth::bearer(sent).is_some_and(|token| token.starts_with(KEY_PREFIX));
    match refusal.code() {
        ErrorCode::AuthRequired => refusal.saying(NO_KEY),
        ErrorCode::InvalidToken if is_counted => refusal.saying(WRONG_KEY),
        ErrorCode::InvalidToken => wrong_key(hub, address).unwrap_or(refusal.saying(WRONG_KEY)),
        ErrorCode::TokenExpired => refusal.saying(WRONG_KEY),
        _ => refusal,
    }
}

/// Counts a wrong key, or ticket; `Some` once an address has sent too many.
#[must_use]
pub fn wrong_key(hub: &Hub, address: IpAddr) -> Option<ApiError> {
    let (limiter, now) = (hub.auth().limiter(), hub.now());
    let refusal = limiter.check(Guess::Key, address, "", now).err();
    if refusal.is_some() {
        hub.metrics().limited("wrong_key");
    } else {
        limiter.failed(Guess::Key, address, "", now);
    }
    refusal
}
