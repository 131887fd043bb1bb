//! Requests to join a thread: listing and deciding them.

use actix_web::{get, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::ok;
use super::guard::{Bot, needs};
use super::routing::Routes;
use super::thread_access::{read, thread_id};
use super::{Answer, collab_examples as examples};
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::{BotId, RequestId, ThreadId};
use hxa_domain::policy::{Action, PermissionPolicy, evaluate};
use hxa_domain::thread::RequestStatus;
use hxa_hub::core::actors::Actors;
use hxa_hub::core::caller::{BotCaller, Caller};
use hxa_hub::hub::Hub;
use hxa_hub::thread::{ApproveRequest, RejectRequest};
use hxa_store::rows::{JoinRequestRow, ParticipantRow, ThreadRow};
use hxa_store::threads;

/// Requests of one answer, the oldest ones.
const REQUESTS: i64 = 50;

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(list).service(approve).service(reject);
}

/// Refuses participants who may neither manage the thread nor invite into it.
fn may_decide(caller: &BotCaller, thread: &ThreadRow, place: &ParticipantRow) -> ApiResult<()> {
    let (own, default) =
        (thread.permission_policy.as_deref().map(PermissionPolicy::from_stored), caller.org.default_policy());
    let is_initiator = thread.initiator_id.as_ref() == Some(&place.bot_id);
    let label = place.label.as_deref();
    let permits = |action| evaluate(own.as_ref(), default.as_deref(), action, is_initiator, label);
    if permits(Action::Manage) || permits(Action::Invite) {
        return Ok(());
    }
    Err(ApiError::forbidden("The thread's policy does not let you decide join requests"))
}

/// A request to join a thread, as those see it who decide.
#[derive(Serialize, ToSchema)]
struct ListedJoinRequest<'a> {
    id: RequestId,
    thread_id: ThreadId,
    bot_id: BotId,
    status: RequestStatus,
    requested_at: i64,
    #[schema(required)]
    resolved_at: Option<i64>,
    #[schema(required)]
    resolved_by: Option<BotId>,
    bot_name: &'a str,
}

impl<'a> ListedJoinRequest<'a> {
    fn of(row: &'a JoinRequestRow, bot_name: &'a str) -> Self {
        Self {
            id: row.id,
            thread_id: row.thread_id,
            bot_id: row.bot_id,
            status: row.status,
            requested_at: row.requested_at,
            resolved_at: row.resolved_at,
            resolved_by: row.resolved_by,
            bot_name,
        }
    }
}

/// A request was approved.
#[derive(Serialize, ToSchema)]
struct Approved {
    status: RequestStatus,
    joined_at: i64,
}

/// A request was rejected.
#[derive(Serialize, ToSchema)]
struct Rejected {
    status: RequestStatus,
}

/// List pending join requests
///
/// For participants who may manage the thread or invite into it. The oldest 50.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_join_requests_list",
    params(("id" = String, Path, description = "The thread", example = json!(examples::THREAD))),
    responses(
        (status = 200, description = "Pending requests, oldest first", body = Vec<ListedJoinRequest>,
            example = json!([examples::join_request()])),
        (status = 403, description = "`FORBIDDEN` by the policy, `JOIN_REQUIRED`"),
        (status = 404, description = "No such thread for this bot"),
    ),
)]
#[get("/api/threads/{id}/join-requests")]
async fn list(hub: web::Data<Hub>, caller: Bot<needs::Thread>, id: web::Path<String>) -> Answer {
    let asking = caller.0.clone();
    let (_, requests) = read(&hub, &caller, &id, move |conn, id, thread, place| {
        may_decide(&asking, thread, place)?;
        threads::pending_requests(conn, id, REQUESTS)
    })
    .await?;
    let names: Vec<_> = requests.iter().map(|request| caller.org.bot_name(Some(request.bot_id))).collect();
    let views: Vec<_> = requests.iter().zip(&names).map(|(row, name)| ListedJoinRequest::of(row, name)).collect();
    ok(&views)
}

/// Approve a join request
///
/// The bot that asked takes part from now on.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_join_request_approve",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("request" = String, Path, description = "The request"),
    ),
    responses(
        (status = 200, description = "Approved", body = Approved,
            example = json!({ "status": "approved", "joined_at": 1_760_000_283_000_i64 })),
        (status = 403, description = "`FORBIDDEN` by the policy, `JOIN_REQUIRED`"),
        (status = 404, description = "No such thread, or no such pending request"),
        (status = 409, description = "`THREAD_CLOSED`"),
    ),
)]
#[post("/api/threads/{id}/join-requests/{request}/approve")]
async fn approve(hub: web::Data<Hub>, caller: Bot<needs::Thread>, path: web::Path<(String, String)>) -> Answer {
    let (id, request) = path.into_inner();
    let at = hub.threads().ask(thread_id(&id)?, Caller::Bot(caller.0), ApproveRequest { request }).await?;
    ok(&Approved { status: RequestStatus::Approved, joined_at: at })
}

/// Reject a join request
///
/// Also possible on a thread that is over. The bot may ask again.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_join_request_reject",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("request" = String, Path, description = "The request"),
    ),
    responses(
        (status = 200, description = "Rejected", body = Rejected, example = json!({ "status": "rejected" })),
        (status = 403, description = "`FORBIDDEN` by the policy, `JOIN_REQUIRED`"),
        (status = 404, description = "No such thread, or no such pending request"),
    ),
)]
#[post("/api/threads/{id}/join-requests/{request}/reject")]
async fn reject(hub: web::Data<Hub>, caller: Bot<needs::Thread>, path: web::Path<(String, String)>) -> Answer {
    let (id, request) = path.into_inner();
    hub.threads().ask(thread_id(&id)?, Caller::Bot(caller.0), RejectRequest { request }).await?;
    ok(&Rejected { status: RequestStatus::Rejected })
}
