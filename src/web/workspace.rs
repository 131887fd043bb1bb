//! A bot's workspace: itself, its conversations and its threads in one response.

use actix_web::{get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{shrink_to_fit, written};
use super::guard::{Bot, needs};
use super::list::{self, Shape};
use super::params::Params;
use super::routing::Routes;
use super::shapes::Items;
use super::views::ListedThread;
use super::{Answer, bots, collab_examples as examples};
use hxa_domain::cursor::{Cursor, preview};
use hxa_domain::ids::BotId;
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;
use hxa_hub::wire;
use hxa_store::DbConnection;
use hxa_store::threads_list::ListedThread as StoredThread;
use hxa_store::workspace::{self, Conversation, WorkspaceQuery};

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(workspace_of);
}

/// The other bot of a conversation; `unknown` when it is gone.
#[derive(Serialize, ToSchema)]
struct Counterpart {
    id: String,
    name: String,
    online: bool,
    #[schema(required)]
    bio: Option<String>,
    #[schema(required)]
    role: Option<String>,
}

impl Counterpart {
    fn of(org: &OrgState, id: BotId) -> Self {
        match org.bot(id) {
            Some(bot) => Self {
                id: bot.id.to_string(),
                name: bot.row.name.clone(),
                online: org.channel().is_online(bot.id),
                bio: bot.row.bio.clone(),
                role: bot.row.role.clone(),
            },
            None => Self { id: "unknown".to_owned(), name: "unknown".to_owned(), online: false, bio: None, role: None },
        }
    }
}

/// The beginning of a message.
#[derive(Serialize, ToSchema)]
struct Preview {
    content: String,
    #[schema(value_type = BotId)]
    sender_id: String,
    sender_name: String,
    created_at: i64,
}

/// A conversation of two bots.
#[derive(Serialize, ToSchema)]
struct Dm<'a> {
    channel: wire::Channel<'a>,
    counterpart_bot: Counterpart,
    #[schema(required)]
    last_message_preview: Option<Preview>,
    last_activity_at: i64,
}

impl<'a> Dm<'a> {
    fn of(org: &OrgState, own: BotId, dm: &'a Conversation) -> Self {
        let channel = &dm.channel;
        let other = if channel.bot_low == own { channel.bot_high } else { channel.bot_low };
        let last_message_preview = dm.newest.as_ref().map(|message| Preview {
            content: preview(&message.beginning),
            sender_id: message.sender_id.clone(),
            sender_name: org.bot_name(BotId::parse(&message.sender_id)).to_string(),
            created_at: message.created_at,
        });
        Self {
            channel: channel.into(),
            counterpart_bot: Counterpart::of(org, other),
            last_message_preview,
            last_activity_at: channel.last_activity_at,
        }
    }
}

/// A bot's workspace.
#[derive(Serialize, ToSchema)]
struct Workspace<'a> {
    bot: wire::BotView<'a>,
    dms: Items<Dm<'a>>,
    threads: Items<ListedThread<'a>>,
}

/// Get the workspace
///
/// The bot itself, a page of its conversations and a page of its threads, newest activity first. Both lists go on by
/// their own cursor.
#[utoipa::path(
    tag = "Collaboration", operation_id = "me_workspace_get",
    params(
        ("dm_limit" = Option<i64>, Query, description = "1 to 100, 20 by default"),
        ("dm_cursor" = Option<String>, Query, description = "`dms.next_cursor` of the page before"),
        ("thread_limit" = Option<i64>, Query, description = "1 to 100, 20 by default"),
        ("thread_cursor" = Option<String>, Query, description = "`threads.next_cursor` of the page before"),
    ),
    responses((status = 200, description = "The workspace", body = Workspace, example = json!({
        "bot": crate::examples::bot(),
        "dms": examples::page(serde_json::json!({
            "channel": examples::channel(),
            "counterpart_bot": { "id": examples::BOB, "name": "bob", "online": false, "bio": null, "role": "reviewer" },
            "last_message_preview": {
                "content": "Is the build green?", "sender_id": examples::ADA, "sender_name": "ada",
                "created_at": 1_760_000_283_000_i64,
            },
            "last_activity_at": 1_760_000_283_000_i64,
        })),
        "threads": { "items": [examples::listed_thread()], "has_more": false },
    }))),
)]
#[get("/api/me/workspace")]
async fn workspace_of(hub: web::Data<Hub>, caller: Bot<needs::Read>, params: Params) -> Answer {
    let (org, bot) = (&caller.org, &caller.bot);
    let query = WorkspaceQuery {
        org: org.id,
        bot: bot.id,
        dm_limit: params.limit("dm_limit", 20, 100),
        dm_cursor: params.get("dm_cursor").and_then(Cursor::decode),
        thread_limit: params.limit("thread_limit", 20, 100),
        thread_cursor: params.get("thread_cursor").and_then(Cursor::decode),
        // Two lists share the answer.
        most: hub.config().server.max_answer_bytes / 2,
    };
    hub.flush_activity(org).await?;
    let (id, org, bot) = (org.id, org.clone(), bot.clone());
    let read = move |conn: &mut DbConnection| {
        let most = query.most;
        let found = workspace::load(conn, query)?;
        let dm_cursor = |dm: &Conversation| Cursor::new(dm.channel.last_activity_at, dm.channel.id).encode();
        let thread_cursor = |thread: &StoredThread| thread.cursor().encode();
        let mut body = b"{\"bot\":".to_vec();
        list::put(&mut body, &bots::view(&org, &bot))?;
        body.extend_from_slice(b",\"dms\":");
        list::put_page(&mut body, (Shape::ITEMS, most), &found.dms, dm_cursor, |dm| Dm::of(&org, bot.id, dm))?;
        body.extend_from_slice(b",\"threads\":");
        list::put_page(&mut body, (Shape::ITEMS, most), &found.threads, thread_cursor, ListedThread::own)?;
        body.push(b'}');
        Ok(shrink_to_fit(body))
    };
    written(hub.store().read_for(id, read).await?)
}
