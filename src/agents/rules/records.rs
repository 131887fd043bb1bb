//! What the hub knows of a session and of a machine.

use super::config::RuntimeConfig;
use super::events::Health;
use super::liveness::Liveness;
use super::names::Namespace;
use super::versioned::Versioned;

/// A session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its id, a UUID.
    pub id: String,
    /// Where it belongs.
    pub namespace: Namespace,
    /// Counts its changes.
    pub seq: i64,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// What it says of itself.
    pub metadata: Versioned,
    /// What its agent says of its work, with the requests that wait.
    pub agent_state: Versioned,
    /// How it is set.
    pub config: RuntimeConfig,
    /// Whether it is alive.
    pub liveness: Liveness,
}

/// A machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Its id, unique within the namespace.
    pub id: String,
    /// Where it belongs.
    pub namespace: Namespace,
    /// Counts its changes.
    pub seq: i64,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// What it says of itself.
    pub metadata: Versioned,
    /// What its runner says of itself.
    pub runner_state: Versioned,
    /// How it is.
    pub health: Option<Health>,
    /// Whether it is alive.
    pub liveness: Liveness,
}
