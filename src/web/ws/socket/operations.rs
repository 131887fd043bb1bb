//! The operations of bots on their sockets, each a thin adapter: shape and rate, then the same actor call as REST,
//! answered by an ack whose `result` has the fields that clients know.

use serde::Serialize;
use serde_json::{Value, json};

use super::SocketSession;
use crate::ws::frame::{Frame, Responder};
use hxa_domain::draft::Parsed;
use hxa_domain::ids::{ChannelId, MessageId, ThreadId};
use hxa_domain::operation::{ArtifactTarget, BotTarget, ChannelTarget, ExpectedRevision, ThreadTarget};
use hxa_domain::thread::RequestStatus;
use hxa_hub::core::actors::Actors;
use hxa_hub::core::call::Call;
use hxa_hub::core::caller::{BotCaller, Caller};
use hxa_hub::org::{CreateThread, CreatedThread, SendDm, SendToChannel, SentDm};
use hxa_hub::thread::{
    AddArtifact, Invite, Invited, Join, Joined, Leave, RemoveParticipant, SendMessage, SentMessage, ThreadOperation,
    UpdateArtifact, UpdateThread, Updated,
};
use hxa_hub::wire::JoiningStatus;
use hxa_store::rows::ArtifactRow;

/// A bot's operation that is about to run.
pub struct Turn<'a> {
    /// The socket.
    pub session: &'a SocketSession,
    /// The bot.
    pub caller: BotCaller,
    /// What it asks.
    pub frame: Frame,
    /// Where it is answered.
    pub answer: Responder,
}

// --- direct messages and new threads ---

/// `send`
pub fn send(turn: Turn<'_>) {
    let Turn { session, caller, mut frame, answer } = turn;
    if let Err(error) = session.hub.charge_message(&caller) {
        return answer.refuse(&error);
    }
    let ChannelTarget(channel) = match frame.read() {
        Ok(target) => target,
        Err(error) => return answer.refuse(&error),
    };
    let operation = SendToChannel { channel, message: Parsed::of_frame(frame.fields) };
    let reply = answer.into_reply(|sent| dm_result("send", sent));
    session.hub.orgs().call(Call { caller: Caller::Bot(caller), operation, reply });
}

/// `send_dm`
pub fn send_dm(turn: Turn<'_>) {
    let Turn { session, caller, frame, answer } = turn;
    if let Err(error) = session.hub.charge_message(&caller) {
        return answer.refuse(&error);
    }
    let reply = answer.into_reply(|sent| dm_result("send_dm", sent));
    let operation = SendDm { message: Parsed::of_frame(frame.fields) };
    session.hub.orgs().call(Call { caller: Caller::Bot(caller), operation, reply });
}

#[derive(Serialize)]
struct DmResult {
    operation: &'static str,
    resource_id: MessageId,
    channel_id: ChannelId,
    message_id: MessageId,
    timestamp: i64,
}

fn dm_result(operation: &'static str, sent: &SentDm) -> DmResult {
    DmResult {
        operation,
        resource_id: sent.row.id,
        channel_id: sent.row.channel_id,
        message_id: sent.row.id,
        timestamp: sent.row.created_at,
    }
}

/// `thread_create`
pub fn thread_create(turn: Turn<'_>) {
    let Turn { session, caller, frame, answer } = turn;
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
    session.hub.orgs().call(Call {
        caller: Caller::Bot(caller),
        operation: CreateThread { draft: Parsed::of_frame(frame.fields) },
        reply,
    });
}

// --- operations on one thread ---

/// Where a thread operation goes.
struct Target<'a> {
    session: &'a SocketSession,
    thread: ThreadId,
    caller: BotCaller,
    answer: Responder,
}

impl Target<'_> {
    fn call<O: ThreadOperation, R: Serialize>(
        self,
        operation: O,
        describe: impl FnOnce(&O::Answer) -> R + Clone + Send + 'static,
    ) {
        let reply = self.answer.into_reply(describe);
        self.session.hub.threads().call(self.thread, Call { caller: Caller::Bot(self.caller), operation, reply });
    }
}

/// Hands an operation on the thread that its frame names to `run`.
fn on_thread(turn: Turn<'_>, run: impl FnOnce(Target<'_>, String, Frame)) {
    let Turn { session, caller, mut frame, answer } = turn;
    match frame.read() {
        Ok(ThreadTarget { id, given }) => run(Target { session, thread: id, caller, answer }, given, frame),
        Err(error) => answer.refuse(&error),
    }
}

#[derive(Serialize)]
struct MessageResult {
    operation: &'static str,
    resource_id: MessageId,
    message_id: MessageId,
    thread_id: String,
    timestamp: i64,
}

/// `send_thread_message`
pub fn send_thread_message(turn: Turn<'_>) {
    // A message is charged before anything else of it is looked at.
    if let Err(error) = turn.session.hub.charge_message(&turn.caller) {
        return turn.answer.refuse(&error);
    }
    on_thread(turn, |target, thread_id, frame| {
        let message = SendMessage::new(Parsed::of_frame(frame.fields), &target.caller);
        target.call(message, move |sent: &SentMessage| MessageResult {
            operation: "send_thread_message",
            resource_id: sent.row.id,
            message_id: sent.row.id,
            thread_id,
            timestamp: sent.row.created_at,
        });
    });
}

/// `thread_update`
pub fn thread_update(turn: Turn<'_>) {
    on_thread(turn, |target, thread_id, mut frame| {
        let expected_revision = match frame.read() {
            Ok(ExpectedRevision(revision)) => revision.map(Into::into),
            Err(error) => return target.answer.refuse(&error),
        };
        let (patch, transitions) = (Parsed::of_frame(frame.fields), target.session.dialect.transitions());
        target.call(UpdateThread { patch, expected_revision, transitions }, move |updated: &Updated| {
            json!({
                "operation": "thread_update",
                "resource_id": thread_id,
                "thread_id": thread_id,
                "changes": updated.changes,
                "revision": updated.row.revision,
                "timestamp": updated.row.updated_at,
            })
        });
    });
}

/// `thread_invite`
pub fn thread_invite(turn: Turn<'_>) {
    on_thread(turn, |target, thread_id, frame| {
        target.call(Invite { invitation: Parsed::of_frame(frame.fields) }, move |invited: &Invited| {
            json!({
                "operation": "thread_invite",
                "resource_id": thread_id,
                "thread_id": thread_id,
                "bot_id": invited.participant.bot_id,
                "already_joined": invited.already_joined,
                "timestamp": invited.at,
            })
        });
    });
}

/// `thread_join`
pub fn thread_join(turn: Turn<'_>) {
    on_thread(turn, |target, thread_id, _| {
        let now = target.session.hub.now();
        target.call(Join, move |joined| {
            let mut result = json!({ "operation": "thread_join", "resource_id": thread_id, "thread_id": thread_id });
            let extra = match joined {
                Joined::Joined(at) => json!({ "status": JoiningStatus::Joined, "joined_at": at, "timestamp": at }),
                Joined::Already => json!({ "status": JoiningStatus::AlreadyJoined, "timestamp": now }),
                Joined::Pending(request) => json!({ "status": RequestStatus::Pending, "request_id": request }),
            };
            if let (Some(result), Value::Object(extra)) = (result.as_object_mut(), extra) {
                result.extend(extra);
            }
            result
        });
    });
}

/// `thread_leave`
pub fn thread_leave(turn: Turn<'_>) {
    on_thread(turn, |target, thread_id, _| {
        target.call(Leave, move |at| {
            json!({ "operation": "thread_leave", "resource_id": thread_id, "thread_id": thread_id, "timestamp": at })
        });
    });
}

/// `thread_remove_participant`
pub fn thread_remove_participant(turn: Turn<'_>) {
    on_thread(turn, |target, thread_id, mut frame| {
        let BotTarget(bot) = match frame.read() {
            Ok(target) => target,
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
    });
}

/// `artifact_add`
pub fn artifact_add(turn: Turn<'_>) {
    on_thread(turn, |target, _, frame| {
        target.call(AddArtifact { draft: Parsed::of_frame(frame.fields) }, |row| artifact_result("artifact_add", row));
    });
}

/// `artifact_update`
pub fn artifact_update(turn: Turn<'_>) {
    on_thread(turn, |target, _, mut frame| {
        let ArtifactTarget(key) = match frame.read() {
            Ok(target) => target,
            Err(error) => return target.answer.refuse(&error),
        };
        target.call(UpdateArtifact { key, update: Parsed::of_frame(frame.fields) }, |row| {
            artifact_result("artifact_update", row)
        });
    });
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
