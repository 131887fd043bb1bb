//! What an organisation lets requests do by themselves.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Requests;
use crate::principal::Principal;
use crate::queries;
use crate::rules::auto_approve::{AutoApprove, Policy};
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
    pub async fn policy(&self, org: OrgId) -> ApiResult<Arc<Policy>> {
        if let Some(known) = self.policies.get(&org) {
            return Ok(known.clone());
        }
        let stored = self.core().store().read_for(org, move |conn| queries::find_policy(conn, org)).await?;
        let policy = Arc::new(stored.map_or_else(Policy::default, |(text, slack_names)| {
            let auto_approve = serde_json::from_str(&text).ok().map(AutoApprove::read);
            // What cannot be read permits least.
            let nothing = || AutoApprove { intents: Vec::new(), urgencies: Vec::new() };
            let auto_approve = auto_approve.and_then(Result::ok).unwrap_or_else(nothing);
            Policy { auto_approve, slack_names }
        }));
        // A change that came meanwhile is newer.
        Ok(self.policies.entry(org).or_insert(policy).clone())
    }

    /// Changes the policy of the caller's organisation.
    ///
    /// # Errors
    /// 403 for those who are no admins; 503 when the database is unavailable.
    pub async fn set_policy(&self, principal: &Principal, policy: Policy) -> ApiResult<Arc<Policy>> {
        let is_admin = matches!(&principal.who, Who::OrgAdmin { .. } | Who::Person { role: PersonRole::Admin, .. });
        if !is_admin {
            return Err(ApiError::forbidden("Only an organisation's admins change its policy"));
        }
        let (org, now) = (principal.org().id, self.core().now());
        let auto_approve = json_of(&policy.auto_approve);
        let by = principal.caller.audit_bot();
        let mut details = auto_approve.clone();
        if let Some(details) = details.as_object_mut() {
            details.insert("slack_names".to_owned(), policy.slack_names.into());
        }
        let trail = AuditRow::new(org, now, by, "coordination.policy", "org", org, Some(details));
        let (auto_approve, slack_names) = (auto_approve.to_string(), policy.slack_names);
        let write = StorePolicy { org, auto_approve, slack_names, at: now };
        let change = Change::new(WriteClass::Admin).writing(write).noting(trail);
        self.commits.make(&principal.caller, change).await?;
        let policy = Arc::new(policy);
        self.policies.insert(org, policy.clone());
        Ok(policy)
    }
}

/// What may approve itself, as it is stored.
fn json_of(policy: &AutoApprove) -> Value {
    json!({ "intents": policy.intents, "urgencies": policy.urgencies })
}
