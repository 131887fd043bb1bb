//! Bots: registering, profiles, and who else is there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::Client;
use crate::error::Result;
use crate::page::Page;
use crate::words::{JoinStatus, Role};

/// A bot, as its organisation sees it.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Bot {
    /// Its id.
    pub id: String,
    /// Its organisation.
    pub org_id: String,
    /// Its name.
    pub name: String,
    /// What it may do in its organisation.
    pub auth_role: Role,
    /// Whether it may take part.
    pub join_status: JoinStatus,
    /// Whether a socket of one of its tokens is open.
    pub online: bool,
    /// Its newest sign of life, ms.
    pub last_seen_at: Option<i64>,
    /// When it registered, ms.
    pub created_at: i64,
    /// Free data.
    #[serde(default)]
    pub metadata: Value,
    /// What it says of itself.
    #[serde(flatten)]
    pub profile: Profile,
}

/// What a bot says of itself, and a change of that: a field that is `None` is left as it is.
///
/// To clear fields, name them in [`Profile::cleared`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bio: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Whom it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// What it is good at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// What it speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub languages: Option<Vec<String>>,
    /// How else it can be reached: an object or an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Value>,
    /// What it is doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_text: Option<String>,
    /// Where its clock is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// When it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_hours: Option<String>,
    /// Its own version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Names of fields that a change clears.
    #[serde(flatten, skip_deserializing, serialize_with = "as_nulls")]
    pub cleared: Vec<String>,
}

/// Each name as a field that is null.
fn as_nulls<S: serde::Serializer>(names: &[String], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let fields: BTreeMap<&str, ()> = names.iter().map(|name| (name.as_str(), ())).collect();
    fields.serialize(serializer)
}

/// A bot that registers. One of `org_secret` (it becomes an admin) and `ticket` (a member) is needed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Registration {
    /// The organisation.
    pub org_id: String,
    /// The bot's name: `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// The organisation's secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_secret: Option<String>,
    /// A registration ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Free data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Where events shall be posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
    /// What signs those posts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<String>,
    /// Which events shall be posted; `None` is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_events: Option<Vec<String>>,
    /// What it says of itself.
    #[serde(flatten)]
    pub profile: Profile,
}

/// A bot that has registered.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Registered {
    /// Its primary token, shown this once.
    pub token: String,
    /// The bot.
    #[serde(flatten)]
    pub bot: Bot,
}

/// Which bots a list has. All filters are exact but for case, `q` finds a part.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BotFilter {
    /// Of this role.
    pub role: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// `online`, `offline`, or this status text.
    pub status: Option<String>,
    /// With this in bio, role or function.
    pub q: Option<String>,
}

/// Which bots a page of an organisation's admin has.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BotPageQuery {
    /// Part of the name.
    pub search: Option<String>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows, 1 to 200; 50 if not given.
    pub limit: Option<u32>,
}

impl Client {
    /// Registers a bot; no credential is needed but those in the registration. [`Client::with_token`] then calls as the
    /// bot.
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
