//! What an organisation lets requests do by themselves.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Requests;
use crate::principal::Principal;
use crate::queries;
use crate::rules::auto_approve::AutoApprove;
use crate::rules::{PersonRole, Who};
use crate::writes::StorePolicy;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::OrgId;
use hxa_hub::commits::Change;
use hxa_store::rows::AuditRow;

impl Requests {
    /// The policy of an organisation.
    ///
    /// # Errors
    /// 503 when the database is unavailable.
    pub async fn policy(&self, org: OrgId) -> ApiResult<Arc<AutoApprove>> {
        if let Some(known) = self.policies.get(&org) {
            return Ok(known.clone());
        }
        let stored = self.core().store().read_for(org, move |conn| queries::find_policy(conn, org)).await?;
        let policy = stored.and_then(|text| serde_json::from_str(&text).ok()).map(AutoApprove::read);
        // What cannot be read permits least.
        let nothing = || AutoApprove { intents: Vec::new(), urgencies: Vec::new() };
        let policy = Arc::new(policy.map_or_else(AutoApprove::default, |read| read.unwrap_or_else(|_| nothing())));
        // A change that came meanwhile is newer.
        Ok(self.policies.entry(org).or_insert(policy).clone())
    }

    /// Changes the policy of the caller's organisation.
    ///
    /// # Errors
    /// 403 for those who are no admins; 503 when the database is unavailable.
    pub async fn set_policy(&self, principal: &Principal, policy: AutoApprove) -> ApiResult<Arc<AutoApprove>> {
        let is_admin = matches!(&principal.who, Who::OrgAdmin { .. } | Who::Person { role: PersonRole::Admin, .. });
        if !is_admin {
            return Err(ApiError::forbidden("Only an organisation's admins change what approves itself"));
        }
        let (org, now) = (principal.org().id, self.core().now());
        let stored = json_of(&policy);
        let by = principal.caller.audit_bot();
        let trail = AuditRow::new(org, now, by, "coordination.policy", "org", org, Some(stored.clone()));
        let write = StorePolicy { org, auto_approve: stored.to_string(), at: now };
        let change = Change::new(WriteClass::Admin).writing(write).noting(trail);
        self.commits.make(&principal.caller, change).await?;
        let policy = Arc::new(policy);
        self.policies.insert(org, policy.clone());
        Ok(policy)
    }
}

/// A policy as it is stored and shown.
#[must_use]
pub fn json_of(policy: &AutoApprove) -> Value {
    json!({ "intents": policy.intents, "urgencies": policy.urgencies })
}
