//! Finding messages across the organisation, for its admins.

use std::time::Duration;

use actix_web::{get, web};
use serde::Serialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::answer::ok;
use super::guard::AnyAdmin;
use super::params::Params;
use super::views::bot_of;
use super::{Answer, collab_examples as examples};
use crate::actors::hub::Hub;
use crate::actors::org_state::OrgState;
use crate::store::search::{self, Hit};

/// Messages of one answer.
const HITS: i64 = 20;
/// How long a search may take before it answers with what it has.
const PATIENCE: Duration = Duration::from_secs(2);
/// Shorter texts are found everywhere.
const SHORTEST: usize = 2;

/// Registers the routes.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(find);
}

#[derive(Serialize)]
struct Found {
    message_id: String,
    thread_id: String,
    thread_topic: String,
    sender_name: Option<String>,
    content: String,
    created_at: i64,
}

impl Found {
    fn of(org: &OrgState, hit: Hit) -> Self {
        Self {
            sender_name: bot_of(org, hit.sender_id.as_deref()).map(|bot| bot.row.name.clone()),
            message_id: hit.message_id,
            thread_id: hit.thread_id,
            thread_topic: hit.thread_topic,
            content: hit.content,
            created_at: hit.created_at,
        }
    }
}

#[derive(Serialize, Default)]
struct View {
    messages: Vec<Found>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    incomplete: bool,
}

/// Search thread messages
///
/// The newest 20 thread messages that contain `q` in any case, whatever the threads' visibility. Direct messages are not
/// searched. `incomplete` tells that there was more to look through than time.
#[utoipa::path(
    tag = "Organisation",
    params(("q" = Option<String>, Query, description = "At least 2 characters, at most 200", example = json!("release"))),
    responses((status = 200, description = "Messages, newest first", body = serde_json::Value, example = json!({
        "messages": [{
            "message_id": examples::MESSAGE, "thread_id": examples::THREAD, "thread_topic": "Release 1.4",
            "sender_name": "ada", "content": "@bob please review the release", "created_at": 1_760_000_283_000_i64,
        }],
    }))),
)]
#[get("/api/org/search")]
async fn find(hub: web::Data<Hub>, admin: AnyAdmin, params: Params) -> Answer {
    let text = params.searched("q")?.filter(|text| text.chars().count() >= SHORTEST);
    let (Some(admin), Some(text)) = (admin.0, text) else {
        return ok(&View::default());
    };
    hub.settle_activity(&admin.org).await?;
    let org = admin.org.id;
    let found = hub.store().read(move |conn| search::messages(conn, org, &text, HITS, PATIENCE)).await?;
    let messages = found.hits.into_iter().map(|hit| Found::of(&admin.org, hit)).collect();
    ok(&View { messages, incomplete: !found.is_complete })
}
