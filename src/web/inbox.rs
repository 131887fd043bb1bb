//! The inbox: messages from others to a bot.

use actix_web::{HttpRequest, get, web};

use super::guard::{Bot, needs};
use super::params::Params;
use super::routing::Routes;
use super::{Answer, collab_examples as examples, list};
use hxa_hub::hub::Hub;
use hxa_hub::wire::InboxItem;
use hxa_store::DbConnection;
use hxa_store::inbox::{self as stored, InboxMessage};

/// Messages of one answer; clients ask again from the last one's time.
const MESSAGES: usize = 100;

/// About what a message takes in JSON beside its content, in bytes.
const FIELDS: usize = 360;

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(inbox);
}

/// List new direct messages
///
/// What others sent to the bot after `since`, oldest first, at most 100 and at most as many as fit into an answer. Nothing
/// is marked as read: ask again with the time of the last message.
#[utoipa::path(
    tag = "Collaboration", operation_id = "inbox_list",
    params(("since" = i64, Query, description = "Only messages after this time in ms", example = json!(0))),
    responses(
        (status = 200, description = "Messages with their senders' names", body = Vec<InboxItem>,
            example = json!([examples::inbox_item()])),
        (status = 400, description = "`since` is missing or no number"),
    ),
)]
#[get("/api/inbox")]
async fn inbox(hub: web::Data<Hub>, caller: Bot<needs::Read>, params: Params, request: HttpRequest) -> Answer {
    let (since, bot) = (params.required_time("since")?, caller.bot.id);
    hub.flush_activity(&caller.org).await?;
    let (org, most) = (caller.org.clone(), hub.config().server.max_answer_bytes);
    let read = move |conn: &mut DbConnection| {
        let page = stored::page(conn, bot, since, (MESSAGES, most))?;
        let from = page.channels.iter().map(|channel| (channel, org.bot_name(Some(channel.bot_id))));
        let from: Vec<_> = from.collect();
        let is_one_instant = |a: &InboxMessage, b: &InboxMessage| a.created_at == b.created_at;
        let next = |last: &InboxMessage| ("since", last.created_at.to_string());
        // Content is in the parts once more.
        let size = page.messages.rows.iter().map(|message| message.content.len().saturating_mul(2) + FIELDS).sum();
        let item = |message| {
            let (channel, name) = from.get(InboxMessage::channel(message))?;
            Some(InboxItem::new(message, channel, name))
        };
        Ok(list::array_of_groups((most, size), &page.messages, item, next, is_one_instant)?)
    };
    list::answer(&hub, &request, hub.store().read_for(caller.org.id, read).await?)
}
