//! Changes of a bot's webhook: its URL, its events, its secret, and replaying an event.
//!
//! Secrets appear in no response (except a generated one, once), in no audit row and in no log line.

use std::sync::Arc;

use serde_json::{Value, json};

use super::actor_or_role;
use crate::core::caller::{AdminCaller, BotCaller, Caller};
use crate::core::org_state::{Bot, OrgState};
use crate::hub::Hub;
use crate::org::OrgChange;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::{BotId, EventId};
use hxa_domain::secrets;
use hxa_domain::webhook::{Rotation, WebhookPatch};
use hxa_store::audit;
use hxa_store::rows::{AuditRow, DeliveryRow};
use hxa_store::webhooks::{self, WebhookChanges};

/// A change of columns with its audit row; the bot in memory follows, and what waits for it goes out at once.
fn change(hub: &Hub, id: BotId, changes: WebhookChanges, trail: AuditRow) -> OrgChange<()> {
    let (hub, now, applied) = (hub.clone(), hub.now(), changes.clone());
    OrgChange::new(
        WriteClass::Profile,
        move |conn| {
            webhooks::update(conn, id, &changes)?;
            if changes.webhook_url == Some(None) {
                webhooks::give_up_all(conn, id, now)?;
            }
            audit::insert(conn, &trail)
        },
        move |org, ()| {
            org.change_bot(id, |row| applied.apply(row));
            hub.webhooks().revive(org, id);
            Vec::new()
        },
    )
}

fn now_of(org: &OrgState, id: BotId) -> ApiResult<Arc<Bot>> {
    org.bot(id).ok_or_else(|| ApiError::not_found("Bot"))
}

/// Changes where the caller's events are posted and which; returns the bot as it is then. Ending the webhook ends its
/// secrets too and drops its pending events.
///
/// # Errors
/// 400 for a URL that may not be used, 403 for one that is set with a token that ends; 429 while too many changes are under
/// way.
pub async fn set_webhook(hub: &Hub, caller: &BotCaller, patch: WebhookPatch) -> ApiResult<Arc<Bot>> {
    let (org, id) = (&caller.org, caller.bot.id);
    // Before the host is looked up, which costs more than the write.
    hub.charge(&Caller::Bot(caller.clone()), WriteClass::Profile, || 0)?;
    let _under_way = hub.webhooks().begin_change(org.id, Some(id))?;
    if let Some(Some(url)) = &patch.url {
        caller.refuse_ending("set a webhook")?;
        hub.webhooks().check(org.id, Some(id), url).await?;
    }
    let fields: Vec<&str> = [("webhook_url", patch.url.is_some()), ("webhook_events", patch.events.is_some())]
        .into_iter()
        .filter_map(|(name, is_given)| is_given.then_some(name))
        .collect();
    let own = Some(id.to_string());
    let detail = json!({ "fields": fields });
    let trail = AuditRow::new(org.id, hub.now(), own, "bot.webhook_update", "bot", id, Some(detail));
    let is_end = patch.url == Some(None);
    let changes = WebhookChanges {
        webhook_url: patch.url,
        webhook_events: patch.events.map(|events| events.map(|events| Value::from(events).to_string())),
        webhook_secret: is_end.then_some(None),
        webhook_old_secret: is_end.then_some(None),
        webhook_old_secret_until: is_end.then_some(None),
    };
    hub.orgs().ask(Caller::Hub(org.clone()), change(hub, id, changes, trail)).await?;
    now_of(org, id)
}

/// A replaced secret.
pub struct Rotated {
    /// The new secret, if the hub made it.
    pub generated: Option<String>,
    /// Until when the old one signs along, ms.
    pub old_secret_until: Option<i64>,
}

/// Replaces the secret of the caller's webhook; the old one signs along for a while.
///
/// # Errors
/// 403 for a token that ends, 404 when the bot has no webhook; 429 while too many changes are under way.
pub async fn rotate_webhook_secret(hub: &Hub, caller: &BotCaller, rotation: Rotation) -> ApiResult<Rotated> {
    caller.refuse_ending("set a webhook's secret")?;
    let (org, id, now) = (&caller.org, caller.bot.id, hub.now());
    let _under_way = hub.webhooks().begin_change(org.id, Some(id))?;
    let bot = now_of(org, id)?;
    if bot.row.webhook_url.is_none() {
        return Err(ApiError::not_found("Webhook"));
    }
    let generated = rotation.secret.is_none().then(|| secrets::hex_token("whs_", 48));
    let secret = rotation.secret.or_else(|| generated.clone());
    let old = bot.row.webhook_secret.clone().filter(|_| rotation.overlap_ms > 0);
    let old_secret_until = old.as_ref().map(|_| now.saturating_add(rotation.overlap_ms));
    let changes = WebhookChanges {
        webhook_secret: Some(secret),
        webhook_old_secret: Some(old),
        webhook_old_secret_until: Some(old_secret_until),
        ..WebhookChanges::default()
    };
    let own = Some(id.to_string());
    let detail = json!({ "old_secret_until": old_secret_until });
    let trail = AuditRow::new(org.id, now, own, "bot.webhook_rotate", "bot", id, Some(detail));
    hub.orgs().ask(Caller::Bot(caller.clone()), change(hub, id, changes, trail)).await?;
    Ok(Rotated { generated, old_secret_until })
}

/// Sends an event again, under its old id; returns the delivery as it is then.
///
/// # Errors
/// 404 when there is no such bot or delivery.
pub async fn replay_delivery(hub: &Hub, admin: &AdminCaller, bot: &str, delivery: &str) -> ApiResult<DeliveryRow> {
    let bot = BotId::parse(bot).and_then(|id| admin.org.bot(id)).ok_or_else(|| ApiError::not_found("Bot"))?;
    if bot.row.webhook_url.is_none() {
        return Err(ApiError::not_found("Webhook"));
    }
    let delivery = EventId::parse(delivery).ok_or_else(|| ApiError::not_found("Delivery"))?;
    let (id, by) = (bot.id, Some(actor_or_role(admin)));
    let detail = json!({ "delivery_id": delivery });
    let trail = AuditRow::new(admin.org.id, hub.now(), by, "bot.webhook_replay", "bot", id, Some(detail));
    let waker = hub.clone();
    let change = OrgChange::new(
        WriteClass::Admin,
        move |conn| {
            let row = webhooks::replay(conn, id, delivery)?;
            audit::insert(conn, &trail)?;
            Ok(row)
        },
        move |org, _: &DeliveryRow| {
            waker.webhooks().revive(org, id);
            Vec::new()
        },
    );
    hub.orgs().ask(Caller::Admin(admin.clone()), change).await
}
