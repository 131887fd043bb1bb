//! What is written of each step, and the hash that chains the rows of an organisation.
//!
//! A row's hash covers the hash before it and the row's canonical bytes: JSON with a fixed order of keys and the payload,
//! as it is stored, at the end, so that no two rows have the same bytes. Whoever edits, removes or inserts a row has to
//! forge every later one.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::ids::{AuditEventId, RequestId};
use super::json::{JsonText, push_quoted};
use super::who::{SYSTEM, Who};
use super::words::{ActorKind, AuditKind};
use hxa_domain::ids::OrgId;

/// An event before it has a place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditDraft {
    /// What happened.
    pub kind: AuditKind,
    /// Who did it.
    pub actor: String,
    /// What kind of actor that is.
    pub actor_type: ActorKind,
    /// The details; canonical.
    pub payload: JsonText,
    /// When, ms.
    pub at: i64,
}

impl AuditDraft {
    /// An event of an actor.
    #[must_use]
    pub fn new(kind: AuditKind, who: &Who, payload: &Value, at: i64) -> Self {
        let (actor_type, actor) = who.actor();
        Self { kind, actor, actor_type, payload: JsonText::canonical(payload), at }
    }

    /// An event of the hub itself.
    #[must_use]
    pub fn system(kind: AuditKind, payload: &Value, at: i64) -> Self {
        let payload = JsonText::canonical(payload);
        Self { kind, actor: SYSTEM.to_owned(), actor_type: ActorKind::System, payload, at }
    }

    /// An event of whoever gave an answer, under the name it was given.
    #[must_use]
    pub fn human(kind: AuditKind, name: &str, payload: &Value, at: i64) -> Self {
        let payload = JsonText::canonical(payload);
        Self { kind, actor: name.to_owned(), actor_type: ActorKind::Human, payload, at }
    }
}

/// A row of the chain, as its hash sees it. Texts are those that are stored.
#[derive(Debug, Clone, Copy)]
pub struct ChainedRow<'a> {
    /// The organisation.
    pub org: &'a str,
    /// Its place in the organisation's chain, from 1.
    pub seq: i64,
    /// The event's id.
    pub event_id: &'a str,
    /// The request's id.
    pub request_id: &'a str,
    /// What happened.
    pub event_type: &'a str,
    /// Who did it.
    pub actor: &'a str,
    /// What kind of actor that is.
    pub actor_type: &'a str,
    /// When, ms.
    pub created_at: i64,
    /// The details.
    pub payload: &'a str,
}

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash before the first row.
pub const GENESIS: Hash = [0; 32];

impl ChainedRow<'_> {
    /// The bytes that are hashed behind the hash before.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = String::with_capacity(256 + self.payload.len());
        let _ = write!(out, "{{\"created_at\":{},\"seq\":{}", self.created_at, self.seq);
        for (key, text) in [
            ("org_id", self.org),
            ("event_id", self.event_id),
            ("request_id", self.request_id),
            ("event_type", self.event_type),
            ("actor", self.actor),
            ("actor_type", self.actor_type),
        ] {
            let _ = write!(out, ",\"{key}\":");
            push_quoted(&mut out, text);
        }
        let _ = write!(out, ",\"payload\":{}}}", self.payload);
        out
    }

    /// The row's hash behind `previous`.
    #[must_use]
    pub fn hash(&self, previous: &Hash) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(previous);
        hasher.update(self.canonical().as_bytes());
        hasher.finalize().into()
    }
}

/// The same for a draft that gets its place.
#[must_use]
pub fn chain(
    previous: &Hash,
    (org, seq): (OrgId, i64),
    (event, request): (AuditEventId, RequestId),
    draft: &AuditDraft,
) -> Hash {
    let (org, event, request) = (org.to_string(), event.to_string(), request.to_string());
    let row = ChainedRow {
        org: &org,
        seq,
        event_id: &event,
        request_id: &request,
        event_type: draft.kind.as_str(),
        actor: &draft.actor,
        actor_type: draft.actor_type.as_str(),
        created_at: draft.at,
        payload: draft.payload.as_str(),
    };
    row.hash(previous)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use hxa_domain::secrets::hex;

    const ROW: ChainedRow<'_> = ChainedRow {
        org: "0192f0c1-2345-7abc-8def-0123456789ab",
        seq: 7,
        event_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        request_id: "01ARZ3NDEKTSV4RRFFQ69G5FAW",
        event_type: "CR_SUBMITTED",
        actor: "ada \"the bot\"",
        actor_type: "AGENT",
        created_at: 1_700_000_000_000,
        payload: r#"{"intent":"APPROVAL","urgency":"HIGH"}"#,
    };

    #[test]
    fn the_bytes_are_json_of_a_fixed_order() {
        let text = ROW.canonical();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["actor"], "ada \"the bot\"");
        assert_eq!(value["payload"]["urgency"], "HIGH");
        assert_eq!(value.to_string(), text);
        let expected = Sha256::digest([&GENESIS[..], text.as_bytes()].concat());
        assert_eq!(hex(&ROW.hash(&GENESIS)), hex(&expected));
    }

    #[test]
    fn every_part_counts() {
        let hash = ROW.hash(&GENESIS);
        let others = [
            ChainedRow { org: "x", ..ROW },
            ChainedRow { seq: 8, ..ROW },
            ChainedRow { event_id: "x", ..ROW },
            ChainedRow { request_id: "x", ..ROW },
            ChainedRow { event_type: "x", ..ROW },
            ChainedRow { actor: "x", ..ROW },
            ChainedRow { actor_type: "x", ..ROW },
            ChainedRow { created_at: 1, ..ROW },
            ChainedRow { payload: r#"{"intent":"APPROVAL", "urgency":"HIGH"}"#, ..ROW },
        ];
        for other in others {
            assert_ne!(other.hash(&GENESIS), hash, "{other:?}");
        }
        assert_ne!(ROW.hash(&[1; 32]), hash);
    }

    #[test]
    fn a_draft_hashes_like_its_row() {
        let draft = AuditDraft::system(AuditKind::Routing, &json!({"responder_id": "dora"}), 5);
        let (event, request) = (AuditEventId::at(5), RequestId::at(5));
        let org = OrgId::random();
        let row = ChainedRow {
            org: &org.to_string(),
            seq: 1,
            event_id: &event.to_string(),
            request_id: &request.to_string(),
            event_type: "CR_ROUTING",
            actor: "system",
            actor_type: "SYSTEM",
            created_at: 5,
            payload: r#"{"responder_id":"dora"}"#,
        };
        assert_eq!(chain(&GENESIS, (org, 1), (event, request), &draft), row.hash(&GENESIS));
    }
}
