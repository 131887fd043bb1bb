//! Rows of the audit trail.

use serde_json::Value;

use hxa_domain::ids::{AuditId, OrgId};
use hxa_store::rows::AuditRow;

/// A row of an organisation's trail, or of the platform's when there is no organisation.
#[must_use]
#[expect(clippy::too_many_arguments, reason = "one for each column; a row has no parts")]
pub fn audit_row(
    org: Option<OrgId>,
    now: i64,
    bot: Option<String>,
    action: &str,
    target_type: &str,
    target_id: String,
    detail: Option<Value>,
) -> AuditRow {
    AuditRow {
        org_id: org.map(|org| org.to_string()).unwrap_or_default(),
        id: AuditId::at(now).to_string(),
        bot_id: bot,
        action: action.to_owned(),
        target_type: target_type.to_owned(),
        target_id,
        detail: detail.map(|detail| detail.to_string()),
        created_at: now,
    }
}
