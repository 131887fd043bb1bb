//! `/api/org`, its settings, secret and bots: administration by an organisation's admins.

use actix_web::{get, patch, post, web};
use serde_json::json;
use utoipa_actix_web::service_config::ServiceConfig;

use super::body::Body;
use super::guard::{AnyAdmin, Member, OrgAdmin, OwnOrgAdmin};
use super::{Answer, answer, examples};
use hxa_domain::error::ApiError;
use hxa_domain::orgs::{JoinDecision, RoleChange};
use hxa_domain::settings::{OrgSettings, SettingsPatch};
use hxa_hub::core::caller::AdminCaller;
use hxa_hub::hub::Hub;
use hxa_hub::identity;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(show_org).service(show_settings).service(update_settings).service(rotate_own_secret);
    config.service(set_bot_role).service(set_bot_status);
}

/// Get the current organisation
#[utoipa::path(
    tag = "Organisation",
    responses((status = 200, description = "The organisation.", body = Value, example = json!({
        "id": "0192f0c0-1111-7abc-8def-0123456789ab", "name": "acme", "status": "active"
    }))),
)]
#[get("/api/org")]
async fn show_org(Member(org): Member) -> Answer {
    let row = org.row();
    answer::ok(&json!({ "id": row.id, "name": row.name, "status": row.status }))
}

/// Get the organisation's settings
#[utoipa::path(
    tag = "Organisation",
    responses((status = 200, description = "The settings.", body = Value, example = json!(examples::settings()))),
)]
#[get("/api/org/settings")]
async fn show_settings(AnyAdmin(admin): AnyAdmin) -> Answer {
    let Some(admin) = admin else {
        // A platform admin belongs to no organisation and sees the defaults, without an id.
        let mut defaults = OrgSettings::default().to_value(hxa_domain::ids::OrgId::from_uuid(uuid::Uuid::nil()));
        if let Some(fields) = defaults.as_object_mut() {
            fields.shift_remove("org_id");
        }
        return answer::ok(&defaults);
    };
    answer::ok(&admin.org.settings().to_value(admin.org.id))
}

/// Update the organisation's settings
///
/// Any subset; all or nothing is taken. Null in a retention period means never.
#[utoipa::path(
    tag = "Organisation",
    request_body(content = SettingsPatch, example = json!({ "message_ttl_days": 90, "join_approval_required": true })),
    responses((status = 200, description = "All settings.", body = Value, example = json!(examples::settings()))),
)]
#[patch("/api/org/settings")]
async fn update_settings(hub: web::Data<Hub>, admin: OrgAdmin, mut body: Body<SettingsPatch>) -> Answer {
    let settings = identity::update_settings(&hub, &admin, body.draft()?).await?;
    answer::ok(&settings.to_value(admin.org.id))
}

/// Rotate the organisation's secret
///
/// Usable tickets and all admin sessions end, the caller's too; bots are not affected. The new secret is shown once.
#[utoipa::path(
    tag = "Organisation",
    responses((status = 200, description = "The new secret.", body = Value, example = json!({ "org_secret": "9a1b…48 hex digits" }))),
)]
#[post("/api/org/rotate-secret")]
async fn rotate_own_secret(hub: web::Data<Hub>, admin: OwnOrgAdmin) -> Answer {
    let secret = identity::rotate_secret(&hub, &admin.org, Some(&admin), admin.session_ref.as_deref()).await?;
    answer::ok(&json!({ "org_secret": secret }))
}

/// Set a bot's role
///
/// An admin bot cannot take its own role away.
#[utoipa::path(
    tag = "Organisation",
    params(("bot_id" = String, Path, description = "The bot's id.")),
    request_body(content = RoleChange, example = json!({ "auth_role": "admin" })),
    responses((status = 200, description = "The role.", body = Value, example = json!({
        "bot_id": "0192f0c1-2345-7abc-8def-0123456789ab", "auth_role": "admin"
    }))),
)]
#[patch("/api/org/bots/{bot_id}/role")]
async fn set_bot_role(
    hub: web::Data<Hub>,
    AnyAdmin(admin): AnyAdmin,
    id: web::Path<String>,
    mut body: Body<RoleChange>,
) -> Answer {
    set_role(&hub, admin, &id, body.draft()?).await
}

/// Sets the role that a body asks for; a platform admin finds no bots.
///
/// # Errors
/// As [`identity::set_role`].
pub async fn set_role(hub: &Hub, admin: Option<AdminCaller>, bot: &str, change: RoleChange) -> Answer {
    let role = change.role;
    let admin = admin.ok_or_else(|| ApiError::not_found("Bot"))?;
    identity::set_role(hub, &admin, bot, role).await?;
    answer::ok(&json!({ "bot_id": bot, "auth_role": role }))
}

/// Approve or reject a bot
///
/// A rejected bot is locked out at once and its sockets close; it can be activated again.
#[utoipa::path(
    tag = "Organisation",
    params(("bot_id" = String, Path, description = "The bot's id.")),
    request_body(content = JoinDecision, example = json!({ "status": "rejected", "reason": "not one of ours" })),
    responses((status = 200, description = "The status.", body = Value, example = json!({
        "bot_id": "0192f0c1-2345-7abc-8def-0123456789ab", "name": "reviewer", "join_status": "rejected", "previous_status": "pending",
        "join_status_changed_by": "session:0f1e2d3c4b5a6978", "join_status_changed_at": 1_732_170_000_000_i64,
        "join_status_reason": "not one of ours"
    }))),
)]
#[patch("/api/org/bots/{bot_id}/status")]
async fn set_bot_status(
    hub: web::Data<Hub>,
    AnyAdmin(admin): AnyAdmin,
    id: web::Path<String>,
    mut body: Body<JoinDecision>,
) -> Answer {
    let JoinDecision { status, reason } = body.draft()?;
    let admin = admin.ok_or_else(|| ApiError::not_found("Bot"))?;
    answer::ok(&identity::set_status(&hub, &admin, &id, status, reason).await?)
}
