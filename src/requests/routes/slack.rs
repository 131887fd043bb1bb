//! What people click in Slack.

use actix_web::{HttpRequest, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::clicks::Clicks;
use crate::principal::charge_address;
use hxa_hub::hub::Hub;
use hxa_slack::interaction::MOST_BYTES;
use hxa_web::Answer;
use hxa_web::answer::ok;
use hxa_web::body::RawBody;
use hxa_web::client::client;

/// What came of a click.
#[derive(Serialize, ToSchema)]
#[schema(as = SlackReply)]
pub struct Said {
    /// In words; absent where there is nothing to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    text: Option<String>,
}

/// Take what was clicked in Slack
///
/// Slack's interactivity request: a form whose field `payload` is JSON, signed with the signing secret (version `v0`). It is refused when
/// it is not signed, older than five minutes, or here for the second time. A click on a button that is not the hub's is answered
/// with `{}`. The user is the person with that Slack user id; others are refused, unless the organisation's policy has
/// `slack_names`. What the click answers is decided by the rules of the request.
#[utoipa::path(
    tag = "Coordination", operation_id = "slack_interaction", security(()),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", example = json!("payload=%7B%22type%22%3A%22block_actions%22…")),
    responses(
        (status = 200, description = "It was dealt with, whether it changed anything or not", body = Said,
            example = json!({ "text": "Request approved. (ID: 01JCXS9F0000000000000000AB)" })),
        (status = 400, description = "`VALIDATION_ERROR`: the payload is not one of Slack's"),
        (status = 401, description = "`INVALID_CREDENTIALS`: not signed by Slack, too old, or repeated"),
    ),
)]
#[post("/slack/interactions")]
pub async fn interact(
    hub: web::Data<Hub>,
    clicks: web::Data<Clicks>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    charge_address(&hub, client(&request, hub.config()).address)?;
    clicks.check(request.headers(), hub.now())?;
    let body = RawBody::read(request.clone(), payload.into_inner(), MOST_BYTES).await?;
    let Some(actions) = clicks.read(request.headers(), &body, hub.now())? else {
        return ok(&Said { text: None });
    };
    drop(body);
    ok(&Said { text: clicks.into_inner().take(actions).await })
}
