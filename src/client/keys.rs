//! Keys with which an organisation's agents ask people, for its admins.

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Result;

/// A key to create.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewKey {
    /// The agent: the name of a bot, which is made if there is none, or a bot's id.
    pub agent_id: String,
    /// A label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether the key may answer requests, too.
    pub allow_respond: bool,
    /// Seconds until it expires; `None` for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
}

/// A key.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Key {
    /// Its id.
    pub id: String,
    /// The key itself; only in the response to its creation.
    pub key: Option<String>,
    /// The name of the agent's bot.
    pub agent_id: String,
    /// The id of the agent's bot.
    pub bot_id: String,
    /// A label.
    pub label: Option<String>,
    /// Whether it may answer requests, too.
    pub allow_respond: bool,
    /// The time at which it expires, ms.
    pub expires_at: Option<i64>,
    /// The time of its creation, ms.
    pub created_at: i64,
    /// The time of its last use, ms.
    pub last_used_at: Option<i64>,
}

impl Client {
    /// The keys of the organisation's agents, newest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn keys(&self) -> Result<Vec<Key>> {
        self.get_all(&["api", "org", "keys"], &()).await
    }

    /// Creates a key, and the agent's bot if there is none.
    ///
    /// # Errors
    /// `LIMIT_REACHED`, `BOT_NOT_ACTIVE`, `NAME_TOMBSTONED`, and as every call.
    pub async fn create_key(&self, key: &NewKey) -> Result<Key> {
        self.post(&["api", "org", "keys"], key).await
    }

    /// Revokes a key.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn revoke_key(&self, id: &str) -> Result<()> {
        self.delete(&["api", "org", "keys", id]).await
    }
}
