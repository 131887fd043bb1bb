//! Operations of an organisation's admin on any thread: no membership, no policy, other errors.

use serde_json::json;

use super::membership::{Entry, depart, invited_catchup, join, participant_row, removal_audit, room_for_one};
use super::state::ThreadState;
use super::update::{self, Updated};
use super::{Applied, Context, ThreadOperation};
use crate::core::call::Operation;
use hxa_domain::budget::WriteClass;
use hxa_domain::draft::Parsed;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::BotId;
use hxa_domain::thread::OrgThreadPatch;
use hxa_store::rows::ParticipantRow;

/// Changes status and settings.
pub struct OrgUpdate {
    /// The fields to change.
    pub patch: Parsed<OrgThreadPatch>,
}

impl Operation for OrgUpdate {
    type Answer = Updated;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Admin)
    }

    fn bytes(&self) -> usize {
        self.patch.bytes()
    }
}

impl ThreadOperation for OrgUpdate {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<Updated>> {
        update::apply_as_admin(self.patch, thread, context)
    }
}

/// Brings a bot in by id, whatever the thread's policy says.
pub struct OrgInvite {
    /// The bot's id as the client gave it.
    pub bot: String,
    /// Its label.
    pub label: Option<String>,
}

impl Operation for OrgInvite {
    type Answer = ParticipantRow;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Membership)
    }
}

impl ThreadOperation for OrgInvite {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<ParticipantRow>> {
        not_terminal(thread)?;
        let target = BotId::parse(&self.bot).and_then(|id| context.org.bot(id));
        let target = target.ok_or_else(|| ApiError::not_found("Bot"))?;
        if !target.is_active() {
            return Err(ApiError::new(ErrorCode::BotNotActive, "The bot is not active").with_status(400));
        }
        if thread.participant(target.id).is_some() {
            return Err(ApiError::new(ErrorCode::AlreadyParticipant, "The bot already takes part in the thread"));
        }
        room_for_one(thread)?;
        let at = thread.next_time(context.now);
        let by = context.caller.by();
        let entry = Entry { bot: &target, label: self.label.clone(), shows_label: true, by: &by, at };
        let (mut writes, events) = join(thread, entry);
        let detail = json!({ "invited_bot_id": target.id, "invited_bot_name": target.row.name });
        writes.push(context.audit("thread.invite", thread, detail));
        writes.push(invited_catchup(&thread.row, target.id, &by, at));
        let answer = participant_row(thread, target.id, self.label, at);
        Ok(Applied { writes, events, answer })
    }
}

/// Takes a bot out. `bot` is an id or a name.
pub struct OrgRemove {
    /// Whom.
    pub bot: String,
}

impl Operation for OrgRemove {
    type Answer = ();

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Membership)
    }
}

impl ThreadOperation for OrgRemove {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<()>> {
        not_terminal(thread)?;
        let target = context.org.find_bot(&self.bot).ok_or_else(|| ApiError::not_found("Bot"))?;
        let (mut writes, events, _) = depart(thread, context, &target)?;
        writes.push(removal_audit(context, thread, &target));
        Ok(Applied { writes, events, answer: () })
    }
}

fn not_terminal(thread: &ThreadState) -> ApiResult<()> {
    if thread.row.status.is_terminal() {
        return Err(ApiError::new(ErrorCode::ThreadTerminal, format!("The thread is {}", thread.row.status)));
    }
    Ok(())
}
