//! A key of an `hcp.db`. Both services store the SHA-256 of the whole key in hexadecimal digits, so keys stay valid.

use super::fields::{Fields, Skip};
use crate::rules::fault_of_text;
use hxa_domain::limits;

/// Hexadecimal digits of a hash.
const DIGITS: usize = 64;

/// A key that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    /// The name of its agent.
    pub agent: String,
    /// The hash of the key.
    pub hash: String,
    /// A note for admins.
    pub label: Option<String>,
    /// When it was made, ms.
    pub created_at: i64,
}

/// Reads a row.
pub fn read(fields: &mut Fields, now: i64) -> Result<Read, Skip> {
    if fields.has("revoked_at") {
        return Err("it was revoked");
    }
    let agent = fields.name("agent_id", "its agent_id is empty or too long")?.to_owned();
    let hash = fields.text("key_hash").filter(|hash| is_hash(hash)).map(str::to_owned);
    let hash = hash.ok_or("its key_hash is no SHA-256 in hexadecimal digits, so no key matches it")?;
    let given = fields.text("label").filter(|label| !label.is_empty()).map(str::to_owned);
    let label = given.clone().filter(|label| fault_of_text(label, limits::GRANT_LABEL_UNITS).is_none());
    if given != label {
        fields.changed("its label is too long and is dropped");
    }
    // One that was made in the future would be shown before all others for good.
    let created_at = fields.time("created_at").unwrap_or(now).min(now);
    Ok(Read { agent, hash, label, created_at })
}

fn is_hash(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
