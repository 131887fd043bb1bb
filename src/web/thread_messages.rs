//! Messages of threads.

use actix_web::{HttpRequest, get, post, web};

use super::answer::{ok, written};
use super::body::Body;
use super::guard::{Bot, needs};
use super::list::{self, Listed, Shape};
use super::params::Params;
use super::repeated::{Once, Todo, json, receipt};
use super::routing::Routes;
use super::shapes::ArrayOrPage;
use super::thread_access::{read, thread_id};
use super::views::{ShownMessage, with_allowance};
use super::{Answer, collab_examples as examples};
use hxa_domain::ids::{MessageId, ThreadId};
use hxa_domain::message::ThreadMessageDraft;
use hxa_domain::query::{Before, before};
use hxa_hub::core::actors::Actors;
use hxa_hub::core::caller::Caller;
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;
use hxa_hub::thread::{SendMessage, SentMessage};
use hxa_hub::wire;
use hxa_store::messages::{self, Window};
use hxa_store::{DbConnection, DbError};

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(send).service(list_messages);
}

/// A window of a thread's messages as an array, oldest first.
///
/// # Errors
/// When the database fails.
pub fn window(conn: &mut DbConnection, org: &OrgState, id: ThreadId, asked: Window) -> Result<Listed, DbError> {
    let mut page = messages::thread_window(conn, id, asked)?;
    let parents = messages::parents(conn, id, &mut page, asked.most)?;
    let shown = ShownMessage::all(org, page, &parents);
    Ok(list::newest(asked.most, &shown, ShownMessage::view, ShownMessage::time)?)
}

/// A page of a thread's messages, newest first.
///
/// # Errors
/// When the database fails.
pub fn page(
    conn: &mut DbConnection,
    org: &OrgState,
    id: ThreadId,
    (before, limit): (Option<MessageId>, i64),
    (shape, most): (Shape, usize),
) -> Result<Vec<u8>, DbError> {
    let mut page = messages::thread_page(conn, id, before, (limit, most))?;
    let parents = messages::parents(conn, id, &mut page, most)?;
    let shown = ShownMessage::all(org, page, &parents);
    Ok(list::page((shape, most), &shown, ShownMessage::id, ShownMessage::view)?)
}

/// Send a message to a thread
///
/// For participants whom the policy lets write. Participants named with `@` in the content are mentioned; `@all`
/// mentions everybody. A person's message carries `metadata.provenance`. Counts against the bot's messages per minute.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_messages_send",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request repeatable for a day"),
    ),
    request_body(
        content = ThreadMessageDraft,
        example = json!({ "content": "@bob please review" }),
    ),
    responses(
        (status = 200, description = "The stored message", body = wire::ThreadMessage,
            example = json!(examples::thread_message())),
        (status = 400, description = "`VALIDATION_ERROR`, or `NOT_FOUND` when `reply_to` names no message here"),
        (status = 403, description = "`JOIN_REQUIRED`, `WRITE_PERMISSION_DENIED`"),
        (status = 404, description = "No such thread for this bot"),
        (status = 409, description = "`THREAD_CLOSED`, `IDEMPOTENCY_MISMATCH`, `IDEMPOTENCY_IN_PROGRESS`"),
        (status = 429, description = "`RATE_LIMITED`; `Retry-After` in seconds"),
    ),
)]
#[post("/api/threads/{id}/messages")]
async fn send(
    hub: web::Data<Hub>,
    caller: Bot<needs::Thread>,
    id: web::Path<String>,
    once: Once,
    mut body: Body<ThreadMessageDraft>,
) -> Answer {
    let claim = match once.begin(&hub, &caller, body.fields()).await? {
        Todo::Nothing(remembered) => return Ok(remembered.answer()),
        Todo::Everything(claim) => claim,
    };
    let left = hub.charge_message(&caller)?;
    let id = thread_id(&id)?;
    let receipt = receipt(claim, |sent| json(&sent_view(sent)));
    let operation = SendMessage::new(body.parsed(), &caller);
    let sent = hub.threads().ask_once(id, Caller::Bot(caller.0), operation, receipt).await?;
    Ok(with_allowance(ok(&sent_view(&sent))?, left))
}

fn sent_view(sent: &SentMessage) -> wire::ThreadMessage<'_> {
    wire::ThreadMessage::new(&sent.row, Some(&sent.sender_name), sent.replied_to.as_ref())
}

/// List the messages of a thread
///
/// For participants. By time: the newest `limit` messages of the window as an array, oldest first. With `cursor` (also
/// an empty one, for the first page): a page, newest first, where `next_cursor` is the last message's id. A window that does
/// not fit into an answer has its newest messages, and a `Link` to the rest.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_messages_list",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("limit" = Option<i64>, Query, description = "1 to 200, 50 by default", example = json!(50)),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, empty for the first"),
        ("before" = Option<i64>, Query, description = "Only messages before this time in ms"),
        ("since" = Option<i64>, Query, description = "Only messages after this time in ms"),
    ),
    responses(
        (status = 200, description = "An array or a page of messages", body = ArrayOrPage<wire::ThreadMessage>,
            example = json!([examples::thread_message()])),
        (status = 403, description = "`JOIN_REQUIRED`, with a `hint`"),
        (status = 404, description = "No such thread for this bot"),
    ),
)]
#[get("/api/threads/{id}/messages")]
async fn list_messages(
    hub: web::Data<Hub>,
    caller: Bot<needs::Read>,
    id: web::Path<String>,
    params: Params,
    request: HttpRequest,
) -> Answer {
    let (limit, most) = (params.limit("limit", 50, 200), hub.config().server.max_answer_bytes);
    let org = caller.org.clone();
    if let Some(cursor) = params.get("cursor") {
        let asked = (MessageId::parse(cursor), limit);
        let shape = (Shape::ITEMS, most);
        let (_, body) = read(&hub, &caller, &id, move |conn, id, _, _| page(conn, &org, id, asked, shape)).await?;
        return written(body);
    }
    let before = match before(params.get("before")) {
        Before::Absent => None,
        Before::Time(at) => Some(at),
        // Ids are no times, and nothing was said before the beginning of time.
        Before::Id(_) => Some(i64::MIN),
    };
    let asked = Window { before, since: params.optional_time("since")?, limit, most };
    let (_, listed) = read(&hub, &caller, &id, move |conn, id, _, _| window(conn, &org, id, asked)).await?;
    list::answer(&hub, &request, listed)
}
