//! Dispatches frames: finds the operation, checks whether the caller may use it now, and runs it.

use super::operations::{self, Turn};
use super::repeated::{self, Run};
use super::{SocketContext, SocketSession, resume, subscriptions};
use crate::ws::frame::Frame;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::operation::SocketOperation;
use hxa_domain::scope::Need;
use hxa_hub::core::caller::BotCaller;
use hxa_hub::fanout::send_queue::close;

/// Runs one frame. Whatever it starts is started in this call, so a socket's operations start in arrival order.
pub fn run(session: &mut SocketSession, mut frame: Frame, context: &mut SocketContext) {
    let answer = session.answer(frame.reference.take()).with_weight(frame.weight);
    let Some(operation) = SocketOperation::parse(&frame.kind) else {
        let error = ApiError::new(ErrorCode::UnknownOp, format!("Unknown operation {:?}", shortened(&frame.kind)));
        return answer.refuse(&error);
    };
    let run: Run = match operation {
        SocketOperation::Ping => return answer.pong(),
        SocketOperation::Subscribe => return subscriptions::subscribe(session, &mut frame, answer),
        SocketOperation::Unsubscribe => return subscriptions::unsubscribe(session, &mut frame, answer),
        SocketOperation::Resume => return resume::resume(session, &mut frame, answer),
        SocketOperation::Send => operations::send,
        SocketOperation::SendDm => operations::send_dm,
        SocketOperation::SendThreadMessage => operations::send_thread_message,
        SocketOperation::ThreadCreate => operations::thread_create,
        SocketOperation::ThreadUpdate => operations::thread_update,
        SocketOperation::ThreadInvite => operations::thread_invite,
        SocketOperation::ThreadJoin => operations::thread_join,
        SocketOperation::ThreadLeave => operations::thread_leave,
        SocketOperation::ThreadRemoveParticipant => operations::thread_remove_participant,
        SocketOperation::ArtifactAdd => operations::artifact_add,
        SocketOperation::ArtifactUpdate => operations::artifact_update,
    };
    match current_caller(session, operation.need()) {
        Ok(caller) => repeated::run_once(Turn { session, caller, frame, answer }, operation, run, context),
        Err(error) => answer.refuse(&error),
    }
}

/// The bot behind the socket as it is now: deletions, rejections, suspensions and the end of its credential close
/// sockets, but a frame may arrive before the close does.
fn current_caller(session: &SocketSession, need: Need) -> ApiResult<BotCaller> {
    let caller = session.caller.as_ref().ok_or_else(|| ApiError::forbidden("This socket does not act as a bot"))?;
    if caller.token_expires_at.is_some_and(|at| at <= session.hub.now()) {
        session.send_queue.close(close::TOKEN_ENDED);
        return Err(ApiError::new(ErrorCode::TokenExpired, "The token has expired"));
    }
    if session.send_queue.is_ending() {
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

/// Enough of an unknown name to recognise it.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
