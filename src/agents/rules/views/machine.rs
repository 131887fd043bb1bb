//! A machine. Its metadata is passed on untouched: clients look for capabilities in it that the hub does not know.

use serde::Serialize;
use serde_json::{Value, json};

use crate::rules::events::Health;
use crate::rules::names::Namespace;
use crate::rules::records::Machine;

/// A machine.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineView<'a> {
    /// Its id.
    pub id: &'a str,
    /// Where it belongs.
    pub namespace: &'a Namespace,
    /// Counts its changes.
    pub seq: i64,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// Whether it is active.
    pub active: bool,
    /// When its last heartbeat came.
    pub active_at: i64,
    /// What it says of itself.
    pub metadata: &'a Value,
    /// Its version.
    pub metadata_version: i64,
    /// What its runner says of itself.
    pub runner_state: &'a Value,
    /// Its version.
    pub runner_state_version: i64,
    /// How it is.
    pub health: Option<Value>,
}

impl<'a> MachineView<'a> {
    /// The view of a machine.
    #[must_use]
    pub fn of(machine: &'a Machine) -> Self {
        Self {
            id: &machine.id,
            namespace: &machine.namespace,
            seq: machine.seq,
            created_at: machine.created_at,
            updated_at: machine.updated_at,
            active: machine.liveness.is_active(),
            active_at: machine.liveness.active_at(),
            metadata: &machine.metadata.value,
            metadata_version: machine.metadata.version,
            runner_state: &machine.runner_state.value,
            runner_state_version: machine.runner_state.version,
            health: machine.health.as_ref().map(Health::json),
        }
    }
}

/// What streams are told of a machine: all of it while it is active, else what takes it off the list.
#[must_use]
pub fn told_of(machine: &Machine) -> Value {
    if machine.liveness.is_active() {
        serde_json::to_value(MachineView::of(machine)).unwrap_or_default()
    } else {
        json!({ "active": false })
    }
}
