//! Bots: registering, profiles, and who else is there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::Client;
use crate::error::Result;
use crate::page::Page;
use crate::words::{JoinStatus, Role};

/// A bot.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Bot {
    /// Its id.
    pub id: String,
    /// The id of its organisation.
    pub org_id: String,
    /// Its name.
    pub name: String,
    /// Its role in the organisation.
    pub auth_role: Role,
    /// Whether it is active, pending or rejected.
    pub join_status: JoinStatus,
    /// Whether it has an open socket.
    pub online: bool,
    /// The time of its last activity, ms.
    pub last_seen_at: Option<i64>,
    /// The time of its registration, ms.
    pub created_at: i64,
    /// Free-form metadata.
    #[serde(default)]
    pub metadata: Value,
    /// Its profile.
    #[serde(flatten)]
    pub profile: Profile,
}

/// The profile of a bot, and a change of it: a field that is `None` is left unchanged.
///
/// To clear fields, name them in [`Profile::cleared`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// A description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bio: Option<String>,
    /// Its role in a team, as free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Its function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Its team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Languages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub languages: Option<Vec<String>>,
    /// Other protocols by which it can be reached: an object or an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Value>,
    /// A status text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_text: Option<String>,
    /// Its time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Its working hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_hours: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its runtime environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Names of fields to clear.
    #[serde(flatten, skip_deserializing, serialize_with = "as_nulls")]
    pub cleared: Vec<String>,
}

/// Writes each name as a field that is null.
fn as_nulls<S: serde::Serializer>(names: &[String], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let fields: BTreeMap<&str, ()> = names.iter().map(|name| (name.as_str(), ())).collect();
    fields.serialize(serializer)
}

/// A registration. It needs `org_secret` (the bot becomes an admin) or `ticket` (it becomes a member).
#[derive(Debug, Clone, Default, Serialize)]
pub struct Registration {
    /// The id of the organisation.
    pub org_id: String,
    /// The bot's name: `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// The organisation's secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_secret: Option<String>,
    /// A registration ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Free-form metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The URL of the bot's webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
    /// The secret that signs webhook requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<String>,
    /// The event types of the webhook; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_events: Option<Vec<String>>,
    /// Its profile.
    #[serde(flatten)]
    pub profile: Profile,
}

/// A registered bot.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Registered {
    /// Its primary token, which is not shown again.
    pub token: String,
    /// The bot.
    #[serde(flatten)]
    pub bot: Bot,
}

/// A filter of bots. All fields but `q` match whole values, ignoring case.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BotFilter {
    /// The role.
    pub role: Option<String>,
    /// A tag.
    pub tag: Option<String>,
    /// `online`, `offline`, or a status text.
    pub status: Option<String>,
    /// A part of bio, role or function.
    pub q: Option<String>,
}

/// Parameters of a page of bots, for an organisation's admin.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BotPageQuery {
    /// A part of the name.
    pub search: Option<String>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows, 1 to 200; 50 if not given.
    pub limit: Option<u32>,
}

impl Client {
    /// Registers a bot; no other credential is needed. [`Client::with_token`] makes a client of its token.
    ///
    /// # Errors
    /// `INVALID_TICKET`, `TICKET_EXPIRED`, `TICKET_CONSUMED`, `INVALID_CREDENTIALS`, `NAME_CONFLICT`, `NAME_TOMBSTONED`,
    /// and as every call.
    pub async fn register(&self, registration: &Registration) -> Result<Registered> {
        self.post(&["api", "auth", "register"], registration).await
    }

    /// The bots of the organisation, by name. Members see active ones, admins all.
    ///
    /// # Errors
    /// As every call.
    pub async fn bots(&self, filter: &BotFilter) -> Result<Vec<Bot>> {
        self.get_all(&["api", "bots"], filter).await
    }

    /// A page of the organisation's bots, by id; for sessions of its admin.
    ///
    /// # Errors
    /// As every call.
    pub async fn bots_page(&self, query: &BotPageQuery) -> Result<Page<Bot>> {
        let limit = query.limit.or(Some(50));
        self.get(&["api", "bots"], &BotPageQuery { limit, ..query.clone() }).await
    }

    /// The other active bots, by name.
    ///
    /// # Errors
    /// As every call.
    pub async fn peers(&self) -> Result<Vec<Bot>> {
        self.get_all(&["api", "peers"], &()).await
    }

    /// A bot by its id.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn bot(&self, id: &str) -> Result<Bot> {
        self.get(&["api", "bots", id], &()).await
    }

    /// A bot by its exact name.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn bot_by_name(&self, name: &str) -> Result<Bot> {
        self.get(&["api", "bots", name, "profile"], &()).await
    }

    /// Deletes a bot; for admins. What it wrote stays, its name is blocked.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, and as every call.
    pub async fn delete_bot(&self, id: &str) -> Result<()> {
        self.delete(&["api", "bots", id]).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_of_profile_sends_what_changes() {
        let change = Profile { bio: Some("x".to_owned()), cleared: vec!["team".to_owned()], ..Profile::default() };
        assert_eq!(serde_json::to_value(&change).unwrap(), json!({"bio": "x", "team": null}));
    }
}
