//! Deciding join requests: a participant who may manage the thread or invite approves or rejects, and the requesting
//! bot is notified.

use serde_json::json;

use super::access::Ended;
use super::membership::{Entry, join, resolve_request, room_for_one};
use super::state::PendingRequest;
use super::state::ThreadState;
use super::{Applied, Context, ThreadOperation};
use crate::core::call::Operation;
use crate::core::caller::BotCaller;
use crate::fanout::event::{Audience, Event, Place};
use crate::wire::events;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::RequestId;
use hxa_domain::policy::Action;
use hxa_domain::thread::RequestStatus;
use hxa_store::Write;
use hxa_store::threads::{MemberChange, ThreadChanges, ThreadUpdate};

/// Lets a waiting bot in.
pub struct ApproveRequest {
    /// The request's id.
    pub request: String,
}

impl Operation for ApproveRequest {
    /// When the bot joined, ms.
    type Answer = i64;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Membership)
    }
}

impl ThreadOperation for ApproveRequest {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<i64>> {
        let caller = context.bot()?;
        may_decide(thread, &caller, Ended::Refused)?;
        let request = pending(thread, &self.request)?;
        let target = request.bot;
        let bot = context.org.bot(target).ok_or_else(|| ApiError::not_found("Join request"))?;
        if !bot.is_active() {
            return Err(ApiError::new(ErrorCode::BotNotActive, "The bot is not active").with_status(400));
        }
        let present = thread.participant(target).map(|participant| participant.joined_at);
        if present.is_none() {
            room_for_one(thread)?;
        }
        let at = thread.next_time(context.now);
        let by = caller.bot.id.to_string();
        let resolved = resolve_request(thread, request.id, RequestStatus::Approved, Some(caller.bot.id), at);
        let (mut writes, mut events) = match present {
            None => join(thread, Entry { bot: &bot, label: None, shows_label: false, by: &by, at }),
            Some(_) => (Vec::new(), Vec::new()),
        };
        events.push(resolved_event(thread, &request, RequestStatus::Approved));
        add_resolution(thread, &mut writes, resolved);
        let detail = json!({ "approved_bot": target, "request_id": request.id });
        writes.push(context.audit("thread.join_approved", thread, detail));
        Ok(Applied { writes, events, answer: present.unwrap_or(at) })
    }
}

/// Turns a waiting bot away; it may ask again.
pub struct RejectRequest {
    /// The request's id.
    pub request: String,
}

impl Operation for RejectRequest {
    type Answer = ();

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Membership)
    }
}

impl ThreadOperation for RejectRequest {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<()>> {
        let caller = context.bot()?;
        may_decide(thread, &caller, Ended::Allowed)?;
        let request = pending(thread, &self.request)?;
        let at = thread.next_time(context.now);
        let resolved = resolve_request(thread, request.id, RequestStatus::Rejected, Some(caller.bot.id), at);
        let mut writes = Vec::new();
        add_resolution(thread, &mut writes, resolved);
        let detail = json!({ "rejected_bot": request.bot, "request_id": request.id });
        writes.push(context.audit("thread.join_rejected", thread, detail));
        let events = vec![resolved_event(thread, &request, RequestStatus::Rejected)];
        Ok(Applied { writes, events, answer: () })
    }
}

/// What became of a request, for the bot that made it and for everybody who heard of it.
pub fn resolved_event(thread: &ThreadState, request: &PendingRequest, status: RequestStatus) -> Event {
    let bot = request.bot;
    let members = thread.members();
    let waiting = (!members.contains(&bot)).then_some(bot);
    let bots = members.iter().copied().chain(waiting).collect();
    let fields = events::JoinResolved { thread_id: thread.row.id, request_id: request.id, bot_id: bot, status };
    Event::new("thread_join_resolved", &fields, Audience::Members { bots, topic: thread.id.uuid() })
        .placing(bot, Place::Same)
}

/// Refuses callers that may neither manage the thread nor invite.
fn may_decide(thread: &ThreadState, caller: &BotCaller, ended: Ended) -> ApiResult<()> {
    let participant = thread.member(caller, ended)?;
    let may = [Action::Manage, Action::Invite].into_iter().any(|action| thread.permits(caller, participant, action));
    if may { Ok(()) } else { Err(ApiError::forbidden("The thread's policy does not let you decide join requests")) }
}

fn pending(thread: &ThreadState, id: &str) -> ApiResult<PendingRequest> {
    let id = RequestId::parse(id);
    let request = thread.requests.iter().find(|request| Some(request.id) == id);
    request.copied().ok_or_else(|| ApiError::not_found("Join request"))
}

/// Puts the resolution into the guarded update of this operation, or into one of its own that changes no column.
fn add_resolution(thread: &ThreadState, writes: &mut Vec<Write>, resolved: MemberChange) {
    for write in writes.iter_mut() {
        if let Write::Thread(update) = write {
            return update.members.push(resolved);
        }
    }
    // Resolving does not count the revision up: the row keeps its number and only guards the statement.
    let changes = ThreadChanges { revision: Some(thread.row.revision), ..ThreadChanges::default() };
    let update =
        ThreadUpdate { id: thread.id, expected_revision: thread.row.revision, changes, members: vec![resolved] };
    writes.push(Write::Thread(Box::new(update)));
}
