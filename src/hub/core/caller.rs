//! The authenticated caller of an operation, whichever transport it came through.
//!
//! A caller is resolved once per request or socket; state that can change meanwhile (the status of the bot and the
//! organisation) is read from the shared state when it is needed.

use std::sync::Arc;

use crate::core::org_state::{Bot, OrgState};
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::TokenId;
use hxa_domain::scope::ScopeSet;

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

/// An organisation admin: a person's session or an admin bot.
#[derive(Clone)]
pub struct AdminCaller {
    /// The organisation.
    pub org: Arc<OrgState>,
    /// The admin bot; `None` for a session.
    pub bot: Option<Arc<Bot>>,
    /// The session's public reference, for the audit trail; `None` for a bot's token.
    pub session_ref: Option<String>,
    /// The scoped token that the admin bot's credential is or was opened with, if any.
    pub token: Option<TokenId>,
    /// When that token ends, ms.
    pub token_expires_at: Option<i64>,
}

impl AdminCaller {
    /// A person with the organisation's secret: in a session of this reference, or for one request.
    #[must_use]
    pub const fn person(org: Arc<OrgState>, session_ref: Option<String>) -> Self {
        Self { org, bot: None, session_ref, token: None, token_expires_at: None }
    }

    /// An admin bot, or a person behind one.
    #[must_use]
    pub fn bot(caller: BotCaller) -> Self {
        let BotCaller { org, bot, token, token_expires_at, .. } = caller;
        Self { org, bot: Some(bot), session_ref: None, token, token_expires_at }
    }
}

/// The caller of an operation on a thread.
#[derive(Clone)]
pub enum Caller {
    /// A participant or would-be participant.
    Bot(BotCaller),
    /// The organisation's admin, outside the thread's own rules.
    Admin(AdminCaller),
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
            Caller::Hub(org) => org,
        }
    }

    /// How events and catchup name the actor: a bot id, or `org:<org id>` on organisation routes.
    #[must_use]
    pub fn by(&self) -> String {
        match self {
            Caller::Bot(caller) => caller.bot.id.to_string(),
            Caller::Admin(caller) => format!("org:{}", caller.org.id),
            Caller::Hub(org) => format!("org:{}", org.id),
        }
    }

    /// How the audit trail names the actor.
    #[must_use]
    pub fn audit_bot(&self) -> Option<String> {
        match self {
            Caller::Bot(caller) => Some(caller.bot.id.to_string()),
            Caller::Admin(caller) => {
                Some(caller.bot.as_ref().map_or_else(|| format!("org:{}", caller.org.id), |bot| bot.id.to_string()))
            }
            Caller::Hub(_) => None,
        }
    }

    /// True when the operation came through a socket.
    #[must_use]
    pub fn via_socket(&self) -> bool {
        matches!(self, Caller::Bot(caller) if caller.via_socket)
    }
}
