//! `/api/bots*` and `/api/peers`: finding bots, and deleting them as an admin.
//!
//! Lists come from memory: an active organisation has all its bots there.

use std::sync::Arc;

use actix_web::{HttpRequest, delete, get, web};

use super::guard::{Bot, OwnOrgAdmin, Reader, needs};
use super::list::{self, Shape};
use super::routing::Routes;
use super::shapes::{ArrayOrPage, DoneWithMessage};
use super::{Answer, answer, examples};
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::BotId;
use hxa_domain::query::Query;
use hxa_hub::core::org_state::{self, OrgState};
use hxa_hub::hub::Hub;
use hxa_hub::identity::{self, Deleter};
use hxa_hub::wire::BotView;
use hxa_store::page::Page;

/// The routes of this file.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(list_bots).service(list_peers).service(show_bot).service(delete_bot);
    routes.service(show_bot_by_name);
}

/// A bot as it is shown.
#[must_use]
pub fn view<'a>(org: &OrgState, bot: &'a org_state::Bot) -> BotView<'a> {
    BotView::new(&bot.row, org.channel().is_online(bot.id), bot.last_seen_at())
}

/// Bots that are written on a thread that serves; more of them are too much for it.
const FEW: usize = 200;

/// Those of `bots` that are wanted as an array by name, as far as they fit; `after` is a name.
async fn array(
    hub: &Hub,
    org: &Arc<OrgState>,
    request: &HttpRequest,
    is_shown: impl Fn(&OrgState, &org_state::Bot) -> bool + Send + 'static,
) -> Answer {
    let (bots, query, most) =
        (org.all_bots(), Query::parse(request.query_string()), hub.config().server.max_answer_bytes);
    let (count, of) = (bots.len(), org.clone());
    let write = move || {
        let after = query.filled("after");
        let is_listed = |bot: &Arc<org_state::Bot>| after.is_none_or(|after| &*bot.name > after) && is_shown(&of, bot);
        let page = Page { rows: bots.into_iter().filter(is_listed).collect::<Vec<_>>(), has_more: false };
        list::array(most, &page, |bot| view(&of, bot), |last| ("after", last.name.to_string()))
    };
    let listed = if count <= FEW { write()? } else { hub.store().work_for(Some(org.id), write).await?? };
    list::answer(hub, request, listed)
}

/// List bots
///
/// Bots get an array ordered by name, filtered by `role`, `tag`, `status` and `q`; they see active bots, admin bots all.
/// An organisation admin's session gets an array of all, or pages when `limit`, `cursor` or `search` is given; people of the
/// organisation get the same of what they see. An array that does not fit into an answer has a `Link` to the rest.
#[utoipa::path(
    tag = "Bots", operation_id = "bots_list",
    params(
        ("role" = Option<String>, Query, description = "Equals the role, in any case (bots)."),
        ("tag" = Option<String>, Query, description = "One of the tags, in any case (bots)."),
        ("status" = Option<String>, Query, description = "`online`, `offline`, or the status text in any case (bots)."),
        ("q" = Option<String>, Query, description = "Part of bio, role or function, in any case (bots)."),
        ("limit" = Option<i64>, Query, description = "Rows per page, 1 to 200, 50 by default (admins)."),
        ("cursor" = Option<String>, Query, description = "Id of the last bot of the page before (admins)."),
        ("search" = Option<String>, Query, description = "Part of the name, in any case (admins)."),
        ("after" = Option<String>, Query, description = "Only bots after this name, as the `Link` before said (arrays)."),
    ),
    responses((status = 200, description = "The bots, or a page `{items, has_more, next_cursor?}`.", body = ArrayOrPage<BotView>, example = json!([examples::bot()]))),
)]
#[get("/api/bots")]
async fn list_bots(hub: web::Data<Hub>, reader: Reader, request: HttpRequest) -> Answer {
    let query = Query::parse(request.query_string());
    let is_paged = ["limit", "cursor", "search"].iter().any(|key| query.filled(key).is_some());
    let (org, sees_all) = (reader.org(), reader.is_admin());
    match &reader {
        Reader::Admin(_) | Reader::Person(_) if is_paged => page(&hub, org, query, sees_all).await,
        Reader::Admin(_) | Reader::Person(_) => {
            array(&hub, org, &request, move |_, bot| sees_all || bot.is_active()).await
        }
        Reader::Bot(_) => {
            let filter = Filter::of(&query);
            let is_shown =
                move |org: &OrgState, bot: &org_state::Bot| (bot.is_active() || sees_all) && filter.passes(org, bot);
            array(&hub, org, &request, is_shown).await
        }
    }
}

/// One page by id.
async fn page(hub: &Hub, org: &Arc<OrgState>, query: Query, sees_all: bool) -> Answer {
    let (mut bots, most) = (org.all_bots(), hub.config().server.max_answer_bytes);
    bots.retain(|bot| sees_all || bot.is_active());
    let (count, of) = (bots.len(), org.clone());
    let write = move || {
        if let Some(wanted) = query.search("search").map(str::to_lowercase) {
            bots.retain(|bot| bot.name_lower.contains(&wanted));
        }
        if let Some(cursor) = query.filled("cursor") {
            bots.retain(|bot| bot.id.to_string().as_str() > cursor);
        }
        bots.sort_unstable_by_key(|bot| bot.id);
        let page = Page::cut(bots, query.limit("limit", 50, 200));
        list::page((Shape::ITEMS, most), &page, |last| last.id.to_string(), |bot| view(&of, bot))
    };
    let body = if count <= FEW { write()? } else { hub.store().work_for(Some(org.id), write).await?? };
    answer::written(body)
}

/// The filters of a bot's list, in small letters, because they are compared with every bot.
struct Filter {
    role: Option<String>,
    tag: Option<String>,
    status: Option<String>,
    q: Option<String>,
}

impl Filter {
    fn of(query: &Query) -> Self {
        let small = |key| query.filled(key).map(str::to_lowercase);
        Self { role: small("role"), tag: small("tag"), status: small("status"), q: small("q") }
    }

    fn passes(&self, org: &OrgState, bot: &org_state::Bot) -> bool {
        let row = &bot.row;
        let is = |text: &Option<String>, wanted: &str| text.as_ref().is_some_and(|text| text.to_lowercase() == wanted);
        let holds = |text: &Option<String>, wanted: &str| {
            text.as_ref().is_some_and(|text| text.to_lowercase().contains(wanted))
        };
        let has_tag = |wanted: &str| {
            let tags: Vec<String> =
                row.tags.as_deref().and_then(|tags| serde_json::from_str(tags).ok()).unwrap_or_default();
            tags.iter().any(|tag| tag.to_lowercase() == wanted)
        };
        let has_status = |wanted: &str| match wanted {
            "online" => org.channel().is_online(bot.id),
            "offline" => !org.channel().is_online(bot.id),
            wanted => is(&row.status_text, wanted),
        };
        self.role.as_deref().is_none_or(|role| is(&row.role, role))
            && self.tag.as_deref().is_none_or(has_tag)
            && self.status.as_deref().is_none_or(has_status)
            && self.q.as_deref().is_none_or(|q| [&row.bio, &row.role, &row.function].iter().any(|text| holds(text, q)))
    }
}

/// List the other bots
///
/// All active bots of the organisation but oneself, by name; admin bots see the others too. A list that does not fit into an
/// answer has a `Link` to the rest.
#[utoipa::path(
    tag = "Bots", operation_id = "peers_list",
    params(("after" = Option<String>, Query, description = "Only bots after this name, as the `Link` before said.")),
    responses((status = 200, description = "The bots.", body = Vec<BotView>, example = json!([examples::bot()]))),
)]
#[get("/api/peers")]
async fn list_peers(hub: web::Data<Hub>, caller: Bot<needs::Read>, request: HttpRequest) -> Answer {
    let (own, sees_all) = (caller.bot.id, caller.bot.is_admin());
    let is_shown = move |_: &OrgState, bot: &org_state::Bot| bot.id != own && (sees_all || bot.is_active());
    array(&hub, &caller.org, &request, is_shown).await
}

/// A bot the reader may see; the others do not exist for it.
pub fn visible(reader: &Reader, bot: Option<Arc<org_state::Bot>>) -> ApiResult<Arc<org_state::Bot>> {
    let is_self = |bot: &org_state::Bot| matches!(reader, Reader::Bot(caller) if caller.bot.id == bot.id);
    let bot = bot.filter(|bot| bot.is_active() || reader.is_admin() || is_self(bot));
    bot.ok_or_else(|| ApiError::not_found("Bot"))
}

/// Get a bot by id
#[utoipa::path(
    tag = "Bots", operation_id = "bot_get",
    params(("id" = String, Path, description = "The bot's id.")),
    responses((status = 200, description = "The bot.", body = BotView, example = json!(examples::bot()))),
)]
#[get("/api/bots/{id}")]
async fn show_bot(reader: Reader, id: web::Path<String>) -> Answer {
    let bot = visible(&reader, BotId::parse(&id).and_then(|id| reader.org().bot(id)))?;
    answer::ok(&view(reader.org(), &bot))
}

/// Get a bot by name
#[utoipa::path(
    tag = "Bots", operation_id = "bot_get_by_name",
    params(("name" = String, Path, description = "The bot's exact name.")),
    responses((status = 200, description = "The bot.", body = BotView, example = json!(examples::bot()))),
)]
#[get("/api/bots/{name}/profile")]
async fn show_bot_by_name(reader: Reader, name: web::Path<String>) -> Answer {
    let bot = visible(&reader, reader.org().bot_named(&name))?;
    answer::ok(&view(reader.org(), &bot))
}

/// Delete a bot
///
/// For admins. Its credentials end, its sockets close, what it wrote stays, and its name is blocked until released.
#[utoipa::path(
    tag = "Organisation", operation_id = "bot_delete",
    params(("id" = String, Path, description = "The bot's id.")),
    responses((status = 200, description = "Deleted.", body = DoneWithMessage, example = json!({ "ok": true, "message": "Bot \"reviewer\" deleted" }))),
)]
#[delete("/api/bots/{id}")]
async fn delete_bot(hub: web::Data<Hub>, admin: OwnOrgAdmin, id: web::Path<String>) -> Answer {
    let name = identity::delete_bot(&hub, Deleter::Admin(&admin, &id)).await?;
    answer::ok(&DoneWithMessage::new(format!("Bot {name:?} deleted")))
}
