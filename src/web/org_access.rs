//! `/api/org/tickets*` and `/api/org/sessions*`: registration tickets and people's sessions of an organisation.

use actix_web::{HttpRequest, delete, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Body;
use super::guard::{OrgAdmin, OrgReader, OwnOrgAdmin, rights};
use super::routing::Routes;
use super::shapes::{DELETED, Deleted, Items};
use super::{Answer, answer, examples};
use hxa_domain::cursor::Cursor;
use hxa_domain::error::ApiResult;
use hxa_domain::grants::TicketRequest;
use hxa_domain::ids::{BotId, PersonId, TicketId};
use hxa_domain::query::Query;
use hxa_domain::standing::SessionRole;
use hxa_hub::hub::Hub;
use hxa_hub::{auth, identity};
use hxa_store::page::Page;
use hxa_store::rows::{SessionRow, TicketRow};
use hxa_store::sessions::Holder;
use hxa_store::{DbConnection, tickets};

/// The routes of this file.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(create_ticket).service(list_tickets).service(delete_ticket);
    routes.service(list_sessions).service(end_session);
}

/// A registration ticket that was made.
#[derive(Serialize, ToSchema)]
struct NewTicket {
    ticket: String,
    /// 0 when it never expires.
    expires_at: i64,
    reusable: bool,
    skip_approval: bool,
}

/// Create a registration ticket
///
/// `expires_in` is in seconds, 0 is never, half an hour if absent. `reusable` and `skip_approval` count only when true.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_tickets_create",
    request_body(content = TicketRequest, example = json!({ "reusable": true, "expires_in": 86_400 })),
    responses((status = 200, description = "The ticket.", body = NewTicket, example = json!({
        "ticket": "tkt_0f1e2d3c4b5a6978", "expires_at": 1_732_256_400_000_i64, "reusable": true, "skip_approval": false
    }))),
)]
#[post("/api/org/tickets")]
async fn create_ticket(hub: web::Data<Hub>, admin: OwnOrgAdmin, mut body: Body<TicketRequest>) -> Answer {
    let row = identity::create_ticket(&hub, &admin, body.draft()?).await?;
    answer::ok(&NewTicket {
        ticket: row.code,
        expires_at: row.expires_at,
        reusable: row.reusable,
        skip_approval: row.skip_approval,
    })
}

/// List usable registration tickets
///
/// Newest first, in pages; `cursor` is only there when there is more.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_tickets_list",
    params(
        ("limit" = Option<i64>, Query, description = "Rows per page, 1 to 100, 20 by default."),
        ("cursor" = Option<String>, Query, description = "The cursor of the page before."),
    ),
    responses((status = 200, description = "A page.", body = TicketPage, example = json!({ "items": [{
        "id": "0192f0c3-2345-7abc-8def-0123456789ab", "code": "tkt_0f1e2d3c4b5a6978", "reusable": true, "skip_approval": false,
        "expires_at": 1_732_256_400_000_i64, "created_by": null, "created_at": 1_732_170_000_000_i64
    }], "cursor": "eyJ0IjoxNzMyMTcwMDAwMDAwLCJpZCI6IjAxOTIifQ" }))),
)]
#[get("/api/org/tickets")]
async fn list_tickets(hub: web::Data<Hub>, admin: OrgAdmin, request: HttpRequest) -> Answer {
    let query = Query::parse(request.query_string());
    let limit = query.limit("limit", 20, 100);
    let cursor = match query.filled("cursor") {
        None => None,
        Some(text) => match Cursor::decode(text) {
            Some(cursor) => Some(cursor),
            None => return answer::ok(&ticket_page(Vec::new(), limit)),
        },
    };
    let (org, now) = (admin.org.id, hub.now());
    let list = move |conn: &mut DbConnection| tickets::list(conn, org, now, cursor.as_ref(), limit.saturating_add(1));
    let read = hub.store().read_for(org, list);
    answer::ok(&ticket_page(read.await?, limit))
}

/// A usable registration ticket.
#[derive(Serialize, ToSchema)]
struct Ticket {
    id: TicketId,
    code: String,
    reusable: bool,
    skip_approval: bool,
    /// 0 when it never expires.
    expires_at: i64,
    #[schema(required)]
    created_by: Option<String>,
    created_at: i64,
}

/// A page of tickets.
#[derive(Serialize, ToSchema)]
struct TicketPage {
    items: Vec<Ticket>,
    /// Only there when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cursor: Option<String>,
}

/// A page of up to `limit` of the rows, with a cursor if there are more.
fn ticket_page(rows: Vec<TicketRow>, limit: i64) -> TicketPage {
    let cursor = |row: &TicketRow| Cursor::new(row.created_at, row.id).encode();
    let view = |row: TicketRow| Ticket {
        id: row.id,
        code: row.code,
        reusable: row.reusable,
        skip_approval: row.skip_approval,
        expires_at: row.expires_at,
        created_by: row.created_by,
        created_at: row.created_at,
    };
    let page = Items::of(Page::cut(rows, limit), cursor, view);
    TicketPage { items: page.items, cursor: page.next_cursor }
}

/// Delete a registration ticket
#[utoipa::path(
    tag = "Organisation", operation_id = "org_ticket_delete",
    params(("id" = String, Path, description = "The ticket's id or code.")),
    responses((status = 200, description = "Deleted.", body = Deleted, example = json!({ "deleted": true }))),
)]
#[delete("/api/org/tickets/{id}")]
async fn delete_ticket(hub: web::Data<Hub>, admin: OrgAdmin, id: web::Path<String>) -> Answer {
    identity::delete_ticket(&hub, &admin, id.into_inner()).await?;
    answer::ok(&DELETED)
}

/// List human sessions
///
/// Live sessions of the organisation's admins, of its people and of its bots' owners, newest first, each under its
/// reference.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_sessions_list",
    params(
        ("limit" = Option<i64>, Query, description = "Rows per page, 1 to 100, 20 by default."),
        ("offset" = Option<i64>, Query, description = "Rows to skip."),
    ),
    responses((status = 200, description = "A page.", body = SessionPage, example = json!(examples::session_page()))),
)]
#[get("/api/org/sessions")]
async fn list_sessions(hub: web::Data<Hub>, reader: OrgReader<rights::Everything>, request: HttpRequest) -> Answer {
    let query = Query::parse(request.query_string());
    answer::ok(&session_page(&hub, Holder::Org(reader.in_org()?.id), &query).await?)
}

/// A person's session.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    #[serde(rename = "ref")]
    reference: String,
    #[schema(value_type = SessionRole)]
    role: String,
    #[schema(required)]
    bot_id: Option<BotId>,
    #[schema(required)]
    owner_name: Option<String>,
    /// Of sessions of the organisation's people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    person_id: Option<PersonId>,
    created_at: i64,
    expires_at: i64,
}

/// A page of people's sessions.
#[derive(Serialize, ToSchema)]
pub struct SessionPage {
    items: Vec<SessionView>,
    has_more: bool,
}

/// The page of a holder's sessions that `limit` and `offset` ask for.
///
/// # Errors
/// 503 when the store of sessions is away.
pub async fn session_page(hub: &Hub, holder: Holder, query: &Query) -> ApiResult<SessionPage> {
    let (limit, offset) = (query.limit("limit", 20, 100), query.offset("offset"));
    let rows = auth::list_sessions(hub.auth(), holder, offset, limit.saturating_add(1)).await?;
    let page = Page::cut(rows, limit);
    let view = |row: SessionRow| SessionView {
        reference: row.reference,
        role: row.role,
        bot_id: row.bot_id,
        owner_name: row.owner_name,
        person_id: row.person_id,
        created_at: row.created_at,
        expires_at: row.expires_at,
    };
    Ok(SessionPage { has_more: page.has_more, items: page.rows.into_iter().map(view).collect() })
}

/// End a human session
///
/// By its reference; its sockets close. One's own session ends by logging out.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_session_delete",
    params(("reference" = String, Path, description = "The session's reference, 16 hex digits.")),
    responses((status = 200, description = "Ended.", body = Deleted, example = json!({ "deleted": true }))),
)]
#[delete("/api/org/sessions/{reference}")]
async fn end_session(hub: web::Data<Hub>, admin: OrgAdmin, reference: web::Path<String>) -> Answer {
    identity::end_session(&hub, &admin, &reference).await?;
    answer::ok(&DELETED)
}
