//! The hub itself: health, version and statistics. No credential is needed.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::client::Client;
use crate::error::Result;

/// The hub's health.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// `ok` or `degraded`.
    pub status: String,
    /// The hub's time, in ISO 8601.
    #[serde(default)]
    pub timestamp: String,
    /// How long it has been running, ms.
    pub uptime_ms: u64,
    /// Open sockets.
    pub connected_clients: u64,
    /// Bots with an open socket.
    pub connected_bots: u64,
    /// Clients that listen to an event stream.
    #[serde(default)]
    pub sse_clients: u64,
}

/// The hub's version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Version {
    /// The kind of server.
    pub server: String,
    /// The protocol's version, as older clients compare it.
    pub version: String,
    /// The hub's own version.
    pub hub_version: Option<String>,
}

/// Statistics of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// Organisations.
    pub org_count: u64,
    /// Bots.
    pub bot_count: u64,
    /// Bots with an open socket.
    pub online_bot_count: Option<u64>,
    /// Threads.
    pub thread_count: u64,
    /// Messages.
    pub message_count: u64,
    /// Threads that are active.
    pub active_thread_count: u64,
}

impl Client {
    /// The hub's health.
    ///
    /// # Errors
    /// As every call.
    pub async fn health(&self) -> Result<Health> {
        self.get(&["health"], &()).await
    }

    /// Liveness probe: succeeds if the hub answers.
    ///
    /// # Errors
    /// As every call.
    pub async fn is_live(&self) -> Result<()> {
        self.get::<Value>(&["livez"], &()).await.map(drop)
    }

    /// Readiness probe: succeeds if the hub can serve requests.
    ///
    /// # Errors
    /// Status 503 when it is not, and as every call.
    pub async fn is_ready(&self) -> Result<()> {
        self.get::<Value>(&["readyz"], &()).await.map(drop)
    }

    /// The hub's version.
    ///
    /// # Errors
    /// As every call.
    pub async fn version(&self) -> Result<Version> {
        self.get(&["api", "version"], &()).await
    }

    /// Statistics of the hub.
    ///
    /// # Errors
    /// As every call.
    pub async fn stats(&self) -> Result<Stats> {
        self.get(&["api", "stats"], &()).await
    }

    /// The OpenAPI document of the hub.
    ///
    /// # Errors
    /// As every call.
    pub async fn openapi(&self) -> Result<Value> {
        self.get(&["openapi.json"], &()).await
    }

    /// The hub's metrics, in the text format of Prometheus.
    ///
    /// # Errors
    /// `NOT_FOUND` when the operator has switched them off, and as every call.
    pub async fn metrics(&self) -> Result<Bytes> {
        Ok(self.fetch(&["metrics"], &()).await?.body)
    }
}
