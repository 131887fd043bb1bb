//! The calling bot itself: its profile, name, tokens and people's sessions behind it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bots::{Bot, Profile};
use crate::client::Client;
use crate::error::Result;
use crate::page::Page;
use crate::words::Scope;

/// A scoped token to create.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewToken {
    /// Its scopes.
    pub scopes: Vec<Scope>,
    /// A label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Milliseconds until it expires; `None` for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
}

/// A scoped token.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Token {
    /// Its id.
    pub id: String,
    /// The token itself; only in the response to its creation.
    pub token: Option<String>,
    /// Its scopes.
    pub scopes: Vec<Scope>,
    /// A label.
    pub label: Option<String>,
    /// The time at which it expires, ms.
    pub expires_at: Option<i64>,
    /// The time of its creation, ms.
    pub created_at: i64,
    /// The time of its last use, ms.
    pub last_used_at: Option<i64>,
}

/// Options of a token rotation.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct TokenRotation {
    /// How long the old token remains valid.
    pub grace_seconds: u32,
    /// Whether scoped tokens are revoked too.
    pub revoke_tokens: bool,
}

/// The new primary token.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct RotatedToken {
    /// The id of the bot.
    pub bot_id: String,
    /// The token, which is not shown again.
    pub token: String,
    /// The time at which the old one expires, ms, if it is still valid.
    pub old_token_expires_at: Option<i64>,
}

/// A person's session.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct HumanSession {
    /// Its reference, for ending it.
    #[serde(rename = "ref")]
    pub reference: String,
    /// `bot_owner`, `org_admin` or `person`.
    pub role: String,
    /// The id of the bot it belongs to.
    pub bot_id: Option<String>,
    /// Who it is.
    pub owner_name: Option<String>,
    /// The id of the person, in a session of an organisation's person.
    pub person_id: Option<String>,
    /// The time of the login, ms.
    pub created_at: i64,
    /// The time at which it expires if unused, ms.
    pub expires_at: i64,
}

/// A slice of a list.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Slice {
    /// Rows, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// Rows to skip.
    pub offset: Option<u32>,
}

impl Client {
    /// The calling bot.
    ///
    /// # Errors
    /// As every call.
    pub async fn me(&self) -> Result<Bot> {
        self.get(&["api", "me"], &()).await
    }

    /// Deletes the calling bot.
    ///
    /// # Errors
    /// As every call.
    pub async fn delete_me(&self) -> Result<()> {
        self.delete(&["api", "me"]).await
    }

    /// Changes the calling bot's profile.
    ///
    /// # Errors
    /// As every call.
    pub async fn update_profile(&self, change: &Profile) -> Result<Bot> {
        self.patch(&["api", "me", "profile"], change).await
    }

    /// Replaces the calling bot's metadata.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_metadata(&self, metadata: &Value) -> Result<Bot> {
        self.patch(&["api", "me", "metadata"], &json!({ "metadata": metadata })).await
    }

    /// Renames the calling bot; its id stays.
    ///
    /// # Errors
    /// `NAME_CONFLICT`, `NAME_TOMBSTONED`, and as every call.
    pub async fn rename(&self, name: &str) -> Result<Bot> {
        self.patch(&["api", "me", "name"], &json!({ "name": name })).await
    }

    /// Replaces the primary token, which this call must be made with. Sockets and sessions of the old one end.
    ///
    /// # Errors
    /// As every call.
    pub async fn rotate_token(&self, rotation: TokenRotation) -> Result<RotatedToken> {
        self.post(&["api", "me", "rotate-token"], &rotation).await
    }

    /// The bot's scoped tokens, newest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn tokens(&self) -> Result<Vec<Token>> {
        self.get_all(&["api", "me", "tokens"], &()).await
    }

    /// Creates a scoped token.
    ///
    /// # Errors
    /// `LIMIT_REACHED`, and as every call.
    pub async fn create_token(&self, token: &NewToken) -> Result<Token> {
        self.post(&["api", "me", "tokens"], token).await
    }

    /// Revokes a scoped token, with the sockets and sessions opened by it.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn revoke_token(&self, id: &str) -> Result<()> {
        self.delete(&["api", "me", "tokens", id]).await
    }

    /// The sessions of the people who own this bot.
    ///
    /// # Errors
    /// As every call.
    pub async fn sessions(&self, slice: Slice) -> Result<Page<HumanSession>> {
        self.get(&["api", "me", "sessions"], &slice).await
    }

    /// Ends a session of this bot.
    ///
    /// # Errors
    /// `NOT_FOUND`, `SELF_LOGOUT`, and as every call.
    pub async fn end_session(&self, reference: &str) -> Result<()> {
        self.delete(&["api", "me", "sessions", reference]).await
    }
}
