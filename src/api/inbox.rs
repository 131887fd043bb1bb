//! The inbox: what others wrote to a bot.

use actix_web::{get, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::answer::{json, written};
use super::guard::{Bot, needs};
use super::params::Params;
use super::views::NamedMessage;
use super::{Answer, collab_examples as examples};
use crate::actors::hub::Hub;
use crate::store::{DbConnection, DbError, channels};
use crate::wire::InboxItem;

/// Messages of one answer; clients ask again from the last one's time.
const MESSAGES: i64 = 100;

/// Registers the routes.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(inbox);
}

/// Read new direct messages
///
/// What others sent to the bot after `since`, oldest first, at most 100. Nothing is marked as read: ask again with the
/// time of the last message.
#[utoipa::path(
    tag = "Collaboration",
    params(("since" = i64, Query, description = "Only messages after this time in ms", example = json!(0))),
    responses(
        (status = 200, description = "Messages with their senders' names", body = serde_json::Value,
            example = json!([examples::inbox_item()])),
        (status = 400, description = "`since` is missing or no number"),
    ),
)]
#[get("/api/inbox")]
async fn inbox(hub: web::Data<Hub>, caller: Bot<needs::Read>, params: Params) -> Answer {
    let (since, bot) = (params.required_time("since")?, caller.bot.id);
    hub.settle_activity(&caller.org).await?;
    let org = caller.org.clone();
    let read = move |conn: &mut DbConnection| {
        let named = NamedMessage::all(&org, channels::inbox(conn, bot, since, MESSAGES)?);
        let item = |message| InboxItem { message: NamedMessage::view(message), channel_name: None };
        json(&named.iter().map(item).collect::<Vec<_>>()).map_err(DbError::Refused)
    };
    written(hub.store().read(read).await?)
}
