//! The REST transport of requests: the routes below `/v1`, and what Slack calls.
//!
//! A handler finds out who calls ([`crate::principal`]), reads the body by the rules, calls one operation of
//! [`crate::service::Requests`] and shows what came of it. Refusals carry the README's `error` beside the hub's `code`.

mod answers;
mod audit;
mod body;
mod events;
mod examples;
mod forms;
mod policy;
mod requests;
mod slack;
mod steering;
mod views;

use hxa_web::routing::Routes;

use crate::principal::NEED;
use crate::rules::RequestId;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::scope::Need;

/// The group of these routes in the OpenAPI document.
pub const TAG: (&str, &str) = ("Coordination", "Agents ask people, and go on with the answer.");

/// What each route needs of a bot's credential.
pub const NEEDS: &[(&str, Need)] = &[
    ("POST /v1/requests", NEED),
    ("GET /v1/requests", NEED),
    ("GET /v1/requests/{id}", NEED),
    ("DELETE /v1/requests/{id}", NEED),
    ("POST /v1/requests/{id}/respond", NEED),
    ("POST /v1/requests/{id}/ack", NEED),
    ("POST /v1/requests/{id}/reassign", NEED),
    ("POST /v1/requests/{id}/delegate", NEED),
    ("GET /v1/policy", NEED),
    ("PUT /v1/policy", NEED),
    ("GET /v1/audit", NEED),
    ("GET /v1/events", NEED),
    ("POST /v1/events/ticket", NEED),
];

/// Registers the routes, the busiest first.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(requests::show).service(requests::create).service(answers::respond).service(requests::list);
    routes.service(requests::cancel).service(answers::acknowledge);
    routes.service(steering::reassign).service(steering::delegate);
    routes.service(policy::show).service(policy::replace);
    routes.service(slack::interact);
    routes.service(audit::list).service(events::listen).service(events::issue_ticket);
}

/// The id in a path. What is no id names nothing.
fn request_id(text: &str) -> ApiResult<RequestId> {
    RequestId::parse(text).ok_or_else(|| ApiError::new(ErrorCode::NotFound, "Not found"))
}
