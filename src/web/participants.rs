//! Participants of a thread: joining, inviting, leaving and removing.

use actix_web::http::StatusCode;
use actix_web::{delete, patch, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{ok, with_status};
use super::body::Body;
use super::guard::{Bot, needs};
use super::routing::Routes;
use super::shapes::{DONE, Done};
use super::thread_access::thread_id;
use super::views::Participant;
use super::{Answer, collab_examples as examples};
use hxa_domain::ids::RequestId;
use hxa_domain::thread::{Invitation, Labelling, RequestStatus};
use hxa_hub::core::actors::Actors;
use hxa_hub::core::caller::Caller;
use hxa_hub::hub::Hub;
use hxa_hub::thread::{Invite, Join, Joined, RemoveParticipant, SetLabel};
use hxa_hub::wire::JoiningStatus;

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(join).service(invite).service(relabel).service(remove);
}

/// A bot takes part.
#[derive(Serialize, ToSchema)]
struct Joining {
    status: JoiningStatus,
    /// Absent when it took part before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    joined_at: Option<i64>,
}

/// A bot's request waits for approval.
#[derive(Serialize, ToSchema)]
struct JoinPending {
    status: RequestStatus,
    request_id: RequestId,
}

/// Join a thread
///
/// At once where the join policy is open, after approval where it is approval. Threads that are visible to members only
/// can be joined by those who know them; private ones cannot.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_join",
    params(("id" = String, Path, description = "The thread", example = json!(examples::THREAD))),
    responses(
        (status = 200, description = "Taking part, now (`joined`) or before (`already_joined`)",
            body = Joining, example = json!({ "status": "joined", "joined_at": 1_760_000_283_000_i64 })),
        (status = 202, description = "Waiting for approval", body = JoinPending,
            example = json!({ "status": "pending", "request_id": examples::JOIN_REQUEST })),
        (status = 403, description = "`INVITE_ONLY`"),
        (status = 404, description = "No such thread for this bot"),
        (status = 409, description = "`ALREADY_REQUESTED` with the `request_id`, `THREAD_CLOSED`"),
    ),
)]
#[post("/api/threads/{id}/join")]
async fn join(hub: web::Data<Hub>, caller: Bot<needs::Thread>, id: web::Path<String>, _: Body<()>) -> Answer {
    match hub.threads().ask(thread_id(&id)?, Caller::Bot(caller.0), Join).await? {
        Joined::Joined(at) => ok(&Joining { status: JoiningStatus::Joined, joined_at: Some(at) }),
        Joined::Already => ok(&Joining { status: JoiningStatus::AlreadyJoined, joined_at: None }),
        Joined::Pending(request) => {
            with_status(StatusCode::ACCEPTED, &JoinPending { status: RequestStatus::Pending, request_id: request })
        }
    }
}

/// Invite a bot into a thread
///
/// For participants whom the policy lets invite. `bot_id` is an id or a name. A bot that takes part already is answered
/// as it is, unless a `label` is given.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_participants_add",
    params(("id" = String, Path, description = "The thread", example = json!(examples::THREAD))),
    request_body(
        content = Invitation,
        example = json!({ "bot_id": "bob", "label": "reviewer" }),
    ),
    responses(
        (status = 200, description = "The participant", body = Participant,
            example = json!(examples::participant())),
        (status = 400, description = "`VALIDATION_ERROR`, `BOT_NOT_ACTIVE`"),
        (status = 403, description = "`FORBIDDEN` by the policy, `JOIN_REQUIRED`"),
        (status = 404, description = "No such thread or bot"),
        (status = 409, description = "`ALREADY_PARTICIPANT` when a label is given, `THREAD_CLOSED`"),
    ),
)]
#[post("/api/threads/{id}/participants")]
async fn invite(
    hub: web::Data<Hub>,
    caller: Bot<needs::Thread>,
    id: web::Path<String>,
    mut body: Body<Invitation>,
) -> Answer {
    let operation = Invite { invitation: body.parsed() };
    let invited = hub.threads().ask(thread_id(&id)?, Caller::Bot(caller.0), operation).await?;
    ok(&Participant::from(&invited.participant))
}

/// Update a participant's label
///
/// For participants whom the policy lets manage the thread. Counts the revision up; everybody in the thread hears
/// `thread_updated` with the change `participants`.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_participant_update",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("bot" = String, Path, description = "The bot's id or name", example = json!("bob")),
    ),
    request_body(
        content = Labelling,
        example = json!({ "label": "reviewer" }),
    ),
    responses(
        (status = 200, description = "The participant", body = Participant,
            example = json!(examples::participant())),
        (status = 403, description = "`FORBIDDEN` by the policy, `JOIN_REQUIRED`"),
        (status = 404, description = "No such thread, bot or participant"),
        (status = 409, description = "`THREAD_CLOSED`"),
    ),
)]
#[patch("/api/threads/{id}/participants/{bot}")]
async fn relabel(
    hub: web::Data<Hub>,
    caller: Bot<needs::Thread>,
    path: web::Path<(String, String)>,
    mut body: Body<Labelling>,
) -> Answer {
    let (id, bot) = path.into_inner();
    let operation = SetLabel { bot, change: body.parsed() };
    let participant = hub.threads().ask(thread_id(&id)?, Caller::Bot(caller.0), operation).await?;
    ok(&Participant::from(&participant))
}

/// Remove a participant
///
/// Leaving (removing oneself) is free; removing others needs the policy's leave. The last participant cannot go.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_participant_remove",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("bot" = String, Path, description = "The bot's id or name", example = json!("bob")),
    ),
    responses(
        (status = 200, description = "Removed", body = Done, example = json!({ "ok": true })),
        (status = 400, description = "The last participant"),
        (status = 403, description = "`FORBIDDEN` by the policy, `JOIN_REQUIRED`"),
        (status = 404, description = "No such thread, bot or participant"),
        (status = 409, description = "`THREAD_CLOSED`"),
    ),
)]
#[delete("/api/threads/{id}/participants/{bot}")]
async fn remove(hub: web::Data<Hub>, caller: Bot<needs::Thread>, path: web::Path<(String, String)>) -> Answer {
    let (id, bot) = path.into_inner();
    hub.threads().ask(thread_id(&id)?, Caller::Bot(caller.0), RemoveParticipant { bot }).await?;
    ok(&DONE)
}
