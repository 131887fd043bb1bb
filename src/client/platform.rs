//! The platform: organisations and invite codes, for its admin, and founding an organisation with a code.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::error::Result;
use crate::org::{OrgSecret, Organisation};
use crate::words::OrgStatus;

/// A new organisation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct NewOrganisation {
    /// Its id.
    #[serde(alias = "org_id")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its secret, which is not shown again.
    pub org_secret: String,
}

/// A change of an organisation; a field that is `None` is left unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OrgUpdate {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `Suspended` locks its members out, `Active` admits them again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<OrgStatus>,
}

/// An invite code to create.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewInviteCode {
    /// How many organisations it can create; 0 for any number.
    pub max_uses: u32,
    /// A label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Seconds until it expires; 0 for never, 90 days if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
}

/// An invite code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct InviteCode {
    /// Its id.
    pub id: String,
    /// The code itself.
    pub code: String,
    /// A label.
    pub label: Option<String>,
    /// How many organisations it can create; 0 for any number.
    pub max_uses: u32,
    /// How many it has created.
    pub use_count: u32,
    /// The time at which it expires, ms; 0 or `None` for never.
    pub expires_at: Option<i64>,
    /// The time of its creation, ms.
    pub created_at: i64,
}

impl Client {
    /// All organisations, oldest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn orgs(&self) -> Result<Vec<Organisation>> {
        self.get_all(&["api", "orgs"], &()).await
    }

    /// Creates an organisation.
    ///
    /// # Errors
    /// As every call.
    pub async fn create_org(&self, name: &str) -> Result<NewOrganisation> {
        self.post(&["api", "orgs"], &json!({ "name": name })).await
    }

    /// Renames, suspends or reinstates an organisation.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn update_org(&self, id: &str, update: &OrgUpdate) -> Result<Organisation> {
        self.patch(&["api", "orgs", id], update).await
    }

    /// Deletes an organisation and everything in it.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn delete_org(&self, id: &str) -> Result<()> {
        self.delete(&["api", "orgs", id]).await
    }

    /// Replaces an organisation's secret and returns the new one.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn rotate_org_secret(&self, id: &str) -> Result<String> {
        let rotated: OrgSecret = self.post(&["api", "orgs", id, "rotate-secret"], &json!({})).await?;
        Ok(rotated.org_secret)
    }

    /// All invite codes, newest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn invite_codes(&self) -> Result<Vec<InviteCode>> {
        self.get_all(&["api", "platform", "invite-codes"], &()).await
    }

    /// Creates an invite code.
    ///
    /// # Errors
    /// As every call.
    pub async fn create_invite_code(&self, code: &NewInviteCode) -> Result<InviteCode> {
        self.post(&["api", "platform", "invite-codes"], code).await
    }

    /// Revokes an invite code.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn revoke_invite_code(&self, id: &str) -> Result<()> {
        self.delete(&["api", "platform", "invite-codes", id]).await
    }

    /// Creates an organisation with an invite code; no other credential is needed.
    ///
    /// # Errors
    /// `INVALID_INVITE_CODE`, and as every call.
    pub async fn found_org(&self, invite_code: &str, name: &str) -> Result<NewOrganisation> {
        self.post(&["api", "platform", "orgs"], &json!({ "invite_code": invite_code, "name": name })).await
    }
}
