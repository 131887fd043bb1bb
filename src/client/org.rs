//! The organisation, for its admins: settings, bots' roles, tickets, sessions, trail and search.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::Result;
use crate::me::{HumanSession, Slice};
use crate::page::Page;
use crate::threads::{Change, PermissionPolicy};
use crate::words::{JoinStatus, OrgStatus, Role};

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Organisation {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: OrgStatus,
    /// The number of its bots; in the platform's list.
    pub bot_count: Option<u64>,
    /// The time of its creation, ms; in the platform's list.
    pub created_at: Option<i64>,
}

/// Settings of an organisation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct OrgSettings {
    /// Messages of one bot per minute.
    pub messages_per_minute_per_bot: u32,
    /// New threads of one bot per hour.
    pub threads_per_hour_per_bot: u32,
    /// Uploads of one bot per day, in MiB.
    pub file_upload_mb_per_day_per_bot: u32,
    /// After how many days messages are deleted.
    pub message_ttl_days: Option<u32>,
    /// After how many days without activity threads are closed.
    pub thread_auto_close_days: Option<u32>,
    /// After how many days artifacts are deleted.
    pub artifact_retention_days: Option<u32>,
    /// The policy of threads without their own.
    pub default_thread_permission_policy: Option<PermissionPolicy>,
    /// Whether new bots need approval.
    pub join_approval_required: bool,
    /// The time of the last change, ms.
    pub updated_at: Option<i64>,
}

/// A change of settings; a field that is `None` is left unchanged.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct OrgSettingsUpdate {
    /// Messages of one bot per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_minute_per_bot: Option<u32>,
    /// New threads of one bot per hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads_per_hour_per_bot: Option<u32>,
    /// Uploads of one bot per day, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_upload_mb_per_day_per_bot: Option<u32>,
    /// After how many days messages are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_ttl_days: Change<u32>,
    /// After how many days without activity threads are closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_auto_close_days: Change<u32>,
    /// After how many days artifacts are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_retention_days: Change<u32>,
    /// The policy of threads without their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_thread_permission_policy: Change<PermissionPolicy>,
    /// Whether new bots need approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_approval_required: Option<bool>,
}

/// A registration ticket to create.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct NewTicket {
    /// Whether it can be used more than once.
    pub reusable: bool,
    /// Whether bots registered with it need no approval.
    pub skip_approval: bool,
    /// Seconds until it expires; 0 for never, half an hour if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
}

/// A registration ticket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Ticket {
    /// Its id; in lists.
    pub id: Option<String>,
    /// The ticket itself.
    #[serde(alias = "ticket")]
    pub code: String,
    /// Whether it can be used more than once.
    pub reusable: bool,
    /// Whether bots registered with it need no approval.
    #[serde(default)]
    pub skip_approval: bool,
    /// The time at which it expires, ms; 0 or `None` for never.
    pub expires_at: Option<i64>,
}

/// An entry of the audit trail.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct AuditEntry {
    /// Its id.
    pub id: String,
    /// The id of the bot that did it, if it was a bot.
    pub bot_id: Option<String>,
    /// The action.
    pub action: String,
    /// The type of the target.
    pub target_type: String,
    /// The id of the target.
    pub target_id: String,
    /// Details.
    #[serde(default)]
    pub detail: Value,
    /// The time, ms.
    pub created_at: i64,
}

/// A filter of the audit trail; all fields match exactly.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AuditQuery {
    /// After this time, ms.
    pub since: Option<i64>,
    /// The action.
    pub action: Option<String>,
    /// The type of the target.
    pub target_type: Option<String>,
    /// The id of the target.
    pub target_id: Option<String>,
    /// The id of the bot.
    pub bot_id: Option<String>,
    /// Before this entry (id) or time (ms).
    pub before: Option<String>,
    /// Entries, 1 to 200; 50 if not given.
    pub limit: Option<u32>,
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Found {
    /// The newest 20, newest first.
    pub messages: Vec<FoundMessage>,
    /// Whether the search ran out of time before it had looked at everything.
    #[serde(default)]
    pub incomplete: bool,
}

/// A message found by a search.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FoundMessage {
    /// The id of the message.
    pub message_id: String,
    /// The id of its thread.
    pub thread_id: String,
    /// The topic of the thread.
    pub thread_topic: String,
    /// The name of the sender; `None` if that bot was deleted.
    pub sender_name: Option<String>,
    /// The text.
    pub content: String,
    /// When it was sent, ms.
    pub created_at: i64,
}

/// The name of a deleted bot, which is reserved until it is released.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Tombstone {
    /// The name.
    pub name: String,
    /// The time of the deletion, ms.
    pub deleted_at: i64,
    /// Who deleted it.
    pub deleted_by: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Cursor {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows, 1 to 200; 50 if not given.
    pub limit: Option<u32>,
}

#[derive(Serialize)]
struct Search<'a> {
    q: &'a str,
}

#[derive(Deserialize)]
pub(crate) struct OrgSecret {
    pub(crate) org_secret: String,
}

impl Client {
    /// The caller's organisation.
    ///
    /// # Errors
    /// As every call.
    pub async fn org(&self) -> Result<Organisation> {
        self.get(&["api", "org"], &()).await
    }

    /// The organisation's settings.
    ///
    /// # Errors
    /// As every call.
    pub async fn org_settings(&self) -> Result<OrgSettings> {
        self.get(&["api", "org", "settings"], &()).await
    }

    /// Changes the organisation's settings.
    ///
    /// # Errors
    /// As every call.
    pub async fn update_org_settings(&self, update: &OrgSettingsUpdate) -> Result<OrgSettings> {
        self.patch(&["api", "org", "settings"], update).await
    }

    /// Replaces the organisation's secret and returns the new one. All sessions of its admins end, also this one.
    ///
    /// # Errors
    /// As every call.
    pub async fn rotate_own_org_secret(&self) -> Result<String> {
        let rotated: OrgSecret = self.post(&["api", "org", "rotate-secret"], &json!({})).await?;
        Ok(rotated.org_secret)
    }

    /// Changes the role of a bot.
    ///
    /// # Errors
    /// `NOT_FOUND`, `SELF_DEMOTION`, and as every call.
    pub async fn set_bot_role(&self, bot_id: &str, role: Role) -> Result<()> {
        self.patch::<Value>(&["api", "org", "bots", bot_id, "role"], &json!({ "auth_role": role })).await.map(drop)
    }

    /// Approves or rejects a bot.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn set_bot_status(&self, bot_id: &str, status: JoinStatus, reason: Option<&str>) -> Result<()> {
        let body = match reason {
            Some(reason) => json!({ "status": status, "reason": reason }),
            None => json!({ "status": status }),
        };
        self.patch::<Value>(&["api", "org", "bots", bot_id, "status"], &body).await.map(drop)
    }

    /// The valid registration tickets.
    ///
    /// # Errors
    /// As every call.
    pub async fn tickets(&self, cursor: &Cursor) -> Result<Page<Ticket>> {
        self.get(&["api", "org", "tickets"], cursor).await
    }

    /// Creates a registration ticket.
    ///
    /// # Errors
    /// `LIMIT_REACHED`, and as every call.
    pub async fn create_ticket(&self, ticket: NewTicket) -> Result<Ticket> {
        self.post(&["api", "org", "tickets"], &ticket).await
    }

    /// Deletes a registration ticket.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn delete_ticket(&self, id: &str) -> Result<()> {
        self.delete(&["api", "org", "tickets", id]).await
    }

    /// The sessions of people in the organisation.
    ///
    /// # Errors
    /// As every call.
    pub async fn org_sessions(&self, slice: Slice) -> Result<Page<HumanSession>> {
        self.get(&["api", "org", "sessions"], &slice).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// `NOT_FOUND`, `SELF_LOGOUT`, and as every call.
    pub async fn end_org_session(&self, reference: &str) -> Result<()> {
        self.delete(&["api", "org", "sessions", reference]).await
    }

    /// The audit trail, newest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>> {
        self.get(&["api", "audit"], query).await
    }

    /// Searches the messages of threads for a text; the newest matches.
    ///
    /// # Errors
    /// As every call.
    pub async fn search_messages(&self, text: &str) -> Result<Found> {
        self.get(&["api", "org", "search"], &Search { q: text }).await
    }

    /// The reserved names of deleted bots, for sessions of an admin.
    ///
    /// # Errors
    /// As every call.
    pub async fn tombstones(&self, org_id: &str, cursor: &Cursor) -> Result<Page<Tombstone>> {
        self.get(&["api", "orgs", org_id, "tombstones"], cursor).await
    }

    /// Releases the name of a deleted bot.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn release_name(&self, org_id: &str, name: &str) -> Result<()> {
        self.delete(&["api", "orgs", org_id, "tombstones", name]).await
    }
}
