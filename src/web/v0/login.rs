//! The old login, which returns a ticket, and the old path of a bot's role.

use actix_web::{HttpMessage, HttpRequest, patch, post, web};
use utoipa::ToSchema;

use crate::auth::LoginAnswer;
use crate::body::{Body, StrangerBody};
use crate::dialect::Dialect;
use crate::guard::{AnyAdmin, Visitor};
use crate::routing::Routes;
use crate::{Answer, auth as sessions, org};
use hxa_domain::ids::BotId;
use hxa_domain::login::OldLoginRequest;
use hxa_domain::orgs::RoleChange;
use hxa_domain::standing::AuthRole;
use hxa_hub::hub::Hub;

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(log_in).service(set_agent_role).service(set_agent_role_at_root);
}

/// Get a registration ticket by the organisation's secret
///
/// With a `type` this is `POST /api/auth/login`. Without one it opens no session: it answers a ticket for bots, good
/// for `expires_in` seconds (0 is for ever, half an hour if absent) and once, unless `reusable`.
#[utoipa::path(
    tag = "Old clients", operation_id = "v0_tickets_create", security(()),
    request_body(content = OldLoginRequest, example = json!({
        "org_id": "0192f0c0-1111-7abc-8def-0123456789ab", "org_secret": "9a1b…", "reusable": true, "expires_in": 3600
    })),
    responses((status = 200, description = "The ticket.", body = LoginAnswer, example = json!({
        "ticket": "tkt_0f1e2d3c4b5a6978", "expires_at": 1_732_173_600_000_i64, "reusable": true,
        "org": { "id": "0192f0c0-1111-7abc-8def-0123456789ab", "name": "acme" }
    }))),
)]
#[post("/v0/api/auth/login")]
async fn log_in(
    hub: web::Data<Hub>,
    _: Visitor,
    request: HttpRequest,
    mut body: StrangerBody<OldLoginRequest>,
) -> Answer {
    sessions::answer_login(&hub, &request, body.draft()?.0).await
}

/// A bot's role as old clients know it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the dialect adds the older name; this is the shape for the document")]
struct OldBotRole {
    bot_id: BotId,
    auth_role: AuthRole,
    agent_id: BotId,
}

/// Set a bot's role (older path)
///
/// The same as `PATCH /api/org/bots/{bot_id}/role`.
#[utoipa::path(
    tag = "Old clients", operation_id = "v0_agent_role_set",
    params(("agent_id" = String, Path, description = "The bot's id.")),
    request_body(content = RoleChange, example = json!({ "auth_role": "admin" })),
    responses((status = 200, description = "The role.", body = OldBotRole, example = json!({
        "bot_id": "0192f0c1-2345-7abc-8def-0123456789ab", "auth_role": "admin",
        "agent_id": "0192f0c1-2345-7abc-8def-0123456789ab"
    }))),
)]
#[patch("/v0/api/org/agents/{agent_id}/role")]
async fn set_agent_role(
    hub: web::Data<Hub>,
    AnyAdmin(admin): AnyAdmin,
    id: web::Path<String>,
    mut body: Body<RoleChange>,
) -> Answer {
    org::set_role(&hub, admin, &id, body.draft()?).await
}

/// Set a bot's role (older path, without the prefix)
///
/// The same as `PATCH /api/org/bots/{bot_id}/role`, with `agent_id` beside `bot_id`.
#[utoipa::path(
    tag = "Old clients", operation_id = "agent_role_set_alias",
    params(("agent_id" = String, Path, description = "The bot's id.")),
    request_body(content = RoleChange, example = json!({ "auth_role": "admin" })),
    responses((status = 200, description = "The role.", body = OldBotRole, example = json!({
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
    mut body: Body<RoleChange>,
) -> Answer {
    // Whoever speaks the old dialect gets the older name from it.
    request.extensions_mut().insert(Dialect::V0);
    org::set_role(&hub, admin, &id, body.draft()?).await
}
