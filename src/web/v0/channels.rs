//! Channels as old clients list and open them.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::ok;
use crate::body::Body;
use crate::guard::{Bot, OrgAdmin, needs};
use crate::params::Params;
use crate::routing::Routes;
use crate::views::members;
use crate::{Answer, channels, collab_examples as examples};
use hxa_domain::channel::ChannelDraft;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::BotId;
use hxa_hub::core::caller::{AdminCaller, BotCaller, Caller};
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;
use hxa_hub::org::OpenChannel;
use hxa_hub::wire;
use hxa_store::rows::ChannelRow;

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(list).service(list_at_root).service(open);
}

/// A channel as old clients know it.
#[derive(Serialize, ToSchema)]
#[schema(as = OldChannel)]
struct View<'a> {
    #[serde(flatten)]
    channel: wire::Channel<'a>,
    last_activity_at: i64,
    /// Ids.
    #[schema(value_type = Vec<BotId>)]
    members: Vec<BotId>,
}

impl<'a> View<'a> {
    fn of(org: &OrgState, row: &'a ChannelRow) -> Self {
        let members = members(org, row).into_iter().map(|member| member.id).collect();
        Self { channel: row.into(), last_activity_at: row.last_activity_at, members }
    }
}

/// List the current bot's channels
///
/// Newest activity first, with the ids of their members. Deleted bots are not listed.
#[utoipa::path(
    tag = "Old clients", operation_id = "v0_channels_list",
    responses((status = 200, description = "Every channel of the bot", body = Vec<View>, example = json!([{
        "id": examples::CHANNEL, "org_id": examples::ORG, "type": "direct", "name": null,
        "created_at": 1_760_000_283_000_i64, "last_activity_at": 1_760_000_293_000_i64,
        "members": [examples::ADA, examples::BOB],
    }]))),
)]
#[get("/v0/api/channels")]
async fn list(hub: web::Data<Hub>, caller: Bot<needs::Read>, params: Params, request: HttpRequest) -> Answer {
    channels_of(&hub, &caller, &params, &request).await
}

/// List the current bot's channels (older path, without the prefix)
///
/// As `GET /v0/api/channels`, for clients that were given the hub's plain address. New clients ask for
/// `GET /api/bots/{id}/channels`.
#[utoipa::path(
    tag = "Old clients", operation_id = "channels_list_alias",
    responses(
        (status = 200, description = "Every channel of the bot", body = Vec<View>, example = json!([{
            "id": examples::CHANNEL, "org_id": examples::ORG, "type": "direct", "name": null,
            "created_at": 1_760_000_283_000_i64, "last_activity_at": 1_760_000_293_000_i64,
            "members": [examples::ADA, examples::BOB],
        }])),
        (status = 404, description = "Asked with a `Content-Type`, as those do who look whether the route is gone"),
    ),
)]
#[get("/api/channels")]
async fn list_at_root(hub: web::Data<Hub>, caller: Bot<needs::Read>, params: Params, request: HttpRequest) -> Answer {
    // Servers from 1.1 on do not have this route, and what is written for them probes for that; such a probe names a content
    // type although it sends none. The SDK that needs the list never does.
    if request.headers().contains_key(CONTENT_TYPE) {
        return Err(ApiError::not_found("Route"));
    }
    channels_of(&hub, &caller, &params, &request).await
}

async fn channels_of(hub: &Hub, caller: &BotCaller, params: &Params, request: &HttpRequest) -> Answer {
    let view = |org: &OrgState, row: &ChannelRow| serde_json::to_value(View::of(org, row)).unwrap_or_default();
    channels::listed(hub, (&caller.org, caller.bot.id), (params, request), view).await
}

/// Open a channel between two bots
///
/// The one that exists is answered again. Channels are pairs: a conversation of more bots is a thread.
#[utoipa::path(
    tag = "Old clients", operation_id = "v0_channels_open",
    request_body(
        content = ChannelDraft,
        example = json!({ "type": "direct", "members": ["ada", "bob"] }),
    ),
    responses(
        (status = 200, description = "The channel", body = View, example = json!({
            "id": examples::CHANNEL, "org_id": examples::ORG, "type": "direct", "name": null,
            "created_at": 1_760_000_283_000_i64, "last_activity_at": 1_760_000_283_000_i64,
            "members": [examples::ADA, examples::BOB],
        })),
        (status = 400, description = "A group, or members that are not two different bots of the organisation"),
    ),
)]
#[post("/v0/api/channels")]
async fn open(hub: web::Data<Hub>, admin: OrgAdmin, mut body: Body<ChannelDraft>) -> Answer {
    let members = pair(&admin, body.draft()?)?;
    let row = hub.orgs().ask(Caller::Admin(admin.0.clone()), OpenChannel { members }).await?;
    ok(&View::of(&admin.org, &row))
}

fn pair(admin: &AdminCaller, draft: ChannelDraft) -> ApiResult<(BotId, BotId)> {
    let find = |name: ApiResult<String>| {
        let name = name?;
        let bot = admin.org.find_bot(&name);
        bot.map(|bot| bot.id).ok_or_else(|| ApiError::validation(format!("Bot not found: {name:?}")))
    };
    let [one, other] = draft.members;
    let (one, other) = (find(one)?, find(other)?);
    if one == other {
        return Err(ApiError::validation("members must be two different bots"));
    }
    Ok((one, other))
}
