//! Threads as the organisation's admin sees them: all of them, from outside their own rules.

use std::sync::Arc;

use actix_web::{HttpRequest, delete, get, patch, post, web};
use serde_json::{Value, json};
use utoipa_actix_web::service_config::ServiceConfig;

use super::answer::ok;
use super::body::Body;
use super::guard::{AnyAdmin, OwnOrgAdmin};
use super::params::Params;
use super::thread_access::{read_as_admin, thread_id};
use super::thread_messages::{page, window};
use super::threads::tagged;
use super::views::{self, Items, Messages, ShownMessage, ThreadView, artifact, participant_views, views as shown};
use super::{Answer, collab_examples as examples};
use crate::actors::caller::Caller;
use crate::actors::hub::Hub;
use crate::actors::org_state::OrgState;
use crate::actors::thread::{OrgInvite, OrgRemove, OrgUpdate};
use crate::domain::cursor::Cursor;
use crate::domain::ids::MessageId;
use crate::domain::query::{Before, before};
use crate::domain::thread::{self as rules, ThreadStatus};
use crate::error::{ApiError, ApiResult, ErrorCode};
use crate::store::messages::Window;
use crate::store::page::Page;
use crate::store::threads_list::{self, ListedThread, Scope, ThreadFilter};
use crate::store::{artifacts, threads};
use crate::wire;

/// Registers the routes.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(one).service(messages_of).service(artifacts_of);
    config.service(change).service(invite).service(remove);
}

/// List all threads of the organisation
///
/// Newest activity first, each with its participants. With `cursor`, `search`, or `limit` without `offset`: a page, whose
/// cursor reads `<last_activity_at>|<id>`. Otherwise an array.
#[utoipa::path(
    tag = "Organisation",
    params(
        ("status" = Option<String>, Query, description = "Only threads in this state", example = json!("active")),
        ("search" = Option<String>, Query, description = "Only topics that contain this, in any case"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<i64>, Query, description = "1 to 200, 50 by default"),
        ("offset" = Option<i64>, Query, description = "Threads to skip; of arrays only"),
    ),
    responses(
        (status = 200, description = "An array or a page of threads", body = serde_json::Value,
            example = json!(examples::page(examples::org_thread()))),
        (status = 400, description = "An unknown status"),
    ),
)]
#[get("/api/org/threads")]
async fn list(hub: web::Data<Hub>, admin: AnyAdmin, params: Params) -> Answer {
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
    };
    let found = match &admin.0 {
        Some(admin) => Found::read(&hub, &admin.org, filter).await?,
        // The platform's admin belongs to no organisation and sees an empty one.
        None => Found { page: Page { rows: Vec::new(), has_more: false }, views: Vec::new() },
    };
    if !is_paged {
        return ok(&found.views());
    }
    let next_cursor = found.page.cursor_row().map(|thread| thread.cursor().encode_readable());
    ok(&Items { items: found.views(), has_more: found.page.has_more, next_cursor })
}

/// Threads and the views of their participants, in the same order.
struct Found {
    page: Page<ListedThread>,
    views: Vec<Vec<wire::ParticipantView>>,
}

impl Found {
    async fn read(hub: &Hub, org: &Arc<OrgState>, filter: ThreadFilter) -> ApiResult<Self> {
        hub.settle_activity(org).await?;
        let id = org.id;
        let (page, participants) = hub
            .store()
            .read(move |conn| {
                let page = threads_list::page(conn, id, Scope::All, filter)?;
                let ids: Vec<String> = page.rows.iter().map(|thread| thread.row.id.clone()).collect();
                let participants = threads_list::participants_of(conn, &ids)?;
                Ok((page, participants))
            })
            .await?;
        let of = |thread: &ListedThread| participants.get(&thread.row.id).map(Vec::as_slice).unwrap_or_default();
        let views = page.rows.iter().map(|thread| participant_views(org, of(thread))).collect();
        Ok(Self { page, views })
    }

    fn views(&self) -> Vec<ThreadView<'_>> {
        let threads = self.page.rows.iter().zip(&self.views);
        threads.map(|(thread, participants)| ThreadView::of_org(thread, participants.clone())).collect()
    }
}

/// Get any thread of the organisation
#[utoipa::path(
    tag = "Organisation",
    params(("id" = String, Path, description = "The thread", example = json!(examples::THREAD))),
    responses(
        (status = 200, description = "The thread with its participants; `ETag` is its revision",
            body = serde_json::Value, example = json!(examples::thread_with_participants())),
        (status = 304, description = "Unchanged"),
        (status = 404, description = "No such thread in this organisation"),
    ),
)]
#[get("/api/org/threads/{id}")]
async fn one(hub: web::Data<Hub>, admin: OwnOrgAdmin, id: web::Path<String>, request: HttpRequest) -> Answer {
    let (row, participants) = read_as_admin(&hub, &admin.org, &id, threads::participants).await?;
    tagged(&request, row.revision, &ThreadView::whole(&admin.org, &row, &participants))
}

/// List the messages of any thread of the organisation
///
/// By time (no `before`, or `before` in ms): an array, oldest first. By cursor (`before` is a message id):
/// `{messages, has_more}`, newest first.
#[utoipa::path(
    tag = "Organisation",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("limit" = Option<i64>, Query, description = "1 to 200, 50 by default"),
        ("before" = Option<String>, Query, description = "A time in ms or a message id",
            example = json!(examples::MESSAGE)),
        ("since" = Option<i64>, Query, description = "Only messages after this time in ms; by time only"),
    ),
    responses(
        (status = 200, description = "Messages", body = serde_json::Value,
            example = json!({ "messages": [examples::thread_message()], "has_more": false })),
        (status = 404, description = "No such thread in this organisation"),
    ),
)]
#[get("/api/org/threads/{id}/messages")]
async fn messages_of(hub: web::Data<Hub>, admin: OwnOrgAdmin, id: web::Path<String>, params: Params) -> Answer {
    let (org, limit) = (&admin.org, params.limit("limit", 50, 200));
    let before = match before(params.get("before")) {
        Before::Absent => None,
        Before::Time(at) => Some(at),
        Before::Id(cursor) => {
            let cursor = MessageId::parse(cursor);
            let (_, (found, parents)) =
                read_as_admin(&hub, org, &id, move |conn, id| page(conn, id, cursor, limit)).await?;
            let all = ShownMessage::all(org, found.rows, &parents);
            return ok(&Messages { messages: shown(&all), has_more: found.has_more });
        }
    };
    let asked = Window { before, since: params.optional_time("since")?, limit };
    let (_, (rows, parents)) = read_as_admin(&hub, org, &id, move |conn, id| window(conn, id, asked)).await?;
    ok(&shown(&ShownMessage::all(org, rows, &parents)))
}

/// List the artifacts of any thread of the organisation
///
/// Without parameters an array as participants see it; with `cursor` or `limit` a page by key.
#[utoipa::path(
    tag = "Organisation",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("limit" = Option<i64>, Query, description = "1 to 200, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before: an artifact's key"),
    ),
    responses(
        (status = 200, description = "The newest version of each", body = serde_json::Value,
            example = json!([examples::artifact()])),
        (status = 404, description = "No such thread in this organisation"),
    ),
)]
#[get("/api/org/threads/{id}/artifacts")]
async fn artifacts_of(hub: web::Data<Hub>, admin: OwnOrgAdmin, id: web::Path<String>, params: Params) -> Answer {
    let org = &admin.org;
    let cursor = params.filled("cursor").filter(|cursor| !cursor.contains('\0')).map(str::to_owned);
    if cursor.is_none() && params.filled("limit").is_none() {
        let (_, rows) = read_as_admin(&hub, org, &id, artifacts::list_newest).await?;
        return ok(&rows.iter().map(|row| artifact(org, row)).collect::<Vec<_>>());
    }
    let limit = params.limit("limit", 50, 200);
    let read = move |conn: &mut crate::store::DbConnection, id| artifacts::page_newest(conn, id, cursor, limit);
    let (_, found) = read_as_admin(&hub, org, &id, read).await?;
    ok(&Items::of(found.as_ref(), |row| row.artifact_key.clone(), |row| artifact(org, row)))
}

/// Change any thread of the organisation
///
/// Whatever its policy says, and settings also when it is over.
#[utoipa::path(
    tag = "Organisation",
    params(("id" = String, Path, description = "The thread", example = json!(examples::THREAD))),
    request_body(
        content = serde_json::Value,
        description = "status?, close_reason? (with status closed), visibility?, join_policy?, permission_policy?",
        example = json!({ "status": "closed", "close_reason": "manual" }),
    ),
    responses(
        (status = 200, description = "The thread", body = serde_json::Value, example = json!(examples::thread())),
        (status = 404, description = "No such thread in this organisation"),
        (status = 409, description = "`INVALID_TRANSITION` for a status that cannot follow"),
    ),
)]
#[patch("/api/org/threads/{id}")]
async fn change(hub: web::Data<Hub>, admin: OwnOrgAdmin, id: web::Path<String>, body: Body) -> Answer {
    let org = admin.org.clone();
    let mut updated = hub.ask_thread(thread_id(&id)?, Caller::Admin(admin.0), OrgUpdate { body: body.0 }).await?;
    views::settle(&org, &mut updated.row);
    ok(&wire::Thread::from(&updated.row))
}

/// Bring a bot into any thread of the organisation
///
/// `bot_id` is an id; names are not looked up here.
#[utoipa::path(
    tag = "Organisation",
    params(("id" = String, Path, description = "The thread", example = json!(examples::THREAD))),
    request_body(
        content = serde_json::Value,
        description = "bot_id, label?",
        example = json!({ "bot_id": examples::BOB, "label": "reviewer" }),
    ),
    responses(
        (status = 200, description = "The participant", body = serde_json::Value,
            example = json!(examples::participant())),
        (status = 400, description = "`VALIDATION_ERROR`, `BOT_NOT_ACTIVE`"),
        (status = 404, description = "No such thread or bot"),
        (status = 409, description = "`THREAD_TERMINAL`, `ALREADY_PARTICIPANT`"),
    ),
)]
#[post("/api/org/threads/{id}/participants")]
async fn invite(hub: web::Data<Hub>, admin: OwnOrgAdmin, id: web::Path<String>, body: Body) -> Answer {
    let Some(bot) = body.get("bot_id").and_then(Value::as_str).filter(|bot| !bot.is_empty()) else {
        return Err(nobody_named(&hub, &admin.org, &id).await?);
    };
    // A label that is no text has always been taken for none.
    let label = rules::label(body.get("label").filter(|label| label.is_string()))?;
    let operation = OrgInvite { bot: bot.to_owned(), label };
    let participant = hub.ask_thread(thread_id(&id)?, Caller::Admin(admin.0), operation).await?;
    ok(&participant)
}

/// The refusal of an invitation that names nobody: a thread that is absent or over says so first.
async fn nobody_named(hub: &Hub, org: &Arc<OrgState>, thread: &str) -> ApiResult<ApiError> {
    let (row, ()) = read_as_admin(hub, org, thread, |_, _| Ok(())).await?;
    Ok(match ThreadStatus::parse(&row.status) {
        Some(status) if status.is_terminal() => {
            ApiError::new(ErrorCode::ThreadTerminal, format!("The thread is {status}"))
        }
        _ => ApiError::validation("bot_id must be a bot's id"),
    })
}

/// Take a bot out of any thread of the organisation
#[utoipa::path(
    tag = "Organisation",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("bot" = String, Path, description = "The bot's id or name", example = json!("bob")),
    ),
    responses(
        (status = 200, description = "Removed", body = serde_json::Value, example = json!({ "ok": true })),
        (status = 400, description = "The last participant"),
        (status = 404, description = "No such thread, bot or participant"),
        (status = 409, description = "`THREAD_TERMINAL`"),
    ),
)]
#[delete("/api/org/threads/{id}/participants/{bot}")]
async fn remove(hub: web::Data<Hub>, admin: OwnOrgAdmin, path: web::Path<(String, String)>) -> Answer {
    let (id, bot) = path.into_inner();
    hub.ask_thread(thread_id(&id)?, Caller::Admin(admin.0), OrgRemove { bot }).await?;
    ok(&json!({ "ok": true }))
}
