//! Channels: who is in them, what was said, and which ones a bot has.

use std::sync::Arc;

use actix_web::{get, web};
use serde::Serialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::answer::ok;
use super::guard::Reader;
use super::params::Params;
use super::views::{Messages, NamedMessage, members};
use super::{Answer, collab_examples as examples};
use crate::actors::hub::Hub;
use crate::domain::ids::{BotId, ChannelId, MessageId};
use crate::domain::query::{Before, before};
use crate::error::{ApiError, ApiResult};
use crate::store::messages::{self, Window};
use crate::store::rows::ChannelRow;
use crate::store::{DbConnection, DbError, channels};
use crate::wire;

/// Registers the routes.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(messages_of).service(one).service(of_bot);
}

/// Who asks, as far as access to a channel goes.
#[derive(Clone, Copy)]
struct Eyes {
    org: crate::domain::ids::OrgId,
    /// `None` for an admin, who reads every channel of the organisation.
    bot: Option<BotId>,
}

impl Eyes {
    fn of(reader: &Reader) -> Self {
        let bot = match reader {
            Reader::Bot(caller) => Some(caller.bot.id),
            Reader::Admin(_) => None,
        };
        Self { org: reader.org().id, bot }
    }

    /// The channel, if it may be read.
    fn find(self, conn: &mut DbConnection, id: ChannelId) -> Result<ChannelRow, DbError> {
        let row = channels::find_anywhere(conn, id)?.ok_or_else(|| ApiError::not_found("Channel"))?;
        let is_member = |bot: BotId| [&row.bot_low, &row.bot_high].into_iter().any(|id| BotId::parse(id) == Some(bot));
        if row.org_id != self.org.to_string() {
            return Err(ApiError::not_found("Channel").into());
        }
        if !self.bot.is_none_or(is_member) {
            return Err(ApiError::forbidden("Not a member of this channel").into());
        }
        Ok(row)
    }
}

fn channel_id(text: &str) -> ApiResult<ChannelId> {
    ChannelId::parse(text).ok_or_else(|| ApiError::not_found("Channel"))
}

/// Get a channel
///
/// For its members and the organisation's admins. Members that were deleted are not listed.
#[utoipa::path(
    tag = "Collaboration",
    params(("id" = String, Path, description = "The channel", example = json!(examples::CHANNEL))),
    responses(
        (status = 200, description = "The channel and its members", body = serde_json::Value,
            example = json!({
                "id": examples::CHANNEL, "org_id": examples::ORG, "type": "direct", "name": null,
                "created_at": 1_760_000_283_000_i64, "members": examples::members(),
            })),
        (status = 403, description = "Not a member"),
        (status = 404, description = "No such channel"),
    ),
)]
#[get("/api/channels/{id}")]
async fn one(hub: web::Data<Hub>, reader: Reader, id: web::Path<String>) -> Answer {
    #[derive(Serialize)]
    struct View<'a> {
        #[serde(flatten)]
        channel: wire::Channel<'a>,
        members: Vec<wire::ChannelMember>,
    }
    let (id, eyes) = (channel_id(&id)?, Eyes::of(&reader));
    let row = hub.store().read(move |conn| eyes.find(conn, id)).await?;
    ok(&View { channel: (&row).into(), members: members(reader.org(), &row) })
}

/// List the messages of a channel
///
/// By time (no `before`, or `before` in ms): the newest `limit` messages of the window as an array, oldest first. By
/// cursor (`before` is a message id): `{messages, has_more}`, newest first, strictly before that message.
#[utoipa::path(
    tag = "Collaboration",
    params(
        ("id" = String, Path, description = "The channel", example = json!(examples::CHANNEL)),
        ("limit" = Option<i64>, Query, description = "1 to 200, 50 by default", example = json!(50)),
        ("before" = Option<String>, Query, description = "A time in ms or a message id",
            example = json!(examples::MESSAGE)),
        ("since" = Option<i64>, Query, description = "Only messages after this time in ms; by time only"),
    ),
    responses(
        (status = 200, description = "Messages with their senders' names", body = serde_json::Value,
            example = json!([examples::named_channel_message()])),
        (status = 403, description = "Not a member"),
        (status = 404, description = "No such channel"),
    ),
)]
#[get("/api/channels/{id}/messages")]
async fn messages_of(hub: web::Data<Hub>, reader: Reader, id: web::Path<String>, params: Params) -> Answer {
    let (id, eyes, limit) = (channel_id(&id)?, Eyes::of(&reader), params.limit("limit", 50, 200));
    let before = match before(params.get("before")) {
        Before::Absent => None,
        Before::Time(at) => Some(at),
        Before::Id(cursor) => {
            let cursor = MessageId::parse(cursor);
            let read = move |conn: &mut DbConnection| {
                eyes.find(conn, id)?;
                messages::channel_page(conn, id, cursor, limit)
            };
            let page = hub.store().read(read).await?;
            let named = NamedMessage::all(reader.org(), page.rows);
            let messages = named.iter().map(NamedMessage::view).collect();
            return ok(&Messages { messages, has_more: page.has_more });
        }
    };
    let window = Window { before, since: params.optional_time("since")?, limit };
    let read = move |conn: &mut DbConnection| {
        eyes.find(conn, id)?;
        messages::channel_window(conn, id, window)
    };
    let named = NamedMessage::all(reader.org(), hub.store().read(read).await?);
    ok(&named.iter().map(NamedMessage::view).collect::<Vec<_>>())
}

/// List a bot's channels
///
/// Newest activity first. A bot may list its own only; `id` may also be its name.
#[utoipa::path(
    tag = "Collaboration",
    params(("id" = String, Path, description = "The bot's id or name", example = json!("ada"))),
    responses(
        (status = 200, description = "Every channel of the bot", body = serde_json::Value, example = json!([{
            "id": examples::CHANNEL, "type": "direct", "name": null, "created_at": 1_760_000_283_000_i64,
            "last_activity_at": 1_760_000_293_000_i64, "members": examples::members(),
        }])),
        (status = 403, description = "Another bot's channels"),
        (status = 404, description = "No such bot in this organisation"),
    ),
)]
#[get("/api/bots/{id}/channels")]
async fn of_bot(hub: web::Data<Hub>, reader: Reader, id: web::Path<String>) -> Answer {
    #[derive(Serialize)]
    struct View<'a> {
        id: &'a str,
        #[serde(rename = "type")]
        kind: &'static str,
        name: Option<&'a str>,
        created_at: i64,
        last_activity_at: i64,
        members: Vec<wire::ChannelMember>,
    }
    let org = Arc::clone(reader.org());
    let bot = org.find_bot(&id).ok_or_else(|| ApiError::not_found("Bot"))?;
    if let Reader::Bot(caller) = &reader
        && caller.bot.id != bot.id
    {
        return Err(ApiError::forbidden("A bot may list its own channels only"));
    }
    hub.settle_activity(&org).await?;
    let rows = hub.store().read(move |conn| channels::list_of_bot(conn, bot.id)).await?;
    let views: Vec<View<'_>> = rows
        .iter()
        .map(|row| View {
            id: &row.id,
            kind: "direct",
            name: None,
            created_at: row.created_at,
            last_activity_at: row.last_activity_at,
            members: members(&org, row),
        })
        .collect();
    ok(&views)
}
