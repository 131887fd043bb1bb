//! `/api/org`, its settings, secret and bots: administration by an organisation's admins.

use actix_web::{get, patch, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Body;
use super::guard::{AnyAdmin, Member, OrgAdmin, OrgReader, OwnOrgAdmin, rights};
use super::routing::Routes;
use super::{Answer, answer, examples};
use hxa_domain::error::ApiError;
use hxa_domain::ids::{BotId, OrgId};
use hxa_domain::orgs::{JoinDecision, RoleChange};
use hxa_domain::settings::{OrgSettings, SettingsPatch, SettingsView};
use hxa_domain::standing::{AuthRole, OrgStatus};
use hxa_hub::core::caller::AdminCaller;
use hxa_hub::hub::Hub;
use hxa_hub::identity::{self, BotStatus};
use hxa_store::rows::OrgRow;

/// The routes of this file.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(show_org).service(show_settings).service(update_settings).service(rotate_own_secret);
    routes.service(set_bot_role).service(set_bot_status);
}

/// An organisation as its members see it.
#[derive(Serialize, ToSchema)]
pub struct OrgSummary {
    id: OrgId,
    name: String,
    status: OrgStatus,
}

impl OrgSummary {
    /// The view of a row.
    #[must_use]
    pub fn of(row: &OrgRow) -> Self {
        Self { id: row.id, name: row.name.clone(), status: row.status }
    }
}

/// Get the current organisation
#[utoipa::path(
    tag = "Organisation", operation_id = "org_get",
    responses((status = 200, description = "The organisation.", body = OrgSummary, example = json!({
        "id": "0192f0c0-1111-7abc-8def-0123456789ab", "name": "acme", "status": "active"
    }))),
)]
#[get("/api/org")]
async fn show_org(Member(org): Member) -> Answer {
    answer::ok(&OrgSummary::of(&org.row()))
}

/// Get the organisation's settings
#[utoipa::path(
    tag = "Organisation", operation_id = "org_settings_get",
    responses((status = 200, description = "The settings.", body = SettingsView, example = json!(examples::settings()))),
)]
#[get("/api/org/settings")]
async fn show_settings(reader: OrgReader<rights::Everything>) -> Answer {
    // A platform admin belongs to no organisation and sees the defaults, without an id.
    let Some(org) = reader.0 else { return answer::ok(&OrgSettings::default().view(None)) };
    answer::ok(&org.settings().view(Some(org.id)))
}

/// Update the organisation's settings
///
/// Any subset; all or nothing is taken. Null in a retention period means never.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_settings_update",
    request_body(content = SettingsPatch, example = json!({ "message_ttl_days": 90, "join_approval_required": true })),
    responses((status = 200, description = "All settings.", body = SettingsView, example = json!(examples::settings()))),
)]
#[patch("/api/org/settings")]
async fn update_settings(hub: web::Data<Hub>, admin: OrgAdmin, mut body: Body<SettingsPatch>) -> Answer {
    let settings = identity::update_settings(&hub, &admin, body.draft()?).await?;
    answer::ok(&settings.view(Some(admin.org.id)))
}

/// An organisation's new secret; shown once.
#[derive(Serialize, ToSchema)]
pub struct NewOrgSecret {
    /// The secret.
    pub org_secret: String,
}

/// Rotate the organisation's secret
///
/// Usable tickets and all admin sessions end, the caller's too; bots are not affected. The new secret is shown once.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_secret_rotate",
    responses((status = 200, description = "The new secret.", body = NewOrgSecret, example = json!({ "org_secret": "9a1b…48 hex digits" }))),
)]
#[post("/api/org/rotate-secret")]
async fn rotate_own_secret(hub: web::Data<Hub>, admin: OwnOrgAdmin) -> Answer {
    let secret = identity::rotate_secret(&hub, &admin.org, Some(&admin), admin.session_ref.as_deref()).await?;
    answer::ok(&NewOrgSecret { org_secret: secret })
}

/// A bot's role.
#[derive(Serialize, ToSchema)]
struct BotRole<'a> {
    #[schema(value_type = BotId)]
    bot_id: &'a str,
    auth_role: AuthRole,
}

/// Set a bot's role
///
/// An admin bot cannot take its own role away.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_bot_role_set",
    params(("bot_id" = String, Path, description = "The bot's id.")),
    request_body(content = RoleChange, example = json!({ "auth_role": "admin" })),
    responses((status = 200, description = "The role.", body = BotRole, example = json!({
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
    answer::ok(&BotRole { bot_id: bot, auth_role: role })
}

/// Approve or reject a bot
///
/// A rejected bot is locked out at once and its sockets close; it can be activated again.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_bot_status_set",
    params(("bot_id" = String, Path, description = "The bot's id.")),
    request_body(content = JoinDecision, example = json!({ "status": "rejected", "reason": "not one of ours" })),
    responses((status = 200, description = "The status.", body = BotStatus, example = json!({
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
