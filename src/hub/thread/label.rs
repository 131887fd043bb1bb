//! Changing a participant's label.
//!
//! Labels determine permissions, so only managers of the thread set them.

use serde_json::json;

use super::access::Ended;
use super::membership::participant_row;
use super::state::ThreadState;
use super::update::updated_event;
use super::{Applied, Context, ThreadOperation};
use crate::core::call::Operation;
use hxa_domain::budget::WriteClass;
use hxa_domain::draft::Parsed;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::policy::Action;
use hxa_domain::thread::Labelling;
use hxa_store::rows::ParticipantRow;
use hxa_store::threads::ThreadChanges;

/// A participant sets another's label, or its own.
pub struct SetLabel {
    /// Whose: an id or a name.
    pub bot: String,
    /// The new label.
    pub change: Parsed<Labelling>,
}

impl Operation for SetLabel {
    type Answer = ParticipantRow;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Membership)
    }
}

impl ThreadOperation for SetLabel {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<ParticipantRow>> {
        let caller = context.bot()?;
        let manager = thread.member(&caller, Ended::Refused)?;
        if !thread.permits(&caller, manager, Action::Manage) {
            context.deny("thread.permission_denied", thread, json!({ "action": "manage" }));
            return Err(ApiError::forbidden("The thread's policy does not let you set labels"));
        }
        let label = self.change.draft()?.label;
        let target = context.org.find_bot(&self.bot).ok_or_else(|| ApiError::not_found("Bot"))?;
        let participant = thread.participant(target.id).ok_or_else(|| ApiError::not_found("Participant"))?;
        let was = participant.label.clone();
        let row = participant_row(thread, target.id, label.clone(), participant.joined_at);
        if was == label {
            return Ok(Applied::unchanged(row));
        }
        let at = thread.next_time(context.now);
        let change = thread.set_label(target.id, label.clone());
        let detail = json!({ "bot_id": target.id, "from": was, "to": label });
        let writes = vec![
            thread.revise(at, ThreadChanges::default(), vec![change]),
            context.audit("thread.label_changed", thread, detail),
        ];
        Ok(Applied { writes, events: vec![updated_event(thread, &["participants"])], answer: row })
    }
}
