//! The old login, which answers a ticket, and the old path of a bot's role.

use actix_web::{HttpMessage, HttpRequest, patch, post, web};
use serde_json::json;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::body::{Body, StrangerBody};
use crate::client::client;
use crate::dialect::Dialect;
use crate::guard::{AnyAdmin, Visitor};
use crate::{Answer, answer, auth as sessions, org};
use hxa_domain::grants::TicketRequest;
use hxa_domain::text::{Fields, required};
use hxa_hub::hub::Hub;
use hxa_hub::{auth, identity};

/// Registers the routes.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(log_in).service(set_agent_role).service(set_agent_role_at_root);
}

/// Get a registration ticket by the organisation's secret
///
/// With a `type` this is `POST /api/auth/login`. Without one it opens no session: it answers a ticket for bots, good
/// for `expires_in` seconds (0 is for ever, half an hour if absent) and once, unless `reusable`.
#[utoipa::path(
    tag = "Old clients", security(()),
    request_body(content = Value, example = json!({
        "org_id": "0192f0c0-1111-7abc-8def-0123456789ab", "org_secret": "9a1b…", "reusable": true, "expires_in": 3600
    })),
    responses((status = 200, description = "The ticket.", body = Value, example = json!({
        "ticket": "tkt_0f1e2d3c4b5a6978", "expires_at": 1_732_173_600_000_i64, "reusable": true,
        "org": { "id": "0192f0c0-1111-7abc-8def-0123456789ab", "name": "acme" }
    }))),
)]
#[post("/v0/api/auth/login")]
async fn log_in(hub: web::Data<Hub>, _: Visitor, request: HttpRequest, body: StrangerBody) -> Answer {
    if body.contains_key("type") {
        return sessions::open_session(&hub, &request, &body).await;
    }
    issue_ticket(&hub, &request, &body).await
}

/// Whether a body is the old login: the organisation's secret, and no word of what is wanted.
#[must_use]
pub fn asks_for_ticket(body: &Fields) -> bool {
    let has = |field: &str| body.get(field).is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()));
    !body.contains_key("type") && has("org_id") && has("org_secret")
}

/// Answers a registration ticket for the organisation's secret.
///
/// # Errors
/// 400 when a field is missing, 401 when the secret is wrong, 429 while locked out.
pub async fn issue_ticket(hub: &Hub, request: &HttpRequest, body: &Fields) -> Answer {
    let (org_id, secret) = (required("org_id", body.get("org_id"))?, required("org_secret", body.get("org_secret"))?);
    let client = client(request, hub.config());
    let admin = auth::org_admin_by_secret(hub, org_id, secret, &client).await?;
    let ticket = identity::create_ticket(hub, &admin, TicketRequest::read(body)).await?;
    // A secret that is rotated ends the tickets made with it; this one may have come a moment too late for that.
    if let Err(refusal) = auth::check_secret(&admin.org, secret) {
        identity::delete_ticket(hub, &admin, ticket.code).await?;
        return Err(refusal);
    }
    let row = admin.org.row();
    answer::ok(&json!({
        "ticket": ticket.code, "expires_at": ticket.expires_at, "reusable": ticket.reusable,
        "org": { "id": row.id, "name": row.name },
    }))
}

/// Set a bot's role (older path)
///
/// The same as `PATCH /api/org/bots/{bot_id}/role`.
#[utoipa::path(
    tag = "Old clients",
    params(("agent_id" = String, Path, description = "The bot's id.")),
    request_body(content = Value, example = json!({ "auth_role": "admin" })),
    responses((status = 200, description = "The role.", body = Value, example = json!({
        "bot_id": "0192f0c1-2345-7abc-8def-0123456789ab", "auth_role": "admin",
        "agent_id": "0192f0c1-2345-7abc-8def-0123456789ab"
    }))),
)]
#[patch("/v0/api/org/agents/{agent_id}/role")]
async fn set_agent_role(hub: web::Data<Hub>, AnyAdmin(admin): AnyAdmin, id: web::Path<String>, body: Body) -> Answer {
    org::set_role(&hub, admin, &id, &body).await
}

/// Set a bot's role (older path, without the prefix)
///
/// The same as `PATCH /api/org/bots/{bot_id}/role`, with `agent_id` beside `bot_id`.
#[utoipa::path(
    tag = "Old clients",
    params(("agent_id" = String, Path, description = "The bot's id.")),
    request_body(content = Value, example = json!({ "auth_role": "admin" })),
    responses((status = 200, description = "The role.", body = Value, example = json!({
        "bot_id": "0192f0c1-2345-7abc-8def-0123456789ab", "auth_role": "admin",
        "agent_id": "0192f0c1-2345-7abc-8def-0123456789ab"
    }))),
)]
#[patch("/api/org/agents/{agent_id}/role")]
async fn set_agent_role_at_root(
    hub: web::Data<Hub>,
    AnyAdmin(admin): AnyAdmin,
    id: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    // Whoever speaks the old dialect gets the older name from it.
    request.extensions_mut().insert(Dialect::V0);
    org::set_role(&hub, admin, &id, &body).await
}
