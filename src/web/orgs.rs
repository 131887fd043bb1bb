//! `/api/orgs*`: organisations for the platform's admins, and releasing the names of deleted bots.

use std::sync::Arc;

use actix_web::{HttpRequest, delete, get, patch, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Body;
use super::guard::{Anyone, SuperAdmin};
use super::org::{NewOrgSecret, OrgSummary};
use super::params::Params;
use super::routing::Routes;
use super::shapes::{DoneWithMessage, Items};
use super::{Answer, answer, list};
use hxa_domain::cursor::Cursor;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::OrgId;
use hxa_domain::orgs::{OrgDraft, OrgPatch};
use hxa_domain::standing::OrgStatus;
use hxa_hub::auth::{Authenticated, Principal, Session};
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;
use hxa_hub::identity::{self, Founder};
use hxa_store::rows::{OrgRow, TombstoneRow};
use hxa_store::{DbConnection, bots, orgs};

/// The routes of this file.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(create_org).service(list_orgs).service(update_org).service(destroy_org);
    routes.service(rotate_org_secret).service(list_tombstones).service(release_name);
}

async fn find(hub: &Hub, id: &str) -> ApiResult<Arc<OrgState>> {
    let org = match OrgId::parse(id) {
        Some(id) => hub.org(id).await?,
        None => None,
    };
    org.ok_or_else(|| ApiError::not_found("Organisation"))
}

/// An organisation as the platform's admin sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Org)]
pub struct OrgView<'a> {
    id: OrgId,
    name: &'a str,
    persist_messages: bool,
    status: OrgStatus,
    created_at: i64,
    /// 0 or 1: clients know this one as a number.
    join_approval_required: i32,
    bot_count: i64,
}

/// A new organisation with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = NewOrg)]
pub struct NewOrgView<'a> {
    id: OrgId,
    name: &'a str,
    org_secret: &'a str,
    persist_messages: bool,
    status: OrgStatus,
    created_at: i64,
}

/// An organisation as the platform's admin sees it, with the number of its bots.
#[must_use]
pub fn org_view(row: &OrgRow, bots: i64) -> OrgView<'_> {
    OrgView {
        id: row.id,
        name: &row.name,
        persist_messages: row.persist_messages,
        status: row.status,
        created_at: row.created_at,
        join_approval_required: i32::from(row.join_approval_required),
        bot_count: bots,
    }
}

/// A new organisation with its secret.
#[must_use]
pub fn new_org_view<'a>(row: &'a OrgRow, secret: &'a str) -> NewOrgView<'a> {
    NewOrgView {
        id: row.id,
        name: &row.name,
        org_secret: secret,
        persist_messages: row.persist_messages,
        status: row.status,
        created_at: row.created_at,
    }
}

/// Create an organisation
///
/// The secret is shown once.
#[utoipa::path(
    tag = "Platform", operation_id = "orgs_create", security(("cookie" = [])),
    request_body(content = OrgDraft, example = json!({ "name": "acme" })),
    responses((status = 200, description = "The organisation and its secret.", body = NewOrgView, example = json!({
        "id": "0192f0c0-1111-7abc-8def-0123456789ab", "name": "acme", "org_secret": "9a1b…48 hex digits",
        "persist_messages": true, "status": "active", "created_at": 1_732_100_000_000_i64
    }))),
)]
#[post("/api/orgs")]
async fn create_org(hub: web::Data<Hub>, admin: SuperAdmin, mut body: Body<OrgDraft>) -> Answer {
    let OrgDraft { name, persist_messages } = body.draft()?;
    let persist = persist_messages.unwrap_or(hub.config().messages.persist);
    let (row, secret) = identity::create_org(&hub, Founder::SuperAdmin(admin.reference()), name, persist).await?;
    answer::ok(&new_org_view(&row, &secret))
}

/// List organisations
///
/// All, oldest first. A list that does not fit into an answer has a `Link` to the rest.
#[utoipa::path(
    tag = "Platform", operation_id = "orgs_list", security(("cookie" = [])),
    params(("after" = Option<String>, Query, description = "Only organisations after this one, as the `Link` before said.")),
    responses((status = 200, description = "The organisations.", body = Vec<OrgView>, example = json!([{
        "id": "0192f0c0-1111-7abc-8def-0123456789ab", "name": "acme", "persist_messages": true, "status": "active",
        "created_at": 1_732_100_000_000_i64, "join_approval_required": 0, "bot_count": 12
    }]))),
)]
#[get("/api/orgs")]
async fn list_orgs(hub: web::Data<Hub>, _: SuperAdmin, params: Params, request: HttpRequest) -> Answer {
    let (after, most) = (params.filled("after").and_then(Cursor::decode), hub.config().server.max_answer_bytes);
    let read = move |conn: &mut DbConnection| {
        let page = orgs::list(conn, after.as_ref(), list::ARRAY_ROWS)?;
        let next = |(row, _): &(OrgRow, i64)| ("after", Cursor::new(row.created_at, row.id).encode());
        Ok(list::array(most, &page, |(row, bots)| org_view(row, *bots), next)?)
    };
    list::answer(&hub, &request, hub.store().read(read).await?)
}

/// Rename, suspend or reinstate an organisation
///
/// Suspending closes all its sockets and deletes its usable tickets; tokens and sessions work again when it is reinstated.
#[utoipa::path(
    tag = "Platform", operation_id = "platform_org_update", security(("cookie" = [])),
    params(("org_id" = String, Path, description = "The organisation's id.")),
    request_body(content = OrgPatch, example = json!({ "status": "suspended" })),
    responses((status = 200, description = "The organisation.", body = OrgSummary, example = json!({
        "id": "0192f0c0-1111-7abc-8def-0123456789ab", "name": "acme", "status": "suspended"
    }))),
)]
#[patch("/api/orgs/{org_id}")]
async fn update_org(hub: web::Data<Hub>, admin: SuperAdmin, id: web::Path<String>, mut body: Body<OrgPatch>) -> Answer {
    let org = find(&hub, &id).await?;
    let row = identity::update_org(&hub, &org, body.draft()?, admin.reference()).await?;
    answer::ok(&OrgSummary::of(&row))
}

/// Delete an organisation
///
/// With everything in it; its audit trail stays for the operator.
#[utoipa::path(
    tag = "Platform", operation_id = "platform_org_delete", security(("cookie" = [])),
    params(("org_id" = String, Path, description = "The organisation's id.")),
    responses((status = 204, description = "Deleted.")),
)]
#[delete("/api/orgs/{org_id}")]
async fn destroy_org(hub: web::Data<Hub>, admin: SuperAdmin, id: web::Path<String>) -> Answer {
    let org = find(&hub, &id).await?;
    identity::destroy(&hub, &org, admin.reference()).await?;
    answer::nothing()
}

/// Rotate an organisation's secret
///
/// Its usable tickets and its admins' sessions end. Works on suspended organisations too.
#[utoipa::path(
    tag = "Platform", operation_id = "platform_org_secret_rotate", security(("cookie" = [])),
    params(("org_id" = String, Path, description = "The organisation's id.")),
    responses((status = 200, description = "The new secret.", body = NewOrgSecret, example = json!({ "org_secret": "9a1b…48 hex digits" }))),
)]
#[post("/api/orgs/{org_id}/rotate-secret")]
async fn rotate_org_secret(hub: web::Data<Hub>, admin: SuperAdmin, id: web::Path<String>) -> Answer {
    let org = find(&hub, &id).await?;
    let secret = identity::rotate_secret(&hub, &org, None, admin.reference()).await?;
    answer::ok(&NewOrgSecret { org_secret: secret })
}

/// The organisation, for a person who may decide about its blocked names.
async fn person_of<'a>(hub: &Hub, caller: &'a Authenticated, id: &str) -> ApiResult<(Arc<OrgState>, &'a Session)> {
    let own = match &caller.principal {
        Principal::Bot(_) => {
            return Err(ApiError::new(ErrorCode::HumanSessionRequired, "Blocked names are a person's business"));
        }
        Principal::Person(person) if !person.person.is_admin() => {
            return Err(ApiError::forbidden("Only an organisation admin may do this"));
        }
        Principal::Person(person) => Some(person.org.id),
        Principal::OrgAdmin { org, .. } => Some(org.id),
        Principal::SuperAdmin { .. } => None,
    };
    let session = caller.session.as_ref().ok_or_else(ApiError::internal)?;
    // Before it is looked up: whether another organisation exists is not an admin's business.
    if own.is_some_and(|own| OrgId::parse(id) != Some(own)) {
        return Err(ApiError::forbidden("The name belongs to another organisation"));
    }
    Ok((find(hub, id).await?, session))
}

/// The name of a deleted bot.
#[derive(Serialize, ToSchema)]
struct Tombstone {
    name: String,
    deleted_at: i64,
    #[schema(required)]
    deleted_by: Option<String>,
}

/// List the names of deleted bots
///
/// Newest first, in pages. These names are blocked until they are released. Only people may: the organisation's admin or
/// the platform's.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_tombstones_list", security(("cookie" = [])),
    params(
        ("org_id" = String, Path, description = "The organisation's id."),
        ("limit" = Option<i64>, Query, description = "Rows per page, 1 to 200, 50 by default."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page.", body = Items<Tombstone>, example = json!({ "items": [{
        "name": "reviewer", "deleted_at": 1_732_170_000_000_i64, "deleted_by": "session"
    }], "has_more": false }))),
)]
#[get("/api/orgs/{org_id}/tombstones")]
async fn list_tombstones(hub: web::Data<Hub>, Anyone(caller): Anyone, id: web::Path<String>, params: Params) -> Answer {
    let (org, _) = person_of(&hub, &caller, &id).await?;
    let (org, limit) = (org.id, params.limit("limit", 50, 200));
    let after = params.get("cursor").and_then(Cursor::decode);
    let page = hub.store().read_for(org, move |conn| bots::list_tombstones(conn, org, after.as_ref(), limit)).await?;
    let cursor = |row: &TombstoneRow| Cursor::new(row.deleted_at, row.id).encode();
    let view = |row: TombstoneRow| Tombstone { name: row.name, deleted_at: row.deleted_at, deleted_by: row.deleted_by };
    answer::ok(&Items::of(page, cursor, view))
}

/// Release the name of a deleted bot
///
/// Only people may: the organisation's admin or the platform's.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_tombstone_release", security(("cookie" = [])),
    params(
        ("org_id" = String, Path, description = "The organisation's id."),
        ("name" = String, Path, description = "The exact name."),
    ),
    responses((status = 200, description = "Released.", body = DoneWithMessage, example = json!({ "ok": true, "message": "The name \"reviewer\" is free again" }))),
)]
#[delete("/api/orgs/{org_id}/tombstones/{name}")]
async fn release_name(hub: web::Data<Hub>, Anyone(caller): Anyone, path: web::Path<(String, String)>) -> Answer {
    let (id, name) = path.into_inner();
    let (org, session) = person_of(&hub, &caller, &id).await?;
    identity::release_name(&hub, &org, name.clone(), session).await?;
    answer::ok(&DoneWithMessage::new(format!("The name {name:?} is free again")))
}
