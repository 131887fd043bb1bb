//! The operations a client may send through its socket, each a thin adapter: shape, scope, rate, then the same actor
//! call as REST, answered by an ack whose `result` has the fields clients know.

use serde::Serialize;
use serde_json::{Value, json};

use super::frame::{Answer, Frame};
use super::socket::{SocketContext, SocketSession};
use super::{repeated, resume, subscriptions};
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{ChannelId, ThreadId};
use hxa_domain::query;
use hxa_domain::scope::{self, Need};
use hxa_domain::text;
use hxa_hub::call::Call;
use hxa_hub::caller::{BotCaller, Caller};
use hxa_hub::org::{CreateThread, CreatedThread, SendDm, SendToChannel, SentDm};
use hxa_hub::outbox::close;
use hxa_hub::thread::{
    AddArtifact, Invite, Invited, Join, Joined, Leave, RemoveParticipant, SendMessage, SentMessage, ThreadOperation,
    UpdateArtifact, UpdateThread, Updated,
};
use hxa_store::rows::ArtifactRow;

/// Every operation, for documentation and the inventory test.
pub const OPERATIONS: [&str; 15] = [
    "ping",
    "subscribe",
    "unsubscribe",
    "resume",
    "send",
    "send_dm",
    "send_thread_message",
    "thread_create",
    "thread_update",
    "thread_invite",
    "thread_join",
    "thread_leave",
    "thread_remove_participant",
    "artifact_add",
    "artifact_update",
];

/// Runs one frame. Whatever it starts is started in this call, so a socket's operations start in arrival order.
pub fn run(session: &mut SocketSession, mut frame: Frame, context: &mut SocketContext) {
    let answer = session.answer(frame.reference.take()).weighing(frame.weight);
    match frame.kind.as_str() {
        "ping" => return answer.pong(),
        "subscribe" => return subscriptions::subscribe(session, &frame, answer),
        "unsubscribe" => return subscriptions::unsubscribe(session, &frame, answer),
        "resume" => return resume::resume(session, &frame, answer),
        _ => {}
    }
    let Some(need) = scope::of_operation(&frame.kind) else {
        let error = ApiError::new(ErrorCode::UnknownOp, format!("Unknown operation {:?}", shortened(&frame.kind)));
        return answer.refuse(&error);
    };
    match current_caller(session, need) {
        Ok(caller) => repeated::run_once(session, caller, frame, answer, context),
        Err(error) => answer.refuse(&error),
    }
}

/// The bot behind the socket as it is now: deletions, rejections, suspensions and the end of its credential close
/// sockets, but a frame may arrive before the close does.
fn current_caller(session: &SocketSession, need: Need) -> ApiResult<BotCaller> {
    let caller = session.caller.as_ref().ok_or_else(|| ApiError::forbidden("This socket does not act as a bot"))?;
    if caller.token_expires_at.is_some_and(|at| at <= session.hub.now()) {
        session.outbox.close(close::TOKEN_ENDED);
        return Err(ApiError::new(ErrorCode::TokenExpired, "The token has expired"));
    }
    if session.outbox.is_ending() {
        return Err(ApiError::unavailable("The socket is being closed"));
    }
    if !session.org.is_active() {
        return Err(ApiError::new(ErrorCode::OrgSuspended, "The organisation is not active"));
    }
    let bot = session.org.bot(caller.bot.id).filter(|bot| bot.is_active());
    let bot = bot.ok_or_else(|| ApiError::new(ErrorCode::BotNotActive, "The bot is not active"))?;
    if !need.is_covered(caller.scopes) {
        return Err(ApiError::new(ErrorCode::InsufficientScope, format!("This needs the scope {}", need.as_str())));
    }
    Ok(BotCaller { bot, via_socket: true, ..caller.clone() })
}

/// Runs a bot's operation.
pub(super) fn run_as_bot(session: &SocketSession, caller: BotCaller, frame: Frame, answer: Answer) {
    match frame.kind.as_str() {
        "send" => send(session, caller, frame, answer),
        "send_dm" => send_dm(session, caller, frame, answer),
        "thread_create" => create(session, caller, frame, answer),
        _ => thread_operation(session, caller, frame, answer),
    }
}

// --- direct messages and new threads ---

fn send(session: &SocketSession, caller: BotCaller, frame: Frame, answer: Answer) {
    if let Err(error) = session.hub.charge_message(&caller) {
        return answer.refuse(&error);
    }
    let channel = frame.fields.get("channel_id").and_then(Value::as_str).and_then(ChannelId::parse);
    let Some(channel) = channel else {
        return answer.refuse(&ApiError::forbidden("Not a member of this channel"));
    };
    let operation = SendToChannel { channel, body: frame.fields };
    let reply = answer.into_reply(|sent| dm_result("send", sent));
    session.hub.call_org(Call { caller: Caller::Bot(caller), operation, reply });
}

fn send_dm(session: &SocketSession, caller: BotCaller, frame: Frame, answer: Answer) {
    if let Err(error) = session.hub.charge_message(&caller) {
        return answer.refuse(&error);
    }
    let reply = answer.into_reply(|sent| dm_result("send_dm", sent));
    session.hub.call_org(Call { caller: Caller::Bot(caller), operation: SendDm { body: frame.fields }, reply });
}

#[derive(Serialize)]
struct DmResult {
    operation: &'static str,
    resource_id: String,
    channel_id: String,
    message_id: String,
    timestamp: i64,
}

fn dm_result(operation: &'static str, sent: &SentDm) -> DmResult {
    DmResult {
        operation,
        resource_id: sent.row.id.clone(),
        channel_id: sent.row.channel_id.clone(),
        message_id: sent.row.id.clone(),
        timestamp: sent.row.created_at,
    }
}

fn create(session: &SocketSession, caller: BotCaller, frame: Frame, answer: Answer) {
    if let Err(error) = session.hub.charge_thread(&caller) {
        return answer.refuse(&error);
    }
    let reply = answer.into_reply(|created: &CreatedThread| {
        let row = &created.row;
        json!({
            "operation": "thread_create",
            "resource_id": row.id,
            "thread_id": row.id,
            "topic": row.topic,
            "revision": row.revision,
            "timestamp": row.created_at,
        })
    });
    session.hub.call_org(Call { caller: Caller::Bot(caller), operation: CreateThread { body: frame.fields }, reply });
}

// --- operations on one thread ---

/// Where a thread operation goes.
struct Target<'a> {
    session: &'a SocketSession,
    thread: ThreadId,
    caller: BotCaller,
    answer: Answer,
}

impl Target<'_> {
    fn call<O: ThreadOperation, R: Serialize>(
        self,
        operation: O,
        describe: impl FnOnce(&O::Answer) -> R + Clone + Send + 'static,
    ) {
        let reply = self.answer.into_reply(describe);
        self.session.hub.call_thread(self.thread, Call { caller: Caller::Bot(self.caller), operation, reply });
    }
}

fn thread_operation(session: &SocketSession, caller: BotCaller, frame: Frame, answer: Answer) {
    let checked = thread_of(session, &caller, &frame);
    let (thread, text) = match checked {
        Ok(checked) => checked,
        Err(error) => return answer.refuse(&error),
    };
    let target = Target { session, thread, caller, answer };
    match frame.kind.as_str() {
        "send_thread_message" => send_thread_message(target, text, frame),
        "thread_update" => update(target, text, frame),
        "thread_invite" => invite(target, text, frame),
        "thread_join" => join(target, text),
        "thread_leave" => leave(target, text),
        "thread_remove_participant" => remove(target, text, &frame),
        "artifact_add" => artifact_add(target, frame),
        _ => artifact_update(target, frame),
    }
}

/// The thread a frame names; messages are charged before anything else is looked at.
fn thread_of(session: &SocketSession, caller: &BotCaller, frame: &Frame) -> ApiResult<(ThreadId, String)> {
    if frame.kind == "send_thread_message" {
        session.hub.charge_message(caller)?;
    }
    let id = text::required("thread_id", frame.fields.get("thread_id"))?;
    let thread = ThreadId::parse(id).ok_or_else(|| ApiError::not_found("Thread"))?;
    Ok((thread, id.to_owned()))
}

#[derive(Serialize)]
struct MessageResult {
    operation: &'static str,
    resource_id: String,
    message_id: String,
    thread_id: String,
    timestamp: i64,
}

fn send_thread_message(target: Target<'_>, thread_id: String, frame: Frame) {
    target.call(SendMessage::new(frame.fields), move |sent: &SentMessage| MessageResult {
        operation: "send_thread_message",
        resource_id: sent.row.id.clone(),
        message_id: sent.row.id.clone(),
        thread_id,
        timestamp: sent.row.created_at,
    });
}

fn update(target: Target<'_>, thread_id: String, frame: Frame) {
    let expected_revision = match frame.fields.get("expected_revision") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            query::integer(value).filter(|revision| *revision >= 1).map(|revision| Some(revision.into())).ok_or(())
        }
    };
    let Ok(expected_revision) = expected_revision else {
        let error = ApiError::validation("expected_revision must be an integer of at least 1");
        return target.answer.refuse(&error);
    };
    let transitions = target.session.dialect.transitions();
    target.call(UpdateThread { body: frame.fields, expected_revision, transitions }, move |updated: &Updated| {
        json!({
            "operation": "thread_update",
            "resource_id": thread_id,
            "thread_id": thread_id,
            "changes": updated.changes,
            "revision": updated.row.revision,
            "timestamp": updated.row.updated_at,
        })
    });
}

fn invite(target: Target<'_>, thread_id: String, frame: Frame) {
    target.call(Invite { body: frame.fields }, move |invited: &Invited| {
        json!({
            "operation": "thread_invite",
            "resource_id": thread_id,
            "thread_id": thread_id,
            "bot_id": invited.participant.bot_id,
            "already_joined": invited.already_joined,
            "timestamp": invited.at,
        })
    });
}

fn join(target: Target<'_>, thread_id: String) {
    let now = target.session.hub.now();
    target.call(Join, move |joined| {
        let mut result = json!({ "operation": "thread_join", "resource_id": thread_id, "thread_id": thread_id });
        let extra = match joined {
            Joined::Joined(at) => json!({ "status": "joined", "joined_at": at, "timestamp": at }),
            Joined::Already => json!({ "status": "already_joined", "timestamp": now }),
            Joined::Pending(request) => json!({ "status": "pending", "request_id": request }),
        };
        if let (Some(result), Value::Object(extra)) = (result.as_object_mut(), extra) {
            result.extend(extra);
        }
        result
    });
}

fn leave(target: Target<'_>, thread_id: String) {
    target.call(Leave, move |at| {
        json!({ "operation": "thread_leave", "resource_id": thread_id, "thread_id": thread_id, "timestamp": at })
    });
}

fn remove(target: Target<'_>, thread_id: String, frame: &Frame) {
    let bot = match text::required("bot_id", frame.fields.get("bot_id")) {
        Ok(bot) => bot.to_owned(),
        Err(error) => return target.answer.refuse(&error),
    };
    target.call(RemoveParticipant { bot }, move |(bot, at)| {
        json!({
            "operation": "thread_remove_participant",
            "resource_id": thread_id,
            "thread_id": thread_id,
            "bot_id": bot,
            "timestamp": at,
        })
    });
}

fn artifact_add(target: Target<'_>, frame: Frame) {
    target.call(AddArtifact { body: frame.fields }, |row| artifact_result("artifact_add", row));
}

fn artifact_update(target: Target<'_>, frame: Frame) {
    let key = match hxa_domain::artifact::key(frame.fields.get("artifact_key")) {
        Ok(key) => key.to_owned(),
        Err(error) => return target.answer.refuse(&error),
    };
    target.call(UpdateArtifact { key, body: frame.fields }, |row| artifact_result("artifact_update", row));
}

fn artifact_result(operation: &'static str, row: &ArtifactRow) -> Value {
    json!({
        "operation": operation,
        "resource_id": row.id,
        "thread_id": row.thread_id,
        "artifact_key": row.artifact_key,
        "version": row.version,
        "timestamp": row.created_at,
    })
}

/// Enough of an unknown name to recognise it.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
