//! Search for messages across the organisation, for its admins and for people who see threads.

use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{json, ok, written};
use super::guard::{OrgReader, rights};
use super::params::Params;
use super::routing::Routes;
use super::views::bot_of;
use super::{Answer, collab_examples as examples};
use hxa_domain::ids::{MessageId, ThreadId};
use hxa_domain::limits::json_bytes;
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;
use hxa_store::DbConnection;
use hxa_store::search::{self, Hit};

/// Messages of one answer.
const HITS: i64 = 20;
/// How long a search may take before it answers with what it has.
const PATIENCE: Duration = Duration::from_secs(2);
/// Shorter texts are found everywhere.
const SHORTEST: usize = 2;

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(find);
}

/// A message that was found.
#[derive(Serialize, ToSchema)]
#[schema(as = FoundMessage)]
struct Found {
    message_id: MessageId,
    thread_id: ThreadId,
    thread_topic: String,
    #[schema(required)]
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

/// What was found.
#[derive(Serialize, ToSchema, Default)]
struct SearchResults {
    messages: Vec<Found>,
    /// Only there when it is true.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    incomplete: bool,
}

/// Search thread messages
///
/// The newest 20 thread messages that contain `q` in any case, whatever the threads' visibility. Direct messages are not
/// searched. `incomplete` tells that there was more to look through than time, or more to show than fits into an answer.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_messages_search",
    params(("q" = Option<String>, Query, description = "At least 2 characters, at most 200", example = json!("release"))),
    responses((status = 200, description = "Messages, newest first", body = SearchResults, example = json!({
        "messages": [{
            "message_id": examples::MESSAGE, "thread_id": examples::THREAD, "thread_topic": "Release 1.4",
            "sender_name": "ada", "content": "@bob please review the release", "created_at": 1_760_000_283_000_i64,
        }],
    }))),
)]
#[get("/api/org/search")]
async fn find(hub: web::Data<Hub>, reader: OrgReader<rights::Threads>, params: Params) -> Answer {
    let text = params.searched("q")?.filter(|text| text.chars().count() >= SHORTEST);
    let (Some(org), Some(text)) = (reader.0, text) else {
        return ok(&SearchResults::default());
    };
    let most = hub.config().server.max_answer_bytes;
    let question = (org.id, text.clone());
    let look = async {
        hub.flush_activity(&org).await?;
        let (id, org) = (org.id, org.clone());
        let read = move |conn: &mut DbConnection| {
            let found = search::messages(conn, id, &text, HITS, PATIENCE)?;
            let mut view = SearchResults { messages: Vec::new(), incomplete: !found.is_complete };
            let mut used = 0_usize;
            for hit in found.hits {
                used = used.saturating_add(json_bytes(&hit.content)).saturating_add(json_bytes(&hit.thread_topic));
                if used > most && !view.messages.is_empty() {
                    view.incomplete = true;
                    break;
                }
                view.messages.push(Found::of(&org, hit));
            }
            Ok(Bytes::from(json(&view)?))
        };
        hub.store().read_slowly(Some(id), read).await
    };
    written(hub.store().searches().ask(question, look).await?)
}
