//! Threads for the organisation's admin: all of them, without membership or policy.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::{HttpRequest, delete, get, patch, post, web};

use super::answer::{ok, written};
use super::artifacts::{newest, place};
use super::body::Body;
use super::guard::{OrgReader, OwnOrgAdmin, rights};
use super::list::{self, Shape};
use super::params::Params;
use super::routing::Routes;
use super::shapes::{ArrayOrMessages, ArrayOrPage, DONE, Done};
use super::thread_access::{read_as_admin, thread_id};
use super::thread_messages::{page, window};
use super::threads::tagged;
use super::views::{self, ListedThread, Participant, ThreadWithParticipants, artifact, participant_views};
use super::{Answer, collab_examples as examples};
use hxa_domain::cursor::Cursor;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{MessageId, OrgId, ThreadId};
use hxa_domain::query::{Before, before};
use hxa_domain::thread::{self as rules, OrgInvitation, OrgThreadPatch};
use hxa_hub::core::actors::Actors;
use hxa_hub::core::caller::Caller;
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;
use hxa_hub::thread::{OrgInvite, OrgRemove, OrgUpdate};
use hxa_hub::wire;
use hxa_store::artifacts::{self, Order, Room};
use hxa_store::messages::Window;
use hxa_store::page::Page;
use hxa_store::rows::{ArtifactRow, ParticipantRow};
use hxa_store::threads_list::{self, ListedThread as StoredThread, Scope, ThreadFilter};
use hxa_store::{DbConnection, DbError, threads};

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(list_threads).service(one).service(messages_of).service(artifacts_of);
    routes.service(change).service(invite).service(remove);
}

/// List all threads of the organisation
///
/// Newest activity first, each with its participants. With `cursor`, `search`, or `limit` without `offset`: a page, whose
/// cursor reads `<last_activity_at>|<id>`. Otherwise an array.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_threads_list",
    params(
        ("status" = Option<String>, Query, description = "Only threads in this state", example = json!("active")),
        ("search" = Option<String>, Query, description = "Only topics that contain this, in any case"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<i64>, Query, description = "1 to 200, 50 by default"),
        ("offset" = Option<i64>, Query, description = "Threads to skip; of arrays only"),
    ),
    responses(
        (status = 200, description = "An array or a page of threads", body = ArrayOrPage<ThreadWithParticipants>,
            example = json!(examples::page(examples::org_thread()))),
        (status = 400, description = "An unknown status"),
    ),
)]
#[get("/api/org/threads")]
async fn list_threads(
    hub: web::Data<Hub>,
    reader: OrgReader<rights::Threads>,
    params: Params,
    request: HttpRequest,
) -> Answer {
    let search = params.searched("search")?;
    let is_paged = search.is_some()
        || params.filled("cursor").is_some()
        || (params.filled("limit").is_some() && params.filled("offset").is_none());
    let filter = ThreadFilter {
        status: rules::status_filter(params.status())?,
        search,
        after: params.get("cursor").and_then(Cursor::decode_readable),
        offset: if is_paged { 0 } else { params.offset("offset") },
        limit: params.limit("limit", 50, 200),
        most: hub.config().server.max_answer_bytes,
    };
    let Some(org) = reader.0 else {
        // The platform's admin belongs to no organisation and sees an empty one.
        let none: Page<StoredThread> = Page { rows: Vec::new(), has_more: false };
        let body =
            if is_paged { list::page((Shape::ITEMS, 0), &none, cursor, ListedThread::own)? } else { b"[]".to_vec() };
        return written(body);
    };
    hub.flush_activity(&org).await?;
    let (id, is_search) = (org.id, filter.search.is_some());
    let read = move |conn: &mut DbConnection| {
        let (page, participants) = found(conn, id, &filter)?;
        let of = |thread: &StoredThread| participants.get(&thread.row.id).map(Vec::as_slice).unwrap_or_default();
        let view = |thread| ThreadWithParticipants::listed(thread, participant_views(&org, of(thread)));
        if is_paged {
            return Ok(Ok(list::page((Shape::ITEMS, filter.most), &page, cursor, view)?));
        }
        // That there are more threads than the limit is nothing new to those who count.
        let page = Page { has_more: false, ..page };
        let next = |last: &StoredThread| {
            let before = page.rows.iter().take_while(|thread| thread.row.id != last.row.id).count();
            let rows = i64::try_from(before).unwrap_or(0).saturating_add(1);
            ("offset", filter.offset.saturating_add(rows).to_string())
        };
        Ok(Err(list::array(filter.most, &page, view, next)?))
    };
    let store = hub.store();
    let answered = if is_search { store.read_slowly(Some(id), read).await? } else { store.read_for(id, read).await? };
    match answered {
        Ok(body) => written(body),
        Err(listed) => list::answer(&hub, &request, listed),
    }
}

fn cursor(thread: &StoredThread) -> String {
    thread.cursor().encode_readable()
}

/// Participants by thread.
type Participants = HashMap<ThreadId, Vec<ParticipantRow>>;

/// Threads and their participants.
fn found(
    conn: &mut DbConnection,
    org: OrgId,
    filter: &ThreadFilter,
) -> Result<(Page<StoredThread>, Participants), DbError> {
    let page = threads_list::page(conn, org, Scope::All, filter)?;
    let ids: Vec<ThreadId> = page.rows.iter().map(|thread| thread.row.id).collect();
    let participants = threads_list::participants_of(conn, &ids)?;
    Ok((page, participants))
}

/// Get any thread of the organisation
#[utoipa::path(
    tag = "Organisation", operation_id = "org_thread_get",
    params(("id" = String, Path, description = "The thread", example = json!(examples::THREAD))),
    responses(
        (status = 200, description = "The thread with its participants; `ETag` is its revision",
            body = ThreadWithParticipants, example = json!(examples::thread_with_participants())),
        (status = 304, description = "Unchanged"),
        (status = 404, description = "No such thread in this organisation"),
    ),
)]
#[get("/api/org/threads/{id}")]
async fn one(
    hub: web::Data<Hub>,
    reader: OrgReader<rights::Threads>,
    id: web::Path<String>,
    request: HttpRequest,
) -> Answer {
    let org = reader.own()?;
    let (row, participants) = read_as_admin(&hub, &org, &id, threads::participants).await?;
    tagged(&request, row.revision, &ThreadWithParticipants::whole(&org, &row, &participants))
}

/// List the messages of any thread of the organisation
///
/// By time (no `before`, or `before` in ms): an array, oldest first. By cursor (`before` is a message id):
/// `{messages, has_more}`, newest first.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_thread_messages_list",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("limit" = Option<i64>, Query, description = "1 to 200, 50 by default"),
        ("before" = Option<String>, Query, description = "A time in ms or a message id",
            example = json!(examples::MESSAGE)),
        ("since" = Option<i64>, Query, description = "Only messages after this time in ms; by time only"),
    ),
    responses(
        (status = 200, description = "Messages", body = ArrayOrMessages<wire::ThreadMessage>,
            example = json!({ "messages": [examples::thread_message()], "has_more": false })),
        (status = 404, description = "No such thread in this organisation"),
    ),
)]
#[get("/api/org/threads/{id}/messages")]
async fn messages_of(
    hub: web::Data<Hub>,
    reader: OrgReader<rights::Threads>,
    id: web::Path<String>,
    params: Params,
    request: HttpRequest,
) -> Answer {
    let (limit, most) = (params.limit("limit", 50, 200), hub.config().server.max_answer_bytes);
    let own = reader.own()?;
    let org = own.clone();
    let before = match before(params.get("before")) {
        Before::Absent => None,
        Before::Time(at) => Some(at),
        Before::Id(cursor) => {
            let asked = (MessageId::parse(cursor), limit);
            let shape = (Shape::MESSAGES, most);
            let read = move |conn: &mut DbConnection, id| page(conn, &org, id, asked, shape);
            return written(read_as_admin(&hub, &own, &id, read).await?.1);
        }
    };
    let asked = Window { before, since: params.optional_time("since")?, limit, most };
    let read = move |conn: &mut DbConnection, id| window(conn, &org, id, asked);
    list::answer(&hub, &request, read_as_admin(&hub, &own, &id, read).await?.1)
}

/// List the artifacts of any thread of the organisation
///
/// Without parameters an array as participants see it; with `cursor` or `limit` a page by key.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_thread_artifacts_list",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("limit" = Option<i64>, Query, description = "1 to 200, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before: an artifact's key"),
        ("after" = Option<String>, Query, description = "Only artifacts after this one, as an array's `Link` said"),
    ),
    responses(
        (status = 200, description = "The newest version of each", body = ArrayOrPage<wire::Artifact>,
            example = json!([examples::artifact()])),
        (status = 404, description = "No such thread in this organisation"),
    ),
)]
#[get("/api/org/threads/{id}/artifacts")]
async fn artifacts_of(
    hub: web::Data<Hub>,
    reader: OrgReader<rights::Threads>,
    id: web::Path<String>,
    params: Params,
    request: HttpRequest,
) -> Answer {
    let own = reader.own()?;
    let (org, most) = (own.clone(), hub.config().server.max_answer_bytes);
    let cursor = params.filled("cursor").filter(|cursor| !cursor.contains('\0')).map(str::to_owned);
    if cursor.is_none() && params.filled("limit").is_none() {
        let after = place(&params);
        let read = move |conn: &mut DbConnection, id| newest(conn, &org, id, (after, most));
        return list::answer(&hub, &request, read_as_admin(&hub, &own, &id, read).await?.1);
    }
    let room = Room { rows: params.limit("limit", 50, 200), bytes: most };
    let read = move |conn: &mut DbConnection, id| {
        let page = artifacts::newest(conn, id, Order::Key(cursor), room)?;
        let key = |row: &ArtifactRow| row.artifact_key.clone();
        Ok(list::page((Shape::ITEMS, most), &page, key, |row| artifact(&org, row))?)
    };
    written(read_as_admin(&hub, &own, &id, read).await?.1)
}

/// Update any thread of the organisation
///
/// Whatever its policy says, and settings also when it is over.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_thread_update",
    params(("id" = String, Path, description = "The thread", example = json!(examples::THREAD))),
    request_body(
        content = OrgThreadPatch,
        example = json!({ "status": "closed", "close_reason": "manual" }),
    ),
    responses(
        (status = 200, description = "The thread", body = wire::Thread, example = json!(examples::thread())),
        (status = 404, description = "No such thread in this organisation"),
        (status = 409, description = "`INVALID_TRANSITION` for a status that cannot follow"),
    ),
)]
#[patch("/api/org/threads/{id}")]
async fn change(
    hub: web::Data<Hub>,
    admin: OwnOrgAdmin,
    id: web::Path<String>,
    mut body: Body<OrgThreadPatch>,
) -> Answer {
    let org = admin.org.clone();
    let operation = OrgUpdate { patch: body.parsed() };
    let mut updated = hub.threads().ask(thread_id(&id)?, Caller::Admin(admin.0), operation).await?;
    views::show_newest_activity(&org, &mut updated.row);
    ok(&wire::Thread::from(&updated.row))
}

/// Add a bot to any thread of the organisation
///
/// `bot_id` is an id; names are not looked up here.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_thread_participants_add",
    params(("id" = String, Path, description = "The thread", example = json!(examples::THREAD))),
    request_body(
        content = OrgInvitation,
        example = json!({ "bot_id": examples::BOB, "label": "reviewer" }),
    ),
    responses(
        (status = 200, description = "The participant", body = Participant,
            example = json!(examples::participant())),
        (status = 400, description = "`VALIDATION_ERROR`, `BOT_NOT_ACTIVE`"),
        (status = 404, description = "No such thread or bot"),
        (status = 409, description = "`THREAD_TERMINAL`, `ALREADY_PARTICIPANT`"),
    ),
)]
#[post("/api/org/threads/{id}/participants")]
async fn invite(
    hub: web::Data<Hub>,
    admin: OwnOrgAdmin,
    id: web::Path<String>,
    mut body: Body<OrgInvitation>,
) -> Answer {
    let OrgInvitation { bot, label } = body.draft()?;
    let Some(bot) = bot else { return Err(nobody_named(&hub, &admin.org, &id).await?) };
    let operation = OrgInvite { bot, label };
    let participant = hub.threads().ask(thread_id(&id)?, Caller::Admin(admin.0), operation).await?;
    ok(&Participant::from(&participant))
}

/// The refusal of an invitation that names nobody: a thread that is absent or over says so first.
async fn nobody_named(hub: &Hub, org: &Arc<OrgState>, thread: &str) -> ApiResult<ApiError> {
    let (row, ()) = read_as_admin(hub, org, thread, |_, _| Ok(())).await?;
    Ok(if row.status.is_terminal() {
        ApiError::new(ErrorCode::ThreadTerminal, format!("The thread is {}", row.status))
    } else {
        ApiError::validation("bot_id must be a bot's id")
    })
}

/// Remove a bot from any thread of the organisation
#[utoipa::path(
    tag = "Organisation", operation_id = "org_thread_participant_remove",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("bot" = String, Path, description = "The bot's id or name", example = json!("bob")),
    ),
    responses(
        (status = 200, description = "Removed", body = Done, example = json!({ "ok": true })),
        (status = 400, description = "The last participant"),
        (status = 404, description = "No such thread, bot or participant"),
        (status = 409, description = "`THREAD_TERMINAL`"),
    ),
)]
#[delete("/api/org/threads/{id}/participants/{bot}")]
async fn remove(hub: web::Data<Hub>, admin: OwnOrgAdmin, path: web::Path<(String, String)>) -> Answer {
    let (id, bot) = path.into_inner();
    hub.threads().ask(thread_id(&id)?, Caller::Admin(admin.0), OrgRemove { bot }).await?;
    ok(&DONE)
}
