//! Versioned values: metadata, the state of an agent and that of a runner change by compare-and-swap.
//!
//! A value begins with version 1, and each change adds one. A change names the version that its author knows. If that is not the
//! newest, nothing changes, and the answer has the newest.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::faults::Fault;
use super::fields::{Fields, wrong_type};
use super::limits;
use super::words::{AccessCode, UpdateResult};
use hxa_domain::limits::fits_json;
use hxa_domain::wire_enum;

wire_enum! {
    /// The versioned values.
    VersionedKey {
        Metadata = "metadata",
        AgentState = "agentState",
        RunnerState = "runnerState",
    }
}

impl VersionedKey {
    /// The largest value as JSON.
    #[must_use]
    pub const fn most_bytes(self) -> usize {
        match self {
            Self::Metadata => limits::METADATA_BYTES,
            Self::AgentState | Self::RunnerState => limits::STATE_BYTES,
        }
    }

    /// Whether null is a value of it.
    #[must_use]
    pub const fn may_be_null(self) -> bool {
        matches!(self, Self::AgentState | Self::RunnerState)
    }
}

/// A value and its version, as updates and patches carry it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Versioned {
    /// Counts from 1.
    pub version: i64,
    /// The value; null is none.
    pub value: Arc<Value>,
}

impl Versioned {
    /// The first version of a value.
    #[must_use]
    pub fn first(value: Value) -> Self {
        Self { version: 1, value: Arc::new(value) }
    }

    /// The next version, with this value.
    #[must_use]
    pub fn next(&self, value: Value) -> Self {
        Self { version: self.version.saturating_add(1), value: Arc::new(value) }
    }

    /// The next version, or `None` where the value is what it was: a write of the hub's own that changes nothing is left out.
    #[must_use]
    pub fn changed_to(&self, value: Value) -> Option<Self> {
        (*self.value != value).then(|| self.next(value))
    }
}

/// A change that a client asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateDraft {
    /// The session or machine.
    pub id: String,
    /// The version that the client knows.
    pub expected_version: i64,
    /// The value that it wants.
    pub value: Value,
}

impl UpdateDraft {
    /// Reads `{sid | machineId, expectedVersion, <key>}`.
    ///
    /// # Errors
    /// The version is not whole, or the value is none: the client is answered `{result: "error"}`.
    pub fn read(payload: Value, id_key: &str, key: VersionedKey) -> Result<Self, Fault> {
        let mut fields = Fields::of(payload)?;
        let id = fields.id(id_key)?;
        let expected_version = fields.whole("expectedVersion")?;
        let value = fields.need(key.as_str())?;
        check_value(key, &value)?;
        Ok(Self { id, expected_version, value })
    }
}

/// Checks a value of a client's.
///
/// # Errors
/// It is no object, nor null where that may be, or too large.
pub fn check_value(key: VersionedKey, value: &Value) -> Result<(), Fault> {
    match value {
        Value::Object(_) if fits_json(value, key.most_bytes()) => Ok(()),
        Value::Object(_) => {
            Err(Fault::new(key.as_str(), format!("Must not be larger than {} bytes of JSON", key.most_bytes())))
        }
        Value::Null if key.may_be_null() => Ok(()),
        other => Err(wrong_type(key.as_str(), if key.may_be_null() { "object or null" } else { "object" }, other)),
    }
}

/// The result of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Swap {
    /// This is the value now, to be stored and told.
    Stored(Versioned),
    /// Nothing changed; this is the newest.
    Stale(Versioned),
    /// The client has no access, or the payload was malformed.
    Refused(Option<AccessCode>),
}

impl Swap {
    /// Compares and swaps. `merge` makes the value to be stored of the one known and the one given.
    #[must_use]
    pub fn decide(current: &Versioned, draft: UpdateDraft, merge: impl FnOnce(&Value, Value) -> Value) -> Self {
        if current.version == draft.expected_version {
            Self::Stored(current.next(merge(&current.value, draft.value)))
        } else {
            Self::Stale(current.clone())
        }
    }

    /// The acknowledgement: `{result, version, <key>}`, or `{result: "error", reason?}`.
    #[must_use]
    pub fn ack(&self, key: VersionedKey) -> Value {
        let (result, current) = match self {
            Self::Stored(current) => (UpdateResult::Success, current),
            Self::Stale(current) => (UpdateResult::VersionMismatch, current),
            Self::Refused(None) => return json!({ "result": UpdateResult::Error }),
            Self::Refused(Some(reason)) => return json!({ "result": UpdateResult::Error, "reason": reason }),
        };
        let mut ack = Map::new();
        ack.insert("result".to_owned(), json!(result));
        ack.insert("version".to_owned(), json!(current.version));
        ack.insert(key.as_str().to_owned(), Value::clone(&current.value));
        Value::Object(ack)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draft(expected_version: i64, value: Value) -> UpdateDraft {
        UpdateDraft { id: "s".to_owned(), expected_version, value }
    }

    fn plain(_: &Value, next: Value) -> Value {
        next
    }

    #[test]
    fn the_newest_version_swaps() {
        let current = Versioned::first(json!({"a": 1}));
        let swap = Swap::decide(&current, draft(1, json!({"a": 2})), plain);
        let wanted = json!({"result": "success", "version": 2, "agentState": {"a": 2}});
        assert_eq!(swap.ack(VersionedKey::AgentState), wanted);
        let swap = Swap::decide(&current, draft(2, json!({"a": 2})), plain);
        let wanted = json!({"result": "version-mismatch", "version": 1, "metadata": {"a": 1}});
        assert_eq!(swap.ack(VersionedKey::Metadata), wanted);
        assert_eq!(Swap::Refused(None).ack(VersionedKey::Metadata), json!({"result": "error"}));
        let wanted = json!({"result": "error", "reason": "access-denied"});
        assert_eq!(Swap::Refused(Some(AccessCode::AccessDenied)).ack(VersionedKey::Metadata), wanted);
    }

    #[test]
    fn the_merged_value_is_told() {
        let current = Versioned::first(json!({"kept": 1}));
        let merge = |old: &Value, _| json!({"kept": old["kept"], "new": 2});
        let swap = Swap::decide(&current, draft(1, json!({"new": 2})), merge);
        assert_eq!(swap.ack(VersionedKey::Metadata)["metadata"], json!({"kept": 1, "new": 2}));
    }

    #[test]
    fn bad_payloads_are_refused() {
        let read = |value| UpdateDraft::read(value, "sid", VersionedKey::Metadata);
        assert!(read(json!({"sid": "s", "expectedVersion": 1, "metadata": {}})).is_ok());
        assert!(read(json!({"sid": "s", "expectedVersion": 1.0, "metadata": {}})).is_ok());
        for bad in [
            json!({"sid": "s", "expectedVersion": 1.5, "metadata": {}}),
            json!({"sid": "s", "expectedVersion": "1", "metadata": {}}),
            json!({"sid": "s", "expectedVersion": 1, "metadata": null}),
            json!({"sid": "s", "expectedVersion": 1}),
            json!({"sid": "s", "expectedVersion": 1, "metadata": {"a": "x".repeat(300_000)}}),
            json!({"expectedVersion": 1, "metadata": {}}),
            json!(null),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
        let state = json!({"sid": "s", "expectedVersion": 1, "agentState": null});
        assert!(UpdateDraft::read(state, "sid", VersionedKey::AgentState).is_ok());
    }

    #[test]
    fn the_hubs_own_writes_change_something() {
        let current = Versioned::first(json!({"a": 1}));
        assert_eq!(current.changed_to(json!({"a": 1})), None);
        assert_eq!(current.changed_to(json!({})).unwrap().version, 2);
    }

    proptest! {
        /// Of any updates, versions never go back, and each success adds one.
        #[test]
        fn versions_only_grow(expected in proptest::collection::vec(0_i64..8, 0..40)) {
            let mut current = Versioned::first(json!(0));
            for (number, version) in expected.into_iter().enumerate() {
                let before = current.clone();
                match Swap::decide(&current, draft(version, json!(number)), plain) {
                    Swap::Stored(next) => {
                        prop_assert_eq!(version, before.version);
                        prop_assert_eq!(next.version, before.version + 1);
                        current = next;
                    }
                    Swap::Stale(told) => {
                        prop_assert_ne!(version, before.version);
                        prop_assert_eq!(told, before);
                    }
                    Swap::Refused(_) => prop_assert!(false),
                }
            }
        }
    }
}
