//! An audit event of an `hcp.db`, as this hub chains it.

use serde_json::{Value, json};

use super::fields::{Fields, Skip};
use crate::rules::{ActorKind, AuditDraft, AuditEventId, AuditKind, JsonText, RequestId, fault_of_json, limits};
use hxa_domain::limits::fits_json;

const PAYLOAD: Skip = "its payload is no JSON object, or too large";

/// An event that was read.
#[derive(Debug)]
pub struct Read {
    /// Its id, which is also its place among the others.
    pub id: AuditEventId,
    /// The request.
    pub request: RequestId,
    /// What happened.
    pub draft: AuditDraft,
}

/// Reads a row. Ids made after `latest`, ms, are none: later events could not get ids behind them.
pub fn read(fields: &mut Fields, latest: i64) -> Result<Read, Skip> {
    let id = fields.text("event_id").and_then(|text| AuditEventId::parse(text).filter(|id| id.to_string() == text));
    let id = id.ok_or("its event_id is no ULID")?;
    if id.millis() > latest {
        return Err("its event_id is of the future");
    }
    let request = fields.text("request_id").and_then(RequestId::parse).ok_or("its request is not there")?;
    let kind = fields.text("event_type").and_then(AuditKind::parse).ok_or("its event_type is unknown")?;
    let actor = fields.name("actor", "its actor is empty or too long")?.to_owned();
    let actor_type = fields.text("actor_type").and_then(ActorKind::parse).ok_or("its actor_type is unknown")?;
    let payload = payload(fields)?;
    let at = fields.time("created_at").unwrap_or_else(|| {
        fields.changed("its created_at is no time; it is that of its event_id now");
        id.millis()
    });
    Ok(Read { id, request, draft: AuditDraft { kind, actor, actor_type, payload, at } })
}

/// The details. An answer is one of their fields, so each may be as large as an answer.
fn payload(fields: &Fields) -> Result<JsonText, Skip> {
    let payload = fields.json("payload", PAYLOAD)?.unwrap_or_else(|| json!({}));
    let Value::Object(details) = &payload else { return Err(PAYLOAD) };
    let is_fine = details.values().all(|value| fault_of_json(value, limits::JSON_BYTES).is_none());
    let is_fine =
        is_fine && !details.keys().any(|key| key.contains('\0')) && fits_json(&payload, 2 * limits::JSON_BYTES);
    if is_fine { Ok(JsonText::canonical(&payload)) } else { Err(PAYLOAD) }
}
