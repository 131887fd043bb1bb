//! Answering a request, and taking the answer.

use actix_web::{post, web};

use super::body::JsonBody;
use super::forms::NewAnswer;
use super::views::{Done, Outcome};
use super::{examples, request_id};
use crate::principal::Principal;
use crate::rules::{Naming, State, Who, read_answer};
use crate::service::Requests;
use hxa_web::Answer;
use hxa_web::answer::ok;

/// Answer a request
///
/// By a person who is asked, a coordinator or an admin; by a key only if it was made with `--allow-respond`, which then says
/// in `responded_by` for whom. Whatever people say there counts for nothing: the answer is given in the name of who is
/// logged in. An answer must be one that the request asked for. Where several decide together it is a vote.
#[utoipa::path(
    tag = "Coordination", operation_id = "request_respond",
    params(("id" = String, Path, description = "The request", example = json!(examples::REQUEST))),
    request_body(content = NewAnswer, example = json!(examples::new_answer())),
    responses(
        (status = 200, description = "It is answered, or the vote counts", body = Done,
            example = json!(examples::done("responded"))),
        (status = 400, description = "`VALIDATION_ERROR` with the path of each fault; the request stays open"),
        (status = 403, description = "`FORBIDDEN`: agents do not answer, and others only what they are asked"),
        (status = 404, description = "No such request for the caller"),
        (status = 409, description = "`INVALID_TRANSITION`; the text names the state, as after the deadline"),
    ),
)]
#[post("/v1/requests/{id}/respond")]
pub async fn respond(
    requests: web::Data<Requests>,
    mut principal: Principal,
    id: web::Path<String>,
    mut body: JsonBody,
) -> Answer {
    let is_named = principal.is_open() || matches!(principal.who, Who::Agent { may_respond: true, .. });
    let draft = read_answer(body.take(), if is_named { Naming::Body } else { Naming::Credential })?;
    principal.be(draft.responded_by.as_deref());
    let id = request_id(&id)?;
    let answered = requests.respond(&principal, id, draft).await?;
    let is_open = answered.state == State::PendingResponse;
    ok(&Done { status: if is_open { Outcome::Voted } else { Outcome::Responded }, request_id: id })
}

/// Acknowledge an answer
///
/// By the agent that asked, who has got the answer by another way than `GET`: RESPONDED becomes DELIVERED. Repeating it
/// changes nothing.
#[utoipa::path(
    tag = "Coordination", operation_id = "request_acknowledge",
    params(("id" = String, Path, description = "The request", example = json!(examples::REQUEST))),
    responses(
        (status = 200, description = "It is delivered", body = Done, example = json!(examples::done("delivered"))),
        (status = 404, description = "No such request for the caller"),
        (status = 409, description = "`INVALID_TRANSITION`: there is no answer"),
    ),
)]
#[post("/v1/requests/{id}/ack")]
pub async fn acknowledge(requests: web::Data<Requests>, principal: Principal, id: web::Path<String>) -> Answer {
    let id = request_id(&id)?;
    requests.acknowledge(principal.agent()?, id).await?;
    ok(&Done { status: Outcome::Delivered, request_id: id })
}
