//! Who is asked: reassigning a request and delegating it for a time.

use actix_web::{post, web};

use super::body::JsonBody;
use super::forms::{Delegation, Reassignment};
use super::{examples, request_id};
use crate::principal::Principal;
use crate::rules::handover::{read_delegate, read_reassign};
use crate::rules::views::RequestView;
use crate::service::Requests;
use hxa_web::Answer;
use hxa_web::answer::ok;

/// Reassign a request
///
/// By a coordinator or an admin: somebody else is asked instead, in the time that is left.
#[utoipa::path(
    tag = "Coordination", operation_id = "request_reassign",
    params(("id" = String, Path, description = "The request", example = json!(examples::REQUEST))),
    request_body(content = Reassignment, example = json!({ "responder_id": "emil" })),
    responses(
        (status = 200, description = "The request", body = RequestView, example = json!(examples::pending())),
        (status = 403, description = "`FORBIDDEN`"),
        (status = 404, description = "No such request for the caller"),
        (status = 409, description = "`INVALID_TRANSITION`; the text names the state"),
    ),
)]
#[post("/v1/requests/{id}/reassign")]
pub async fn reassign(
    requests: web::Data<Requests>,
    principal: Principal,
    id: web::Path<String>,
    mut body: JsonBody,
) -> Answer {
    let to = read_reassign(body.take())?;
    ok(&RequestView::of(&*requests.reassign(&principal, request_id(&id)?, to).await?))
}

/// Delegate a request
///
/// By its responder, a coordinator or an admin: somebody else may answer as well, until a time.
#[utoipa::path(
    tag = "Coordination", operation_id = "request_delegate",
    params(("id" = String, Path, description = "The request", example = json!(examples::REQUEST))),
    request_body(content = Delegation, example = json!({ "responder_id": "emil", "until": "2026-12-01T18:00:00Z" })),
    responses(
        (status = 200, description = "The request", body = RequestView, example = json!(examples::pending())),
        (status = 403, description = "`FORBIDDEN`"),
        (status = 404, description = "No such request for the caller"),
        (status = 409, description = "`INVALID_TRANSITION`; the text names the state"),
    ),
)]
#[post("/v1/requests/{id}/delegate")]
pub async fn delegate(
    requests: web::Data<Requests>,
    principal: Principal,
    id: web::Path<String>,
    mut body: JsonBody,
) -> Answer {
    let (to, until) = read_delegate(body.take())?;
    ok(&RequestView::of(&*requests.delegate(&principal, request_id(&id)?, to, until).await?))
}
