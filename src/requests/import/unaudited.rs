//! Requests of an `hcp.db` without any audit event, which a crash of the original service could leave: a chain tells of all,
//! so each gets one that says it was imported.

use diesel::sql_types::{BigInt, Text};
use serde_json::json;

use crate::chain::{self, Entry};
use crate::rules::times::iso;
use crate::rules::{ActorKind, AuditDraft, AuditKind, Intent, JsonText, RequestId, Urgency};
use hxa_domain::ids::OrgId;
use hxa_store::statement::Statement;
use hxa_store::{DbConnection, DbError};

/// Requests that are looked up at a time.
const PAGE: i64 = 500;

/// A request, its agent, its intent and urgency, and when it was made, ms.
type Row = (RequestId, String, Intent, Urgency, i64);

/// Gives an event to every request of the organisation that has none; to how many.
pub fn audit(conn: &mut DbConnection, org: OrgId, now: i64) -> Result<usize, DbError> {
    let mut all = 0;
    loop {
        let rows = page(conn, org)?;
        if rows.is_empty() {
            return Ok(all);
        }
        all += rows.len();
        let drafts: Vec<(RequestId, AuditDraft)> = rows.into_iter().map(|row| draft(row, now)).collect();
        let entries: Vec<Entry<'_>> =
            drafts.iter().map(|(request, draft)| Entry { org, request: *request, draft }).collect();
        chain::append(conn, &entries)?;
    }
}

fn page(conn: &mut DbConnection, org: OrgId) -> Result<Vec<Row>, DbError> {
    const UNAUDITED: &str = "SELECT r.id, r.agent_id, r.intent, r.urgency, r.submitted_at FROM coordination_requests r \
         WHERE r.org_id = $1 AND NOT EXISTS (SELECT 1 FROM request_audit a WHERE a.request_id = r.id) \
         ORDER BY r.id LIMIT $2";
    let rows = Statement::<(Text, Text, Text, Text, BigInt)>::of_columns(UNAUDITED);
    rows.text(org).number(PAGE).load(conn)
}

fn draft((request, actor, intent, urgency, at): Row, now: i64) -> (RequestId, AuditDraft) {
    let payload = json!({ "intent": intent, "urgency": urgency, "imported": true, "submitted_at": iso(at) });
    let payload = JsonText::canonical(&payload);
    (request, AuditDraft { kind: AuditKind::Submitted, actor, actor_type: ActorKind::Agent, payload, at: now })
}
