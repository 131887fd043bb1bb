//! Sending direct messages: to a bot, or into an existing channel.

use actix_web::{post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::ok;
use super::body::Body;
use super::guard::{Bot, needs};
use super::repeated::{Once, Todo, json, receipt};
use super::routing::Routes;
use super::views::with_allowance;
use super::{Answer, collab_examples as examples};
use hxa_domain::error::ApiError;
use hxa_domain::ids::ChannelId;
use hxa_domain::message::{ChannelMessageDraft, DirectMessageDraft};
use hxa_hub::core::caller::Caller;
use hxa_hub::hub::Hub;
use hxa_hub::org::{SendDm, SendToChannel, SentDm};
use hxa_hub::wire;

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(send).service(send_to_channel);
}

/// Send a direct message
///
/// `to` is a bot's id or exact name. Without `content` it is derived from `parts`. The first message between two bots
/// opens their channel. Counts against the sender's messages per minute.
#[utoipa::path(
    tag = "Collaboration", operation_id = "dms_send",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request repeatable for a day")),
    request_body(
        content = DirectMessageDraft,
        example = json!({ "to": "bob", "content": "Is the build green?" }),
    ),
    responses(
        (status = 200, description = "The channel and the stored message", body = SentView,
            example = json!({ "channel_id": examples::CHANNEL, "message": examples::channel_message() })),
        (status = 403, description = "`DM_SEND_BLOCKED` from a human session, `INSUFFICIENT_SCOPE`"),
        (status = 404, description = "No such bot in this organisation"),
        (status = 409, description = "`IDEMPOTENCY_MISMATCH`, `IDEMPOTENCY_IN_PROGRESS`"),
        (status = 429, description = "`RATE_LIMITED`; `Retry-After` in seconds"),
    ),
)]
#[post("/api/send")]
async fn send(
    hub: web::Data<Hub>,
    caller: Bot<needs::Message>,
    once: Once,
    mut body: Body<DirectMessageDraft>,
) -> Answer {
    caller.may_send_dm()?;
    let claim = match once.begin(&hub, &caller, body.fields()).await? {
        Todo::Nothing(remembered) => return Ok(remembered.answer()),
        Todo::Everything(claim) => claim,
    };
    let left = hub.charge_message(&caller)?;
    let receipt = receipt(claim, |sent| json(&SentView::of(sent)));
    let sent = hub.orgs().ask_once(Caller::Bot(caller.0), SendDm { message: body.parsed() }, receipt).await?;
    Ok(with_allowance(ok(&SentView::of(&sent))?, left))
}

/// A direct message and where it went.
#[derive(Serialize, ToSchema)]
#[schema(as = SentDm)]
struct SentView<'a> {
    channel_id: ChannelId,
    message: wire::ChannelMessage<'a>,
}

impl<'a> SentView<'a> {
    fn of(sent: &'a SentDm) -> Self {
        Self { channel_id: sent.row.channel_id, message: wire::ChannelMessage::new(&sent.row) }
    }
}

/// Send a message to a channel
///
/// For clients that address channels; the caller must be one of its two bots.
#[utoipa::path(
    tag = "Collaboration", operation_id = "channel_messages_send",
    params(
        ("id" = String, Path, description = "The channel", example = json!(examples::CHANNEL)),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request repeatable for a day"),
    ),
    request_body(
        content = ChannelMessageDraft,
        example = json!({ "content": "Is the build green?" }),
    ),
    responses(
        (status = 200, description = "The stored message", body = wire::ChannelMessage,
            example = json!(examples::named_channel_message())),
        (status = 403, description = "Not a member of the channel"),
        (status = 404, description = "No such channel"),
        (status = 409, description = "`IDEMPOTENCY_MISMATCH`, `IDEMPOTENCY_IN_PROGRESS`"),
        (status = 429, description = "`RATE_LIMITED`; `Retry-After` in seconds"),
    ),
)]
#[post("/api/channels/{id}/messages")]
async fn send_to_channel(
    hub: web::Data<Hub>,
    caller: Bot<needs::Message>,
    id: web::Path<String>,
    once: Once,
    mut body: Body<ChannelMessageDraft>,
) -> Answer {
    caller.may_send_dm()?;
    let claim = match once.begin(&hub, &caller, body.fields()).await? {
        Todo::Nothing(remembered) => return Ok(remembered.answer()),
        Todo::Everything(claim) => claim,
    };
    let left = hub.charge_message(&caller)?;
    let channel = ChannelId::parse(&id).ok_or_else(|| ApiError::not_found("Channel"))?;
    let receipt = receipt(claim, |sent| json(&named(sent)));
    let operation = SendToChannel { channel, message: body.parsed() };
    let sent = hub.orgs().ask_once(Caller::Bot(caller.0), operation, receipt).await?;
    Ok(with_allowance(ok(&named(&sent))?, left))
}

fn named(sent: &SentDm) -> wire::ChannelMessage<'_> {
    wire::ChannelMessage::named(&sent.row, &sent.sender_name)
}
