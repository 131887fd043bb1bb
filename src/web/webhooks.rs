//! `/api/me/webhook*` and the webhooks of `/api/bots` and `/api/org/bots`: a bot's webhook, its health, and its
//! deliveries.
//!
//! The URL is shown to the bot alone, a secret only to the caller that had it generated.

use actix_web::{HttpRequest, get, patch, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Body;
use super::guard::{Bot, OwnOrgAdmin, Reader, needs};
use super::routing::Routes;
use super::shapes::Items;
use super::{Answer, answer, bots};
use hxa_domain::cursor::Cursor;
use hxa_domain::error::ApiError;
use hxa_domain::ids::{BotId, EventId};
use hxa_domain::query::Query;
use hxa_domain::webhook::DeliveryStatus;
use hxa_domain::webhook::{Rotation, WebhookPatch, stored_filter};
use hxa_hub::core::org_state;
use hxa_hub::hub::Hub;
use hxa_hub::identity;
use hxa_store::page::Page;
use hxa_store::rows::{DeliveryRow, WebhookHealthRow};
use hxa_store::{DbConnection, webhooks};

/// The routes of this file.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(show_my_webhook).service(change_my_webhook).service(rotate_my_webhook_secret);
    routes.service(show_webhook_health).service(list_deliveries).service(replay_delivery);
}

/// A bot's webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
struct WebhookView<'a> {
    #[schema(required)]
    webhook_url: Option<&'a str>,
    /// Null is all of them.
    #[schema(required)]
    webhook_events: Option<Vec<String>>,
    has_secret: bool,
    /// Until when the old secret signs along, if it still does.
    #[schema(required)]
    old_secret_until: Option<i64>,
}

fn webhook_view(bot: &org_state::Bot, now: i64) -> WebhookView<'_> {
    WebhookView {
        webhook_url: bot.row.webhook_url.as_deref(),
        webhook_events: stored_filter(bot.row.webhook_events.as_deref()),
        has_secret: bot.row.webhook_secret.is_some(),
        old_secret_until: bot.row.webhook_old_secret_until.filter(|until| *until > now),
    }
}

/// Get the current bot's webhook
///
/// Never its secret.
#[utoipa::path(
    tag = "Webhooks", operation_id = "me_webhook_get",
    responses((status = 200, description = "The webhook; `webhook_events` is null for all.", body = WebhookView, example = json!({
        "webhook_url": "https://bot.example/events", "webhook_events": ["message", "thread_message"], "has_secret": true,
        "old_secret_until": null
    }))),
)]
#[get("/api/me/webhook")]
async fn show_my_webhook(hub: web::Data<Hub>, caller: Bot<needs::Full>) -> Answer {
    answer::ok(&webhook_view(&caller.bot, hub.now()))
}

/// Update the current bot's webhook
///
/// `webhook_url` null ends it: its secret is forgotten and what waits is given up. `webhook_events` null is all events.
/// What waits goes to the new URL; failures of the old one are forgotten.
#[utoipa::path(
    tag = "Webhooks", operation_id = "me_webhook_update",
    request_body(content = WebhookPatch, example = json!({ "webhook_url": "https://bot.example/events", "webhook_events": ["message"] })),
    responses((status = 200, description = "The webhook.", body = WebhookView, example = json!({
        "webhook_url": "https://bot.example/events", "webhook_events": ["message"], "has_secret": true, "old_secret_until": null
    }))),
)]
#[patch("/api/me/webhook")]
async fn change_my_webhook(hub: web::Data<Hub>, caller: Bot<needs::Full>, mut body: Body<WebhookPatch>) -> Answer {
    let bot = identity::set_webhook(&hub, &caller, body.draft()?).await?;
    answer::ok(&webhook_view(&bot, hub.now()))
}

/// A webhook's secret was replaced.
#[derive(Serialize, ToSchema)]
struct RotatedSecret {
    /// Until when the old one signs along.
    #[schema(required)]
    old_secret_until: Option<i64>,
    /// Only if the hub made it; shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
}

/// Rotate the current bot's webhook secret
///
/// `secret` is made by the hub if absent, and then shown, once. For `overlap_seconds` (a day if absent, 0 to 30 days)
/// requests also carry `X-Hub-Signature-256-Old`, signed with the secret of before.
#[utoipa::path(
    tag = "Webhooks", operation_id = "me_webhook_secret_rotate",
    request_body(content = Rotation, example = json!({ "overlap_seconds": 3600 })),
    responses((status = 200, description = "Replaced; `secret` only if the hub made it.", body = RotatedSecret, example = json!({
        "secret": "whs_1a2b…48 hex digits", "old_secret_until": 1_732_173_600_000_i64
    }))),
)]
#[post("/api/me/webhook/secret")]
async fn rotate_my_webhook_secret(hub: web::Data<Hub>, caller: Bot<needs::Full>, mut body: Body<Rotation>) -> Answer {
    let rotated = identity::rotate_webhook_secret(&hub, &caller, body.draft()?).await?;
    answer::ok(&RotatedSecret { old_secret_until: rotated.old_secret_until, secret: rotated.generated })
}

/// Get a bot's webhook health
#[utoipa::path(
    tag = "Webhooks", operation_id = "bot_webhook_health_get",
    params(("name" = String, Path, description = "The bot's exact name.")),
    responses((status = 200, description = "The webhook's health.", body = WebhookHealth, example = json!({
        "healthy": true, "last_success": 1_732_170_000_000_i64, "last_failure": null, "consecutive_failures": 0, "degraded": false,
        "dropped": 0, "last_dropped": null
    }))),
)]
#[get("/api/bots/{name}/webhook/health")]
async fn show_webhook_health(hub: web::Data<Hub>, reader: Reader, name: web::Path<String>) -> Answer {
    let bot = bots::visible(&reader, reader.org().bot_named(&name))?.id;
    let health = hub.store().read_for(reader.org().id, move |conn| webhooks::find_health(conn, bot)).await?;
    answer::ok(&health_view(health.as_ref()))
}

/// How a bot's webhook fares.
#[derive(Serialize, ToSchema)]
struct WebhookHealth {
    healthy: bool,
    #[schema(required)]
    last_success: Option<i64>,
    #[schema(required)]
    last_failure: Option<i64>,
    consecutive_failures: i32,
    degraded: bool,
    /// Events that were given up for lack of room.
    dropped: i64,
    #[schema(required)]
    last_dropped: Option<i64>,
}

fn health_view(health: Option<&WebhookHealthRow>) -> WebhookHealth {
    WebhookHealth {
        healthy: health.is_none_or(|health| health.consecutive_failures == 0),
        last_success: health.and_then(|health| health.last_success),
        last_failure: health.and_then(|health| health.last_failure),
        consecutive_failures: health.map_or(0, |health| health.consecutive_failures),
        degraded: health.is_some_and(|health| health.degraded),
        dropped: health.map_or(0, |health| health.dropped),
        last_dropped: health.and_then(|health| health.last_dropped),
    }
}

/// List a bot's webhook deliveries
///
/// Newest first: what waits, what was delivered within a day, and what was given up within a week. Without the bodies.
/// `unknown` was sent, more than once, and never answered: it may have been taken.
#[utoipa::path(
    tag = "Webhooks", operation_id = "org_bot_webhook_deliveries_list",
    params(
        ("bot_id" = String, Path, description = "The bot's id."),
        ("status" = Option<String>, Query, description = "`pending`, `delivered`, `dead` or `unknown`."),
        ("limit" = Option<i64>, Query, description = "Rows per page, 1 to 200, 50 by default."),
        ("cursor" = Option<String>, Query, description = "The cursor of the page before."),
    ),
    responses((status = 200, description = "A page; `next_cursor` only if there is more.", body = Items<Delivery>, example = json!({ "items": [{
        "id": "0192f0c4-2345-7abc-8def-0123456789ab", "event": "thread_message", "status": "dead", "attempts": 1, "unanswered": 0,
        "next_attempt_at": null, "last_status": 400, "last_error": "answered 400",
        "created_at": 1_732_170_000_000_i64, "finished_at": 1_732_170_000_120_i64
    }], "has_more": false }))),
)]
#[get("/api/org/bots/{bot_id}/webhook/deliveries")]
async fn list_deliveries(
    hub: web::Data<Hub>,
    admin: OwnOrgAdmin,
    id: web::Path<String>,
    request: HttpRequest,
) -> Answer {
    let query = Query::parse(request.query_string());
    let bot = BotId::parse(&id).and_then(|id| admin.org.bot(id)).ok_or_else(|| ApiError::not_found("Bot"))?.id;
    let bad_status = || ApiError::validation("status must be pending, delivered, dead or unknown");
    let status = query.filled("status").map(|text| DeliveryStatus::parse(text).ok_or_else(bad_status)).transpose()?;
    let bad_cursor = || ApiError::validation("cursor is none of this list");
    let before = query.filled("cursor").map(|text| Cursor::decode(text).ok_or_else(bad_cursor)).transpose()?;
    let before = before.map(|cursor| (cursor.t, cursor.id));
    let limit = query.limit("limit", 50, 200);
    let asked = limit.saturating_add(1);
    let list = move |conn: &mut DbConnection| webhooks::list(conn, bot, status, before, asked);
    let read = hub.store().read_for(admin.org.id, list);
    answer::ok(&delivery_page(read.await?, limit))
}

fn delivery_page(rows: Vec<DeliveryRow>, limit: i64) -> Items<Delivery> {
    let cursor = |row: &DeliveryRow| Cursor::new(row.position, row.id).encode();
    Items::of(Page::cut(rows, limit), cursor, Delivery::of)
}

/// An event on its way to a webhook, without its body.
#[derive(Serialize, ToSchema)]
struct Delivery {
    id: EventId,
    event: String,
    status: DeliveryStatus,
    attempts: i32,
    unanswered: i32,
    #[schema(required)]
    next_attempt_at: Option<i64>,
    #[schema(required)]
    last_status: Option<i32>,
    #[schema(required)]
    last_error: Option<String>,
    created_at: i64,
    #[schema(required)]
    finished_at: Option<i64>,
}

impl Delivery {
    fn of(row: DeliveryRow) -> Self {
        Self {
            next_attempt_at: (row.finished_at.is_none() && row.next_attempt_at > 0).then_some(row.next_attempt_at),
            id: row.id,
            event: row.event,
            status: row.status,
            attempts: row.attempts,
            unanswered: row.unanswered,
            last_status: row.last_status,
            last_error: row.last_error,
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

/// Replay a webhook delivery
///
/// Under its old delivery id, so that a receiver can tell. What waits for the receiver goes out at once, too.
#[utoipa::path(
    tag = "Webhooks", operation_id = "org_bot_webhook_delivery_replay",
    params(
        ("bot_id" = String, Path, description = "The bot's id."),
        ("delivery_id" = String, Path, description = "The delivery's id."),
    ),
    responses((status = 200, description = "The delivery, which waits now.", body = Delivery, example = json!({
        "id": "0192f0c4-2345-7abc-8def-0123456789ab", "event": "thread_message", "status": "pending", "attempts": 0, "unanswered": 0,
        "next_attempt_at": null, "last_status": null, "last_error": null,
        "created_at": 1_732_170_000_000_i64, "finished_at": null
    }))),
)]
#[post("/api/org/bots/{bot_id}/webhook/deliveries/{delivery_id}/replay")]
async fn replay_delivery(hub: web::Data<Hub>, admin: OwnOrgAdmin, path: web::Path<(String, String)>) -> Answer {
    let (bot, delivery) = path.into_inner();
    answer::ok(&Delivery::of(identity::replay_delivery(&hub, &admin, &bot, &delivery).await?))
}
