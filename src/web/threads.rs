//! Threads: creating, finding, reading and changing them.

use actix_web::http::header::{ETAG, IF_MATCH};
use actix_web::{HttpRequest, HttpResponse, get, patch, post, web};

use super::answer::{ok, written};
use super::body::Body;
use super::guard::{Bot, needs};
use super::list::{self, Shape};
use super::middleware::has_current;
use super::params::Params;
use super::repeated::{Once, Todo, json, receipt};
use super::routing::Routes;
use super::shapes::ArrayOrPage;
use super::thread_access::{read, thread_id};
use super::views::{ListedThread, ThreadWithParticipants, show_newest_activity, with_allowance};
use super::{Answer, collab_examples as examples};
use crate::dialect::Dialect;
use hxa_domain::cursor::Cursor;
use hxa_domain::etag::if_match;
use hxa_domain::thread::{ThreadDraft, ThreadPatch, status_filter};
use hxa_hub::core::actors::Actors;
use hxa_hub::core::caller::{BotCaller, Caller};
use hxa_hub::hub::Hub;
use hxa_hub::org::{CreateThread, CreatedThread};
use hxa_hub::thread::UpdateThread;
use hxa_hub::wire;
use hxa_store::page::Page;
use hxa_store::threads_list::{self, ListedThread as StoredThread, Scope, ThreadFilter};
use hxa_store::{DbConnection, threads};

/// Threads of a list that is not paged.
const FLAT_LIST: i64 = 200;

/// The revision of every new thread.
const FIRST_REVISION: i64 = 1;

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(one).service(list_threads).service(create).service(change);
}

/// The strong tag of a thread: its revision.
fn with_revision(mut response: HttpResponse, revision: i64) -> HttpResponse {
    if let Ok(tag) = format!("\"{revision}\"").parse() {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Whether the client has this revision already and does not insist on reading it again.
fn has_revision(request: &HttpRequest, revision: i64) -> bool {
    has_current(request, &format!("\"{revision}\""))
}

/// A thread with its revision as ETag, or 304 when the client has it.
pub fn tagged(request: &HttpRequest, revision: i64, view: &ThreadWithParticipants<'_>) -> Answer {
    if has_revision(request, revision) {
        return Ok(with_revision(HttpResponse::NotModified().finish(), revision));
    }
    Ok(with_revision(ok(view)?, revision))
}

/// Create a thread
///
/// The caller becomes its initiator. `participants` are ids or names; the caller and repetitions are dropped. A private
/// thread takes participants by invitation only. Counts against the bot's threads per hour.
#[utoipa::path(
    tag = "Collaboration", operation_id = "threads_create",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request repeatable for a day")),
    request_body(
        content = ThreadDraft,
        example = json!({
            "topic": "Release 1.4", "tags": ["release"], "participants": ["bob"], "context": { "branch": "main" },
            "permission_policy": { "close": ["initiator"] },
        }),
    ),
    responses(
        (status = 200, description = "The thread; `ETag` is its revision", body = wire::Thread,
            example = json!(examples::thread())),
        (status = 400, description = "`VALIDATION_ERROR`, also for an unknown participant"),
        (status = 409, description = "`IDEMPOTENCY_MISMATCH`, `IDEMPOTENCY_IN_PROGRESS`"),
        (status = 429, description = "`RATE_LIMITED`; `Retry-After` in seconds"),
    ),
)]
#[post("/api/threads")]
async fn create(hub: web::Data<Hub>, caller: Bot<needs::Thread>, once: Once, mut body: Body<ThreadDraft>) -> Answer {
    let claim = match once.begin(&hub, &caller, body.fields()).await? {
        Todo::Nothing(remembered) => return Ok(with_revision(remembered.answer(), FIRST_REVISION)),
        Todo::Everything(claim) => claim,
    };
    let left = hub.charge_thread(&caller)?;
    let receipt = receipt(claim, |created: &CreatedThread| json(&wire::Thread::from(&created.row)));
    let created = hub.orgs().ask_once(Caller::Bot(caller.0), CreateThread { draft: body.parsed() }, receipt).await?;
    let answer = with_revision(ok(&wire::Thread::from(&created.row))?, created.row.revision);
    Ok(with_allowance(answer, left))
}

/// List threads
///
/// Newest activity first. Without `q`, `cursor`, `limit` and `scope`: the bot's own threads as an array, at most 200.
/// With any of the first three: a page of them. With `scope=org`: a page of all threads the bot may find, with
/// `is_participant`.
#[utoipa::path(
    tag = "Collaboration", operation_id = "threads_list",
    params(
        ("scope" = Option<String>, Query, description = "`org` for all threads the bot may find"),
        ("status" = Option<String>, Query, description = "Only threads in this state", example = json!("active")),
        ("q" = Option<String>, Query, description = "Only topics that contain this, in any case; at most 200 characters"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<i64>, Query, description = "1 to 200, 50 by default; with scope=org 1 to 50, 20 by default"),
    ),
    responses(
        (status = 200, description = "An array or a page of threads", body = ArrayOrPage<ListedThread>,
            example = json!(examples::page(examples::listed_thread()))),
        (status = 400, description = "An unknown status, or `q too long`"),
    ),
)]
#[get("/api/threads")]
async fn list_threads(hub: web::Data<Hub>, caller: Bot<needs::Read>, params: Params, request: HttpRequest) -> Answer {
    let mut filter = ThreadFilter {
        status: status_filter(params.status())?,
        search: params.searched("q")?,
        after: params.get("cursor").and_then(Cursor::decode),
        most: hub.config().server.max_answer_bytes,
        ..ThreadFilter::default()
    };
    hub.flush_activity(&caller.org).await?;
    if params.get("scope") == Some("org") {
        filter.limit = params.limit("limit", 20, 50);
        return page(&hub, &caller, Scope::Visible(caller.bot.id), filter).await;
    }
    let is_paged = filter.search.is_some() || ["cursor", "limit"].into_iter().any(|key| params.get(key).is_some());
    let scope = Scope::Own(caller.bot.id);
    if is_paged {
        filter.limit = params.limit("limit", 50, 200);
        return page(&hub, &caller, scope, filter).await;
    }
    filter.limit = FLAT_LIST;
    let (org, most) = (caller.org.id, filter.most);
    let read = move |conn: &mut DbConnection| {
        // It has always ended at its limit; only a list that ends before says so.
        let page = Page { has_more: false, ..threads_list::page(conn, org, scope, &filter)? };
        let next = |thread: &StoredThread| ("cursor", thread.cursor().encode());
        Ok(list::array(most, &page, ListedThread::own, next)?)
    };
    list::answer(&hub, &request, hub.store().read_for(org, read).await?)
}

async fn page(hub: &Hub, caller: &BotCaller, scope: Scope, filter: ThreadFilter) -> Answer {
    let (org, is_search) = (caller.org.id, filter.search.is_some());
    let read = move |conn: &mut DbConnection| {
        let page = threads_list::page(conn, org, scope, &filter)?;
        let cursor = |thread: &StoredThread| thread.cursor().encode();
        let view = match scope {
            Scope::Visible(_) => ListedThread::visible,
            Scope::Own(_) | Scope::All => ListedThread::own,
        };
        Ok(list::page((Shape::ITEMS, filter.most), &page, cursor, view)?)
    };
    // A text is looked for in every topic.
    let store = hub.store();
    written(if is_search { store.read_slowly(Some(org), read).await? } else { store.read_for(org, read).await? })
}

/// Get a thread
///
/// For participants. `ETag` is the revision; with `If-None-Match` an unchanged thread answers 304.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_get",
    params(("id" = String, Path, description = "The thread", example = json!(examples::THREAD))),
    responses(
        (status = 200, description = "The thread with its participants", body = ThreadWithParticipants,
            example = json!(examples::thread_with_participants())),
        (status = 304, description = "Unchanged"),
        (status = 403, description = "`JOIN_REQUIRED`, with a `hint`"),
        (status = 404, description = "No such thread for this bot"),
    ),
)]
#[get("/api/threads/{id}")]
async fn one(hub: web::Data<Hub>, caller: Bot<needs::Read>, id: web::Path<String>, request: HttpRequest) -> Answer {
    let (row, participants) = read(&hub, &caller, &id, |conn, id, _, _| threads::participants(conn, id)).await?;
    tagged(&request, row.revision, &ThreadWithParticipants::whole(&caller.org, &row, &participants))
}

/// Update a thread
///
/// For participants, as far as the thread's policy lets them. All given fields change together and count the revision
/// up by one. `If-Match` with a revision guards against changes in between. A thread that is resolved or closed can only
/// be set active again.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_update",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("If-Match" = Option<String>, Header, description = "The revision the change is based on",
            example = json!("\"1\"")),
    ),
    request_body(
        content = ThreadPatch,
        example = json!({ "status": "closed", "close_reason": "manual" }),
    ),
    responses(
        (status = 200, description = "The thread; `ETag` is its new revision", body = wire::Thread,
            example = json!(examples::thread())),
        (status = 400, description = "`VALIDATION_ERROR`, or `INVALID_TRANSITION` for a status that cannot follow"),
        (status = 403, description = "`FORBIDDEN` by the policy, `JOIN_REQUIRED`"),
        (status = 404, description = "No such thread for this bot"),
        (status = 409, description = "`REVISION_CONFLICT`, `THREAD_CLOSED`"),
    ),
)]
#[patch("/api/threads/{id}")]
async fn change(
    hub: web::Data<Hub>,
    caller: Bot<needs::Thread>,
    id: web::Path<String>,
    request: HttpRequest,
    mut body: Body<ThreadPatch>,
) -> Answer {
    let id = thread_id(&id)?;
    // A header that cannot be read is not an absent one: the client meant to guard its change.
    let condition = request.headers().get(IF_MATCH).map(|value| value.to_str().unwrap_or("?"));
    let transitions = Dialect::of_request(&request).transitions();
    let operation = UpdateThread { patch: body.parsed(), expected_revision: if_match(condition)?, transitions };
    let org = caller.org.clone();
    let mut updated = hub.threads().ask(id, Caller::Bot(caller.0), operation).await?;
    show_newest_activity(&org, &mut updated.row);
    Ok(with_revision(ok(&wire::Thread::from(&updated.row))?, updated.row.revision))
}
