//! Membership of a thread: invite, join, leave, remove.

use serde_json::{Value, json};

use super::access::Ended;
use super::state::ThreadState;
use super::{Applied, Context, ThreadOperation};
use crate::core::call::Operation;
use crate::core::caller::Caller;
use crate::core::org_state::Bot;
use crate::fanout::event::{Event, Place};
use crate::wire::events::{self, ParticipantAction};
use hxa_domain::budget::WriteClass;
use hxa_domain::draft::Parsed;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{BotId, EventId, RequestId};
use hxa_domain::policy::Action;
use hxa_domain::thread::{self as thread_rules, Invitation, JoinPolicy, RequestStatus, Visibility};
use hxa_store::Write;
use hxa_store::rows::{CatchupRow, JoinRequestRow, ParticipantRow, ThreadRow};
use hxa_store::threads::{MemberChange, ThreadChanges};

/// A participant brings a bot in.
pub struct Invite {
    /// Which bot, and under which label.
    pub invitation: Parsed<Invitation>,
}

/// The outcome of an invitation.
pub struct Invited {
    /// The participant's row, new or as it was.
    pub participant: ParticipantRow,
    /// True when the bot took part already.
    pub already_joined: bool,
    /// When, ms.
    pub at: i64,
}

impl Operation for Invite {
    type Answer = Invited;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Membership)
    }
}

impl ThreadOperation for Invite {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<Invited>> {
        let caller = context.bot()?;
        let inviter = thread.member(&caller, Ended::Refused)?;
        if !thread.permits(&caller, inviter, Action::Invite) {
            return Err(ApiError::forbidden("The thread's policy does not let you invite"));
        }
        let Invitation { bot, label, names_label } = self.invitation.draft()?;
        let target = context.org.find_bot(&bot).ok_or_else(|| ApiError::not_found("Bot"))?;
        if !target.is_active() {
            return Err(ApiError::new(ErrorCode::BotNotActive, "The bot is not active").with_status(400));
        }
        if let Some(present) = thread.participant(target.id) {
            if names_label {
                return Err(ApiError::new(
                    ErrorCode::AlreadyParticipant,
                    "The bot already takes part; its label is set",
                ));
            }
            let participant = participant_row(thread, target.id, present.label.clone(), present.joined_at);
            return Ok(Applied::unchanged(Invited { participant, already_joined: true, at: context.now }));
        }
        if !label.as_deref().is_none_or(|label| thread.may_give(&caller, inviter, label)) {
            return Err(ApiError::forbidden("That label carries rights which you do not have in this thread"));
        }
        room_for_one(thread)?;
        let at = thread.next_time(context.now);
        let by = context.caller.by();
        let entry = Entry { bot: &target, label: label.clone(), shows_label: true, by: &by, at };
        let (mut writes, events) = join(thread, entry);
        let detail = json!({ "invited_bot_id": target.id, "invited_bot_name": target.row.name });
        writes.push(context.audit("thread.invite", thread, detail));
        writes.push(invited_catchup(&thread.row, target.id, &by, at));
        let participant = participant_row(thread, target.id, label, at);
        Ok(Applied { writes, events, answer: Invited { participant, already_joined: false, at } })
    }
}

/// A bot joins by itself, or asks to.
pub struct Join;

/// The outcome of joining.
pub enum Joined {
    /// In now, since this time.
    Joined(i64),
    /// In before.
    Already,
    /// Waiting for approval under this request.
    Pending(RequestId),
}

impl Operation for Join {
    type Answer = Joined;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Membership)
    }
}

impl ThreadOperation for Join {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<Joined>> {
        let caller = context.bot()?;
        let is_member = thread.participant(caller.bot.id).is_some();
        if !is_member && thread.row.visibility == Visibility::Private {
            return Err(ApiError::not_found("Thread"));
        }
        thread.still_open()?;
        if is_member {
            return Ok(Applied::unchanged(Joined::Already));
        }
        match thread.row.join_policy {
            JoinPolicy::InviteOnly => Err(ApiError::new(ErrorCode::InviteOnly, "This thread is by invitation only")),
            JoinPolicy::Approval => ask_to_join(thread, context, &caller.bot),
            JoinPolicy::Open => {
                room_for_one(thread)?;
                let at = thread.next_time(context.now);
                let by = caller.bot.id.to_string();
                let entry = Entry { bot: &caller.bot, label: None, shows_label: false, by: &by, at };
                let (mut writes, events) = join(thread, entry);
                writes.push(context.audit("thread.join", thread, json!({})));
                Ok(Applied { writes, events, answer: Joined::Joined(at) })
            }
        }
    }
}

fn ask_to_join(thread: &mut ThreadState, context: &mut Context<'_>, bot: &Bot) -> ApiResult<Applied<Joined>> {
    if let Some(pending) = thread.requests.iter().find(|request| request.bot == bot.id) {
        let error = ApiError::new(ErrorCode::AlreadyRequested, "Your join request is already pending");
        return Err(error.with("request_id", pending.id));
    }
    let at = thread.next_time(context.now);
    let id = RequestId::at(at);
    let row = JoinRequestRow {
        id,
        thread_id: thread.id,
        bot_id: bot.id,
        status: RequestStatus::Pending,
        requested_at: at,
        resolved_at: None,
        resolved_by: None,
    };
    thread.requests.push(super::state::PendingRequest { id, bot: bot.id });
    let insert = Write::Run(Box::new(move |conn| hxa_store::threads::insert_request(conn, &row)));
    let detail = json!({ "request_id": id });
    let audit = context.audit("thread.join_requested", thread, detail);
    let fields =
        events::JoinRequested { thread_id: thread.row.id, request_id: id, bot_id: bot.id, bot_name: &bot.row.name };
    let event = Event::new("thread_join_request", &fields, thread.audience());
    Ok(Applied { writes: vec![insert, audit], events: vec![event], answer: Joined::Pending(id) })
}

/// The caller leaves.
pub struct Leave;

impl Operation for Leave {
    type Answer = i64;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Membership)
    }
}

impl ThreadOperation for Leave {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<i64>> {
        let caller = context.bot()?;
        thread.member(&caller, Ended::Refused)?;
        let (mut writes, events, at) = depart(thread, context, &caller.bot)?;
        writes.push(context.audit("thread.leave", thread, json!({})));
        Ok(Applied { writes, events, answer: at })
    }
}

/// A participant removes another, or itself. `bot` is an id or a name.
pub struct RemoveParticipant {
    /// Whom.
    pub bot: String,
}

impl Operation for RemoveParticipant {
    type Answer = (BotId, i64);

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Membership)
    }
}

impl ThreadOperation for RemoveParticipant {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<(BotId, i64)>> {
        let caller = context.bot()?;
        let remover = thread.member(&caller, Ended::Refused)?;
        let target = context.org.find_bot(&self.bot).ok_or_else(|| ApiError::not_found("Bot"))?;
        let is_self = target.id == caller.bot.id;
        if !is_self && !thread.permits(&caller, remover, Action::Remove) {
            return Err(ApiError::forbidden("The thread's policy does not let you remove participants"));
        }
        let (mut writes, events, at) = depart(thread, context, &target)?;
        writes.push(removal_audit(context, thread, &target));
        Ok(Applied { writes, events, answer: (target.id, at) })
    }
}

// --- shared with the organisation's operations ---

/// Refuses one participant too many.
pub fn room_for_one(thread: &ThreadState) -> ApiResult<()> {
    thread_rules::check_participant_count(thread.participants.len() + 1)
}

/// A bot on its way into a thread.
pub struct Entry<'a> {
    /// Who.
    pub bot: &'a Bot,
    /// Its label; told in the event only on the invite paths.
    pub label: Option<String>,
    /// Whether the event tells the label.
    pub shows_label: bool,
    /// Who let it in, as events name them.
    pub by: &'a str,
    /// When, ms.
    pub at: i64,
}

/// Adds a bot: the guarded write and the `joined` event.
pub fn join(thread: &mut ThreadState, entry: Entry<'_>) -> (Vec<Write>, Vec<Event>) {
    let added = thread.add(entry.bot.id, entry.label.clone(), entry.at);
    let write = thread.revise(entry.at, ThreadChanges::default(), vec![added]);
    let label = entry.shows_label.then_some(&entry.label);
    let event = participant_event(thread, entry.bot, ParticipantAction::Joined, entry.by, label);
    (vec![write], vec![event])
}

/// Removes a bot: the `left` event goes to the leaver too, the guarded write and its catchup event follow.
pub fn depart(thread: &mut ThreadState, context: &Context<'_>, bot: &Bot) -> ApiResult<(Vec<Write>, Vec<Event>, i64)> {
    if thread.participant(bot.id).is_none() {
        return Err(ApiError::not_found("Participant"));
    }
    if thread.participants.len() == 1 {
        return Err(ApiError::validation("Cannot remove the last participant of a thread"));
    }
    let at = thread.next_time(context.now);
    let by = match context.caller {
        Caller::Admin(admin) => admin.actor().unwrap_or_else(|| context.caller.by()),
        _ => context.caller.by(),
    };
    let event = participant_event(thread, bot, ParticipantAction::Left, &by, None);
    let removed = thread.remove(bot.id);
    let payload = json!({ "thread_id": thread.row.id, "topic": thread.row.topic, "removed_by": by });
    let catchup = catchup_row(&thread.row, bot.id, "thread_participant_removed", &payload, at);
    let write = thread.revise(at, ThreadChanges::default(), vec![removed]);
    Ok((vec![write, catchup], vec![event], at))
}

/// The audit row of a removal by somebody (also of oneself).
pub fn removal_audit(context: &Context<'_>, thread: &ThreadState, bot: &Bot) -> Write {
    let detail = json!({
        "removed_bot_id": bot.id,
        "removed_bot_name": bot.row.name,
        "removed_by": context.caller.audit_bot(),
    });
    // A removal by the organisation's secret names nobody in the row; the detail tells the organisation.
    let by = match context.caller {
        Caller::Admin(admin) => admin.actor(),
        caller => caller.audit_bot(),
    };
    context.audit_of(by, "thread.remove_participant", thread, detail)
}

/// A participant as it is stored and answered.
pub fn participant_row(thread: &ThreadState, bot: BotId, label: Option<String>, joined_at: i64) -> ParticipantRow {
    ParticipantRow { thread_id: thread.id, bot_id: bot, label, joined_at }
}

/// The catchup event of an invitation.
pub fn invited_catchup(thread: &ThreadRow, bot: BotId, inviter: &str, at: i64) -> Write {
    let payload = json!({ "thread_id": thread.id, "topic": thread.topic, "inviter": inviter });
    catchup_row(thread, bot, "thread_invited", &payload, at)
}

/// A stored catchup event about this thread.
fn catchup_row(thread: &ThreadRow, bot: BotId, kind: &str, payload: &Value, at: i64) -> Write {
    Write::Catchup(CatchupRow {
        target_bot_id: bot,
        id: EventId::at(at),
        org_id: thread.org_id,
        kind: kind.to_owned(),
        payload: payload.to_string(),
        occurred_at: at,
    })
}

fn participant_event(
    thread: &ThreadState,
    bot: &Bot,
    action: ParticipantAction,
    by: &str,
    label: Option<&Option<String>>,
) -> Event {
    let fields =
        events::ParticipantChanged { thread_id: thread.id, bot_id: bot.id, bot_name: &bot.row.name, action, by, label };
    let place = match action {
        ParticipantAction::Joined => Place::In,
        ParticipantAction::Left => Place::Out,
    };
    Event::new("thread_participant", &fields, thread.audience()).placing(bot.id, place)
}

/// Resolves one pending request in memory and in the database.
pub fn resolve_request(
    thread: &mut ThreadState,
    id: RequestId,
    status: RequestStatus,
    by: Option<BotId>,
    at: i64,
) -> MemberChange {
    thread.requests.retain(|request| request.id != id);
    MemberChange::Resolve { request: Some(id), status, by, at }
}
