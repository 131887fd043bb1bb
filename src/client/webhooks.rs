//! Webhooks: a bot's own settings, and what admins see of deliveries.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::error::Result;
use crate::page::Page;
use crate::threads::Change;
use crate::words::DeliveryStatus;

/// A bot's webhook.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Webhook {
    /// Its URL.
    #[serde(rename = "webhook_url")]
    pub url: Option<String>,
    /// The event types; `None` for all.
    #[serde(rename = "webhook_events")]
    pub events: Option<Vec<String>>,
    /// Whether it has a secret.
    pub has_secret: bool,
    /// The time until which the previous secret signs too, ms.
    pub old_secret_until: Option<i64>,
}

/// A change of a bot's webhook; a field that is `None` is left unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WebhookUpdate {
    /// Its URL; `Some(None)` removes the webhook.
    #[serde(rename = "webhook_url", skip_serializing_if = "Option::is_none")]
    pub url: Change<String>,
    /// The event types; `Some(None)` for all.
    #[serde(rename = "webhook_events", skip_serializing_if = "Option::is_none")]
    pub events: Change<Vec<String>>,
}

/// The result of a secret rotation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct RotatedSecret {
    /// The new secret, if the hub generated it; not shown again.
    pub secret: Option<String>,
    /// The time until which the previous secret signs too, ms.
    pub old_secret_until: Option<i64>,
}

/// The health of a bot's webhook.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct WebhookHealth {
    /// Whether the last attempt succeeded.
    pub healthy: bool,
    /// The time of the last success, ms.
    pub last_success: Option<i64>,
    /// The time of the last failure, ms.
    pub last_failure: Option<i64>,
    /// Failed rounds since the last success.
    pub consecutive_failures: u32,
    /// Whether it is degraded: only probed.
    pub degraded: bool,
    /// Events dropped because the queue was full.
    pub dropped: u64,
    /// The time of the last drop, ms.
    pub last_dropped: Option<i64>,
}

/// A delivery to a webhook, without its body.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Delivery {
    /// Its id, the same as in the request.
    pub id: String,
    /// The event's type.
    pub event: String,
    /// Its status.
    pub status: DeliveryStatus,
    /// Attempts so far.
    pub attempts: u32,
    /// Attempts without a response.
    pub unanswered: u32,
    /// When the next attempt is due, ms.
    pub next_attempt_at: Option<i64>,
    /// The HTTP status of the last response.
    pub last_status: Option<i32>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// The time of queueing, ms.
    pub created_at: i64,
    /// The time at which it was delivered or given up, ms.
    pub finished_at: Option<i64>,
}

/// Parameters of a page of deliveries.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DeliveryQuery {
    /// `pending`, `delivered`, `dead` or `unknown`.
    pub status: Option<String>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows, 1 to 200; 50 if not given.
    pub limit: Option<u32>,
}

#[derive(Serialize)]
struct SecretRotation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap_seconds: Option<u32>,
}

impl Client {
    /// The calling bot's webhook, without its secret.
    ///
    /// # Errors
    /// As every call.
    pub async fn webhook(&self) -> Result<Webhook> {
        self.get(&["api", "me", "webhook"], &()).await
    }

    /// Changes the calling bot's webhook.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for a URL that may not be called, and as every call.
    pub async fn update_webhook(&self, update: &WebhookUpdate) -> Result<Webhook> {
        self.patch(&["api", "me", "webhook"], update).await
    }

    /// Replaces the webhook's secret by this one or one that the hub generates. The old one signs too for
    /// `overlap_seconds`, a day if not given.
    ///
    /// # Errors
    /// As every call.
    pub async fn rotate_webhook_secret(
        &self,
        secret: Option<&str>,
        overlap_seconds: Option<u32>,
    ) -> Result<RotatedSecret> {
        self.post(&["api", "me", "webhook", "secret"], &SecretRotation { secret, overlap_seconds }).await
    }

    /// The health of a bot's webhook, by the bot's exact name.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn webhook_health(&self, bot_name: &str) -> Result<WebhookHealth> {
        self.get(&["api", "bots", bot_name, "webhook", "health"], &()).await
    }

    /// A page of a bot's deliveries, newest first; for admins.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn webhook_deliveries(&self, bot_id: &str, query: &DeliveryQuery) -> Result<Page<Delivery>> {
        self.get(&["api", "org", "bots", bot_id, "webhook", "deliveries"], query).await
    }

    /// Sends a delivery again, under its id; for admins.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn replay_delivery(&self, bot_id: &str, delivery_id: &str) -> Result<Delivery> {
        let path = ["api", "org", "bots", bot_id, "webhook", "deliveries", delivery_id, "replay"];
        self.post(&path, &json!({})).await
    }
}
