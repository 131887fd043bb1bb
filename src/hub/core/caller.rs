//! The authenticated caller of an operation, whichever transport it came through.
//!
//! A caller is resolved once per request or socket; state that can change meanwhile (the status of the bot and the
//! organisation) is read from the shared state when it is needed.

use std::sync::Arc;

use crate::core::org_state::{Bot, OrgState, Person};
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::TokenId;
use hxa_domain::scope::ScopeSet;
use hxa_store::people;

/// A bot, or a person acting through a bot's session.
#[derive(Clone)]
pub struct BotCaller {
    /// Its organisation.
    pub org: Arc<OrgState>,
    /// The bot.
    pub bot: Arc<Bot>,
    /// What its credential covers.
    pub scopes: ScopeSet,
    /// The scoped token it authenticated with, if any.
    pub token: Option<TokenId>,
    /// When that token ends, ms.
    pub token_expires_at: Option<i64>,
    /// Set for a person behind a `bot_owner` session.
    pub human: Option<Human>,
    /// True when the operation came through a socket.
    pub via_socket: bool,
}

impl BotCaller {
    /// Refuses people: those who watch a bot through its session may not speak in its name to other bots.
    ///
    /// # Errors
    /// 403 `DM_SEND_BLOCKED`.
    pub fn may_send_dm(&self) -> ApiResult<()> {
        match self.human {
            None => Ok(()),
            Some(_) => {
                Err(ApiError::new(ErrorCode::DmSendBlocked, "Direct messages cannot be sent from a human session"))
            }
        }
    }

    /// Refuses a caller whose own token ends: what it is about to make would outlive it.
    ///
    /// # Errors
    /// 403 `FORBIDDEN`.
    pub fn refuse_ending(&self, what: &str) -> ApiResult<()> {
        match self.token_expires_at {
            None => Ok(()),
            Some(_) => Err(ApiError::forbidden(format!("A token that ends cannot {what}, which would outlive it"))),
        }
    }
}

/// Refuses whoever came with a scoped token, or in a session opened with one: what ends with nobody's token is made by
/// a bot's primary token, or by people.
///
/// # Errors
/// 403 `FORBIDDEN`.
pub fn refuse_scoped(token: Option<TokenId>, what: &str) -> ApiResult<()> {
    match token {
        None => Ok(()),
        Some(_) => Err(ApiError::forbidden(format!("A scoped token cannot {what}; this needs the primary token"))),
    }
}

/// A person who speaks through a bot.
#[derive(Debug, Clone)]
pub struct Human {
    /// How they call themselves.
    pub owner_name: Option<String>,
    /// The public reference of their session.
    pub session_ref: String,
}

/// A person of an organisation, in its own name.
#[derive(Clone)]
pub struct PersonCaller {
    /// The organisation.
    pub org: Arc<OrgState>,
    /// The person.
    pub person: Arc<Person>,
    /// The public reference of its session.
    pub session_ref: String,
}

impl PersonCaller {
    /// How rows and events name it: `person:<id>`.
    #[must_use]
    pub fn by(&self) -> String {
        people::actor(self.person.id)
    }
}

/// An organisation admin: whoever has its secret, a person with the role, or an admin bot.
#[derive(Clone)]
pub struct AdminCaller {
    /// The organisation.
    pub org: Arc<OrgState>,
    /// The admin bot; `None` for a session.
    pub bot: Option<Arc<Bot>>,
    /// The person with the role; `None` for a bot and for the organisation's secret.
    pub person: Option<Arc<Person>>,
    /// The session's public reference, for the audit trail; `None` for a bot's token.
    pub session_ref: Option<String>,
    /// The scoped token that the admin bot's credential is or was opened with, if any.
    pub token: Option<TokenId>,
    /// When that token ends, ms.
    pub token_expires_at: Option<i64>,
}

impl AdminCaller {
    /// Somebody with the organisation's secret: in a session of this reference, or for one request.
    #[must_use]
    pub const fn by_secret(org: Arc<OrgState>, session_ref: Option<String>) -> Self {
        Self { org, bot: None, person: None, session_ref, token: None, token_expires_at: None }
    }

    /// A person with the role.
    #[must_use]
    pub fn person(caller: PersonCaller) -> Self {
        let PersonCaller { org, person, session_ref } = caller;
        Self { person: Some(person), ..Self::by_secret(org, Some(session_ref)) }
    }

    /// An admin bot, or a person behind one.
    #[must_use]
    pub fn bot(caller: BotCaller) -> Self {
        let BotCaller { org, bot, token, token_expires_at, .. } = caller;
        Self { org, bot: Some(bot), person: None, session_ref: None, token, token_expires_at }
    }

    /// How rows name who acts: a bot by its id, a person as `person:<id>`; `None` for the organisation's secret.
    #[must_use]
    pub fn actor(&self) -> Option<String> {
        let person = || self.person.as_ref().map(|person| people::actor(person.id));
        self.bot.as_ref().map(|bot| bot.id.to_string()).or_else(person)
    }
}

/// The caller of an operation on a thread.
#[derive(Clone)]
pub enum Caller {
    /// A participant or would-be participant.
    Bot(BotCaller),
    /// The organisation's admin, outside the thread's own rules.
    Admin(AdminCaller),
    /// A person of the organisation, in its own name.
    Person(PersonCaller),
    /// The hub itself (automatic closing, deletions).
    Hub(Arc<OrgState>),
}

impl Caller {
    /// The organisation everything happens in.
    #[must_use]
    pub fn org(&self) -> &Arc<OrgState> {
        match self {
            Caller::Bot(caller) => &caller.org,
            Caller::Admin(caller) => &caller.org,
            Caller::Person(caller) => &caller.org,
            Caller::Hub(org) => org,
        }
    }

    /// How events and catchup name the actor: a bot id, `person:<id>`, or `org:<org id>` on organisation routes.
    #[must_use]
    pub fn by(&self) -> String {
        match self {
            Caller::Bot(caller) => caller.bot.id.to_string(),
            Caller::Person(caller) => caller.by(),
            Caller::Admin(AdminCaller { person: Some(person), .. }) => people::actor(person.id),
            Caller::Admin(caller) => format!("org:{}", caller.org.id),
            Caller::Hub(org) => format!("org:{}", org.id),
        }
    }

    /// How the audit trail names the actor.
    #[must_use]
    pub fn audit_bot(&self) -> Option<String> {
        match self {
            Caller::Bot(caller) => Some(caller.bot.id.to_string()),
            Caller::Person(caller) => Some(caller.by()),
            Caller::Admin(caller) => Some(caller.actor().unwrap_or_else(|| format!("org:{}", caller.org.id))),
            Caller::Hub(_) => None,
        }
    }

    /// True when the operation came through a socket.
    #[must_use]
    pub fn via_socket(&self) -> bool {
        matches!(self, Caller::Bot(caller) if caller.via_socket)
    }
}
