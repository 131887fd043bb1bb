//! `/api/platform/*`: invite codes, and creating an organisation with one.

use actix_web::{HttpRequest, delete, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{Body, StrangerBody};
use super::client::client;
use super::guard::{SuperAdmin, Visitor};
use super::params::Params;
use super::routing::Routes;
use super::{Answer, answer, list};
use hxa_domain::cursor::Cursor;
use hxa_domain::error::ErrorCode;
use hxa_domain::grants::{InviteRequest, has_expired};
use hxa_domain::ids::{InviteId, OrgId};
use hxa_domain::orgs::OrgFounding;
use hxa_hub::auth::Guess;
use hxa_hub::hub::Hub;
use hxa_hub::identity::{self, Founder};
use hxa_store::rows::InviteCodeRow;
use hxa_store::{DbConnection, accounts};

/// The routes of this file.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(create_invite_code).service(list_invite_codes).service(revoke_invite_code).service(found_org);
}

/// An invite code as the platform's admin sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = InviteCode)]
pub struct InviteView<'a> {
    id: InviteId,
    /// Null when it is known by its hash only.
    #[schema(required)]
    code: Option<&'a str>,
    #[schema(required)]
    label: Option<&'a str>,
    /// 0 is without limit.
    max_uses: i32,
    use_count: i32,
    /// 0 when it never expires.
    expires_at: i64,
    created_at: i64,
}

/// An invite code as it is listed: also whether it can still be used.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedInviteCode)]
pub struct ListedInviteView<'a> {
    #[serde(flatten)]
    invite: InviteView<'a>,
    expired: bool,
    exhausted: bool,
}

/// An invite code as the platform's admin sees it.
#[must_use]
pub fn invite_view(row: &InviteCodeRow) -> InviteView<'_> {
    InviteView {
        id: row.id,
        code: row.code.as_deref(),
        label: row.label.as_deref(),
        max_uses: row.max_uses,
        use_count: row.use_count,
        expires_at: row.expires_at,
        created_at: row.created_at,
    }
}

/// An invite code as it is listed.
#[must_use]
pub fn listed_invite_view(row: &InviteCodeRow, now: i64) -> ListedInviteView<'_> {
    ListedInviteView {
        invite: invite_view(row),
        expired: has_expired(row.expires_at, now),
        exhausted: row.max_uses != 0 && row.use_count >= row.max_uses,
    }
}

/// Create an invite code
///
/// Whoever has it can found an organisation. `max_uses` 0 is without limit; `expires_in` is in seconds, 0 is never, 90
/// days if absent.
#[utoipa::path(
    tag = "Platform", operation_id = "invite_codes_create", security(("cookie" = [])),
    request_body(content = InviteRequest, example = json!({ "max_uses": 10, "expires_in": 604_800, "label": "beta" })),
    responses((status = 201, description = "The code.", body = InviteView, example = json!({
        "id": "0192f0c4-2345-7abc-8def-0123456789ab", "code": "hxa_0f1e2d3c4b5a6978", "label": "beta", "max_uses": 10,
        "use_count": 0, "expires_at": 1_732_774_800_000_i64, "created_at": 1_732_170_000_000_i64
    }))),
)]
#[post("/api/platform/invite-codes")]
async fn create_invite_code(hub: web::Data<Hub>, admin: SuperAdmin, mut body: Body<InviteRequest>) -> Answer {
    let row = identity::create_invite(&hub, body.draft()?, admin.reference()).await?;
    answer::created(&invite_view(&row))
}

/// List invite codes
///
/// All, newest first. A list that does not fit into an answer has a `Link` to the rest.
#[utoipa::path(
    tag = "Platform", operation_id = "invite_codes_list", security(("cookie" = [])),
    params(("after" = Option<String>, Query, description = "Only codes after this one, as the `Link` before said.")),
    responses((status = 200, description = "The codes.", body = Vec<ListedInviteView>, example = json!([{
        "id": "0192f0c4-2345-7abc-8def-0123456789ab", "code": "hxa_0f1e2d3c4b5a6978", "label": "beta", "max_uses": 10,
        "use_count": 3, "expires_at": 1_732_774_800_000_i64, "created_at": 1_732_170_000_000_i64, "expired": false, "exhausted": false
    }]))),
)]
#[get("/api/platform/invite-codes")]
async fn list_invite_codes(hub: web::Data<Hub>, _: SuperAdmin, params: Params, request: HttpRequest) -> Answer {
    let (after, most) = (params.filled("after").and_then(Cursor::decode), hub.config().server.max_answer_bytes);
    let now = hub.now();
    let read = move |conn: &mut DbConnection| {
        let page = accounts::list_invites(conn, after.as_ref(), list::ARRAY_ROWS)?;
        let next = |row: &InviteCodeRow| ("after", Cursor::new(row.created_at, row.id).encode());
        Ok(list::array(most, &page, |row| listed_invite_view(row, now), next)?)
    };
    list::answer(&hub, &request, hub.store().read(read).await?)
}

/// Revoke an invite code
#[utoipa::path(
    tag = "Platform", operation_id = "invite_code_revoke", security(("cookie" = [])),
    params(("id" = String, Path, description = "The code's id.")),
    responses((status = 204, description = "Revoked.")),
)]
#[delete("/api/platform/invite-codes/{id}")]
async fn revoke_invite_code(hub: web::Data<Hub>, admin: SuperAdmin, id: web::Path<String>) -> Answer {
    identity::delete_invite(&hub, &id, admin.reference()).await?;
    answer::nothing()
}

/// An organisation that was founded, with its secret; shown once.
#[derive(Serialize, ToSchema)]
struct FoundedOrg {
    org_id: OrgId,
    name: String,
    org_secret: String,
}

/// Create an organisation with an invite code
///
/// With an invite code. The secret is shown once.
#[utoipa::path(
    tag = "Platform", operation_id = "orgs_found", security(()),
    request_body(content = OrgFounding, example = json!({ "invite_code": "hxa_0f1e2d3c4b5a6978", "name": "acme" })),
    responses((status = 201, description = "The organisation and its secret.", body = FoundedOrg, example = json!({
        "org_id": "0192f0c0-1111-7abc-8def-0123456789ab", "name": "acme", "org_secret": "9a1b…48 hex digits"
    }))),
)]
#[post("/api/platform/orgs")]
async fn found_org(
    hub: web::Data<Hub>,
    _: Visitor,
    request: HttpRequest,
    mut body: StrangerBody<OrgFounding>,
) -> Answer {
    let OrgFounding { invite_code, name } = body.draft()?;
    let (limiter, address) = (hub.auth().limiter(), client(&request, hub.config()).address);
    limiter.check(Guess::InviteCode, address, "", hub.now())?;
    hub.charge_founder(address)?;
    let founded = identity::create_org(&hub, Founder::Invite(&invite_code), name, hub.config().messages.persist).await;
    if founded.as_ref().is_err_and(|refusal| refusal.code() == ErrorCode::InvalidInviteCode) {
        limiter.failed(Guess::InviteCode, address, "", hub.now());
    }
    let (row, secret) = founded?;
    answer::created(&FoundedOrg { org_id: row.id, name: row.name, org_secret: secret })
}
