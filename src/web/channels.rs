//! Channels: their members and messages, and the channels of a bot.

use std::sync::Arc;

use actix_web::{HttpRequest, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{ok, written};
use super::guard::Reader;
use super::list::{self, Shape};
use super::params::Params;
use super::routing::Routes;
use super::shapes::ArrayOrMessages;
use super::views::{NamedMessage, members};
use super::{Answer, collab_examples as examples};
use hxa_domain::cursor::Cursor;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::{BotId, ChannelId, MessageId};
use hxa_domain::query::{Before, before};
use hxa_hub::core::caller::PersonCaller;
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;
use hxa_hub::wire::{self, ChannelType};
use hxa_store::messages::{self, Window};
use hxa_store::rows::ChannelRow;
use hxa_store::{DbConnection, DbError, channels};

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(messages_of).service(one).service(of_bot);
}

/// Direct messages are between two bots; of people only those see them who see everything.
fn check_person(caller: &PersonCaller) -> ApiResult<()> {
    if caller.person.role().may_audit() {
        return Ok(());
    }
    Err(ApiError::forbidden("Of the organisation's people only admins and auditors see direct messages"))
}

/// Who asks, as far as access to a channel goes.
#[derive(Clone, Copy)]
struct Eyes {
    org: hxa_domain::ids::OrgId,
    /// `None` for an admin, who reads every channel of the organisation.
    bot: Option<BotId>,
}

impl Eyes {
    fn of(reader: &Reader) -> ApiResult<Self> {
        let bot = match reader {
            Reader::Bot(caller) => Some(caller.bot.id),
            Reader::Admin(_) => None,
            Reader::Person(caller) => {
                check_person(caller)?;
                None
            }
        };
        Ok(Self { org: reader.org().id, bot })
    }

    /// The channel, if it may be read.
    fn find(self, conn: &mut DbConnection, id: ChannelId) -> Result<ChannelRow, DbError> {
        let is_member = |row: &ChannelRow, bot: BotId| row.bot_low == bot || row.bot_high == bot;
        let row = channels::find(conn, self.org, id)?;
        let row = row.filter(|row| self.bot.is_none_or(|bot| is_member(row, bot)));
        row.ok_or_else(|| self.refusal().into())
    }

    /// The channel a path names, as far as its text goes.
    fn channel_id(self, text: &str) -> ApiResult<ChannelId> {
        ChannelId::parse(text).ok_or_else(|| self.refusal())
    }

    /// What a bot hears is the same for channels of others, of other organisations, and for those that do not exist, so
    /// that it learns of none.
    fn refusal(self) -> ApiError {
        match self.bot {
            Some(_) => ApiError::forbidden("Not a member of this channel"),
            None => ApiError::not_found("Channel"),
        }
    }
}

/// A channel and who is in it.
#[derive(Serialize, ToSchema)]
struct ChannelWithMembers<'a> {
    #[serde(flatten)]
    channel: wire::Channel<'a>,
    members: Vec<wire::ChannelMember>,
}

/// Get a channel
///
/// For its members and the organisation's admins. Members that were deleted are not listed.
#[utoipa::path(
    tag = "Collaboration", operation_id = "channel_get",
    params(("id" = String, Path, description = "The channel", example = json!(examples::CHANNEL))),
    responses(
        (status = 200, description = "The channel and its members", body = ChannelWithMembers,
            example = json!({
                "id": examples::CHANNEL, "org_id": examples::ORG, "type": "direct", "name": null,
                "created_at": 1_760_000_283_000_i64, "members": examples::members(),
            })),
        (status = 403, description = "Not a member, or no such channel"),
        (status = 404, description = "No such channel in this organisation (admins)"),
    ),
)]
#[get("/api/channels/{id}")]
async fn one(hub: web::Data<Hub>, reader: Reader, id: web::Path<String>) -> Answer {
    let eyes = Eyes::of(&reader)?;
    let id = eyes.channel_id(&id)?;
    let row = hub.store().read_for(eyes.org, move |conn| eyes.find(conn, id)).await?;
    ok(&ChannelWithMembers { channel: (&row).into(), members: members(reader.org(), &row) })
}

/// List the messages of a channel
///
/// By time (no `before`, or `before` in ms): the newest `limit` messages of the window as an array, oldest first. By
/// cursor (`before` is a message id): `{messages, has_more}`, newest first, strictly before that message.
#[utoipa::path(
    tag = "Collaboration", operation_id = "channel_messages_list",
    params(
        ("id" = String, Path, description = "The channel", example = json!(examples::CHANNEL)),
        ("limit" = Option<i64>, Query, description = "1 to 200, 50 by default", example = json!(50)),
        ("before" = Option<String>, Query, description = "A time in ms or a message id",
            example = json!(examples::MESSAGE)),
        ("since" = Option<i64>, Query, description = "Only messages after this time in ms; by time only"),
    ),
    responses(
        (status = 200, description = "Messages with their senders' names", body = ArrayOrMessages<wire::ChannelMessage>,
            example = json!([examples::named_channel_message()])),
        (status = 403, description = "Not a member, or no such channel"),
        (status = 404, description = "No such channel in this organisation (admins)"),
    ),
)]
#[get("/api/channels/{id}/messages")]
async fn messages_of(
    hub: web::Data<Hub>,
    reader: Reader,
    id: web::Path<String>,
    params: Params,
    request: HttpRequest,
) -> Answer {
    let (eyes, limit, most) =
        (Eyes::of(&reader)?, params.limit("limit", 50, 200), hub.config().server.max_answer_bytes);
    let (id, org) = (eyes.channel_id(&id)?, reader.org().clone());
    let before = match before(params.get("before")) {
        Before::Absent => None,
        Before::Time(at) => Some(at),
        Before::Id(cursor) => {
            let cursor = MessageId::parse(cursor);
            let read = move |conn: &mut DbConnection| {
                eyes.find(conn, id)?;
                let named = NamedMessage::all(&org, messages::channel_page(conn, id, cursor, (limit, most))?);
                Ok(list::page((Shape::MESSAGES, most), &named, NamedMessage::id, NamedMessage::view)?)
            };
            return written(hub.store().read_for(eyes.org, read).await?);
        }
    };
    let window = Window { before, since: params.optional_time("since")?, limit, most };
    let read = move |conn: &mut DbConnection| {
        eyes.find(conn, id)?;
        let named = NamedMessage::all(&org, messages::channel_window(conn, id, window)?);
        Ok(list::newest(most, &named, NamedMessage::view, NamedMessage::time)?)
    };
    list::answer(&hub, &request, hub.store().read_for(eyes.org, read).await?)
}

/// A channel in its bot's list.
#[derive(Serialize, ToSchema)]
struct ListedChannel {
    id: ChannelId,
    #[serde(rename = "type")]
    kind: ChannelType,
    #[schema(required)]
    name: Option<&'static str>,
    created_at: i64,
    last_activity_at: i64,
    members: Vec<wire::ChannelMember>,
}

/// List a bot's channels
///
/// Newest activity first. A bot may list its own only; `id` may also be its name. A list that does not fit into an answer
/// has a `Link` to the rest.
#[utoipa::path(
    tag = "Collaboration", operation_id = "bot_channels_list",
    params(
        ("id" = String, Path, description = "The bot's id or name", example = json!("ada")),
        ("after" = Option<String>, Query, description = "Only channels after this one, as the `Link` before said"),
    ),
    responses(
        (status = 200, description = "Every channel of the bot", body = Vec<ListedChannel>, example = json!([{
            "id": examples::CHANNEL, "type": "direct", "name": null, "created_at": 1_760_000_283_000_i64,
            "last_activity_at": 1_760_000_293_000_i64, "members": examples::members(),
        }])),
        (status = 403, description = "Another bot's channels"),
        (status = 404, description = "No such bot in this organisation"),
    ),
)]
#[get("/api/bots/{id}/channels")]
async fn of_bot(
    hub: web::Data<Hub>,
    reader: Reader,
    id: web::Path<String>,
    params: Params,
    request: HttpRequest,
) -> Answer {
    let org = Arc::clone(reader.org());
    let bot = org.find_bot(&id).ok_or_else(|| ApiError::not_found("Bot"))?;
    match &reader {
        Reader::Bot(caller) if caller.bot.id != bot.id => {
            return Err(ApiError::forbidden("A bot may list its own channels only"));
        }
        Reader::Person(caller) => check_person(caller)?,
        Reader::Bot(_) | Reader::Admin(_) => {}
    }
    let view = |org: &OrgState, row: &ChannelRow| ListedChannel {
        id: row.id,
        kind: ChannelType::Direct,
        name: None,
        created_at: row.created_at,
        last_activity_at: row.last_activity_at,
        members: members(org, row),
    };
    listed(&hub, (&org, bot.id), (&params, &request), view).await
}

/// All channels of a bot as an array, as far as they fit.
///
/// # Errors
/// When the database is away.
pub async fn listed<T: Serialize>(
    hub: &Hub,
    (org, bot): (&Arc<OrgState>, BotId),
    (params, request): (&Params, &HttpRequest),
    view: impl Fn(&OrgState, &ChannelRow) -> T + Send + 'static,
) -> Answer {
    hub.flush_activity(org).await?;
    let (after, most) = (params.filled("after").and_then(Cursor::decode), hub.config().server.max_answer_bytes);
    let (id, org) = (org.id, org.clone());
    let read = move |conn: &mut DbConnection| {
        let page = channels::page_of_bot(conn, bot, after, list::ARRAY_ROWS)?;
        let next = |row: &ChannelRow| ("after", Cursor::new(row.last_activity_at, row.id).encode());
        Ok(list::array(most, &page, |row| view(&org, row), next)?)
    };
    list::answer(hub, request, hub.store().read_for(id, read).await?)
}
