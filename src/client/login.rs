//! People's sessions: logging in and out, and WebSocket tickets.

use std::time::SystemTime;

use reqwest::header::{DATE, SET_COOKIE};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::words::{PersonRole, Scope};

/// The role in which a person logs in.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Login {
    /// As the owner of a bot, with one of its tokens.
    Bot {
        /// The token.
        token: String,
        /// The person's name, shown to others.
        #[serde(skip_serializing_if = "Option::is_none")]
        owner_name: Option<String>,
    },
    /// As an organisation's admin.
    OrgAdmin {
        /// The id of the organisation.
        org_id: String,
        /// Its secret.
        org_secret: String,
    },
    /// As the platform's admin.
    SuperAdmin {
        /// The hub's admin secret.
        admin_secret: String,
    },
    /// As a person of an organisation, with its password.
    Person {
        /// The id of the organisation.
        org_id: String,
        /// The person's handle, in any case.
        handle: String,
        /// Its password.
        password: String,
    },
    /// As a person, with the code of a login link, which is used up.
    PersonLink {
        /// The code.
        code: String,
    },
}

/// The person whose session it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct SessionPerson {
    /// Its id.
    pub id: String,
    /// Its handle.
    pub handle: String,
    /// Its name in lists.
    pub display_name: String,
    /// Its role.
    pub role: PersonRole,
    /// Whether it has set a password.
    pub has_password: bool,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Session {
    /// `bot_owner`, `org_admin`, `super_admin` or `person`.
    pub role: String,
    /// The id of the organisation.
    pub org_id: Option<String>,
    /// The bot that the session belongs to.
    pub bot_id: Option<String>,
    /// The person's name.
    pub owner_name: Option<String>,
    /// The person, in a session of an organisation's person.
    pub person: Option<SessionPerson>,
    /// Its scopes.
    pub scopes: Option<Vec<Scope>>,
    /// The time at which it expires if unused, ms.
    pub expires_at: i64,
}

#[derive(Deserialize)]
pub(crate) struct Opened {
    pub(crate) session: Session,
}

/// A ticket that opens one WebSocket, within half a minute.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct WsTicket {
    /// The `ticket` parameter of the handshake.
    pub ticket: String,
    /// Seconds until it expires.
    pub expires_in: u32,
    /// The time of the response by the hub's clock.
    #[serde(skip)]
    pub(crate) given_at: Option<SystemTime>,
}

impl Client {
    /// Logs in. The returned client uses the session; this one is unchanged.
    ///
    /// ```no_run
    /// # async fn example() -> hxa_client::Result<()> {
    /// use hxa_client::{Client, Login};
    ///
    /// let hub = Client::builder("http://127.0.0.1:4800").build()?;
    /// let (admin, _) = hub.log_in(&Login::SuperAdmin { admin_secret: "…".to_owned() }).await?;
    /// let org = admin.create_org("acme").await?;
    /// admin.log_out().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS`, `INVALID_TOKEN`, `ORG_INACTIVE`, `RATE_LIMITED` after too many failures, and as every call.
    pub async fn log_in(&self, login: &Login) -> Result<(Self, Session)> {
        let answer = self.post_answer(&["api", "auth", "login"], login).await?;
        let cookie = answer.headers.get(SET_COOKIE).and_then(|value| value.to_str().ok());
        let cookie = cookie.ok_or_else(|| Error::Protocol("the login set no cookie".to_owned()))?;
        Ok((self.with_cookie(cookie)?, answer.json::<Opened>()?.session))
    }

    /// The session of this client.
    ///
    /// # Errors
    /// `AUTH_REQUIRED` without one, and as every call.
    pub async fn session(&self) -> Result<Session> {
        self.get(&["api", "auth", "session"], &()).await
    }

    /// Ends the session.
    ///
    /// # Errors
    /// As every call.
    pub async fn log_out(&self) -> Result<()> {
        self.post::<Value>(&["api", "auth", "logout"], &json!({})).await.map(drop)
    }

    /// A ticket for a WebSocket, for programs that open their own; [`Client::events`] gets its own.
    ///
    /// # Errors
    /// As every call.
    pub async fn ws_ticket(&self) -> Result<WsTicket> {
        let answer = self.post_answer(&["api", "ws-ticket"], &json!({})).await?;
        let date = answer.headers.get(DATE).and_then(|value| value.to_str().ok());
        let given_at = date.and_then(|date| httpdate::parse_http_date(date).ok());
        Ok(WsTicket { given_at, ..answer.json()? })
    }
}
