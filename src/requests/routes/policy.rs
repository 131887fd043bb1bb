//! What an organisation lets requests do by themselves.

use actix_web::{get, put, web};

use super::body::JsonBody;
use super::forms::NewPolicy;
use super::views::PolicyView;
use crate::principal::Principal;
use crate::rules::auto_approve::Policy;
use crate::service::Requests;
use hxa_web::Answer;
use hxa_web::answer::ok;

/// Get the policy of requests
///
/// Which intents and urgencies may be approved by themselves when their time runs out (`AUTO_APPROVE`); others are refused
/// with 403 when they are made. And whether Slack users who are no people of the organisation may answer.
#[utoipa::path(
    tag = "Coordination", operation_id = "request_policy_get",
    responses((status = 200, description = "The policy", body = PolicyView, example = json!({
        "auto_approve": { "intents": ["APPROVAL", "REVIEW"], "urgencies": ["LOW", "MEDIUM"] }, "slack_names": false
    }))),
)]
#[get("/v1/policy")]
pub async fn show(requests: web::Data<Requests>, principal: Principal) -> Answer {
    ok(&PolicyView::of(&*requests.policy(principal.org().id).await?))
}

/// Replace the policy of requests
///
/// For admins. Requests that are open stay as they are.
#[utoipa::path(
    tag = "Coordination", operation_id = "request_policy_replace",
    request_body(content = NewPolicy, example = json!({
        "auto_approve": { "intents": ["APPROVAL", "REVIEW"], "urgencies": ["LOW", "MEDIUM"] }, "slack_names": false
    })),
    responses(
        (status = 200, description = "The policy", body = PolicyView, example = json!({
            "auto_approve": { "intents": ["APPROVAL", "REVIEW"], "urgencies": ["LOW", "MEDIUM"] }, "slack_names": false
        })),
        (status = 403, description = "`FORBIDDEN`: no admin"),
    ),
)]
#[put("/v1/policy")]
pub async fn replace(requests: web::Data<Requests>, principal: Principal, mut body: JsonBody) -> Answer {
    let policy = Policy::read(body.take())?;
    ok(&PolicyView::of(&*requests.set_policy(&principal, policy).await?))
}
