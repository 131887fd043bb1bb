//! `/api/org/people*` and `/api/auth/person/password`: the people of an organisation, and their own password.

use crate::routing::Routes;
use actix_web::{HttpRequest, delete, get, patch, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{LoggedIn, answer_session};
use super::body::Body;
use super::client::client;
use super::guard::{OrgReader, OwnOrgAdmin, Person, rights};
use super::params::Params;
use super::shapes::{DELETED, Deleted, Items};
use super::{Answer, answer, examples};
use hxa_domain::error::ApiError;
use hxa_domain::ids::PersonId;
use hxa_domain::people::{LinkRequest, PasswordChange, PersonDraft, PersonPatch, PersonRole, handle_key};
use hxa_hub::hub::Hub;
use hxa_hub::identity::{self, NewLink};
use hxa_store::page::Page;
use hxa_store::rows::PersonRow;

/// The routes of this file.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(list_people).service(create_person).service(show_person).service(update_person);
    routes.service(delete_person).service(create_link).service(set_password);
}

/// A person of the organisation.
#[derive(Serialize, ToSchema)]
#[schema(as = Person)]
pub struct PersonView<'a> {
    id: PersonId,
    handle: &'a str,
    display_name: &'a str,
    role: PersonRole,
    #[schema(required)]
    slack_user_id: Option<&'a str>,
    has_password: bool,
    is_disabled: bool,
    created_at: i64,
    updated_at: i64,
}

impl<'a> From<&'a PersonRow> for PersonView<'a> {
    fn from(row: &'a PersonRow) -> Self {
        Self {
            id: row.id,
            handle: &row.handle,
            display_name: &row.display_name,
            role: row.role,
            slack_user_id: row.slack_user_id.as_deref(),
            has_password: row.password_hash.is_some(),
            is_disabled: row.is_disabled,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// List the organisation's people
///
/// Oldest first, in pages. For admins, and for people whose role is coordinator or auditor.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_people_list",
    params(
        ("handle" = Option<String>, Query, description = "Only the person with this handle, in any case."),
        ("limit" = Option<i64>, Query, description = "Rows per page, 1 to 200, 50 by default."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before: the id of its last person."),
    ),
    responses((status = 200, description = "A page.", body = Items<PersonView>, example = json!({
        "items": [examples::person()], "has_more": false
    }))),
)]
#[get("/api/org/people")]
async fn list_people(reader: OrgReader<rights::People>, params: Params) -> Answer {
    let mut people = reader.in_org()?.people();
    if let Some(wanted) = params.filled("handle").map(handle_key) {
        people.retain(|person| person.row.handle_key == wanted);
    }
    if let Some(after) = params.filled("cursor").and_then(PersonId::parse) {
        people.retain(|person| person.id > after);
    }
    let page = Page::cut(people, params.limit("limit", 50, 200));
    let rows = Page { rows: page.rows.iter().map(|person| &person.row).collect(), has_more: page.has_more };
    answer::ok(&Items::of(rows, |row: &&PersonRow| row.id.to_string(), PersonView::from))
}

/// Create a person
///
/// It comes in with a login link, see `POST /api/org/people/{id}/link`, and may set a password then. The handle is unique in
/// the organisation in any case, and never changes.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_people_create",
    request_body(content = PersonDraft, example = json!({
        "handle": "dora", "display_name": "Dora Lindt", "role": "responder", "slack_user_id": "U012ABCDEF"
    })),
    responses((status = 201, description = "The person.", body = PersonView, example = json!(examples::person()))),
)]
#[post("/api/org/people")]
async fn create_person(hub: web::Data<Hub>, admin: OwnOrgAdmin, mut body: Body<PersonDraft>) -> Answer {
    let person = identity::create_person(&hub, &admin, body.draft()?).await?;
    answer::created(&PersonView::from(&person.row))
}

/// Get a person
#[utoipa::path(
    tag = "Organisation", operation_id = "org_person_get",
    params(("id" = String, Path, description = "The person's id.")),
    responses((status = 200, description = "The person.", body = PersonView, example = json!(examples::person()))),
)]
#[get("/api/org/people/{id}")]
async fn show_person(reader: OrgReader<rights::People>, id: web::Path<String>) -> Answer {
    let org = reader.own()?;
    let person = PersonId::parse(&id).and_then(|id| org.person(id)).ok_or_else(|| ApiError::not_found("Person"))?;
    answer::ok(&PersonView::from(&person.row))
}

/// Update a person
///
/// Any subset of the fields. With another role, or disabled, its sessions end and their sockets close at once. An admin cannot
/// take its own admin role away, nor disable itself.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_person_update",
    params(("id" = String, Path, description = "The person's id.")),
    request_body(content = PersonPatch, example = json!({ "role": "coordinator", "is_disabled": false })),
    responses((status = 200, description = "The person.", body = PersonView, example = json!(examples::person()))),
)]
#[patch("/api/org/people/{id}")]
async fn update_person(
    hub: web::Data<Hub>,
    admin: OwnOrgAdmin,
    id: web::Path<String>,
    mut body: Body<PersonPatch>,
) -> Answer {
    let person = identity::update_person(&hub, &admin, &id, body.draft()?).await?;
    answer::ok(&PersonView::from(&person.row))
}

/// Delete a person
///
/// Its sessions end, and its handle is free for another one. What it did keeps its id.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_person_delete",
    params(("id" = String, Path, description = "The person's id.")),
    responses((status = 200, description = "Deleted.", body = Deleted, example = json!({ "deleted": true }))),
)]
#[delete("/api/org/people/{id}")]
async fn delete_person(hub: web::Data<Hub>, admin: OwnOrgAdmin, id: web::Path<String>) -> Answer {
    identity::delete_person(&hub, &admin, &id).await?;
    answer::ok(&DELETED)
}

/// A login link that was made; its code is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = NewLoginLink)]
pub struct NewLinkView {
    code: String,
    /// The path of the page that it opens, below the hub's own address.
    path: String,
    expires_at: i64,
}

impl From<NewLink> for NewLinkView {
    fn from(link: NewLink) -> Self {
        Self { path: link.path(), code: link.code, expires_at: link.expires_at }
    }
}

/// Create a login link
///
/// It lets the person in once, within a quarter of an hour; the link of before ends. With `reset_password` the password ends,
/// and with it the person's sessions, so that the person can set another one.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_person_link_create",
    params(("id" = String, Path, description = "The person's id.")),
    request_body(content = LinkRequest, example = json!({ "reset_password": true })),
    responses(
        (status = 201, description = "The link.", body = NewLinkView, example = json!({
            "code": "lnk_0f1e…48 hex digits", "path": "/portal/login?code=lnk_0f1e…", "expires_at": 1_732_170_900_000_i64
        })),
        (status = 403, description = "The person is disabled"),
    ),
)]
#[post("/api/org/people/{id}/link")]
async fn create_link(
    hub: web::Data<Hub>,
    admin: OwnOrgAdmin,
    id: web::Path<String>,
    mut body: Body<LinkRequest>,
) -> Answer {
    let link = identity::create_link(&hub, &admin, &id, body.draft()?).await?;
    answer::created(&NewLinkView::from(link))
}

/// Set the own password
///
/// For people in a session of their own. Who has a password already gives it as `current_password`. All sessions of the person
/// end, and a new one is opened for the caller.
#[utoipa::path(
    tag = "Login", operation_id = "person_password_set", security(("cookie" = [])),
    request_body(content = PasswordChange, example = json!({ "password": "a sentence of some length", "current_password": "…" })),
    responses((status = 200, description = "The new session; its cookie is in `Set-Cookie`.", body = LoggedIn, example = json!({
        "session": {
            "role": "person", "org_id": "0192f0c0-1111-7abc-8def-0123456789ab", "person": examples::session_person(),
            "expires_at": 1_732_213_200_000_i64
        }
    }))),
)]
#[post("/api/auth/person/password")]
async fn set_password(
    hub: web::Data<Hub>,
    Person(caller): Person,
    request: HttpRequest,
    mut body: Body<PasswordChange>,
) -> Answer {
    let client = client(&request, hub.config());
    answer_session(&hub, identity::set_password(&hub, &caller, body.draft()?, &client).await?).await
}
